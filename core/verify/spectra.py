"""Small spectrograms of keys, for the sheet.

Shape legend: C channels, T samples, B bands, F frames, K spectral bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIP_FRAMES = 12
"""Frames of each key."""
BANDS = 96
"""Bands, evenly on a logarithmic axis."""
LOWEST_HZ, HIGHEST_HZ = 30.0, 16_000.0
LENGTH_S = 1.5
"""Shown of each key."""
RANGE_DB = 80.0
"""Below full scale, shown as black."""
_FRAME = 4096


def key_spectrogram(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.uint8]:
    """Levels of a note's first 1.5 s, 0 to 255 over 80 dB, [B, F].

    Args:
        samples: Finite, [C, T].
        sample_rate: Hz.
    """
    mono = samples.mean(axis=0)[: round(LENGTH_S * sample_rate)]
    mono = np.pad(mono, (0, max(0, _FRAME - len(mono))))
    starts = np.linspace(0, len(mono) - _FRAME, STRIP_FRAMES).astype(int)
    frames = np.stack([mono[start : start + _FRAME] for start in starts])
    magnitudes = np.abs(np.fft.rfft(frames * np.hanning(_FRAME))) * (4.0 / _FRAME)  # [F, K]
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) * _FRAME / sample_rate
    low = np.minimum(edges[:-1].astype(int), magnitudes.shape[1] - 1)
    high = np.clip(np.ceil(edges[1:]).astype(int), low + 1, magnitudes.shape[1])
    bands = np.stack([magnitudes[:, a:b].max(axis=1) for a, b in zip(low, high, strict=True)])
    levels_db = 20.0 * np.log10(bands + 1e-9)
    shown: NDArray[np.uint8] = (
        np.clip(255.0 * (1.0 + levels_db / RANGE_DB), 0, 255).round().astype(np.uint8)
    )
    return shown
