"""What is measured on a note as it was played or as it lies in its file.

Shape legend: C channels, T samples, N frames, K spectral bins, H harmonics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audio.loudness import SILENCE_DB

Array = NDArray[np.float64]
Samples = NDArray[np.float32]

_ATTACK_S = 0.08  # passed over where the note is long enough
_STEADY_S = 1.5  # looked at after the attack
_QUIET = 0.03  # what has decayed this far (linear) below the peak is not looked at
_FRAME_S = 0.4  # two periods of a vibrato, so that none of it is left
_FRAME_PERIODS = 12.0  # or more, so that partials are apart
_LEAST_PERIODS = 6.0
_N_FRAMES = 6
_HARMONICS = np.arange(1, 13)
_CELL_CENTS = 10.0
_FARTHEST_CELLS = 115  # from the expected pitch, that a note is sought
_NEAR_CELLS = 6  # from the expected pitch, where it is sought first
_STRANGER = 1.25  # how much better another pitch must fit to be believed
_REACH = 0.03  # of a partial's frequency, searched for its peak
_VIBRATO = 0.015  # of a partial's frequency, about 25 cents: over which its power may spread
_AUDIBLE = 0.02  # of the strongest partial
_LEAST_SHARE = 0.5  # of the energy that partials must hold
_LARGEST_SPREAD_CENTS = 15.0
_FULL_SCALE = 0.999
_FULL_RUN = 3  # frames at full scale in a row that are no coincidence


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """How far a note is from its key."""

    cents: float | None
    """Above 0 is sharp; None where it cannot be measured."""
    why_not: str = ""
    """Reason for None, as a clause."""


def tuning_of(samples: Samples, sample_rate: int, expected_hz: float) -> Tuning:
    """Deviation from a pitch: the weighted median over frames and partials of their peaks.

    A comb over ±11 semitones finds the pitch that is there, then parabolas through the peaks of its
    partials refine it; nothing is shared with the root-note detection that instruments are made
    with.

    Args:
        samples: Finite, mono, [T].
        sample_rate: Hz.
        expected_hz: Pitch of the key.
    """
    steady = _steady_part(samples, sample_rate, expected_hz)
    if isinstance(steady, str):
        return Tuning(cents=None, why_not=steady)
    length = steady.shape[1]
    n_fft = 1 << (4 * length - 1).bit_length()
    spectra = np.abs(np.fft.rfft(steady * np.hanning(length), n_fft))
    bin_hz = sample_rate / n_fft
    shift = _coarse_shift(spectra.mean(axis=0), expected_hz, bin_hz)
    about_hz = expected_hz * 2.0 ** (shift / 1200.0)
    cents, weights, share = _partials(spectra, about_hz, bin_hz, main_lobe=2 * n_fft // length + 1)
    if len(cents) == 0 or share < _LEAST_SHARE:
        reason = f"no clear pitch: {100 * share:.0f} % of the sound lies in partials"
        return Tuning(cents=None, why_not=reason)
    order = np.argsort(cents)
    cumulative = np.cumsum(weights[order])
    middle = float(cents[order][np.searchsorted(cumulative, cumulative[-1] / 2.0)])
    spread = float(np.sum(weights * np.abs(cents - middle)) / weights.sum())
    if spread > _LARGEST_SPREAD_CENTS:
        return Tuning(cents=None, why_not=f"its partials are {spread:.0f} cents apart")
    return Tuning(cents=shift + middle)


def _steady_part(samples: Samples, sample_rate: int, expected_hz: float) -> Array | str:
    """Frames after the attack, [N, T]; or why there are none."""
    level = np.abs(samples)
    peak = float(level.max(initial=0.0))
    if peak == 0.0:
        return "silent"
    heard = np.flatnonzero(level > _QUIET * peak)
    first, last = int(heard[0]), int(heard[-1]) + 1
    period = sample_rate / expected_hz
    length = round(max(_FRAME_S * sample_rate, _FRAME_PERIODS * period))
    first += max(0, min(round(_ATTACK_S * sample_rate), last - first - length))
    last = min(last, first + round(_STEADY_S * sample_rate))
    length = min(length, last - first)
    if length < _LEAST_PERIODS * period:
        return f"too short: {length / sample_rate:.3f} s"
    starts = np.unique(np.linspace(first, last - length, _N_FRAMES).astype(int))
    return np.stack([samples[start : start + length] for start in starts]).astype(np.float64)


def _coarse_shift(magnitudes: Array, expected_hz: float, bin_hz: float) -> float:
    """Cents from the expected pitch to the one whose partials are there, to the nearest cell."""
    n_shifts = 2 * _FARTHEST_CELLS + 1
    offsets = np.round(1200.0 / _CELL_CENTS * np.log2(_HARMONICS)).astype(int)  # [H]
    edges = np.arange(n_shifts + offsets[-1] + 1) - _FARTHEST_CELLS - 0.5
    bins = np.rint(expected_hz / bin_hz * 2.0 ** (edges * _CELL_CENTS / 1200.0)).astype(int)
    bins = bins[bins < 0.9 * len(magnitudes)]
    cells = np.zeros(len(edges))
    cells[: len(bins)] = np.maximum.reduceat(np.sqrt(magnitudes), bins)
    cells[max(0, len(bins) - 1) :] = 0.0  # the last one found reaches to the end
    salience = cells[np.arange(n_shifts)[:, None] + offsets] @ 0.8 ** (_HARMONICS - 1)
    near = slice(_FARTHEST_CELLS - _NEAR_CELLS, _FARTHEST_CELLS + _NEAR_CELLS + 1)
    best = int(np.argmax(salience))
    if salience[best] <= _STRANGER * salience[near].max():
        best = near.start + int(np.argmax(salience[near]))
    return _CELL_CENTS * (best - _FARTHEST_CELLS)


def _partials(
    spectra: Array, about_hz: float, bin_hz: float, *, main_lobe: int
) -> tuple[Array, Array, float]:
    """Deviation in cents of each partial found in each frame, its weight; their share of energy.

    A partial's frequency is the centroid of the power around its peak, which in a vibrato is the
    mean and not one of the ends. ``main_lobe`` is half the width of the window's main lobe, bins.
    """
    power = np.square(spectra)
    held = np.zeros_like(power, bool)
    strongest = spectra.max()
    cents: list[float] = []
    weights: list[float] = []
    for harmonic in _HARMONICS:
        centre = harmonic * about_hz / bin_hz
        if centre > 0.9 * spectra.shape[1]:
            break
        reach = max(2.0, min(_REACH * centre, 0.4 * about_hz / bin_hz))
        low, high = max(1, int(centre - reach)), int(centre + reach) + 2
        width = round(main_lobe + min(_VIBRATO * centre, 0.2 * about_hz / bin_hz))
        for row in range(len(spectra)):
            peak = low + int(np.argmax(spectra[row, low:high]))
            if spectra[row, peak] < max(spectra[row, peak - 1], spectra[row, peak + 1]):
                continue
            if spectra[row, peak] < _AUDIBLE * strongest:
                continue
            place = _centroid(power[row], _centroid(power[row], peak, width), width)
            held[row, max(0, round(place) - width) : round(place) + width + 1] = True
            cents.append(1200.0 * float(np.log2(place / centre)))
            weights.append(float(spectra[row, peak]) / float(np.sqrt(harmonic)))
    share = float(power[held].sum() / (power.sum() + 1e-30))
    return np.array(cents), np.array(weights), share


def _centroid(power: Array, about: float, width: int) -> float:
    """Mean place of the power [K] within a width of a fractional bin."""
    low, high = max(0, round(about) - width), round(about) + width + 1
    near = power[low:high]
    return float(np.arange(low, low + len(near)) @ near / (near.sum() + 1e-30))


def peak_db(samples: Samples) -> float:
    """Largest sample, dBFS."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return 20.0 * float(np.log10(peak)) if peak > 1e-6 else SILENCE_DB


def clipped_frames(samples: Samples) -> int:
    """Longest run of frames at full scale, 0 where it is no more than a touch.

    Args:
        samples: [C, T].
    """
    longest = 0
    for channel in samples:
        full = np.flatnonzero(np.diff(np.abs(channel) >= _FULL_SCALE, prepend=False, append=False))
        longest = max(longest, int(np.max(full[1::2] - full[::2], initial=0)))
    return longest if longest >= _FULL_RUN else 0


def seam_ratio(
    samples: Samples, loop: tuple[int, int], wraps: Sequence[int], reach: int
) -> float | None:
    """Largest step between neighbouring samples near the wraps ÷ largest step within the loop.

    1 or less: the wrap is as smooth as the sound itself. None where there is nothing to compare.

    Args:
        samples: As played, [C, T].
        loop: First frame, and first frame after it.
        wraps: Frames at which playback went back to the loop's start.
        reach: How far from there the wrap may have been heard.
    """
    steps = np.abs(np.diff(samples)).max(axis=0)
    start, end = loop
    reach = min(reach, (end - start) // 4)
    inside = steps[start + reach : end - reach]
    near = [steps[max(0, wrap - reach - 1) : wrap + reach] for wrap in wraps]
    near = [part for part in near if len(part)]
    if not near or not len(inside) or not inside.max() > 0.0:
        return None
    return float(max(part.max() for part in near) / inside.max())


def unrolled(samples: Samples, loop: tuple[int, int], least: int) -> Samples:
    """A looped recording as it is played, [C, T].

    Args:
        samples: [C, T].
        loop: First frame, and first frame after it.
        least: Frames after the first wrap; there is always a whole turn.
    """
    start, end = loop
    turns = -(-least // (end - start))
    return np.concatenate([samples[:, :end], *[samples[:, start:end]] * max(1, turns)], axis=1)
