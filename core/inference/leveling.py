"""Levels of an instrument's notes, set together.

Levels: samplers turn velocity into gain themselves (40·log10(v/127) dB), so layers carry timbre
and not loudness: each is brought to the level of the loudest, less :data:`LAYER_STEP_DB` for every
layer above it. Softer is so always quieter, whatever the player does with velocity, and no border
between layers is a jump. Alternatives of a round robin and points of a pad have the same level.

Shape legend: C channels, T samples, K notes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audio.loudness import momentary_loudness_db
from core.audio.signal import resample
from core.instrument import Instrument, Loop, Region
from core.plan import InstrumentPlan

Samples = NDArray[np.float32]

LAYER_STEP_DB = 0.5
"""Each layer is this much quieter than the next louder one."""
TRUE_PEAK_DBFS = -1.0
"""No note passes this between samples either."""
NEIGHBOUR_STEP_DB = 0.5
"""Most by which two neighbouring notes differ in level, where the peak of one forbids more."""
_OVERSAMPLING = 4  # at which true peaks are read (BS.1770-4, annex 2)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FinishedNote:
    """A finished note but for its level."""

    samples: Samples
    """[C, T]."""
    loop: Loop | None
    loudness_db: float
    """Loudness of what is heard while the key is held, LUFS."""
    peak_db: float
    """True peak, dBFS."""

    @property
    def loudest_db(self) -> float:
        """Loudness that it has with its peak at the limit."""
        return self.loudness_db - self.peak_db + TRUE_PEAK_DBFS


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sketch:
    """All notes of an instrument before they are levelled together."""

    name: str
    """Display name."""
    takes: dict[tuple[int, int], list[FinishedNote]]
    """Notes by layer (0 is the softest) and alternative, in the plan's order."""
    facts: dict[str, str]
    """Provenance."""


def measured(samples: Samples, loop: Loop | None, sample_rate: int) -> FinishedNote:
    """A finished note with its loudness and its true peak.

    Args:
        samples: [C, T].
        loop: Its sustain loop, if it has one.
        sample_rate: Hz.
    """
    oversampled = resample(samples, sample_rate, _OVERSAMPLING * sample_rate)
    true_peak = float(np.max(np.abs(oversampled)))
    return FinishedNote(
        samples=samples,
        loop=loop,
        loudness_db=momentary_loudness_db(_held(samples, loop, sample_rate), sample_rate),
        peak_db=20.0 * float(np.log10(max(true_peak, 1e-9))),
    )


def leveled(sketches: Sequence[Sketch], plan: InstrumentPlan, sample_rate: int) -> list[Instrument]:
    """Instruments of one loudness, key by key.

    Args:
        sketches: One for each point of a pad; a single one for an instrument.
        plan: What each is made of.
        sample_rate: Rate of their notes, Hz.
    """
    top = plan.options.velocity_layers - 1
    loudest_db = np.min(
        [
            [note.loudest_db + LAYER_STEP_DB * (top - layer) for note in notes]
            for sketch in sketches
            for (layer, _), notes in sketch.takes.items()
        ],
        axis=0,
    )
    levels_db = _even(loudest_db, np.argsort(plan.notes), plan.options.loudness_lufs)
    level = f"{levels_db.min():.1f} to {levels_db.max():.1f} LUFS, true peak below {TRUE_PEAK_DBFS:g} dBFS"
    return [
        Instrument(
            name=sketch.name,
            sample_rate=sample_rate,
            regions=_regions(sketch, plan, levels_db),
            envelope=plan.envelope,
            provenance={**sketch.facts, "loudness": level},
        )
        for sketch in sketches
    ]


def _even(
    loudest_db: NDArray[np.float64], order: NDArray[np.int64], wanted_db: float | None
) -> NDArray[np.float64]:
    """Levels of notes, LUFS, [K]: as wanted where peaks allow it, without steps between neighbours.

    Args:
        loudest_db: Loudness of each note with its peak at the limit, [K].
        order: Indices of the notes from low to high, [K].
        wanted_db: Loudness wanted; None is what half of the notes can have.
    """
    wanted = float(np.median(loudest_db)) if wanted_db is None else wanted_db
    distance = np.abs(np.subtract.outer(np.argsort(order), np.argsort(order)))  # [K, K] neighbours
    reachable = np.min(loudest_db + NEIGHBOUR_STEP_DB * distance, axis=1)
    levels: NDArray[np.float64] = np.minimum(reachable, wanted)
    return levels


def _regions(
    sketch: Sketch, plan: InstrumentPlan, levels_db: NDArray[np.float64]
) -> tuple[Region, ...]:
    regions = []
    for layer, (low_velocity, high_velocity) in enumerate(plan.options.velocity_ranges):
        below_db = LAYER_STEP_DB * (plan.options.velocity_layers - 1 - layer)
        for turn in range(plan.options.round_robins):
            rows = zip(plan.notes, plan.zones, sketch.takes[layer, turn], levels_db, strict=True)
            for root_note, (low_key, high_key), note, level_db in rows:
                gain = 10.0 ** ((level_db - below_db - note.loudness_db) / 20.0)
                regions.append(
                    Region(
                        root_note=root_note,
                        low_key=low_key,
                        high_key=high_key,
                        low_velocity=low_velocity,
                        high_velocity=high_velocity,
                        round_robin=turn + 1,
                        samples=note.samples * np.float32(gain),
                        loop=note.loop,
                    )
                )
    return tuple(regions)


def _held(samples: Samples, loop: Loop | None, sample_rate: int) -> Samples:
    """What is heard while a key stays down: without the tail, and with a second of the loop."""
    if loop is None:
        return samples
    turn = samples[:, loop.start : loop.end]
    turns = math.ceil(sample_rate / loop.length)
    return np.concatenate([samples[:, : loop.end], *[turn] * turns], axis=1)
