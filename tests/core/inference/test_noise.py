"""Sounds without a pitch: no key adds a tone to them, with the networks that are shipped."""

from __future__ import annotations

import numpy as np
import pytest

from core.audio.file_facts import FileFacts, RootClaim, RootOrigin
from core.audio.files import AudioClip
from core.audio.pitch import midi_to_hz
from core.inference.engine import SynthesisEngine
from core.inference.original import recording_at
from core.sound import RenderSettings, Sound, Timbre, TimbreMix
from tests.helpers.signals import harmonic_tone, noise_burst

RATE = 44100
NOTES = (48, 60, 67, 79)
LOUDEST_LINE_DB = 3.5
"""Mean over the partials of a key: noise has 0 ± 2 dB, a tone added 7 to 25."""

SNARE = noise_burst(0.5, decay_s=0.07, seed=7)
HISS = noise_burst(1.5, seed=3)
HAT = (np.diff(noise_burst(0.25, decay_s=0.05, seed=4), 2) / 4).astype(np.float32)


@pytest.fixture(scope="module")
def engine() -> SynthesisEngine:
    return SynthesisEngine.load(device="cpu")


def analyzed(
    engine: SynthesisEngine, samples: np.ndarray, facts: FileFacts | None = None
) -> Timbre:
    clip = AudioClip(
        samples=samples[None], sample_rate=RATE, name="sound", facts=facts or FileFacts()
    )
    return engine.analyze(clip)


def line_db(samples: np.ndarray, note: int) -> float:
    """How far partials of a note stand out of what lies half-way between them, mean."""
    part = samples[: RATE // 2]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 4 * len(part))) ** 2
    bin_hz, root_hz = RATE / (4 * len(part)), midi_to_hz(note)
    width_hz = max(3 * RATE / len(part), 0.02 * root_hz)

    def level(frequency_hz: float) -> float:
        first, last = (frequency_hz + side * width_hz for side in (-1, 1))
        return float(power[int(first / bin_hz) : int(last / bin_hz) + 1].mean())

    ratios = [
        2 * level(k * root_hz) / (level((k - 0.5) * root_hz) + level((k + 0.5) * root_hz))
        for k in range(1, 21)
        if (k + 0.5) * root_hz < 10_000.0
    ]
    return float(np.mean(10 * np.log10(ratios)))


def lines_db(engine: SynthesisEngine, *timbres: Timbre, **settings: float) -> list[float]:
    mix = TimbreMix(timbres=timbres, weights=(1.0,) * len(timbres))
    sound = Sound(mix=mix, settings=RenderSettings(**settings))  # type: ignore[arg-type]
    regions = engine.render(sound.request(NOTES)).regions
    return [line_db(region.samples[0], region.root_note) for region in regions]


@pytest.mark.parametrize("sound", [SNARE, HISS, HAT], ids=["snare", "hiss", "hat"])
@pytest.mark.parametrize("root", [None, 36.0])
def test_no_key_adds_a_tone_to_noise(
    engine: SynthesisEngine, sound: np.ndarray, root: float | None
) -> None:
    claims = () if root is None else (RootClaim(midi_pitch=root, origin=RootOrigin.SMPL),)
    timbre = analyzed(engine, sound, FileFacts(claims=claims))
    assert timbre.is_noise
    assert timbre.root_pitch == (60.0 if root is None else root)
    assert max(lines_db(engine, timbre)) < LOUDEST_LINE_DB
    assert max(lines_db(engine, timbre, velocity=40)) < LOUDEST_LINE_DB


@pytest.mark.parametrize("settings", [{"original_range": 0.0}, {"variation": 0.8}])
@pytest.mark.parametrize("sound", [SNARE, HISS], ids=["snare", "hiss"])
def test_nor_does_the_model_alone(
    engine: SynthesisEngine, sound: np.ndarray, settings: dict[str, float]
) -> None:
    assert max(lines_db(engine, analyzed(engine, sound), **settings)) < LOUDEST_LINE_DB


def test_nor_does_a_mix_of_noises(engine: SynthesisEngine) -> None:
    timbres = [analyzed(engine, sound) for sound in (SNARE, HISS)]
    assert max(lines_db(engine, *timbres)) < LOUDEST_LINE_DB


def test_a_tone_in_the_mix_is_heard_at_its_key(engine: SynthesisEngine) -> None:
    tone = analyzed(engine, harmonic_tone(220.0, 1.0))
    assert not tone.is_noise
    assert min(lines_db(engine, analyzed(engine, HISS), tone)) > 2 * LOUDEST_LINE_DB


@pytest.mark.parametrize("note", [48, 60, 67, 84])
def test_noise_is_its_recording_at_every_key(engine: SynthesisEngine, note: int) -> None:
    timbre = analyzed(engine, SNARE)
    sound = Sound(mix=TimbreMix(timbres=(timbre,), weights=(1.0,)))
    rendered = engine.render(sound.request((note,))).regions[0].samples[0]
    heard = slice(200, 15_000)  # between the fades
    match = np.corrcoef(rendered[heard], recording_at(timbre, note, RATE)[heard])[0, 1]
    assert match > 0.9999
