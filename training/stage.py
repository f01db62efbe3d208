"""What a stage of training is: networks, their optimizers, and what one step minimises.

A stage computes losses and measures. Everything that all stages do alike is done once, by
:class:`training.trainer.Trainer`: going backward, looking for what is not finite, clipping, stepping,
learning rates, averages, checkpoints.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from training.run_dir import RunDir


class StageConfig(Protocol):
    """What the configurations of all stages have."""

    @property
    def steps(self) -> int:
        """Steps in all."""

    @property
    def fall_to(self) -> float:
        """Learning rates end at this share of their start, along a cosine."""

    @property
    def ema_halflife_steps(self) -> float:
        """Half-life of the averaged weights."""

    @property
    def notes_per_step(self) -> int:
        """Notes that go through the networks in a step."""


ConfigT_co = TypeVar("ConfigT_co", bound=StageConfig, covariant=True)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Objective:
    """One loss of a step, and the networks that it moves."""

    loss: Tensor
    """What is minimised, a scalar."""
    moves: tuple[str, ...]
    """Networks whose optimizers step."""
    terms: Mapping[str, Tensor]
    """What the loss is made of, and what is reported beside it, by name; scalars."""
    steps_first: bool = False
    """Whether its networks step before the next objective of the step is computed."""


class Stage(ABC, Generic[ConfigT_co]):
    """The base of all stages.

    Args:
        fabric: Where the networks are trained.
        config: The recipe.
    """

    def __init__(self, fabric: Fabric, config: ConfigT_co) -> None:
        self.fabric, self.config = fabric, config
        self.networks: dict[str, nn.Module] = {}
        """Networks that are averaged and saved, in Fabric's wrapper where they are trained."""
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        """One for each network that is trained; its learning rate is the one before all schedules."""
        self.gradient_clips: dict[str, float] = {}
        """Largest norm of the gradient of each network that is trained."""
        self.memories: dict[str, nn.Module] = {}
        """Modules without parameters whose buffers a resumed run needs."""

    def add(
        self,
        name: str,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        gradient_clip: float = math.inf,
    ) -> None:
        """Add a network that is trained.

        Args:
            name: What it is called in objectives, weights and states.
            network: The network, still without Fabric.
            optimizer: Steps all its parameters, at its learning rate before all schedules.
            gradient_clip: Largest gradient norm.
        """
        self.networks[name], self.optimizers[name] = self.fabric.setup(network, optimizer)
        self.gradient_clips[name] = gradient_clip

    @contextmanager
    def frozen(self, name: str) -> Iterator[nn.Module]:
        """A trained network that passes gradients on to its inputs and takes none itself."""
        network = plain_module(self.networks[name]).requires_grad_(False)
        try:
            with self.fabric.autocast():
                yield network
        finally:
            network.requires_grad_(True)

    @abstractmethod
    def objectives(self, step: int, rng: np.random.Generator) -> Iterator[Objective]:
        """What one step minimises, one objective after another.

        The trainer goes backward through each before it asks for the next. No network moves before
        all are computed, but those of an objective that says so.

        Args:
            step: Steps done before.
            rng: Draws the step's batch.
        """

    @abstractmethod
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Measures on the validation split with the averaged networks."""

    @abstractmethod
    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """Put pictures and sounds of the averaged networks on TensorBoard."""


def plain_module(network: nn.Module) -> nn.Module:
    """The network itself, out of Fabric's wrapper."""
    module = getattr(network, "module", None)
    return module if isinstance(module, nn.Module) else network
