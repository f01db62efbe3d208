"""Colours for the field behind the sources of the pad: where timbre changes, colour changes.

Colours are chosen in OKLab (Björn Ottosson, *A perceptual color space for image processing*, 2020),
so that equal steps look equal.

Shape legend: R rows, C columns, H timbre-feature width, N timbres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

N_AXES = 3
_CHROMA = 0.11  # of a timbre far from the middle; most such colours exist in sRGB
_LIGHTNESS_SPAN = 0.06
_RIDGE_DEPTH = 0.09  # how much darker it is where timbre changes fastest
_LIGHTNESS = {True: 0.44, False: 0.82}  # by Theme.is_dark: labels stay readable on it
_OKLAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TimbreProjection:
    """The directions in which timbres differ most."""

    mean: NDArray[np.float64]
    """The average timbre, [H]."""
    axes: NDArray[np.float64]
    """Orthonormal directions, most important first, [3, H]."""
    spread: NDArray[np.float64]
    """Standard deviation along each axis, [3]."""

    @classmethod
    def fit(cls, features: NDArray[np.float32]) -> TimbreProjection:
        """Principal components of timbres [N, H]; at least three wide and two many."""
        if features.ndim != 2 or features.shape[0] < 2 or features.shape[1] < N_AXES:
            raise ParameterError(
                f"Features of shape {features.shape} have no principal components; "
                f"give [2 or more timbres, {N_AXES} or more values]."
            )
        mean = features.mean(axis=0, dtype=np.float64)
        _, values, axes = np.linalg.svd(features - mean, full_matrices=False)
        found = min(N_AXES, len(values))
        spread = np.zeros(N_AXES)
        spread[:found] = values[:found] / np.sqrt(len(features))
        directions = np.zeros((N_AXES, features.shape[1]))
        directions[:found] = axes[:found]
        return cls(mean=mean, axes=directions, spread=spread)

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Places of timbres [..., H] along the axes in units of their spread, [..., 3]."""
        scale = np.maximum(self.spread, 1e-9 + 1e-3 * self.spread.max())
        return np.asarray((features - self.mean) @ self.axes.T / scale)


def paint_landscape(
    features: NDArray[np.float32],
    projection: TimbreProjection,
    *,
    is_dark: bool,
    size: int = 160,
) -> NDArray[np.uint8]:
    """The field of a pad from the timbres on a coarse grid.

    Args:
        features: Timbre at each point, row 0 at the bottom of the pad (y = 0), [R, C, H].
        projection: Which timbre gets which hue; keep it and colours keep their meaning.
        is_dark: Colours for the dark theme.
        size: Pixels of the picture's sides.

    Returns:
        sRGB, row 0 at the bottom, [size, size, 3].
    """
    rows, columns = features.shape[:2]
    if rows < 2 or columns < 2:
        raise ParameterError(
            f"A grid of {rows}x{columns} timbres cannot be painted; give 2x2 or more."
        )
    places = np.tanh(0.7 * projection(features))
    channels = np.concatenate([places, _change(features)[..., None]], axis=-1)
    smooth = np.einsum(
        "yr,rck,xc->yxk", _smoothing(rows, size), channels, _smoothing(columns, size), optimize=True
    )
    lightness = (
        _LIGHTNESS[is_dark] + _LIGHTNESS_SPAN * smooth[..., 2] - _RIDGE_DEPTH * smooth[..., 3]
    )
    lab = np.stack([lightness, _CHROMA * smooth[..., 0], _CHROMA * smooth[..., 1]], axis=-1)
    return oklab_to_srgb(lab)


def oklab_to_srgb(lab: NDArray[np.float64]) -> NDArray[np.uint8]:
    """SRGB bytes [..., 3] of OKLab colours [..., 3]; those outside sRGB are clipped."""
    linear = np.clip((lab @ _OKLAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(255 * encoded + 0.5, dtype=np.uint8)


def _change(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """How fast the timbre changes at each point, 0 to 1, [R, C]."""
    along_y, along_x = np.gradient(features.astype(np.float64), axis=(0, 1))
    speed = np.sqrt((along_x**2 + along_y**2).sum(axis=-1))
    fastest = speed.max()
    return np.asarray(speed / fastest if fastest > 0 else speed)


def _smoothing(n_points: int, size: int) -> NDArray[np.float64]:
    """Gaussian interpolation from points evenly on 0–1 to pixels, [size, n_points]."""
    points = np.linspace(0.0, 1.0, n_points)
    pixels = (np.arange(size) + 0.5) / size
    weights = np.exp(-0.5 * ((pixels[:, None] - points) * (n_points - 1) / 0.6) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
