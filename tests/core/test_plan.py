from __future__ import annotations

import pytest

from core.errors import ParameterError
from core.plan import InstrumentOptions, InstrumentPlan, NoteSpan, PadGrid


@pytest.mark.parametrize(
    ("notes", "options", "says"),
    [
        ((), {}, "No root notes"),
        ((60, 60), {}, "given twice"),
        ((128,), {}, "outside the MIDI range"),
        ((60,), {"low_key": 61}, "Note 60 is not among the keys 61-127"),
        ((60,), {"high_key": 59}, "Note 60 is not among the keys 0-59"),
        ((60,), {"low_key": 70, "high_key": 60}, "no range"),
        ((60,), {"high_key": 128}, "High key 128 is outside 0-127"),
        ((60,), {"velocity_layers": 0}, "Velocity layers 0 is outside 1-8"),
        ((60,), {"velocity_layers": 9}, "Velocity layers 9"),
        ((60,), {"round_robins": 17}, "Round robins 17 is outside 1-16"),
        ((60,), {"loudness_lufs": 1.0}, "LUFS"),
        ((60,), {"loudness_lufs": float("nan")}, "LUFS"),
        ((60,), {"length_s": 0.01}, "Length"),
        ((60,), {"fade_out_s": -1.0}, "Fade out"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(
    notes: tuple[int, ...], options: dict[str, float], says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        InstrumentPlan(notes=notes, options=InstrumentOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "step", "notes"),
    [(60, 66, 3, (60, 63, 66)), (60, 65, 3, (60, 63)), (60, 60, 3, (60,))],
)
def test_a_span_reaches_from_end_to_end(
    low: int, high: int, step: int, notes: tuple[int, ...]
) -> None:
    assert NoteSpan(low=low, high=high, step=step).notes == notes


@pytest.mark.parametrize(
    ("changes", "says"), [({"low": 61, "high": 60}, "61-60"), ({"step": 0}, "Step 0")]
)
def test_a_span_that_holds_nothing_is_refused(changes: dict[str, int], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        NoteSpan(**changes)


@pytest.mark.parametrize(("low", "high"), [(0, 127), (40, 80), (48, 72)])
def test_zones_share_out_the_keys_planned_and_no_others(low: int, high: int) -> None:
    plan = InstrumentPlan(notes=(72, 48, 60), options=InstrumentOptions(low_key=low, high_key=high))
    answered = [key for first, last in plan.zones for key in range(first, last + 1)]
    assert sorted(answered) == list(range(low, high + 1))
    for note, (first, last) in zip(plan.notes, plan.zones, strict=True):
        assert first <= note <= last


@pytest.mark.parametrize("count", range(1, 9))
def test_velocity_layers_share_out_all_velocities(count: int) -> None:
    plan = InstrumentPlan(notes=(60,), options=InstrumentOptions(velocity_layers=count))
    answered = [v for low, high in plan.options.velocity_ranges for v in range(low, high + 1)]
    assert answered == list(range(1, 128))
    widths = [high - low for low, high in plan.options.velocity_ranges]
    assert max(widths) - min(widths) <= 1
    velocities = plan.options.rendered_velocities(100)
    assert velocities[-1] == 100
    assert list(velocities) == sorted(set(velocities))
    assert min(plan.options.rendered_velocities(30)) == 30


@pytest.mark.parametrize("sides", [(1, 1), (0, 3), (6, 2), (2, 6), (-1, 2)])
def test_a_pad_has_from_two_points_to_five_by_five(sides: tuple[int, int]) -> None:
    with pytest.raises(ParameterError, match="2x1 up to 5x5"):
        PadGrid(columns=sides[0], rows=sides[1])


def test_points_run_from_the_bottom_left_along_x() -> None:
    places = PadGrid(columns=3, rows=2).places
    assert places == ((0, 0), (0.5, 0), (1, 0), (0, 1), (0.5, 1), (1, 1))
    assert PadGrid(columns=2, rows=1).places == ((0, 0.5), (1, 0.5))
