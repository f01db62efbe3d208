"""Stage `classifier`: the pitch classifier that scores the generators, trained apart from them.

Shape legend: B batch, T samples, L log-frequency bins, N frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from training.building import StageContext, StageEntry
from training.data.dataset import CorpusSplit, step_rng
from training.pitch_classifier import BINS_PER_NOTE, FLOOR_DB, PitchClassifier
from training.run_dir import RunDir
from training.stage import Objective, Stage

VALIDATION_NOTES = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierStageConfig:
    """Recipe of the stage `classifier`."""

    steps: int = 3000
    """Steps in all."""
    batch_size: int = 32
    """Notes in a batch, each of an instrument of its own."""
    learning_rate: float = 2e-3
    """Adam's step size."""
    gradient_clip: float = 5.0
    """Largest gradient norm."""
    fall_to: float = 0.02
    """The learning rate ends at this share of its start, along a cosine."""
    ema_halflife_steps: float = 200.0
    """Half-life of the averaged weights."""
    widest_shift: int = 6
    """Sounds are moved by up to this many semitones, their label with them."""
    equalizer_db: float = 9.0
    """Standard deviation of a smooth equaliser curve."""
    noise_db: float = -45.0
    """Loudest added noise, relative to the strongest bin."""
    change_probability: float = 0.5
    """Share of sounds that are moved, that are equalised, and that get noise."""

    @property
    def notes_per_step(self) -> int:
        """Notes that are named in a step."""
        return self.batch_size


class ClassifierStage(Stage[ClassifierStageConfig]):
    """Trains the classifier to name the note of true sounds.

    Args:
        fabric: Where.
        classifier: The network.
        train: Training notes.
        validation: Validation notes.
        config: Recipe.
    """

    def __init__(
        self,
        fabric: Fabric,
        classifier: PitchClassifier,
        train: CorpusSplit,
        validation: CorpusSplit,
        config: ClassifierStageConfig,
    ) -> None:
        super().__init__(fabric, config)
        self.train_split, self.validation_split = train, validation
        self.spectrum = fabric.to_device(classifier.spectrum)
        optimizer = torch.optim.Adam(classifier.parameters(), config.learning_rate, (0.9, 0.99))
        self.add("classifier", classifier, optimizer, config.gradient_clip)

    def objectives(self, step: int, rng: np.random.Generator) -> Iterator[Objective]:
        """What the classifier minimises; see :meth:`Stage.objectives`."""
        del step
        config = self.config
        indices = self.train_split.draw(rng, config.batch_size, 1)
        audio = self.train_split.audio(indices).to(self.fabric.device)
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        pitch = torch.from_numpy(self.train_split.midi_pitch[indices])
        levels, pitch = disturb_levels(self.spectrum(audio), pitch, config, chance)
        notes = pitch.round().long().to(self.fabric.device)
        logits = self.networks["classifier"](levels)
        loss = functional.cross_entropy(logits, notes)
        accuracy = (logits.argmax(dim=1) == notes).float().mean()
        yield Objective(
            loss=loss, moves=("classifier",), terms={"loss": loss, "accuracy": accuracy}
        )

    @torch.no_grad()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Accuracy on notes of unseen instruments."""
        split = self.validation_split
        indices = split.draw(step_rng(0, 0, 0), VALIDATION_NOTES, 1)
        right = []
        for part in np.array_split(indices, max(1, len(indices) // 32)):
            with self.fabric.autocast():
                logits = networks["classifier"](
                    self.spectrum(split.audio(part).to(self.fabric.device))
                )
            right.append(logits.argmax(dim=1).cpu().numpy() == np.round(split.midi_pitch[part]))
        return {"accuracy": float(np.concatenate(right).mean())}

    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """Nothing to see or hear: the classifier only names notes."""


def disturb_levels(
    levels: Tensor, midi_pitch: Tensor, config: ClassifierStageConfig, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Other pitches, equalisers and noise for levels along a log-frequency axis.

    Args:
        levels: Levels of sounds, [B, L, N], 0 at the floor to 1.
        midi_pitch: Notes of the sounds, [B].
        config: Strengths.
        rng: Source of chance, on the CPU.

    Returns:
        Changed levels and the notes that they now are.
    """
    count, bins, _ = levels.shape

    def applied() -> Tensor:
        return torch.rand(count, 1, 1, generator=rng) < config.change_probability

    widest = config.widest_shift
    semitones = torch.randint(-widest, widest + 1, (count,), generator=rng) * applied().flatten()
    reach = widest * BINS_PER_NOTE
    padded = functional.pad(levels, (0, 0, reach, reach))
    starts = (reach - semitones * BINS_PER_NOTE).tolist()
    moved = torch.stack([each[s : s + bins] for each, s in zip(padded, starts, strict=True)])
    knots = torch.randn(count, 1, 8, generator=rng) * config.equalizer_db / -FLOOR_DB
    curve = functional.interpolate(knots, size=bins, mode="linear", align_corners=True)
    changed = moved + (curve.transpose(1, 2) * applied()).to(levels.device) * (moved > 0.0)
    quiet = 1.0 - (config.noise_db - 30.0 * torch.rand(count, 1, 1, generator=rng)) / FLOOR_DB
    tilt = (torch.rand(count, 1, 1, generator=rng) - 0.5) * torch.linspace(-0.4, 0.4, bins)[:, None]
    flutter = 0.04 * torch.randn(levels.shape, generator=rng)
    noise = ((quiet + tilt + flutter) * applied()).to(levels.device)
    changed = torch.maximum(changed, noise)
    peak = changed.amax(dim=(1, 2), keepdim=True)
    return (changed + (1.0 - peak) * (changed > 0.0)).clamp(0.0, 1.0), midi_pitch + semitones


def _build(context: StageContext, config: ClassifierStageConfig) -> ClassifierStage:
    return ClassifierStage(
        context.fabric, context.networks.classifier, context.train, context.validation, config
    )


STAGE = StageEntry(build=_build, trains=("classifier",))
