"""Tones, instruments and short performances for the tests of the sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.instrument import MIN_LOOP_START, Instrument, Loop, Region
from core.sampler.sampler import Sampler

RATE = 44100
Samples = NDArray[np.float32]
Action = tuple[int, Callable[[Sampler], None]]
"""A frame, and what is done at it."""


def sine(frequency_hz: float, n: int, amplitude: float = 0.5, rate: int = RATE) -> Samples:
    """[1, n], from a zero crossing."""
    phase = 2 * np.pi * frequency_hz * np.arange(n) / rate
    return (amplitude * np.sin(phase)).astype(np.float32)[None]


def note_hz(note: float) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def region(
    samples: Samples, root: int = 60, low: int = 0, high: int = 127, loop: Loop | None = None
) -> Region:
    return Region(root_note=root, low_key=low, high_key=high, samples=samples, loop=loop)


def instrument(*regions: Region, rate: int = RATE) -> Instrument:
    return Instrument(name="tones", sample_rate=rate, regions=regions)


def looped_sine(
    root: int = 60, amplitude: float = 0.5, periods: int = 100, rate: int = RATE
) -> Region:
    """About root_note, on a whole number of frames per period: a loop of it never steps."""
    period = round(rate / note_hz(root))
    before = MIN_LOOP_START // period + 1
    samples = sine(rate / period, period * (periods + 2 * before), amplitude, rate)
    return region(samples, root, loop=Loop(start=before * period, end=(before + periods) * period))


def loaded(*regions: Region, rate: int = RATE, voices: int = 64) -> Sampler:
    sampler = Sampler(RATE, voices=voices)
    sampler.load(instrument(*regions, rate=rate))
    return sampler


def render(sampler: Sampler, n: int, block: int = 512) -> Samples:
    """[2, n] in blocks of any size; n = 0 is one empty block."""
    out = np.zeros((2, n), np.float32)
    for start in range(0, max(1, n), block):
        sampler.render(out[:, start : start + block])
    return out


def perform(sampler: Sampler, actions: Sequence[Action], n: int, block: int = 512) -> Samples:
    """[2, n] with actions at their frames, in blocks that end there and after ``block`` frames."""
    pieces = []
    now = 0
    for frame, action in sorted(actions, key=lambda each: each[0]):
        pieces.append(render(sampler, frame - now, block))
        action(sampler)
        now = frame
    pieces.append(render(sampler, n - now, block))
    return np.concatenate(pieces, axis=1)


def largest_step(out: Samples) -> float:
    """Largest difference between neighbouring frames, silence before the first included."""
    return float(np.abs(np.diff(out, axis=1, prepend=np.float32(0.0))).max())


def frequency_hz(signal: Samples, rate: int = RATE) -> float:
    """Frequency of a steady sine, [n], from the phase advance between two windowed halves."""
    half = len(signal) // 2
    window = np.hanning(half)
    first, second = (np.fft.rfft(part * window) for part in (signal[:half], signal[half:][:half]))
    peak = int(np.argmax(np.abs(first)))
    coarse = peak / half
    advance = np.angle(second[peak] * np.conj(first[peak])) / (2 * np.pi)
    turns = np.round(coarse * half - advance)
    return float((turns + advance) / half * rate)
