"""What a verification found: rows per key, judged against tolerances that are named.

Shape legend: B bands, F frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.audio.pitch import note_name

STORED = "libsndfile"
"""Stands for the engine where a recording was measured as it lies in its file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerances:
    """What is still green."""

    tuning_cents: float = 5.0
    """Deviation from the key's pitch, either way."""
    level_step_db: float = 1.0
    """Difference in loudness between neighbouring recordings."""
    seam: float = 1.5
    """Largest step at the loop's wrap ÷ largest step within the loop."""
    silence_dbfs: float = -60.0
    """A key whose peak stays below is silent."""
    velocity_drop_db: float = 0.1
    """By which a harder touch may be quieter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyCheck:
    """One key, as one engine played it or as its recording lies in the file."""

    engine: str
    key: int
    velocity: int
    low_velocity: int
    """Softest velocity of the layer, which together with place and turn tells what it is compared with."""
    place: str = ""
    round_robin: int = 1
    sample: str = ""
    cents: float | None = None
    """Deviation from the key's pitch; None where it cannot be measured."""
    why_no_cents: str = ""
    level_db: float = 0.0
    """Loudest 400 ms, LUFS."""
    level_step_db: float | None = None
    """Above the next lower recording."""
    seam: float | None = None
    """None without a loop."""
    peak_db: float = 0.0
    """dBFS."""
    clipped_frames: int = 0
    """Longest run at full scale."""
    is_finite: bool = True
    faults: tuple[str, ...] = ()
    """Why it is red, one clause each."""

    @property
    def label(self) -> str:
        """Which key this is, for people."""
        place = f" of {self.place}" if self.place else ""
        turn = f", turn {self.round_robin}" if self.round_robin > 1 else ""
        return f"key {self.key} ({note_name(self.key)}){place}, velocity {self.velocity}{turn}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FileReport:
    """One file or folder."""

    path: Path
    rows: tuple[KeyCheck, ...] = ()
    faults: tuple[str, ...] = ()
    """What is wrong with the whole, one sentence each."""
    notes: tuple[str, ...] = ()
    """What was not done and why, one sentence each."""
    opened_by: tuple[str, ...] = ()
    """Engines that took it."""
    strip: NDArray[np.uint8] | None = None
    """Spectrograms of the keys side by side, low bands first, [B, F]."""

    @property
    def is_green(self) -> bool:
        """Nothing is wrong."""
        return not self.red

    @property
    def red(self) -> tuple[str, ...]:
        """All that is wrong, one sentence each."""
        keys = (f"{r.label}, in {r.engine}: {fault}." for r in self.rows for fault in r.faults)
        return (*self.faults, *keys)

    @property
    def summary(self) -> str:
        """One line for people."""
        cents = [abs(row.cents) for row in self.rows if row.cents is not None]
        tuning = f", tuning within {max(cents):.1f} cents" if cents else ""
        unpitched = sum(row.cents is None for row in self.rows)
        without = f" ({unpitched} not measurable)" if unpitched else ""
        keys = len({row.key for row in self.rows})
        opened = ", ".join(self.opened_by) or "nothing"
        state = "green" if self.is_green else f"{len(self.red)} red"
        return f"{state}: {keys} keys{tuning}{without}; opened by {opened}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VerificationReport:
    """All files that were looked at."""

    files: tuple[FileReport, ...]
    tolerances: Tolerances = field(default_factory=Tolerances)

    @property
    def is_green(self) -> bool:
        """Nothing is wrong with any of them."""
        return all(file.is_green for file in self.files)

    def as_json(self) -> dict[str, object]:
        """All but the pictures, for programs."""
        return {
            "format_version": 1,
            "green": self.is_green,
            "tolerances": asdict(self.tolerances),
            "files": [
                {
                    "path": file.path.name,
                    "green": file.is_green,
                    "opened_by": list(file.opened_by),
                    "faults": list(file.faults),
                    "notes": list(file.notes),
                    "keys": [asdict(row) for row in file.rows],
                }
                for file in self.files
            ],
        }


def judged(rows: Sequence[KeyCheck], tolerances: Tolerances) -> tuple[KeyCheck, ...]:
    """Rows with the differences to their neighbours and all that is wrong with them."""
    judged_rows: list[KeyCheck] = []
    for _, group in groupby(sorted(rows, key=_compared_with), key=_compared_with):
        alike = sorted(group, key=lambda row: row.key)
        uneven = uneven_keys([row.level_db for row in alike], tolerances.level_step_db)
        steps = [None, *(high.level_db - low.level_db for low, high in pairwise(alike))]
        for index, (row, step) in enumerate(zip(alike, steps, strict=True)):
            faults = _faults(row, tolerances)
            if index in uneven and not faults:
                faults.append(
                    f"{uneven[index]:.1f} dB from its neighbours "
                    f"({tolerances.level_step_db:g} allowed)"
                )
            judged_rows.append(replace(row, level_step_db=step, faults=tuple(faults)))
    return tuple(judged_rows)


def _compared_with(row: KeyCheck) -> tuple[str, str, int, int]:
    return row.engine, row.place, row.low_velocity, row.round_robin


def uneven_keys(levels_db: Sequence[float], tolerance_db: float) -> dict[int, float]:
    """Indices of levels that stand out, from low to high, with the step in dB.

    A level that is off against both neighbours stands out; of any other step the upper one does,
    or the lowest of all where the step is next to it.
    """
    steps = np.abs(np.diff(levels_db))
    uneven: dict[int, float] = {}
    for index in range(1, len(levels_db) - 1):
        nearest = float(steps[index - 1 : index + 1].min())
        if nearest > tolerance_db:
            uneven[index] = nearest
    for index, step in enumerate(steps):
        if step > tolerance_db and index not in uneven and index + 1 not in uneven:
            is_lowest = index == 0 and len(steps) > 1
            uneven[index if is_lowest else index + 1] = float(step)
    return uneven


def _faults(row: KeyCheck, tolerances: Tolerances) -> list[str]:
    """What is wrong with a key by itself."""
    if not row.is_finite:
        return ["holds values that are no numbers"]
    if row.peak_db < tolerances.silence_dbfs:
        return [f"silent (peak {row.peak_db:.0f} dBFS)"]
    faults = []
    if row.cents is not None and abs(row.cents) > tolerances.tuning_cents:
        direction = "sharp" if row.cents > 0 else "flat"
        faults.append(
            f"{abs(row.cents):.1f} cents {direction} ({tolerances.tuning_cents:g} allowed)"
        )
    if row.clipped_frames:
        faults.append(f"clipped ({row.clipped_frames} frames in a row at full scale)")
    if row.seam is not None and row.seam > tolerances.seam:
        faults.append(
            f"clicks at the loop (a step {row.seam:.1f} times the largest within it, "
            f"{tolerances.seam:g} allowed)"
        )
    return faults
