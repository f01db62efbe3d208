"""Stages `hypernetwork` and `adversarial`: H, first with G frozen, then jointly with D.

Paper: HyperGANStrument (arXiv 2401.04558, section 3.2): x_init = G(0, p, h), h_init = f(x_init),
x̂ = G(z, p, h; θ · (1 + H(h, h_init))) is trained with λ_timbre ‖f(x̂) − h‖² + λ_recon ‖x̂ − x‖², in the
second stage with the adversarial loss beside them (λ_timbre = 20, λ_recon = 200).

Ours beside it (off in paper.toml): the same offsets also render another note of the instrument, whose
true mel joins the reconstruction term. The timbre term is the mean square over the feature's width.
A second reconstruction term may see the other notes as the engine renders them, with carry-over.

Shape legend: T timbres with K notes each, B = T · K, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.errors import ParameterError
from core.feature_extractor import FeatureExtractor
from core.generator import Generator
from core.hypernetwork import Hypernetwork
from core.inference.carry_over import body_of, body_share
from training import losses
from training.data.augment import AugmentConfig, apply_change, disturb_source, shared_change
from training.data.dataset import CorpusSplit, NoteBatch
from training.discriminator import Discriminator
from training.run_dir import RunDir
from training.stages.generator import discriminator_step, frozen_logits, validation_pairs
from training.trainer import Stage, clip_and_step, cosine_share, plain_module, set_learning_rates


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
    carried_weight: float = 0.0
    """Weight of a reconstruction term on the other notes with the source's carry-over; 0 is the
    paper."""
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

    def __post_init__(self) -> None:
        if self.carried_weight > 0.0 and self.notes_per_timbre < 2:
            raise ParameterError(
                f"carried_weight = {self.carried_weight:g} needs another note beside the source; "
                "set notes_per_timbre to 2 or more."
            )


def carried_over(source: Tensor, drawn: Tensor, others: Tensor, semitones: Tensor) -> Tensor:
    """Other notes with the body of what was missed in their source, with gradients.

    What moves with the partials is left out: training should draw the partials itself.

    Args:
        source: Mels of the sources, [T, M, F].
        drawn: What the model makes of them at their own notes, [T, M, F].
        others: What it makes of other notes, [T, K - 1, M, F].
        semitones: Those notes' distances from the source, [T, K - 1].

    Returns:
        [T, K - 1, M, F].
    """
    body = body_of(source - drawn)
    shares = torch.tensor(
        [[body_share(each) for each in line] for line in semitones.tolist()], device=body.device
    )
    return (others + shares[..., None, None] * body[:, None]).clamp_min(-1.0)


def refine(
    features: nn.Module, generator: Generator, hypernetwork: nn.Module, source: NoteBatch, h: Tensor
) -> Sequence[Tensor]:
    """Weight offsets of timbres, as the engine computes them; gradients reach H alone.

    Args:
        features: f.
        generator: G.
        hypernetwork: H, as it is or in Fabric's wrapper.
        source: The sounds wanted, T notes.
        h: Their features, [T, H].

    Returns:
        One Δ [T, O, I] per modulated layer.
    """
    plain = plain_module(hypernetwork)
    assert isinstance(plain, Hypernetwork)
    with torch.no_grad():
        z = torch.zeros(len(h), generator.config.z_dim, device=h.device)
        initial = generator(z, source.midi_pitch, source.velocity, h)
        mels = source.mel[:, None], initial
        read = mels if plain.config.reads_mels else (h, features(initial))
    offsets: list[Tensor] = hypernetwork(*read)
    return offsets


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rendered:
    """Notes of unseen instruments and what is made of them, mels [B, M, F]."""

    name: str
    target: NoteBatch
    plain: Tensor
    refined: Tensor


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
        source = NoteBatch(
            mel=disturb_source(self.augment, mel_config, changed[::notes], chance),
            midi_pitch=target.midi_pitch[::notes], velocity=target.velocity[::notes],
            instrument=target.instrument[::notes],
        )  # fmt: skip
        with self.fabric.autocast():
            with torch.no_grad():
                h = self.features(source.mel[:, None])
            offsets = refine(
                self.features, self.generator, self.networks["hypernetwork"], source, h
            )
        h_notes = h.repeat_interleave(notes, dim=0)
        z = torch.zeros(timbres * notes, self.generator.config.z_dim, device=h.device)
        with self.fabric.autocast():
            rendered = self.generator(z, target.midi_pitch, target.velocity, h_notes, offsets)
            h_rendered = self.features(rendered)
        squared = losses.reconstruction(rendered, changed[:, None])
        timbre = losses.timbre(h_rendered, h_notes)
        loss = config.timbre_weight * timbre + config.reconstruction_weight * squared
        reported = {"squared": squared, "timbre": timbre}
        if config.carried_weight > 0.0:
            by_timbre = (timbres, notes, mel_config.n_mels, mel_config.n_frames)
            drawn = rendered.float().reshape(by_timbre)
            pitches = target.midi_pitch.reshape(timbres, notes)
            corrected = carried_over(
                source.mel, drawn[:, 0], drawn[:, 1:], pitches[:, 1:] - pitches[:, :1]
            )
            true_others = changed.reshape(by_timbre)[:, 1:]
            reported["carried"] = losses.reconstruction(corrected, true_others)
            loss = loss + config.carried_weight * reported["carried"]
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
        """RMSE in dB to true notes of unseen instruments: plain, refined, with carry-over."""
        unit = self.validation_split.mel.db_per_unit
        same, cross = self._render(networks, 64)
        corrected = carried_over(
            same.target.mel, same.refined, cross.refined[:, None],
            (cross.target.midi_pitch - same.target.midi_pitch)[:, None],
        )[:, 0]  # fmt: skip
        drawn = {
            "same_plain": (same, same.plain), "same_refined": (same, same.refined),
            "cross_plain": (cross, cross.plain), "cross_refined": (cross, cross.refined),
            "cross_carried": (cross, corrected),
        }  # fmt: skip
        measures = {}
        for name, (rendered, mels) in drawn.items():
            error = (mels - rendered.target.mel).square().mean(dim=(1, 2))
            measures[f"{name}_rmse_db"] = float(error.sqrt().mean()) * unit
            measures[f"{name}_mse"] = float(error.mean())
        return measures

    @torch.no_grad()
    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """True, plain and refined mels of unseen instruments."""
        for each in self._render(networks, 6):
            stacked = torch.cat([each.target.mel, each.plain, each.refined], dim=1)
            picture = torch.cat(list(stacked), dim=1).float().cpu().numpy()
            run.log_spectrogram(f"{each.name} (true, plain, refined)", step, picture)

    def _render(self, networks: Mapping[str, nn.Module], count: int) -> list[_Rendered]:
        """Validation sources at their own note (``same``), then at another (``cross``)."""
        results = []
        with self.fabric.autocast():
            pairs = validation_pairs(
                self.validation_split, self.features, self.fabric.device, count
            )
            _, h, source = pairs[0]
            offsets = refine(self.features, self.generator, networks["hypernetwork"], source, h)
            z = torch.zeros(len(h), self.generator.config.z_dim, device=h.device)
            for name, _, target in pairs:
                plain, refined = (
                    self.generator(z, target.midi_pitch, target.velocity, h, chosen)[:, 0].float()
                    for chosen in (None, offsets)
                )
                results.append(_Rendered(name=name, target=target, plain=plain, refined=refined))
        return results
