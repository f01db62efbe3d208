"""A playable instrument as plain data: recorded notes, the keys they answer, where they loop.

Everything that makes or plays sound meets here: the engine returns an ``Instrument``, the sampler
plays one, exporters write one. All checks happen on construction, so whoever holds an instrument
may rely on it.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.parameters import check_parameters, parameter

HIGHEST_KEY = 127
"""The last MIDI key; the first is 0."""

MAX_ROUND_ROBINS = 16
"""Most alternatives of one key."""
PAD_CONTROLLERS = (16, 17)
"""MIDI controllers (general purpose 1 and 2) that move an exported pad along x and y."""
MIN_LOOP_START = 64
"""Frames before a loop: samplers crossfade or interpolate into them (SF2: 8, sfizz: 1 ms)."""
MIN_LOOP_LENGTH = 32
"""Shortest loop in frames that SoundFont 2.04 allows."""
MIN_FRAMES_AFTER_LOOP = 8
"""Frames after a loop's end that interpolating samplers read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """A forward sustain loop."""

    start: int
    """First frame of the loop."""
    end: int
    """First frame after the loop (exclusive); playback wraps from ``end - 1`` to ``start``."""

    def __post_init__(self) -> None:
        if self.start < MIN_LOOP_START:
            raise ParameterError(
                f"A loop starts at frame {self.start}; it needs at least {MIN_LOOP_START} frames "
                "before it, so start it later."
            )
        if self.length < MIN_LOOP_LENGTH:
            raise ParameterError(
                f"A loop from frame {self.start} to {self.end} is {self.length} frames long; "
                f"make it at least {MIN_LOOP_LENGTH}."
            )

    @property
    def length(self) -> int:
        """Frames per turn."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """ADSR: how the level of a key moves while it is held and after it is let go."""

    attack_s: float = field(
        default=0.0, metadata=parameter(0.0, 20.0, "s", about="from silence to full level")
    )
    """From silence to full level, seconds."""
    decay_s: float = field(
        default=0.0,
        metadata=parameter(0.0, 20.0, "s", about="from full level to the sustained one"),
    )
    """From full level to the sustained one, seconds."""
    sustain: float = field(
        default=1.0, metadata=parameter(0.0, 1.0, about="level while the key stays down")
    )
    """Level while the key stays down, linear."""
    release_s: float = field(
        default=0.2, metadata=parameter(0.001, 20.0, "s", about="from the level held to silence")
    )
    """From the level held to silence, seconds."""

    def __post_init__(self) -> None:
        check_parameters(self)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Region:
    """One recorded note and the keys and velocities that it answers."""

    root_note: int
    """MIDI note of the recording, 0–127, exact: a region carries no fine tuning."""
    low_key: int
    """Lowest key answered, 0–127."""
    high_key: int
    """Highest key answered, inclusive."""
    low_velocity: int = 1
    """Softest velocity answered, 1–127."""
    high_velocity: int = 127
    """Loudest velocity answered, inclusive."""
    round_robin: int = 1
    """Place in the sequence of alternatives that repeated keys run through, from 1."""
    samples: NDArray[np.float32]
    """Audio in [-1, 1], [C, T], mono or stereo."""
    loop: Loop | None = None
    """Sustain loop; None plays the recording once."""

    def __post_init__(self) -> None:
        if not 0 <= self.root_note <= HIGHEST_KEY:
            raise ParameterError(f"Root note {self.root_note} is outside the MIDI range 0-127.")
        if not 0 <= self.low_key <= self.high_key <= HIGHEST_KEY:
            raise ParameterError(
                f"Keys {self.low_key}-{self.high_key} of the region at note {self.root_note} are "
                "no range within 0-127."
            )
        if not 1 <= self.low_velocity <= self.high_velocity <= 127:
            raise ParameterError(
                f"Velocities {self.low_velocity}-{self.high_velocity} of the region at note "
                f"{self.root_note} are no range within 1-127."
            )
        if not 1 <= self.round_robin <= MAX_ROUND_ROBINS:
            raise ParameterError(
                f"Round robin {self.round_robin} of note {self.root_note} is outside "
                f"1-{MAX_ROUND_ROBINS}."
            )
        self._check_samples()
        n_frames = self.samples.shape[1]
        if self.loop is not None and self.loop.end + MIN_FRAMES_AFTER_LOOP > n_frames:
            raise ParameterError(
                f"The loop of note {self.root_note} ends at frame {self.loop.end} of {n_frames}; "
                f"leave at least {MIN_FRAMES_AFTER_LOOP} frames after it."
            )

    def _check_samples(self) -> None:
        samples = self.samples
        if samples.dtype != np.float32 or samples.ndim != 2 or samples.shape[0] not in (1, 2):
            raise ParameterError(
                f"Note {self.root_note} holds {samples.dtype} samples of shape {samples.shape}; "
                "expected float32, [1 or 2 channels, samples]."
            )
        if samples.shape[1] == 0:
            raise ParameterError(f"Note {self.root_note} holds no samples.")
        peak = float(np.max(np.abs(samples)))
        if not peak <= 1.0:  # also true for NaN
            raise ParameterError(
                f"Note {self.root_note} peaks at {peak}; samples must be finite and within -1 to 1."
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Instrument:
    """Regions of which one answers a key, a velocity and a turn of the round robin."""

    name: str
    """Display name; exporters make their own file names from it."""
    sample_rate: int
    """Hz, common to all regions."""
    regions: tuple[Region, ...]
    """In the order they were asked for."""
    envelope: Envelope = field(default_factory=Envelope)
    """Envelope of all regions; their own attack and decay are in the samples."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Where it comes from (model, seed, sources, licence …); exporters write it into the files."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ParameterError("An instrument needs a name; got an empty one.")
        if not 8_000 <= self.sample_rate <= 192_000:
            raise ParameterError(f"Sample rate {self.sample_rate} Hz is outside 8000-192000.")
        if not self.regions:
            raise ParameterError(f"Instrument {self.name!r} has no regions; render a note first.")
        object.__setattr__(self, "regions", tuple(self.regions))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))
        self._check_regions()

    def _check_regions(self) -> None:
        names = Counter((r.root_note, r.high_velocity, r.round_robin) for r in self.regions)
        (root_note, velocity, _), count = names.most_common(1)[0]
        if count > 1:
            raise ParameterError(
                f"Note {root_note} up to velocity {velocity} is recorded {count} "
                f"times in {self.name!r}; give one region with all its keys."
            )
        answers = np.zeros((self.round_robins, HIGHEST_KEY + 1, 128), dtype=np.int64)
        for region in self.regions:
            keys = slice(region.low_key, region.high_key + 1)
            velocities = slice(region.low_velocity, region.high_velocity + 1)
            answers[region.round_robin - 1, keys, velocities] += 1
        if answers.max() > 1:
            turn, key, velocity = np.argwhere(answers > 1)[0]
            raise ParameterError(
                f"Key {key} at velocity {velocity} is answered by "
                f"{answers[turn, key, velocity]} regions of {self.name!r}; "
                "let key and velocity ranges meet without overlap."
            )
        if (answers != answers[0]).any():
            turn, key, velocity = np.argwhere(answers != answers[0])[0]
            raise ParameterError(
                f"Key {key} at velocity {velocity} of {self.name!r} has no alternative "
                f"{turn + 1 if not answers[turn, key, velocity] else 1} of {self.round_robins}; "
                "record every key in each turn of the round robin."
            )

    @property
    def round_robins(self) -> int:
        """Alternatives of every key."""
        return max(region.round_robin for region in self.regions)

    @property
    def velocity_layers(self) -> tuple[tuple[int, int], ...]:
        """The different velocity ranges of the regions, softest first."""
        layers = {(region.low_velocity, region.high_velocity) for region in self.regions}
        return tuple(sorted(layers))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PadInstrument:
    """A grid of instruments that the player of the exported file morphs between with two controls.

    All points have the same envelope, and regions of the same notes, keys and velocities in the
    same order.
    """

    name: str
    """Display name; exporters make their own file names from it."""
    columns: int
    """Points along x, 1–5."""
    rows: int
    """Points along y, 1–5."""
    points: tuple[Instrument, ...]
    """Row by row from the bottom (y = 0), each from the left (x = 0)."""
    x: float = 0.5
    """Where the player starts, 0 (left) to 1 (right)."""
    y: float = 0.5
    """Where the player starts, 0 (bottom) to 1 (top)."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ParameterError("A pad instrument needs a name; got an empty one.")
        if not (1 <= self.columns <= 5 and 1 <= self.rows <= 5 and self.columns * self.rows > 1):
            raise ParameterError(
                f"A pad of {self.columns}x{self.rows} points cannot be exported; use 2x1 up to 5x5."
            )
        object.__setattr__(self, "points", tuple(self.points))
        if len(self.points) != self.columns * self.rows:
            raise ParameterError(
                f"{len(self.points)} instruments were given for a pad of "
                f"{self.columns}x{self.rows} points."
            )
        for name in ("x", "y"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ParameterError(f"Pad position {name} = {getattr(self, name)} is outside 0-1.")
        first = self.points[0]
        for point in self.points[1:]:
            if _frame(point) != _frame(first):
                raise ParameterError(
                    f"{point.name!r} and {first.name!r} differ in sample rate, envelope or key "
                    "ranges; render all points of a pad with the same notes and settings."
                )

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """(column, row) of each point, from 0 at the bottom left, in the order of ``points``."""
        return tuple((column, row) for row in range(self.rows) for column in range(self.columns))

    @property
    def provenance(self) -> Mapping[str, str]:
        """What all points have in common of where they come from."""
        first, *others = self.points
        return {
            key: value
            for key, value in first.provenance.items()
            if all(other.provenance.get(key) == value for other in others)
        }

    def own_provenance(self, index: int) -> Mapping[str, str]:
        """What one of ``points`` does not share with all others of where it comes from."""
        shared = self.provenance
        own = self.points[index].provenance
        return {key: value for key, value in own.items() if key not in shared}

    def point(self, column: int, row: int) -> Instrument:
        """The instrument at a grid position, counted from 0 at the bottom left."""
        return self.points[row * self.columns + column]


def _frame(instrument: Instrument) -> tuple[object, ...]:
    """All of an instrument but its sound."""
    key_map = [
        (r.root_note, r.low_key, r.high_key, r.low_velocity, r.high_velocity, r.round_robin)
        for r in instrument.regions
    ]
    return instrument.sample_rate, instrument.envelope, key_map


def tile_zones(roots: Sequence[int]) -> list[tuple[int, int]]:
    """Key ranges that share the keyboard out among recorded notes.

    Neighbours are split half-way, a middle key going to the lower one; together the ranges hold
    each key from 0 to 127 exactly once.

    Args:
        roots: Different MIDI notes 0–127, in any order.

    Returns:
        (lowest key, highest key), inclusive, for each root in the order given.

    Raises:
        ParameterError: No root, a root twice or one outside 0–127.
    """
    if not roots:
        raise ParameterError("No root notes were given; a keyboard needs at least one.")
    ordered = sorted(roots)
    if ordered[0] < 0 or ordered[-1] > HIGHEST_KEY:
        outside = ordered[0] if ordered[0] < 0 else ordered[-1]
        raise ParameterError(f"Root note {outside} is outside the MIDI range 0-127.")
    for lower, upper in pairwise(ordered):
        if lower == upper:
            raise ParameterError(f"Root note {lower} is given twice; give each note once.")
    last_keys = [(lower + upper) // 2 for lower, upper in pairwise(ordered)] + [HIGHEST_KEY]
    first_keys = [0] + [last + 1 for last in last_keys[:-1]]
    zones = dict(zip(ordered, zip(first_keys, last_keys, strict=True), strict=True))
    return [zones[root] for root in roots]
