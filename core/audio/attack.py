"""The attack of a recording, given to what was made of it.

A stretched recording begins too early and too softly, a rendered note is blurred over the 46 ms of a
mel's window. How its level rises is known from the recording, so that rise is put back by a gain; no
partial is moved. Figures in training/README.md.

Shape legend: T samples, A levels of the attack and of what follows it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

ATTACK_S = 0.06
"""Time in which a note has the level of its recording; from the half on ever less."""
REFERENCE_S = 0.1
"""What follows it, with which both are brought to one level first."""
HOP_S = 0.001
"""Time from one level to the next."""
LEVEL_S = 0.003
"""Width (σ) of the Gaussian that levels are smoothed with: shorter ones hear the waves of basses."""
RANGE_DB = (-40.0, 12.0)
"""What the level of an attack is changed by at most."""


def attack_power(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """How the power of a note begins.

    Args:
        samples: A note from its onset or some milliseconds before, [T].
        sample_rate: Hz.

    Returns:
        Every millisecond, [A]; zeros follow a shorter note.
    """
    hop = _hop(sample_rate)
    hops = round((ATTACK_S + REFERENCE_S + 4.0 * LEVEL_S) / HOP_S)
    heard = np.zeros(hops * hop)
    heard[: min(len(samples), len(heard))] = samples[: len(heard)]
    power = np.square(heard).reshape(hops, hop).mean(axis=1)
    smoothed: NDArray[np.float64] = gaussian_filter1d(power, LEVEL_S / HOP_S, mode="constant")
    return smoothed[: round((ATTACK_S + REFERENCE_S) / HOP_S)]


def restore_attack(
    samples: NDArray[np.float32], wanted: NDArray[np.float64], sample_rate: int
) -> NDArray[np.float32]:
    """A note whose power begins as wanted; its level as a whole stays what it is.

    Args:
        samples: The note, [T].
        wanted: Power of its recording's attack, see :func:`attack_power`, [A].
        sample_rate: Hz.

    Returns:
        [T]; silence stays silence, and nothing is asked of silence.
    """
    found = attack_power(samples, sample_rate)
    total = float(found.sum())
    if total <= 0.0 or wanted.sum() <= 0.0:
        return samples
    wanted = wanted * (total / wanted.sum())
    floor = 1e-7 * float(wanted.max())
    gain_db = np.clip(10.0 * np.log10((wanted + floor) / (found + floor)), *RANGE_DB)
    time_s = (np.arange(len(gain_db)) + 0.5) * HOP_S
    gain_db *= np.interp(time_s, (ATTACK_S / 2, ATTACK_S), (1.0, 0.0))
    hop = _hop(sample_rate)
    restored = samples.copy()
    attack = restored[: round(ATTACK_S / HOP_S) * hop]
    places = (np.arange(len(gain_db)) + 0.5) * hop - 0.5
    gain = 10.0 ** (np.interp(np.arange(len(attack)), places, gain_db) / 20.0)
    attack *= gain.astype(np.float32)
    return restored


def _hop(sample_rate: int) -> int:
    """Samples from one level to the next, at least one."""
    return max(1, round(HOP_S * sample_rate))
