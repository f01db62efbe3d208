"""Patches drawn at random from our synthesizer: true notes of one timbre at every pitch.

The patch number seeds everything, and decides the split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from core.errors import ParameterError
from training.corpus import synth_engine
from training.corpus.source import (
    N_SAMPLES,
    SAMPLE_RATE,
    Note,
    NoteGrid,
    NoteKind,
    RenderedNote,
    prepare_note,
)
from training.corpus.splits import split_of
from training.corpus.synth_engine import (
    ComplexArray,
    Envelope,
    FmLayer,
    Formant,
    HarmonicLayer,
    Layer,
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

MAX_HARMONICS = 640
"""Harmonics of the richest spectra: up to 20 kHz at MIDI 24."""

VOWELS: dict[str, tuple[Formant, ...]] = {
    "a": (
        Formant(730, 90, 0),
        Formant(1090, 110, -4),
        Formant(2440, 170, -18),
        Formant(3400, 250, -24),
    ),
    "e": (
        Formant(530, 80, 0),
        Formant(1840, 120, -12),
        Formant(2480, 170, -16),
        Formant(3400, 250, -22),
    ),
    "i": (
        Formant(290, 60, 0),
        Formant(2270, 120, -16),
        Formant(3010, 170, -20),
        Formant(3600, 250, -24),
    ),
    "o": (
        Formant(500, 80, 0),
        Formant(870, 90, -6),
        Formant(2420, 170, -26),
        Formant(3300, 250, -30),
    ),
    "u": (
        Formant(320, 60, 0),
        Formant(800, 80, -14),
        Formant(2240, 170, -32),
        Formant(3200, 250, -36),
    ),
}
"""Formants of spoken vowels, frequencies after Peterson and Barney 1952 (men's averages)."""

BAR_RATIOS: dict[str, tuple[float, ...]] = {
    "free bar": (1.0, 2.756, 5.404, 8.933, 13.345),
    "marimba": (1.0, 3.93, 9.2, 16.3),
    "xylophone": (1.0, 3.0, 6.1, 10.2, 15.0),
    "minor-third bell": (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.61, 3.0, 4.0, 5.33, 6.67),
    "membrane": (1.0, 1.504, 1.742, 2.0, 2.245, 2.494, 2.8, 2.95),
}
"""Partials of struck bodies relative to the note heard (Fletcher and Rossing 1998)."""

DRAWBARS = (1, 3, 2, 4, 6, 8, 10, 12, 16)
"""Organ stops 16', 5⅓', 8', 4' … as harmonics of half the pitch."""


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _amplitude_envelope(rng: np.random.Generator) -> Envelope:
    """An envelope of amplitude: percussive, plucked, sustained or swelling."""
    kind = rng.choice(
        ["percussive", "decaying", "sustained", "swelling"], p=[0.25, 0.25, 0.35, 0.15]
    )
    match kind:
        case "percussive":
            return Envelope(
                attack_s=_log_uniform(rng, 0.001, 0.006), decay_s=_log_uniform(rng, 0.08, 0.5)
            )
        case "decaying":
            return Envelope(
                attack_s=_log_uniform(rng, 0.001, 0.02),
                decay_s=_log_uniform(rng, 0.3, 2.0),
                sustain=rng.uniform(0.0, 0.3),
            )
        case "sustained":
            return Envelope(
                attack_s=_log_uniform(rng, 0.002, 0.12),
                decay_s=_log_uniform(rng, 0.1, 1.0),
                sustain=rng.uniform(0.5, 1.0),
            )
        case _:
            return Envelope(
                attack_s=_log_uniform(rng, 0.12, 0.7), decay_s=1.0, sustain=rng.uniform(0.7, 1.0)
            )


def _filter(rng: np.random.Generator) -> SpectralFilter:
    return SpectralFilter(
        cutoff_hz=_log_uniform(rng, 250.0, 9000.0),
        q=_log_uniform(rng, 0.6, 7.0),
        poles=int(rng.choice([2, 4])),
        envelope=Envelope(
            attack_s=_log_uniform(rng, 0.001, 0.3),
            decay_s=_log_uniform(rng, 0.05, 1.2),
            sustain=rng.uniform(0.0, 0.8),
        ),
        envelope_octaves=rng.uniform(0.0, 4.0),
        key_tracking=rng.uniform(0.2, 1.0),
        velocity_octaves=rng.uniform(0.5, 2.5),
    )


def _unison(rng: np.random.Generator) -> tuple[int, float]:
    voices = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
    return voices, float(rng.uniform(4.0, 18.0))


def _subtractive(rng: np.random.Generator) -> Layer:
    shape = Shape(rng.choice([shape.value for shape in Shape]))
    voices, cents = _unison(rng)
    series = shape_series(shape, MAX_HARMONICS, width=rng.uniform(0.08, 0.45))
    return HarmonicLayer(
        series=(series,),
        envelope=_amplitude_envelope(rng),
        filter=_filter(rng),
        tilt_db=0.0,
        unison=voices,
        unison_cents=cents,
    )


def _random_series(rng: np.random.Generator) -> ComplexArray:
    """Harmonics with a random slope, random gaps and random phases, fundamental kept."""
    n_harmonics = int(_log_uniform(rng, 6, MAX_HARMONICS))
    k = np.arange(1, n_harmonics + 1)
    level = k ** -rng.uniform(0.6, 2.2) * np.exp(
        rng.normal(0.0, rng.uniform(0.1, 1.3), n_harmonics)
    )
    if rng.random() < 0.4:
        level *= np.where(k % 2 == 0, rng.uniform(0.0, 0.4), 1.0)
    level[0] = max(level[0], 0.35 * level.max())
    series: ComplexArray = level * np.exp(2j * np.pi * rng.random(n_harmonics))
    return series


def _wavetable(rng: np.random.Generator) -> Layer:
    voices, cents = _unison(rng)
    return HarmonicLayer(
        series=tuple(_random_series(rng) for _ in range(int(rng.integers(2, 5)))),
        envelope=_amplitude_envelope(rng),
        filter=_filter(rng) if rng.random() < 0.4 else None,
        morph_s=_log_uniform(rng, 0.15, 3.0),
        tilt_db=rng.uniform(3.0, 9.0),
        unison=voices,
        unison_cents=cents,
    )


def _organ(rng: np.random.Generator) -> Layer:
    levels = 10.0 ** (-rng.uniform(0.0, 24.0, len(DRAWBARS)) / 20.0)
    levels *= rng.random(len(DRAWBARS)) < 0.7
    levels[0] *= 0.5
    levels[2] = 1.0
    series = np.zeros(max(DRAWBARS), np.complex128)
    series[np.array(DRAWBARS) - 1] = levels * np.exp(2j * np.pi * rng.random(len(DRAWBARS)))
    return HarmonicLayer(
        series=(series,),
        divisor=2,
        envelope=Envelope(attack_s=_log_uniform(rng, 0.002, 0.05), sustain=1.0),
        tilt_db=rng.uniform(0.0, 3.0),
    )


def _voice(rng: np.random.Generator) -> Layer:
    chosen = rng.choice(sorted(VOWELS), size=int(rng.integers(1, 4)), replace=False)
    scale = rng.uniform(0.85, 1.35)
    vowels = tuple(
        tuple(
            Formant(formant.frequency_hz * scale, formant.bandwidth_hz, formant.gain_db)
            for formant in VOWELS[vowel]
        )
        for vowel in chosen
    )
    k = np.arange(1, MAX_HARMONICS + 1)
    voices, cents = _unison(rng)
    return HarmonicLayer(
        series=(k ** -rng.uniform(0.5, 1.3) * np.exp(-1j * np.pi / 2.0),),
        formants=vowels,
        formant_floor_db=rng.uniform(-50.0, -25.0),
        envelope=Envelope(attack_s=_log_uniform(rng, 0.01, 0.3), sustain=rng.uniform(0.7, 1.0)),
        morph_s=_log_uniform(rng, 0.3, 2.5),
        unison=voices,
        unison_cents=cents,
    )


def _plucked(rng: np.random.Generator) -> Layer:
    """A plucked string: every mode of the Karplus-Strong loop with its own decay (1983)."""
    k = np.arange(1, MAX_HARMONICS + 1)
    position = rng.uniform(0.06, 0.5)
    level = np.abs(np.sin(np.pi * k * position)) * k ** -rng.uniform(0.3, 1.4)
    level[0] = max(level[0], 0.2)
    return HarmonicLayer(
        series=(level * np.exp(2j * np.pi * rng.random(MAX_HARMONICS)),),
        envelope=Envelope(attack_s=_log_uniform(rng, 0.0005, 0.004), sustain=1.0),
        decay_s=_log_uniform(rng, 0.4, 4.0),
        decay_slope=rng.uniform(0.4, 1.3),
        decay_key_octaves=rng.uniform(0.4, 0.9),
        tilt_db=rng.uniform(4.0, 9.0),
        filter=_filter(rng) if rng.random() < 0.3 else None,
    )


def _fm(rng: np.random.Generator) -> Layer:
    """A carrier at the pitch with one to three modulators, harmonic or not."""
    harmonic = rng.random() < 0.7
    carrier_envelope = _amplitude_envelope(rng)
    ratios = (1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0)
    n_modulators = int(rng.integers(1, 4))
    modulators = []
    for index in range(n_modulators):
        ratio = float(rng.choice(ratios)) if harmonic else rng.uniform(0.6, 9.0)
        stacked = index + 1 < n_modulators and rng.random() < 0.4
        modulators.append(
            Operator(
                ratio=ratio,
                level=_log_uniform(rng, 0.15, 4.0) / n_modulators,
                target=index + 1 if stacked else n_modulators,
                envelope=Envelope(
                    attack_s=_log_uniform(rng, 0.001, 0.2),
                    decay_s=_log_uniform(rng, 0.05, 1.5),
                    sustain=rng.uniform(0.0, 0.8),
                ),
            )
        )
    carrier = Operator(ratio=1.0, level=1.0, target=None, envelope=carrier_envelope)
    return FmLayer(
        operators=(*modulators, carrier),
        velocity_index=rng.uniform(0.3, 1.0),
        key_index_octaves=rng.uniform(0.2, 0.8),
    )


def _struck(rng: np.random.Generator) -> Layer:
    """A bar, bell or stiff string: stretched or inharmonic partials that die away one by one."""
    if rng.random() < 0.5:
        ratios = np.array(BAR_RATIOS[str(rng.choice(sorted(BAR_RATIOS)))])
        ratios *= np.exp(rng.normal(0.0, 0.01, len(ratios)))
    else:
        stiffness = _log_uniform(rng, 1e-4, 2e-2)
        k = np.arange(1, int(rng.integers(6, 20)) + 1)
        ratios = k * np.sqrt((1.0 + stiffness * k**2) / (1.0 + stiffness))
    ratios[np.argmin(np.abs(ratios - 1.0))] = 1.0
    levels = ratios ** -rng.uniform(0.2, 1.5) * np.exp(rng.normal(0.0, 0.5, len(ratios)))
    levels[ratios == 1.0] = max(levels.max(), 0.7)
    decays = _log_uniform(rng, 0.25, 4.0) * np.maximum(ratios, 0.5) ** -rng.uniform(0.3, 1.2)
    return PartialLayer(
        ratios=tuple(ratios),
        levels=tuple(levels),
        decays_s=tuple(decays),
        attack_s=_log_uniform(rng, 0.0005, 0.008),
        tilt_db=rng.uniform(4.0, 12.0),
    )


def _wind(rng: np.random.Generator) -> Layer:
    n_harmonics = int(rng.integers(2, 9))
    k = np.arange(1, n_harmonics + 1)
    levels = k ** -rng.uniform(0.8, 2.5) * np.exp(rng.normal(0.0, 0.4, n_harmonics))
    levels[0] = max(levels[0], 0.5 * levels.max())
    return ResonatorLayer(
        levels=tuple(levels),
        bandwidth_hz=_log_uniform(rng, 1.5, 25.0),
        envelope=_amplitude_envelope(rng),
    )


DRAWERS: dict[str, tuple[Callable[[np.random.Generator], Layer], float]] = {
    "subtractive": (_subtractive, 0.26),
    "fm": (_fm, 0.18),
    "wavetable": (_wavetable, 0.18),
    "plucked": (_plucked, 0.10),
    "struck": (_struck, 0.10),
    "voice": (_voice, 0.07),
    "organ": (_organ, 0.05),
    "wind": (_wind, 0.06),
}
"""Kinds of patches: how a layer is drawn, and how often."""


def draw_patch(number: int, seed: int = 0) -> Patch:
    """The patch of a number: always the same for the same number and seed.

    Args:
        number: Patch number, 0 or more.
        seed: Seed of the whole collection.

    Raises:
        ParameterError: The number is negative.
    """
    if number < 0:
        raise ParameterError(f"Patch number {number} is negative; give 0 or more.")
    rng = np.random.default_rng([seed, number, 1])
    kinds = sorted(DRAWERS)
    weights = np.array([DRAWERS[kind][1] for kind in kinds])
    kind = str(rng.choice(kinds, p=weights / weights.sum()))
    layers: list[Layer] = [DRAWERS[kind][0](rng)]
    name = kind
    if rng.random() < 0.25:
        second = str(rng.choice(kinds, p=weights / weights.sum()))
        layers.append(replace(DRAWERS[second][0](rng), gain=_log_uniform(rng, 0.15, 0.6)))
        name += f" + {second}"
    if rng.random() < 0.35:
        low_hz = _log_uniform(rng, 100.0, 3000.0)
        layers.append(
            NoiseLayer(
                gain=_log_uniform(rng, 0.003, 0.12),
                envelope=_amplitude_envelope(rng),
                low_hz=low_hz,
                high_hz=low_hz * _log_uniform(rng, 2.0, 12.0),
                key_tracking=rng.uniform(0.0, 1.0),
            )
        )
    vibrato = Vibrato()
    if rng.random() < 0.15:
        vibrato = Vibrato(
            depth_cents=rng.uniform(4.0, 22.0),
            rate_hz=rng.uniform(4.0, 7.0),
            delay_s=rng.uniform(0.1, 0.8),
        )
    return Patch(name=f"{name} {number}", layers=tuple(layers), vibrato=vibrato)


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchJob:
    """Some notes of one patch, spread evenly over the keys."""

    number: int
    n_notes: int
    grid: NoteGrid

    @property
    def instrument(self) -> str:
        """Identity, e.g. ``synth/00042``."""
        return f"synth/{self.number:05d}"

    @property
    def program(self) -> int:
        """The patch's number."""
        return self.number

    def render(self) -> Iterator[RenderedNote]:
        """Render the notes, keys upwards."""
        grid = self.grid
        patch = draw_patch(self.number, grid.seed)
        rng = grid.rng(self.instrument)
        edges = np.linspace(grid.note_low, grid.note_high, self.n_notes + 1)
        for low, high in pairwise(edges):
            key = int(np.floor(rng.uniform(low, high)))
            velocity = int(rng.choice(grid.velocities))
            midi_pitch = key + grid.draw_detune(rng)
            sound = patch.render(
                midi_pitch, velocity, rng, n_samples=N_SAMPLES, sample_rate=SAMPLE_RATE
            )
            audio = prepare_note(sound)
            if audio is None:
                continue
            note = Note(
                instrument=self.instrument,
                source="synth",
                name=patch.name,
                program=self.program,
                split=split_of(self.program),
                midi_pitch=midi_pitch,
                velocity=velocity,
                kind=NoteKind.SYNTHESIZED,
            )
            yield RenderedNote(note=note, audio=audio)


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchSource:
    """The first n_patches patches of the synthesizer."""

    n_patches: int
    notes_per_patch: int
    grid: NoteGrid

    @property
    def name(self) -> str:
        """``synth``."""
        return "synth"

    @property
    def licence(self) -> str:
        """``CC0-1.0``: our own sounds are given to the public domain."""
        return "CC0-1.0"

    def sha256(self) -> str:
        """Hash of the two files that define every patch."""
        digest = hashlib.sha256()
        for module_file in (synth_engine.__file__, __file__):
            digest.update(Path(module_file).read_bytes())
        return digest.hexdigest()

    def jobs(self) -> list[PatchJob]:
        """One job for each patch, by number."""
        return [
            PatchJob(number=number, n_notes=self.notes_per_patch, grid=self.grid)
            for number in range(self.n_patches)
        ]
