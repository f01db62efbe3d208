from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.live.first_listen import THUMBNAIL_COLUMNS, hear, thumbnail
from core.audio.files import AudioClip, read_audio
from core.errors import AudioFileError
from tests.app.program import RATE, write_tone


def test_root_and_onset_are_found(tmp_path: Path) -> None:
    clip = read_audio(write_tone(tmp_path / "a.wav", 57.3))
    silence = np.zeros((1, RATE // 4), np.float32)
    late = AudioClip(
        samples=np.concatenate([silence, clip.samples], axis=1), sample_rate=RATE, name="late"
    )
    heard = hear(late, None)
    assert heard.root_pitch == pytest.approx(57.3, abs=0.1)
    assert heard.confidence > 0.5
    assert heard.onset_s == pytest.approx(0.25, abs=0.01)
    assert np.abs(heard.samples).max() == pytest.approx(1.0)


def test_what_the_person_says_of_the_root_is_believed(tmp_path: Path) -> None:
    heard = hear(read_audio(write_tone(tmp_path / "a.wav", 57.3)), 40.5)
    assert (heard.root_pitch, heard.confidence) == (40.5, 1.0)


def test_silence_is_refused() -> None:
    clip = AudioClip(samples=np.zeros((1, RATE), np.float32), sample_rate=RATE, name="nothing")
    with pytest.raises(AudioFileError):
        hear(clip, None)


def test_the_recording_lies_on_all_keys_in_tune(tmp_path: Path) -> None:
    heard = hear(read_audio(write_tone(tmp_path / "a.wav", 57.3)), 57.3)
    (region,) = heard.instrument().regions
    assert (region.root_note, region.low_key, region.high_key) == (57, 0, 127)
    # Said to be slower by 0.3 semitones, it sounds that much lower: at exactly 57.
    assert heard.instrument().sample_rate == round(RATE * 2 ** (-0.3 / 12))
    loud, soft = region.samples, heard.instrument(0.5).regions[0].samples
    np.testing.assert_allclose(soft, 0.5 * loud, rtol=1e-6)
    assert 0.05 < np.abs(loud).max() < 1.0


def test_the_picture_has_full_height() -> None:
    wave = 0.1 * np.sin(np.arange(10_000) / 20)
    picture = thumbnail(wave.astype(np.float32)[None])
    assert picture.shape == (THUMBNAIL_COLUMNS, 2)
    assert np.abs(picture).max() == pytest.approx(1.0)
    assert (picture[:, 0] <= picture[:, 1]).all()
    assert not np.any(thumbnail(np.zeros((1, 100), np.float32)))
