from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.audio.files import AudioClip
from core.audio.loudness import momentary_loudness_db
from core.inference import rendering
from core.inference.engine import SynthesisEngine
from core.inference.model import load_model
from core.inference.networks import Networks
from core.inference.refining import Refiner
from core.inference.rendering import LEAST_WEIGHT, PEAK, NoteRenderer
from core.sound import SOURCE_VELOCITY, RenderSettings, Sound, Timbre, TimbreMix
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import tiny_bundle

RATE = 44100


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SynthesisEngine:
    bundle = tiny_bundle(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    return SynthesisEngine(load_model(bundle), torch.device("cpu"))


@pytest.fixture(scope="module")
def renderer(engine: SynthesisEngine) -> NoteRenderer:
    networks = Networks(engine._model, torch.device("cpu"))
    return NoteRenderer(networks, Refiner(networks))


def heard(engine: SynthesisEngine, hz: float, root: float, length_s: float) -> Timbre:
    tone = harmonic_tone(hz, length_s)
    return engine.analyze(
        AudioClip(samples=tone[None], sample_rate=RATE, name=f"{hz:g}"), root=root
    )


@pytest.fixture(scope="module")
def low(engine: SynthesisEngine) -> Timbre:
    return heard(engine, 220.0, 57.0, 1.0)


@pytest.fixture(scope="module")
def high(engine: SynthesisEngine) -> Timbre:
    return heard(engine, 440.0, 69.0, 0.5)


def alone(timbre: Timbre, settings: RenderSettings | None = None) -> Sound:
    mix = TimbreMix(timbres=(timbre,), weights=(1.0,))
    return Sound(mix=mix, settings=settings or RenderSettings())


def test_at_its_root_a_recording_is_the_key(renderer: NoteRenderer, low: Timbre) -> None:
    recipe = renderer.recipe(alone(low), 57)
    assert recipe.recording is low
    assert recipe.n_samples == pytest.approx(low.length_s * RATE, abs=1)


@pytest.mark.parametrize(
    ("note", "settings"),
    [
        (60, RenderSettings()),
        (57, RenderSettings(original_range=0.0)),
        (57, RenderSettings(variation=0.5)),
        (57, RenderSettings(velocity=SOURCE_VELOCITY - 1)),
    ],
)
def test_elsewhere_and_otherwise_the_networks_render_it(
    renderer: NoteRenderer, low: Timbre, note: int, settings: RenderSettings
) -> None:
    assert renderer.recipe(alone(low, settings), note).recording is None


def test_recordings_carry_a_key_unless_the_model_alone_is_asked_for(
    renderer: NoteRenderer, low: Timbre
) -> None:
    assert renderer.recipe(alone(low), 60).carriers == ((low, 1.0),)
    for settings in (RenderSettings(original_range=0.0), RenderSettings(variation=0.5)):
        assert renderer.recipe(alone(low, settings), 60).carriers == ()


def test_a_source_that_nobody_would_hear_carries_nothing(
    renderer: NoteRenderer, low: Timbre, high: Timbre
) -> None:
    for share, expected in ((1.1 * LEAST_WEIGHT, [low, high]), (0.9 * LEAST_WEIGHT, [low])):
        mix = TimbreMix(timbres=(low, high), weights=(1.0 - share, share))
        carriers = renderer.recipe(Sound(mix=mix), 60).carriers
        assert [timbre for timbre, _ in carriers] == expected


def test_length_and_loudness_are_those_of_the_mix(
    renderer: NoteRenderer, low: Timbre, high: Timbre
) -> None:
    quiet = replace(high, loudness_db=low.loudness_db - 10.0, content_hash="quiet")
    recipe = renderer.recipe(Sound(mix=TimbreMix(timbres=(low, quiet), weights=(0.75, 0.25))), 62)
    expected_s = 0.75 * low.length_s + 0.25 * high.length_s
    assert recipe.n_samples == pytest.approx(expected_s * RATE, abs=1)
    assert recipe.loudness_db == pytest.approx(low.loudness_db - 2.5)


def test_a_key_of_an_instrument_is_made_of_the_notes_around_it(
    renderer: NoteRenderer, low: Timbre, high: Timbre
) -> None:
    mix = TimbreMix(timbres=(low, high), weights=(1.0, 1.0), one_instrument=True)
    recipe = renderer.recipe(Sound(mix=mix), 60)
    assert recipe.mix.weights == pytest.approx((0.75, 0.25))
    assert renderer.recipe(Sound(mix=mix), 69).recording is high
    assert renderer.recipe(Sound(mix=mix), 30).mix.timbres == (low,)


def test_notes_come_in_their_order_whatever_they_are_made_of(
    renderer: NoteRenderer, low: Timbre
) -> None:
    notes = (64, 57, 50)
    together = renderer.render(alone(low), notes)
    for note, ours in zip(notes, together, strict=True):
        (single,) = renderer.render(alone(low), [note])
        np.testing.assert_allclose(ours, single, atol=2e-2)
        assert len(ours) == renderer.recipe(alone(low), note).n_samples


@pytest.mark.parametrize("name", ["velocity", "variation", "refinement", "carry_over"])
def test_every_setting_of_the_networks_changes_the_mel(
    renderer: NoteRenderer, low: Timbre, name: str
) -> None:
    values = {"velocity": (20, 127)}.get(name, (0.0, 1.0))
    with torch.inference_mode():
        first, second = (
            renderer.mels(sound, [renderer.recipe(sound, 62)])
            for sound in (
                alone(low, replace(RenderSettings(), **{name: value})) for value in values
            )
        )
    assert float((first - second).abs().mean()) > 1e-3


def test_what_a_recording_adds_is_known_at_its_own_velocity(
    renderer: NoteRenderer, low: Timbre
) -> None:
    added = []
    with torch.inference_mode():
        for velocity in (SOURCE_VELOCITY, 20):
            with_recording, without = (
                renderer.mels(sound, [renderer.recipe(sound, 62)])[0]
                for sound in (
                    alone(low, RenderSettings(velocity=velocity, original_range=semitones))
                    for semitones in (0.5, 0.0)
                )
            )
            is_free = (with_recording > -1.0) & (without > -1.0)  # of the floor
            added.append((with_recording - without, is_free))
    both = added[0][1] & added[1][1]
    assert int(both.sum()) > 1000
    torch.testing.assert_close(added[0][0][both], added[1][0][both], atol=2e-3, rtol=0)


def test_notes_rise_as_their_recording_does_unless_the_model_plays_alone(
    renderer: NoteRenderer, low: Timbre, monkeypatch: pytest.MonkeyPatch
) -> None:
    risen: list[int] = []

    def restore(samples: object, attack: object, sample_rate: int) -> object:
        risen.append(sample_rate)
        return samples

    monkeypatch.setattr("core.inference.rendering.restore_attack", restore)
    renderer.render(alone(low), [62])
    assert risen == [RATE]
    renderer.render(alone(low, RenderSettings(original_range=0.0)), [62])
    assert risen == [RATE]


def test_a_key_is_played_six_decibels_below_its_source_unless_its_peak_forbids_that(
    renderer: NoteRenderer, low: Timbre
) -> None:
    recording, rendered = renderer.render(alone(low), [57, 62])
    wanted_db = low.loudness_db - 6.0
    assert momentary_loudness_db(recording[None], RATE) == pytest.approx(wanted_db, abs=0.1)
    is_at_peak = np.abs(rendered).max() == pytest.approx(PEAK, abs=1e-4)
    difference_db = momentary_loudness_db(rendered[None], RATE) - wanted_db
    assert difference_db < -0.1 if is_at_peak else abs(difference_db) < 0.1


def test_every_note_and_every_seed_has_a_noise_of_its_own(low: Timbre) -> None:
    sounds = [alone(low, RenderSettings(seed=seed)) for seed in (0, 1)]
    seeds = {rendering._note_seed(sound, note) for sound in sounds for note in range(128)}
    assert len(seeds) == 256
