from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audio.loudness import momentary_loudness_db
from core.inference.leveling import (
    LAYER_STEP_DB,
    NEIGHBOUR_STEP_DB,
    TRUE_PEAK_DBFS,
    FinishedNote,
    Sketch,
    leveled,
    measured,
)
from core.instrument import Loop, Region
from core.plan import InstrumentOptions, InstrumentPlan
from tests.helpers.signals import harmonic_tone

RATE = 8000
SMALL = 1e-3
SILENCE = np.zeros((1, 800), np.float32)


def note(loudness_db: float, peak_db: float) -> FinishedNote:
    """A note said to have a loudness and a peak; its samples are equal, so that a gain shows."""
    return FinishedNote(
        samples=np.full((1, 100), SMALL, np.float32),
        loop=None,
        loudness_db=loudness_db,
        peak_db=peak_db,
    )


def levels_of(regions: tuple[Region, ...], notes: list[FinishedNote]) -> list[float]:
    """Loudness of each note after its gain, LUFS."""
    gains = [20 * np.log10(region.samples[0, 0] / SMALL) for region in regions]
    return [each.loudness_db + gain for each, gain in zip(notes, gains, strict=True)]


def level(notes: list[FinishedNote], options: InstrumentOptions | None = None) -> list[float]:
    plan = InstrumentPlan(
        notes=tuple(range(40, 40 + len(notes))), options=options or InstrumentOptions()
    )
    (instrument,) = leveled([Sketch(name="a", takes={(0, 0): notes}, facts={})], plan, RATE)
    return levels_of(instrument.regions, notes)


NOTES = st.lists(
    st.builds(note, st.floats(-40.0, -10.0), st.floats(-20.0, 6.0)), min_size=1, max_size=9
)


@given(NOTES)
def test_neighbours_differ_by_half_a_decibel_at_most_and_no_peak_passes_the_limit(
    notes: list[FinishedNote],
) -> None:
    levels = level(notes)
    assert np.abs(np.diff(levels)).max(initial=0.0) <= NEIGHBOUR_STEP_DB + 1e-4
    for each, level_db in zip(notes, levels, strict=True):
        assert each.peak_db + level_db - each.loudness_db <= TRUE_PEAK_DBFS + 1e-4
    assert NEIGHBOUR_STEP_DB == 0.5
    assert TRUE_PEAK_DBFS == -1.0


def test_one_note_that_stands_out_takes_its_neighbours_down_with_it() -> None:
    spiky = [note(-20.0, -10.0 if index != 4 else 0.0) for index in range(9)]
    levels = level(spiky)
    assert levels[4] == pytest.approx(-21.0, abs=0.01)
    assert np.diff(levels[4:]) == pytest.approx([NEIGHBOUR_STEP_DB] * 4, abs=0.01)


def test_half_of_the_notes_decide_where_nothing_is_asked_for() -> None:
    levels = level([note(-20.0, peak_db) for peak_db in (-13.0, -12.0, -11.0)])
    assert max(levels) == pytest.approx(-20.0 + 12.0 + TRUE_PEAK_DBFS, abs=0.01)


@pytest.mark.parametrize("wanted_db", [-40.0, -20.0])
def test_a_loudness_asked_for_is_reached_where_peaks_allow_it(wanted_db: float) -> None:
    levels = level([note(-30.0, -20.0)] * 3, InstrumentOptions(loudness_lufs=wanted_db))
    assert levels == pytest.approx([wanted_db] * 3, abs=0.01)


def test_layers_lie_steps_apart_and_alternatives_on_one_level() -> None:
    notes = [note(-20.0, -10.0)]
    options = InstrumentOptions(velocity_layers=3, round_robins=2)
    takes = {(layer, turn): notes for layer in range(3) for turn in range(2)}
    plan = InstrumentPlan(notes=(60,), options=options)
    (instrument,) = leveled([Sketch(name="a", takes=takes, facts={})], plan, RATE)
    gains = [20 * np.log10(float(region.samples[0, 0]) / SMALL) for region in instrument.regions]
    assert np.diff(gains[::2]) == pytest.approx([LAYER_STEP_DB] * 2, abs=1e-3)
    assert gains[::2] == pytest.approx(gains[1::2])
    assert LAYER_STEP_DB == 0.5


def test_the_points_of_a_pad_have_one_level() -> None:
    quiet, spiky = [note(-20.0, -10.0)], [note(-20.0, -3.0)]
    plan = InstrumentPlan(notes=(60,))
    sketches = [Sketch(name="a", takes={(0, 0): notes}, facts={}) for notes in (quiet, spiky)]
    first, second = leveled(sketches, plan, RATE)
    assert levels_of(first.regions, quiet) == pytest.approx(levels_of(second.regions, spiky))


def test_a_note_is_measured_between_its_samples() -> None:
    # A quarter of the rate, half a sample off: no sample reaches the peak.
    tone = np.sin(np.pi / 4 + np.pi / 2 * np.arange(4000), dtype=np.float32)[None]
    assert np.abs(tone).max() < 0.72
    assert measured(tone, None, RATE).peak_db == pytest.approx(0.0, abs=0.3)


def test_what_is_heard_while_a_key_is_held_counts_and_the_tail_does_not() -> None:
    tone = 0.1 * harmonic_tone(200.0, 1.0, RATE, partials=(1.0,))[None]
    loud_tail = tone.copy()
    loud_tail[:, 6000:] *= 9.0
    loop = Loop(start=2000, end=5000)
    held = measured(loud_tail, loop, RATE)
    assert held.loudness_db == pytest.approx(momentary_loudness_db(tone, RATE), abs=0.2)
    assert measured(loud_tail, None, RATE).loudness_db > held.loudness_db + 6.0


def test_a_short_loop_counts_as_the_second_that_it_sounds() -> None:
    tone = harmonic_tone(200.0, 0.2, RATE, partials=(1.0,))[None]
    looped = measured(tone, Loop(start=400, end=1200), RATE)
    long_tone = harmonic_tone(200.0, 1.0, RATE, partials=(1.0,))[None]
    assert looped.loudness_db == pytest.approx(momentary_loudness_db(long_tone, RATE), abs=0.3)


def test_silence_has_a_level_too() -> None:
    assert np.isfinite(measured(SILENCE, None, RATE).peak_db)
