"""A recording at another pitch, its length kept: for the keys near a sample's own note.

Shape legend: T samples.
"""

from __future__ import annotations

import math

import numpy as np
import python_stretch
import soxr
from numpy.typing import NDArray

from core.audio.attack import attack_power, restore_attack
from core.audio.signal import PRE_ROLL_S
from core.errors import ParameterError

MAX_SHIFT = 48.0
"""Farthest shift, semitones either way."""
MIN_SHIFT = 0.01
"""Shifts below this many semitones (one cent) leave the recording as it is."""
SEED = 0
"""Seed of the phases that the stretcher draws by chance when it makes a sound much longer."""
_MEETS_FRAMES = 1e-3  # frames by which whole periods may miss a whole number of frames
_MARGIN = 64  # frames that a resampler needs to settle
RESAMPLED_ONLY = 0.5
"""Up to this many semitones resampling alone is cleaner, for 3 % of length at most."""


def shift_pitch(
    samples: NDArray[np.float32], sample_rate: int, semitones: float
) -> NDArray[np.float32]:
    """Shift a recording's pitch; onset and length stay where they are.

    Resampling moves the pitch, Signalsmith Stretch draws the result out or in again: frequencies
    come out exact, while the library's own transposition is off by up to 17 cents on a low tone.
    Whatever is shorter is stretched, so that a shift far up costs no more than one far down. The
    attack gets its level back, see :mod:`core.audio.attack`.

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
    if abs(semitones) <= RESAMPLED_ONLY:
        return result
    return restore_attack(result, attack_power(samples, sample_rate), sample_rate)


def _stretch(samples: NDArray[np.float32], sample_rate: int, factor: float) -> NDArray[np.float32]:
    """Make [T] longer by a factor, at the same pitch."""
    stretcher = python_stretch.Signalsmith.Stretch(SEED)
    stretcher.preset(1, sample_rate)
    stretcher.setTimeFactor(1.0 / factor)
    stretched: NDArray[np.float32] = np.asarray(stretcher.process(samples[None]), np.float32)[0]
    return stretched


def shift_cycle(
    samples: NDArray[np.float32], sample_rate: int, semitones: float, cycle_frames: float
) -> NDArray[np.float32]:
    """Shift a wave that repeats itself: read faster or slower, for as long as before.

    Args:
        samples: A single cycle that was made to sound on (:func:`core.audio.signal.isolate_note`),
            after its pre-roll, [T].
        sample_rate: Hz.
        semitones: -48 to 48.
        cycle_frames: Frames of one period, not always a whole number.

    Returns:
        [T].
    """
    lead = round(PRE_ROLL_S * sample_rate)
    sound = samples[lead + _MARGIN :]  # the resampler that made it had to settle
    counts = np.arange(1, max(1, int(len(sound) / cycle_frames)) + 1)
    strays = np.abs(counts * cycle_frames - np.round(counts * cycle_frames))
    # Of those that meet the grid of frames best the most: joints are then rarest.
    count = counts[np.flatnonzero(strays <= strays.min() + _MEETS_FRAMES)[-1]]
    rate = 2.0 ** (semitones / 12.0)
    wanted = len(samples) - lead
    endless = np.resize(sound[: round(count * cycle_frames)], math.ceil(wanted * rate) + _MARGIN)
    shifted = soxr.resample(endless, sample_rate * rate, sample_rate)[:wanted]
    return np.pad(shifted, (lead, wanted - len(shifted))).astype(np.float32)
