"""Stage `generator`: G against a projection discriminator, with the feature extractor.

Papers: GANStrument (arXiv 2211.05385): G and D are trained on tuples (x, p, h = f(x)) with the
non-saturating logistic loss and lazy R1 (StyleGAN2, section 4.1).

Ours beside it (see resources/configs/default.toml, off in paper.toml): cross-pitch reconstruction
(from an instrument's note at pitch a, its true note at pitch b), and f is trained further by it,
its pitch adversary kept.

Shape legend: B batch, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from core.feature_extractor import FeatureExtractor
from core.generator import Generator
from core.nn.layers import FullyConnectedLayer
from training import losses
from training.data.augment import AugmentConfig, apply_change, disturb_source, shared_change
from training.data.dataset import CorpusSplit, NoteBatch, step_rng
from training.discriminator import Discriminator
from training.metrics.pitch_judge import NOTES
from training.run_dir import RunDir
from training.trainer import Stage, clip_and_step, cosine_share, plain_module, set_learning_rates


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorStageConfig:
    """Recipe of the stage."""

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
    cross_pitch_probability: float = 0.7
    """Share of pairs whose target is another note of the instrument; 0 is the paper."""
    reconstruction_weight: float = 10.0
    """Weight of the squared difference to the true target; 0 is the paper."""
    absolute_weight: float = 1.0
    """Weight of the absolute difference to the true target; 0 is the paper."""
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
    adversary_weight: float = 0.02
    """Strength of the pitch adversary's reversed gradient on f where f is trained."""
    gradient_clip: float = 1.0
    """Largest gradient norm."""
    fall_to: float = 0.1
    """Learning rates end at this share of their start, along a cosine."""
    ema_halflife_steps: float = 300.0
    """Half-life of the averaged weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairBatch:
    """Sources and the notes of the same instruments to be rendered from them."""

    source: NoteBatch
    target: NoteBatch


def draw_pairs(
    split: CorpusSplit,
    rng: np.random.Generator,
    count: int,
    cross_pitch_probability: float,
    augment: AugmentConfig,
    device: torch.device,
) -> PairBatch:
    """Draw source and target notes of the same instruments, both under the same equaliser and decay.

    The sources are disturbed as recordings are; the targets are not.
    """
    indices = split.draw(rng, count, 2).reshape(count, 2)
    alone = rng.random(count) >= cross_pitch_probability
    indices[alone, 1] = indices[alone, 0]
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


class PitchAdversary(nn.Module):
    """Looks for the note in h, behind a reversed gradient.

    Args:
        h_dim: Feature width H.
    """

    def __init__(self, h_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            FullyConnectedLayer(h_dim, h_dim, activation=True), FullyConnectedLayer(h_dim, NOTES)
        )

    def forward(self, h: Tensor, strength: float) -> Tensor:
        """[B, H] to logits [B, NOTES]."""
        logits: Tensor = self.layers(losses.reverse_gradient(h, strength))
        return logits


class GeneratorStage(Stage):
    """Trains G and D, and f with them where the config says so.

    Args:
        fabric: Where.
        features: f, from the stage before.
        generator: G.
        discriminator: D.
        train: Training notes.
        validation: Validation notes.
        config: Recipe.
        augment: How recordings are changed.
    """

    def __init__(
        self,
        fabric: Fabric,
        features: FeatureExtractor,
        generator: Generator,
        discriminator: Discriminator,
        train: CorpusSplit,
        validation: CorpusSplit,
        config: GeneratorStageConfig,
        augment: AugmentConfig,
    ) -> None:
        self.fabric, self.config, self.augment = fabric, config, augment
        self.train_split, self.validation_split = train, validation
        self.z_dim = generator.config.z_dim
        self.base_rates = {
            "generator": config.learning_rate,
            "discriminator": config.discriminator_learning_rate,
        }
        modules: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator}
        self.trains_features = config.features_learning_rate > 0.0
        if self.trains_features:
            modules |= {"features": features, "adversary": PitchAdversary(features.config.h_dim)}
            self.base_rates["features"] = config.features_learning_rate
            self.base_rates["adversary"] = config.features_learning_rate
        self.networks, self.optimizers = {}, {}
        for name, module in modules.items():
            optimizer = torch.optim.Adam(module.parameters(), self.base_rates[name], (0.5, 0.99))
            self.networks[name], self.optimizers[name] = fabric.setup(module, optimizer)
        if not self.trains_features:
            features.requires_grad_(False)
            self.networks["features"] = fabric.to_device(features)

    def train_step(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """See :meth:`Stage.train_step`."""
        config = self.config
        share = cosine_share(step, config.steps, config.fall_to)
        set_learning_rates(self.optimizers, self.base_rates, share)
        pairs = draw_pairs(
            self.train_split, rng, config.batch_size, config.cross_pitch_probability,
            self.augment, self.fabric.device,
        )  # fmt: skip
        target = pairs.target
        z = torch.randn(config.batch_size, self.z_dim, device=self.fabric.device)
        z = z * (torch.rand(config.batch_size, 1, device=z.device) < config.noise_probability)
        with self.fabric.autocast():
            h = self.networks["features"](pairs.source.mel[:, None])
        rendered = self.networks["generator"](z, target.midi_pitch, target.velocity, h)
        true = target.mel[:, None]
        squared = losses.reconstruction(rendered, true)
        absolute = (rendered - true).abs().mean()
        loss = config.reconstruction_weight * squared + config.absolute_weight * absolute
        reported = {"squared": squared, "absolute": absolute}
        adversarial = step >= config.adversarial_start and config.adversarial_weight > 0.0
        if adversarial:
            logits = frozen_logits(
                self.fabric, self.networks["discriminator"], rendered, target, h.detach()
            )
            fooled = losses.generator_logistic(logits)
            loss = loss + config.adversarial_weight * fooled
            reported["fooled"] = fooled
        if self.trains_features:
            note_logits = self.networks["adversary"](h, config.adversary_weight)
            notes = pairs.source.midi_pitch.round().long()
            found = functional.cross_entropy(note_logits, notes)
            loss = loss + found
            reported["adversary"] = found
            for name in ("features", "adversary"):
                self.optimizers[name].zero_grad(set_to_none=True)
        clip_and_step(
            self.fabric, self.networks["generator"], self.optimizers["generator"], loss,
            config.gradient_clip,
        )  # fmt: skip
        if self.trains_features:
            parameters = self.networks["features"].parameters()
            nn.utils.clip_grad_norm_(parameters, config.gradient_clip)
            for name in ("features", "adversary"):
                self.optimizers[name].step()
        if adversarial and step % config.discriminator_every == 0:
            reported |= discriminator_step(
                self.fabric, self.networks["discriminator"], self.optimizers["discriminator"],
                target, rendered.detach(), h.detach(), r1_weight=config.r1_weight,
                with_r1=step // config.discriminator_every % config.r1_every == 0,
                r1_every=config.r1_every,
            )  # fmt: skip
        return reported

    @torch.no_grad()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """RMSE in dB to true notes of unseen instruments, at the source's note and at others."""
        measures = {}
        with self.fabric.autocast():
            for name, batch_h, target in validation_pairs(
                self.validation_split, networks["features"], self.fabric.device
            ):
                z = torch.zeros(len(batch_h), self.z_dim, device=batch_h.device)
                rendered = networks["generator"](z, target.midi_pitch, target.velocity, batch_h)
                error = (rendered[:, 0] - target.mel).square().mean(dim=(1, 2)).sqrt()
                measures[f"{name}_rmse_db"] = (
                    float(error.mean()) * self.validation_split.mel.db_per_unit
                )
        return measures

    @torch.no_grad()
    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """True and rendered mels of unseen instruments, side by side."""
        for name, h, target in validation_pairs(
            self.validation_split, networks["features"], self.fabric.device, count=6
        ):
            z = torch.zeros(len(h), self.z_dim, device=h.device)
            with self.fabric.autocast():
                rendered = networks["generator"](z, target.midi_pitch, target.velocity, h)[:, 0]
            both = torch.cat([target.mel, rendered], dim=1)  # one above the other
            picture = torch.cat(list(both), dim=1).float().cpu().numpy()
            run.log_spectrogram(f"{name} (true above rendered)", step, picture)


def frozen_logits(
    fabric: Fabric, discriminator: nn.Module, rendered: Tensor, target: NoteBatch, h: Tensor
) -> Tensor:
    """D's logits on rendered mels with gradients for the mels alone, [B, 1, M, F] to [B]."""
    judge = plain_module(discriminator).requires_grad_(False)
    with fabric.autocast():
        logits: Tensor = judge(rendered, target.midi_pitch, target.velocity, h)
    judge.requires_grad_(True)
    return logits


def discriminator_step(
    fabric: Fabric,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    target: NoteBatch,
    rendered: Tensor,
    h: Tensor,
    *,
    r1_weight: float,
    with_r1: bool,
    r1_every: int,
) -> dict[str, Tensor]:
    """One step of D on true and rendered mels, with lazy R1.

    Args:
        fabric: Where.
        discriminator: D.
        optimizer: D's.
        target: True notes.
        rendered: Rendered mels, detached, [B, 1, M, F].
        h: Timbre features, detached, [B, H].
        r1_weight: γ.
        with_r1: Whether this step has the penalty.
        r1_every: Steps between penalties; the penalty is scaled by it.

    Returns:
        The losses by name.
    """
    real = target.mel[:, None].detach()
    real_logits = discriminator(real, target.midi_pitch, target.velocity, h)
    fake_logits = discriminator(rendered, target.midi_pitch, target.velocity, h)
    loss = losses.discriminator_logistic(real_logits, fake_logits)
    reported = {"told_apart": loss}
    if with_r1:
        # In full precision and outside Fabric's wrapper, which forbids a gradient of gradients;
        # the one backward below still reaches the wrapper's parameters.
        real = real.clone().requires_grad_(True)
        with torch.autocast(real.device.type, enabled=False):
            logits = plain_module(discriminator)(
                real, target.midi_pitch, target.velocity, h.float()
            )
            penalty = losses.r1_penalty(logits, real)
        loss = loss + penalty * (0.5 * r1_weight * r1_every)
        reported["r1"] = penalty
    clip_and_step(fabric, discriminator, optimizer, loss, limit=10.0)
    return reported


def validation_pairs(
    split: CorpusSplit, features: nn.Module, device: torch.device, count: int = 64
) -> list[tuple[str, Tensor, NoteBatch]]:
    """The same pairs every time: (name, features of the sources, targets).

    Args:
        split: Where the notes come from.
        features: f.
        device: Where to compute.
        count: Pairs of each kind.

    Returns:
        ``same`` (target is the source itself) and ``cross`` (another note of the instrument).
    """
    indices = split.draw(step_rng(0, 0, 0), count, 2).reshape(count, 2)
    source = split.batch(indices[:, 0]).to(device)
    with torch.no_grad():
        h = torch.cat([features(mel[:, None]) for mel in torch.split(source.mel, 16)])
    return [("same", h, source), ("cross", h, split.batch(indices[:, 1]).to(device))]
