"""Sustain loops: where the steady part of a rendered note repeats, with the crossfade in the audio.

Samplers disagree about every crossfade they might do themselves, so the joint is made here and
playback only wraps:

1. the steady part lies between the attack and the release, and its level falls little;
2. several ends are tried against every start by normalised cross-correlation, at a reduced rate;
   similar waveform, even level and length make a good pair;
3. at the full rate the length becomes a whole number of periods of the known pitch; a sound whose
   partials are no multiples of it (bells, beating strings) keeps the length that matches best;
4. what the level drifts over the loop is evened out, then the frames before the loop's end are
   faded into those before its start, with gains that keep the power for the correlation measured.

Shape legend: C channels, T samples, S starts, E ends, B level blocks, W samples of a window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from core.errors import ParameterError
from core.instrument import Loop

Samples = NDArray[np.float32]

STEEPEST_DB_S = 4.0
"""A note whose level falls or rises faster than this does not sustain, dB per second."""
GUARD_FRAMES = 64
"""Frames before and after each end of the loop that are the same at both: samplers interpolate or
crossfade into them."""

_BLOCK_S = 0.04  # resolution of the level
_ATTACK_SHARE = 0.25  # of the note: no loop starts in it
_SLOPE_SHARE = 0.35  # of the note: its level is judged from here to the release
_RELEASE_DB = 6.0  # below the usual level: the note is being let go
_MIN_BLOCKS = 8
_SILENCE_DB = -70.0
_MAX_DRIFT_DB = 4.0  # most that is evened out over a loop
_TAIL_S = 0.03  # kept after the loop, for the fade at the end of the note
_FADE_S = 0.12  # longest crossfade
_WINDOW_S = 0.05  # compared before both ends, or as many periods as follow
_WINDOW_PERIODS = 3.0
_MIN_LENGTH_S = 0.2  # shorter loops buzz or flutter ...
_MIN_PERIODS = 8.0
_LONG_S = 1.0  # ... and from here on longer is no better
_N_ENDS = 4
_FIRST_END = 0.6  # of the steady part: the first end that is tried
_COARSE = 8  # most frames to one of the reduced rate, and least of those to a period
_LENGTH_WORTH = 0.1  # of similarity, for a length of _LONG_S
_UNEVEN_COST = 0.03  # of similarity, for each dB of the level's deviation within the loop
_DRIFT_COST = 0.02  # of similarity, for each dB between both ends
_PERIODS_TRIED = 8  # more or fewer than the coarse match
_EXACT_FRAMES = 0.12  # a whole number of periods may miss a whole number of frames by this
_INHARMONIC_GAIN = 0.02  # of similarity, for which the whole number of periods is given up


@dataclass(frozen=True, kw_only=True, slots=True)
class Sustain:
    """The part of a note that may be looped."""

    start: int
    """First frame after the attack."""
    end: int
    """First frame of the release."""
    slope_db_s: float
    """How the level moves from the attack to the release, dB per second; below 0 it falls."""
    level_db: float
    """Usual level in it, dB relative to full scale (RMS)."""

    def why_no_loop(self, steepest_db_s: float = STEEPEST_DB_S) -> str:
        """One clause for a person, empty where the note can be looped."""
        if self.end <= self.start:
            return "the note is too short"
        if abs(self.slope_db_s) > steepest_db_s:
            direction = "decays" if self.slope_db_s < 0 else "swells"
            return f"the note {direction} by {abs(self.slope_db_s):.0f} dB/s"
        return "the note is silent" if self.level_db < _SILENCE_DB else ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoopedNote:
    """A note whose loop needs no crossfade any more."""

    samples: Samples
    """As long as the note given, in its shape; its peak may have grown by the drift evened out."""
    loop: Loop
    """Where to wrap."""
    similarity: float
    """Correlation of what was faded into each other, -1 to 1; near 0 for noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Match:
    start: int
    end: int
    similarity: float


def find_sustain(samples: Samples, sample_rate: int, f0_hz: float) -> Sustain:
    """Where a note is steady and how steady it is.

    Args:
        samples: [T] or [C, T].
        sample_rate: Hz.
        f0_hz: Pitch of the note.

    Raises:
        ParameterError: The pitch or the rate is not above 0.
    """
    channels = _channels(samples, sample_rate, f0_hz)
    block = math.ceil(max(_BLOCK_S * sample_rate, sample_rate / f0_hz))
    levels_db = _levels_db(channels, block)
    n_blocks = len(levels_db)
    if n_blocks < _MIN_BLOCKS:
        return Sustain(start=0, end=0, slope_db_s=0.0, level_db=0.0)
    first = round(_SLOPE_SHARE * n_blocks)
    usual_db = float(np.median(levels_db[first:]))
    end = int(np.flatnonzero(levels_db >= usual_db - _RELEASE_DB)[-1])  # without that last block
    times_s = np.arange(first, end) * (block / sample_rate)
    slope = float(np.polyfit(times_s, levels_db[first:end], 1)[0]) if len(times_s) > 1 else 0.0
    tail = max(GUARD_FRAMES, round(_TAIL_S * sample_rate))
    return Sustain(
        start=max(GUARD_FRAMES, round(_ATTACK_SHARE * n_blocks) * block),
        end=min(end * block, channels.shape[1] - tail),
        slope_db_s=slope,
        level_db=usual_db,
    )


def find_loop(
    samples: Samples, sample_rate: int, f0_hz: float, *, steepest_db_s: float = STEEPEST_DB_S
) -> LoopedNote | None:
    """Loop a note, or leave it alone where it does not sustain.

    Args:
        samples: A note from its beginning to its end, [T] or [C, T].
        sample_rate: Hz.
        f0_hz: Its exact pitch.
        steepest_db_s: Notes that decay or swell faster are not looped.

    Returns:
        The note with its loop, or None; :meth:`Sustain.why_no_loop` says why.

    Raises:
        ParameterError: The pitch or the rate is not above 0.
    """
    channels = _channels(samples, sample_rate, f0_hz)
    sustain = find_sustain(samples, sample_rate, f0_hz)
    if sustain.why_no_loop(steepest_db_s):
        return None
    mono = channels[0] if len(channels) == 1 else channels.mean(axis=0)
    match = _find_match(mono, sample_rate, f0_hz, sustain)
    if match is None:
        return None
    return _join(samples, match, sample_rate, sustain)


def _channels(samples: Samples, sample_rate: int, f0_hz: float) -> Samples:
    """[C, T] of a note, once its description is known to make sense."""
    if not (f0_hz > 0 and sample_rate > 0):
        raise ParameterError(
            f"A note of {f0_hz} Hz at {sample_rate} samples a second has no period; "
            "give a pitch and a rate above 0."
        )
    return np.atleast_2d(samples)


def _levels_db(channels: Samples, block: int) -> NDArray[np.float64]:
    """Mean-square level of consecutive whole blocks, dB, [B]."""
    n_blocks = channels.shape[1] // block
    blocks = channels[:, : n_blocks * block].reshape(len(channels), n_blocks, block)
    power = np.einsum("cbw,cbw->b", blocks, blocks) / (block * len(channels))
    levels_db: NDArray[np.float64] = 10.0 * np.log10(power.astype(np.float64) + 1e-12)
    return levels_db


def _find_match(mono: Samples, sample_rate: int, f0_hz: float, sustain: Sustain) -> _Match | None:
    """The pair of ends, [T], whose surroundings are most alike; None where none fits."""
    period = sample_rate / f0_hz
    window = math.ceil(max(_WINDOW_S * sample_rate, _WINDOW_PERIODS * period))
    available = sustain.end - sustain.start
    shortest = max(_MIN_LENGTH_S * sample_rate, _MIN_PERIODS * period)
    shortest = math.ceil(min(shortest, max(available / 3, 2 * period)))
    if available < window + shortest:
        window = math.ceil(period)
    if available < window + shortest:
        return None
    step = min(_COARSE, max(1, int(period / _COARSE)))
    if window // step + math.ceil(shortest / step) > available // step:
        return None  # it fits, but not in whole steps
    start, end = _coarse_match(mono, sample_rate, sustain, window // step, shortest, step)
    return _fine_match(mono, start, end, period, window, sustain, 2 * step)


def _coarse_match(
    mono: Samples, sample_rate: int, sustain: Sustain, window: int, shortest: int, step: int
) -> tuple[int, int]:
    """Start and end of the best pair, a few frames off.

    Args:
        mono: [T].
        sample_rate: Hz.
        sustain: Where to search.
        window: Frames compared before both ends, at the reduced rate.
        shortest: Least length of the loop, frames.
        step: Frames of ``mono`` to one of the reduced rate.
    """
    body = mono[sustain.start : sustain.end]
    n_coarse = len(body) // step
    coarse = body[: n_coarse * step].reshape(n_coarse, step) @ np.full(step, 1 / step, np.float32)
    nearest = window + math.ceil(shortest / step)  # an end at least so far in has a start
    ends = np.unique(
        np.linspace(max(nearest, _FIRST_END * n_coarse), n_coarse, _N_ENDS).astype(int)
    )
    templates = np.stack([coarse[end - window : end] for end in ends])
    n_fft = scipy.fft.next_fast_len(n_coarse + window, real=True)
    spectra = scipy.fft.rfft(templates, n_fft).conj() * scipy.fft.rfft(coarse, n_fft)
    products = scipy.fft.irfft(spectra, n_fft)  # [E, S]
    energy = np.concatenate([[0.0], np.cumsum(np.square(coarse, dtype=np.float64))])
    energies = (energy[window:] - energy[:-window]).astype(np.float32) + np.float32(1e-9)  # [S]
    block = round(_BLOCK_S * sample_rate / step)
    deviation_db = _deviation(_levels_db(coarse[None], block))
    blocks = np.minimum(np.arange(n_coarse + 1) // block, len(deviation_db) - 1)
    drift_of = 10.0 * np.log10(energies)
    seconds = np.arange(n_coarse + 1, dtype=np.float32) * np.float32(step / sample_rate)
    best: tuple[float, int, int] = (-np.inf, 0, 0)
    for end, product in zip(ends, products, strict=True):
        n_starts = end - nearest + 1
        drift_db = np.abs(drift_of[:n_starts] - drift_of[end - window])
        length_s = np.minimum(seconds[end] - seconds[window : window + n_starts], _LONG_S)
        score = (
            product[:n_starts] / np.sqrt(energies[:n_starts] * energies[end - window])
            + _LENGTH_WORTH / _LONG_S * length_s
            - _DRIFT_COST * drift_db
            - _UNEVEN_COST * deviation_db[blocks[end]][blocks[window : window + n_starts]]
        )
        score[drift_db > _MAX_DRIFT_DB] -= 1.0
        place = int(np.argmax(score))
        best = max(best, (float(score[place]), window + place, int(end)))
    return sustain.start + best[1] * step, sustain.start + best[2] * step


def _deviation(levels_db: NDArray[np.float64]) -> NDArray[np.float32]:
    """Standard deviation of the levels up to one block (row) from another one (column), [B, B]."""
    sums, squares = (
        np.concatenate([[0.0], np.cumsum(values)]) for values in (levels_db, levels_db**2)
    )
    last, first = np.ogrid[1 : len(levels_db) + 1, : len(levels_db)]
    count = np.maximum(last - first, 1)
    mean = (sums[last] - sums[first]) / count
    variance = (squares[last] - squares[first]) / count - mean**2
    deviation: NDArray[np.float32] = np.sqrt(np.maximum(variance, 0.0)).astype(np.float32)
    return deviation


def _fine_match(
    mono: Samples, start: int, end: int, period: float, window: int, sustain: Sustain, reach: int
) -> _Match:
    """The best start near a coarse one: whole periods before its end, unless another fits better.

    Args:
        mono: [T].
        start: Coarse start, frame.
        end: End of the loop, frame.
        period: Period of the pitch, frames.
        window: Frames compared before both ends.
        sustain: Its start bounds the search.
        reach: Frames by which the coarse start may be off.
    """
    template = mono[end - window : end]

    def similarity(at: int) -> float:
        before = mono[at - window : at]
        return float(before @ template) / math.sqrt(
            float(before @ before) * float(template @ template) + 1e-12
        )

    lowest = sustain.start + window
    highest = end - max(32, math.ceil(min(2 * period, (end - lowest) / 2)))
    free = [s for s in range(start - reach, start + reach + 1) if lowest <= s <= highest]
    free_best = max(free, key=similarity, default=max(lowest, min(start, highest)))
    number = round((end - start) / period)
    counts = range(max(1, number - _PERIODS_TRIED), number + _PERIODS_TRIED + 1)
    lengths = [n * period for n in counts if lowest <= end - round(n * period) <= highest]
    exact = [x for x in lengths if abs(x - round(x)) <= _EXACT_FRAMES]
    if not exact and lengths:
        exact = [min(lengths, key=lambda x: abs(x - round(x)))]
    periodic = [end - round(x) for x in exact]
    if periodic:
        best = max(periodic, key=similarity)
        if similarity(best) >= similarity(free_best) - _INHARMONIC_GAIN:
            return _Match(start=best, end=end, similarity=similarity(best))
    return _Match(start=free_best, end=end, similarity=similarity(free_best))


def _join(samples: Samples, match: _Match, sample_rate: int, sustain: Sustain) -> LoopedNote:
    """Even out the level, then fade both ends into each other, [..., T]."""
    start, end = match.start, match.end
    joined = samples.copy()
    window = min(round(_FADE_S * sample_rate), start - sustain.start + GUARD_FRAMES, end - start)
    before_start = slice(start - window, start)
    before_end = slice(end - window, end)
    power_start, power_end = (
        float(np.mean(np.square(samples[..., part], dtype=np.float64))) + 1e-12
        for part in (before_start, before_end)
    )
    drift_db = 10.0 * math.log10(power_end / power_start)
    even = 10.0 ** (-drift_db / 20.0)
    joined[..., start:end] *= np.linspace(1.0, even, end - start, dtype=np.float32)
    joined[..., end:] *= np.float32(even)

    similarity = _correlation(joined[..., before_start], joined[..., before_end])
    fade = window - GUARD_FRAMES
    own, other = _gains(fade, similarity)
    into = slice(end - window, end - GUARD_FRAMES)
    joined[..., into] = (
        own * joined[..., into] + other * joined[..., start - window : start - GUARD_FRAMES]
    )
    joined[..., end - GUARD_FRAMES : end] = joined[..., start - GUARD_FRAMES : start]

    back = min(fade, joined.shape[-1] - end - GUARD_FRAMES, end - start - GUARD_FRAMES)
    own, other = _gains(back, similarity)
    joined[..., end : end + GUARD_FRAMES] = joined[..., start : start + GUARD_FRAMES]
    out_of = slice(end + GUARD_FRAMES, end + GUARD_FRAMES + back)
    joined[..., out_of] = (
        own[::-1] * joined[..., out_of]
        + other[::-1] * joined[..., start + GUARD_FRAMES : start + GUARD_FRAMES + back]
    )
    return LoopedNote(
        samples=joined,
        loop=Loop(start=start, end=end),
        similarity=similarity,
    )


def _correlation(one: Samples, other: Samples) -> float:
    power = float(np.sum(one * one)) * float(np.sum(other * other))
    return float(np.sum(one * other)) / math.sqrt(power + 1e-12)


def _gains(length: int, similarity: float) -> tuple[Samples, Samples]:
    """Falling and rising gain that keep the power of two sounds of one level, [W] each.

    The same sound gives straight raised cosines, strangers an equal-power crossfade.
    """
    rising = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(1, length))
    falling = 1.0 - rising
    power = rising**2 + falling**2 + 2.0 * max(0.0, similarity) * rising * falling
    scale = 1.0 / np.sqrt(power)
    return (falling * scale).astype(np.float32), (rising * scale).astype(np.float32)
