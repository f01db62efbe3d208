"""Measures the speed of training: ``python -m tests.benchmarks.training [--set KEY=VALUE]… [STAGE…]``.

For each stage notes a second, the share of a step that goes into drawing and augmenting its batch,
and the operations that cost most. Networks are untrained: a step costs the same.
"""

from __future__ import annotations

import argparse
import cProfile
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from core.checkpoint import named_tensors, save_checkpoint
from core.errors import CoreError
from core.inference.memory import keep_freed_memory
from training import pipeline
from training.__main__ import ALL_MEMORY, DEFAULT_CONFIG
from training.config import RunConfig, load_config
from training.data.dataset import CorpusSplit
from training.networks import Networks
from training.run_dir import RunDir
from training.trainer import LoopConfig, Trainer

WARM_UP_STEPS = 2
TIMED_STEPS = 5
COSTS_NAMED = 4
"""Operations that are named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast a stage steps."""

    stage: str
    notes_per_s: float
    """Notes that go through its networks, a second."""
    step_s: float
    """Seconds a step."""
    data_share: float
    """Share of a step that waits for notes to be read."""
    costs: tuple[tuple[str, float], ...]
    """Operations with their shares of a step, largest first."""


def measure(name: str, config: RunConfig, run_dir: Path) -> Speed:
    """Step a stage and look where the time goes.

    Raises:
        CoreError: There is no corpus.
    """
    fabric = pipeline.make_fabric(config)
    stage = pipeline.build_stage(name, fabric, config, run_dir)
    loop = LoopConfig(seed=0, checkpoint_every_s=0.0, validate_every=1, log_every=1)
    trainer = Trainer(stage, fabric, RunDir(run_dir / name), loop)
    late = stage.config.steps - 1  # with everything that joins late: discriminators, penalties
    trainer.step = late
    for _ in range(WARM_UP_STEPS):
        trainer.train_step()
    trainer.step = late
    calls = cProfile.Profile()
    started = time.perf_counter()
    with calls:
        for _ in range(TIMED_STEPS):
            trainer.train_step()
    step_s = (time.perf_counter() - started) / TIMED_STEPS
    trainer.step = late
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        trainer.train_step()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return Speed(
        stage=name,
        notes_per_s=stage.config.notes_per_step / step_s,
        step_s=step_s,
        data_share=_reading_s(calls) / TIMED_STEPS / step_s,
        costs=tuple(
            (event.key.removeprefix("aten::"), event.self_cpu_time_total / total)
            for event in events[:COSTS_NAMED]
        ),
    )


def _reading_s(calls: cProfile.Profile) -> float:
    """Seconds that notes of the corpus were read for."""
    readers = {CorpusSplit.mels.__code__, CorpusSplit.audio.__code__}
    return float(sum(entry.totaltime for entry in calls.getstats() if entry.code in readers))


def main() -> int:
    """Measure and print; 0 done, 2 nothing could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.training", description=__doc__
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="all that are trained if none")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="TOML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    arguments = parser.parse_args()
    unknown = set(arguments.stages) - set(pipeline.STAGES)
    if unknown:
        parser.error(f"unknown stage '{unknown.pop()}'; choose from {', '.join(pipeline.STAGES)}")
    keep_freed_memory(kept_bytes=ALL_MEMORY, largest_bytes=ALL_MEMORY)
    table = Table(caption=f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    for heading in ("stage", "notes a second", "step", "reading notes", "largest costs"):
        table.add_column(heading)
    try:
        config = load_config(arguments.config, arguments.overrides)
        with tempfile.TemporaryDirectory() as folder:
            networks = Networks(config.model, config.seed)
            named = {
                name: getattr(networks, name)
                for name in ("features", "generator", "hypernetwork", "discriminator")
            }
            for stage in ("features", "generator", "hypernetwork"):
                save_checkpoint(
                    Path(folder) / stage / "weights.safetensors",
                    named_tensors(named, torch.float32),
                    {"kind": "weights"},
                )
            for name in arguments.stages or pipeline.STAGES:
                speed = measure(name, config, Path(folder))
                table.add_row(
                    speed.stage,
                    f"{speed.notes_per_s:.1f}",
                    f"{speed.step_s:.2f} s",
                    f"{speed.data_share:.1%}",
                    ", ".join(f"{key} {share:.0%}" for key, share in speed.costs),
                )
    except CoreError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    Console(width=140).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
