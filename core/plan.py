"""What an instrument is made of, whatever it sounds like: keys, loops, layers, alternatives, pad."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from core.errors import ParameterError
from core.instrument import HIGHEST_KEY, MAX_ROUND_ROBINS, Envelope, tile_zones
from core.parameters import check_parameters, parameter

MAX_PAD_SIDE = 5
"""Most points of an exported pad along one axis."""
MAX_VELOCITY_LAYERS = 8
"""Most layers of an instrument."""
SOFTEST_RENDERED = 45
"""Velocity of the softest layer: below it the shipped model has heard nothing."""
MAX_STEP = 12
"""Most semitones from one rendered note to the next in a :class:`NoteSpan`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteSpan:
    """Notes at equal distances, as a person chooses them."""

    low: int = field(default=36, metadata=parameter(0, HIGHEST_KEY, about="lowest note"))
    """Lowest note, MIDI."""
    high: int = field(default=84, metadata=parameter(0, HIGHEST_KEY, about="highest note"))
    """Highest note that may be among them, MIDI, inclusive."""
    step: int = field(
        default=3, metadata=parameter(1, MAX_STEP, about="semitones from one note to the next")
    )
    """Semitones from one note to the next."""

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.low > self.high:
            raise ParameterError(f"Notes {self.low}-{self.high} are no range upwards.")

    @property
    def notes(self) -> tuple[int, ...]:
        """The notes, lowest first."""
        return tuple(range(self.low, self.high + 1, self.step))


@dataclass(frozen=True, kw_only=True, slots=True)
class InstrumentOptions:
    """Choices about an instrument that do not depend on its notes."""

    low_key: int = field(
        default=0, metadata=parameter(0, HIGHEST_KEY, about="lowest key that answers")
    )
    """Lowest key that answers."""
    high_key: int = field(
        default=HIGHEST_KEY, metadata=parameter(0, HIGHEST_KEY, about="highest key that answers")
    )
    """Highest key that answers, inclusive."""
    loop: bool = True
    """Whether sustained sounds are looped."""
    velocity_layers: int = field(
        default=1,
        metadata=parameter(1, MAX_VELOCITY_LAYERS, about="timbres from soft to loud"),
    )
    """Timbres from soft to loud."""
    round_robins: int = field(
        default=1,
        metadata=parameter(
            1, MAX_ROUND_ROBINS, about="alternatives that repeated keys run through"
        ),
    )
    """Alternatives of every key."""
    loudness_lufs: float | None = field(
        default=None,
        metadata=parameter(
            -60.0,
            0.0,
            "LUFS",
            about="loudness of every note as far as its peak allows; default: as loud as most of "
            "them can be",
        ),
    )
    """Loudness of every note (loudest 400 ms), as far as its peak allows; None: as loud as half of
    the notes can be."""
    length_s: float | None = field(
        default=None,
        metadata=parameter(0.1, 60.0, "s", about="longest note; default: as long as the samples"),
    )
    """Longest note, seconds; None keeps the length of the sources."""
    fade_out_s: float = field(
        default=0.1,
        metadata=parameter(0.0, 10.0, "s", about="fade at the end of notes without a loop"),
    )
    """Fade at the end of notes without a loop, seconds."""

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.low_key > self.high_key:
            raise ParameterError(f"Keys {self.low_key}-{self.high_key} are no range upwards.")

    @property
    def velocity_ranges(self) -> tuple[tuple[int, int], ...]:
        """(softest, loudest) velocity of each layer, softest first; equal shares of 1–127."""
        edges = [round(127 * n / self.velocity_layers) for n in range(self.velocity_layers + 1)]
        return tuple((low + 1, high) for low, high in pairwise(edges))

    def rendered_velocities(self, loudest: int) -> tuple[int, ...]:
        """Velocity at which each layer is rendered, softest first; the last one is ``loudest``."""
        softest = min(SOFTEST_RENDERED, loudest)
        if self.velocity_layers == 1:
            return (loudest,)
        return tuple(
            np.linspace(softest, loudest, self.velocity_layers).round().astype(int).tolist()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class InstrumentPlan:
    """All that an instrument is made of, whatever it sounds like."""

    notes: tuple[int, ...]
    """MIDI notes that are rendered, each once."""
    options: InstrumentOptions = field(default_factory=InstrumentOptions)
    envelope: Envelope = field(default_factory=Envelope)

    def __post_init__(self) -> None:
        low_key, high_key = self.options.low_key, self.options.high_key
        tile_zones(self.notes)
        outside = [note for note in self.notes if not low_key <= note <= high_key]
        if outside:
            raise ParameterError(
                f"Note {outside[0]} is not among the keys {low_key}-{high_key}; "
                "widen the keys or leave the note out."
            )

    @property
    def zones(self) -> tuple[tuple[int, int], ...]:
        """(lowest, highest) key of each note, in their order."""
        return tuple(
            (max(low, self.options.low_key), min(high, self.options.high_key))
            for low, high in tile_zones(self.notes)
        )

    @property
    def n_regions(self) -> int:
        """Regions of one instrument."""
        return len(self.notes) * self.options.velocity_layers * self.options.round_robins


@dataclass(frozen=True, kw_only=True, slots=True)
class PadGrid:
    """Points of a pad that are exported, evenly from edge to edge."""

    columns: int = field(metadata=parameter(1, MAX_PAD_SIDE, about="points along x"))
    """Points along x, from the left."""
    rows: int = field(metadata=parameter(1, MAX_PAD_SIDE, about="points along y"))
    """Points along y, from the bottom."""

    def __post_init__(self) -> None:
        sizes = (self.columns, self.rows)
        if not (min(sizes) >= 1 and 1 < max(sizes) <= MAX_PAD_SIDE):
            raise ParameterError(
                f"A pad of {self.columns}x{self.rows} points cannot be exported; use 2x1 up to "
                f"{MAX_PAD_SIDE}x{MAX_PAD_SIDE}."
            )

    @property
    def places(self) -> tuple[tuple[float, float], ...]:
        """(x, y) of each point, 0–1, row by row from the bottom left."""
        x_places, y_places = (
            [0.5] if count == 1 else [index / (count - 1) for index in range(count)]
            for count in (self.columns, self.rows)
        )
        return tuple((x, y) for y in y_places for x in x_places)
