"""What an instrument's files say, in one form for all formats.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.instrument import HIGHEST_KEY

MAX_NAMED = 20
"""Keys that a sentence names; more are counted."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sound:
    """A recording as its file holds it, which may be anything."""

    samples: NDArray[np.float32]
    """[C, T], not necessarily finite or within -1 to 1."""
    sample_rate: int
    """Hz."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a player must be set to for one point of a pad to sound alone."""

    name: str = ""
    """For people; empty where there is no pad."""
    program: int = 0
    """Program number, 0–127."""
    controllers: tuple[tuple[int, int], ...] = ()
    """MIDI controllers and their values, 0–127."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Zone:
    """One recording and the keys and velocities mapped to it."""

    sample: str
    """What the file calls it."""
    root_note: int
    """Key at which it is played unchanged but for ``tune_cents``."""
    low_key: int
    high_key: int
    """Inclusive."""
    read: Callable[[], Sound]
    """Raises AudioFileError."""
    low_velocity: int = 1
    high_velocity: int = 127
    """Inclusive."""
    round_robin: int = 1
    """Turn, from 1."""
    tune_cents: float = 0.0
    """Added to the pitch by the player."""
    loop: tuple[int, int] | None = None
    """First frame, and first frame after it; not checked."""
    place: Place = Place()
    """Point of a pad."""

    @property
    def key(self) -> int:
        """The key nearest to the root that it answers."""
        return min(max(self.root_note, self.low_key), self.high_key)

    @property
    def velocity(self) -> int:
        """The velocity nearest to 100 that it answers."""
        return min(max(100, self.low_velocity), self.high_velocity)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Contents:
    """An instrument as one file maps it."""

    zones: tuple[Zone, ...]
    faults: tuple[str, ...] = ()
    """What is wrong with the file, one sentence each."""
    notes: tuple[str, ...] = ()
    """What a person should know, one sentence each."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Points of the pad, each once, in the order of the file."""
        return tuple(dict.fromkeys(zone.place for zone in self.zones))


def unreadable(reason: str) -> Contents:
    """Contents of a file that cannot be read, with the reason as a sentence."""
    return Contents(zones=(), faults=(reason,))


def range_faults(zone: Zone) -> list[str]:
    """What is impossible about a zone's numbers."""
    bounds = (
        ("keys", zone.low_key, zone.high_key),
        ("velocities", zone.low_velocity, zone.high_velocity),
        ("root note", zone.root_note, zone.root_note),
        ("turns", zone.round_robin - 1, zone.round_robin - 1),
    )
    return [
        f"'{zone.sample}' has the {what} {low}-{high}, no range within 0-127."
        for what, low, high in bounds
        if not 0 <= low <= high <= HIGHEST_KEY
    ]


def map_faults(contents: Contents) -> list[str]:
    """Keys and velocities that none or several recordings answer, place by place."""
    faults = []
    for place in contents.places:
        zones = [zone for zone in contents.zones if zone.place == place]
        turns = max(zone.round_robin for zone in zones)
        answers = np.zeros((turns, HIGHEST_KEY + 1, 128), np.int64)
        for zone in zones:
            answers[
                zone.round_robin - 1,
                zone.low_key : zone.high_key + 1,
                zone.low_velocity : zone.high_velocity + 1,
            ] += 1
        at = f" of {place.name}" if place.name else ""
        low = min(zone.low_key for zone in zones)
        high = max(zone.high_key for zone in zones)
        inside = answers[:, low : high + 1, 1:]  # velocity 0 is a note off
        for keys, what in (
            (np.flatnonzero((inside == 0).any(axis=(0, 2))) + low, "no recording"),
            (np.flatnonzero((inside > 1).any(axis=(0, 2))) + low, "several recordings at once"),
        ):
            if len(keys):
                named = ", ".join(map(str, keys[:MAX_NAMED]))
                more = f" and {len(keys) - MAX_NAMED} more" if len(keys) > MAX_NAMED else ""
                faults.append(f"Keys {named}{more}{at} are answered by {what}.")
    return faults
