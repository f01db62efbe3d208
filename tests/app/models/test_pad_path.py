from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.pad_path import (
    MAX_PATH_S,
    SIMPLIFY_TOLERANCE,
    PadPath,
    PathPoint,
    PathRecorder,
    simplify,
)
from core.errors import ParameterError
from tests.app.models.sessions import PATHS, UNIT, point_lists

EVENTS = st.lists(
    st.tuples(st.floats(-10.0, 700.0), st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)), min_size=1
)


def line(mode: str, speed: float = 1.0) -> PadPath:
    """From the left to the right in two seconds, pausing there for one."""
    points = tuple(
        PathPoint(time_s=t, x=x, y=0.25) for t, x in ((0.0, 0.0), (2.0, 1.0), (3.0, 1.0))
    )
    return PadPath(points=points, mode=mode, speed=speed)


@pytest.mark.parametrize(
    ("mode", "elapsed_s", "x"),
    [
        ("once", -1.0, 0.0),
        ("once", 1.0, 0.5),
        ("once", 99.0, 1.0),
        ("loop", 2.0, 1.0),
        ("loop", 4.0, 0.5),
        ("ping-pong", 3.5, 1.0),
        ("ping-pong", 5.0, 0.5),
        ("ping-pong", 6.5, 0.25),
    ],
)
def test_modes_differ_in_what_follows_the_end(mode: str, elapsed_s: float, x: float) -> None:
    assert line(mode).position(elapsed_s) == pytest.approx((x, 0.25))
    assert line(mode, speed=2.0).position(elapsed_s / 2.0) == pytest.approx((x, 0.25))


def test_only_a_path_played_once_comes_to_rest() -> None:
    assert not line("once", speed=2.0).is_over(1.4)
    assert line("once", speed=2.0).is_over(1.5)
    assert not line("loop").is_over(1e6)
    assert not line("ping-pong").is_over(1e6)


@given(PATHS, st.floats(0.0, 1e5))
def test_positions_agree_with_linear_interpolation(path: PadPath, elapsed_s: float) -> None:
    times = np.array([point.time_s for point in path.points])
    time_s, length = elapsed_s * path.speed, times[-1]
    if length == 0.0:
        time_s = 0.0
    elif path.mode == "loop":
        time_s %= length
    elif path.mode == "ping-pong":
        turn, rest = divmod(time_s, length)
        time_s = length - rest if turn % 2 else rest
    for value, name in zip(path.position(elapsed_s), "xy", strict=True):
        track = [getattr(point, name) for point in path.points]
        steepest = max(np.abs(np.diff(track, prepend=track[0])), default=0.0) / 0.001
        tolerance = 1e-9 + steepest * 1e-10 * max(1.0, elapsed_s)
        expected = np.interp(time_s, times, track)
        wrap = path.mode == "loop" and min(time_s, length - time_s) < 1e-6
        assert wrap or value == pytest.approx(expected, abs=max(tolerance, 1e-6))


@given(EVENTS)
def test_any_recording_is_a_path_within_the_pad(events: list[tuple[float, float, float]]) -> None:
    recorder = PathRecorder()
    for event in events:
        recorder.add(*event)
    path = recorder.finish(mode="once")
    assert path.length_s <= MAX_PATH_S
    x, y = path.position(path.length_s)
    assert 0.0 <= x <= 1.0
    assert 0.0 <= y <= 1.0


def test_a_recording_plays_back_what_was_done() -> None:
    recorder = PathRecorder()
    times = np.linspace(0.0, 4.0, 241)
    for time_s in times:
        recorder.add(100.0 + time_s, 0.5 + 0.4 * np.cos(time_s), 0.5 + 0.4 * np.sin(time_s))
    path = recorder.finish()
    assert len(path.points) < 40
    assert path.length_s == pytest.approx(4.0)
    for time_s in times[:-1]:
        done = (0.5 + 0.4 * np.cos(time_s), 0.5 + 0.4 * np.sin(time_s))
        assert np.hypot(*np.subtract(path.position(time_s), done)) < SIMPLIFY_TOLERANCE * 1.01


def test_recording_nothing_is_no_path() -> None:
    with pytest.raises(ParameterError, match="No movement"):
        PathRecorder().finish()


@given(point_lists(), st.floats(0.0, 0.2))
def test_simplified_paths_stay_near_at_all_times(
    points: tuple[PathPoint, ...], tolerance: float
) -> None:
    fewer = simplify(points, tolerance)
    assert fewer[0] == points[0]
    assert fewer[-1] == points[-1]
    assert set(fewer) <= set(points)
    thinned = PadPath(points=fewer, mode="once")
    for point in points:  # between them both are straight, so no time in between is farther
        x, y = thinned.position(point.time_s)
        assert np.hypot(x - point.x, y - point.y) <= tolerance + 1e-9


def test_a_straight_even_line_needs_two_points_and_a_pause_more() -> None:
    even = [PathPoint(time_s=t, x=t / 10.0, y=0.5) for t in range(11)]
    assert simplify(even) == (even[0], even[-1])
    pause = [PathPoint(time_s=t, x=min(t, 5) / 10.0, y=0.5) for t in range(11)]
    assert simplify(pause) == (pause[0], pause[5], pause[-1])


@given(UNIT, UNIT)
def test_a_path_of_one_point_stays_there(x: float, y: float) -> None:
    for mode in ("loop", "ping-pong", "once"):
        path = PadPath(points=(PathPoint(time_s=0.0, x=x, y=y),), mode=mode)
        assert path.position(12.3) == (x, y)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PadPath(points=()), "0 points"),
        (lambda: PadPath(points=(PathPoint(time_s=1.0, x=0.0, y=0.0),)), "at 0 s"),
        (lambda: PadPath(points=(PathPoint(time_s=0.0, x=0.0, y=0.0),) * 2), "rise"),
        (lambda: line("loop", speed=0.0), "speed 0.0"),
        (lambda: PathPoint(time_s=601.0, x=0.0, y=0.0), "601"),
        (lambda: PathPoint(time_s=0.0, x=float("nan"), y=0.0), "x = nan"),
    ],
)
def test_impossible_paths_are_refused(make: object, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        make()
