"""Stages `hypernetwork` and `adversarial`: H, first with G frozen, then jointly with D.

Paper: HyperGANStrument (arXiv 2401.04558, section 3.2): x_init = G(0, p, h), h_init = f(x_init),
x̂ = G(z, p, h; θ · (1 + H(h, h_init))) is trained with λ_timbre ‖f(x̂) − h‖² + λ_recon ‖x̂ − x‖², in the
second stage with the adversarial loss beside them (λ_timbre = 20, λ_recon = 200).

Ours beside it (off in paper.toml): H reads what the first pass missed (core/inference/miss.py), and what
it predicts is judged by *other* notes of the instrument, genuine pairs of the source, as the engine
renders them: offsets, carry-over, gates and the recording's own colour together, level apart. The timbre
term is the mean square over the feature's width.

Shape legend: T timbres with K notes each, B = T · K, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.errors import ParameterError
from core.feature_extractor import FeatureExtractor
from core.generator import Generator
from core.hypernetwork import Hypernetwork
from core.inference.carry_over import carry_over_of, moved
from core.inference.gates import GATE_SHAPE, gates_at
from core.inference.original import recording_share
from core.mel import MelConfig
from core.sound import ORIGINAL_RANGE
from training import losses
from training.building import StageContext, StageEntry
from training.data.augment import AugmentConfig, apply_change, disturb_source, shared_change
from training.data.dataset import NoteBatch
from training.data.pairs import NotePairs
from training.discriminator import (
    Discriminator,
    add_discriminator,
    discriminator_objective,
    fooling_loss,
)
from training.refining import refine
from training.run_dir import RunDir
from training.stage import Objective, Stage
from training.stages.generator import (
    VALIDATION_BATCH,
    mel_distances,
    validation_pairs,
)

VALIDATION_TIMBRES = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class HypernetworkStageConfig:
    """Recipe of the stages `hypernetwork` and `adversarial`."""

    steps: int = 40000
    """Steps in all."""
    timbres_per_batch: int = 8
    """Timbres T of a batch."""
    notes_per_timbre: int = 2
    """Notes K of each timbre: the source's own, then others; 1 is the paper."""
    learning_rate: float = 1e-3
    """Adam's step size for H."""
    discriminator_learning_rate: float = 2e-3
    """Adam's step size for D."""
    timbre_weight: float = 20.0
    """λ_timbre (arXiv 2401.04558, section 4.1)."""
    reconstruction_weight: float = 200.0
    """λ_recon (arXiv 2401.04558, section 4.1)."""
    carried_weight: float = 200.0
    """Weight of the squared difference, level apart, of the notes beside the source's own as the
    engine renders them; 0 is the paper, which has none."""
    audible_depth_db: float = 64.0
    """How far below its loudest bin a note is compared level apart, dB."""
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

    @property
    def notes_per_step(self) -> int:
        """Notes that are rendered in a step."""
        return self.timbres_per_batch * self.notes_per_timbre

    def __post_init__(self) -> None:
        if self.carried_weight > 0.0 and self.notes_per_timbre < 2:
            raise ParameterError(
                f"carried_weight = {self.carried_weight:g} needs another note beside the source; "
                "set notes_per_timbre to 2 or more."
            )


def composed(
    source: Tensor, drawn: Tensor, others: Tensor, gates: Tensor, semitones: Tensor, mel: MelConfig
) -> Tensor:
    """The notes beside the source's own as the engine composes them, with gradients.

    The recording at another pitch is taken to be its mel, moved along frequency: shifting its sound
    would cost more than all else in a step.

    Args:
        source: Mels of the sources, [T, M, F].
        drawn: What the model makes of the sources at their own notes, [T, M, F].
        others: What the model makes of the sources at other notes, [T, K - 1, M, F].
        gates: What H predicts, [T, GATE_COUNT]; [T, 0] leaves the laws as they are.
        semitones: Distances of the other notes from the source, [T, K - 1].
        mel: Geometry.

    Returns:
        [T, K - 1, M, F].
    """
    notes = []
    for place, distances in enumerate(semitones.tolist()):
        carry_over = carry_over_of(source[place], drawn[place])
        for index, distance in enumerate(distances):
            own = gates[place].reshape(GATE_SHAPE) if gates.numel() else None
            factors = None if own is None else gates_at(own, distance, mel.n_mels)
            note = others[place, index] + carry_over.at(distance, mel, factors)
            share = torch.from_numpy(recording_share(distance, ORIGINAL_RANGE, mel)).to(note.device)
            if factors is not None:
                share = (share * factors.recording).clamp_max(1.0)
            recording = moved(source[place] + 1.0, distance, mel) - 1.0
            notes.append((note + share * (recording - note.clamp_min(-1.0))).clamp_min(-1.0))
    return torch.stack(notes).reshape(others.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rendered:
    """Notes of unseen instruments and what is made of them, mels [B, M, F]."""

    name: str
    target: NoteBatch
    plain: Tensor
    refined: Tensor
    gates: Tensor
    """Gates of the sources, [B, GATE_COUNT]."""


class HypernetworkStage(Stage[HypernetworkStageConfig]):
    """Trains H, and D with it where the adversarial weight is above 0.

    Args:
        fabric: Where.
        features: f, frozen.
        generator: G, frozen.
        hypernetwork: H.
        discriminator: D, from the generator's stage.
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
        hypernetwork: Hypernetwork,
        discriminator: Discriminator,
        train: NotePairs,
        validation: NotePairs,
        config: HypernetworkStageConfig,
        augment: AugmentConfig,
    ) -> None:
        super().__init__(fabric, config)
        self.augment = augment
        self.train_pairs, self.validation_pairs = train, validation
        self.features = fabric.to_device(features.requires_grad_(False)).eval()
        self.generator = generator.requires_grad_(False).eval()
        fabric.to_device(self.generator)
        optimizer = torch.optim.Adam(hypernetwork.parameters(), config.learning_rate, (0.5, 0.99))
        self.add("hypernetwork", hypernetwork, optimizer, config.gradient_clip)
        if config.adversarial_weight > 0.0:
            add_discriminator(self, discriminator, config.discriminator_learning_rate)

    def objectives(self, step: int, rng: np.random.Generator) -> Iterator[Objective]:
        """What H minimises, then what D does where it is trained; see :meth:`Stage.objectives`."""
        config = self.config
        timbres, notes = config.timbres_per_batch, config.notes_per_timbre
        indices = self.train_pairs.draw_notes(rng, timbres, notes)
        target = self.train_pairs.split.batch(indices).to(self.fabric.device)
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        mel_config = self.train_pairs.split.mel
        change = shared_change(self.augment, mel_config, timbres, chance).to(self.fabric.device)
        changed = apply_change(target.mel, change.repeat_interleave(notes, dim=0))
        source = NoteBatch(
            mel=disturb_source(self.augment, mel_config, changed[::notes], chance),
            midi_pitch=target.midi_pitch[::notes],
            velocity=target.velocity[::notes],
            instrument=target.instrument[::notes],
        )
        with self.fabric.autocast():
            with torch.no_grad():
                h = self.features(source.mel[:, None])
            refinement = refine(
                self.features, self.generator, self.networks["hypernetwork"], source, h
            )
        h_notes = h.repeat_interleave(notes, dim=0)
        z = torch.zeros(timbres * notes, self.generator.config.z_dim, device=h.device)
        with self.fabric.autocast():
            cells = self.generator(
                z, target.midi_pitch, target.velocity, h_notes, refinement.offsets, in_cells=True
            )
            rendered = self.generator.time.expand(cells)
            h_rendered = self.features(rendered)
        terms = {"timbre": losses.timbre(h_rendered, h_notes)}
        if config.carried_weight > 0.0:
            terms |= self._compare(source, target, changed, rendered, refinement.gates)
        else:
            terms["squared"] = losses.reconstruction(rendered, changed[:, None])
        loss = (
            config.timbre_weight * terms["timbre"] + config.reconstruction_weight * terms["squared"]
        )
        if config.carried_weight > 0.0:
            loss = loss + config.carried_weight * terms["carried"]
        if config.adversarial_weight > 0.0:
            terms["fooled"] = fooling_loss(self, cells, target, h_notes)
            loss = loss + config.adversarial_weight * terms["fooled"]
        yield Objective(loss=loss, moves=("hypernetwork",), terms=terms)
        if config.adversarial_weight > 0.0:
            yield discriminator_objective(
                self,
                step,
                target,
                self.generator.time.pool(changed),
                cells,
                h_notes,
                r1_weight=config.r1_weight,
                r1_every=config.r1_every,
            )

    def _compare(
        self, source: NoteBatch, target: NoteBatch, true: Tensor, rendered: Tensor, gates: Tensor
    ) -> dict[str, Tensor]:
        """The source's own note as drawn, the other notes as composed, both level apart.

        Args:
            source: The sources as they are heard, T notes.
            target: Own notes of the sources and others, B notes.
            true: Mels of the targets, [B, M, F].
            rendered: What is drawn of the targets, [B, 1, M, F].
            gates: Gates of the sources, [T, GATE_COUNT].
        """
        mel = self.train_pairs.split.mel
        depth = self.config.audible_depth_db / mel.db_per_unit
        by_timbre = (len(source.midi_pitch), -1, mel.n_mels, mel.n_frames)
        drawn, wanted = rendered[:, 0].float().reshape(by_timbre), true.reshape(by_timbre)
        pitches = target.midi_pitch.reshape(by_timbre[:2])
        others = composed(
            source.mel, drawn[:, 0], drawn[:, 1:], gates, pitches[:, 1:] - pitches[:, :1], mel
        )
        return {
            "squared": losses.level_free(drawn[:, 0], wanted[:, 0], depth).squared,
            "carried": losses.level_free(
                others.flatten(0, 1), wanted[:, 1:].flatten(0, 1), depth
            ).squared,
        }

    @torch.no_grad()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Distances in dB to true notes of unseen recorded instruments.

        The source's own note and another as drawn, plain and refined; the other as the engine
        composes it, without H (``laws``) and with it (``composed``).
        """
        mel = self.validation_pairs.split.mel
        same, cross = self._render(networks, VALIDATION_TIMBRES)
        semitones = (cross.target.midi_pitch - same.target.midi_pitch)[:, None]
        source = same.target.mel
        laws = composed(
            source,
            same.plain,
            cross.plain[:, None],
            source.new_zeros(len(source), 0),
            semitones,
            mel,
        )
        ours = composed(source, same.refined, cross.refined[:, None], cross.gates, semitones, mel)
        drawn = {
            "same_plain": (same, same.plain),
            "same_refined": (same, same.refined),
            "cross_plain": (cross, cross.plain),
            "cross_refined": (cross, cross.refined),
            "laws": (cross, laws[:, 0]),
            "composed": (cross, ours[:, 0]),
        }
        measures = {}
        for name, (rendered, mels) in drawn.items():
            found = mel_distances(mels, rendered.target.mel, mel.db_per_unit)
            measures[f"{name}_lmd60_db"], measures[f"{name}_lmd_db"] = (
                found["lmd60_db"],
                found["lmd_db"],
            )
            error = (mels - rendered.target.mel).square().mean()
            measures[f"{name}_mse"] = float(error)
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
        pairs = validation_pairs(self.validation_pairs, self.features, self.fabric, count)
        _, h, source = pairs[0]
        for name, _, target in pairs:
            parts = []
            for part in torch.split(torch.arange(len(h)), VALIDATION_BATCH):
                with self.fabric.autocast():
                    refinement = refine(
                        self.features,
                        self.generator,
                        networks["hypernetwork"],
                        source.part(part),
                        h[part],
                    )
                    z = torch.zeros(len(part), self.generator.config.z_dim, device=h.device)
                    wanted = target.midi_pitch[part], target.velocity[part], h[part]
                    plain, refined = (
                        self.generator(z, *wanted, offsets)[:, 0].float()
                        for offsets in (None, refinement.offsets)
                    )
                parts.append((plain, refined, refinement.gates.float()))
            plain, refined, gates = (torch.cat(each) for each in zip(*parts, strict=True))
            results.append(
                _Rendered(name=name, target=target, plain=plain, refined=refined, gates=gates)
            )
        return results


def build_refinement(context: StageContext, config: HypernetworkStageConfig) -> HypernetworkStage:
    """A stage that trains H from the weights it has, on the run's generator."""
    networks = context.networks
    for name in ("features", "generator"):
        context.load(name, "generator")
    if config.adversarial_weight > 0.0:
        context.load("discriminator", "generator")
    return HypernetworkStage(
        context.fabric,
        networks.features,
        networks.generator,
        networks.hypernetwork,
        networks.discriminator,
        context.train_pairs(),
        context.validation_pairs(),
        config,
        context.augment,
    )


STAGE = StageEntry(build=build_refinement, trains=("hypernetwork",))
