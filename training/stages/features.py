"""Stage `features`: the feature extractor and its pitch adversary.

Paper: GANStrument (arXiv 2211.05385, section 2.2): f is trained to tell the instrument while a pitch
classifier behind a gradient reversal tries to find the note in h.

Deviations: the instrument classifier is a scaled cosine classifier, so that directions of h carry the
timbre (h has unit mean square); a contrastive term (arXiv 2004.11362) joins it, because with a
thousand instruments each is seen too seldom for its prototype alone to teach much in a short run.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from core.feature_extractor import FeatureExtractor
from core.nn.layers import FullyConnectedLayer
from training import losses
from training.building import StageContext, StageEntry
from training.data.augment import AugmentConfig, disturb_source
from training.data.dataset import NoteBatch, step_rng
from training.data.pairs import NotePairs
from training.pitch_classifier import NOTES
from training.run_dir import RunDir
from training.stage import Objective, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class FeaturesStageConfig:
    """Recipe of the stage `features`."""

    steps: int = 20000
    """Steps in all."""
    instruments_per_batch: int = 16
    """Instruments in a batch."""
    notes_per_instrument: int = 2
    """Notes of each instrument in a batch."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    adversary_weight: float = 0.1
    """Strength of the reversed gradient."""
    contrast_weight: float = 1.0
    """Weight of the contrastive term between notes of one and of other instruments."""
    temperature: float = 0.1
    """Temperature of the contrastive term."""
    gradient_clip: float = 5.0
    """Largest gradient norm."""
    fall_to: float = 0.1
    """Learning rates end at this share of their start, along a cosine."""
    ema_halflife_steps: float = 300.0
    """Half-life of the averaged weights."""

    @property
    def notes_per_step(self) -> int:
        """Notes that features are taken from in a step."""
        return self.instruments_per_batch * self.notes_per_instrument


class TimbreClassifiers(nn.Module):
    """Instrument classifier and pitch adversary on h.

    Args:
        h_dim: Feature width.
        n_instruments: Classes.
    """

    def __init__(self, h_dim: int, n_instruments: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(n_instruments, h_dim))
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.adversary = nn.Sequential(
            FullyConnectedLayer(h_dim, h_dim, activation=True),
            FullyConnectedLayer(h_dim, h_dim, activation=True),
            FullyConnectedLayer(h_dim, NOTES),
        )

    def forward(self, h: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        """Features [B, H] to logits of instruments [B, N] and notes [B, NOTES]."""
        cosine = functional.linear(functional.normalize(h), functional.normalize(self.prototypes))
        note_logits = self.adversary(losses.reverse_gradient(h, strength))
        return cosine * self.log_scale.exp(), note_logits


class FeaturesStage(Stage[FeaturesStageConfig]):
    """Trains f.

    Args:
        fabric: Where.
        features: f.
        train: Pairs of training notes.
        validation: Pairs of validation notes.
        config: Recipe.
        augment: How sources are disturbed.
    """

    def __init__(
        self,
        fabric: Fabric,
        features: FeatureExtractor,
        train: NotePairs,
        validation: NotePairs,
        config: FeaturesStageConfig,
        augment: AugmentConfig,
    ) -> None:
        super().__init__(fabric, config)
        self.augment = augment
        self.train_pairs, self.validation_pairs = train, validation
        self.mel = features.mel
        classifiers = TimbreClassifiers(features.config.h_dim, len(train.split.instruments))
        adam = functools.partial(torch.optim.Adam, lr=config.learning_rate, betas=(0.9, 0.99))
        self.add("features", features, adam(features.parameters()), config.gradient_clip)
        self.add("classifiers", classifiers, adam(classifiers.parameters()))

    def objectives(self, step: int, rng: np.random.Generator) -> Iterator[Objective]:
        """What f and its classifiers minimise together; see :meth:`Stage.objectives`."""
        config = self.config
        indices = self.train_pairs.draw_notes(
            rng, config.instruments_per_batch, config.notes_per_instrument
        )
        batch = self.train_pairs.split.batch(indices).to(self.fabric.device)
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        mel = disturb_source(self.augment, self.mel, batch.mel, chance)[:, None]
        notes = batch.midi_pitch.round().long()

        h = self.networks["features"](mel)
        strength = config.adversary_weight * min(1.0, step / 500.0)
        instrument_logits, note_logits = self.networks["classifiers"](h, strength)
        instrument_loss = functional.cross_entropy(instrument_logits, batch.instrument)
        adversary_loss = functional.cross_entropy(note_logits, notes)
        contrast = losses.instrument_contrast(h, batch.instrument, config.temperature)
        yield Objective(
            loss=instrument_loss + adversary_loss + config.contrast_weight * contrast,
            moves=("features", "classifiers"),
            terms={
                "instrument": instrument_loss,
                "accuracy": (instrument_logits.argmax(dim=1) == batch.instrument).float().mean(),
                "adversary": adversary_loss,
                "contrast": contrast,
            },
        )

    @torch.no_grad()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Distance between notes of an instrument ÷ between instruments, unseen ones."""
        rng = step_rng(0, 0, 0)
        indices = self.validation_pairs.draw_notes(rng, 48, 4)
        batch: NoteBatch = self.validation_pairs.split.batch(indices).to(self.fabric.device)
        with self.fabric.autocast():
            h = torch.cat([networks["features"](m[:, None]) for m in torch.split(batch.mel, 32)])
        grouped = h.reshape(48, 4, -1)
        within = (grouped[:, :, None] - grouped[:, None]).norm(dim=-1).sum() / (48 * 4 * 3)
        centers = grouped[:, 0]
        between = torch.cdist(centers, centers).sum() / (48 * 47)
        return {"within_to_between": float(within / between)}

    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """Nothing to see or hear: features are numbers."""


def _build(context: StageContext, config: FeaturesStageConfig) -> FeaturesStage:
    return FeaturesStage(
        context.fabric,
        context.networks.features,
        context.train_pairs(),
        context.validation_pairs(),
        config,
        context.augment,
    )


STAGE = StageEntry(build=_build, trains=("features",))
