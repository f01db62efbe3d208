from __future__ import annotations

import shutil

import numpy as np
import pytest

from training.data.dataset import CorpusSplit
from training.metrics.note_distance import log_mel_rmse_db
from training.stages.contest import (
    INSTRUMENT,
    LOG_MEL,
    RESAMPLING,
    Contest,
    compare_neighbours,
    recordings_of_one_preset,
)
from training.workbench import Workbench


def _index(split: CorpusSplit, source: str, note: float) -> int:
    return next(
        i
        for i in range(len(split))
        if split.source[i] == source and abs(split.midi_pitch[i] - note) < 0.01
    )


def test_pairs_keep_instrument_and_velocity_and_end_on_whole_notes(bench: Workbench) -> None:
    split = bench.split
    pairs = Contest(bench).draw_pairs(np.random.default_rng(0), 60)
    assert pairs.shape == (60, 2)
    assert (split.instrument[pairs[:, 0]] == split.instrument[pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    targets = split.midi_pitch[pairs[:, 1]]
    assert (targets == np.round(targets)).all()
    assert (split.midi_pitch[pairs[:, 0]] != np.round(split.midi_pitch[pairs[:, 0]])).any()


def test_the_instrument_is_the_recording_near_its_root_and_everyone_is_compared(
    bench: Workbench,
) -> None:
    if shutil.which("rubberband") is None:
        pytest.skip("Rubber Band (rubberband-cli) is not installed")
    split = bench.split
    pairs = np.array(
        [
            [_index(split, "first", a), _index(split, "first", b)]
            for a, b in [(48.0, 49.0), (48.0, 72.0)]
        ]
    )
    contest = Contest(bench)
    true, notes = contest.true(pairs[:, 1]), contest.contestants(pairs)
    assert len(notes) == 6
    measures = contest.measures(split.midi_pitch[pairs[:, 1]])
    for name, measured in measures.items():
        assert measured(true, true) == pytest.approx(np.zeros(2), abs=1e-5), name
        for contestant, played in notes.items():
            distance = measured(played, true)
            assert distance.shape == (2,), (name, contestant)
            assert np.isfinite(distance).all(), (name, contestant)
    near, _ = measures[LOG_MEL](notes[INSTRUMENT], true)
    # A tone shifted by a semitone is the true tone; the toy networks know nothing.
    assert near < 2.5
    assert near < 0.5 * measures[LOG_MEL](notes["HyperGANStrument"], true)[0]
    # Resampling two octaves up ends after a quarter of the time.
    assert measures[LOG_MEL](notes[RESAMPLING], true)[1] > 10.0


def test_other_recordings_are_of_the_same_preset_and_note_and_not_shared(
    tone_split: CorpusSplit,
) -> None:
    pairs = recordings_of_one_preset(tone_split, ("OPL-3_FM_128M",))
    assert [sorted(tone_split.source[i] for i in pair) for pair in pairs] == [
        ["first", "second"]
    ] * 6  # eight notes, one of them detuned, one of them shared
    assert (tone_split.midi_pitch[pairs[:, 0]] == tone_split.midi_pitch[pairs[:, 1]]).all()
    assert len(recordings_of_one_preset(tone_split)) > len(pairs)


def test_neighbouring_keys_are_those_of_the_corpus_and_those_around_the_crossover(
    bench: Workbench,
) -> None:
    neighbours = compare_neighbours(bench, np.random.default_rng(1), 2)
    assert len(neighbours.true_db) == len(neighbours.rendered) > 0
    assert len(neighbours.crossover) == 4
    steps = (*neighbours.rendered, *neighbours.crossover)
    assert all(np.isfinite([step.mel_db, step.level_db]).all() for step in steps)
    split = bench.split
    possible = {
        round(float(log_mel_rmse_db(*split.mels([a, b])[:, None], bench.unit_db)[0]), 3)
        for notes in split.notes_of
        for a in notes
        for b in notes
        if 0.9 < split.midi_pitch[b] - split.midi_pitch[a] < 3.1
    }
    assert {round(db, 3) for db in neighbours.true_db} <= possible
