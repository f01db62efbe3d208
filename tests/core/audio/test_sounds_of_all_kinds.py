"""The root of sounds as designers have them: what is heard rightly stays so.

Every sound goes through a file without a name or chunks that tell its root.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from core.audio.files import read_audio
from core.audio.pitch import midi_to_hz
from core.audio.root import find_root
from core.audio.signal import isolate_note
from tests.helpers.signals import harmonic_tone

RATE = 44100

Wave = NDArray[np.float64]


def time_of(length_s: float) -> Wave:
    return np.arange(round(length_s * RATE)) / RATE


def along(frequency_hz: Wave) -> Wave:
    """The phase of a frequency that moves."""
    phase: Wave = 2 * np.pi * np.cumsum(frequency_hz) / RATE
    return phase


def tone(note: float, length_s: float = 0.8, count: int = 12, **settings: float) -> Wave:
    partials = tuple(1 / n for n in range(1, count + 1))
    sound = harmonic_tone(midi_to_hz(note), length_s, partials=partials, **settings)  # type: ignore[arg-type]
    return sound.astype(np.float64)


def partials_of(note: float, length_s: float, *parts: tuple[float, float, float]) -> Wave:
    """Partials by ratio, level and decay rate."""
    time_s = time_of(length_s)
    waves = [
        level * np.sin(2 * np.pi * midi_to_hz(note) * ratio * time_s) * np.exp(-rate * time_s)
        for ratio, level, rate in parts
    ]
    wave: Wave = np.sum(waves, axis=0)
    return wave


def bass_808(note: float, drive: float) -> Wave:
    time_s = time_of(1.4)
    root_hz = midi_to_hz(note)
    wave = np.sin(along(root_hz + (180 - root_hz) * np.exp(-time_s / 0.015)))
    wave *= np.exp(-1.6 * time_s)
    return np.tanh(drive * wave) if drive else wave


def scoop(note: float) -> Wave:
    time_s = time_of(1.2)
    phase = along(midi_to_hz(note) * 2 ** (-2 / 12 * np.exp(-time_s / 0.08)))
    wave: Wave = np.sum([np.sin(n * phase) / n for n in range(1, 10)], axis=0)
    return wave


def fall_off(note: float) -> Wave:
    time_s = time_of(1.2)
    phase = along(midi_to_hz(note) * 2 ** -np.interp(time_s, (0, 0.8, 1.2), (0, 0, 1)))
    wave: Wave = np.sum([np.sin(n * phase) / n for n in range(1, 12)], axis=0)
    return wave


def pulse(note: float) -> Wave:
    return np.where(midi_to_hz(note) * time_of(0.8) % 1 < 0.03, 1.0, -0.03)


def missing_fundamental(note: float) -> Wave:
    return partials_of(note, 0.8, *((n, 1.0, 0.0) for n in range(5, 13)))


def supersaw(note: float) -> Wave:
    cents = (-22, -13, -5, 0, 6, 14, 21)
    wave: Wave = np.sum([tone(note + c / 100, 1.0, 30) for c in cents], axis=0)
    return wave


def over_hum(note: float) -> Wave:
    hum = partials_of(31.35, 1.0, *((n, 1 / n, 0.0) for n in (1, 2, 3, 5)))
    return 0.7 * tone(note, 1.0, 6, decay_s=0.33) + 0.14 * hum / np.max(np.abs(hum))


def breathy(note: float) -> Wave:
    return tone(note, 0.8, 3) + 0.3 * np.random.default_rng(3).standard_normal(round(0.8 * RATE))


def piano(note: float) -> Wave:
    stretched = (
        (n * np.sqrt(1 + 0.0004 * n * n), (0.03 if n == 1 else 1) / n**0.6, 0.0)
        for n in range(1, 50)
    )
    return partials_of(note, 1.4, *stretched)


def xylophone(note: float) -> Wave:
    return partials_of(note, 0.6, (1, 1, 9), (3, 0.7, 14))


def glockenspiel(note: float) -> Wave:
    return partials_of(note, 0.6, (1, 1, 3), (2.756, 0.8, 6), (5.404, 0.5, 12))


def lead_with_sub(note: float) -> Wave:
    return tone(note) + 0.5 * tone(note - 12, 0.8, 2)


def after_breath(note: float) -> Wave:
    noise = 0.08 * np.random.default_rng(3).standard_normal(round(0.25 * RATE))
    return np.concatenate([noise, 0.8 * tone(note)])


def over_offset(note: float) -> Wave:
    return 0.5 + 0.1 * np.pad(tone(note, 0.6, decay_s=0.5), (round(0.15 * RATE), 0))


def over_rumble(note: float) -> Wave:
    sound = np.pad(0.5 * tone(note, 0.6, decay_s=0.5), (round(0.15 * RATE), 0))
    return sound + 0.3 * np.sin(2 * np.pi * 6 * np.arange(len(sound)) / RATE)


def swell(note: float) -> Wave:
    return tone(note, 1.6) * np.minimum(1, time_of(1.6) / 1.2) ** 2


def clipped(note: float) -> Wave:
    return np.clip(6 * tone(note, 0.5), -1, 1)


def delay_throw(note: float) -> Wave:
    sound = tone(note, 0.12, decay_s=0.1)
    echoes = np.zeros(round(1.2 * RATE))
    for number in range(4):
        start = round(0.3 * number * RATE)
        echoes[start : start + len(sound)] += 0.8 * 0.55**number * sound
    return echoes


def cut_start(note: float) -> Wave:
    sound = tone(note, 0.6, decay_s=0.5)
    return sound[np.argmax(np.abs(sound[:2000])) :]


KINDS: list[tuple[Callable[[float], Wave], tuple[float, ...]]] = [
    (tone, (40.0, 51.59, 57.0, 74.3)),
    (lambda note: bass_808(note, 0.0), (29.0, 33.0)),
    (lambda note: bass_808(note, 4.0), (29.0, 31.5)),
    (scoop, (60.0, 69.0)),
    (fall_off, (60.0, 72.0)),
    (pulse, (45.0, 52.0)),
    (missing_fundamental, (45.0, 50.0)),
    (supersaw, (57.0, 64.0)),
    (over_hum, (74.0, 81.0)),
    (breathy, (84.0, 76.0)),
    (piano, (21.0, 24.0)),
    (xylophone, (72.0, 79.0)),
    (glockenspiel, (84.0, 79.0)),
    (lead_with_sub, (48.0, 60.0)),
    (after_breath, (55.0, 62.0)),
    (over_offset, (57.0, 64.0)),
    (over_rumble, (57.0, 64.0)),
    (swell, (52.0, 59.0)),
    (clipped, (45.0, 57.0)),
    (delay_throw, (57.0, 69.0)),
    (cut_start, (45.0, 57.0)),
]
NAMES = (
    "tone", "808", "driven 808", "scoop", "fall-off", "pulse", "missing fundamental", "supersaw",
    "over hum", "breathy", "piano", "xylophone", "glockenspiel", "lead with sub", "after breath",
    "over an offset", "over rumble", "swell", "clipped", "delay throw", "cut start",
)  # fmt: skip


@pytest.mark.parametrize(
    ("make", "note"),
    [
        pytest.param(make, note, id=f"{name} {note:g}")
        for name, (make, notes) in zip(NAMES, KINDS, strict=True)
        for note in notes
    ],
)
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_what_is_heard_rightly_stays_so(
    tmp_path: Path, make: Callable[[float], Wave], note: float, subtype: str
) -> None:
    sound = make(note)
    path = tmp_path / "sound.wav"
    soundfile.write(path, 0.8 * sound / np.max(np.abs(sound)), RATE, subtype)
    clip = read_audio(path)
    root = find_root(isolate_note(clip), clip.facts)
    assert root.midi_pitch == pytest.approx(note, abs=0.15)
    assert root.confidence > 0.85
    assert not root.is_noise
