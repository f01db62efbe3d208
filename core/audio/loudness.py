"""Loudness of a note as heard: K-weighted, over its loudest 400 ms.

Standard: ITU-R BS.1770-4, annex 1 (K weighting); the momentary maximum, without gating.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

BLOCK_S = 0.4
"""Length of a momentary block, seconds."""
HOPS_PER_BLOCK = 400
"""Places in the time of a block at which another begins: every millisecond."""
HEADROOM_DB = 6.0
"""How far below its source's loudness at -1 dBFS a note is played, so that keys whose peaks stand
out more than the source's reach the same loudness."""
REFERENCE_DB = -14.0
"""Loudness at which the networks look at a note, LUFS: near that of a median note whose peak is 1. By
loudness, not by peak: a true note's peak cannot be foretold from another note of its instrument."""
SILENCE_DB = -120.0
"""Loudness of digital silence."""
CALIBRATION_DB = -0.691
"""Takes back the K weighting's gain at 997 Hz (BS.1770-4, eq. 2)."""


def momentary_loudness_db(samples: NDArray[np.floating], sample_rate: int) -> float:
    """Loudness of the loudest 400 ms, LUFS: a full-scale 997 Hz sine reads -3.01.

    Args:
        samples: [C, T]; a shorter note than one block counts as if silence followed. Channels are
            averaged, not summed, so that a mono note and its copy on two channels read alike.
        sample_rate: Hz.
    """
    weighted = sosfilt(_k_weighting(sample_rate), samples.astype(np.float64), axis=-1)
    energy = np.einsum("ct,ct->t", weighted, weighted) / len(weighted)
    hop = max(1, round(BLOCK_S * sample_rate / HOPS_PER_BLOCK))
    hops = max(HOPS_PER_BLOCK, math.ceil(len(energy) / hop))
    energies = np.pad(energy, (0, hops * hop - len(energy))).reshape(hops, hop).sum(axis=1)
    total = np.concatenate([[0.0], np.cumsum(energies)])
    loudest = float(np.max(total[HOPS_PER_BLOCK:] - total[:-HOPS_PER_BLOCK]))
    loudest /= HOPS_PER_BLOCK * hop
    return 10.0 * math.log10(loudest) + CALIBRATION_DB if loudest > 1e-12 else SILENCE_DB


def reference_gain(samples: NDArray[np.floating], sample_rate: int) -> float:
    """Linear gain that brings a note [T] to REFERENCE_DB; 1 for silence.

    Args:
        samples: One channel, [T].
        sample_rate: Hz.
    """
    loudness_db = momentary_loudness_db(samples[None], sample_rate)
    return 1.0 if loudness_db == SILENCE_DB else 10.0 ** ((REFERENCE_DB - loudness_db) / 20.0)


@lru_cache(maxsize=8)
def _k_weighting(sample_rate: int) -> NDArray[np.float64]:
    """High shelf and high pass of BS.1770 as second-order sections for any rate."""
    return np.stack([_high_shelf(sample_rate), _high_pass(sample_rate)])


def _high_shelf(sample_rate: int) -> NDArray[np.float64]:
    gain, q, frequency = 10.0 ** (3.999843853973347 / 20.0), 0.7071752369554196, 1681.974450955533
    k = math.tan(math.pi * frequency / sample_rate)
    middle = gain**0.4996667741545416
    a0 = 1.0 + k / q + k * k
    b = np.array(
        [gain + middle * k / q + k * k, 2.0 * (k * k - gain), gain - middle * k / q + k * k]
    )
    return np.concatenate([b, [a0, 2.0 * (k * k - 1.0), 1.0 - k / q + k * k]]) / a0


def _high_pass(sample_rate: int) -> NDArray[np.float64]:
    q, frequency = 0.5003270373238773, 38.13547087602444
    k = math.tan(math.pi * frequency / sample_rate)
    a0 = 1.0 + k / q + k * k
    return np.array([1.0, -2.0, 1.0, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0])
