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
from core.inference.carry_over import body_share, carry_over_of, moved
from core.inference.engine import SynthesisEngine
from core.inference.gates import GATE_COUNT, GATE_SHAPE
from core.inference.miss import MISS_DIM
from core.inference.model import load_model, save_model
from core.inference.original import recording_share
from core.mel import MelConfig
from core.sound import ORIGINAL_RANGE, RenderRequest, Sound, TimbreMix
from tests.helpers.tiny_models import tiny_bundle
from training import pipeline
from training.config import RunConfig
from training.data.dataset import NoteBatch
from training.evaluation.config import EvaluateConfig
from training.evaluation.evaluate import evaluate
from training.evaluation.workbench import Workbench
from training.networks import Networks
from training.refining import refine
from training.stages.hypernetwork import HypernetworkStageConfig, composed


def _mels(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, 128, 256, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


MEL = MelConfig()
NO_GATES = torch.zeros(2, 0)


def test_without_gates_and_far_away_a_note_gets_the_body_alone() -> None:
    # 45 semitones away the recording and its partials have no share left, the body a half.
    source, drawn, others = _mels(2, seed=0), _mels(2, seed=1), _mels(2, 1, seed=2)
    semitones = torch.tensor([[45.0], [-45.0]])
    ours = composed(source, drawn, others, NO_GATES, semitones, MEL)
    for timbre in range(2):
        body = carry_over_of(source[timbre], drawn[timbre]).body
        expected = (others[timbre, 0] + body_share(45.0) * body).clamp_min(-1.0)
        torch.testing.assert_close(ours[timbre, 0], expected, atol=1e-5, rtol=0.0)


def test_open_gates_for_the_recording_bring_a_note_to_the_moved_source() -> None:
    source, drawn, others = (_mels(1, seed=s) for s in (0, 1, 2))
    gates = torch.zeros(1, *GATE_SHAPE)
    gates[:, 2] = 40.0  # twice the law's share
    gates[:, :2] = -40.0  # no carry-over
    semitones = torch.tensor([[5.0]])
    ours = composed(source, drawn, others[:, None], gates.flatten(1), semitones, MEL)[0, 0]
    share = 2.0 * torch.from_numpy(recording_share(5.0, ORIGINAL_RANGE, MEL))
    recording = moved(source[0] + 1.0, 5.0, MEL) - 1.0
    torch.testing.assert_close(ours, others[0] + share * (recording - others[0]))


def test_composition_in_training_is_the_engines(tmp_path: Path) -> None:
    # A source that sounds the same in every band and at every time, so that a recording moved along
    # the mel axis is the shifted one but for its edges; networks of random weights.
    model = load_model(tiny_bundle(tmp_path / "tiny.safetensors"))
    engine = SynthesisEngine(model, torch.device("cpu"))
    noise = np.random.default_rng(0).normal(size=(1, MEL.n_samples)).astype(np.float32)
    clip = AudioClip(samples=noise / np.abs(noise).max(), sample_rate=44100, name="noise")
    timbre = engine.analyze(clip, root=60.0)
    sound = Sound(mix=TimbreMix(timbres=(timbre,), weights=(1.0,)))
    with torch.inference_mode():
        renderer = engine._renderer
        theirs = renderer.mels(sound, [renderer.recipe(sound, 67)])[0]
        refined = engine._refiner.refined(sound.mix, sound.settings.refinement)
    notes = NoteBatch(
        mel=torch.from_numpy(timbre.mel)[None].repeat(2, 1, 1),
        midi_pitch=torch.tensor([60.0, 67.0]),
        velocity=torch.full([2], 100.0),
        instrument=torch.zeros(2),
    )
    with torch.no_grad():
        h = torch.from_numpy(timbre.features)[None]
        first = notes.part(torch.tensor([0]))
        refinement = refine(model.features, model.generator, model.hypernetwork, first, h)
        z = torch.zeros(2, model.generator.config.z_dim)
        drawn = model.generator(
            z, notes.midi_pitch, notes.velocity, h.expand(2, -1), refinement.offsets
        )[:, 0]
        ours = composed(
            first.mel, drawn[:1], drawn[None, 1:], refinement.gates, torch.tensor([[7.0]]), MEL
        )[0, 0]
    torch.testing.assert_close(
        refinement.gates.reshape(GATE_SHAPE), refined.gates[0].float(), atol=0.05, rtol=0.05
    )
    inner = (slice(30, 100), slice(12, 240))
    gap = (ours - theirs)[inner].abs().mean() * MEL.db_per_unit
    assert float(gap) < 2.0
    without = (drawn[1] - theirs)[inner].abs().mean() * MEL.db_per_unit
    assert float(gap) < 0.2 * float(without)


def test_what_h_predicts_gets_gradients_from_the_composed_note() -> None:
    drawn, others = torch.zeros(1, 128, 256), torch.zeros(1, 1, 128, 256)
    gates = torch.zeros(1, GATE_COUNT)
    for each in (drawn, others, gates):
        each.requires_grad_(True)
    source = _mels(1, seed=0).clamp(-0.5, 0.5)
    composed(source, drawn, others, gates, torch.full([1, 1], 7.0), MEL).sum().backward()
    for each in (drawn, others, gates):
        assert each.grad is not None
        assert float(each.grad.abs().max()) > 0.0


def test_carry_over_needs_another_note() -> None:
    with pytest.raises(ParameterError, match="notes_per_timbre"):
        HypernetworkStageConfig(carried_weight=1.0, notes_per_timbre=1)


@pytest.fixture
def run_with_generator(debug_config: RunConfig, tmp_path: Path) -> Path:
    """A run folder that holds an untrained f, G and D as if trained."""
    networks = Networks(debug_config.model, seed=5)
    trained = {
        "features": networks.features,
        "generator": networks.generator,
        "discriminator": networks.discriminator,
    }
    weights = tmp_path / "generator" / "weights.safetensors"
    weights.parent.mkdir()
    save_checkpoint(weights, named_tensors(trained, torch.float32), {"kind": "weights"})
    return tmp_path


@pytest.mark.parametrize("variant", ["paper", "mels", "ours"])
def test_each_recipe_steps_and_moves_its_weights(
    debug_config: RunConfig, run_with_generator: Path, variant: str
) -> None:
    recipe = dataclasses.replace(
        debug_config.hypernetwork,
        steps=2,
        timbres_per_batch=2,
        carried_weight=200.0 if variant == "ours" else 0.0,
    )
    sizes = dataclasses.replace(
        debug_config.model.hypernetwork,
        input=MELS if variant == "mels" else "features",
        encoder_channels=(4, 4, 8, 8, 8),
        miss_dim=MISS_DIM if variant == "ours" else 0,
        gate_count=GATE_COUNT if variant == "ours" else 0,
    )
    model = dataclasses.replace(debug_config.model, hypernetwork=sizes)
    config = dataclasses.replace(debug_config, hypernetwork=recipe, model=model)
    pipeline.run_stage("hypernetwork", config, run_with_generator, minutes=None, resume=False)
    stats = run_with_generator / "hypernetwork" / "stats.jsonl"
    lines = [json.loads(line) for line in stats.read_text(encoding="utf-8").splitlines()]
    assert np.isfinite([value for line in lines for value in line.values()]).all()
    assert ("carried" in lines[0]) == (variant == "ours")
    assert "validation/composed_lmd60_db" in lines[-1]
    networks = Networks(model, seed=config.seed)
    fresh = {name: value.clone() for name, value in networks.hypernetwork.state_dict().items()}
    networks.load_newest("hypernetwork", run_with_generator, ("hypernetwork",))
    changed = {
        name.partition(".")[0]
        for name, value in networks.hypernetwork.state_dict().items()
        if not torch.equal(value, fresh[name])
    }
    ours = {"mels": {"encoder"}, "ours": {"gates"}, "paper": set()}[variant]
    assert changed == {"shared", "blocks"} | ours


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
        Networks(config.model, seed=seed).discriminator.state_dict()["head.weight"]
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
    networks = Networks(model, seed=0)
    for block in networks.hypernetwork.blocks:
        torch.nn.init.normal_(block.left.weight, std=0.3)
    path = tmp_path / "mels.safetensors"
    parts = {name: getattr(networks, name) for name in pipeline.NETWORK_NAMES}
    save_model(path, parts, (), torch.zeros(0, 32), {"licence": "none"})
    mel_bench = Workbench(load_model(path), bench.classifier, bench.split)
    evaluate(mel_bench, EvaluateConfig(pairs=8, pitch_sources=2, fitted_sources=2), tmp_path)
    printed = capsys.readouterr().out
    assert "MSE at the source's own note" in printed
    assert "pitch accuracy" in printed
    assert "tuning" not in printed
    rows = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["rows"]
    values = {row["measure"]: row["value"] for row in rows}
    found = next(value for name, value in values.items() if name.startswith("MSE at the source"))
    refined, plain = found.partition(" = ")[0].split(" / ")
    assert refined != plain

    def play() -> None:
        clip = AudioClip(samples=bench.split.audio([5]).numpy(), sample_rate=44100, name="tone")
        timbre = mel_bench.engine.analyze(clip, root=60.0)
        mix = TimbreMix(timbres=(timbre,), weights=(1.0,))
        mel_bench.engine.render(RenderRequest(sound=Sound(mix=mix), notes=(84,)))

    with pytest.raises(CoreError, match=r"[Mm]el"):
        play()
