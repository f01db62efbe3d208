"""D's objective and what fools it, on a stage that trains D alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.generator import GeneratorConfig
from core.mel import MelConfig
from training import losses
from training.data.dataset import NoteBatch
from training.discriminator import (
    Discriminator,
    DiscriminatorConfig,
    add_discriminator,
    discriminator_objective,
    fooling_loss,
)
from training.run_dir import RunDir
from training.stage import Objective, Stage

CELLS = 64
SIZES = DiscriminatorConfig(channels=(4, 4, 4, 4, 4, 4), embedding_dim=8)
TARGET = NoteBatch(
    mel=torch.zeros(2, 128, 256),
    midi_pitch=torch.tensor([60.0, 61.0]),
    velocity=torch.full([2], 100.0),
    instrument=torch.zeros(2),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    steps: int = 1
    fall_to: float = 1.0
    ema_halflife_steps: float = 1.0
    notes_per_step: int = 2


class DiscriminatorStage(Stage[Config]):
    def objectives(self, step: int, rng: np.random.Generator) -> Iterator[Objective]:
        raise NotImplementedError

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        raise NotImplementedError

    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        raise NotImplementedError


@pytest.fixture
def stage() -> DiscriminatorStage:
    torch.manual_seed(0)
    made = DiscriminatorStage(Fabric(accelerator="cpu", devices=1), Config())
    generator = GeneratorConfig(h_dim=4, n_cells=CELLS)
    add_discriminator(made, Discriminator(SIZES, MelConfig(), generator), 1e-3)
    return made


def _mels(seed: int) -> Tensor:
    return torch.rand(2, 128, CELLS, generator=torch.Generator().manual_seed(seed))


def _objective(stage: DiscriminatorStage, step: int, h: Tensor, rendered: Tensor) -> Objective:
    return discriminator_objective(
        stage, step, TARGET, _mels(0), rendered, h, r1_weight=3.0, r1_every=4
    )


def test_every_few_steps_d_pays_for_its_slope_all_of_them_at_once(
    stage: DiscriminatorStage,
) -> None:
    h, rendered = torch.ones(2, 4), _mels(1)[:, None]
    for step in range(9):
        objective = _objective(stage, step, h, rendered)
        assert ("r1" in objective.terms) == (step in (0, 4, 8))
        penalty = objective.terms.get("r1", torch.zeros(()))
        expected = objective.terms["told_apart"] + 0.5 * 3.0 * 4 * penalty
        torch.testing.assert_close(objective.loss, expected)
    real = _mels(0)[:, None].requires_grad_(True)
    logits = stage.networks["discriminator"](real, TARGET.midi_pitch, TARGET.velocity, h)
    torch.testing.assert_close(
        objective.terms["r1"].detach(), losses.r1_penalty(logits, real).detach()
    )
    assert float(objective.terms["r1"].detach()) > 0.0


def test_ds_objective_moves_d_alone(stage: DiscriminatorStage) -> None:
    h, rendered = torch.ones(2, 4, requires_grad=True), _mels(1)[:, None].requires_grad_(True)
    objective = _objective(stage, 0, h, rendered)
    stage.fabric.backward(objective.loss)
    assert objective.moves == ("discriminator",)
    assert all(p.grad is not None for p in stage.networks["discriminator"].parameters())
    assert h.grad is None
    assert rendered.grad is None


def test_fooling_d_moves_what_was_rendered_alone(stage: DiscriminatorStage) -> None:
    rendered = _mels(1)[:, None].requires_grad_(True)
    loss = fooling_loss(stage, rendered, TARGET, torch.ones(2, 4))
    logits = stage.networks["discriminator"](
        rendered, TARGET.midi_pitch, TARGET.velocity, torch.ones(2, 4)
    )
    torch.testing.assert_close(loss, losses.generator_logistic(logits))
    stage.fabric.backward(loss)
    assert rendered.grad is not None
    assert float(rendered.grad.abs().max()) > 0.0
    parameters = list(stage.networks["discriminator"].parameters())
    assert all(p.grad is None and p.requires_grad for p in parameters)
