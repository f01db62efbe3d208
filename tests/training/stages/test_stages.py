"""Every stage runs, resumes and stops on a toy corpus with toy networks."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core.checkpoint import load_checkpoint, save_checkpoint
from core.inference.model import load_model
from training import pipeline
from training.config import RunConfig, load_config, to_toml
from training.corpus.splits import Split
from training.data.dataset import CorpusSplit
from training.errors import TrainingError
from training.pitch_classifier import CLASSIFIER_FILE, load_classifier
from training.run_dir import RunDir
from training.stage import plain_module
from training.stages import STAGE_NAMES
from training.trainer import LoopConfig, Trainer

ROOT = Path(__file__).resolve().parents[3]
SHORT: dict[str, dict[str, Any]] = {
    "features": {"steps": 2},
    "generator": {"steps": 3, "adversarial_start": 1, "r1_every": 2, "batch_size": 4},
    "hypernetwork": {"steps": 2, "timbres_per_batch": 2},
    "adversarial": {"steps": 2, "r1_every": 2, "timbres_per_batch": 2},
    "vocoder": {"steps": 3, "adversarial_start": 1, "batch_size": 2},
    "classifier": {"steps": 2, "batch_size": 4},
}


def test_every_stage_is_a_module_and_a_section_of_the_configuration() -> None:
    assert set(pipeline.STAGES) == STAGE_NAMES
    assert set(SHORT) == STAGE_NAMES
    assert [*pipeline.STAGES] == [
        "features",
        "generator",
        "hypernetwork",
        "adversarial",
        "vocoder",
        "classifier",
    ]


@pytest.mark.parametrize(
    ("network", "stages"),
    [
        ("features", ("features", "generator")),
        ("generator", ("generator",)),
        ("discriminator", ("generator", "adversarial")),
        ("hypernetwork", ("hypernetwork", "adversarial")),
        ("vocoder", ("vocoder",)),
        ("classifier", ("classifier",)),
    ],
)
def test_the_table_says_which_stages_leave_a_network(network: str, stages: tuple[str, ...]) -> None:
    assert pipeline.stages_training(network) == stages


def _short(config: RunConfig) -> RunConfig:
    changes = {
        name: dataclasses.replace(getattr(config, name), **values) for name, values in SHORT.items()
    }
    return dataclasses.replace(config, **changes)


def _stats(run_dir: Path, stage: str) -> list[dict[str, float]]:
    lines = (run_dir / stage / "stats.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def finished_run(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder in which every stage has done its few steps."""
    config = _config(tiny_corpus)
    run_dir = tmp_path_factory.mktemp("run")
    for stage in pipeline.STAGES:
        pipeline.run_stage(stage, config, run_dir, minutes=None, resume=False)
    return run_dir


def _config(corpus: Path, name: str = "debug") -> RunConfig:
    config = load_config(ROOT / "resources" / "configs" / f"{name}.toml")
    return _short(
        dataclasses.replace(
            config,
            corpus_dir=str(corpus),
            accelerator="cpu",
            precision="32-true",
            validate_every=1000,
            log_every=1,
        )
    )


@pytest.mark.parametrize("stage", pipeline.STAGES)
def test_a_stage_leaves_finite_losses_measures_and_weights(finished_run: Path, stage: str) -> None:
    lines = _stats(finished_run, stage)
    assert [line["step"] for line in lines if "seconds" in line] == list(
        range(1, SHORT[stage]["steps"] + 1)
    )
    assert all(
        abs(value) < 1e6 for line in lines for value in line.values() if value != line["time"]
    )
    assert any(key.startswith("validation/") for key in lines[-1])
    weights = load_checkpoint(finished_run / stage / "weights.safetensors", kind="weights")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.tensors.values())
    assert (finished_run / stage / "config.toml").is_file()


@pytest.mark.parametrize("stage", pipeline.STAGES)
def test_a_stage_resumed_after_every_step_ends_as_the_uninterrupted_one(
    finished_run: Path, tiny_corpus: Path, tmp_path: Path, stage: str
) -> None:
    config = _config(tiny_corpus)
    for earlier in pipeline.STAGES:
        if earlier != stage:
            (tmp_path / earlier).symlink_to(finished_run / earlier)
    # Learning rates fall along the planned steps, so the plan stays and time ends each part.
    steps = SHORT[stage]["steps"]
    for done in range(steps):
        pipeline.run_stage(stage, config, tmp_path, minutes=1e-6, resume=done > 0)

    def curve(folder: Path) -> list[dict[str, float]]:
        return [
            {key: value for key, value in line.items() if key not in ("time", "seconds")}
            for line in _stats(folder, stage)
            if "seconds" in line
        ]

    assert curve(tmp_path) == curve(finished_run)
    parts, whole = (
        load_checkpoint(folder / stage / "state.safetensors", kind="state")
        for folder in (tmp_path, finished_run)
    )
    assert parts.header == whole.header  # with learning rates
    assert parts.tensors.keys() == whole.tensors.keys()
    for name, tensor in whole.tensors.items():
        assert torch.equal(parts.tensors[name], tensor), name
    for network in whole.header["optimizers"]:
        for kind in (network, f"average.{network}", f"optimizer.{network}"):
            assert any(name.startswith(f"{kind}.") for name in whole.tensors), kind


@pytest.mark.parametrize("stage", pipeline.STAGES)
def test_a_gradient_that_is_not_finite_leaves_every_network_as_it_was(
    finished_run: Path, tiny_corpus: Path, tmp_path: Path, stage: str
) -> None:
    config = _config(tiny_corpus)
    fabric = pipeline.make_fabric(config)
    for poisoned in load_checkpoint(finished_run / stage / "state.safetensors").header[
        "optimizers"
    ]:
        built = pipeline.build_stage(stage, fabric, config, finished_run)
        loop = LoopConfig(seed=0, checkpoint_every_s=1e9, validate_every=1000, log_every=1)
        trainer = Trainer(built, fabric, RunDir(tmp_path), loop)
        trainer.step = SHORT[stage]["steps"] - 1  # with everything that joins late
        before = copy.deepcopy(
            {name: network.state_dict() for name, network in built.networks.items()}
        )
        trained = [p for p in built.networks[poisoned].parameters() if p.requires_grad]
        trained[-1].register_hook(lambda gradient: gradient * float("nan"))
        with pytest.raises(TrainingError, match=f"gradient of '{poisoned}' is not finite"):
            trainer.train_step()
        for name, network in built.networks.items():
            for key, value in network.state_dict().items():
                assert torch.equal(value, before[name][key]), (poisoned, name, key)


@pytest.mark.parametrize(
    ("stage", "network", "earlier"),
    [
        ("generator", "features", "features"),
        ("hypernetwork", "features", "generator"),
        ("hypernetwork", "generator", "generator"),
        ("adversarial", "features", "generator"),
        ("adversarial", "generator", "generator"),
        ("adversarial", "hypernetwork", "hypernetwork"),
        ("adversarial", "discriminator", "generator"),
    ],
)
def test_a_stage_begins_with_what_the_stages_before_left(
    finished_run: Path, tiny_corpus: Path, stage: str, network: str, earlier: str
) -> None:
    config = _config(tiny_corpus)
    built = pipeline.build_stage(stage, pipeline.make_fabric(config), config, finished_run)
    ours = built.networks[network] if network in built.networks else getattr(built, network)
    left = load_checkpoint(finished_run / earlier / "weights.safetensors").network(network)
    for name, value in plain_module(ours).state_dict().items():
        assert torch.equal(value, left[name]), name


@pytest.mark.parametrize("stage", pipeline.STAGES)
def test_a_stage_clips_what_its_recipe_says(
    finished_run: Path, tiny_corpus: Path, stage: str
) -> None:
    config = _config(tiny_corpus)
    built = pipeline.build_stage(stage, pipeline.make_fabric(config), config, finished_run)
    limit = getattr(config, stage).gradient_clip
    others = {"classifiers": math.inf}
    if stage != "vocoder":
        others["discriminator"] = 10.0
    assert built.gradient_clips == {name: others.get(name, limit) for name in built.optimizers}


def test_the_bundle_of_a_run_opens_and_holds_what_was_trained(
    finished_run: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    path = pipeline.bundle_run(_config(tiny_corpus), finished_run, tmp_path)
    model = load_model(path)
    trained = load_checkpoint(finished_run / "adversarial" / "weights.safetensors")
    for name, tensor in trained.network("hypernetwork").items():
        ours = dict(model.hypernetwork.state_dict())[name]
        assert torch.allclose(ours, tensor, atol=2e-3, rtol=2e-3), name
    assert model.header["training"]["generator"]["steps"] == SHORT["generator"]["steps"]
    assert model.header["corpus"]


def test_a_run_of_an_older_release_is_resumed_and_bundled(
    finished_run: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    config = _config(tiny_corpus)
    for stage in pipeline.STAGES:
        if stage != "classifier":
            (tmp_path / stage).symlink_to(finished_run / stage)
    pipeline.run_stage("classifier", config, tmp_path, minutes=1e-6, resume=False)
    (tmp_path / "classifier").rename(tmp_path / "judge")
    for name in ("weights", "state"):
        path = tmp_path / "judge" / f"{name}.safetensors"
        new = load_checkpoint(path)
        tensors = {key.replace("classifier.", "judge.", 1): v for key, v in new.tensors.items()}
        # The network has a layer named so too: classifier.classifier.weight.
        header = dict(new.header)
        if name == "state":
            header["optimizers"] = {"judge": new.header["optimizers"]["classifier"]}
        save_checkpoint(path, tensors, header)
    pipeline.run_stage("classifier", config, tmp_path, minutes=None, resume=True)
    assert not (tmp_path / "classifier").exists()
    last, expected = (_stats(tmp_path, "judge")[-2], _stats(finished_run, "classifier")[-2])
    assert last["loss"] == expected["loss"]
    path = pipeline.bundle_run(config, tmp_path, tmp_path / "bundle")
    trained = load_checkpoint(finished_run / "classifier" / "weights.safetensors")
    bundled = load_classifier(path.with_name(CLASSIFIER_FILE), 44100)
    for key, value in trained.network("classifier").items():
        torch.testing.assert_close(bundled.state_dict()[key], value, atol=2e-3, rtol=2e-3)
    assert load_model(path).header["training"]["classifier"]["steps"] == 2


def test_evaluation_prints_the_design_table(
    finished_run: Path, tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("rubberband") is None:
        pytest.skip("Rubber Band (rubberband-cli) is not installed")
    config = _config(tiny_corpus)
    few = dataclasses.replace(config.evaluate, neighbour_instruments=1, synthesized_pairs_per_bin=1)
    config = dataclasses.replace(config, evaluate=few)
    pipeline.bundle_run(config, finished_run, tmp_path)
    pipeline.evaluate_bundle(config, tmp_path, tmp_path / "evaluate")
    printed = capsys.readouterr().out
    for words in (
        "MSE at another note",
        "pitch accuracy",
        "Fréchet",
        "Rubber",
        "root note",
        "the instrument",
        "attack error",
        "neighbouring keys",
        "nearest other recording",
        "linear probe",
    ):
        assert words in printed
    metrics = json.loads((tmp_path / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    assert any(row["bar"] == "≤ 0.80" for row in metrics["rows"])
    assert metrics["synthesized_distances"]
    assert metrics["recorded_distances"] == []  # the toy corpus has patches alone


def test_the_papers_recipe_runs_through_all_stages(tiny_corpus: Path, tmp_path: Path) -> None:
    toy, paper = _config(tiny_corpus), load_config(ROOT / "resources/configs/paper.toml")
    model = dataclasses.replace(
        toy.model, generator=dataclasses.replace(toy.model.generator, use_layout=False)
    )
    recipe = dataclasses.replace(paper.generator, **SHORT["generator"])
    recipe = dataclasses.replace(recipe, adversarial_start=paper.generator.adversarial_start)
    config = dataclasses.replace(toy, model=model, generator=recipe, augment=paper.augment)
    for stage in ("features", "generator"):
        pipeline.run_stage(stage, config, tmp_path, minutes=None, resume=False)
    weights = load_checkpoint(tmp_path / "generator" / "weights.safetensors")
    before = load_checkpoint(tmp_path / "features" / "weights.safetensors").network("features")
    for name, tensor in weights.network("features").items():
        assert torch.equal(tensor, before[name]), f"{name}: the paper's f is frozen"


def test_a_stage_without_the_one_before_says_which(tiny_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="run the stage 'features' first"):
        pipeline.run_stage("generator", _config(tiny_corpus), tmp_path, minutes=None, resume=False)


def test_no_test_instrument_reaches_a_training_stage(tiny_corpus: Path, tmp_path: Path) -> None:
    test_notes = CorpusSplit(tiny_corpus, Split.TEST)
    train_notes = CorpusSplit(tiny_corpus, Split.TRAIN)
    assert not set(test_notes.instruments) & set(train_notes.instruments)
    assert not set(test_notes.rows.tolist()) & set(train_notes.rows.tolist())


@pytest.mark.parametrize("stage", ["features", "generator", "vocoder"])
def test_two_processes_train_together(
    finished_run: Path, tiny_corpus: Path, tmp_path: Path, stage: str
) -> None:
    """DDP over two CPU processes: both finish, one writes, and the weights are shared."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    if stage == "generator":
        (run_dir / "features").symlink_to(finished_run / "features")
    config_file = tmp_path / "config.toml"
    config_file.write_text(to_toml(dataclasses.replace(_config(tiny_corpus), devices=2)))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "training",
            stage,
            "--config",
            str(config_file),
            "--run-dir",
            str(run_dir),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    steps = [line["step"] for line in _stats(run_dir, stage) if "seconds" in line]
    assert steps == list(range(1, SHORT[stage]["steps"] + 1))
    load_checkpoint(run_dir / stage / "weights.safetensors", kind="weights")
