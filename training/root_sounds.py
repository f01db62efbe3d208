"""Sounds that the finder of root notes learns from beside the corpus: awkward tones, noise, drums.

Every sound is mono at 44.1 kHz and as long as a note of the corpus, with a peak of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from core.audio.pitch import midi_to_hz
from training.corpus.soundfonts import FontPlayer, list_drum_kits
from training.corpus.source import N_SAMPLES, SAMPLE_RATE, SILENCE_PEAK
from training.corpus.splits import DRUM_BANK, Split, split_of

FloatArray = NDArray[np.float64]
Samples = NDArray[np.float32]

DRUM_KEYS = (38, 39, 40, 42, 44, 46, 49, 51, 52, 54, 55, 57, 59, 69, 70)
"""General MIDI snares, claps, cymbals and shakers. Toms and congas have a pitch; whether a bass drum
has one is a matter of taste."""
TONE_KINDS = (
    "plain",
    "missing",
    "weak",
    "odd",
    "few",
    "formant",
    "organ",
    "stiff",
    "membrane",
    "short",
)
"""Spectra of the synthetic tones, see :func:`draw_tone`."""
MEMBRANE_RATIOS = (1.0, 1.5, 1.98, 2.44, 2.94)
"""Preferred modes of a timpani over the note heard (Fletcher and Rossing 1998)."""


def draw_tone(rng: np.random.Generator) -> tuple[Samples, float]:
    """A harmonic tone of an awkward spectrum.

    The fundamental may be missing or weak, the even partials absent, there may be one to three
    partials, a strong formant, organ stops, the partials of a stiff string or of a timpani, or only
    a fraction of a second. Vibrato, decay, attack and the noise floor vary.

    Returns:
        Mono at 44.1 kHz, peak 1, [N_SAMPLES]; and its MIDI pitch, 26 to 104.
    """
    midi_pitch = float(rng.uniform(26.0, 104.0))
    root_hz = midi_to_hz(midi_pitch)
    kind = str(rng.choice(TONE_KINDS))
    times = np.arange(N_SAMPLES) / SAMPLE_RATE
    if kind == "membrane":
        sound = np.exp(-2.0 * times) * np.sin(2.0 * np.pi * root_hz * times)
        for ratio in MEMBRANE_RATIOS:
            decay = np.exp(-times * ratio * rng.uniform(1.0, 4.0))
            frequency = root_hz * ratio * rng.uniform(0.99, 1.01)
            sound += rng.uniform(0.1, 1.0) * decay * np.sin(2.0 * np.pi * frequency * times)
    else:
        numbers = np.arange(1, int(min(40.0, 10000.0 / root_hz)) + 1)
        stiffness = 10.0 ** rng.uniform(-5.0, -3.3) if kind == "stiff" else 0.0
        depth_octaves = rng.choice([0.0, 20.0]) * rng.random() / 1200.0
        wobble = depth_octaves * np.log(2.0) / (2.0 * np.pi * 5.5) * np.sin(2 * np.pi * 5.5 * times)
        phase = 2.0 * np.pi * root_hz * (times + wobble)
        sound = np.zeros(N_SAMPLES)
        for number, amplitude in zip(
            numbers, _amplitudes(kind, numbers, root_hz, rng), strict=True
        ):
            ratio = number * np.sqrt(1.0 + stiffness * number**2)
            sound += amplitude * np.sin(ratio * phase + rng.uniform(0.0, 2.0 * np.pi))
        sound *= np.exp(-times / 10.0 ** rng.uniform(-1.0, 1.5))
        sound *= np.minimum(1.0, times / 10.0 ** rng.uniform(-3.0, -0.7))
    if kind == "short":
        sound[int(SAMPLE_RATE * rng.uniform(0.06, 0.3)) :] = 0.0
    floor = 0.5 * np.abs(sound).max() * 10.0 ** (-rng.uniform(15.0, 70.0) / 20.0)
    return _normalised(sound + floor * rng.standard_normal(N_SAMPLES)), midi_pitch


def _amplitudes(
    kind: str, numbers: NDArray[np.int64], root_hz: float, rng: np.random.Generator
) -> FloatArray:
    """Amplitudes of the partials of these numbers; the highest roots have three."""
    steepest = 1.5 if kind == "missing" else 2.5
    amplitudes = np.asarray(numbers ** -rng.uniform(0.3, steepest), np.float64)
    match kind:
        case "missing" if len(numbers) >= 4:
            amplitudes[0] = 0.0
            amplitudes[1] *= rng.choice([0.3, 1.0])
            if len(numbers) >= 8 and rng.random() < 0.3:
                amplitudes[:3] = 0.0
        case "weak":
            amplitudes[0] *= 10.0 ** rng.uniform(-2.0, -0.5)
        case "odd":
            amplitudes[1::2] *= rng.choice([0.0, 0.03, 0.1])
        case "few":
            amplitudes[rng.integers(1, 4) :] = 0.0
        case "formant":
            centre_hz, width_hz = rng.uniform(300.0, 3000.0), rng.uniform(150.0, 800.0)
            amplitudes *= 0.02 + np.exp(-0.5 * ((numbers * root_hz - centre_hz) / width_hz) ** 2)
        case "organ":
            stops = np.isin(numbers, [1, 2, 3, 4, 6, 8, 16])
            amplitudes = np.where(stops, rng.uniform(0.1, 1.0, len(numbers)), 0.0)
            amplitudes[0] = rng.uniform(0.5, 1.0)
    return amplitudes


def draw_unpitched(rng: np.random.Generator, noises: int, clicks: int) -> list[tuple[str, Samples]]:
    """Kind and sound (mono at 44.1 kHz, peak 1, [N_SAMPLES]) of noises, then of clicks."""
    sounds = [("noise", _draw_noise(rng)) for _ in range(noises)]
    for _ in range(clicks):
        click = np.zeros(N_SAMPLES)
        length = int(rng.integers(1, 40))
        click[100 : 100 + length] = rng.choice([1.0, -1.0], length) if rng.random() < 0.5 else 1.0
        sounds.append(("clicks", _normalised(click)))
    return sounds


def _draw_noise(rng: np.random.Generator) -> Samples:
    """White, pink, brown or (twice as often) band-passed noise that decays in 10 ms to 30 s."""
    noise = rng.standard_normal(N_SAMPLES)
    match rng.choice(["white", "pink", "brown", "band", "band"]):
        case "pink":
            spectrum = np.fft.rfft(noise)
            spectrum /= np.sqrt(np.arange(len(spectrum)) + 1.0)
            spectrum[:50] = 0.0  # below 17 Hz
            noise = np.fft.irfft(spectrum)
        case "brown":
            high_pass = butter(2, 20.0, "highpass", fs=SAMPLE_RATE, output="sos")
            noise = sosfilt(high_pass, np.cumsum(noise))
        case "band":
            low_hz = 50.0 * 2.0 ** rng.uniform(0.0, 7.0)
            high_hz = min(20000.0, low_hz * 2.0 ** rng.uniform(1.0, 5.0))
            band = butter(2, [low_hz, high_hz], "bandpass", fs=SAMPLE_RATE, output="sos")
            noise = sosfilt(band, noise)
    times = np.arange(N_SAMPLES) / SAMPLE_RATE
    return _normalised(noise * np.exp(-times / 10.0 ** rng.uniform(-2.0, 1.5)))


def play_drums(fonts: Sequence[Path], split: Split) -> Iterator[tuple[str, Samples]]:
    """``drums`` and the sound (peak 1, [N_SAMPLES]) of each key of the drum kits of one split.

    Raises:
        CorpusError: A soundfont or FluidSynth is missing.
    """
    for font in fonts:
        kits = [kit for kit in list_drum_kits(font) if split_of(kit.program) is split]
        player = FontPlayer(font)
        try:
            for kit in kits:
                for key in DRUM_KEYS:
                    sound = player.play(DRUM_BANK, kit.program, key, velocity=100)
                    if np.abs(sound).max() >= SILENCE_PEAK:
                        yield "drums", _normalised(sound)
        finally:
            player.close()


def _normalised(samples: NDArray[np.floating]) -> Samples:
    """A sound brought to a peak of 1; it must not be silent."""
    scaled: Samples = (samples / np.abs(samples).max()).astype(np.float32)
    return scaled
