from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from training.corpus.demo_samples import DEMO_SAMPLES, DemoSample, write_demo_samples
from training.corpus.source import SAMPLE_RATE

FOLDER = Path(__file__).parents[3] / "resources" / "samples"
LSB = 2.0**-23

every_sample = pytest.mark.parametrize("sample", DEMO_SAMPLES, ids=lambda sample: sample.name)


@every_sample
def test_committed_file_is_what_the_recipe_makes(sample: DemoSample) -> None:
    committed, sample_rate = soundfile.read(FOLDER / f"{sample.name}.wav", dtype="float64")
    rendered = sample.render().astype(np.float64)
    assert sample_rate == SAMPLE_RATE
    assert committed.shape == rendered.shape
    # One step for the rounding to 24 bit; the rest for float32 sines, whose last bit differs
    # between processors and adds up over the partials (measured: none on the machine of origin).
    assert np.abs(committed - rendered).max() <= 64 * LSB


@every_sample
def test_file_is_mono_24_bit_at_minus_1_db(sample: DemoSample) -> None:
    info = soundfile.info(FOLDER / f"{sample.name}.wav")
    assert (info.channels, info.samplerate, info.subtype) == (1, 44100, "PCM_24")
    assert 1.5 <= info.duration <= 3.0
    audio, _ = soundfile.read(FOLDER / f"{sample.name}.wav")
    assert 20 * np.log10(np.abs(audio).max()) == pytest.approx(-1.0, abs=1e-4)
    assert abs(audio[-1]) < 1e-3
    assert abs(audio.mean()) < 1e-3


@every_sample
def test_sample_is_in_tune_with_its_root(sample: DemoSample) -> None:
    audio, _ = soundfile.read(FOLDER / f"{sample.name}.wav")
    f0_hz = librosa.midi_to_hz(sample.root)
    tracked = librosa.yin(
        audio[4000:-12000], fmin=f0_hz / 2.5, fmax=f0_hz * 2.5, sr=SAMPLE_RATE, frame_length=4096
    )
    assert abs(1200.0 * np.log2(np.median(tracked) / f0_hz)) < 5.0


def test_every_licence_and_root_is_listed() -> None:
    text = (FOLDER / "LICENSES.md").read_text(encoding="utf-8")
    assert {path.stem for path in FOLDER.glob("*.wav")} == {sample.name for sample in DEMO_SAMPLES}
    for sample in DEMO_SAMPLES:
        root = librosa.midi_to_note(sample.root, unicode=False)
        assert f"| {sample.name}.wav | {root} ({sample.root}) | CC0-1.0 |" in text


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write_demo_samples(tmp_path / "a"), write_demo_samples(tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
