"""Samples in, samples out: resampling, channels, onset, trimming, levels; and a note cut from a clip.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from core.audio.cycle import oscillation, periods
from core.audio.files import SILENCE_PEAK_DB, AudioClip
from core.errors import AudioFileError, ParameterError

Samples = NDArray[np.float32]

PRE_ROLL_S = 0.003
"""An isolated note starts this long before its onset."""
MIN_NOTE_S = 0.030
"""Least length of a usable sound: anything shorter is a click without pitch or timbre."""
NOTE_WINDOW_S = 131072 / 44100
"""Longest isolated note: one mel window."""

_FRAME_S = 0.001  # resolution of the onset envelope
_MEDIAN_FRAMES = 11  # bursts below half of this are clicks, not notes
_LOUD_DB = -26.0  # relative to the peak: a note has certainly begun
_QUIET_DB = -60.0  # relative to the peak: nothing of the note is heard yet
_END_DB = -70.0  # relative to the peak: the note has died away
_FLOOR_FRAMES = 20  # blocks whose level is taken for the noise before a note
_FLOOR_BLOCKS = 3  # fewer say nothing about the noise
_FLOOR_MARGIN_DB = 6.0  # a note rises this far above that noise
_FLOOR_SHARE = 0.5  # of the time before the loud part: steady noise, not the note's own slow rise
_GAP_FRAMES = 20  # quiet frames in a row that separate a note from what came before
_CANCELLED_FACTOR = 5.0  # a band this much weaker than of independent channels has cancelled out
_CANCELLED_SHARE = 0.03  # of the energy: less may be missing in a mean of channels
_BAND_FRAME = 8192  # samples whose spectrum is looked at by band
_LEAST_FRAME = 64
_BANDS_PER_OCTAVE = 3
_DC_BLOCK_S = 0.2
_DC_IGNORED = 0.003  # of the peak: below this an offset estimate is only the sound's own asymmetry
_DC_BLOCKS = 3
_DC_IGNORED_SHORT = 0.03  # the same for a clip of fewer blocks


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IsolatedNote:
    """One note cut out of a clip."""

    samples: Samples
    """Mono, without DC, peak 1, from :data:`PRE_ROLL_S` before the onset, [T]."""
    sample_rate: int
    """Hz."""
    gain: float
    """Peak before normalisation (linear)."""
    onset_s: float
    """Where the note starts in the file, seconds."""
    length_s: float
    """Length of the audible note in the file from its onset, seconds; may exceed the window."""
    cycle_frames: float | None = None
    """Frames of one period of a single cycle that was made to sound on; None of any other sound."""


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Band-limited rate conversion without delay.

    Args:
        samples: [T] or [C, T].
        from_rate: Hz.
        to_rate: Hz.

    Raises:
        ParameterError: A rate is not positive.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise ParameterError(f"Sample rates {from_rate} and {to_rate} Hz must be above 0.")
    if from_rate == to_rate:
        return samples
    converted: Samples = soxr.resample(samples.T, from_rate, to_rate, quality="VHQ").T
    return np.ascontiguousarray(converted)


def to_mono(samples: Samples) -> Samples:
    """One channel that holds what the channels hold, [C, T] to [T].

    The mean of the channels; where they cancel each other in bands of some weight, as a fundamental
    in opposite phase or the odd partials of a channel that comes late, the channel that misses least.
    """
    mean: Samples = samples.mean(axis=0, dtype=np.float32)
    if len(samples) == 1 or samples.shape[1] < _LEAST_FRAME:
        return mean
    powers = _band_powers(np.concatenate([mean[None], samples]))
    expected = powers[1:].mean(axis=0)
    # Of independent channels a mean has 1/C of the power, and so has a sound that is in one alone.
    is_missing = powers < expected / (_CANCELLED_FACTOR * len(samples))
    missed = (is_missing * expected).sum(axis=1) / max(float(expected.sum()), 1e-30)
    if missed[0] < _CANCELLED_SHARE:
        return mean
    levels_db = 10.0 * np.log10(powers[1:].sum(axis=1) + 1e-30)
    loudest_first = 1 + np.argsort(-np.round(levels_db, 1), kind="stable")
    best = min((0, *loudest_first), key=lambda index: round(float(missed[index]), 3))
    return mean if best == 0 else samples[best - 1]


def remove_dc(samples: Samples, sample_rate: int) -> Samples:
    """Subtract a constant offset, [T]; a sound without one comes back unchanged.

    The offset is the median over blocks of Hann-weighted means: silence around the note and
    low notes that end within a period do not disturb it.
    """
    block = min(len(samples), round(_DC_BLOCK_S * sample_rate))
    if block == 0:
        return samples
    window = np.hanning(block + 2)[1:-1].astype(np.float32)
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    offset = float(np.median(blocks @ (window / window.sum())))
    ignored = _DC_IGNORED if len(blocks) >= _DC_BLOCKS else _DC_IGNORED_SHORT
    if abs(offset) < ignored * float(np.max(np.abs(samples))):
        return samples
    return samples - np.float32(offset)


def find_onset(samples: Samples, sample_rate: int) -> int:
    """Index of the sample where the note starts, [T]; 0 for silence.

    From the first frame that is certainly loud the search goes back to where the level leaves
    the noise before the note, or falls to inaudibility, so slow attacks keep their beginning.
    Clicks of a few milliseconds that stand apart from the note are passed over.
    """
    hop = max(1, round(_FRAME_S * sample_rate))
    raw = _levels(samples, hop)
    if not np.any(raw > 0):
        return 0
    levels = median_filter(raw, _MEDIAN_FRAMES, mode="nearest")
    loud_gain = 10.0 ** (_LOUD_DB / 20.0)
    if levels.max() < loud_gain * raw.max():
        levels = raw  # a train of sparse pulses, or a tick: nothing else is there
    peak = float(levels.max())
    first_loud = int(np.argmax(levels > loud_gain * peak))
    threshold = 10.0 ** (_QUIET_DB / 20.0) * peak
    n_blocks = first_loud // _FLOOR_FRAMES
    if n_blocks >= _FLOOR_BLOCKS:
        blocks = levels[: n_blocks * _FLOOR_FRAMES].reshape(n_blocks, _FLOOR_FRAMES).mean(axis=1)
        above_floor = 10.0 ** (_FLOOR_MARGIN_DB / 20.0) * float(np.quantile(blocks, 0.1))
        if np.mean(blocks < above_floor) >= _FLOOR_SHARE:
            threshold = max(threshold, above_floor)
    audible = np.flatnonzero(levels[: first_loud + 1] > threshold)
    gaps = np.flatnonzero(np.diff(audible) > _GAP_FRAMES)
    first = audible[gaps[-1] + 1] if len(gaps) else audible[0] if len(audible) else first_loud
    return int(first) * hop


def trim_end(samples: Samples, sample_rate: int) -> int:
    """Index just after the last audible sample (-70 dB below the peak), [T]; 0 for silence."""
    hop = max(1, round(_FRAME_S * sample_rate))
    levels = _levels(samples, hop)
    audible = np.flatnonzero(levels > 10.0 ** (_END_DB / 20.0) * levels.max(initial=0.0))
    return min(len(samples), (int(audible[-1]) + 1) * hop) if len(audible) else 0


def fade(samples: Samples, fade_in: int = 0, fade_out: int = 0) -> Samples:
    """Raised-cosine fades over the first and last samples, [..., T]; lengths in samples.

    Raises:
        ParameterError: A fade is negative or longer than the sound.
    """
    length = samples.shape[-1]
    if not (0 <= fade_in <= length and 0 <= fade_out <= length):
        raise ParameterError(
            f"Fades of {fade_in} and {fade_out} samples do not fit a sound of {length} samples."
        )
    faded = samples.copy()
    faded[..., :fade_in] *= _ramp(fade_in)
    faded[..., length - fade_out :] *= _ramp(fade_out)[::-1]
    return faded


def peak_normalise(samples: Samples) -> tuple[Samples, float]:
    """Scale to a peak of 1; returns the scaled samples and the peak that they had.

    Raises:
        ParameterError: The sound is digital silence or holds no samples.
    """
    peak = float(np.max(np.abs(samples), initial=0.0))
    if not peak > 0:
        raise ParameterError("Digital silence cannot be normalised; pass samples above 0.")
    return np.clip(samples / np.float32(peak), -1.0, 1.0, dtype=np.float32), peak


def at_full_level(samples: Samples) -> Samples:
    """Scaled to a peak of 1, where :func:`peak_normalise` would refuse silence: it stays silent."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return samples / np.float32(peak) if peak > 0.0 else samples


def isolate_note(
    clip: AudioClip, sample_rate: int = 44100, window_s: float = NOTE_WINDOW_S
) -> IsolatedNote:
    """Cut the first note out of a clip: mono, no DC, trimmed, resampled, peak 1.

    Leading silence, level, rate and channel layout of the file do not change the result. A single
    cycle sounds on for the whole window.

    Args:
        clip: Any rate and channel count.
        sample_rate: Rate of the note, Hz.
        window_s: Longest note returned, pre-roll included, seconds.

    Raises:
        AudioFileError: The clip holds less than :data:`MIN_NOTE_S` of sound.
    """
    cycle = clip.facts.cycle_frames
    if cycle is not None:
        return _oscillator(clip, clip.samples[:, :cycle], sample_rate, window_s)
    mono = remove_dc(to_mono(clip.samples), clip.sample_rate)
    if float(np.max(np.abs(mono), initial=0.0)) < 10.0 ** (SILENCE_PEAK_DB / 20.0):
        raise AudioFileError(
            f"'{clip.name}' holds no sound, only a constant offset; choose another recording."
        )
    onset = find_onset(mono, clip.sample_rate)
    end = trim_end(mono, clip.sample_rate)
    length_s = (end - onset) / clip.sample_rate
    if length_s < MIN_NOTE_S:
        raise AudioFileError(
            f"'{clip.name}' is too short ({1000 * length_s:.0f} ms of sound); "
            f"at least {1000 * MIN_NOTE_S:.0f} ms are needed: choose a longer sample."
        )
    pre_roll = round(PRE_ROLL_S * clip.sample_rate)
    start = max(0, onset - pre_roll)
    window = mono[start : min(end, start + round((window_s + 0.05) * clip.sample_rate))]
    # A note at the very start of its file gets the same pre-roll as any other, from zeros.
    window = np.pad(fade(window, min(onset - start, len(window))), (pre_roll - (onset - start), 0))
    note = resample(window, clip.sample_rate, sample_rate)[: round(window_s * sample_rate)]
    normalised, gain = peak_normalise(note)
    return IsolatedNote(
        samples=normalised,
        sample_rate=sample_rate,
        gain=gain,
        onset_s=onset / clip.sample_rate,
        length_s=length_s,
    )


def _oscillator(clip: AudioClip, cycle: Samples, sample_rate: int, window_s: float) -> IsolatedNote:
    """The note of a single cycle [C, T]."""
    wave = to_mono(cycle)
    pre_roll = round(PRE_ROLL_S * clip.sample_rate)
    sound = oscillation(wave, round((window_s + 0.05) * clip.sample_rate))
    if float(np.max(np.abs(sound))) < 10.0 ** (SILENCE_PEAK_DB / 20.0):
        raise AudioFileError(
            f"'{clip.name}' holds no wave, only a constant; choose another recording."
        )
    note = resample(np.pad(sound, (pre_roll, 0)), clip.sample_rate, sample_rate)
    normalised, gain = peak_normalise(note[: round(window_s * sample_rate)])
    return IsolatedNote(
        samples=normalised,
        sample_rate=sample_rate,
        gain=gain,
        onset_s=0.0,
        length_s=window_s,
        cycle_frames=len(wave) / periods(wave) * sample_rate / clip.sample_rate,
    )


def _band_powers(samples: Samples) -> NDArray[np.float64]:
    """Power of each channel in thirds of octaves up to the Nyquist frequency, [C, T] to [C, B]."""
    length = min(_BAND_FRAME, samples.shape[1])
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    spectrum = np.zeros((len(samples), length // 2 + 1))
    for start in range(0, samples.shape[1] - length + 1, length // 2):
        part = samples[:, start : start + length]
        frame = (part - part.mean(axis=1, keepdims=True)) * window
        spectrum += np.abs(np.fft.rfft(frame)) ** 2
    octaves = np.log2(np.arange(1, spectrum.shape[1]))
    bands = np.concatenate([[0], (octaves * _BANDS_PER_OCTAVE).astype(int)])
    firsts = np.flatnonzero(np.diff(bands, prepend=-1))
    powers: NDArray[np.float64] = np.add.reduceat(spectrum, firsts, axis=1)
    return powers


def _levels(samples: Samples, hop: int) -> NDArray[np.float64]:
    """RMS of consecutive frames of ``hop`` samples; the last frame may be part empty."""
    padded = np.pad(samples, (0, -len(samples) % hop)).astype(np.float64).reshape(-1, hop)
    levels: NDArray[np.float64] = np.sqrt(np.mean(padded**2, axis=1))
    return levels


def _ramp(length: int) -> Samples:
    """Raised cosine rising from just above 0 to just below 1."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(1, length))).astype(
        np.float32
    )
