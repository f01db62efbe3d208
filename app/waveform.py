"""The outline of a recording: what small pictures of it draw.

Shape legend: C channels, T samples, N columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPolygonF


def waveform_envelope(samples: NDArray[np.float32], n_columns: int) -> NDArray[np.float32]:
    """Lowest and highest sample of each column of a drawing.

    Args:
        samples: [T] or [C, T]; channels are drawn over each other.
        n_columns: N; fewer are returned where there are fewer samples.

    Returns:
        [N, 2].
    """
    channels = np.atleast_2d(samples)
    n_columns = min(n_columns, channels.shape[1])
    if n_columns == 0:
        return np.zeros((0, 2), np.float32)
    starts = np.arange(n_columns) * channels.shape[1] // n_columns
    low = np.minimum.reduceat(channels.min(axis=0), starts)
    high = np.maximum.reduceat(channels.max(axis=0), starts)
    return np.stack([low, high], axis=1)


def waveform_polygon(envelope: NDArray[np.float32], area: QRectF) -> QPolygonF:
    """The outline of an envelope [N, 2] of samples in [-1, 1], at least a line thick."""
    x = area.left() + np.linspace(0.0, area.width(), len(envelope))
    middle, half = area.center().y(), area.height() / 2
    upper = middle - np.clip(envelope[:, 1], -1, 1) * half
    lower = np.maximum(middle - np.clip(envelope[:, 0], -1, 1) * half, upper + 1.0)
    points = [QPointF(px, py) for px, py in zip(x, upper, strict=True)]
    points += [QPointF(px, py) for px, py in zip(x[::-1], lower[::-1], strict=True)]
    return QPolygonF(points)
