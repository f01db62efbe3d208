"""Study `cost`: how long a note takes, by its length and by how many are rendered at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure

from core.device import cpu_has_fast_bfloat16
from core.inference.folded_generator import FoldedGenerator
from core.inference.folded_vocoder import FoldedVocoder
from training.evaluation.tables import Table
from training.evaluation.workbench import Workbench

BATCHES = (1, 2, 4, 8, 16)
"""Notes that are rendered at once."""
LENGTHS = (0.125, 0.25, 0.5, 1.0)
"""Lengths that are rendered, shares of a whole note."""
TIMES = 3
"""How often a time is taken; the shortest counts."""


@torch.inference_mode()
def study_cost(bench: Workbench, out: Path) -> list[Table]:
    """Time each network as the engine runs it on this machine's CPU; the picture goes to `out`."""
    model, mel = bench.model, bench.split.mel
    dtype = torch.bfloat16 if cpu_has_fast_bfloat16() else torch.float32
    generator = FoldedGenerator(model.generator, dtype)
    vocoder = FoldedVocoder(model.vocoder, dtype)
    weights = generator.fold(None)
    source = bench.split.mels([0])
    h = bench.features(source)

    def draw(batch: int) -> torch.Tensor:
        return generator.draw(
            torch.zeros(batch, model.generator.config.z_dim),
            torch.full([batch], 60.0),
            torch.full([batch], 100.0),
            h.expand(batch, -1),
            weights,
        )

    def sound(mels: torch.Tensor, noise: torch.Tensor, samples: int) -> torch.Tensor:
        pitches = torch.full([len(mels)], 60.0)
        return vocoder.render(mels, pitches, vocoder.sources(pitches, noise), samples)

    lengths = [round(share * mel.n_samples) for share in LENGTHS]
    lines, curves = [], {}
    for batch in BATCHES:
        mels, noise = draw(batch), torch.randn(batch, mel.n_samples)
        drawing = _milliseconds(partial(draw, batch)) / batch
        sounding = [
            _milliseconds(partial(sound, mels, noise, samples)) / batch for samples in lengths
        ]
        curves[batch] = [drawing + each for each in sounding]
        lines.append((str(batch), f"{drawing:.1f}", *(f"{each:.1f}" for each in sounding)))
    seconds = [samples / mel.sample_rate for samples in lengths]
    _draw(seconds, curves, out / "cost.png")
    miss = torch.zeros(1, model.hypernetwork.config.miss_dim)
    refinement = model.hypernetwork(h, h, miss)
    once = (
        ("features of a sound", _milliseconds(lambda: bench.features(source))),
        ("offsets of a timbre", _milliseconds(lambda: model.hypernetwork(h, h, miss))),
        ("folding its weights", _milliseconds(lambda: generator.fold(refinement.offsets))),
    )
    return [
        Table(
            title=f"Milliseconds for a note, {torch.get_num_threads()} threads",
            header=(
                "notes at once",
                "generator (always a whole note)",
                *(f"vocoder, {s:.2f} s" for s in seconds),
            ),
            lines=tuple(lines),
        ),
        Table(
            title="Once for a timbre",
            header=("work", "milliseconds"),
            lines=tuple((name, f"{ms:.1f}") for name, ms in once),
        ),
    ]


def _milliseconds(work: Callable[[], object]) -> float:
    """Shortest time of TIMES calls, after one that is not measured."""
    work()
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return 1000.0 * min(taken)


def _draw(seconds: list[float], curves: dict[int, list[float]], path: Path) -> None:
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axis = figure.subplots()
    for batch, milliseconds in curves.items():
        axis.plot(seconds, milliseconds, marker="o", label=f"{batch} at once")
    axis.set(xlabel="length of the note, s", ylabel="ms for a note", ylim=(0.0, None))
    axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
