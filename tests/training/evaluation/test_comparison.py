from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.audio.pitch import midi_to_hz
from core.inference.engine import SynthesisEngine
from core.inference.model import load_model
from tests.helpers.tiny_models import tiny_bundle
from training.data.dataset import CorpusSplit
from training.data.pairs import Indices
from training.evaluation import comparison
from training.evaluation.comparison import (
    BASELINES,
    HARMONICS,
    INSTRUMENT,
    LMD60,
    LOST_CENTS,
    MEASURES,
    MOVEMENT,
    OTHER_MODEL,
    OTHER_RECORDING,
    PLAIN_MODEL,
    REFINED_MODEL,
    RESAMPLING,
    SIGNED_HARMONICS,
    STFT,
    TUNING,
    UNREFINED,
    Comparison,
    Notes,
    Values,
)
from training.evaluation.workbench import Workbench

Wave = NDArray[np.float32]


def _index(split: CorpusSplit, source: str, note: float) -> int:
    return next(
        i
        for i in range(len(split))
        if split.source[i] == source and abs(split.midi_pitch[i] - note) < 0.01
    )


def _pairs(split: CorpusSplit, *notes: tuple[float, float]) -> Indices:
    return np.array([[_index(split, "first", each) for each in pair] for pair in notes])


@pytest.fixture
def pairs(bench: Workbench) -> Indices:
    """The source's own note, three octaves up, two octaves down."""
    return _pairs(bench.split, (48.0, 48.0), (36.0, 72.0), (60.0, 36.0))


@pytest.fixture
def perfect_shifter(
    bench: Workbench, pairs: Indices, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[bool, float]]:
    """Rubber Band is replaced by what returns the true note; its calls are noted down."""
    split = bench.split
    known = {
        (
            split.audio([a]).numpy().tobytes(),
            round(float(split.midi_pitch[b] - split.midi_pitch[a])),
        ): b
        for notes in split.notes_of
        for a in notes
        for b in notes
    }
    calls: list[tuple[bool, float]] = []

    def shift(audio: Wave, semitones: float, rate: int, *, keep_formants: bool = False) -> Wave:
        assert rate == bench.sample_rate
        calls.append((keep_formants, semitones))
        true: Wave = split.audio([known[audio.tobytes(), round(semitones)]])[0].numpy()
        return 0.2 * true

    monkeypatch.setattr(comparison, "rubber_band_shift", shift)
    return calls


@pytest.fixture
def values(bench: Workbench, pairs: Indices, perfect_shifter: list[tuple[bool, float]]) -> Values:
    """Everyone compared; the shifters return the true notes."""
    with torch.inference_mode():
        return Comparison(bench).compare_everyone(pairs)


def test_who_returns_the_true_note_at_another_level_is_at_no_distance(values: Values) -> None:
    for measure in MEASURES:
        expected = 1.0 if measure is MOVEMENT else 0.0
        tolerance = 1.5 if measure is TUNING else 1e-3
        for column in (*BASELINES[1:], OTHER_RECORDING):
            found = values[measure.name][column]
            assert found == pytest.approx(np.full(3, expected), abs=tolerance), measure.name
    for column in (INSTRUMENT, UNREFINED, REFINED_MODEL, PLAIN_MODEL, RESAMPLING):
        assert (values[LMD60.name][column][1:] > 2.0).all(), column


def test_everyone_shifts_by_the_interval_and_the_other_recording_by_less(
    bench: Workbench, pairs: Indices, values: Values, perfect_shifter: list[tuple[bool, float]]
) -> None:
    assert sorted(s for kept, s in perfect_shifter if kept) == [-24.0, 0.0, 36.0]
    others = [s for kept, s in perfect_shifter if not kept]
    # The nearest other notes of 48, 72 and 36 are 49, 61 and 48.
    assert sorted(others) == [-24.0, -12.0, -1.0, 0.0, 11.0, 36.0]


def test_the_instrument_is_the_recording_at_its_root(values: Values) -> None:
    near = values[LMD60.name][INSTRUMENT][0]
    # The toy networks know nothing.
    assert near < 1.5
    assert near < 0.2 * values[LMD60.name][REFINED_MODEL][0]
    # Resampling three octaves up ends after an eighth of the time.
    assert values[LMD60.name][RESAMPLING][1] > 10.0


def test_refinement_and_another_model_are_columns_of_their_own(
    bench: Workbench, pairs: Indices, tmp_path: Path
) -> None:
    cpu = torch.device("cpu")
    other = SynthesisEngine(load_model(tiny_bundle(tmp_path / "other.safetensors", seed=5)), cpu)
    with torch.inference_mode():
        same = Comparison(bench, SynthesisEngine(bench.model, cpu))
        twice = same.compare_refinement(pairs, LMD60)[LMD60.name]
        found = Comparison(bench, other).compare_refinement(pairs, LMD60)[LMD60.name]
    assert np.array_equal(twice[INSTRUMENT], twice[OTHER_MODEL])
    assert np.array_equal(twice[INSTRUMENT], found[INSTRUMENT])
    far = slice(1, None)
    assert (np.abs(found[INSTRUMENT][far] - found[OTHER_MODEL][far]) > 0.01).all()
    assert (np.abs(found[INSTRUMENT][far] - found[UNREFINED][far]) > 0.01).all()


def test_pairs_in_smaller_parts_are_the_same_pairs(
    bench: Workbench, pairs: Indices, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.inference_mode():
        whole = Comparison(bench).compare_refinement(pairs, LMD60)[LMD60.name]
        monkeypatch.setattr(comparison, "PAIRS_AT_ONCE", 2)
        parts = Comparison(bench).compare_refinement(pairs, LMD60)[LMD60.name]
    for column, figures in whole.items():
        assert parts[column] == pytest.approx(figures, rel=1e-5)


def test_a_target_without_another_recording_leaves_that_column_empty(
    bench: Workbench,
    pairs: Indices,
    perfect_shifter: list[tuple[bool, float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lonely = int(pairs[1, 1])
    nearest = comparison.nearest_other_recording
    monkeypatch.setattr(
        comparison,
        "nearest_other_recording",
        lambda notes, source, target: None if target == lonely else nearest(notes, source, target),
    )
    with torch.inference_mode():
        values = Comparison(bench).compare_everyone(pairs)
    for measure in MEASURES:
        columns = values[measure.name]
        assert np.isnan(columns[OTHER_RECORDING]).tolist() == [False, True, False]
        assert np.isfinite(columns[INSTRUMENT]).all()


def _notes(bench: Workbench, audio: list[Wave], pitches: list[float]) -> Notes:
    return Notes(np.stack(audio), np.array(pitches, np.float32), bench.mel)


def _tone(midi_pitch: float) -> Wave:
    time_s = np.arange(172 * 512) / 44100
    phase = 2.0 * np.pi * midi_to_hz(midi_pitch) * time_s
    return (np.sin(phase) / 2.0 + np.sin(2.0 * phase + 1.0) / 4.0).astype(np.float32)


def test_tuning_counts_lost_notes_and_leaves_out_what_nothing_can_track(bench: Workbench) -> None:
    pitches = [60.0, 60.0, 60.0, 60.0, 98.0]
    silence = np.zeros(172 * 512, np.float32)
    true = [_tone(60.05), _tone(60.0), silence, _tone(60.2), _tone(98.0)]
    ours = [_tone(60.3), silence, _tone(60.0), _tone(60.0), _tone(98.0)]
    values = TUNING.values(_notes(bench, ours, pitches), _notes(bench, true, pitches))
    expected = [30.0, LOST_CENTS, np.nan, np.nan, np.nan]
    assert values == pytest.approx(expected, abs=3.0, nan_ok=True)
    assert float(TUNING.average(np.array([1.0, 2.0, LOST_CENTS]))) == 2.0


def test_the_signed_difference_is_below_0_for_a_noisier_note(bench: Workbench) -> None:
    tone = _tone(60.0)
    noise = np.random.default_rng(0).standard_normal(len(tone)).astype(np.float32)
    clean, noisy = tone + 0.02 * noise, tone + 0.2 * noise
    ours = _notes(bench, [noisy, clean], [60.0, 60.0])
    true = _notes(bench, [clean, noisy], [60.0, 60.0])
    signed, absolute = SIGNED_HARMONICS.values(ours, true), HARMONICS.values(ours, true)
    assert signed == pytest.approx([-20.0, 20.0], abs=2.0)
    assert np.array_equal(np.abs(signed), absolute)


def test_half_and_twice_the_movement_are_the_true_one_on_average() -> None:
    assert float(MOVEMENT.average(np.array([0.5, 2.0]))) == pytest.approx(1.0)
    assert float(MOVEMENT.average(np.array([0.0, 2.0]))) == 0.0


def test_the_end_of_the_window_is_not_compared(bench: Workbench) -> None:
    tone = _tone(60.0)
    cut = tone.copy()
    cut[-3 * 512 :] = 0.0
    earlier = tone.copy()
    earlier[-6 * 512 : -5 * 512] = 0.0
    true = _notes(bench, [tone, tone], [60.0, 60.0])
    ours = _notes(bench, [cut, earlier], [60.0, 60.0])
    for measure in (LMD60, STFT):
        same, different = measure.values(ours, true)
        assert same == pytest.approx(0.0, abs=1e-3)
        assert different > 0.01


def test_the_stft_distance_of_a_note_does_not_depend_on_the_others_or_on_level(
    bench: Workbench,
) -> None:
    rng = np.random.default_rng(0)
    ours, true = (list(rng.uniform(-0.5, 0.5, (2, 44100)).astype(np.float32)) for _ in range(2))
    pitches = [60.0, 60.0]
    together = STFT.values(_notes(bench, ours, pitches), _notes(bench, true, pitches))
    quieter = [0.3 * wave for wave in ours]
    alone = [
        STFT.values(_notes(bench, [a], [60.0]), _notes(bench, [b], [60.0]))[0]
        for a, b in zip(quieter, true, strict=True)
    ]
    assert together == pytest.approx(alone, rel=1e-3)
    assert (together > 0.5).all()
