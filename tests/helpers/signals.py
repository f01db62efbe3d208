"""Small sounds for tests: mono float32 in [-1, 1], shape [T], 44.1 kHz unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def sine(frequency_hz: float, length_s: float = 1.0, sample_rate: int = 44100) -> Samples:
    """Full-scale sine from phase 0."""
    time_s = np.arange(round(length_s * sample_rate)) / sample_rate
    return np.sin(2 * np.pi * frequency_hz * time_s).astype(np.float32)


def harmonic_tone(
    frequency_hz: float,
    length_s: float = 1.0,
    sample_rate: int = 44100,
    *,
    partials: Sequence[float] = tuple(1 / n for n in range(1, 13)),
    vibrato_cents: float = 0.0,
    decay_s: float = np.inf,
    attack_s: float = 0.002,
) -> Samples:
    """Sum of harmonics with the given amplitudes (those above 0.45 fs left out), peak 0.9."""
    time_s = np.arange(round(length_s * sample_rate)) / sample_rate
    rate_hz = 5.5
    bend = vibrato_cents / 1200 * np.log(2) / (2 * np.pi * rate_hz)
    phase = 2 * np.pi * frequency_hz * (time_s + bend * np.sin(2 * np.pi * rate_hz * time_s))
    tone = np.zeros_like(phase)
    for number, amplitude in enumerate(partials, start=1):
        if number * frequency_hz < 0.45 * sample_rate:
            tone += amplitude * np.sin(number * phase + 2.4 * number * number)
    tone *= np.exp(-time_s / decay_s) * np.minimum(1.0, time_s / attack_s)
    return (0.9 * tone / np.max(np.abs(tone))).astype(np.float32)


def noise_burst(
    length_s: float = 1.0, sample_rate: int = 44100, *, decay_s: float = np.inf, seed: int = 0
) -> Samples:
    """White noise, exponentially decaying, peak 0.9."""
    time_s = np.arange(round(length_s * sample_rate)) / sample_rate
    noise = np.random.default_rng(seed).standard_normal(len(time_s)) * np.exp(-time_s / decay_s)
    return (0.9 * noise / np.max(np.abs(noise))).astype(np.float32)


def bell(frequency_hz: float, length_s: float = 2.0, sample_rate: int = 44100) -> Samples:
    """Church-bell partials (hum, prime, tierce, quint, nominal …) around a prime, peak 0.9."""
    time_s = np.arange(round(length_s * sample_rate)) / sample_rate
    ratios = (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.67, 3.0, 4.0)
    levels = (0.5, 0.8, 0.6, 0.3, 1.0, 0.3, 0.3, 0.4, 0.3)
    tone = np.zeros_like(time_s)
    for ratio, level in zip(ratios, levels, strict=True):
        decay = np.exp(-time_s * ratio * 1.5)
        tone += level * decay * np.sin(2 * np.pi * ratio * frequency_hz * time_s)
    return (0.9 * tone / np.max(np.abs(tone))).astype(np.float32)
