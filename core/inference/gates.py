"""How much of a source goes along to a note, learned for each timbre.

The laws of core/inference/carry_over.py and original.py say, for all sounds alike, how much of what
the model missed, and of the recording's own colour, a note gets by its distance from the source. An
organ wants more of its recording than a guitar. So H predicts a gate for each timbre: a factor of 0
to 2 on each of the three laws, in eight bands, near the source, an octave away and two. At 0, where
an untrained H starts, every factor is 1: the laws as they are.

Ours, not the paper's.

Shape legend: T timbres, M mel bands, G gate bands, D distances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GATE_BANDS = 8
"""Bands G of a gate, evenly over the mel axis."""
GATE_DISTANCES = (3.0, 12.0, 24.0)
"""Semitones from the source that a gate is predicted at; straight lines between, level beyond."""
GATE_SHAPE = (3, GATE_BANDS, len(GATE_DISTANCES))
"""Body, partials and recording; bands; distances."""
GATE_COUNT = math.prod(GATE_SHAPE)
"""Numbers that H predicts for a timbre."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteGates:
    """Factors on the laws for one note, by mel band."""

    body: Tensor
    """[M, 1]."""
    partials: Tensor
    """[M, 1]."""
    recording: Tensor
    """[M, 1]."""


def gates_at(gates: Tensor, semitones: float, n_mels: int) -> NoteGates:
    """The factors for a note.

    Args:
        gates: What H predicts of one timbre, GATE_SHAPE, unbounded.
        semitones: From the source to the note.
        n_mels: M.
    """
    by_distance, by_band = (
        torch.from_numpy(weights).to(gates.device)
        for weights in _weights(round(abs(float(semitones)), 2), n_mels)
    )
    curves = 2.0 * torch.sigmoid(gates.float() @ by_distance) @ by_band  # [3, M]
    body, partials, recording = curves[..., None]
    return NoteGates(body=body, partials=partials, recording=recording)


@lru_cache(maxsize=512)
def _weights(semitones: float, n_mels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Straight lines along both axes as matrices, [D] and [G, M]."""
    distances = [np.interp(semitones, GATE_DISTANCES, row) for row in np.eye(len(GATE_DISTANCES))]
    centres = (np.arange(GATE_BANDS) + 0.5) * n_mels / GATE_BANDS - 0.5
    bands = [np.interp(np.arange(n_mels), centres, row) for row in np.eye(GATE_BANDS)]
    return np.array(distances, np.float32), np.array(bands, np.float32)
