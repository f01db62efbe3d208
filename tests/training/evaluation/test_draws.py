from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from training.corpus.source import Note, NoteKind
from training.corpus.splits import Split, split_of
from training.data.dataset import CorpusSplit
from training.data.pairs import Indices, NotePairs, PairConfig
from training.evaluation.draws import (
    INTERVALS,
    SAME_NOTE,
    comparable_pairs,
    draw_by_interval,
    draw_of_families,
    draw_pairs,
    draw_presets,
    draw_sources,
    family_of,
    kin_of,
    nearest_other_recording,
)


def _note(
    instrument: str, pitch: float, *samples: str, stretch: float = 0.0, velocity: int = 100
) -> Note:
    program = int(instrument[-3:])
    assert split_of(program) == Split.TEST
    return Note(
        instrument=instrument,
        source=instrument.partition("/")[0],
        name=instrument,
        program=program,
        split=Split.TEST,
        midi_pitch=pitch,
        velocity=velocity,
        kind=NoteKind.RECORDED if samples else NoteKind.SYNTHESIZED,
        samples=samples,
        stretch=stretch,
    )


def _pairs(folder: Path, *notes: Note) -> NotePairs:
    np.save(folder / "mels.npy", np.zeros((len(notes), 1, 1), np.float16))
    np.save(folder / "audio.npy", np.zeros((len(notes), 8), np.int16))
    lines = "".join(f"{json.dumps(asdict(note))}\n" for note in notes)
    (folder / "notes.jsonl").write_text(lines, encoding="utf-8")
    return NotePairs(CorpusSplit(folder, Split.TEST), PairConfig())


def _preset(name: str, *, step: int = 3) -> list[Note]:
    """Keys 36 to 84, a recording for every `step` of them, repitched upwards in between."""
    return [_note(name, key, f"r{key // step}", stretch=float(key % step)) for key in range(36, 85)]


@pytest.fixture
def fonts(tmp_path: Path) -> NotePairs:
    """Two presets of one program in two fonts, one preset of another, and a synthesized patch."""
    patch = [_note("synth/007", key) for key in range(36, 85)]
    notes = [*_preset("a/000-007"), *_preset("b/000-007"), *_preset("a/000-027"), *patch]
    return _pairs(tmp_path, *notes)


def _shares_a_recording(pairs: NotePairs, found: Indices) -> bool:
    samples = pairs.split.samples
    return any(samples[source] & samples[target] for source, target in found.tolist())


def test_no_table_of_recorded_instruments_pairs_a_recording_with_itself(fonts: NotePairs) -> None:
    split = fonts.split
    rng = np.random.default_rng(0)
    comparable = comparable_pairs(fonts, recorded=True)
    tables = [
        part
        for interval, part in draw_by_interval(rng, split, comparable, 20)
        if interval is not SAME_NOTE
    ]
    tables += [draw_pairs(rng, fonts, 200)]
    tables += draw_of_families(rng, split, comparable, 40, (12, 24), 2).values()
    for found in tables:
        assert len(found)
        assert not _shares_a_recording(fonts, found)
        assert (split.instrument[found[:, 0]] == split.instrument[found[:, 1]]).all()
        assert split.is_recorded[found].all()


def test_every_interval_has_as_many_pairs_in_its_own_direction(fonts: NotePairs) -> None:
    split = fonts.split
    comparable = comparable_pairs(fonts, recorded=True)
    drawn = dict(draw_by_interval(np.random.default_rng(1), split, comparable, 18))
    assert set(drawn) == set(INTERVALS)
    for interval, found in drawn.items():
        assert len(found) == 18
        assert len({tuple(pair) for pair in found.tolist()}) == 18
        for source, target in found.tolist():
            semitones = round(float(split.midi_pitch[target] - split.midi_pitch[source]))
            assert semitones * interval.sign >= 0
            assert interval.low <= abs(semitones) <= interval.high
    assert (drawn[SAME_NOTE][:, 0] == drawn[SAME_NOTE][:, 1]).all()


def test_a_swap_of_up_and_down_moves_pairs_to_the_other_row(fonts: NotePairs) -> None:
    split = fonts.split
    downwards, upwards = INTERVALS[1:3]
    assert (downwards.sign, upwards.sign) == (-1, 1)
    semitones = np.array([-4.0, 4.0, 0.2, 7.0])
    assert downwards.holds(semitones).tolist() == [True, False, False, False]
    assert upwards.holds(-semitones).tolist() == [True, False, False, False]
    drawn = dict(draw_by_interval(np.random.default_rng(1), split, fonts.pairs(recorded=True), 9))
    for interval, found in drawn.items():
        swapped = split.midi_pitch[found[:, 0]] - split.midi_pitch[found[:, 1]]
        assert interval.holds(swapped).all() == (interval is SAME_NOTE)
    assert [interval.name for interval in INTERVALS[:3]] == ["0", "-3 to -5", "+3 to +5"]


def test_fonts_that_borrow_from_each_other_take_one_turn_together(fonts: NotePairs) -> None:
    split = fonts.split
    assert len(set(kin_of(split).tolist())) == 3
    sources = draw_sources(np.random.default_rng(2), fonts, 40)
    assert len(set(sources.tolist())) == 40
    programs = Counter(split.instruments[split.instrument[i]][-3:] for i in sources.tolist())
    assert programs == {"007": 20, "027": 20}


def test_an_interval_with_few_pairs_makes_all_rows_short(tmp_path: Path) -> None:
    notes = [_note("a/000-007", key, f"r{key}") for key in (40, 43, 46, 49, 52, 64)]
    pairs = _pairs(tmp_path, *notes)
    found = comparable_pairs(pairs, recorded=True)
    drawn = draw_by_interval(np.random.default_rng(0), pairs.split, found, 50)
    assert {len(part) for _, part in drawn} == {1}  # two octaves: 40 and 64
    assert len(draw_by_interval(np.random.default_rng(0), pairs.split, found[:0], 50)) == 0


def test_targets_are_whole_notes_as_strongly_played_as_their_sources(tmp_path: Path) -> None:
    pairs = _pairs(
        tmp_path,
        _note("a/000-007", 40.3, "one"),
        _note("a/000-007", 52.0, "two"),
        _note("a/000-007", 52.0, "three", velocity=45),
        _note("a/000-007", 64.0, "four", velocity=45),
    )
    found = {tuple(pair) for pair in comparable_pairs(pairs, recorded=True).tolist()}
    assert found == {(0, 1), (2, 3), (3, 2)}


def test_the_nearest_other_recording_is_never_the_sources_own(fonts: NotePairs) -> None:
    split = fonts.split
    found = comparable_pairs(fonts, recorded=True)
    for source, target in np.random.default_rng(0).permutation(found)[:300].tolist():
        other = nearest_other_recording(fonts, source, target)
        assert other is not None
        assert split.instrument[other] == split.instrument[target]
        assert not split.samples[other] & split.samples[source]
        assert not split.samples[other] & split.samples[target]
        closer = [
            index
            for index in split.notes_of[split.instrument[target]].tolist()
            if abs(split.midi_pitch[index] - split.midi_pitch[target])
            < abs(split.midi_pitch[other] - split.midi_pitch[target])
        ]
        forbidden = split.samples[source] | split.samples[target]
        assert all(split.samples[index] & forbidden for index in closer)


def test_the_nearest_other_recording_is_alike_in_velocity_and_least_repitched(
    tmp_path: Path,
) -> None:
    pairs = _pairs(
        tmp_path,
        _note("a/000-007", 60.0, "target"),
        _note("a/000-007", 72.0, "source"),
        _note("a/000-007", 61.0, "source", stretch=3.0),
        _note("a/000-007", 61.0, "soft", velocity=45),
        _note("a/000-007", 58.0, "low", stretch=2.0),
        _note("a/000-007", 62.0, "high", stretch=1.0),
    )
    assert nearest_other_recording(pairs, 1, 0) == 5
    two = _pairs(tmp_path, _note("a/000-007", 60.0, "a"), _note("a/000-007", 72.0, "b"))
    assert nearest_other_recording(two, 1, 0) is None


def test_a_synthesized_note_is_not_its_own_neighbour(fonts: NotePairs) -> None:
    own = np.flatnonzero(~fonts.split.is_recorded)
    other = nearest_other_recording(fonts, int(own[1]), int(own[0]))
    assert other == own[2]


def test_families_are_those_of_general_midi() -> None:
    assert family_of("FluidR3_GM/000-007") == "Piano"
    assert family_of("FluidR3_GM/008-008") == "Chromatic percussion"
    assert family_of("font/128-056") == "Brass"
    assert family_of("font/000-119") == "Percussive"
    assert family_of("font/000-120") is None  # sound effects
    assert family_of("synth/0007") is None


def test_pairs_of_families_lie_at_the_intervals_asked_for(fonts: NotePairs) -> None:
    split = fonts.split
    comparable = comparable_pairs(fonts, recorded=True)
    drawn = draw_of_families(np.random.default_rng(0), split, comparable, 16, (12, 24), 2)
    assert list(drawn) == ["Piano", "Guitar"]
    for found in drawn.values():
        semitones = split.midi_pitch[found[:, 1]] - split.midi_pitch[found[:, 0]]
        for wanted in (-24, -12, 12, 24):
            assert (np.abs(semitones - wanted) <= 2).sum() == 4


def test_presets_are_drawn_once_with_notes_of_other_recordings(fonts: NotePairs) -> None:
    split = fonts.split
    presets = draw_presets(np.random.default_rng(0), fonts, 10, 5)
    assert [len(notes) for notes in presets] == [5] * 4
    assert len({split.instrument[notes[0]] for notes in presets}) == 4
    for source, *others in (notes.tolist() for notes in presets):
        assert not any(split.samples[source] & split.samples[other] for other in others)
        assert len({source, *others}) == 5


def test_drawn_pairs_are_the_same_again_and_others_with_another_seed(fonts: NotePairs) -> None:
    first, again, other = (draw_pairs(np.random.default_rng(s), fonts, 50) for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
