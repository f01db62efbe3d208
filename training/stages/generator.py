"""Stage `generator`: G against a projection discriminator, with the feature extractor.

Papers: GANStrument (arXiv 2211.05385): G and D are trained on tuples (x, p, h = f(x)) with the
non-saturating logistic loss and lazy R1 (StyleGAN2, section 4.1).

Ours beside it (see resources/configs/default.toml, off in paper.toml): cross-pitch reconstruction
(from an instrument's note at pitch a, its true note at pitch b), level apart, and f is trained further by
it, against a probe that reads the pitch in h.

Shape legend: B batch, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.feature_extractor import FeatureExtractor
from core.generator import Generator
from training import losses
from training.building import StageContext, StageEntry
from training.data.augment import AugmentConfig, apply_change, disturb_source, shared_change
from training.data.dataset import NoteBatch, step_rng
from training.data.pairs import NotePairs, in_turns
from training.discriminator import (
    Discriminator,
    add_discriminator,
    discriminator_objective,
    fooling_loss,
)
from training.evaluation.measures import levelled, log_mel_rmse_db
from training.run_dir import RunDir
from training.stage import Objective, Stage

VALIDATION_BATCH = 16
PROBE_NOTES = 1024
"""Notes that the pitch probe is fitted to."""
PROBE_RIDGE = 1e-3
"""Regularisation of the pitch probe, per note: features have unit mean square."""
PROBE_SCALE = (1.0, 0.5, 0.5, 0.5)
"""Weights of the pitch probe's readings: octaves from middle C, their square, cosine and sine of the
place within the octave."""
HEARD_DB = 60.0
"""How far below its loudest bin a mel is compared in validation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorStageConfig:
    """Recipe of the stage `generator`."""

    steps: int = 100000
    """Steps in all."""
    batch_size: int = 16
    """Pairs of source and target in a batch."""
    learning_rate: float = 2e-3
    """Adam's step size for G."""
    features_learning_rate: float = 5e-4
    """Adam's step size for f where it is trained along; 0 freezes f (the paper)."""
    discriminator_learning_rate: float = 2e-3
    """Adam's step size for D."""
    reconstruction_weight: float = 10.0
    """Weight of the squared difference to the true target, level apart; 0 is the paper."""
    absolute_weight: float = 1.0
    """Weight of the absolute difference to the true target, level apart; 0 is the paper."""
    audible_depth_db: float = 64.0
    """How far below its loudest bin a mel is compared level apart, dB."""
    level_weight: float = 0.5
    """Weight of the squared gain a note that brings both mels to one level; 0 is the paper."""
    quiet_weight: float = 0.5
    """Weight of the absolute difference of bins that are inaudible in both mels; 0 is the paper."""
    movement_weight: float = 0.5
    """Weight of the difference in how much bands move from frame to frame; 0 is the paper."""
    adversarial_weight: float = 0.05
    """Weight of the adversarial loss; 1 is the paper."""
    adversarial_start: int = 2000
    """First step with D; reconstruction alone before."""
    discriminator_every: int = 1
    """Steps of G for each step of D, once it has started."""
    r1_weight: float = 1.0
    """γ of the R1 penalty."""
    r1_every: int = 16
    """Steps of D between penalties."""
    noise_probability: float = 0.5
    """Share of pairs rendered with z ~ N(0, 1) instead of z = 0."""
    probe_weight: float = 1.0
    """Weight of what a linear probe reads of the pitch in h, where f is trained along."""
    gradient_clip: float = 1.0
    """Largest gradient norm."""
    fall_to: float = 0.1
    """Learning rates end at this share of their start, along a cosine."""
    ema_halflife_steps: float = 300.0
    """Half-life of the averaged weights."""

    @property
    def notes_per_step(self) -> int:
        """Notes that are rendered in a step."""
        return self.batch_size


@dataclass(frozen=True, kw_only=True, slots=True)
class PairBatch:
    """Sources and the notes of the same instruments to be rendered from them."""

    source: NoteBatch
    target: NoteBatch


def draw_pairs(
    pairs: NotePairs,
    rng: np.random.Generator,
    count: int,
    augment: AugmentConfig,
    device: torch.device,
) -> PairBatch:
    """Draw source and target notes of the same instruments, both under the same equaliser and decay.

    The sources are disturbed as recordings are; the targets are not.
    """
    split = pairs.split
    indices = pairs.draw(rng, count)
    source = split.batch(indices[:, 0]).to(device)
    target = split.batch(indices[:, 1]).to(device)
    chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
    change = shared_change(augment, split.mel, count, chance).to(device)
    source_mel = disturb_source(augment, split.mel, apply_change(source.mel, change), chance)
    return PairBatch(
        source=_with_mel(source, source_mel),
        target=_with_mel(target, apply_change(target.mel, change)),
    )


def _with_mel(batch: NoteBatch, mel: Tensor) -> NoteBatch:
    return NoteBatch(
        mel=mel, midi_pitch=batch.midi_pitch, velocity=batch.velocity, instrument=batch.instrument
    )


class PitchProbe(nn.Module):
    """The best linear reading of the pitch from h, found anew at every step; f learns to defeat it.

    A ridge regression on the last notes, solved exactly: unlike an adversary that is trained beside
    f, it cannot fall behind. It reads the pitch, its square and the place within the octave.

    Shape legend: B batch, H feature width, N notes remembered, R readings.

    Args:
        h_dim: Feature width H.
    """

    h_memory: Tensor
    readings_memory: Tensor
    seen: Tensor

    def __init__(self, h_dim: int) -> None:
        super().__init__()
        self.register_buffer("h_memory", torch.zeros(PROBE_NOTES, h_dim))
        self.register_buffer("readings_memory", torch.zeros(PROBE_NOTES, len(PROBE_SCALE)))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, h: Tensor, midi_pitch: Tensor) -> Tensor:
        """Tell how much of the readings the probe explains, and remember the notes.

        Args:
            h: Features, [B, H]; gradients go here.
            midi_pitch: [B].

        Returns:
            Mean over the readings of the covariance of what is read with what is true, in variances
            of the true: the probe's share of explained variance, at least 0.
        """
        h = h.float()
        readings = self._readings(midi_pitch)
        filled = int(self.seen.clamp_max(PROBE_NOTES))
        explained = torch.zeros(len(PROBE_SCALE), device=h.device)
        if filled >= PROBE_NOTES // 4:
            known, wanted = self.h_memory[:filled], self.readings_memory[:filled]
            centre, middle = known.mean(dim=0), wanted.mean(dim=0)
            known, wanted = known - centre, wanted - middle
            gram = known.T @ known + PROBE_RIDGE * filled * torch.eye(h.shape[1], device=h.device)
            weights = torch.linalg.solve(gram, known.T @ wanted)  # [H, R]
            read = (h - centre) @ weights
            variance = wanted.square().mean(dim=0)
            explained = ((readings - middle) * read).mean(dim=0) / variance.clamp_min(1e-3)
        places = (int(self.seen) + torch.arange(len(h), device=h.device)) % PROBE_NOTES
        self.h_memory[places] = h.detach()
        self.readings_memory[places] = readings
        self.seen += len(h)
        return explained.mean().clamp_min(0.0)

    @staticmethod
    def _readings(midi_pitch: Tensor) -> Tensor:
        """What is to be read of MIDI pitches, [B] to [B, R]."""
        octaves = (midi_pitch.float() - 60.0) / 12.0
        angle = 2.0 * torch.pi * octaves
        scale = torch.tensor(PROBE_SCALE, device=octaves.device)
        return torch.stack([octaves, octaves.square(), angle.cos(), angle.sin()], dim=1) * scale


class GeneratorStage(Stage[GeneratorStageConfig]):
    """Trains G and D, and f with them where the config says so.

    Args:
        fabric: Where.
        features: f, from the stage before.
        generator: G.
        discriminator: D.
        train: Pairs of training notes.
        validation: Pairs of validation notes.
        config: Recipe.
        augment: How recordings are changed.
    """

    def __init__(
        self,
        fabric: Fabric,
        features: FeatureExtractor,
        generator: Generator,
        discriminator: Discriminator,
        train: NotePairs,
        validation: NotePairs,
        config: GeneratorStageConfig,
        augment: AugmentConfig,
    ) -> None:
        super().__init__(fabric, config)
        self.augment = augment
        self.train_pairs, self.validation_pairs = train, validation
        self.unit_db = train.split.mel.db_per_unit
        self.z_dim = generator.config.z_dim
        self.time = generator.time
        fabric.to_device(self.time)
        self._add("generator", generator, config.learning_rate)
        add_discriminator(self, discriminator, config.discriminator_learning_rate)
        self.trains_features = config.features_learning_rate > 0.0
        if self.trains_features:
            self._add("features", features, config.features_learning_rate)
            self.memories["probe"] = fabric.to_device(PitchProbe(features.config.h_dim))
        else:
            self.networks["features"] = fabric.to_device(features.requires_grad_(False))

    def _add(self, name: str, network: nn.Module, learning_rate: float) -> None:
        optimizer = torch.optim.Adam(network.parameters(), learning_rate, (0.5, 0.99))
        self.add(name, network, optimizer, self.config.gradient_clip)

    def objectives(self, step: int, rng: np.random.Generator) -> Iterator[Objective]:
        """What G and f minimise together, then what D does; see :meth:`Stage.objectives`."""
        config = self.config
        pairs = draw_pairs(
            self.train_pairs, rng, config.batch_size, self.augment, self.fabric.device
        )
        target = pairs.target
        z = torch.randn(config.batch_size, self.z_dim, device=self.fabric.device)
        z = z * (torch.rand(config.batch_size, 1, device=z.device) < config.noise_probability)
        with self.fabric.autocast():
            h = self.networks["features"](pairs.source.mel[:, None])
        cells = self.networks["generator"](z, target.midi_pitch, target.velocity, h, in_cells=True)
        rendered = self.time.expand(cells)[:, 0]
        missed = losses.level_free(rendered, target.mel, config.audible_depth_db / self.unit_db)
        loss = (
            config.reconstruction_weight * missed.squared
            + config.absolute_weight * missed.absolute
            + config.level_weight * missed.level
            + config.quiet_weight * missed.quiet
            + config.movement_weight * missed.movement
        )
        terms = {part.name: getattr(missed, part.name) for part in dataclasses.fields(missed)}
        has_adversary = step >= config.adversarial_start and config.adversarial_weight > 0.0
        if has_adversary:
            terms["fooled"] = fooling_loss(self, cells, target, h.detach())
            loss = loss + config.adversarial_weight * terms["fooled"]
        if self.trains_features:
            terms["pitch_read"] = self.memories["probe"](h, pairs.source.midi_pitch)
            loss = loss + config.probe_weight * terms["pitch_read"]
        moves = ("generator", "features") if self.trains_features else ("generator",)
        yield Objective(loss=loss, moves=moves, terms=terms)
        if has_adversary and step % config.discriminator_every == 0:
            yield discriminator_objective(
                self,
                step // config.discriminator_every,
                target,
                self.time.pool(target.mel),
                cells,
                h,
                r1_weight=config.r1_weight,
                r1_every=config.r1_every,
            )

    @torch.no_grad()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Distances in dB to true notes of unseen recorded instruments, see :func:`mel_distances`."""
        measures: dict[str, float] = {}
        for name, h, target in validation_pairs(
            self.validation_pairs, networks["features"], self.fabric
        ):
            rendered = draw_still(networks["generator"], self.z_dim, target, h, self.fabric)
            found = mel_distances(rendered, target.mel, self.unit_db)
            measures |= {f"{name}_{measure}": value for measure, value in found.items()}
        return measures

    @torch.no_grad()
    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """True and rendered mels of unseen instruments, side by side."""
        for name, h, target in validation_pairs(
            self.validation_pairs, networks["features"], self.fabric, count=6
        ):
            rendered = draw_still(networks["generator"], self.z_dim, target, h, self.fabric)
            both = torch.cat([target.mel, rendered], dim=1)  # one above the other
            picture = torch.cat(list(both), dim=1).float().cpu().numpy()
            run.log_spectrogram(f"{name} (true above rendered)", step, picture)


def draw_still(
    generator: nn.Module, z_dim: int, target: NoteBatch, h: Tensor, fabric: Fabric
) -> Tensor:
    """Mels [B, M, F] of notes at z = 0, some at a time."""
    parts = []
    for part in torch.split(torch.arange(len(h)), VALIDATION_BATCH):
        z = torch.zeros(len(part), z_dim, device=h.device)
        with fabric.autocast():
            drawn = generator(z, target.midi_pitch[part], target.velocity[part], h[part])
        parts.append(drawn[:, 0].float())
    return torch.cat(parts)


def mel_distances(rendered: Tensor, true: Tensor, unit_db: float) -> dict[str, float]:
    """How far mels [B, M, F] are from true ones, level apart: means in dB, and how much they move."""
    rendered = levelled(rendered, true, HEARD_DB / unit_db)
    audible = log_mel_rmse_db(rendered, true, unit_db, depth_db=HEARD_DB)
    whole = log_mel_rmse_db(rendered, true, unit_db)
    movement = rendered.diff(dim=2).abs().mean() / true.diff(dim=2).abs().mean()
    return {
        "lmd60_db": float(np.mean(audible)),
        "lmd_db": float(np.mean(whole)),
        "movement": float(movement),
    }


def validation_pairs(
    pairs: NotePairs, features: nn.Module, fabric: Fabric, count: int = 192
) -> list[tuple[str, Tensor, NoteBatch]]:
    """Notes of recorded instruments, the same every time: (name, features of sources, targets).

    Every preset has its turn before one has a second.

    Args:
        pairs: Where the notes come from.
        features: f.
        fabric: Where to compute.
        count: Pairs of each kind.

    Returns:
        ``same`` (target is the source itself) and ``cross`` (a genuine pair at another pitch).
    """
    split = pairs.split
    every = pairs.pairs(recorded=True)
    every = every if len(every) else pairs.pairs(recorded=False)
    is_other_pitch = np.abs(split.midi_pitch[every[:, 0]] - split.midi_pitch[every[:, 1]]) >= 1.0
    chosen = in_turns(step_rng(0, 0, 0), every[is_other_pitch], split.instrument)[:count]
    source = split.batch(chosen[:, 0]).to(fabric.device)
    with torch.no_grad(), fabric.autocast():
        h = torch.cat([features(mel[:, None]) for mel in torch.split(source.mel, VALIDATION_BATCH)])
    return [("same", h, source), ("cross", h, split.batch(chosen[:, 1]).to(fabric.device))]


def _build(context: StageContext, config: GeneratorStageConfig) -> GeneratorStage:
    networks = context.networks
    if context.start_from is not None:
        for name in ("features", "generator"):
            networks.load(name, context.start_from)
    else:
        context.load("features", "features")
    return GeneratorStage(
        context.fabric,
        networks.features,
        networks.generator,
        networks.discriminator,
        context.train_pairs(),
        context.validation_pairs(),
        config,
        context.augment,
    )


STAGE = StageEntry(build=_build, trains=("features", "generator", "discriminator"))
