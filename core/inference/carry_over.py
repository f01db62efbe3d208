"""Carry-over: what the model missed in a source goes along to every note rendered from it.

Two parts. The *body* is smooth along frequency: the room, the envelope, the brightness of this very
recording; it stays where it is, whatever the pitch. What is left are the *partials*: how much louder
this one is than the model thinks, how long that one rings; it moves with them, stretched along
frequency by the interval.

Ours; figures in training/README.md.

Shape legend: M mel bands, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.inference.gates import NoteGates
from core.inference.smoothing import smoothing
from core.mel import MelConfig, band_edges_hz, hz_to_mel

BODY_BANDS = 8.0
"""Width (σ) of the Gaussian along the mel axis that parts the body from the partials, bands."""
BODY_FRAMES = 3.0
"""Its width (σ) along time, frames."""
PARTIALS_FRAMES = 1.0
"""Width (σ) of the Gaussian along time that the partials are smoothed with, frames."""
BODY_BY_DISTANCE = ((0.0, 1.0), (2.0, 0.6), (14.0, 0.6), (18.0, 0.5), (24.0, 0.4), (36.0, 0.25))
"""Share of the body by semitones from the source, straight lines between."""
PARTIALS_BY_DISTANCE = (
    (0.0, 1.0),
    (2.0, 0.35),
    (8.0, 0.2),
    (12.0, 0.12),
    (18.0, 0.08),
    (24.0, 0.0),
)
"""Share of the partials by semitones from the source, straight lines between."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CarryOver:
    """What the model missed in one source, normalised mel units."""

    body: Tensor
    """[M, F]."""
    partials: Tensor
    """[M, F], at the source's own pitch."""

    def at(self, semitones: float, mel: MelConfig, gates: NoteGates | None = None) -> Tensor:
        """What a note gets of it, [M, F].

        Args:
            semitones: From the source to the note.
            mel: Geometry.
            gates: The timbre's own factors on the laws; None leaves them as they are.
        """
        body: float | Tensor = body_share(semitones)
        partials: float | Tensor = partials_share(semitones)
        if gates is not None:
            body, partials = body * gates.body, partials * gates.partials
        return body * self.body + partials * moved(self.partials, semitones, mel)


def carry_over_of(source: Tensor, drawn: Tensor) -> CarryOver:
    """What the model missed in a source.

    Args:
        source: The source's mel, [M, F].
        drawn: The model's mel of the same note, [M, F].
    """
    missed = source - drawn
    body = body_of(missed)
    partials = (missed - body) @ smoothing(missed.shape[1], PARTIALS_FRAMES, missed.device).T
    return CarryOver(body=body, partials=partials)


def body_of(missed: Tensor) -> Tensor:
    """The smooth part of what the model missed, with gradients, [..., M, F]."""
    bands, frames = (
        smoothing(size, sigma, missed.device)
        for size, sigma in zip(missed.shape[-2:], (BODY_BANDS, BODY_FRAMES), strict=True)
    )
    return bands @ missed @ frames.T


def body_share(semitones: float) -> float:
    """How much of the body a note gets, by its distance from the source (either way)."""
    return _share(semitones, BODY_BY_DISTANCE)


def partials_share(semitones: float) -> float:
    """How much of the partials a note gets, by its distance from the source (either way)."""
    return _share(semitones, PARTIALS_BY_DISTANCE)


def moved(mel_difference: Tensor, semitones: float, mel: MelConfig) -> Tensor:
    """A difference of mels [M, F], stretched along frequency by an interval; 0 comes in from above."""
    below, fraction = (
        torch.from_numpy(place).to(mel_difference.device)
        for place in _places(mel, round(float(semitones), 4))
    )
    padded = torch.nn.functional.pad(mel_difference, (0, 0, 0, 2))
    return torch.lerp(padded[below], padded[below + 1], fraction[:, None])


@lru_cache(maxsize=512)
def _places(mel: MelConfig, semitones: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where each band's content comes from: the band below and the way to the next, [M] each."""
    centres = hz_to_mel(band_edges_hz(mel)[1:-1])
    source = hz_to_mel(band_edges_hz(mel)[1:-1] / 2.0 ** (semitones / 12.0))
    place = np.clip((source - centres[0]) / (centres[1] - centres[0]), 0.0, mel.n_mels)
    below = np.floor(place).astype(np.int64)
    return below, (place - below).astype(np.float32)


def _share(semitones: float, by_distance: tuple[tuple[float, float], ...]) -> float:
    distances, shares = zip(*by_distance, strict=True)
    return float(np.interp(abs(semitones), distances, shares))
