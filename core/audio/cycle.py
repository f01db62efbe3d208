"""Files that are one period of a wave: what oscillators and wavetables are made of.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.audio.file_facts import FileFacts

SHORTEST: Final = 256
"""Fewest frames of a file that is taken for a single cycle."""
LONGEST: Final = 4096
"""Most of them."""

_USUAL_LENGTHS = frozenset({256, 512, 600, 1024, 2048, 4096})  # those of wavetables and collections
_DYING = 10.0 ** (-30.0 / 20.0)  # a quarter this far below the whole: a click that dies away
_LOW_HARMONICS = 8  # most of a wave's power lies in these ...
_LOW_SHARE = 0.5
_FIRST_SHARE = 0.05  # ... and so much in the first two, or a few periods fit: else it is a snippet
_STRAY_POWER = 1e-4  # of the whole may lie beside the multiples of a higher harmonic


def cycle_frames(samples: NDArray[np.float32], facts: FileFacts) -> int | None:
    """Frames of one period where a file is a single cycle, or a wavetable that says so.

    Args:
        samples: The whole file, [C, T].
        facts: What it says of itself.

    Returns:
        None for any other sound: clicks, and snippets of tones and noise, which are no longer.
    """
    if facts.cycle_frames is not None:
        return facts.cycle_frames
    length = samples.shape[1]
    if not SHORTEST <= length <= LONGEST:
        return None
    wave = samples[np.argmax(np.square(samples).sum(axis=1))].astype(np.float64)
    wave -= wave.mean()
    quarters = [np.sqrt(np.mean(part**2)) for part in np.array_split(wave, 4)]
    if min(quarters[0], quarters[-1]) <= _DYING * np.sqrt(np.mean(wave**2)):
        return None
    power = np.abs(np.fft.rfft(wave)) ** 2
    is_low = power[1 : _LOW_HARMONICS + 1].sum() >= _LOW_SHARE * power.sum()
    is_whole = power[1:3].sum() >= _FIRST_SHARE * power.sum() or periods(samples[0]) > 1
    return length if length in _USUAL_LENGTHS or (is_low and is_whole) else None


def periods(wave: NDArray[np.float32]) -> int:
    """How often a wave repeats itself within a cycle, [T]: once, unless it holds no odd harmonics."""
    power = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    power[0] = 0.0
    strongest = int(np.argmax(power))
    for count in range(strongest, 1, -1):
        if strongest % count == 0 and power[::count].sum() >= (1.0 - _STRAY_POWER) * power.sum():
            return count
    return 1


def oscillation(wave: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """A wave over and over, without offset, [T] to [n_frames]."""
    centred = wave - wave.mean(dtype=np.float64).astype(np.float32)
    return np.resize(centred, n_frames)
