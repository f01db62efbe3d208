from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from core.audio.files import AudioClip
from core.checkpoint import load_checkpoint, named_tensors, save_checkpoint
from core.errors import CoreError, ParameterError
from core.hypernetwork import MELS
from core.inference.carry_over import body_share, carry_over_of
from core.inference.model import load_model, save_model
from core.inference.request import RenderRequest, TimbreMix
from training import pipeline
from training.config import RunConfig
from training.stages.evaluate import EvaluateConfig, evaluate
from training.stages.hypernetwork import HypernetworkStageConfig, carried_over
from training.workbench import Workbench


def _mels(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, 128, 256, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


def test_carry_over_in_training_is_the_engines() -> None:
    source, drawn, others = _mels(2, seed=0), _mels(2, seed=1), _mels(2, 3, seed=2)
    semitones = torch.tensor([[0.0, -5.0, 12.0], [7.5, 18.0, -40.0]])
    ours = carried_over(source, drawn, others, semitones)
    for timbre in range(2):
        missed = carry_over_of(source[timbre], drawn[timbre]).body
        for note in range(3):
            share = body_share(float(semitones[timbre, note]))
            expected = (others[timbre, note] + share * missed).clamp_min(-1.0)
            torch.testing.assert_close(ours[timbre, note], expected, atol=1e-5, rtol=0.0)


def test_carry_over_has_a_gradient_for_the_source_drawn_and_for_the_other_note() -> None:
    drawn, others = torch.zeros(1, 128, 256), torch.zeros(1, 1, 128, 256)
    drawn.requires_grad_(True)
    others.requires_grad_(True)
    carried = carried_over(drawn.detach() + 0.5, drawn, others, torch.zeros(1, 1))
    carried.sum().backward()
    assert drawn.grad is not None
    assert others.grad is not None
    assert float(others.grad.sum()) == pytest.approx(128 * 256)
    assert float(drawn.grad.sum()) == pytest.approx(-128 * 256, rel=1e-3)


def test_carry_over_needs_another_note() -> None:
    with pytest.raises(ParameterError, match="notes_per_timbre"):
        HypernetworkStageConfig(carried_weight=1.0, notes_per_timbre=1)


@pytest.fixture
def run_with_generator(debug_config: RunConfig, tmp_path: Path) -> Path:
    """A run folder that holds an untrained f, G and D as if trained."""
    networks = pipeline.Networks(debug_config.model, seed=5)
    trained = {
        "features": networks.features,
        "generator": networks.generator,
        "discriminator": networks.discriminator,
    }
    weights = tmp_path / "generator" / "weights.safetensors"
    weights.parent.mkdir()
    save_checkpoint(weights, named_tensors(trained, torch.float32), {"kind": "weights"})
    return tmp_path


@pytest.mark.parametrize("variant", ["features", "mels", "carried"])
def test_each_recipe_steps_and_moves_its_weights(
    debug_config: RunConfig, run_with_generator: Path, variant: str
) -> None:
    recipe = dataclasses.replace(
        debug_config.hypernetwork, steps=2, timbres_per_batch=2,
        carried_weight=200.0 if variant == "carried" else 0.0,
    )  # fmt: skip
    sizes = dataclasses.replace(
        debug_config.model.hypernetwork, input=MELS if variant == "mels" else "features",
        encoder_channels=(4, 4, 8, 8, 8),
    )  # fmt: skip
    model = dataclasses.replace(debug_config.model, hypernetwork=sizes)
    config = dataclasses.replace(debug_config, hypernetwork=recipe, model=model)
    pipeline.run_stage("hypernetwork", config, run_with_generator, minutes=None, resume=False)
    stats = run_with_generator / "hypernetwork" / "stats.jsonl"
    lines = [json.loads(line) for line in stats.read_text(encoding="utf-8").splitlines()]
    assert np.isfinite([value for line in lines for value in line.values()]).all()
    assert ("carried" in lines[0]) == (variant == "carried")
    assert "validation/cross_carried_rmse_db" in lines[-1]
    networks = pipeline.Networks(model, seed=config.seed)
    fresh = {name: value.clone() for name, value in networks.hypernetwork.state_dict().items()}
    networks.load(run_with_generator, "hypernetwork", stages=("hypernetwork",))
    moved = {
        name.partition(".")[0]
        for name, value in networks.hypernetwork.state_dict().items()
        if not torch.equal(value, fresh[name])
    }
    assert moved == {"shared", "blocks"} | ({"encoder"} if variant == "mels" else set())


def test_d_may_join_from_the_first_step_as_the_generator_left_it(
    debug_config: RunConfig, run_with_generator: Path
) -> None:
    recipe = dataclasses.replace(
        debug_config.hypernetwork, steps=1, timbres_per_batch=2, adversarial_weight=1.0
    )
    config = dataclasses.replace(debug_config, hypernetwork=recipe)
    pipeline.run_stage("hypernetwork", config, run_with_generator, minutes=None, resume=False)
    weights = load_checkpoint(run_with_generator / "hypernetwork" / "weights.safetensors")
    start, other = (
        pipeline.Networks(config.model, seed=seed).discriminator.state_dict()["head.weight"]
        for seed in (5, config.seed)
    )
    after = weights.tensors["discriminator.head.weight"]
    assert not torch.equal(after, start)  # it was trained
    assert (after - start).abs().max() < 0.01 < (after - other).abs().max()


def test_a_bundle_whose_hypernetwork_reads_mels_is_measured_but_not_played(
    bench: Workbench, debug_config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = dataclasses.replace(
        debug_config.model.hypernetwork, input=MELS, encoder_channels=(4, 4, 8, 8, 8)
    )
    model = dataclasses.replace(debug_config.model, hypernetwork=sizes)
    networks = pipeline.Networks(model, seed=0)
    for block in networks.hypernetwork.blocks:
        torch.nn.init.normal_(block.left.weight, std=0.3)
    path = tmp_path / "mels.safetensors"
    parts = {name: getattr(networks, name) for name in pipeline.NETWORK_NAMES}
    save_model(path, parts, (), torch.zeros(0, 32), {"licence": "none"})
    mel_bench = Workbench(load_model(path), bench.judge, bench.split)
    evaluate(mel_bench, EvaluateConfig(pairs=8, pitch_sources=2, fitted_sources=2), tmp_path)
    printed = capsys.readouterr().out
    assert "reconstruction MSE" in printed
    assert "pitch accuracy" in printed
    assert "tuning" not in printed
    rows = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["rows"]
    values = {row["measure"]: row["value"] for row in rows}
    names = [f"reconstruction MSE, {name}" for name in ("GANStrument", "HyperGANStrument")]
    assert values[names[0]] != values[names[1]]

    def play() -> None:
        clip = AudioClip(samples=bench.split.audio([5]).numpy(), sample_rate=44100, name="tone")
        timbre = mel_bench.engine.analyze(clip, root=60.0)
        mix = TimbreMix(timbres=(timbre,), weights=(1.0,))
        mel_bench.engine.render(RenderRequest(mix=mix, notes=(84,)))

    with pytest.raises(CoreError, match=r"[Mm]el"):
        play()
