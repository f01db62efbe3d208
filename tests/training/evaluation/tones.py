"""Harmonic tones whose pitch is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.mel import MelConfig

RATE = 44100


def harmonic_note(midi_pitch: float, partials: int = 12) -> NDArray[np.float32]:
    """A steady tone of a note window, peak 0.4, [T]."""
    f0 = 440.0 * 2.0 ** ((midi_pitch - 69.0) / 12.0)
    time_s = np.arange(MelConfig().n_samples) / RATE
    orders = range(1, min(partials, int(20000 / f0)) + 1)
    sound = sum(np.sin(2 * np.pi * f0 * k * time_s + k) / k for k in orders)
    return (0.4 * sound / np.max(np.abs(sound))).astype(np.float32)
