from __future__ import annotations

import numpy as np
import pytest
import torch

from core.audio.files import AudioClip
from core.inference.engine import SynthesisEngine
from core.inference.miss import miss_code
from core.inference.model import load_model
from core.inference.networks import Networks
from core.inference.refining import Refiner, sum_weighted
from core.sound import SOURCE_VELOCITY, Timbre, TimbreMix
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import tiny_bundle


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SynthesisEngine:
    bundle = tiny_bundle(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    return SynthesisEngine(load_model(bundle), torch.device("cpu"))


@pytest.fixture(scope="module")
def networks(engine: SynthesisEngine) -> Networks:
    return Networks(engine._model, torch.device("cpu"))


@pytest.fixture
def refiner(networks: Networks) -> Refiner:
    return Refiner(networks)


@pytest.fixture(scope="module")
def timbres(engine: SynthesisEngine) -> tuple[Timbre, Timbre]:
    low, high = (
        engine.analyze(
            AudioClip(samples=harmonic_tone(hz, 0.6)[None], sample_rate=44100, name=f"{hz:g}"),
            root=root,
        )
        for hz, root in ((220.0, 57.0), (440.0, 69.0))
    )
    return low, high


def alone(timbre: Timbre) -> TimbreMix:
    return TimbreMix(timbres=(timbre,), weights=(1.0,))


def test_offsets_are_what_h_says_of_the_first_rendering(
    networks: Networks, refiner: Refiner, timbres: tuple[Timbre, Timbre]
) -> None:
    timbre = timbres[0]
    refined = refiner.refined(alone(timbre), 1.0)
    with torch.inference_mode():
        h = torch.from_numpy(timbre.features)[None]
        initial = networks.draw(h, [57.0], SOURCE_VELOCITY, networks.plain_weights)
        source = torch.from_numpy(timbre.mel)[None]
        miss = None
        if networks.model.hypernetwork.config.miss_dim:
            miss = miss_code(source, initial, torch.tensor([57.0]), networks.mel)
        expected = networks.predict(h, networks.features(initial), miss)
    for ours, theirs in zip(refined.weight_offsets, expected.offsets, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_offsets_and_gates_grow_with_the_strength_and_are_nothing_at_nought(
    refiner: Refiner, timbres: tuple[Timbre, Timbre]
) -> None:
    none, half, full = (refiner.refined(alone(timbres[0]), s) for s in (0.0, 0.5, 1.0))
    for parts in zip(none.weight_offsets, half.weight_offsets, full.weight_offsets, strict=True):
        assert not parts[0].any()
        torch.testing.assert_close(2.0 * parts[1], parts[2])
    assert full.gates
    assert full.gates[0].any()
    assert not none.gates[0].any()
    torch.testing.assert_close(2.0 * half.gates[0], full.gates[0])


def test_features_of_a_mix_have_unit_mean_square(
    refiner: Refiner, timbres: tuple[Timbre, Timbre]
) -> None:
    mix = refiner.refined(TimbreMix(timbres=timbres, weights=(1.0, 1.0)), 1.0)
    assert float(mix.h.square().mean()) == pytest.approx(1.0, abs=1e-3)
    assert len(mix.carry_overs) == len(mix.gates) == 2


def test_a_mix_begins_as_its_sounds_do_on_average(
    refiner: Refiner, timbres: tuple[Timbre, Timbre]
) -> None:
    mix = refiner.refined(TimbreMix(timbres=timbres, weights=(3.0, 1.0)), 1.0)
    low, high = (refiner.refined(alone(timbre), 1.0) for timbre in timbres)
    np.testing.assert_allclose(mix.attack, 0.75 * low.attack + 0.25 * high.attack)


def test_what_is_carried_over_is_what_the_refined_model_misses(
    networks: Networks, refiner: Refiner, timbres: tuple[Timbre, Timbre]
) -> None:
    refined = refiner.refined(alone(timbres[0]), 1.0)
    with torch.inference_mode():
        drawn = networks.draw(refined.h, [57.0], SOURCE_VELOCITY, refiner.weights(refined))[0]
    missed = torch.from_numpy(timbres[0].mel) - drawn
    carried = refined.carry_overs[0]
    whole = carried.body + carried.partials
    assert float((missed - whole).abs().mean()) < 0.5 * float(missed.abs().mean())


def test_sums_are_weighted_and_leave_their_parts_alone() -> None:
    parts = [torch.ones(2), torch.full((2,), 3.0)]
    torch.testing.assert_close(sum_weighted(parts, (0.25, 0.5)), torch.full((2,), 1.75))
    torch.testing.assert_close(parts[0], torch.ones(2))
