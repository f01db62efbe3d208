from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch

from core.checkpoint import load_checkpoint, named_tensors, save_checkpoint
from training import pipeline
from training.config import RunConfig
from training.errors import TrainingError
from training.networks import Networks
from training.stages.generator import PROBE_NOTES, PitchProbe

H_DIM = 24


def features(leak: float, seed: int, count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Random features with the pitch along one direction, and the pitches."""
    chance = torch.Generator().manual_seed(seed)
    pitch = 36.0 + 48.0 * torch.rand(count, generator=chance)
    h = torch.randn(count, H_DIM, generator=chance)
    h[:, 3] += leak * (pitch - 60.0) / 12.0
    return h, pitch


def read_after(leak: float, batches: int = PROBE_NOTES // 64) -> float:
    probe = PitchProbe(H_DIM)
    for seed in range(batches):
        probe(*features(leak, seed))
    return float(probe(*features(leak, 10_000, count=4096)))


def test_the_probe_reads_a_pitch_that_is_there_and_none_that_is_not() -> None:
    # Of its four readings, the octaves and their square can be read off one direction in part.
    assert read_after(3.0) > 0.2
    assert read_after(0.0) < 0.05


def test_the_probe_says_nothing_before_it_has_heard_enough() -> None:
    probe = PitchProbe(H_DIM)
    assert float(probe(*features(3.0, 0))) == 0.0


def test_the_probe_forgets_what_is_long_ago() -> None:
    probe = PitchProbe(H_DIM)
    for seed in range(PROBE_NOTES // 64):
        probe(*features(3.0, seed))
    for seed in range(PROBE_NOTES // 64):
        probe(*features(0.0, 100 + seed))
    assert float(probe(*features(0.0, 10_000, count=4096))) < 0.05


def test_its_gradient_takes_the_pitch_out_of_the_features() -> None:
    probe = PitchProbe(H_DIM)
    for seed in range(PROBE_NOTES // 64):
        probe(*features(1.0, seed))
    h, pitch = features(1.0, 10_000, count=1024)
    h.requires_grad_(True)
    before = copy.deepcopy(probe)(h, pitch)
    (gradient,) = torch.autograd.grad(before, h)
    with torch.no_grad():
        after = copy.deepcopy(probe)(h - 1000.0 * gradient, pitch)
    assert float(after) < 0.9 * float(before.detach())
    others = gradient[:, [i for i in range(H_DIM) if i != 3]]
    assert float(gradient[:, 3].abs().mean()) > 3.0 * float(others.abs().mean())


def run(config: RunConfig, folder: Path) -> dict[str, torch.Tensor]:
    pipeline.run_stage("generator", config, folder, minutes=None, resume=False)
    return dict(load_checkpoint(folder / "generator" / "weights.safetensors").tensors)


def test_a_run_may_start_from_an_earlier_ones_weights(
    debug_config: RunConfig, tmp_path: Path
) -> None:
    still = dataclasses.replace(
        debug_config.generator,
        steps=1,
        batch_size=4,
        learning_rate=0.0,
        features_learning_rate=1e-9,
        adversarial_weight=0.0,
    )
    networks = Networks(debug_config.model, seed=77)

    earlier = tmp_path / "earlier.safetensors"
    trained = {"features": networks.features, "generator": networks.generator}
    save_checkpoint(earlier, named_tensors(trained, torch.float32), {"kind": "weights"})
    config = dataclasses.replace(debug_config, generator=still, start_from=str(earlier))
    weights = run(config, tmp_path)
    for name, value in networks.generator.state_dict().items():
        torch.testing.assert_close(weights[f"generator.{name}"], value)


def test_a_start_that_does_not_fit_is_named(debug_config: RunConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(debug_config, start_from=str(tmp_path / "none.safetensors"))
    with pytest.raises(TrainingError, match=r"none\.safetensors"):
        run(config, tmp_path)


@pytest.mark.parametrize(
    "weight",
    [
        "reconstruction_weight",
        "level_weight",
        "quiet_weight",
        "movement_weight",
        "absolute_weight",
        "probe_weight",
    ],
)
def test_every_weight_of_the_loss_moves_the_networks(
    debug_config: RunConfig, tmp_path: Path, weight: str
) -> None:
    # Enough notes that the probe speaks; then one weight is raised.
    recipe = dataclasses.replace(
        debug_config.generator,
        steps=9,
        batch_size=32,
        adversarial_weight=0.0,
        gradient_clip=1e9,
    )
    raised = dataclasses.replace(recipe, **{weight: getattr(recipe, weight) + 20.0})
    torch.manual_seed(0)
    results = []
    for name, each in (("as it is", recipe), ("raised", raised)):
        folder = tmp_path / name
        networks = Networks(debug_config.model, seed=3)

        save_checkpoint(
            folder / "features" / "weights.safetensors",
            named_tensors({"features": networks.features}, torch.float32),
            {"kind": "weights"},
        )
        results.append(run(dataclasses.replace(debug_config, generator=each), folder))
    name = "features.head.weight" if weight == "probe_weight" else "generator.synthesis.constant"
    assert not torch.equal(results[0][name], results[1][name])


def test_a_resumed_run_remembers_what_the_probe_has_heard(
    debug_config: RunConfig, tmp_path: Path
) -> None:
    networks = Networks(debug_config.model, seed=3)
    save_checkpoint(
        tmp_path / "features" / "weights.safetensors",
        named_tensors({"features": networks.features}, torch.float32),
        {"kind": "weights"},
    )
    recipe = dataclasses.replace(debug_config.generator, batch_size=4, adversarial_weight=0.0)
    config = dataclasses.replace(debug_config, generator=recipe)
    for heard in (4, 8, 12):
        pipeline.run_stage("generator", config, tmp_path, minutes=1e-6, resume=heard > 4)
        state = load_checkpoint(tmp_path / "generator" / "state.safetensors")
        assert int(state.tensors["probe.seen"]) == heard
        filled = state.tensors["probe.h_memory"].abs().sum(dim=1) > 0.0
        assert filled.nonzero().flatten().tolist() == list(range(heard))
