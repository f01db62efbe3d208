"""Movements of the pad's cursor: recorded, thinned out, played back.

A path is a line through points in time; between two points the cursor moves straight and evenly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Literal

import numpy as np

from core.errors import ParameterError

PathMode = Literal["loop", "ping-pong", "once"]
"""What follows the last point: the first one, the way back, or nothing (the cursor stays)."""

MAX_PATH_S = 600.0
"""Longest path, seconds."""
MAX_PATH_POINTS = 20_000
"""Most points of a path."""
MIN_SPEED = 0.05
MAX_SPEED = 20.0
SIMPLIFY_TOLERANCE = 0.004
"""How far a thinned-out path may leave the recorded one, in pad widths: about a pixel on screen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PathPoint:
    """Where the cursor was, and when."""

    time_s: float
    """Since the first point, seconds, 0–600."""
    x: float
    """0 (left) to 1 (right)."""
    y: float
    """0 (bottom) to 1 (top)."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.time_s <= MAX_PATH_S:
            raise ParameterError(f"Path time {self.time_s} s is outside 0-{MAX_PATH_S:g} s.")
        for name in ("x", "y"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ParameterError(
                    f"Path position {name} = {getattr(self, name)} is outside 0-1."
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class PadPath:
    """A recorded movement of the cursor and how it is played."""

    points: tuple[PathPoint, ...]
    """The first at 0 s, each later than the one before."""
    mode: PathMode = "loop"
    speed: float = 1.0
    """1 plays as recorded, 2 twice as fast; 0.05–20."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.points) <= MAX_PATH_POINTS:
            raise ParameterError(
                f"A path of {len(self.points)} points cannot be kept; record 1-{MAX_PATH_POINTS}."
            )
        times = [point.time_s for point in self.points]
        if times[0] != 0.0:
            raise ParameterError(f"A path starts at {times[0]} s; its first point must be at 0 s.")
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ParameterError("Times of a path do not rise; give each point a later time.")
        if not MIN_SPEED <= self.speed <= MAX_SPEED:
            raise ParameterError(f"Path speed {self.speed} is outside {MIN_SPEED:g}-{MAX_SPEED:g}.")

    @property
    def length_s(self) -> float:
        """From the first to the last point at speed 1, seconds."""
        return self.points[-1].time_s

    def position(self, elapsed_s: float) -> tuple[float, float]:
        """Where the cursor is some time after the path was started.

        Args:
            elapsed_s: Seconds since the start; before it (negative) counts as the start.
        """
        return self._position_at(self._recorded_time(max(0.0, elapsed_s) * self.speed))

    def is_over(self, elapsed_s: float) -> bool:
        """Whether the cursor has come to rest; a loop or ping-pong never does."""
        return self.mode == "once" and elapsed_s * self.speed >= self.length_s

    def _recorded_time(self, time_s: float) -> float:
        length_s = self.length_s
        if length_s == 0.0:
            return 0.0
        if self.mode == "loop":
            return time_s % length_s
        if self.mode == "ping-pong":
            return length_s - abs(time_s % (2.0 * length_s) - length_s)
        return min(time_s, length_s)

    def _position_at(self, time_s: float) -> tuple[float, float]:
        after = bisect_right(self.points, time_s, key=attrgetter("time_s"))
        start = self.points[after - 1]
        if after == len(self.points):
            return start.x, start.y
        end = self.points[after]
        way = (time_s - start.time_s) / (end.time_s - start.time_s)
        return start.x + (end.x - start.x) * way, start.y + (end.y - start.y) * way


class PathRecorder:
    """Collects cursor events until recording stops.

    Events later than :data:`MAX_PATH_S` after the first are ignored; of events at one time, the
    last one counts.
    """

    def __init__(self) -> None:
        self._events: list[PathPoint] = []
        self._start_s: float | None = None

    def add(self, time_s: float, x: float, y: float) -> None:
        """The cursor is at x, y.

        Args:
            time_s: Seconds on any clock; an earlier time than the last event's counts as its time.
            x: Across, 0–1; anything outside is brought to the edge.
            y: Upwards, 0–1, likewise.
        """
        if self._start_s is None:
            self._start_s = time_s
        elapsed_s = float(time_s - self._start_s)
        if self._events:
            elapsed_s = max(elapsed_s, self._events[-1].time_s)
        if elapsed_s > MAX_PATH_S:
            return
        event = PathPoint(time_s=elapsed_s, x=min(1.0, max(0.0, x)), y=min(1.0, max(0.0, y)))
        if self._events and self._events[-1].time_s == elapsed_s:
            self._events[-1] = event
        else:
            self._events.append(event)

    def finish(self, *, mode: PathMode = "loop", speed: float = 1.0) -> PadPath:
        """The path recorded so far, thinned out.

        Raises:
            ParameterError: Nothing was recorded.
        """
        if not self._events:
            raise ParameterError("No movement was recorded; move the cursor while recording.")
        return PadPath(points=simplify(self._events), mode=mode, speed=speed)


def simplify(
    points: Sequence[PathPoint], tolerance: float = SIMPLIFY_TOLERANCE
) -> tuple[PathPoint, ...]:
    """The fewest points that splitting finds whose path stays near the given one at all times.

    Ramer, Douglas and Peucker's splitting, with the distance taken between the two cursors at the
    same time instead of between the two lines: pauses and changes of pace survive as well.

    Args:
        points: In the order of their times.
        tolerance: Largest distance allowed at any time, pad widths.
    """
    table = np.array([(p.time_s, p.x, p.y) for p in points], dtype=np.float64).reshape(-1, 3)
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    stretches = [(0, len(points) - 1)]
    while stretches:
        first, last = stretches.pop()
        if last - first < 2:
            continue
        start, end = table[first], table[last]
        inner = table[first + 1 : last]
        way = (inner[:, :1] - start[0]) / (end[0] - start[0])
        straight = start[1:] + way * (end[1:] - start[1:])
        distances = np.hypot(*(inner[:, 1:] - straight).T)
        farthest = int(np.argmax(distances))
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            keep[middle] = True
            stretches += [(first, middle), (middle, last)]
    return tuple(point for point, kept in zip(points, keep, strict=True) if kept)
