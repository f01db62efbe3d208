"""Which recording answers a key, and recordings laid out for the audio side.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.instrument import Region
from core.sampler.layout import SILENCE

SILENT_LEVEL = 1e-3
"""A recording that starts or ends below needs no ramp there (-60 dB)."""
END_FADE_S = 0.002
"""Ramp at the end of a recording that stops above it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layout:
    """A recording as the audio side reads it: interpolation never meets an edge or a loop's end."""

    frames: NDArray[np.float32]
    """[C, margin + end + margin]. A loop is followed by one more turn of it and so on, so playback
    that wraps from ``end`` by ``loop_length`` finds the same frames on both sides."""
    end: int
    """Frames after the first margin until playback stops or wraps."""
    loop_length: int
    """Frames; 0 without a loop."""
    starts_silent: bool
    """Whether no ramp is needed at the start."""


def lay_out(region: Region, sample_rate: int, margin: int) -> Layout:
    """Copy a region's samples for playback.

    Args:
        region: What to play.
        sample_rate: Rate of the samples, Hz.
        margin: Frames that interpolation reads before and after a position.
    """
    samples = region.samples
    loop_length = 0
    if region.loop is None:
        end = samples.shape[1]
        if np.max(np.abs(samples[:, -1])) > SILENT_LEVEL:
            frames = min(end, round(END_FADE_S * sample_rate))
            samples = samples.copy()
            samples[:, end - frames :] *= np.cos(np.linspace(0, np.pi / 2, frames + 1)[1:])
        after = np.zeros((samples.shape[0], margin), np.float32)
    else:
        loop_length = region.loop.length
        end = region.loop.end + loop_length
        turn = samples[:, region.loop.start : region.loop.end]
        repeats = -(-(loop_length + margin) // loop_length)
        after = np.tile(turn, repeats)[:, : loop_length + margin]
        samples = samples[:, : region.loop.end]
    return Layout(
        frames=np.concatenate(
            [np.zeros((samples.shape[0], margin), np.float32), samples, after], axis=1
        ),
        end=end,
        loop_length=loop_length,
        starts_silent=bool(np.max(np.abs(samples[:, 0])) <= SILENT_LEVEL),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone:
    """The keys and velocities that a recording answers."""

    recording: int
    """Its place in the shared memory."""
    root_note: int
    low_key: int
    high_key: int
    low_velocity: int
    high_velocity: int
    round_robin: int

    @classmethod
    def of(cls, region: Region, recording: int) -> Zone:
        """The zone of a region whose samples are in ``recording``."""
        return cls(
            recording=recording,
            root_note=region.root_note,
            low_key=region.low_key,
            high_key=region.high_key,
            low_velocity=region.low_velocity,
            high_velocity=region.high_velocity,
            round_robin=region.round_robin,
        )

    def is_covered_by(self, other: Zone) -> bool:
        """Whether the other answers all that this one does, for the same recorded note."""
        return (
            self.root_note == other.root_note
            and self.round_robin == other.round_robin
            and other.low_velocity <= self.low_velocity
            and self.high_velocity <= other.high_velocity
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyMap:
    """All zones, and how keys find theirs."""

    zones: Sequence[Zone] = ()
    is_nearest: bool = False
    """Whether keys go to the nearest root (the lower of two), instead of by their zones' ranges."""

    def choose(self, key: int, velocity: int, turn: int) -> int:
        """The recording for a key, its velocity and the number of its turn; or SILENCE."""
        answering = [z for z in self.zones if z.low_velocity <= velocity <= z.high_velocity]
        if self.is_nearest and answering:
            root = min((abs(z.root_note - key), z.root_note) for z in answering)[1]
            answering = [z for z in answering if z.root_note == root]
        elif not self.is_nearest:
            answering = [z for z in answering if z.low_key <= key <= z.high_key]
        if not answering:
            return SILENCE
        alternatives = sorted(answering, key=lambda z: z.round_robin)
        return alternatives[turn % len(alternatives)].recording
