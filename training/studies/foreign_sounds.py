"""Sounds that no training instrument resembles, made in code: voice, noise, drums, foley.

Shape legend: T samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from core.audio.files import AudioClip
from core.audio.pitch import midi_to_hz

Wave = NDArray[np.float64]

SECONDS = 1.5
VOICE_NOTE = 52
CREAK_HZ = (20.0, 90.0)
"""Pulses a second of the creaking door, from its start to its end."""
BAR_RATIOS = (1.0, 2.756, 5.404, 8.933)
"""Partials of a free bar (Fletcher and Rossing, *The Physics of Musical Instruments*, §2.15)."""
AH_FORMANTS_HZ = (730.0, 1090.0, 2440.0)
"""The vowel of *father* (Peterson and Barney, 1952)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignSound:
    """One sound."""

    kind: str
    """Kind of the sound: voice, noise, drum or foley."""
    clip: AudioClip
    root: float | None
    """Fractional MIDI note of the sound; None where it has no pitch."""


def foreign_sounds(sample_rate: int) -> list[ForeignSound]:
    """All foreign sounds; they are equal every time."""
    rng = np.random.default_rng(0)
    time_s = np.arange(round(SECONDS * sample_rate)) / sample_rate
    noise = rng.standard_normal(len(time_s))
    vibrato = 0.25 * np.sin(2.0 * np.pi * 5.5 * time_s) * np.clip(2.0 * time_s - 0.5, 0.0, 1.0)
    phase = np.cumsum(midi_to_hz(VOICE_NOTE) * 2.0 ** (vibrato / 12.0)) / sample_rate
    glottis = signal.sawtooth(2.0 * np.pi * phase) * np.clip(time_s / 0.08, 0.0, 1.0)
    creak = np.cumsum(np.linspace(*CREAK_HZ, len(time_s))) / sample_rate
    pulses = np.diff(np.floor(creak), prepend=0.0)
    kick_hz = 45.0 + 130.0 * np.exp(-time_s / 0.03)
    bar = sum(
        np.sin(2.0 * np.pi * midi_to_hz(72) * ratio * time_s) * np.exp(-time_s * 3.0 * ratio)
        for ratio in BAR_RATIOS
    )
    drop_hz = 600.0 + 900.0 * np.clip(time_s / 0.12, 0.0, 1.0)
    made: Sequence[tuple[str, str, Wave, float | None]] = (
        ("voice", "ah with vibrato", _formants(glottis, sample_rate), VOICE_NOTE),
        ("voice", "whispered ah", _formants(noise, sample_rate), None),
        ("noise", "white noise", noise, None),
        ("noise", "wind", _band(noise, (200.0, 900.0), sample_rate), None),
        ("drum", "kick", _sweep(kick_hz, sample_rate) * np.exp(-time_s / 0.15), None),
        (
            "drum",
            "snare",
            (0.5 * np.sin(2.0 * np.pi * 185.0 * time_s) + noise) * np.exp(-time_s / 0.08),
            None,
        ),
        (
            "drum",
            "hi-hat",
            _band(noise, (7000.0, 16000.0), sample_rate) * np.exp(-time_s / 0.05),
            None,
        ),
        ("foley", "struck bar", np.asarray(bar), 72.0),
        ("foley", "creaking door", _formants(pulses, sample_rate), None),
        ("foley", "water drop", _sweep(drop_hz, sample_rate) * np.exp(-time_s / 0.04), None),
        (
            "foley",
            "footstep",
            _band(noise, (80.0, 1200.0), sample_rate) * np.exp(-time_s / 0.03),
            None,
        ),
    )
    return [
        ForeignSound(
            kind=kind,
            clip=AudioClip(
                samples=(0.9 * wave / np.max(np.abs(wave))).astype(np.float32)[None],
                sample_rate=sample_rate,
                name=name,
            ),
            root=root,
        )
        for kind, name, wave, root in made
    ]


def _formants(source: Wave, sample_rate: int) -> Wave:
    """The vowel *ah* of an excitation [T]."""
    peaks = [signal.iirpeak(hz, 8.0, sample_rate) for hz in AH_FORMANTS_HZ]
    vowel: Wave = np.sum([signal.lfilter(b, a, source) for b, a in peaks], axis=0)
    return vowel


def _band(source: Wave, band_hz: tuple[float, float], sample_rate: int) -> Wave:
    """A band of a sound [T]."""
    sections = signal.butter(2, band_hz, "bandpass", fs=sample_rate, output="sos")
    filtered: Wave = signal.sosfilt(sections, source)
    return filtered


def _sweep(frequency_hz: Wave, sample_rate: int) -> Wave:
    """A sine of moving frequency [T]."""
    return np.sin(2.0 * np.pi * np.cumsum(frequency_hz) / sample_rate)
