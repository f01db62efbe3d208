"""The pad's geometry: how much of each timbre sounds where.

Shepard's inverse-distance weighting with exponent two (ours): weights are continuous over the pad,
sum to 1, are exactly 1 at a timbre, and level there, so that a hand need not be exact. Timbres at
one place share it.

Shape legend: P points, S timbres.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def weights_at(points: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of timbres at points of the pad.

    Args:
        points: Where to know them, [P, 2].
        places: Where the timbres lie, [S, 2], at least one.

    Returns:
        [P, S], each row non-negative and of sum 1.
    """
    across, up = np.moveaxis(points[:, None] - places, 2, 0)
    distances = np.hypot(across, up)  # [P, S]
    nearest = distances.min(axis=1, keepdims=True)
    # Relative to the nearest: at a source that is 0/0, which stands for 1.
    relative = np.divide(nearest, distances, out=np.ones_like(distances), where=distances > 0.0)
    shares = relative**2
    weights: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return weights


def edge_places(count: int) -> NDArray[np.float64]:
    """Places for timbres that nobody has placed: four lie in the corners, others along the edge.

    Args:
        count: How many timbres S.

    Returns:
        [S, 2], x and y in 0–1 from the bottom left.
    """
    if count == 4:
        return np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
    angles = np.pi * (1.0 - 2.0 * np.arange(count) / count)  # clockwise from the left
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1).round(12)
    places: NDArray[np.float64] = 0.5 + 0.5 * directions / np.abs(directions).max(axis=1)[:, None]
    return places
