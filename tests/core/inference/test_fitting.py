"""Fitting to one recording: nearer to it, the same every time, stoppable at every step."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.audio.files import AudioClip
from core.errors import ParameterError, RenderCancelled
from core.inference.engine import SynthesisEngine
from core.inference.fitting import fit_offsets
from core.inference.model import load_model
from core.instrument import Instrument
from core.sound import MAX_FIT_STEPS, RenderRequest, RenderSettings, Sound, Timbre, TimbreMix
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import TinyNetworks, tiny_bundle

STEPS = 12


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SynthesisEngine:
    bundle = tiny_bundle(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    return SynthesisEngine(load_model(bundle), torch.device("cpu"))


def heard(engine: SynthesisEngine, hz: float, root: float) -> Timbre:
    clip = AudioClip(samples=harmonic_tone(hz, 1.0)[None], sample_rate=44100, name=f"{hz:g}")
    return engine.analyze(clip, root=root)


@pytest.fixture(scope="module")
def tone(engine: SynthesisEngine) -> Timbre:
    return heard(engine, 220.0, 57.0)


def alone(timbre: Timbre) -> TimbreMix:
    return TimbreMix(timbres=(timbre,), weights=(1.0,))


def render(engine: SynthesisEngine, mix: TimbreMix, refinement: float = 1.0) -> Instrument:
    """One note of the networks alone."""
    return engine.render(
        RenderRequest(
            sound=Sound(
                mix=mix,
                settings=RenderSettings(original_range=0.0, carry_over=0.0, refinement=refinement),
            ),
            notes=(57,),
        )
    )


def distance(engine: SynthesisEngine, mix: TimbreMix, target: Timbre) -> float:
    sound = Sound(mix=mix, settings=RenderSettings(original_range=0.0, carry_over=0.0))
    with torch.inference_mode():
        renderer, note = engine._renderer, round(target.root_pitch)
        drawn = renderer.mels(sound, [renderer.recipe(sound, note)])[0].numpy()
    return float(np.sqrt(np.mean((drawn - target.mel) ** 2)))


def test_a_fit_finds_offsets_that_are_there() -> None:
    networks = TinyNetworks()
    generator = networks.generator.requires_grad_(False)
    h = torch.nn.functional.normalize(torch.ones(1, 16)) * 4.0
    none = [torch.zeros(1, s.out_channels, s.in_channels) for s in generator.layer_specs]
    chance = torch.Generator().manual_seed(1)
    there = [0.2 * torch.randn(offset.shape, generator=chance) for offset in none]
    z, pitch, velocity = torch.zeros(1, 4), torch.tensor([50.0]), torch.tensor([100.0])
    wanted = generator(z, pitch, velocity, h, there)[:, 0]
    changes = fit_offsets(generator, h, none, wanted[0], 50.0, steps=30, precision=nullcontext)
    fitted = generator(z, pitch, velocity, h, [change[None] for change in changes])[:, 0]
    plain = generator(z, pitch, velocity, h)[:, 0]
    assert (fitted - wanted).square().mean() < 0.3 * (plain - wanted).square().mean()


def test_a_fitted_sound_is_nearer_to_its_recording(engine: SynthesisEngine, tone: Timbre) -> None:
    fitted = engine.fit(tone, steps=STEPS)
    distances = [distance(engine, alone(each), tone) for each in (tone, fitted)]
    assert distances[1] < 0.95 * distances[0]
    further = engine.fit(fitted, steps=STEPS)
    assert distance(engine, alone(further), tone) < distances[1]


def test_a_fit_is_the_same_every_time_and_another_timbre(
    engine: SynthesisEngine, tone: Timbre
) -> None:
    once, again = (engine.fit(tone, steps=2) for _ in range(2))
    assert once == again
    for one, other in zip(once.fitted, again.fitted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert once != tone
    assert alone(once).key != alone(tone).key
    assert engine.fit(tone, steps=3) != once
    assert replace(once, content_hash=tone.content_hash, fitted=()) == tone
    assert (tone.fit_steps, engine.fit(once, steps=3).fit_steps) == (0, 5)
    sources = render(engine, alone(once)).provenance["sources"]
    assert sources.endswith(", fitted by 2 steps")
    assert tone.fitted == ()


def test_no_refinement_is_no_fit_either(engine: SynthesisEngine, tone: Timbre) -> None:
    plain, fitted = alone(tone), alone(engine.fit(tone, steps=STEPS))
    sounds = [render(engine, mix, 0.0).regions[0].samples for mix in (plain, fitted)]
    np.testing.assert_array_equal(*sounds)
    refined = [render(engine, mix).regions[0].samples for mix in (plain, fitted)]
    assert np.abs(refined[0] - refined[1]).max() > 1e-3


def test_what_was_fitted_is_mixed_by_weight(engine: SynthesisEngine, tone: Timbre) -> None:
    fitted = engine.fit(tone, steps=STEPS)
    sums = []
    for first, second in ((fitted, tone), (tone, tone)):
        mix = TimbreMix(timbres=(first, second), weights=(1.0, 3.0))
        with torch.inference_mode():
            sums.append(engine._refiner.refined(mix, 1.0).weight_offsets)
    for one, other, change in zip(*sums, fitted.fitted, strict=True):
        difference = (one - other)[0].float().numpy()
        np.testing.assert_allclose(difference, 0.25 * change, atol=0.01)


def test_a_fit_can_be_stopped_after_every_step(engine: SynthesisEngine, tone: Timbre) -> None:
    cancel = threading.Event()
    told: list[int] = []

    def stop_at_two(done: int, total: int) -> None:
        told.append(done)
        if done == 2:
            cancel.set()

    with pytest.raises(RenderCancelled, match="Fitting was cancelled"):
        engine.fit(tone, steps=5, progress=stop_at_two, cancel=cancel)
    assert told == [1, 2]


@pytest.mark.parametrize("steps", [0, -1, MAX_FIT_STEPS + 1])
def test_impossible_numbers_of_steps_are_named(
    engine: SynthesisEngine, tone: Timbre, steps: int
) -> None:
    with pytest.raises(ParameterError, match=f"{steps} steps"):
        engine.fit(tone, steps=steps)


def test_silence_can_be_fitted(engine: SynthesisEngine, tone: Timbre) -> None:
    silent = replace(tone, mel=np.full_like(tone.mel, -1.0))
    assert all(np.isfinite(layer).all() for layer in engine.fit(silent, steps=3).fitted)
