"""A small additive synthesizer in NumPy: layers of harmonics, FM operators, free partials and noise.

Harmonic layers are spectra that move in time, turned into single-cycle tables and read with
interpolation; since a table holds only harmonics below half the sample rate, nothing aliases. Filters,
formants and decays are factors of the spectra. FM runs at twice the rate with its index held below
Carson's bandwidth rule (Carson, *Notes on the Theory of Modulation*, 1922) and is then decimated.

Shape legend: T samples, F spectrum frames, K harmonics, V unison voices.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from core.audio.pitch import midi_to_hz
from core.errors import ParameterError

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.floating]
ComplexArray = NDArray[np.complex128]

N_FRAMES = 40
"""Spectrum frames F of a harmonic layer; dense at the onset."""
FRAME_WARP = 2.5
"""Power of the frame times: frame i lies at (i / (F - 1)) ** warp of the note."""
NYQUIST_MARGIN = 0.46
"""Highest partial, as a share of the sample rate (leaves room for vibrato and detuning)."""
REFERENCE_PITCH = 60.0
"""MIDI pitch at which key tracking changes nothing."""
REFERENCE_VELOCITY = 100
"""Velocity at which brightness is as the patch says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """Attack, decay and sustain level; the key is held, so there is no release."""

    attack_s: float = 0.003
    decay_s: float = 1.0
    """Time constant of the decay towards sustain."""
    sustain: float = 0.0
    """Sustain level, 0 (percussive) to 1."""

    def __call__(self, time_s: RealArray) -> FloatArray:
        """Level at each time, 0 to 1, same shape."""
        attack = np.clip(time_s / max(self.attack_s, 1e-4), 0.0, 1.0)
        rise = attack * attack * (3.0 - 2.0 * attack)
        after = np.maximum(time_s - self.attack_s, 0.0)
        fall = self.sustain + (1.0 - self.sustain) * np.exp(-after / max(self.decay_s, 1e-3))
        level: FloatArray = (rise * fall).astype(np.float32)
        return level


@dataclass(frozen=True, kw_only=True, slots=True)
class Vibrato:
    """Slow modulation of the pitch about the true pitch."""

    depth_cents: float = 0.0
    rate_hz: float = 5.5
    delay_s: float = 0.3
    """Time until half of the depth."""

    def ratio(self, time_s: RealArray) -> RealArray:
        """Frequency ratio at each time."""
        swell = 1.0 / (1.0 + np.exp(-(time_s - self.delay_s) * 12.0))
        cents = self.depth_cents * swell * np.sin(2.0 * np.pi * self.rate_hz * time_s)
        # In double precision, since the phase is the sum of all these ratios.
        ratio: RealArray = np.exp2(cents.astype(np.float64) / 1200.0)
        return ratio


@dataclass(frozen=True, slots=True)
class Performance:
    """What is played: shared by all layers of a note."""

    f0_hz: float
    midi_pitch: float
    velocity: int
    n_samples: int
    sample_rate: int
    vibrato: Vibrato

    @property
    def brightness(self) -> float:
        """Brightness by velocity: 0 at the reference, negative when softer, about -1 at velocity 1."""
        return (self.velocity - REFERENCE_VELOCITY) / REFERENCE_VELOCITY

    def times(self, *, oversampling: int = 1) -> FloatArray:
        """Sample times, seconds, [T · oversampling]."""
        rate = self.sample_rate * oversampling
        return np.arange(self.n_samples * oversampling, dtype=np.float32) / np.float32(rate)

    def cycles(self, ratio: float, *, oversampling: int = 1, start: float = 0.0) -> RealArray:
        """Phase of an oscillator at ratio · f0, in cycles modulo 1, [T · oversampling]."""
        step = self.f0_hz * ratio / (self.sample_rate * oversampling)
        n_samples = self.n_samples * oversampling
        if self.vibrato.depth_cents > 0.0:
            bend = self.vibrato.ratio(self.times(oversampling=oversampling))
            phase: RealArray = np.cumsum(bend) * step
        else:
            phase = np.arange(n_samples) * step
        phase += start
        phase -= np.floor(phase)
        return phase


class Shape(StrEnum):
    """Classic waveforms, as harmonic series."""

    SAW = "saw"
    SQUARE = "square"
    PULSE = "pulse"
    TRIANGLE = "triangle"


def shape_series(shape: Shape, n_harmonics: int, *, width: float = 0.5) -> ComplexArray:
    """Complex amplitudes of harmonics 1 … K of a classic waveform, [K]."""
    k = np.arange(1, n_harmonics + 1)
    match shape:
        case Shape.SAW:
            series = -1j / k
        case Shape.SQUARE:
            series = -1j * (k % 2) / k
        case Shape.PULSE:
            series = -1j * (1.0 - np.exp(-2j * np.pi * k * width)) / (2.0 * k)
        case Shape.TRIANGLE:
            series = -1j * (k % 2) * (-1.0) ** ((k - 1) // 2) / k**2
    return np.asarray(series, np.complex128)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpectralFilter:
    """Resonant low-pass whose cutoff follows an envelope, the key and the velocity."""

    cutoff_hz: float
    """Resting cutoff at MIDI 60."""
    q: float = 0.8
    """Resonance: 0.5 none to 12 ringing."""
    poles: int = 4
    """Number of poles: 2 (12 dB per octave) or 4 (24)."""
    envelope: Envelope = Envelope()
    envelope_octaves: float = 0.0
    """Opening of the cutoff by the envelope."""
    key_tracking: float = 0.5
    """How far the cutoff follows the key: 0 not at all, 1 in full."""
    velocity_octaves: float = 1.5
    """How far a soft note closes the cutoff."""

    def response(
        self, frequency_hz: RealArray, time_s: RealArray, play: Performance
    ) -> ComplexArray:
        """Complex response [F, K] at frequencies [K] and times [F]."""
        octaves = (
            self.envelope_octaves * self.envelope(time_s)
            + self.key_tracking * (play.midi_pitch - REFERENCE_PITCH) / 12.0
            + self.velocity_octaves * play.brightness
        )
        cutoff = np.clip(self.cutoff_hz * np.exp2(octaves), 20.0, 20000.0)
        s = 1j * frequency_hz[None] / cutoff[:, None]
        response: ComplexArray = 1.0 / (s * s + s / self.q + 1.0)
        if self.poles == 4:
            response = response / (s * s + s * 1.3 + 1.0)
        return response


@dataclass(frozen=True, slots=True)
class Formant:
    """A resonance at a fixed frequency, as a mouth or a body has."""

    frequency_hz: float
    bandwidth_hz: float
    gain_db: float


def formant_gain(
    formants: tuple[Formant, ...], frequency_hz: RealArray, floor_db: float
) -> RealArray:
    """Gain of parallel formants above a floor at frequencies [K], linear."""
    gain = np.full_like(frequency_hz, 10.0 ** (floor_db / 20.0))
    for formant in formants:
        offset = (frequency_hz - formant.frequency_hz) / (formant.bandwidth_hz / 2.0)
        gain += 10.0 ** (formant.gain_db / 20.0) / np.sqrt(1.0 + offset**2)
    return gain


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HarmonicLayer:
    """Harmonics of f0 / divisor whose spectrum moves in time."""

    series: tuple[ComplexArray, ...]
    """One or more spectra (complex amplitudes from harmonic 1) that the note morphs through."""
    gain: float = 1.0
    envelope: Envelope = Envelope()
    filter: SpectralFilter | None = None
    formants: tuple[tuple[Formant, ...], ...] = ()
    """One or more vowels that the note morphs through; none: no formants."""
    formant_floor_db: float = -40.0
    decay_s: float = 0.0
    """Decay time constant of the fundamental at MIDI 60; 0: harmonics do not decay by themselves."""
    decay_slope: float = 0.7
    """Harmonic k decays k ** slope times as fast."""
    decay_key_octaves: float = 0.7
    """Octaves of decay time lost for each octave of pitch."""
    tilt_db: float = 6.0
    """Loss of each octave of harmonics when played softest."""
    morph_s: float = 1.0
    """Time to morph through the spectra and vowels."""
    unison: int = 1
    """Number of voices V that play together."""
    unison_cents: float = 8.0
    """Detuning between the outermost voices, symmetric about the pitch."""
    divisor: int = 1
    """Sub-octave of the table's fundamental (2 for organ stops at half the pitch)."""

    def render(self, play: Performance, rng: np.random.Generator) -> FloatArray:
        """Sound of the layer, [T]."""
        spread = 2.0 ** (self.unison_cents / 2400.0)
        base_hz = play.f0_hz / self.divisor
        highest = max(1, int(NYQUIST_MARGIN * play.sample_rate / (base_hz * spread)))
        n_harmonics = min(highest, max(len(series) for series in self.series))
        spectra, frame_times = self._spectra(play, base_hz, n_harmonics)
        sound = self._read_tables(_tables(spectra), frame_times, play, rng)
        sound *= self.envelope(play.times()) * np.float32(self.gain)
        return sound

    def _spectra(
        self, play: Performance, base_hz: float, n_harmonics: int
    ) -> tuple[ComplexArray, RealArray]:
        duration = play.n_samples / play.sample_rate
        frame_times = duration * np.linspace(0.0, 1.0, N_FRAMES) ** FRAME_WARP
        k = np.arange(1, n_harmonics + 1)
        frequency_hz = k * base_hz
        morph = np.clip(frame_times / self.morph_s, 0.0, 1.0)
        padded = [np.zeros(n_harmonics, np.complex128) for _ in self.series]
        for target, series in zip(padded, self.series, strict=True):
            length = min(n_harmonics, len(series))
            target[:length] = series[:length]
        spectra = _morph(np.stack(padded), morph)
        if self.formants:
            gains = [
                formant_gain(vowel, frequency_hz, self.formant_floor_db) for vowel in self.formants
            ]
            spectra = spectra * _morph(np.stack(gains), morph)
        if self.filter is not None:
            spectra = spectra * self.filter.response(frequency_hz, frame_times, play)
        if self.decay_s > 0.0:
            octaves = (play.midi_pitch - REFERENCE_PITCH) / 12.0
            decay = self.decay_s * 2.0 ** (-self.decay_key_octaves * octaves)
            rate = (k / self.divisor) ** self.decay_slope / decay
            spectra = spectra * np.exp(-frame_times[:, None] * rate[None])
        tilt = 10.0 ** (self.tilt_db * min(play.brightness, 0.0) * np.log2(k) / 20.0)
        return spectra * tilt[None], frame_times

    def _read_tables(
        self,
        tables: FloatArray,
        frame_times: RealArray,
        play: Performance,
        rng: np.random.Generator,
    ) -> FloatArray:
        width = tables.shape[1]
        position = np.interp(play.times(), frame_times, np.arange(N_FRAMES))
        frame = np.minimum(position.astype(np.int32), N_FRAMES - 2)
        blend = (position - frame).astype(np.float32)
        row = frame * np.int32(width)
        flat = tables.reshape(-1)
        sound = np.zeros(play.n_samples, np.float32)
        for offset in np.linspace(-0.5, 0.5, self.unison) if self.unison > 1 else (0.0,):
            ratio = 2.0 ** (self.unison_cents * offset / 1200.0) / self.divisor
            start = float(rng.random()) if self.unison > 1 else 0.0
            phase = play.cycles(ratio, start=start) * (width - 1)
            index = phase.astype(np.int32)
            fraction = (phase - index).astype(np.float32)
            index += row
            early = flat[index]
            early += fraction * (flat[index + 1] - early)
            index += np.int32(width)
            late = flat[index]
            late += fraction * (flat[index + 1] - late)
            sound += early + blend * (late - early)
        sound /= np.float32(np.sqrt(self.unison))
        return sound


def _morph(stages: NDArray[Any], position: RealArray) -> ComplexArray:
    """Rows between stages [S, K] at positions 0 to 1 [F]: [F, K]."""
    if len(stages) == 1:
        return np.repeat(stages, len(position), axis=0).astype(np.complex128)
    scaled = position * (len(stages) - 1)
    lower = np.minimum(scaled.astype(int), len(stages) - 2)
    blend = (scaled - lower)[:, None]
    rows = stages[lower] * (1.0 - blend) + stages[lower + 1] * blend
    return np.asarray(rows, np.complex128)


def _tables(spectra: ComplexArray) -> FloatArray:
    """Single cycles of spectra [F, K], first sample repeated at the end: [F, N + 1]."""
    n_harmonics = spectra.shape[1]
    size = 1 << max(9, int(np.ceil(np.log2(12 * n_harmonics))))
    bins = np.zeros((len(spectra), size // 2 + 1), np.complex64)
    bins[:, 1 : n_harmonics + 1] = spectra * (size / 2.0)
    cycles = np.fft.irfft(bins, n=size, axis=1)
    return np.concatenate([cycles, cycles[:, :1]], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Operator:
    """One FM operator; it is heard (a carrier) or bends the phase of a later one."""

    ratio: float
    """Frequency relative to f0."""
    level: float
    """Loudness of a carrier, or modulation index in radians."""
    target: int | None
    """Index of the operator it modulates, always a later one; None for a carrier."""
    envelope: Envelope


@dataclass(frozen=True, kw_only=True, slots=True)
class FmLayer:
    """Two to four operators in phase modulation (Chowning 1973)."""

    operators: tuple[Operator, ...]
    gain: float = 1.0
    velocity_index: float = 1.0
    """How much a soft note reduces the modulation, 0 to 1."""
    key_index_octaves: float = 0.5
    """Octaves of modulation index lost for each octave of pitch."""

    OVERSAMPLING = 2

    def __post_init__(self) -> None:
        for index, operator in enumerate(self.operators):
            if operator.target is not None and not index < operator.target < len(self.operators):
                raise ParameterError(
                    f"Operator {index} modulates operator {operator.target}; "
                    "the target must come later in the list."
                )

    def indices(self, play: Performance) -> list[float]:
        """Modulation index or level of each operator, limited so that nothing aliases."""
        octaves = (play.midi_pitch - REFERENCE_PITCH) / 12.0
        scale = 2.0 ** (-self.key_index_octaves * octaves)
        scale *= max(0.1, 1.0 + self.velocity_index * min(play.brightness, 0.0))
        # What lies between this limit and the doubled rate is removed by the decimation.
        limit_hz = (self.OVERSAMPLING - NYQUIST_MARGIN) * play.sample_rate
        while self._top_hz(play.f0_hz, scale) > limit_hz and scale > 1e-3:
            scale *= 0.85
        return [
            operator.level * (1.0 if operator.target is None else scale)
            for operator in self.operators
        ]

    def _top_hz(self, f0_hz: float, scale: float) -> float:
        """Highest frequency of any operator by Carson's rule with one sideband of margin."""
        tops = [operator.ratio * f0_hz for operator in self.operators]
        for index, operator in enumerate(self.operators):
            if operator.target is not None:
                tops[operator.target] += (operator.level * scale + 2.0) * tops[index]
        return max(tops)

    def render(self, play: Performance, rng: np.random.Generator) -> FloatArray:
        """Sound of the layer, [T]."""
        times = play.times(oversampling=self.OVERSAMPLING)
        n_samples = len(times)
        bends: list[FloatArray | None] = [None] * len(self.operators)
        sound = np.zeros(n_samples, np.float32)
        levels = self.indices(play)
        for index, operator in enumerate(self.operators):
            if operator.target is None and operator.ratio * play.f0_hz > 0.5 * play.sample_rate:
                continue
            phase = play.cycles(operator.ratio, oversampling=self.OVERSAMPLING)
            angle = (phase * (2.0 * np.pi)).astype(np.float32)
            bend = bends[index]
            wave = np.sin(angle if bend is None else angle + bend)
            wave *= operator.envelope(times) * np.float32(levels[index])
            if operator.target is None:
                sound += wave
            else:
                earlier = bends[operator.target]
                bends[operator.target] = wave if earlier is None else earlier + wave
        decimated = _decimate(sound, self.OVERSAMPLING)
        decimated *= np.float32(self.gain)
        return decimated


def _decimate(sound: FloatArray, factor: int) -> FloatArray:
    """Linear-phase low-pass at 0.46 of the lower rate, then every factor-th sample."""
    taps = signal.firwin(127, 0.47 / factor * 2.0, window=("kaiser", 9.0)).astype(np.float32)
    filtered = signal.oaconvolve(sound, taps, mode="full")[63 : 63 + len(sound)]
    decimated: FloatArray = filtered[::factor].astype(np.float32)
    return decimated


@dataclass(frozen=True, kw_only=True, slots=True)
class PartialLayer:
    """Free sinusoids, each with its own decay: bars, bells, stiff strings."""

    ratios: tuple[float, ...]
    """Frequencies relative to f0; the pitch is the partial with ratio 1."""
    levels: tuple[float, ...]
    decays_s: tuple[float, ...]
    """Decay time constants at MIDI 60."""
    gain: float = 1.0
    attack_s: float = 0.001
    beating_hz: float = 0.0
    """Split each partial into two this far apart; the lower one keeps the pitch."""
    decay_key_octaves: float = 0.6
    """Octaves of decay time lost for each octave of pitch."""
    tilt_db: float = 9.0
    """Loss of each octave of partials when played softest."""

    def render(self, play: Performance, rng: np.random.Generator) -> FloatArray:
        """Sound of the layer, [T]."""
        times = play.times()
        octaves = (play.midi_pitch - REFERENCE_PITCH) / 12.0
        stretch = 2.0 ** (-self.decay_key_octaves * octaves)
        sound = np.zeros(play.n_samples, np.float32)
        for ratio, level, decay_s in zip(self.ratios, self.levels, self.decays_s, strict=True):
            if ratio * play.f0_hz > NYQUIST_MARGIN * play.sample_rate:
                continue
            tilt_db = self.tilt_db * min(play.brightness, 0.0) * np.log2(max(ratio, 1.0))
            start = float(rng.random())
            phase = play.cycles(ratio, start=start)
            wave = np.sin((phase * (2.0 * np.pi)).astype(np.float32))
            if self.beating_hz > 0.0:
                beat_ratio = ratio + self.beating_hz / play.f0_hz
                beat = play.cycles(beat_ratio, start=start) * (2.0 * np.pi)
                wave += np.float32(0.6) * np.sin(beat.astype(np.float32))
            wave *= np.exp(times * np.float32(-1.0 / (decay_s * stretch)))
            sound += wave * np.float32(level * 10.0 ** (tilt_db / 20.0))
        rise = np.minimum(times / np.float32(max(self.attack_s, 2e-4)), 1.0)
        sound *= rise * np.float32(self.gain)
        return sound


@dataclass(frozen=True, kw_only=True, slots=True)
class NoiseLayer:
    """Filtered white noise: breath, bow, hammer, hiss."""

    gain: float
    envelope: Envelope
    low_hz: float = 200.0
    high_hz: float = 8000.0
    key_tracking: float = 0.0
    """How far the band follows the key: 0 not at all, 1 in full."""

    def render(self, play: Performance, rng: np.random.Generator) -> FloatArray:
        """Sound of the layer, [T]."""
        shift = 2.0 ** (self.key_tracking * (play.midi_pitch - REFERENCE_PITCH) / 12.0)
        ceiling = 0.45 * play.sample_rate
        low = float(np.clip(self.low_hz * shift, 20.0, 0.5 * ceiling))
        high = float(np.clip(self.high_hz * shift, 1.5 * low, ceiling))
        sos = signal.butter(2, [low, high], "bandpass", fs=play.sample_rate, output="sos")
        white = rng.standard_normal(play.n_samples)
        noise: FloatArray = signal.sosfilt(sos, white).astype(np.float32)
        noise /= np.sqrt(np.mean(noise**2)) + np.float32(1e-9)
        softness = 10.0 ** (0.3 * min(play.brightness, 0.0))
        noise *= self.envelope(play.times()) * np.float32(self.gain * softness)
        return noise


@dataclass(frozen=True, kw_only=True, slots=True)
class ResonatorLayer:
    """White noise through narrow resonators on the harmonics of f0: pitched wind."""

    levels: tuple[float, ...]
    """Level of each harmonic from the first."""
    bandwidth_hz: float
    """Width of each resonance; narrow sounds like a flute, wide like wind."""
    envelope: Envelope
    gain: float = 1.0
    tilt_db: float = 6.0
    """Loss of each octave of harmonics when played softest."""

    def render(self, play: Performance, rng: np.random.Generator) -> FloatArray:
        """Sound of the layer, [T]."""
        # The resonators start in their steady state: noise runs through them before the note.
        lead = int(min(0.3, 1.5 / self.bandwidth_hz) * play.sample_rate)
        noise = rng.standard_normal(lead + play.n_samples)
        sound = np.zeros(play.n_samples, np.float32)
        for index, level in enumerate(self.levels):
            frequency_hz = (index + 1) * play.f0_hz
            if frequency_hz > NYQUIST_MARGIN * play.sample_rate:
                break
            radius = np.exp(-np.pi * self.bandwidth_hz / play.sample_rate)
            angle = 2.0 * np.pi * frequency_hz / play.sample_rate
            poles = [1.0, -2.0 * radius * np.cos(angle), radius**2]
            ringing = signal.lfilter([1.0 - radius, 0.0, radius - 1.0], poles, noise)[lead:]
            ringing /= np.sqrt(np.mean(ringing**2)) + 1e-12
            tilt_db = self.tilt_db * min(play.brightness, 0.0) * np.log2(index + 1)
            sound += (ringing * (level * 10.0 ** (tilt_db / 20.0))).astype(np.float32)
        sound *= self.envelope(play.times()) * np.float32(self.gain)
        return sound


Layer = HarmonicLayer | FmLayer | PartialLayer | NoiseLayer | ResonatorLayer


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """A sound of the synthesizer that can be played at any pitch."""

    name: str
    layers: tuple[Layer, ...]
    vibrato: Vibrato = Vibrato()

    def render(
        self,
        midi_pitch: float,
        velocity: int,
        rng: np.random.Generator,
        *,
        n_samples: int,
        sample_rate: int,
    ) -> FloatArray:
        """Play one held note.

        Args:
            midi_pitch: True pitch, may be fractional.
            velocity: 1 to 127; soft notes are darker.
            rng: Chance of phases and noise.
            n_samples: Length T.
            sample_rate: Hz.

        Returns:
            Mono audio, not normalised, [T].
        """
        play = Performance(
            midi_to_hz(midi_pitch), midi_pitch, velocity, n_samples, sample_rate, self.vibrato
        )
        sound = np.zeros(n_samples, np.float32)
        for layer in self.layers:
            sound += layer.render(play, rng)
        return sound
