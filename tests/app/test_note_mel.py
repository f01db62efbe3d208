from __future__ import annotations

import numpy as np
import pytest

from app.note_mel import NoteMel
from core.audio.files import AudioClip
from core.inference.engine import SynthesisEngine
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import tiny_bundle

RATE = 44100


@pytest.mark.parametrize("gain", [1.0, 0.4, 0.01])
def test_how_loud_a_note_is_played_does_not_change_its_picture(gain: float) -> None:
    tone = harmonic_tone(220.0, 1.0)[None]
    to_mel = NoteMel(RATE)
    np.testing.assert_allclose(to_mel(np.float32(gain) * tone), to_mel(tone), atol=1e-3)


def test_a_note_that_is_its_source_looks_like_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = SynthesisEngine.load(
        tiny_bundle(tmp_path_factory.mktemp("m") / "t.safetensors"), "cpu"
    )
    clip = AudioClip(samples=harmonic_tone(220.0, 2.0)[None], sample_rate=RATE, name="tone")
    timbre = engine.analyze(clip, root=57)
    ours = NoteMel(RATE)(0.3 * timbre.samples[None])
    inner = slice(0, ours.shape[1] - 4)  # the last windows reach beyond the note
    np.testing.assert_allclose(ours[:, inner], timbre.mel[:, inner], atol=1e-3)


def test_silence_has_a_picture() -> None:
    to_mel = NoteMel(RATE)
    assert (to_mel(np.zeros((1, RATE), np.float32)) == -1.0).all()


def test_stereo_and_overlong_notes_fit_one_window() -> None:
    to_mel = NoteMel(RATE)
    stereo = np.repeat(harmonic_tone(220.0, 4.0)[None], 2, axis=0)
    assert to_mel(stereo).shape == (to_mel.config.n_mels, to_mel.config.n_frames)
