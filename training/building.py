"""How the pipeline finds and builds a stage: the entry in its module, and what it is built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from lightning_fabric import Fabric

from training.data.augment import AugmentConfig
from training.data.dataset import CorpusSplit
from training.data.pairs import NotePairs, PairConfig
from training.networks import Networks
from training.stage import Stage, StageConfig

ConfigT = TypeVar("ConfigT", bound=StageConfig)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StageContext:
    """What stages are built from beside their own configuration."""

    fabric: Fabric
    """Device and precision that the stage trains with."""
    networks: Networks
    """All networks, with initial weights."""
    train: CorpusSplit
    """Notes to train on."""
    validation: CorpusSplit
    """Notes to measure on."""
    pairs: PairConfig
    """Which pairs of notes are drawn."""
    augment: AugmentConfig
    """How recordings are changed."""
    run_dir: Path
    """The run's folder, where the stages before left their weights."""
    start_from: Path | None
    """Weights of an earlier run to start from in place of those of the stage before."""

    def train_pairs(self) -> NotePairs:
        """The genuine pairs of training notes."""
        return NotePairs(self.train, self.pairs)

    def validation_pairs(self) -> NotePairs:
        """The genuine pairs of validation notes."""
        return NotePairs(self.validation, self.pairs)

    def load(self, network: str, stage: str) -> None:
        """Fill a network with the weights that a stage has left in the run's folder.

        Raises:
            TrainingError: The stage has left no such weights.
        """
        self.networks.load_newest(network, self.run_dir, (stage,))


@dataclass(frozen=True, kw_only=True, slots=True)
class StageEntry(Generic[ConfigT]):
    """``STAGE`` of a module in training/stages: what the pipeline needs to know of it."""

    build: Callable[[StageContext, ConfigT], Stage[ConfigT]]
    """Makes the stage, ready for its first step."""
    trains: tuple[str, ...]
    """Networks whose weights the stage leaves in the run's folder, named as in :class:`Networks`."""
