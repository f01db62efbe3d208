"""The one-shots that come with the program: eight patches made by hand on our synthesizer."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.audio.files import write_audio
from core.audio.signal import fade
from training.corpus.source import SAMPLE_RATE
from training.corpus.synth_engine import (
    ComplexArray,
    Envelope,
    FmLayer,
    Formant,
    HarmonicLayer,
    NoiseLayer,
    Operator,
    PartialLayer,
    Patch,
    ResonatorLayer,
    Shape,
    SpectralFilter,
    Vibrato,
    shape_series,
)
from training.corpus.synth_patches import VOWELS

PEAK = 10.0 ** (-1.0 / 20.0)
"""Peak of each file: -1 dBFS."""
N_HARMONICS = 400
"""Harmonics of the rich spectra; what lies above half the sample rate is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoSample:
    """One bundled sound."""

    name: str
    """The file's stem."""
    root: int
    """MIDI note that is played."""
    length_s: float
    release_s: float
    """Length of the fade at the end."""
    patch: Patch

    def render(self) -> NDArray[np.float32]:
        """The sound, mono, 44.1 kHz, peak -1 dBFS, [T]."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        n_samples = round(self.length_s * SAMPLE_RATE)
        sound = self.patch.render(self.root, 100, rng, n_samples=n_samples, sample_rate=SAMPLE_RATE)
        sound = fade(sound, fade_out=round(self.release_s * SAMPLE_RATE))
        return sound * np.float32(PEAK / np.abs(sound).max())


def _series(*levels_db: float) -> ComplexArray:
    """Harmonics at the given levels, cosine phases spread after Schroeder (1970) for a low peak."""
    k = np.arange(1, len(levels_db) + 1)
    phases = -np.pi * k * (k - 1) / len(levels_db)
    amplitudes = 10.0 ** (np.array(levels_db) / 20.0) * np.exp(1j * phases)
    return np.asarray(amplitudes, np.complex128)


def _slope_series(slope: float, *, even: float = 1.0, comb: float = 0.0) -> ComplexArray:
    """Harmonics that fall as k ** -slope; even ones scaled; a comb as of a string plucked there."""
    k = np.arange(1, N_HARMONICS + 1)
    level = k**-slope * np.where(k % 2 == 0, even, 1.0)
    if comb > 0.0:
        level = level * np.abs(np.sin(np.pi * k * comb))
    # Phases that wander with k sound like a recording rather than like a pulse train.
    wander = np.exp(2j * np.pi * np.cumsum(np.sin(k * 12.9898)) * 0.37)
    return np.asarray(level * wander, np.complex128)


def _bell() -> Patch:
    """A glass bell: clear pitch, a shimmer of bar modes that dies early, slow beating."""
    body = PartialLayer(
        ratios=(1.0, 2.0, 3.0, 4.003, 6.01),
        levels=(1.0, 0.42, 0.2, 0.16, 0.06),
        decays_s=(1.7, 1.3, 0.9, 0.7, 0.45),
        beating_hz=0.6,
        attack_s=0.0015,
    )
    shimmer = PartialLayer(
        ratios=(2.756, 5.404, 8.933, 11.34, 13.345, 18.64, 24.8),
        levels=(0.30, 0.28, 0.22, 0.12, 0.12, 0.07, 0.05),
        decays_s=(0.55, 0.40, 0.26, 0.2, 0.16, 0.09, 0.06),
        gain=0.8,
    )
    strike = NoiseLayer(
        gain=0.05, envelope=Envelope(attack_s=0.0005, decay_s=0.012), low_hz=2500, high_hz=14000
    )
    return Patch(name="bell", layers=(body, shimmer, strike))


def _pluck() -> Patch:
    """A steel string on a wooden body, plucked near the bridge."""
    wood = (
        Formant(110, 45, 2),
        Formant(215, 60, 1),
        Formant(420, 120, -3),
        Formant(1150, 500, -3),
        Formant(2600, 1300, -4),
        Formant(5200, 3000, -10),
    )
    string = HarmonicLayer(
        series=(_slope_series(0.75, comb=0.13),),
        envelope=Envelope(attack_s=0.0012, sustain=1.0),
        formants=(wood,),
        formant_floor_db=-18.0,
        decay_s=1.9,
        decay_slope=0.62,
        unison=2,
        unison_cents=2.0,
    )
    nail = NoiseLayer(
        gain=0.035, envelope=Envelope(attack_s=0.0004, decay_s=0.006), low_hz=1200, high_hz=9000
    )
    knock = NoiseLayer(
        gain=0.05, envelope=Envelope(attack_s=0.001, decay_s=0.035), low_hz=90, high_hz=260
    )
    return Patch(name="pluck", layers=(string, nail, knock))


def _pad() -> Patch:
    """Three slow saws under an opening filter, with a glassy wavetable drifting above."""
    swell = Envelope(attack_s=0.45, decay_s=1.0, sustain=1.0)
    warm = HarmonicLayer(
        series=(shape_series(Shape.SAW, N_HARMONICS),),
        envelope=swell,
        filter=SpectralFilter(
            cutoff_hz=850,
            q=1.1,
            envelope=Envelope(attack_s=1.5, decay_s=2.5, sustain=0.5),
            envelope_octaves=2.6,
        ),
        tilt_db=0.0,
        unison=3,
        unison_cents=9.0,
    )
    glass = HarmonicLayer(
        series=(
            _series(-6, 0, -30, -8, -40, -14, -40, -10, -40, -24),
            _series(-3, -12, -6, -20, -10, -30, -12, -34, -16, -36, -20, -40, -18),
            _series(-6, -6, -24, -4, -30, -10, -40, -12, -30, -40, -16, -40, -40, -40, -40, -20),
        ),
        gain=0.24,
        envelope=Envelope(attack_s=0.8, sustain=1.0),
        morph_s=2.6,
        unison=2,
        unison_cents=5.0,
    )
    air = NoiseLayer(
        gain=0.006, envelope=Envelope(attack_s=0.9, sustain=1.0), low_hz=3000, high_hz=11000
    )
    return Patch(name="pad", layers=(warm, glass, air))


def _vowel() -> Patch:
    """A low voice that goes from ah to oh to oo, with breath and a singer's vibrato."""
    voice = HarmonicLayer(
        series=(_slope_series(0.85),),
        envelope=Envelope(attack_s=0.07, decay_s=1.5, sustain=0.85),
        formants=(VOWELS["a"], VOWELS["o"], VOWELS["u"]),
        formant_floor_db=-42.0,
        morph_s=2.2,
    )
    choir = HarmonicLayer(
        series=(_slope_series(0.9),),
        gain=0.45,
        envelope=Envelope(attack_s=0.16, sustain=1.0),
        formants=(VOWELS["a"], VOWELS["o"], VOWELS["u"]),
        formant_floor_db=-45.0,
        morph_s=2.2,
        unison=2,
        unison_cents=9.0,
    )
    breath = NoiseLayer(
        gain=0.012,
        envelope=Envelope(attack_s=0.03, decay_s=0.25, sustain=0.4),
        low_hz=900,
        high_hz=5200,
    )
    vibrato = Vibrato(depth_cents=16.0, rate_hz=5.3, delay_s=0.7)
    return Patch(name="vowel", layers=(voice, choir, breath), vibrato=vibrato)


def _bowed() -> Patch:
    """A cello-like string: sawtooth motion under the bow, body resonances, bow noise."""
    body = (
        Formant(105, 30, 0),
        Formant(190, 35, 2),
        Formant(240, 45, -2),
        Formant(405, 60, -3),
        Formant(640, 140, -4),
        Formant(1150, 300, -8),
        Formant(2100, 700, -9),
        Formant(3400, 1200, -14),
    )
    string = HarmonicLayer(
        series=(_slope_series(1.25), _slope_series(0.7), _slope_series(0.85, even=0.7)),
        envelope=Envelope(attack_s=0.13, decay_s=0.8, sustain=0.75),
        formants=(body,),
        formant_floor_db=-12.0,
        filter=SpectralFilter(
            cutoff_hz=2600,
            q=0.7,
            poles=2,
            envelope=Envelope(attack_s=0.3, decay_s=0.9, sustain=0.5),
            envelope_octaves=1.8,
        ),
        morph_s=1.4,
    )
    sympathetic = HarmonicLayer(
        series=(_slope_series(0.8, comb=0.21),),
        gain=0.28,
        envelope=Envelope(attack_s=0.35, sustain=1.0),
        formants=(body,),
        formant_floor_db=-14.0,
        unison=2,
        unison_cents=7.0,
    )
    bow = NoiseLayer(
        gain=0.016,
        envelope=Envelope(attack_s=0.012, decay_s=0.1, sustain=0.3),
        low_hz=500,
        high_hz=6500,
    )
    vibrato = Vibrato(depth_cents=13.0, rate_hz=5.6, delay_s=0.6)
    return Patch(name="bowed", layers=(string, sympathetic, bow), vibrato=vibrato)


def _brass() -> Patch:
    """Horns that blare open and settle: one in front, two behind it."""
    bore = (Formant(480, 500, 0), Formant(1250, 900, -2), Formant(2600, 1600, -8))
    blare = SpectralFilter(
        cutoff_hz=560,
        q=0.85,
        envelope=Envelope(attack_s=0.085, decay_s=0.35, sustain=0.62),
        envelope_octaves=3.1,
    )
    horn = HarmonicLayer(
        series=(_slope_series(0.55),),
        envelope=Envelope(attack_s=0.045, decay_s=0.5, sustain=0.82),
        formants=(bore,),
        formant_floor_db=-14.0,
        filter=blare,
        tilt_db=0.0,
    )
    section = HarmonicLayer(
        series=(_slope_series(0.6),),
        gain=0.3,
        envelope=Envelope(attack_s=0.07, decay_s=0.6, sustain=0.85),
        formants=(bore,),
        formant_floor_db=-14.0,
        filter=blare,
        tilt_db=0.0,
        unison=2,
        unison_cents=11.0,
    )
    chiff = NoiseLayer(
        gain=0.02, envelope=Envelope(attack_s=0.008, decay_s=0.03), low_hz=300, high_hz=3000
    )
    vibrato = Vibrato(depth_cents=6.0, rate_hz=4.8, delay_s=1.0)
    return Patch(name="brass", layers=(horn, section, chiff), vibrato=vibrato)


def _breath() -> Patch:
    """Air blown over a bottle: noise that a pipe holds on pitch."""
    pipe = ResonatorLayer(
        levels=(1.0, 0.16, 0.3, 0.07, 0.12, 0.04, 0.05, 0.02),
        bandwidth_hz=5.0,
        gain=0.6,
        envelope=Envelope(attack_s=0.09, decay_s=0.8, sustain=0.8),
    )
    core_tone = HarmonicLayer(
        series=(_series(0, -26, -16, -34, -28),),
        gain=1.9,
        envelope=Envelope(attack_s=0.12, decay_s=1.0, sustain=0.8),
    )
    air = NoiseLayer(
        gain=0.2,
        envelope=Envelope(attack_s=0.02, decay_s=0.16, sustain=0.4),
        low_hz=500,
        high_hz=7000,
    )
    vibrato = Vibrato(depth_cents=5.0, rate_hz=4.4, delay_s=0.8)
    return Patch(name="breath", layers=(pipe, core_tone, air), vibrato=vibrato)


def _electronic() -> Patch:
    """An FM stab with a snarling start over a resonant square bass."""
    snarl = FmLayer(
        operators=(
            Operator(3.0, 1.6, 1, Envelope(attack_s=0.001, decay_s=0.12)),
            Operator(1.0, 3.2, 2, Envelope(attack_s=0.002, decay_s=0.6, sustain=0.3)),
            Operator(1.0, 1.0, None, Envelope(attack_s=0.002, decay_s=0.9, sustain=0.35)),
        ),
        gain=0.8,
    )
    bass = HarmonicLayer(
        series=(shape_series(Shape.PULSE, N_HARMONICS, width=0.32),),
        gain=0.75,
        envelope=Envelope(attack_s=0.002, decay_s=0.8, sustain=0.4),
        filter=SpectralFilter(
            cutoff_hz=520,
            q=5.0,
            envelope=Envelope(attack_s=0.002, decay_s=0.42, sustain=0.12),
            envelope_octaves=3.6,
        ),
        tilt_db=0.0,
        unison=2,
        unison_cents=4.0,
    )
    spark = PartialLayer(
        ratios=(7.0, 9.0, 14.0),
        levels=(0.10, 0.07, 0.05),
        decays_s=(0.25, 0.18, 0.1),
    )
    return Patch(name="electronic", layers=(snarl, bass, spark))


DEMO_SAMPLES = (
    DemoSample(
        name="bell",
        root=69,
        length_s=3.0,
        release_s=0.4,
        patch=_bell(),
    ),
    DemoSample(
        name="pluck",
        root=48,
        length_s=2.6,
        release_s=0.3,
        patch=_pluck(),
    ),
    DemoSample(
        name="pad",
        root=53,
        length_s=3.0,
        release_s=0.35,
        patch=_pad(),
    ),
    DemoSample(
        name="vowel",
        root=52,
        length_s=2.6,
        release_s=0.3,
        patch=_vowel(),
    ),
    DemoSample(
        name="bowed",
        root=50,
        length_s=2.8,
        release_s=0.25,
        patch=_bowed(),
    ),
    DemoSample(
        name="brass",
        root=58,
        length_s=2.2,
        release_s=0.2,
        patch=_brass(),
    ),
    DemoSample(
        name="breath",
        root=67,
        length_s=2.4,
        release_s=0.3,
        patch=_breath(),
    ),
    DemoSample(
        name="electronic",
        root=45,
        length_s=1.8,
        release_s=0.25,
        patch=_electronic(),
    ),
)
"""All bundled sounds."""


def write_demo_samples(folder: Path) -> list[Path]:
    """Write all bundled sounds as 24-bit mono WAV files.

    Args:
        folder: Where to; existing files of the same names are replaced.

    Raises:
        ExportError: A file could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for sample in DEMO_SAMPLES:
        path = folder / f"{sample.name}.wav"
        write_audio(path, sample.render()[None], SAMPLE_RATE)
        paths.append(path)
    return paths
