from __future__ import annotations

import numpy as np
import pytest

from core.errors import ParameterError
from training.corpus.source import N_SAMPLES, NoteGrid, find_onset, prepare_note


def test_short_notes_are_padded_and_normalised() -> None:
    prepared = prepare_note(np.array([0.1, -0.25, 0.0]))
    assert prepared is not None
    assert prepared.shape == (N_SAMPLES,)
    assert prepared.dtype == np.float32
    assert prepared[1] == -1.0
    assert not prepared[3:].any()


def test_long_notes_are_cut_before_they_are_normalised() -> None:
    audio = np.full(N_SAMPLES + 10, 0.5)
    audio[-1] = 8.0
    prepared = prepare_note(audio)
    assert prepared is not None
    assert np.all(prepared == 1.0)


def test_silence_is_dropped() -> None:
    assert prepare_note(np.full(100, 9e-5)) is None


@pytest.mark.parametrize("audio", [np.zeros((2, 5)), np.array([0.1, np.nan])])
def test_unusable_audio_is_refused(audio: np.ndarray) -> None:
    with pytest.raises(ParameterError):
        prepare_note(audio)


def test_onset_lies_just_before_the_first_loud_sample() -> None:
    audio = np.zeros(5000)
    audio[1000:] = 1.0
    assert find_onset(audio, lead_samples=32) == 968
    assert find_onset(np.zeros(10)) == 0


def test_detuned_share_and_range_follow_the_grid() -> None:
    grid = NoteGrid(detune_probability=0.3, detune_cents=50.0)
    rng = grid.rng("somebody")
    shifts = np.array([grid.draw_detune(rng) for _ in range(4000)])
    assert np.mean(shifts != 0.0) == pytest.approx(0.3, abs=0.03)
    assert np.abs(shifts).max() <= 0.5
    assert shifts[shifts != 0].std() == pytest.approx(1 / np.sqrt(12), abs=0.02)


def test_keys_stay_in_range_and_keep_their_step() -> None:
    grid = NoteGrid(note_low=24, note_high=96, note_step=3)
    starts = set()
    for instrument in range(50):
        keys = grid.draw_keys(grid.rng(str(instrument)))
        assert set(np.diff(keys)) == {3}
        assert keys[0] >= 24
        assert 94 <= keys[-1] <= 96
        starts.add(keys[0])
    assert starts == {24, 25, 26}


@pytest.mark.parametrize(
    "values",
    [
        {"note_low": 50, "note_high": 40},
        {"note_high": 128},
        {"note_step": 0},
        {"velocities": ()},
        {"velocities": (0,)},
        {"detune_probability": 1.5},
        {"detune_cents": -1.0},
    ],
)
def test_impossible_grids_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        NoteGrid(**values)  # type: ignore[arg-type]
