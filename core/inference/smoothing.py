"""Gaussian smoothing along one axis as a matrix product, on any device and with gradients.

Shape legend: N places along the axis.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor


def smoothing(size: int, sigma: float, device: torch.device) -> Tensor:
    """The filter as a matrix [N, N], float32; the ends are repeated outwards.

    Args:
        size: N.
        sigma: Width of the Gaussian, places.
        device: Where the matrix lies.
    """
    # Arrays are kept, not tensors: one made in inference mode could take part in no gradient.
    return torch.from_numpy(_gaussian(size, sigma)).to(device)


@lru_cache(maxsize=32)
def _gaussian(size: int, sigma: float) -> NDArray[np.float32]:
    # A linear filter is the matrix that it makes of the identity.
    matrix: NDArray[np.float32] = gaussian_filter1d(
        np.eye(size, dtype=np.float32), sigma, 0, mode="nearest"
    )
    return matrix
