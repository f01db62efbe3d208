"""Stage `judge`: the pitch classifier that scores the generators, trained apart from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from training.data.augment import AugmentConfig, apply_change, disturb_source, shared_change
from training.data.dataset import CorpusSplit, step_rng
from training.metrics.pitch_judge import PitchJudge
from training.run_dir import RunDir
from training.trainer import Stage, clip_and_step, cosine_share, set_learning_rates


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeStageConfig:
    """Recipe of the stage."""

    steps: int = 3000
    """Steps in all."""
    batch_size: int = 32
    """Notes in a batch, each of an instrument of its own."""
    learning_rate: float = 2e-3
    """Adam's step size."""
    gradient_clip: float = 5.0
    """Largest gradient norm."""
    fall_to: float = 0.05
    """The learning rate ends at this share of its start, along a cosine."""
    ema_halflife_steps: float = 200.0
    """Half-life of the averaged weights."""


class JudgeStage(Stage):
    """Trains the judge to name the note of true mels, disturbed as all sources are.

    Args:
        fabric: Where.
        judge: The network.
        train: Training notes.
        validation: Validation notes.
        config: Recipe.
        augment: How mels are changed.
    """

    def __init__(
        self,
        fabric: Fabric,
        judge: PitchJudge,
        train: CorpusSplit,
        validation: CorpusSplit,
        config: JudgeStageConfig,
        augment: AugmentConfig,
    ) -> None:
        self.fabric, self.config, self.augment = fabric, config, augment
        self.train_split, self.validation_split = train, validation
        optimizer = torch.optim.Adam(judge.parameters(), config.learning_rate, (0.9, 0.99))
        self.base_rates = {"judge": config.learning_rate}
        network, optimizer = fabric.setup(judge, optimizer)
        self.networks, self.optimizers = {"judge": network}, {"judge": optimizer}

    def train_step(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """See :meth:`Stage.train_step`."""
        config = self.config
        share = cosine_share(step, config.steps, config.fall_to)
        set_learning_rates(self.optimizers, self.base_rates, share)
        indices = self.train_split.draw(rng, config.batch_size, 1)
        batch = self.train_split.batch(indices).to(self.fabric.device)
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        change = shared_change(self.augment, self.train_split.mel, config.batch_size, chance)
        mel = apply_change(batch.mel, change.to(self.fabric.device))
        mel = disturb_source(self.augment, self.train_split.mel, mel, chance)
        notes = batch.midi_pitch.round().long()
        logits = self.networks["judge"](mel[:, None])
        loss = functional.cross_entropy(logits, notes)
        clip_and_step(
            self.fabric,
            self.networks["judge"],
            self.optimizers["judge"],
            loss,
            config.gradient_clip,
        )
        return {"loss": loss, "accuracy": (logits.argmax(dim=1) == notes).float().mean()}

    @torch.no_grad()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Accuracy on notes of unseen instruments."""
        indices = self.validation_split.draw(step_rng(0, 0, 0), 256, 1)
        batch = self.validation_split.batch(indices).to(self.fabric.device)
        with self.fabric.autocast():
            logits = torch.cat([networks["judge"](m[:, None]) for m in torch.split(batch.mel, 32)])
        right = logits.argmax(dim=1) == batch.midi_pitch.round().long()
        return {"accuracy": float(right.float().mean())}

    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """Nothing to see or hear: the judge only names notes."""
