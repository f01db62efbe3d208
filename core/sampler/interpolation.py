"""Windowed-sinc filters that read a recording between its frames and at other rates.

One filter serves rates up to 1; above, one per quarter octave keeps what would alias out. The first
passes whole positions unchanged, to the bit.

Shape legend: P phases between two frames, K taps.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.sampler.layout import BANDS, BANDS_PER_OCTAVE, PHASES

TAPS = 32
"""Frames that a value is made of at rates up to 1; ours: images of what lies below 18 kHz stay
more than 90 dB down at 44.1 kHz."""
KAISER_BETA = 9.0
"""Ours: about -90 dB in the stop band."""


@cache
def make_filters() -> tuple[NDArray[np.float32], ...]:
    """One filter per band, [P + 1, K], the same arrays for all; K is a multiple of 8.

    Row p weighs the frames from ``K / 2 - 1`` before a position's whole part, for a position
    p / P further. The last row is the first one frame later.
    """
    return tuple(_make_filter(2.0 ** (band / BANDS_PER_OCTAVE)) for band in range(BANDS))


def _make_filter(rate: float) -> NDArray[np.float32]:
    half = 4 * int(np.ceil(TAPS * rate / 8))
    taps = np.arange(2 * half) - (half - 1)
    distance = taps - np.arange(PHASES + 1)[:, None] / PHASES  # [P + 1, K]
    inside = np.sqrt(np.maximum(0.0, 1.0 - (distance / half) ** 2))
    rows = np.sinc(distance / rate) * np.i0(KAISER_BETA * inside)
    rows /= rows.sum(axis=1, keepdims=True)
    rows[np.abs(rows) < 1e-12] = 0.0  # sin(k·π) is not exactly 0
    filter_rows: NDArray[np.float32] = rows.astype(np.float32)
    filter_rows.flags.writeable = False
    return filter_rows
