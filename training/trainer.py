"""The loop that every stage runs in: batches by step number, averaging, checkpoints, resume.

A :class:`training.stage.Stage` holds what differs: its networks, its losses, its pictures. The trainer
knows none of them by name. It runs on a CPU, a GPU or several processes through Lightning Fabric.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from core.checkpoint import load_network, named_tensors, save_checkpoint
from core.errors import CheckpointError
from training.data.dataset import step_rng
from training.errors import TrainingError
from training.run_dir import RunDir, read_run_file
from training.stage import Objective, Stage, StageConfig, plain_module

WARM_UP_STEPS = 100
"""Steps over which learning rates rise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """What the loop needs to know beside the recipe of its stage."""

    seed: int
    """Seed of batches and noise."""
    checkpoint_every_s: float
    """Seconds between checkpoints."""
    validate_every: int
    """Steps between validations."""
    log_every: int
    """Steps between lines of stats.jsonl."""
    minutes: float | None = None
    """Stop after this time even before the last step."""


def cosine_share(step: int, steps: int, fall_to: float) -> float:
    """Share of the full learning rate: a linear warm-up, then a cosine down to `fall_to`."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / steps)))
    return warm * (fall_to + (1.0 - fall_to) * cosine)


def averaged_copy(network: nn.Module, halflife_steps: float) -> AveragedModel:
    """A copy that holds the moving average of a network's weights.

    Args:
        network: The network; its weights now are the average to begin with.
        halflife_steps: Half-life of the average; shorter during the first steps, so that the weights
            that training began with are soon forgotten.
    """

    @torch.no_grad()
    def move(averages: Any, weights: Any, updates: Tensor | int) -> None:
        decay = 0.5 ** (1.0 / max(1.0, min(halflife_steps, int(updates) / 4.0)))
        torch._foreach_lerp_(averages, weights, weight=1.0 - decay)

    average = AveragedModel(plain_module(network), multi_avg_fn=move)
    average.update_parameters(plain_module(network))  # the first update only copies
    return average.eval().requires_grad_(False)


class LossMeter:
    """Means of what is reported, between two lines of the log."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._steps = 0

    def add(self, values: Mapping[str, float]) -> None:
        """Count the values of one step."""
        self._steps += 1
        for name, value in values.items():
            self._totals[name] = self._totals.get(name, 0.0) + value

    def read(self) -> dict[str, float]:
        """The means by name; the meter starts anew."""
        means = {name: total / self._steps for name, total in self._totals.items()}
        self._totals, self._steps = {}, 0
        return means


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Snapshot:
    """A network and its optimizer as they were before a step."""

    network: dict[str, Any]
    """The network's state."""
    optimizer: dict[str, Any]
    """The optimizer's state."""


class Trainer:
    """Trains the networks of one stage.

    Args:
        stage: What to train.
        fabric: Where.
        run: Folder of the stage.
        config: Settings of the loop.
    """

    def __init__(
        self, stage: Stage[StageConfig], fabric: Fabric, run: RunDir, config: LoopConfig
    ) -> None:
        self.stage, self.fabric, self.run, self.config = stage, fabric, run, config
        self.step = 0
        """Steps done."""
        self.averages = {
            name: averaged_copy(network, stage.config.ema_halflife_steps)
            for name, network in stage.networks.items()
        }
        """Averaged weights of all networks."""
        self._schedules: dict[str, LambdaLR] = {}

    def train(self, *, resume: bool) -> int:
        """Run the stage.

        Args:
            resume: Go on from the folder's last state instead of starting anew.

        Returns:
            Steps done in all.

        Raises:
            TrainingError: A loss or a gradient is not finite, or there is nothing to resume.
        """
        if resume:
            self.load_state()
        steps, config = self.stage.config.steps, self.config
        started = saved = time.monotonic()
        meter = LossMeter()
        console = Console(stderr=True)
        with _progress(console, is_shown=self.run.is_writer) as progress:
            task = progress.add_task(
                self.run.folder.name, total=steps, completed=self.step, loss=""
            )
            while self.step < steps:
                meter.add(self.train_step())
                now = time.monotonic()
                is_last = self._is_over(now - started) or self.step >= steps
                if self.step % config.log_every == 0 or is_last:
                    means = meter.read()
                    self.run.log(self.step, {**means, "seconds": now - started})
                    progress.update(task, completed=self.step, loss=_words(means))
                if self.step % config.validate_every == 0 or is_last:
                    measures = self.validate()
                    if self.run.is_writer:
                        line = f"{self.run.folder.name} step {self.step}: {_words(measures)}"
                        console.print(line, highlight=False)
                if now - saved >= config.checkpoint_every_s or is_last:
                    saved = now
                    self.save_state()
                if is_last:
                    break
        return self.step

    def train_step(self) -> dict[str, float]:
        """Take one step with every network that it moves.

        Returns:
            The terms of its objectives by name.

        Raises:
            TrainingError: A loss or a gradient is not finite; all weights are as they were before.
        """
        rng = step_rng(self.config.seed, self.fabric.global_rank, self.step)
        torch.manual_seed(int(rng.integers(2**62)))
        for optimizer in self.stage.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        reported: dict[str, float] = {}
        waiting: list[str] = []
        before: dict[str, _Snapshot] = {}
        try:
            for objective in self.stage.objectives(self.step, rng):
                reported |= self._check(objective)
                self.fabric.backward(objective.loss)
                if objective.steps_first:
                    self._clip(objective.moves)
                    before |= {name: self._snapshot(name) for name in objective.moves}
                    self._move(objective.moves)
                else:
                    waiting += objective.moves
            self._clip(waiting)
        except TrainingError:
            for name, snapshot in before.items():
                plain_module(self.stage.networks[name]).load_state_dict(snapshot.network)
                self.stage.optimizers[name].load_state_dict(snapshot.optimizer)
            raise
        self._move(waiting)
        for schedule in self._schedules.values():
            schedule.step()
        for name, average in self.averages.items():
            average.update_parameters(plain_module(self.stage.networks[name]))
        self.step += 1
        return reported

    def validate(self) -> dict[str, float]:
        """Measure the averaged networks, and put the measures and pictures into the run's folder."""
        averaged = {name: average.module for name, average in self.averages.items()}
        measures = self.stage.validate(averaged)
        self.run.log(self.step, {f"validation/{k}": v for k, v in measures.items()})
        if self.run.is_writer:
            self.stage.show(averaged, self.run, self.step)
        return measures

    def save_state(self) -> None:
        """Write the averaged weights, and everything that a resumed run needs."""
        if not self.run.is_writer:
            return
        averaged = {name: average.module for name, average in self.averages.items()}
        plain = {name: plain_module(network) for name, network in self._saved().items()}
        tensors = named_tensors(plain, torch.float32)
        tensors |= {f"average.{k}": v for k, v in named_tensors(averaged, torch.float32).items()}
        groups: dict[str, Any] = {}
        for name, optimizer in self.stage.optimizers.items():
            state = optimizer.state_dict()
            groups[name] = state["param_groups"]
            for index, entries in state["state"].items():
                for key, value in entries.items():
                    tensors[f"optimizer.{name}.{index}.{key}"] = torch.as_tensor(value)
        header = {"kind": "state", "step": self.step, "optimizers": groups}
        save_checkpoint(self.run.state, tensors, header)
        weights = named_tensors(averaged, torch.float32)
        save_checkpoint(self.run.weights, weights, {"kind": "weights", "step": self.step})

    def load_state(self) -> None:
        """Go on where the run's folder ends.

        Learning rates and the half-life of the averages follow from the step and the configuration,
        which may have changed since.

        Raises:
            TrainingError: There is no state, or it does not fit the stage.
        """
        try:
            checkpoint = read_run_file(self.run.state, kind="state")
        except CheckpointError as error:
            raise TrainingError(f"There is nothing to resume: {error}") from error
        self.step = checkpoint.number("step")
        self._schedules.clear()
        for name, network in self._saved().items():
            load_network(plain_module(network), checkpoint, name)
        for name, average in self.averages.items():
            load_network(average.module, checkpoint, f"average.{name}")
            average.n_averaged.fill_(1 + self.step)
        for name, optimizer in self.stage.optimizers.items():
            entries: dict[int, dict[str, Tensor]] = {}
            prefix = f"optimizer.{name}."
            for key, value in checkpoint.tensors.items():
                if key.startswith(prefix):
                    index, entry = key[len(prefix) :].split(".", 1)
                    entries.setdefault(int(index), {})[entry] = value
            groups = checkpoint.section("optimizers")[name]
            optimizer.load_state_dict({"state": entries, "param_groups": groups})

    def _snapshot(self, name: str) -> _Snapshot:
        network = plain_module(self.stage.networks[name]).state_dict()
        optimizer = self.stage.optimizers[name].state_dict()
        return _Snapshot(network=copy.deepcopy(network), optimizer=copy.deepcopy(optimizer))

    def _saved(self) -> dict[str, nn.Module]:
        """All modules with something in them that a resumed run needs."""
        return self.stage.networks | self.stage.memories

    def _is_over(self, seconds: float) -> bool:
        """Whether the time budget is used up, in any of the processes."""
        minutes = self.config.minutes
        over = minutes is not None and seconds >= minutes * 60.0
        return bool(self.fabric.broadcast(over)) if self.fabric.world_size > 1 else over

    def _check(self, objective: Objective) -> dict[str, float]:
        """The terms of an objective as numbers.

        Raises:
            TrainingError: One of them, or the loss that they make up, is not finite.
        """
        values = {name: float(term.detach()) for name, term in objective.terms.items()}
        loss = {f"loss of {' and '.join(objective.moves)}": float(objective.loss.detach())}
        for name, value in (values | loss).items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"'{name}' is {value} in step {self.step + 1}, before any weight moved; lower the "
                    "learning rate and resume."
                )
        return values

    def _clip(self, names: Iterable[str]) -> None:
        """Bring the gradients of networks to their largest norms.

        Raises:
            TrainingError: A gradient is not finite.
        """
        for name in names:
            network, optimizer = self.stage.networks[name], self.stage.optimizers[name]
            limit = self.stage.gradient_clips[name]
            try:
                self.fabric.clip_gradients(
                    network, optimizer, max_norm=limit, error_if_nonfinite=True
                )
            except RuntimeError as error:
                raise TrainingError(
                    f"The gradient of '{name}' is not finite in step {self.step + 1}, before any "
                    f"weight moved ({error}); lower the learning rate and resume."
                ) from error

    def _move(self, names: Iterable[str]) -> None:
        """Step the optimizers of networks, at this step's learning rate."""
        for name in names:
            optimizer = self.stage.optimizers[name]
            if name not in self._schedules:
                # Made when its optimizer first steps, which may be late in a run or after a resume:
                # rates are a function of the run's step, not of how often an optimizer has stepped.
                for group in optimizer.param_groups:
                    group["initial_lr"] = optimizer.defaults["lr"]
                self._schedules[name] = LambdaLR(optimizer, self._rate_share, self.step - 1)
            optimizer.step()

    def _rate_share(self, step: int) -> float:
        config = self.stage.config
        return cosine_share(step, config.steps, config.fall_to)


def _progress(console: Console, *, is_shown: bool) -> Progress:
    """A bar with the losses beside it, on a terminal alone."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
        console=console,
        disable=not (is_shown and console.is_terminal),
    )


def _words(values: Mapping[str, float]) -> str:
    """Values with their names, in one line."""
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())
