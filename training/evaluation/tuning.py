"""How far from its note a rendered sound is, by an independent tracker (librosa's YIN)."""

from __future__ import annotations

import librosa
import numpy as np
from numpy.typing import NDArray

SEARCH_SEMITONES = 1.5
"""How far from the note wanted the tracker looks."""
HIGHEST_NOTE = 96.0
"""MIDI pitch above which a period is too few samples to trust the tracker to a few cents."""
CLEAR_CENTS = 10.0
"""A true note this near to its key has a pitch that others can be in tune with."""


def tuning_error_cents(
    audio: NDArray[np.float32], midi_pitch: float, sample_rate: int
) -> float | None:
    """Median deviation of a note's first second after the attack.

    Args:
        audio: [T].
        midi_pitch: The note wanted, fractional MIDI.
        sample_rate: Hz.

    Returns:
        Cents, above 0 where the sound is sharp; None where it is silent or leaves the search range.
    """
    start = round(0.08 * sample_rate)
    part = audio[start : start + sample_rate]
    wanted_hz = 440.0 * 2.0 ** ((midi_pitch - 69.0) / 12.0)
    reach = 2.0 ** (SEARCH_SEMITONES / 12.0)
    frame = int(2 ** np.ceil(np.log2(max(2048.0, 6.0 * sample_rate / wanted_hz))))
    if len(part) < frame or float(np.max(np.abs(part))) < 1e-4:
        return None
    # Up-sampling sharpens YIN's period grid for high notes.
    factor = 4 if wanted_hz > 300.0 else 1
    fine = librosa.resample(part, orig_sr=sample_rate, target_sr=sample_rate * factor)
    tracked = librosa.yin(
        fine,
        fmin=wanted_hz / reach,
        fmax=wanted_hz * reach,
        sr=sample_rate * factor,
        frame_length=frame * factor,
    )
    cents = 1200.0 * np.log2(tracked / wanted_hz)
    error = float(np.median(cents))
    return None if abs(error) > 100.0 * (SEARCH_SEMITONES - 0.1) else error
