from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from core.mel import MelConfig, MelSpectrogram
from training.corpus.source import CorpusError
from training.corpus.splits import Split, split_of
from training.data.dataset import CorpusSplit, step_rng


def test_no_note_of_another_split_can_reach_a_batch(tiny_corpus: Path) -> None:
    labels = [json.loads(line) for line in (tiny_corpus / "notes.jsonl").read_text().splitlines()]
    for split in Split:
        notes = CorpusSplit(tiny_corpus, split)
        assert {labels[row]["split"] for row in notes.rows} == {split}
        assert {split_of(labels[row]["program"]) for row in notes.rows} == {split}
        drawn = notes.draw(step_rng(0, 0, 0), 64, 2)
        assert drawn.min() >= 0
        assert drawn.max() < len(notes)
    assert sum(len(CorpusSplit(tiny_corpus, split)) for split in Split) == len(labels)


def test_a_label_against_the_split_rule_stops_everything(tiny_corpus: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(tiny_corpus, forged)
    index = forged / "notes.jsonl"
    index.write_text(index.read_text().replace('"split": "test"', '"split": "train"'))
    with pytest.raises(CorpusError, match="against the split rule"):
        CorpusSplit(forged, Split.TRAIN)


def test_mel_audio_and_label_belong_together(tiny_corpus: Path) -> None:
    notes = CorpusSplit(tiny_corpus, Split.TRAIN)
    chosen = np.array([0, 5, len(notes) - 1])
    recomputed = MelSpectrogram(MelConfig())(notes.audio(chosen))
    assert torch.allclose(recomputed, notes.mels(chosen), atol=0.02)
    batch = notes.batch(chosen)
    assert batch.midi_pitch.tolist() == pytest.approx(notes.midi_pitch[chosen].tolist())


def test_notes_of_a_draw_share_their_instrument_and_differ(tiny_corpus: Path) -> None:
    notes = CorpusSplit(tiny_corpus, Split.TRAIN)
    drawn = notes.draw(step_rng(0, 0, 0), 32, 2).reshape(32, 2)
    assert np.array_equal(notes.instrument[drawn[:, 0]], notes.instrument[drawn[:, 1]])
    assert np.all(drawn[:, 0] != drawn[:, 1])


def test_a_step_draws_the_same_batch_again_and_other_processes_draw_others() -> None:
    def first(seed: int, rank: int, step: int) -> int:
        return int(step_rng(seed, rank, step).integers(2**40))

    assert first(0, 0, 5) == first(0, 0, 5)
    assert len({first(0, 0, 5), first(0, 1, 5), first(0, 0, 6), first(1, 0, 5)}) == 4


def test_a_source_can_be_left_out(tiny_corpus: Path) -> None:
    with pytest.raises(CorpusError, match="no train notes"):
        CorpusSplit(tiny_corpus, Split.TRAIN, without=("synth",))


@pytest.mark.parametrize("damage", ["missing", "short", "garbage"])
def test_a_damaged_corpus_is_refused(tiny_corpus: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "corpus"
    if damage != "missing":
        shutil.copytree(tiny_corpus, folder)
        index = folder / "notes.jsonl"
        lines = index.read_text().splitlines()
        index.write_text("\n".join(lines[:-1]) if damage == "short" else "{")
    with pytest.raises(CorpusError, match="corpus"):
        CorpusSplit(folder, Split.TRAIN)
