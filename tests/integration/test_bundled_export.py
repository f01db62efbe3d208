"""The bundled samples through the shipped weights and the command line, judged by sfizz and YIN."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pysfizz
import pytest
import soundfile
from numpy.typing import NDArray

from app.__main__ import main
from core.inference.model import SHIPPED_MODEL
from training.evaluation.tuning import tuning_error_cents

RATE = 44100
SAMPLES = sorted((Path(__file__).resolve().parents[2] / "resources" / "samples").glob("*.wav"))
PITCHED = {"bell", "bowed", "brass", "electronic", "pad", "pluck", "vowel"}

pytestmark = pytest.mark.skipif(
    not SHIPPED_MODEL.is_file(), reason="no weights are bundled: run python -m training bundle"
)


def _export(sample: Path, notes: str, out: Path) -> Path:
    arguments = ["export", str(sample), "--format", "sfz", "--notes", notes, "--out", str(out)]
    assert main(arguments) == 0
    (sfz,) = out.glob("*.sfz")
    return sfz


def _play(sfz: Path, keys: list[int]) -> dict[int, NDArray[np.float32]]:
    """Each key through sfizz for two seconds, mono."""
    copy = sfz.with_name("in_memory.sfz")  # sfizz streams from disk unless told not to
    copy.write_text("<control> hint_ram_based=1\n" + sfz.read_text())
    synth = pysfizz.Synth(RATE, 512)
    synth.load_sfz_file(str(copy))
    assert set(synth.playable_keys) >= set(keys)
    played = {}
    for key in keys:
        sound = np.asarray(synth.render_note(key, 100, 2.0, 2.5), dtype=np.float32)
        played[key] = sound.reshape(-1, sound.shape[-1]).mean(axis=0)
    return played


def test_forty_nine_keys_become_forty_nine_sound_files(tmp_path: Path) -> None:
    sfz = _export(SAMPLES[0], "C2:C6", tmp_path / "out")
    files = sorted(sfz.parent.glob("*/*.wav"))
    assert len(files) == 49
    for file in files:
        samples, rate = soundfile.read(file)
        assert rate == RATE
        assert np.all(np.isfinite(samples))
        assert 0.05 < np.max(np.abs(samples)) < 1.0, file.name
    keys = list(range(36, 85))
    for key, sound in _play(sfz, keys).items():
        assert np.all(np.isfinite(sound))
        assert 0.01 < np.max(np.abs(sound)) < 1.0, f"key {key}"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_key_of_a_bundled_sample_sounds_and_is_in_tune(sample: Path, tmp_path: Path) -> None:
    keys = list(range(36, 85, 6))
    sfz = _export(sample, "C2:C6:6", tmp_path / "out")
    played = _play(sfz, keys)
    assert all(np.max(np.abs(sound)) > 0.01 for sound in played.values())
    errors = [tuning_error_cents(sound, key, RATE) for key, sound in played.items()]
    heard = [abs(error) for error in errors if error is not None]
    if sample.stem in PITCHED:
        assert len(heard) >= len(keys) - 1
        assert np.median(heard) <= 5.0


def test_the_same_command_gives_the_same_samples(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        _export(SAMPLES[0], "C3:C5:6", folder)
    first, second = (sorted(folder.rglob("*.wav")) for folder in folders)
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    shutil.rmtree(tmp_path, ignore_errors=True)
