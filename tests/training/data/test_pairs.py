from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from core.errors import ParameterError
from core.mel import MelConfig
from training.corpus.source import CorpusError, Note, NoteKind
from training.corpus.splits import Split
from training.data.dataset import CorpusSplit
from training.data.pairs import NotePairs, PairConfig, in_turns, pair_shares


def note(instrument: str, pitch: float, *samples: str, stretch: float = 0.0) -> Note:
    kind = NoteKind.RECORDED if samples else NoteKind.SYNTHESIZED
    return Note(
        instrument=instrument,
        source="font",
        name=instrument,
        program=0,
        split=Split.TRAIN,
        midi_pitch=pitch,
        velocity=100,
        kind=kind,
        samples=samples,
        stretch=stretch,
    )


def corpus(folder: Path, *notes: Note) -> CorpusSplit:
    config = MelConfig()
    np.save(folder / "mels.npy", np.zeros((len(notes), config.n_mels, config.n_frames), np.float16))
    np.save(folder / "audio.npy", np.zeros((len(notes), 8), np.int16))
    lines = [json.dumps(asdict(each)) for each in notes]
    (folder / "notes.jsonl").write_text("\n".join(lines) + "\n")
    return CorpusSplit(folder, Split.TRAIN)


PIANO = (
    note("piano", 58, "left58", "right58", stretch=1.0),
    note("piano", 60, "left60", "right60"),
    note("piano", 61, "left60", "right60", stretch=1.0),
    note("piano", 62, "left60", "right64", stretch=2.0),  # a crossfade between two recordings
    note("piano", 70, "left64", "right64", stretch=6.0),  # far from its recordings' own pitch
)
PATCH = (note("patch", 40), note("patch", 52))
LONELY = (note("flute", 60, "a"), note("flute", 62, "a", stretch=2.0))


def test_notes_that_share_a_recording_are_no_pair(tmp_path: Path) -> None:
    pairs = NotePairs(corpus(tmp_path, *PIANO), PairConfig())
    assert pairs.partners(0).tolist() == [1, 2, 3]
    assert pairs.partners(1).tolist() == [0]
    assert pairs.partners(3).tolist() == [0]  # one side of the crossfade is shared with 1 and 2


def test_notes_far_from_their_recordings_are_in_no_pair(tmp_path: Path) -> None:
    split = corpus(tmp_path, *PIANO)
    assert 4 not in NotePairs(split, PairConfig()).pairs(recorded=True)
    assert NotePairs(split, PairConfig()).partners(4).tolist() == []
    generous = NotePairs(split, PairConfig(max_stretch=6.0))
    assert generous.partners(4).tolist() == [0, 1, 2]


def test_synthesized_notes_are_always_pairs_but_never_with_themselves(tmp_path: Path) -> None:
    pairs = NotePairs(corpus(tmp_path, *PATCH, *PIANO), PairConfig())
    assert pairs.pairs(recorded=False).tolist() == [[0, 1], [1, 0]]
    recorded = pairs.pairs(recorded=True)
    assert set(recorded.ravel().tolist()) == {2, 3, 4, 5}


def test_draws_are_genuine_or_the_same_note(tmp_path: Path) -> None:
    pairs = NotePairs(corpus(tmp_path, *PIANO, *PATCH, *LONELY), PairConfig(same_note_share=0.5))
    drawn = pairs.draw(np.random.default_rng(0), 400)
    genuine = {tuple(p) for kind in (True, False) for p in pairs.pairs(recorded=kind).tolist()}
    same = drawn[:, 0] == drawn[:, 1]
    assert 0.4 < same.mean() < 0.6
    assert {tuple(p) for p in drawn[~same].tolist()} == genuine
    assert 7 not in drawn  # two notes of one recording teach resampling alone
    assert 8 not in drawn


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_recorded_instruments_is_what_was_asked_for(
    tmp_path: Path, share: float
) -> None:
    pairs = NotePairs(corpus(tmp_path, *PIANO, *PATCH), PairConfig(recorded_share=share))
    drawn = pairs.draw(np.random.default_rng(0), 1000)
    assert np.mean(drawn[:, 0] < len(PIANO)) == pytest.approx(share, abs=0.05)


def test_several_notes_of_a_preset_start_with_a_source(tmp_path: Path) -> None:
    pairs = NotePairs(corpus(tmp_path, *PIANO, *PATCH), PairConfig())
    groups = pairs.draw_notes(np.random.default_rng(0), 50, 3).reshape(50, 3)
    for source, *others in groups.tolist():
        assert set(others) <= set(pairs.partners(source).tolist())


def test_shares_sum_to_one_and_count_every_pair(tmp_path: Path) -> None:
    shares = pair_shares(corpus(tmp_path, *PIANO, *LONELY), PairConfig())
    assert shares.pairs == 5 * 4 + 2
    # genuine: 0 with 1, 2, 3; stretched: 4 with 0, 1, 2; shared: 1-2, 1-3, 2-3, 3-4 and the flute
    assert shares.genuine == pytest.approx(6 / 22)
    assert shares.stretched == pytest.approx(6 / 22)
    assert shares.shared == pytest.approx(10 / 22)


def test_a_split_without_a_genuine_pair_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="render a larger corpus"):
        NotePairs(corpus(tmp_path, *LONELY), PairConfig())


@pytest.mark.parametrize(
    ("name", "value"), [("recorded_share", 1.5), ("same_note_share", -0.1), ("max_stretch", -1.0)]
)
def test_impossible_settings_are_named(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=f"{name} = {value}"):
        PairConfig(**{name: value})


def test_every_instrument_has_its_turn(tmp_path: Path) -> None:
    instrument = np.array([0, 0, 0, 1, 2])
    pairs = np.stack([np.arange(5), np.arange(5)], axis=1)
    ordered = in_turns(np.random.default_rng(3), pairs, instrument)
    assert sorted(instrument[ordered[:3, 0]].tolist()) == [0, 1, 2]
    assert sorted(ordered[:, 0].tolist()) == [0, 1, 2, 3, 4]
