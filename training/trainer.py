"""The loop that every stage runs in: batches by step number, averaging, checkpoints, resume.

One :class:`Stage` holds what differs: its networks, its losses, its pictures. The loop knows none
of them by name. It runs on a CPU, a GPU or several processes through Lightning Fabric.
"""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
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

from core.checkpoint import load_checkpoint, load_network, named_tensors, save_checkpoint
from core.errors import CheckpointError, CoreError
from training.data.dataset import step_rng
from training.run_dir import RunDir


class TrainingError(CoreError):
    """Training cannot go on: a loss is not finite, or a run folder does not fit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """What the loop itself needs to know."""

    steps: int
    """Stop after this many steps."""
    ema_halflife_steps: float
    """Half-life of the averaged weights."""
    seed: int
    """Seed of batches and noise."""
    checkpoint_every_s: float
    """Seconds between checkpoints."""
    validate_every: int
    """Steps between validations."""
    log_every: int
    """Steps between lines of stats.jsonl."""
    minutes: float | None = None
    """Stop after this time even before ``steps``."""


class Stage(ABC):
    """What differs between stages.

    A stage moves its networks to Fabric in its constructor and leaves them in ``networks`` (trained,
    averaged, saved) and its optimizers in ``optimizers``.
    """

    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]

    @abstractmethod
    def train_step(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """One step: draw a batch with `rng`, update, return the losses by name."""

    @abstractmethod
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Measures on the validation split with the averaged networks."""

    @abstractmethod
    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """Put pictures and sounds of the averaged networks on TensorBoard."""


def averaged_copy(networks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Copies that hold the moving average of the weights."""
    return {
        name: copy.deepcopy(plain_module(network)).eval().requires_grad_(False)
        for name, network in networks.items()
    }


def plain_module(network: nn.Module) -> nn.Module:
    """The network itself, out of Fabric's wrapper."""
    module = getattr(network, "module", None)
    return module if isinstance(module, nn.Module) else network


@torch.no_grad()
def update_average(
    averaged: Mapping[str, nn.Module], networks: Mapping[str, nn.Module], decay: float
) -> None:
    """Move the averages towards the weights: average · decay + weight · (1 - decay)."""
    for name, network in networks.items():
        ours = dict(averaged[name].named_parameters())
        theirs = dict(plain_module(network).named_parameters())
        if not theirs:
            continue  # a module of buffers alone
        torch._foreach_lerp_(
            [ours[key] for key in theirs], list(theirs.values()), weight=1.0 - decay
        )


def cosine_share(step: int, steps: int, fall_to: float, warm_up: int = 100) -> float:
    """Share of the full learning rate: a linear warm-up, then a cosine down to `fall_to`."""
    warm = min(1.0, (step + 1) / warm_up)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / steps)))
    return warm * (fall_to + (1.0 - fall_to) * cosine)


def set_learning_rates(
    optimizers: Mapping[str, torch.optim.Optimizer], base_rates: Mapping[str, float], share: float
) -> None:
    """Give every optimizer its base rate times `share`."""
    for name, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = base_rates[name] * share


def clip_and_step(
    fabric: Fabric, network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, limit: float
) -> None:
    """Backward, check, clip the gradient's norm, step.

    Raises:
        TrainingError: The loss or a gradient is not finite; the weights are untouched.
    """
    optimizer.zero_grad(set_to_none=True)
    if not torch.isfinite(loss):
        raise TrainingError(
            f"The loss is {float(loss.detach())} before the step; lower the learning rate and resume."
        )
    fabric.backward(loss)
    norm = nn.utils.clip_grad_norm_(network.parameters(), limit)
    if not torch.isfinite(norm):
        raise TrainingError(
            "A gradient is not finite before the step; lower the learning rate and resume."
        )
    optimizer.step()


def train(stage: Stage, fabric: Fabric, run: RunDir, config: LoopConfig, *, resume: bool) -> int:
    """Run a stage.

    Args:
        stage: What to train.
        fabric: Where.
        run: Folder of the stage.
        config: The loop's settings.
        resume: Go on from the folder's last state instead of starting anew.

    Returns:
        Steps done in all.

    Raises:
        TrainingError: A loss is not finite, or there is nothing to resume.
    """
    averaged = averaged_copy(stage.networks)
    step = _load_state(stage, averaged, run) if resume else 0
    started = saved = time.monotonic()
    totals: dict[str, float] = {}
    counted = 0
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[loss]}"),
        console=console, disable=not (run.is_writer and console.is_terminal),
    ) as progress:  # fmt: skip
        task = progress.add_task(run.folder.name, total=config.steps, completed=step, loss="")
        while step < config.steps:
            rng = step_rng(config.seed, fabric.global_rank, step)
            torch.manual_seed(int(rng.integers(2**62)))
            losses = stage.train_step(step, rng)
            step += 1
            decay = 0.5 ** (1.0 / max(1.0, min(config.ema_halflife_steps, step / 4.0)))
            update_average(averaged, stage.networks, decay)
            for name, value in losses.items():
                totals[name] = totals.get(name, 0.0) + float(value.detach())
            counted += 1
            if any(not math.isfinite(total) for total in totals.values()):
                bad = next(name for name, total in totals.items() if not math.isfinite(total))
                raise TrainingError(
                    f"Loss '{bad}' is not finite at step {step}; nothing was saved."
                )
            now = time.monotonic()
            over = config.minutes is not None and now - started >= config.minutes * 60.0
            over = bool(fabric.broadcast(over)) if fabric.world_size > 1 else over
            last = over or step >= config.steps
            if step % config.log_every == 0 or last:
                means = {name: total / counted for name, total in totals.items()}
                run.log(step, {**means, "seconds": now - started})
                text = " ".join(f"{name} {value:.4f}" for name, value in means.items())
                progress.update(task, completed=step, loss=text)
                totals, counted = {}, 0
            if step % config.validate_every == 0 or last:
                measures = stage.validate(averaged)
                run.log(step, {f"validation/{k}": v for k, v in measures.items()})
                if run.is_writer:
                    stage.show(averaged, run, step)
                    text = " ".join(f"{name} {value:.4f}" for name, value in measures.items())
                    console.print(f"{run.folder.name} step {step}: {text}", highlight=False)
            if now - saved >= config.checkpoint_every_s or last:
                saved = now
                _save_state(stage, averaged, run, step)
            if last:
                break
    return step


def _save_state(stage: Stage, averaged: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
    if not run.is_writer:
        return
    plain = {name: plain_module(network) for name, network in stage.networks.items()}
    tensors = named_tensors(plain, torch.float32)
    tensors |= {f"average.{k}": v for k, v in named_tensors(averaged, torch.float32).items()}
    groups: dict[str, Any] = {}
    for name, optimizer in stage.optimizers.items():
        state = optimizer.state_dict()
        groups[name] = state["param_groups"]
        for index, entries in state["state"].items():
            for key, value in entries.items():
                tensors[f"optimizer.{name}.{index}.{key}"] = torch.as_tensor(value)
    save_checkpoint(run.state, tensors, {"kind": "state", "step": step, "optimizers": groups})
    weights = named_tensors(averaged, torch.float32)
    save_checkpoint(run.weights, weights, {"kind": "weights", "step": step})


def _load_state(stage: Stage, averaged: Mapping[str, nn.Module], run: RunDir) -> int:
    try:
        checkpoint = load_checkpoint(run.state, kind="state")
    except CheckpointError as error:
        raise TrainingError(f"There is nothing to resume: {error}") from error
    for name, network in stage.networks.items():
        load_network(plain_module(network), checkpoint, name)
        load_network(averaged[name], checkpoint, f"average.{name}")
    for name, optimizer in stage.optimizers.items():
        entries: dict[int, dict[str, Tensor]] = {}
        prefix = f"optimizer.{name}."
        for key, value in checkpoint.tensors.items():
            if key.startswith(prefix):
                index, entry = key[len(prefix) :].split(".", 1)
                entries.setdefault(int(index), {})[entry] = value
        groups = checkpoint.header["optimizers"][name]
        optimizer.load_state_dict({"state": entries, "param_groups": groups})
    return int(checkpoint.header["step"])
