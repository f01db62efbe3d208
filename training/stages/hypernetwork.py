"""Stages `hypernetwork` and `adversarial`: H, first with G frozen, then jointly with D.

Paper: HyperGANStrument (arXiv 2401.04558, section 3.2): x_init = G(0, p, h), h_init = f(x_init),
x̂ = G(z, p, h; θ · (1 + H(h, h_init))) is trained with λ_timbre ‖f(x̂) − h‖² + λ_recon ‖x̂ − x‖², in the
second stage with the adversarial loss beside them (λ_timbre = 20, λ_recon = 200).

Ours beside it (off in paper.toml): the same offsets also render another note of the instrument, whose
true mel joins the reconstruction term. The timbre term is the mean square over the feature's width.

Shape legend: T timbres with K notes each, B = T · K, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.feature_extractor import FeatureExtractor
from core.generator import Generator
from core.hypernetwork import Hypernetwork
from training import losses
from training.data.augment import AugmentConfig, apply_change, disturb_source, shared_change
from training.data.dataset import CorpusSplit, NoteBatch
from training.discriminator import Discriminator
from training.run_dir import RunDir
from training.stages.generator import discriminator_step, frozen_logits, validation_pairs
from training.trainer import Stage, clip_and_step, cosine_share, set_learning_rates


@dataclass(frozen=True, kw_only=True, slots=True)
class HypernetworkStageConfig:
    """Recipe of both stages."""

    steps: int = 40000
    """Steps in all."""
    timbres_per_batch: int = 8
    """Timbres T of a batch."""
    notes_per_timbre: int = 2
    """Notes K of each: the source's own, then others; 1 is the paper."""
    learning_rate: float = 1e-3
    """Adam's step size for H."""
    discriminator_learning_rate: float = 2e-3
    """Adam's step size for D."""
    timbre_weight: float = 20.0
    """λ_timbre (arXiv 2401.04558, section 4.1)."""
    reconstruction_weight: float = 200.0
    """λ_recon (arXiv 2401.04558, section 4.1)."""
    adversarial_weight: float = 0.0
    """Weight of the adversarial loss: 0 in the first stage, 1 in the paper's second."""
    r1_weight: float = 1.0
    """γ of the R1 penalty."""
    r1_every: int = 16
    """Steps of D between penalties."""
    gradient_clip: float = 1.0
    """Largest gradient norm."""
    fall_to: float = 0.1
    """Learning rates end at this share of their start, along a cosine."""
    ema_halflife_steps: float = 200.0
    """Half-life of the averaged weights."""


@torch.no_grad()
def refine(
    features: nn.Module,
    generator: Generator,
    hypernetwork: nn.Module,
    h: Tensor,
    midi_pitch: Tensor,
    velocity: Tensor,
) -> Sequence[Tensor]:
    """Weight offsets of timbres, as the engine computes them, without gradients.

    Args:
        features: f.
        generator: G.
        hypernetwork: H.
        h: Timbre features, [T, H].
        midi_pitch: Notes of the sources, [T].
        velocity: Their velocities, [T].

    Returns:
        One Δ [T, O, I] per modulated layer.
    """
    h_init = initial_features(features, generator, h, midi_pitch, velocity)
    offsets: list[Tensor] = hypernetwork(h, h_init)
    return offsets


@torch.no_grad()
def initial_features(
    features: nn.Module, generator: Generator, h: Tensor, midi_pitch: Tensor, velocity: Tensor
) -> Tensor:
    """h_init = f(G(0, p, h)), [T, H]."""
    z = torch.zeros(len(h), generator.config.z_dim, device=h.device)
    h_init: Tensor = features(generator(z, midi_pitch, velocity, h))
    return h_init


class HypernetworkStage(Stage):
    """Trains H, and D with it where the adversarial weight is above 0.

    Args:
        fabric: Where.
        features: f, frozen.
        generator: G, frozen.
        hypernetwork: H.
        discriminator: D, from the generator's stage.
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
        hypernetwork: Hypernetwork,
        discriminator: Discriminator,
        train: CorpusSplit,
        validation: CorpusSplit,
        config: HypernetworkStageConfig,
        augment: AugmentConfig,
    ) -> None:
        self.fabric, self.config, self.augment = fabric, config, augment
        self.train_split, self.validation_split = train, validation
        self.features = fabric.to_device(features.requires_grad_(False)).eval()
        self.generator = generator.requires_grad_(False).eval()
        fabric.to_device(self.generator)
        self.base_rates = {"hypernetwork": config.learning_rate}
        modules: dict[str, nn.Module] = {"hypernetwork": hypernetwork}
        if config.adversarial_weight > 0.0:
            modules["discriminator"] = discriminator
            self.base_rates["discriminator"] = config.discriminator_learning_rate
        self.networks, self.optimizers = {}, {}
        for name, module in modules.items():
            optimizer = torch.optim.Adam(module.parameters(), self.base_rates[name], (0.5, 0.99))
            self.networks[name], self.optimizers[name] = fabric.setup(module, optimizer)

    def train_step(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """See :meth:`Stage.train_step`."""
        config = self.config
        share = cosine_share(step, config.steps, config.fall_to)
        set_learning_rates(self.optimizers, self.base_rates, share)
        timbres, notes = config.timbres_per_batch, config.notes_per_timbre
        indices = self.train_split.draw(rng, timbres, notes)
        target = self.train_split.batch(indices).to(self.fabric.device)
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        mel_config = self.train_split.mel
        change = shared_change(self.augment, mel_config, timbres, chance).to(self.fabric.device)
        changed = apply_change(target.mel, change.repeat_interleave(notes, dim=0))
        source = disturb_source(self.augment, mel_config, changed[::notes], chance)
        with torch.no_grad(), self.fabric.autocast():
            h = self.features(source[:, None])
            h_init = initial_features(
                self.features, self.generator, h,
                target.midi_pitch[::notes], target.velocity[::notes],
            )  # fmt: skip
        offsets = self.networks["hypernetwork"](h, h_init)
        h_notes = h.repeat_interleave(notes, dim=0)
        z = torch.zeros(timbres * notes, self.generator.config.z_dim, device=h.device)
        with self.fabric.autocast():
            rendered = self.generator(z, target.midi_pitch, target.velocity, h_notes, offsets)
            h_rendered = self.features(rendered)
        squared = losses.reconstruction(rendered, changed[:, None])
        timbre = losses.timbre(h_rendered, h_notes)
        loss = config.timbre_weight * timbre + config.reconstruction_weight * squared
        reported = {"squared": squared, "timbre": timbre}
        if config.adversarial_weight > 0.0:
            logits = frozen_logits(
                self.fabric, self.networks["discriminator"], rendered, target, h_notes
            )
            fooled = losses.generator_logistic(logits)
            loss = loss + config.adversarial_weight * fooled
            reported["fooled"] = fooled
        clip_and_step(
            self.fabric, self.networks["hypernetwork"], self.optimizers["hypernetwork"], loss,
            config.gradient_clip,
        )  # fmt: skip
        if config.adversarial_weight > 0.0:
            true = NoteBatch(
                mel=changed, midi_pitch=target.midi_pitch, velocity=target.velocity,
                instrument=target.instrument,
            )  # fmt: skip
            reported |= discriminator_step(
                self.fabric, self.networks["discriminator"], self.optimizers["discriminator"],
                true, rendered.detach(), h_notes, r1_weight=config.r1_weight,
                with_r1=step % config.r1_every == 0, r1_every=config.r1_every,
            )  # fmt: skip
        return reported

    @torch.no_grad()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """RMSE in dB to true notes of unseen instruments, plain and refined."""
        measures = {}
        unit = self.validation_split.mel.db_per_unit
        for name, target, plain, refined in self._render(networks, 64):
            for kind, rendered in (("plain", plain), ("refined", refined)):
                error = (rendered - target.mel).square().mean(dim=(1, 2))
                measures[f"{name}_{kind}_rmse_db"] = float(error.sqrt().mean()) * unit
                measures[f"{name}_{kind}_mse"] = float(error.mean())
        return measures

    @torch.no_grad()
    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """True, plain and refined mels of unseen instruments."""
        for name, target, plain, refined in self._render(networks, 6):
            stacked = torch.cat([target.mel, plain, refined], dim=1)
            picture = torch.cat(list(stacked), dim=1).float().cpu().numpy()
            run.log_spectrogram(f"{name} (true, plain, refined)", step, picture)

    def _render(
        self, networks: Mapping[str, nn.Module], count: int
    ) -> list[tuple[str, NoteBatch, Tensor, Tensor]]:
        results = []
        with self.fabric.autocast():
            pairs = validation_pairs(
                self.validation_split, self.features, self.fabric.device, count
            )
            source = pairs[0][2]
            h = pairs[0][1]
            offsets = refine(
                self.features, self.generator, networks["hypernetwork"],
                h, source.midi_pitch, source.velocity,
            )  # fmt: skip
            z = torch.zeros(len(h), self.generator.config.z_dim, device=h.device)
            for name, _, target in pairs:
                plain = self.generator(z, target.midi_pitch, target.velocity, h)[:, 0]
                refined = self.generator(z, target.midi_pitch, target.velocity, h, offsets)[:, 0]
                results.append((name, target, plain, refined))
        return results
