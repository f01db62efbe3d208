from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.audio.pitch import midi_to_hz
from training.data.dataset import CorpusSplit
from training.metrics.note_distance import log_mel_rmse_db
from training.stages.contest import (
    INSTRUMENT,
    LOG_MEL,
    LOST_CENTS,
    RESAMPLING,
    STFT,
    TUNING,
    Contest,
    Notes,
    compare_neighbours,
    recordings_of_one_preset,
)
from training.workbench import Workbench

BINS = ((3, 5), (6, 11), (12, 17))


def _index(split: CorpusSplit, source: str, note: float) -> int:
    return next(
        i
        for i in range(len(split))
        if split.source[i] == source and abs(split.midi_pitch[i] - note) < 0.01
    )


def test_pairs_keep_instrument_and_velocity_and_end_on_whole_notes(bench: Workbench) -> None:
    split = bench.split
    pairs = Contest(bench).draw_pairs(np.random.default_rng(0), 60, BINS)
    assert (split.instrument[pairs[:, 0]] == split.instrument[pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert len({(source, target) for source, target in pairs.tolist()}) == len(pairs)
    targets = split.midi_pitch[pairs[:, 1]]
    assert (targets == np.round(targets)).all()
    assert (split.midi_pitch[pairs[:, 0]] != np.round(split.midi_pitch[pairs[:, 0]])).any()


def test_every_interval_gets_its_share_up_and_down_and_every_instrument_its_turn(
    bench: Workbench,
) -> None:
    split = bench.split
    pairs = Contest(bench).draw_pairs(np.random.default_rng(1), 36, BINS)
    semitones = np.round(split.midi_pitch[pairs[:, 1]] - split.midi_pitch[pairs[:, 0]])
    for low, high in BINS:
        for side in (-1, 1):
            inside = (side * semitones >= low) & (side * semitones <= high)
            assert inside.sum() == 6, (low, side)
            assert set(Counter(split.instrument[pairs[inside, 0]].tolist()).values()) == {2}
    other = Contest(bench).draw_pairs(np.random.default_rng(2), 36, BINS)
    assert not np.array_equal(pairs, other)
    few = Contest(bench).draw_pairs(np.random.default_rng(1), 100_000, ((1, 1),))
    assert len(few) == 12  # 48 and 49, 60 and 61, both ways, of three instruments


def test_tuning_counts_lost_notes_and_leaves_out_what_nothing_can_track(bench: Workbench) -> None:
    rate = bench.sample_rate
    time_s = np.arange(rate * 2) / rate

    def tone(midi_pitch: float) -> NDArray[np.float32]:
        phase = 2.0 * np.pi * midi_to_hz(midi_pitch) * time_s
        return (np.sin(phase) / 2.0 + np.sin(2.0 * phase + 1.0) / 4.0).astype(np.float32)

    silence = np.zeros(len(time_s), np.float32)
    mels = torch.zeros(5, 1, 1)
    of_true = [tone(60.05), tone(60.0), silence, tone(60.2), tone(98.0)]
    of_ours = [tone(60.3), silence, tone(60.0), tone(60.0), tone(98.0)]
    pitches = np.array([60.0, 60.0, 60.0, 60.0, 98.0], np.float32)
    tuning = Contest(bench).measures(pitches)[TUNING]
    values = tuning.distances(
        Notes(mels=mels, audio=np.stack(of_ours)), Notes(mels=mels, audio=np.stack(of_true))
    )
    expected = [30.0, LOST_CENTS, np.nan, np.nan, np.nan]
    assert values == pytest.approx(expected, abs=3.0, nan_ok=True)
    assert float(tuning.average(np.array([1.0, 2.0, LOST_CENTS]))) == 2.0


def test_the_stft_distance_of_notes_does_not_depend_on_the_others_or_on_level(
    bench: Workbench,
) -> None:
    rng = np.random.default_rng(0)
    ours, true = (rng.uniform(-1.0, 1.0, (2, 8192)).astype(np.float32) for _ in range(2))
    measure = Contest(bench).measures(np.array([60.0, 60.0], np.float32))[STFT]

    def notes(audio: NDArray[np.float32]) -> Notes:
        return Notes(mels=torch.zeros(len(audio), 1, 1), audio=audio)

    together = measure.distances(notes(ours), notes(true))
    quieter = measure.distances(notes(0.3 * ours), notes(true))
    alone = [
        measure.distances(notes(a[None]), notes(b[None]))[0]
        for a, b in zip(ours, true, strict=True)
    ]
    assert together == pytest.approx(alone, rel=1e-6)
    assert together == pytest.approx(quieter, rel=1e-4)
    assert (together > 0.5).all()


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
    assert len(notes) == 7
    measures = contest.measures(split.midi_pitch[pairs[:, 1]])
    for name, measure in measures.items():
        own = pytest.approx(np.zeros(2), abs=1.5 if name == TUNING else 1e-5)
        assert measure.distances(true, true) == own, name
        for contestant, played in notes.items():
            distance = measure.distances(played, true)
            assert distance.shape == (2,), (name, contestant)
            assert np.isfinite(distance).all(), (name, contestant)
    near, _ = measures[LOG_MEL].distances(notes[INSTRUMENT], true)
    # A tone shifted by a semitone is the true tone; the toy networks know nothing.
    assert near < 2.5
    assert near < 0.5 * measures[LOG_MEL].distances(notes["HyperGANStrument"], true)[0]
    # Resampling two octaves up ends after a quarter of the time.
    assert measures[LOG_MEL].distances(notes[RESAMPLING], true)[1] > 10.0


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
