from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from training.run_dir import RunDir
from training.trainer import (
    LoopConfig,
    Stage,
    TrainingError,
    averaged_copy,
    clip_and_step,
    cosine_share,
    train,
    update_average,
)


class LineStage(Stage):
    """Fits a line to noise of its own; `poison` makes the loss of one step infinite."""

    def __init__(self, fabric: Fabric, poison: int | None = None) -> None:
        self.fabric, self.poison = fabric, poison
        torch.manual_seed(0)
        line = nn.Linear(3, 1)
        optimizer = torch.optim.Adam(line.parameters(), 0.1)
        network, optimizer = fabric.setup(line, optimizer)
        self.networks, self.optimizers = {"line": network}, {"line": optimizer}

    def train_step(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        x = torch.from_numpy(rng.normal(size=(8, 3)).astype(np.float32))
        loss = (self.networks["line"](x) - x.sum(dim=1, keepdim=True)).square().mean()
        loss = loss + torch.rand(()) * 0.01  # chance of the step itself
        if step == self.poison:
            loss = loss * float("inf")
        clip_and_step(self.fabric, self.networks["line"], self.optimizers["line"], loss, limit=1.0)
        return {"loss": loss}

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        return {"weight": float(next(networks["line"].parameters()).abs().mean())}

    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        run.log_spectrogram("ramp", step, np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8))


def _loop(steps: int, minutes: float | None = None) -> LoopConfig:
    return LoopConfig(
        steps=steps, ema_halflife_steps=2.0, seed=0, checkpoint_every_s=1000.0,
        validate_every=1000, log_every=1, minutes=minutes,
    )  # fmt: skip


def _fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def _losses(folder: Path) -> list[float]:
    lines = [json.loads(text) for text in (folder / "stats.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def _run(folder: Path, steps: int, *, resume: bool = False, minutes: float | None = None) -> int:
    fabric = _fabric()
    with RunDir(folder) as run:
        return train(LineStage(fabric), fabric, run, _loop(steps, minutes), resume=resume)


def test_four_steps_equal_two_saved_and_two_resumed(tmp_path: Path) -> None:
    _run(tmp_path / "whole", 4)
    _run(tmp_path / "parts", 2)
    assert _run(tmp_path / "parts", 4, resume=True) == 4
    assert _losses(tmp_path / "whole") == _losses(tmp_path / "parts")
    for name in ("weights", "state"):
        whole, parts = (
            (tmp_path / d / f"{name}.safetensors").read_bytes() for d in ("whole", "parts")
        )
        assert whole == parts, name


def test_the_same_seed_gives_the_same_curve_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _run(tmp_path / name, 3)
    assert _losses(tmp_path / "a") == _losses(tmp_path / "b")


def test_a_loss_that_is_not_finite_stops_before_the_step(tmp_path: Path) -> None:
    fabric = _fabric()
    stage = LineStage(fabric, poison=0)
    before = [p.detach().clone() for p in stage.networks["line"].parameters()]
    with RunDir(tmp_path) as run, pytest.raises(TrainingError, match="inf before the step"):
        train(stage, fabric, run, _loop(3), resume=False)
    after = list(stage.networks["line"].parameters())
    assert all(torch.equal(b, a) for b, a in zip(before, after, strict=True))
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_time_budget_ends_the_run_with_its_weights_saved(tmp_path: Path) -> None:
    steps = _run(tmp_path, 10**9, minutes=0.001)
    assert 0 < steps < 10**9
    assert (tmp_path / "weights.safetensors").is_file()


def test_resuming_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        _run(tmp_path, 1, resume=True)


def test_the_average_moves_by_one_minus_decay() -> None:
    network = nn.Linear(2, 1, bias=False)
    averaged = averaged_copy({"n": network})
    start = averaged["n"].weight.clone()
    nn.init.constant_(network.weight, 3.0)
    update_average(averaged, {"n": network}, 0.75)
    assert torch.allclose(averaged["n"].weight, 0.75 * start + 0.25 * 3.0)


def test_learning_rate_warms_up_and_falls_to_its_share() -> None:
    shares = [cosine_share(step, 1000, 0.1) for step in range(1001)]
    assert shares[0] == pytest.approx(0.01, rel=0.01)
    assert max(shares) <= 1.0
    assert np.all(np.diff(shares[100:]) < 0)
    assert shares[-1] == pytest.approx(0.1)


def test_a_run_folder_gets_pictures_for_tensorboard(tmp_path: Path) -> None:
    _run(tmp_path, 1)
    assert list((tmp_path / "tensorboard").glob("events.*"))
