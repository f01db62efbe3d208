from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from core.audio.loudness import REFERENCE_DB, momentary_loudness_db
from core.errors import CoreError, ParameterError, RenderCancelled
from core.mel import MelConfig, MelSpectrogram
from training.corpus.build import CorpusConfig, build_corpus, read_notes
from training.corpus.source import N_SAMPLES, CorpusError
from training.corpus.splits import Split, split_of

TINY = CorpusConfig(soundfonts=(), n_patches=8, notes_per_patch=2, workers=2, seed=3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_corpus(TINY, tmp_path_factory.mktemp("corpora") / "tiny")


def test_arrays_and_labels_belong_together(corpus: Path) -> None:
    notes = read_notes(corpus)
    audio = np.load(corpus / "audio.npy", mmap_mode="r")
    mels = np.load(corpus / "mels.npy", mmap_mode="r")
    config = MelConfig()
    assert audio.shape == (len(notes), N_SAMPLES)
    assert audio.dtype == np.int16
    assert mels.shape == (len(notes), config.n_mels, config.n_frames)
    assert mels.dtype == np.float16
    gains = np.array([10.0 ** (note.gain_db / 20.0) for note in notes], np.float32)
    levelled = audio / np.float32(32767.0) * gains[:, None]
    with torch.no_grad():
        expected = MelSpectrogram(config)(torch.from_numpy(levelled))
    assert np.abs(mels - expected.numpy()).max() < 2e-3
    for note in levelled:
        assert momentary_loudness_db(note[None], 44100) == pytest.approx(REFERENCE_DB, abs=0.01)
    assert np.all(np.abs(audio[:].astype(int)).max(axis=1) == 32767)


def test_order_is_that_of_the_instruments(corpus: Path) -> None:
    instruments = [note.instrument for note in read_notes(corpus)]
    assert instruments == sorted(instruments)
    assert len(set(instruments)) == 8


def test_no_test_instrument_is_labelled_otherwise(corpus: Path) -> None:
    for note in read_notes(corpus):
        assert note.split is split_of(note.program)
        assert int(note.instrument.split("/")[1]) == note.program


def test_summary_counts_what_is_there(corpus: Path) -> None:
    summary = json.loads((corpus / "corpus.json").read_text())
    notes = read_notes(corpus)
    assert summary["n_notes"] == len(notes)
    for split in Split:
        number = sum(note.split is split for note in notes)
        assert summary["notes_per_split"][split] == number
        assert summary["sources"][0]["notes"][split] == number
    assert summary["sources"][0]["licence"] == "CC0-1.0"
    assert summary["config"]["seed"] == 3


def test_same_config_same_corpus(corpus: Path, tmp_path: Path) -> None:
    again = build_corpus(TINY, tmp_path / "again")
    assert read_notes(again) == read_notes(corpus)
    assert np.array_equal(np.load(again / "audio.npy"), np.load(corpus / "audio.npy"))


def test_progress_reaches_the_end_and_nothing_temporary_is_left(corpus: Path) -> None:
    assert [path.name for path in corpus.parent.iterdir()] == ["tiny"]
    assert sorted(path.name for path in corpus.iterdir()) == [
        "audio.npy",
        "corpus.json",
        "mels.npy",
        "notes.jsonl",
    ]


def test_cancelled_build_leaves_nothing(tmp_path: Path) -> None:
    cancel = threading.Event()
    seen: list[tuple[int, int]] = []

    def stop_after_first(done: int, total: int) -> None:
        seen.append((done, total))
        cancel.set()

    config = CorpusConfig(soundfonts=(), n_patches=40, notes_per_patch=1, workers=1)
    with pytest.raises(RenderCancelled):
        build_corpus(config, tmp_path / "never", stop_after_first, cancel)
    assert seen == [(1, 40)]
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="already exists"):
        build_corpus(TINY, tmp_path)


def test_missing_soundfont_says_what_to_install(tmp_path: Path) -> None:
    config = CorpusConfig(soundfonts=("/nowhere/OPL-3_FM_128M.sf2",), n_patches=0)
    with pytest.raises(CoreError, match="opl3-soundfont"):
        build_corpus(config, tmp_path / "never")
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_render(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="names no sounds"):
        build_corpus(CorpusConfig(soundfonts=(), n_patches=0), tmp_path / "never")


def test_repeated_instruments_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "C4.wav").touch()
    config = CorpusConfig(soundfonts=(), n_patches=0, folders=(str(folder), str(folder)))
    with pytest.raises(CorpusError, match="occurs twice"):
        build_corpus(config, tmp_path / "never")


def test_folder_without_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no corpus"):
        read_notes(tmp_path)


@pytest.mark.parametrize(
    "values", [{"n_patches": -1}, {"notes_per_patch": 0}, {"workers": -1}, {"note_step": 0}]
)
def test_impossible_configs_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ParameterError):
        CorpusConfig(**values)  # type: ignore[arg-type]
