from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.export.base import export_instrument
from core.export.flac import flac_bytes
from core.export.wav import wav_bytes
from core.instrument import Region
from tests.core.export.instruments import (
    HOSTILE_NAMES,
    pad_instrument,
    sine_instrument,
    sine_region,
)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_flac_and_wav_hold_the_same_samples(channels: int, rate: int) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (channels, 999)).astype(np.float32)
    noise.flat[0], noise.flat[-1] = 1.0, -1.0
    region = Region(root_note=60, low_key=0, high_key=127, samples=noise)
    flac, flac_rate = soundfile.read(io.BytesIO(flac_bytes(region, rate, {})), dtype="int32")
    wav, _ = soundfile.read(io.BytesIO(wav_bytes(region, rate, {})), dtype="int32")
    assert flac_rate == rate
    np.testing.assert_array_equal(flac, wav)


def test_the_mapping_is_in_the_comment_and_texts_stay_as_they_are() -> None:
    region = sine_region(61, 60, 62)
    assert region.loop is not None
    info = {"INAM": "Flügel 🎹", "ISFT": "HyperGANStrument", "ICMT": "seed: 7\nx"}
    with soundfile.SoundFile(io.BytesIO(flac_bytes(region, 44100, info))) as file:
        texts = file.copy_metadata()
        assert file.subtype == "PCM_24"
    assert texts["title"] == "Flügel 🎹"
    assert texts["software"].startswith("HyperGANStrument")
    assert texts["comment"] == (
        "root note: 61; keys: 60-62; velocities: 1-127; "
        f"loop: frames 2000 to {region.loop.end - 1}; seed: 7 x"
    )


def test_an_instrument_is_a_folder_and_a_pad_a_folder_of_folders(tmp_path: Path) -> None:
    one = export_instrument(sine_instrument("Bell", [60, 72]), ["flac"], tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in one] == [
        "Bell/Bell_060_C4.flac",
        "Bell/Bell_072_C5.flac",
    ]
    several = export_instrument(pad_instrument("Pad", 2, 1), ["flac"], tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in several] == [
        "Pad/Pad_x1y1/Pad_x1y1_048_C3.flac",
        "Pad/Pad_x2y1/Pad_x2y1_048_C3.flac",
    ]


def test_flac_and_wav_lie_side_by_side(tmp_path: Path) -> None:
    files = export_instrument(sine_instrument("Bell", [60]), ["flac", "wav"], tmp_path)
    assert [file.name for file in files] == ["Bell_060_C4.flac", "Bell_060_C4.wav"]


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name.strip()])
def test_hostile_names_are_readable(tmp_path: Path, name: str) -> None:
    (file,) = export_instrument(sine_instrument(name, [60]), ["flac"], tmp_path)
    assert soundfile.info(file).frames == 22050


def test_a_truncated_file_is_noticed() -> None:
    data = flac_bytes(sine_region(60, 0, 127), 44100, {})
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.read(io.BytesIO(data[: len(data) // 2]))
