"""Fréchet distance between two sets of features (Heusel et al., arXiv 1706.08500, eq. 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from core.errors import ParameterError


def frechet_distance(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    """Distance between Gaussians fitted to features, each [N, D] with N of at least 2.

    The trace of the covariances' geometric mean is taken from a symmetric eigenproblem, which
    stays real where there are fewer samples than dimensions.

    Raises:
        ParameterError: A set is no matrix of at least two rows, or the widths differ.
    """
    if ours.ndim != 2 or theirs.ndim != 2 or ours.shape[1] != theirs.shape[1]:
        raise ParameterError(f"Features must be [N, D]; got {ours.shape} and {theirs.shape}.")
    if min(len(ours), len(theirs)) < 2:
        raise ParameterError("A Fréchet distance needs at least two samples on each side.")
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    mean_gap = float(np.sum(np.square(a.mean(axis=0) - b.mean(axis=0))))
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    cov_a, cov_b = np.atleast_2d(cov_a), np.atleast_2d(cov_b)
    values, vectors = eigh(cov_a)
    root_a = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    middle = eigh(root_a @ cov_b @ root_a, eigvals_only=True)
    cross = float(np.sum(np.sqrt(np.maximum(middle, 0.0))))
    return max(0.0, mean_gap + float(np.trace(cov_a) + np.trace(cov_b)) - 2.0 * cross)
