"""Whether features know the instrument and forget the pitch.

Shape legend: N notes, H feature width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RIDGE = 10.0
"""Weight of the probe's squared coefficients."""


def within_and_between(h: Tensor, instrument: NDArray[np.int64]) -> tuple[float, float]:
    """Mean distance of features within an instrument, and between instruments.

    Args:
        h: Features of different notes, [N, H].
        instrument: Number of the instrument of each, [N].
    """
    gaps = torch.cdist(h, h).numpy()
    is_same = instrument[:, None] == instrument[None]
    is_other_note = ~np.eye(len(h), dtype=bool)
    return float(gaps[is_same & is_other_note].mean()), float(gaps[~is_same].mean())


def explained_pitch(h: Tensor, pitches: Tensor, instrument: NDArray[np.int64]) -> float:
    """R² of ridge regressions from features to the pitch, on instruments they were not fitted to.

    One is fitted to half of the instruments and read on the other half, and the other way round.

    Args:
        h: Features, [N, H].
        pitches: MIDI notes, [N].
        instrument: Number of the instrument of each note, [N]; two or more different ones.

    Returns:
        1 where the pitch is known, 0 where nothing is, below 0 where the probe is worse than the mean.
    """
    x = torch.cat([h, torch.ones(len(h), 1)], dim=1).double()
    y = pitches.double()
    numbers = list(dict.fromkeys(instrument.tolist()))
    in_first = torch.from_numpy(np.isin(instrument, numbers[: len(numbers) // 2]))
    left, spread = 0.0, 0.0
    for fitted in (in_first, ~in_first):
        weight = torch.eye(x.shape[1], dtype=torch.float64) * RIDGE
        gram = x[fitted].T @ x[fitted] + weight
        solved = torch.linalg.solve(gram, x[fitted].T @ y[fitted])
        left += float((y[~fitted] - x[~fitted] @ solved).square().sum())
        spread += float((y[~fitted] - y[~fitted].mean()).square().sum())
    return 1.0 - left / spread
