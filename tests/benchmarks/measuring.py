"""Timing several jobs side by side, and the rows of the table.

A bar is held against a ratio wherever it can be: all jobs of a ratio run in turn in the same round,
so that a busy machine slows them alike, and the median over the rounds is taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from core.audio.files import AudioClip, read_audio

SAMPLES_FOLDER = Path(__file__).resolve().parents[2] / "resources/samples"
"""The bundled one-shots."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table."""

    measure: str
    """What was measured."""
    value: float | None
    """The figure; None where it could not be taken."""
    bar: float | None = None
    """Largest value that is good enough; None for a figure that only informs."""
    unit: str = ""
    """Unit of value and bar; empty for a ratio."""
    note: str = ""
    """Absolute times behind a ratio, or why there is no value."""

    @property
    def is_missed(self) -> bool:
        """Whether there is a bar that the value misses."""
        return self.value is not None and self.bar is not None and not self.value <= self.bar

    @property
    def verdict(self) -> str:
        """``yes``, ``NO``, ``skipped``, or nothing where there is no bar."""
        if self.value is None:
            return "skipped"
        if self.bar is None:
            return ""
        return "NO" if self.is_missed else "yes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """Seconds that each job took in each round."""

    rounds: Mapping[str, tuple[float, ...]]

    def median_s(self, job: str) -> float:
        """Median time of a job, seconds."""
        return median(self.rounds[job])

    def ratio(self, job: str, other: str) -> float:
        """Median over the rounds of one job's time ÷ another's."""
        pairs = zip(self.rounds[job], self.rounds[other], strict=True)
        return median(own / theirs for own, theirs in pairs)


def time_side_by_side(
    jobs: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Timings:
    """Run all jobs once to warm up, then in turn for some rounds.

    Args:
        jobs: What to time, by name.
        rounds: How often, at least 1.
        clock: Gives seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            start = clock()
            job()
            if number:
                times[name].append(clock() - start)
    return Timings(rounds={name: tuple(taken) for name, taken in times.items()})


def sample_paths() -> list[Path]:
    """The bundled one-shots, sorted by name."""
    return sorted(SAMPLES_FOLDER.glob("*.wav"))


def read_sample(name: str) -> AudioClip:
    """A bundled one-shot by its stem."""
    return read_audio(SAMPLES_FOLDER / f"{name}.wav")


def milliseconds(seconds: float) -> str:
    """Seconds for a note in the table."""
    return f"{1000 * seconds:,.0f} ms"
