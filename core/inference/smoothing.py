"""Gaussian smoothing along one axis as a matrix product, on any device and with gradients.

Shape legend: N places along the axis.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor


@lru_cache(maxsize=32)
def smoothing(size: int, sigma: float, device: torch.device) -> Tensor:
    """The filter as a matrix [N, N], float32; the ends are repeated outwards.

    Args:
        size: N.
        sigma: Width of the Gaussian, places.
        device: Where the matrix lies.
    """
    # A linear filter is the matrix that it makes of the identity.
    matrix = gaussian_filter1d(np.eye(size, dtype=np.float32), sigma, 0, mode="nearest")
    return torch.from_numpy(matrix).to(device)
