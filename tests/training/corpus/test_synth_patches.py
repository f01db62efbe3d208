from __future__ import annotations

import librosa
import numpy as np
import pytest
from scipy.signal.windows import blackmanharris

from core.errors import ParameterError
from training.corpus.source import N_SAMPLES, SAMPLE_RATE, NoteGrid
from training.corpus.splits import Split, split_of
from training.corpus.synth_engine import (
    Envelope,
    FmLayer,
    HarmonicLayer,
    Layer,
    Operator,
    PartialLayer,
    Patch,
    Shape,
    Vibrato,
    midi_to_hz,
    shape_series,
)
from training.corpus.synth_patches import DRAWERS, PatchJob, PatchSource, draw_patch

SUSTAINED = Envelope(attack_s=0.002, sustain=1.0)
PITCHED = ("subtractive", "wavetable", "plucked", "organ", "voice", "fm")


def play(layer: Layer, midi_pitch: float, velocity: int = 100) -> np.ndarray:
    patch = Patch(name="test", layers=(layer,))
    rng = np.random.default_rng(0)
    return patch.render(midi_pitch, velocity, rng, n_samples=N_SAMPLES, sample_rate=SAMPLE_RATE)


def yin_cents(audio: np.ndarray, midi_pitch: float) -> float:
    """Median deviation of an independent tracker from the label, cents."""
    f0_hz = midi_to_hz(midi_pitch)
    tracked = librosa.yin(
        audio[2000:60000], fmin=f0_hz / 1.6, fmax=f0_hz * 1.6, sr=SAMPLE_RATE, frame_length=4096
    )
    return float(1200.0 * np.log2(np.median(tracked) / f0_hz))


def loudest_between_harmonics_db(audio: np.ndarray, f0_hz: float) -> float:
    """Highest spectral peak away from all harmonics, re the loudest harmonic."""
    window = blackmanharris(1 << 16)
    spectrum = np.abs(np.fft.rfft(audio[8000 : 8000 + (1 << 16)] * window))
    frequency = np.fft.rfftfreq(1 << 16, 1 / SAMPLE_RATE)
    distance_hz = np.abs(frequency - np.round(frequency / f0_hz) * f0_hz)
    between = spectrum[(distance_hz > 12.0) & (frequency > f0_hz / 2)]
    return float(20.0 * np.log10(between.max() / spectrum.max()))


@pytest.mark.parametrize("kind", PITCHED)
def test_patches_are_in_tune(kind: str) -> None:
    errors = []
    for number in range(12):
        rng = np.random.default_rng([number, 77])
        layer = DRAWERS[kind][0](rng)
        if isinstance(layer, FmLayer) and any(op.ratio % 1.0 for op in layer.operators):
            continue  # inharmonic: no tracker agrees on a pitch
        midi_pitch = rng.uniform(43.0, 76.0)
        errors.append(yin_cents(play(layer, midi_pitch), midi_pitch))
    assert np.median(np.abs(errors)) <= 5.0


@pytest.mark.parametrize("shape", list(Shape))
def test_waveforms_are_the_textbook_ones(shape: Shape) -> None:
    layer = HarmonicLayer(
        series=(shape_series(shape, 512, width=0.5),), envelope=SUSTAINED, tilt_db=0.0
    )
    # At 44100 / 441 = 100 Hz a cycle is 441 samples: compare with the waveform itself.
    sound = play(layer, float(librosa.hz_to_midi(100.0)))
    cycle = sound[441 * 20 : 441 * 21] - sound[441 * 20 : 441 * 21].mean()
    t = np.arange(441) / 441
    ideal = {
        Shape.SAW: 1.0 - 2.0 * t,
        Shape.SQUARE: np.where(t < 0.5, 1.0, -1.0),
        Shape.PULSE: np.where(t < 0.5, 1.0, -1.0),
        Shape.TRIANGLE: 2.0 * np.abs(2.0 * ((t + 0.75) % 1.0) - 1.0) - 1.0,
    }[shape]
    assert np.corrcoef(cycle, ideal)[0, 1] > 0.99


@pytest.mark.parametrize("midi_pitch", [60.3, 84.0, 96.4])
@pytest.mark.parametrize("shape", [Shape.SAW, Shape.PULSE])
def test_harmonic_layers_do_not_alias(shape: Shape, midi_pitch: float) -> None:
    layer = HarmonicLayer(series=(shape_series(shape, 640, width=0.2),), envelope=SUSTAINED)
    sound = play(layer, midi_pitch)
    assert loudest_between_harmonics_db(sound, midi_to_hz(midi_pitch)) < -75.0


@pytest.mark.parametrize("midi_pitch", [48.2, 72.0, 95.7])
def test_fm_does_not_alias(midi_pitch: float) -> None:
    bright = FmLayer(
        operators=(
            Operator(3.0, 3.0, 1, SUSTAINED),
            Operator(2.0, 3.0, 2, SUSTAINED),
            Operator(1.0, 1.0, None, SUSTAINED),
        ),
        key_index_octaves=0.0,
    )
    sound = play(bright, midi_pitch)
    assert loudest_between_harmonics_db(sound, midi_to_hz(midi_pitch)) < -60.0


def test_fm_spectrum_obeys_bessel_functions() -> None:
    from scipy.special import jv

    index = 1.7
    layer = FmLayer(
        operators=(Operator(2.0, index, 1, SUSTAINED), Operator(1.0, 1.0, None, SUSTAINED)),
        key_index_octaves=0.0,
    )
    midi_pitch = 60.0
    sound = play(layer, midi_pitch)[8000 : 8000 + (1 << 16)] * blackmanharris(1 << 16)
    spectrum = np.abs(np.fft.rfft(sound))
    bins = np.round(midi_to_hz(midi_pitch) * np.array([1, 3, 5]) * (1 << 16) / SAMPLE_RATE)
    measured = [spectrum[int(b) - 2 : int(b) + 3].max() for b in bins]
    # sin(a + I sin 2a) = sum of J_n(I) sin((1 + 2n) a); negative frequencies fold back with a sign.
    j = jv(np.arange(4), index)
    bessel = np.array([j[0] + j[1], j[1] - j[2], j[2] + j[3]])
    assert np.array(measured) / measured[0] == pytest.approx(np.abs(bessel / bessel[0]), rel=0.1)


def test_partials_lie_where_the_patch_says_and_decay_as_it_says() -> None:
    layer = PartialLayer(
        ratios=(1.0, 2.756), levels=(1.0, 0.5), decays_s=(0.5, 0.5), decay_key_octaves=0.0
    )
    sound = play(layer, 69.0)
    spectrum = np.abs(np.fft.rfft(sound))
    peak_hz = np.argmax(spectrum) * SAMPLE_RATE / N_SAMPLES
    assert peak_hz == pytest.approx(440.0, abs=0.5)
    early, late = (np.sqrt(np.mean(sound[start : start + 4410] ** 2)) for start in (2205, 24255))
    assert late / early == pytest.approx(np.exp(-0.5 / 0.5), rel=0.05)


def test_soft_notes_are_darker() -> None:
    darker = 0
    for number in range(20):
        patch = draw_patch(number, seed=5)
        centroids = []
        for velocity in (110, 30):
            rng = np.random.default_rng(1)
            sound = patch.render(55.0, velocity, rng, n_samples=N_SAMPLES, sample_rate=SAMPLE_RATE)
            power = np.abs(np.fft.rfft(sound)) ** 2
            centroids.append(np.average(np.arange(len(power)), weights=power))
        darker += centroids[1] < centroids[0]
    assert darker >= 15


def test_vibrato_keeps_its_centre() -> None:
    layer = HarmonicLayer(series=(shape_series(Shape.SAW, 40),), envelope=SUSTAINED)
    vibrato = Vibrato(depth_cents=20.0, rate_hz=5.0, delay_s=0.0)
    patch = Patch(name="test", layers=(layer,), vibrato=vibrato)
    sound = patch.render(
        60.0, 100, np.random.default_rng(0), n_samples=N_SAMPLES, sample_rate=SAMPLE_RATE
    )
    f0_hz = librosa.yin(sound, fmin=200, fmax=330, sr=SAMPLE_RATE, frame_length=2048)
    cents = 1200.0 * np.log2(f0_hz[20:-20] / midi_to_hz(60.0))
    assert np.mean(cents) == pytest.approx(0.0, abs=3.0)
    assert np.percentile(cents, 97) == pytest.approx(20.0, abs=5.0)


def test_same_number_same_notes_other_seed_other_notes() -> None:
    job = PatchJob(number=12, n_notes=3, grid=NoteGrid(seed=1))
    first, second = list(job.render()), list(job.render())
    assert [r.note for r in first] == [r.note for r in second]
    assert all(np.array_equal(a.audio, b.audio) for a, b in zip(first, second, strict=True))
    other = list(PatchJob(number=12, n_notes=3, grid=NoteGrid(seed=2)).render())
    assert [r.note.midi_pitch for r in other] != [r.note.midi_pitch for r in first]


def test_notes_cover_the_range_and_carry_their_split() -> None:
    for number in (0, 3, 7):
        grid = NoteGrid(note_low=30, note_high=90)
        notes = [r.note for r in PatchJob(number=number, n_notes=10, grid=grid).render()]
        assert len(notes) == 10
        assert all(note.split is split_of(number) for note in notes)
        pitches = [note.midi_pitch for note in notes]
        assert pitches == sorted(pitches)
        assert pitches[0] < 37.0
        assert pitches[-1] > 83.0
        assert {note.velocity for note in notes} <= {100, 45}


def test_every_patch_sounds_and_is_finite() -> None:
    for number in range(60):
        rng = np.random.default_rng(number)
        for midi_pitch in (24.0, 96.0):
            sound = draw_patch(number).render(
                midi_pitch, 100, rng, n_samples=16384, sample_rate=SAMPLE_RATE
            )
            assert np.isfinite(sound).all()
            assert np.abs(sound).max() > 1e-3


def test_source_lists_one_job_for_each_patch() -> None:
    source = PatchSource(n_patches=10, notes_per_patch=2, grid=NoteGrid())
    assert [job.number for job in source.jobs()] == list(range(10))
    assert sum(split_of(job.number) is Split.TEST for job in source.jobs()) == 1
    assert len(source.sha256()) == 64


def test_bad_patches_are_refused() -> None:
    with pytest.raises(ParameterError, match="negative"):
        draw_patch(-1)
    with pytest.raises(ParameterError, match="later"):
        FmLayer(operators=(Operator(1.0, 1.0, 0, SUSTAINED),))
