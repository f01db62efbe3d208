"""Whether notes that somebody else's instrument played are single tones at the pitch of their keys.

Three trackers must agree, because each has its own way to be wrong: the program's own root finder,
the normalised autocorrelation (McLeod & Wyvill, *A smarter way to find pitch*, ICMC 2005), and the
share of the spectrum's power that lies on the partials of the label. A wrong label is worse than a
lost instrument, so whatever is doubtful is refused.

Shape legend: T samples, N frames, F frequencies, K notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audio.pitch import estimate_root, hz_to_midi, midi_to_hz
from training.corpus.source import SAMPLE_RATE

TOLERANCE = 0.35
"""Semitones that a tracked pitch may lie off the label."""
MIN_NOTES = 5
"""An instrument needs so many notes that pass all checks."""
MIN_SHARE = 0.75
"""Share of an instrument's notes whose pitch, all else aside, must follow the keys."""
MAX_OCTAVE = 12.0
"""Semitones that an instrument may sound above or below its keys by design."""

_FRAME = 8192  # samples, 0.19 s: seven periods of the lowest key
_FIRST_S, _LAST_S, _N_FRAMES = 0.05, 2.5, 14  # where frames of the autocorrelation lie
_QUIET = 0.05  # frames this far (linear) below the loudest tell nothing
_SHORTEST_HZ, _LONGEST_HZ = 6000.0, 20.0  # periods searched
_FIRST_PEAK = 0.9  # the first peak so near the highest is the period
_UNSTEADY = 0.6  # semitones that a frame may lie off the label, octaves aside
_STEADY_SHARE = 0.8  # of the frames that must not
_SPECTRUM = 32768  # samples, 0.74 s
_SPECTRUM_STARTS = (2205, 2205 + _SPECTRUM)
_LOWEST_HZ = 25.0
_LEAST_WIDTH_HZ = 4.0  # three bins: a Hann window's main lobe
_PARTIAL_WIDTH = 0.025  # of a partial's frequency, to both sides
_WIDEST = 0.2  # of the fundamental: partials are never wider, so that half of the axis is between
_MIN_ON_PARTIALS = 0.9  # share of the power
_BETWEEN_WIDTH = 0.06  # of the fundamental
_MAX_BETWEEN = 0.01  # share of the power, else the label is a partial of the true pitch
_MIN_ON_ODD = 0.02  # share of the power, else the label is an octave too low
_STEP_S = 0.02
_STEP_FRAME = 2048  # samples
_RISE_STEPS = 3
_RISE_DB = 6.0  # mean over the bands; after a fall as deep it is another onset
_STEP_RANGE_DB = 50.0  # below the loudest band, levels are as good as silence
_TUNED = 0.03  # semitones: a smaller common offset is the trackers' own
_BANDS_PER_OCTAVE = 3
_BAND_RANGE_DB = 40.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about an instrument."""

    offset: float
    """Semitones by which the instrument sounds above its keys: whole octaves and a common tuning."""
    passed: tuple[bool, ...]
    """Whether each note may be used, [K]; all False where the instrument is refused."""
    reason: str
    """Why the instrument is refused, for people; empty where it is not."""


def judge_notes(sounds: Sequence[NDArray[np.floating]], pitches: Sequence[float]) -> Verdict:
    """Decide about an instrument by its notes.

    Args:
        sounds: Mono notes from their onset, [T] each, [K].
        pitches: Where each note ought to sound, MIDI, [K].
    """

    def refuse(reason: str) -> Verdict:
        return Verdict(0.0, (False,) * len(pitches), reason)

    needed = max(MIN_NOTES, MIN_SHARE * len(pitches))
    offsets = np.array(
        [
            estimate_root(sound, SAMPLE_RATE).midi_pitch - pitch
            for sound, pitch in zip(sounds, pitches, strict=True)
        ]
    )
    octaves = Counter(np.round(offsets / 12.0).astype(int).tolist())
    octave = 12.0 * octaves.most_common(1)[0][0] if octaves else 0.0
    if abs(octave) > MAX_OCTAVE:
        return refuse("its octave is not clear")
    near = np.abs(offsets - octave) <= TOLERANCE
    if near.sum() < needed:
        return refuse("its pitch does not follow the keys")
    tuning = float(np.median(offsets[near] - octave))
    offset = octave + (tuning if abs(tuning) >= _TUNED else 0.0)
    faults = [
        find_fault(sound, pitch + offset) for sound, pitch in zip(sounds, pitches, strict=True)
    ]
    passed = tuple(not fault for fault in faults)
    if sum(passed) < MIN_NOTES:
        return refuse(Counter(fault for fault in faults if fault).most_common(1)[0][0])
    return Verdict(offset, passed, "")


def find_fault(sound: NDArray[np.floating], label: float) -> str:
    """What speaks against a note being one tone at a pitch; empty where nothing does.

    Args:
        sound: Mono, from its onset, [T].
        label: MIDI.
    """
    if count_onsets(sound) > 1:
        return "it sounds several times while a key is held"
    if abs(estimate_root(sound, SAMPLE_RATE).midi_pitch - label) > TOLERANCE:
        return "its pitch does not follow the keys"
    tracked = track_period(sound)
    if len(tracked) == 0:
        return "it has no period"
    off = np.abs(_wrap(tracked - label))
    if np.mean(off > _UNSTEADY) > 1.0 - _STEADY_SHARE:
        return "its pitch is not steady"
    if abs(_wrap(float(np.median(_wrap(tracked - label))))) > TOLERANCE:
        return "its trackers disagree"
    if abs(float(np.median(tracked)) - label) > 6.0:
        return "its octave is not clear"
    shares = share_power(sound, label)
    if shares.partials < _MIN_ON_PARTIALS:
        return "it sounds more than the partials of its key"
    if shares.odd < _MIN_ON_ODD or shares.between > _MAX_BETWEEN:
        return "its octave is not clear"
    return ""


def _wrap(semitones: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Semitones less the nearest octave, -6 to 6."""
    wrapped: NDArray[np.float64] = np.mod(np.asarray(semitones) + 6.0, 12.0) - 6.0
    return wrapped


def track_period(sound: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pitch of frames by normalised autocorrelation, MIDI [N]; quiet and noisy frames are left out.

    Args:
        sound: Mono, from its onset, [T].
    """
    last = min(len(sound) - _FRAME, round(_LAST_S * SAMPLE_RATE))
    starts = np.linspace(min(_FIRST_S * SAMPLE_RATE, last), last, _N_FRAMES).astype(int)
    frames = np.stack([sound[start : start + _FRAME] for start in starts]).astype(np.float64)
    frames -= frames.mean(axis=1, keepdims=True)
    levels = np.sqrt(np.mean(frames**2, axis=1))
    n_lags = round(SAMPLE_RATE / _LONGEST_HZ)
    first_lag = int(SAMPLE_RATE / _SHORTEST_HZ)
    pitches = []
    for frame in frames[(levels > _QUIET * levels.max()) & (levels > 0.0)]:
        spectrum = np.fft.rfft(frame, 2 * _FRAME)
        product = np.fft.irfft(np.abs(spectrum) ** 2)[:n_lags]
        energy = np.concatenate([[0.0], np.cumsum(frame**2)])
        lags = np.arange(n_lags)
        both = energy[_FRAME - lags] + energy[-1] - energy[lags]
        likeness = 2.0 * product / np.maximum(both, 1e-30)
        below = np.flatnonzero(likeness < 0.0)
        start = max(first_lag, int(below[0]) if len(below) else n_lags)
        middle = likeness[1:-1]
        peaks = 1 + np.flatnonzero((middle >= likeness[:-2]) & (middle > likeness[2:]))
        peaks = peaks[peaks >= start]
        if len(peaks) == 0 or likeness[peaks].max() < 0.5:
            continue
        lag = int(peaks[likeness[peaks] >= _FIRST_PEAK * likeness[peaks].max()][0])
        left, top, right = likeness[lag - 1 : lag + 2]
        curve = left - 2.0 * top + right
        period = lag + (0.5 * (left - right) / curve if curve < 0.0 else 0.0)
        pitches.append(hz_to_midi(SAMPLE_RATE / period))
    return np.array(pitches)


@dataclass(frozen=True, slots=True)
class PowerShares:
    """Where a spectrum's power lies, each 0 to 1."""

    partials: float
    """Share on the partials of a pitch."""
    odd: float
    """Share on the odd partials of the pitch."""
    between: float
    """Share on halves and thirds of the way between partials: these are partials of a lower pitch."""


def share_power(sound: NDArray[np.floating], label: float) -> PowerShares:
    """Shares of a note's power that lie on and between the partials of a pitch.

    Args:
        sound: Mono, from its onset, [T].
        label: MIDI.
    """
    window = np.hanning(_SPECTRUM)
    power = np.mean(
        [np.abs(np.fft.rfft(window * sound[s : s + _SPECTRUM])) ** 2 for s in _SPECTRUM_STARTS],
        axis=0,
    )
    hz = np.fft.rfftfreq(_SPECTRUM, 1.0 / SAMPLE_RATE)
    power, hz = power[hz > _LOWEST_HZ], hz[hz > _LOWEST_HZ]
    f0_hz = midi_to_hz(label)
    number = np.maximum(np.round(hz / f0_hz), 1.0)
    width = np.minimum(_PARTIAL_WIDTH * number, _WIDEST) * f0_hz
    width = np.maximum(width, _LEAST_WIDTH_HZ)
    partial = np.abs(hz - number * f0_hz) <= width
    part = np.minimum(np.abs(hz / f0_hz * 2.0 % 2.0 - 1.0) / 2.0, np.abs(hz / f0_hz % 1 - 1 / 3))
    part = np.minimum(part, np.abs(hz / f0_hz % 1 - 2 / 3))
    between = ~partial & (part * f0_hz <= np.minimum(width, _BETWEEN_WIDTH * f0_hz))
    total = max(float(power.sum()), 1e-30)
    return PowerShares(
        float(power[partial].sum()) / total,
        float(power[partial & (number % 2 == 1)].sum()) / total,
        float(power[between].sum()) / total,
    )


def count_onsets(sound: NDArray[np.floating]) -> int:
    """How often a note begins: once, and whenever most of its spectrum rises again after a fall.

    Partials that beat rise one at a time and do not count.

    Args:
        sound: Mono, from its onset, [T].
    """
    step = round(_STEP_S * SAMPLE_RATE)
    n_steps = (len(sound) - _STEP_FRAME) // step
    frames = np.stack([sound[i * step : i * step + _STEP_FRAME] for i in range(n_steps)])
    power = np.abs(np.fft.rfft(frames * np.hanning(_STEP_FRAME))) ** 2
    band, n_bands = _bands(_STEP_FRAME)
    levels = np.stack([power[:, band == i].sum(axis=1) for i in range(n_bands)], axis=1)
    levels_db = 10.0 * np.log10(levels[:, levels.max(axis=0) > 0.0] + 1e-30)
    heard = levels_db.max(axis=0) > levels_db.max() - _BAND_RANGE_DB
    levels_db = np.maximum(levels_db[:, heard], levels_db.max() - _STEP_RANGE_DB)
    level_db = levels_db.mean(axis=1)
    before, after = level_db[:-_RISE_STEPS], level_db[_RISE_STEPS:]
    steep = (after - before > _RISE_DB) & (before < np.maximum.accumulate(before) - _RISE_DB)
    return 1 + int(np.sum(steep & ~np.concatenate([[False], steep[:-1]])))


def _bands(n_samples: int) -> tuple[NDArray[np.int64], int]:
    """Third octave of each frequency of a spectrum [F], and how many there are."""
    hz = np.fft.rfftfreq(n_samples, 1.0 / SAMPLE_RATE)
    band = np.floor(_BANDS_PER_OCTAVE * np.log2(np.maximum(hz, 25.0) / 25.0)).astype(np.int64)
    return band, int(band[-1]) + 1


def spectral_difference_db(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Mean difference of two sounds' third-octave levels, gain aside, dB.

    Args:
        one: Mono [T].
        other: Mono [T].
    """
    band, _ = _bands(len(one))
    levels = []
    for sound in (one, other):
        power = np.bincount(band, np.abs(np.fft.rfft(sound)) ** 2) + 1e-30
        levels.append(10.0 * np.log10(power / power.sum()))
    heard = np.maximum(*levels) > np.max(levels) - _BAND_RANGE_DB
    return float(np.mean(np.abs(levels[0] - levels[1])[heard]))
