"""A recording at another pitch, its length kept: for the keys near a sample's own note.

Shape legend: T samples.
"""

from __future__ import annotations

import math

import numpy as np
import python_stretch
import soxr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from core.errors import ParameterError

MAX_SHIFT = 48.0
"""Farthest shift, semitones either way."""
MIN_SHIFT = 0.01
"""Shifts below this many semitones (one cent) leave the recording as it is."""
SEED = 0
"""Of the phases that the stretcher draws by chance when it makes a sound much longer."""
ATTACK_S = 0.06
"""Time in which a shifted note has the level of its recording; from the half on ever less."""
ATTACK_LEVEL_S = 0.003
"""Width (σ) of the Gaussian that this level is measured with: shorter ones hear the waves of basses."""
ATTACK_RANGE_DB = (-40.0, 12.0)
"""What the level of a stretched attack is changed by at most."""
RESAMPLED_ONLY = 0.5
"""Up to this many semitones resampling alone is cleaner, for 3 % of length at most."""


def shift_pitch(
    samples: NDArray[np.float32], sample_rate: int, semitones: float
) -> NDArray[np.float32]:
    """Shift a recording's pitch; onset and length stay where they are.

    Resampling moves the pitch, Signalsmith Stretch draws the result out or in again: frequencies
    come out exact, while the library's own transposition is off by up to 17 cents on a low tone.
    Whatever is shorter is stretched, so that a shift far up costs no more than one far down. A
    stretched attack begins too early and too softly, so the first :data:`ATTACK_S` get the level of
    the recording again; it should begin with its note.

    Args:
        samples: Mono audio, [T].
        sample_rate: Hz.
        semitones: -48 to 48; less than a cent returns the recording itself.

    Returns:
        [T], the same every time.

    Raises:
        ParameterError: Another shape, or a shift beyond the limits.
    """
    if samples.ndim != 1:
        raise ParameterError(f"Samples of shape {samples.shape} cannot be shifted; give mono, [T].")
    if not abs(semitones) <= MAX_SHIFT:  # also true for NaN
        raise ParameterError(
            f"A shift of {semitones} semitones is outside -{MAX_SHIFT:g} to {MAX_SHIFT:g}."
        )
    if abs(semitones) < MIN_SHIFT or not samples.size:
        return samples
    rate = 2.0 ** (semitones / 12.0)
    if abs(semitones) <= RESAMPLED_ONLY:
        shifted = soxr.resample(samples, sample_rate * rate, sample_rate)
    elif rate > 1.0:
        shifted = _stretch(
            soxr.resample(samples, sample_rate * rate, sample_rate), sample_rate, rate
        )
    else:
        shifted = soxr.resample(
            _stretch(samples, sample_rate, rate), sample_rate * rate, sample_rate
        )
    result: NDArray[np.float32] = np.zeros_like(samples)
    length = min(len(samples), len(shifted))
    result[:length] = shifted[:length]
    if abs(semitones) > RESAMPLED_ONLY:
        _restore_attack(result, samples, sample_rate)
    return result


def _restore_attack(
    shifted: NDArray[np.float32], samples: NDArray[np.float32], sample_rate: int
) -> None:
    """Bring the start of a shifted recording to the level of the recording, in place."""
    n = min(len(samples), round(ATTACK_S * sample_rate))
    sigma = ATTACK_LEVEL_S * sample_rate
    heard = n + math.ceil(4.0 * sigma)
    wanted, found = (
        gaussian_filter1d(np.square(each[:heard], dtype=np.float64), sigma, mode="constant")[:n]
        for each in (samples, shifted)
    )
    floor = 1e-7 * float(wanted.max()) + 1e-20
    gain_db = np.clip(10.0 * np.log10((wanted + floor) / (found + floor)), *ATTACK_RANGE_DB)
    left = np.interp(np.arange(n), (n / 2, n), (1.0, 0.0))
    shifted[:n] *= (10.0 ** (gain_db * left / 20.0)).astype(np.float32)


def _stretch(samples: NDArray[np.float32], sample_rate: int, factor: float) -> NDArray[np.float32]:
    """Make [T] longer by a factor, at the same pitch."""
    stretcher = python_stretch.Signalsmith.Stretch(SEED)
    stretcher.preset(1, sample_rate)
    stretcher.setTimeFactor(1.0 / factor)
    stretched: NDArray[np.float32] = np.asarray(stretcher.process(samples[None]), np.float32)[0]
    return stretched
