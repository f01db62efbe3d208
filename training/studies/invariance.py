"""Study `invariance`: does h = f(x) keep the instrument and forget the pitch?

Distances of h between notes of one instrument by semitones apart, and between instruments, beside
distances of time-averaged mels; whether the nearest note an octave or more away is of the same
instrument; a linear probe of the pitch.

Shape legend: N notes, H feature width, M mel bands.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.data.dataset import step_rng
from training.evaluation.config import EvaluateConfig
from training.evaluation.draws import draw_presets, kin_of
from training.evaluation.invariance import explained_pitch, within_and_between
from training.evaluation.tables import Table
from training.evaluation.workbench import Workbench

NOTES = 6
"""Notes that are taken of each instrument."""
BINS = ((0, 5), (6, 11), (12, 17), (18, 23), (24, 35), (36, 96))
"""Semitones between two notes, both ends inclusive."""


def study_invariance(bench: Workbench, config: EvaluateConfig, out: Path) -> list[Table]:
    """Measure `probed_presets` presets; the picture goes into `out`."""
    split = bench.split
    rng = step_rng(config.seed, 0, 20)
    indices = np.concatenate(draw_presets(rng, bench.pairs, config.probed_presets, NOTES))
    mels = split.mels(indices)
    spaces = {"h = f(x)": bench.features(mels), "time-averaged mel": mels.mean(dim=2)}
    pitches, instrument = split.midi_pitch[indices], kin_of(split)[indices]
    apart = np.abs(pitches[:, None] - pitches[None])
    is_same = instrument[:, None] == instrument[None]
    is_other_note = indices[:, None] != indices[None]
    curves, summary = {}, []
    for name, vectors in spaces.items():
        gaps = torch.cdist(vectors, vectors).numpy()
        within, between = within_and_between(vectors, instrument)
        curves[name] = (
            _by_interval(gaps, apart, is_same & is_other_note),
            _by_interval(gaps, apart, ~is_same),
        )
        summary.append(
            (
                name,
                f"{within:.2f} / {between:.2f} = {within / between:.3f}",
                f"{_found_again(gaps, apart, is_same):.3f}",
                f"{explained_pitch(vectors, torch.from_numpy(pitches), instrument):.3f}",
            )
        )
    _draw(curves, out / "invariance.png")
    intervals = [
        (
            f"{low}–{high}",
            *(f"{within[i]:.2f} / {between[i]:.2f}" for within, between in curves.values()),
        )
        for i, (low, high) in enumerate(BINS)
    ]
    return [
        Table(
            title=f"Distance within / between instruments by interval ({len(indices)} notes)",
            header=("semitones", *curves),
            lines=tuple(intervals),
        ),
        Table(
            title="Instrument kept, pitch forgotten",
            header=(
                "space",
                "distance within ÷ between instruments",
                "nearest note an octave away is of the same instrument",
                "share of the pitch's variance a linear probe explains",
            ),
            lines=tuple(summary),
        ),
    ]


def _by_interval(
    gaps: NDArray[np.float32], apart: NDArray[np.float32], chosen: NDArray[np.bool_]
) -> list[float]:
    """Mean of the chosen gaps [N, N] in each bin; NaN where there is none."""
    means = []
    for low, high in BINS:
        inside = chosen & (apart >= low - 0.5) & (apart < high + 0.5)
        means.append(float(gaps[inside].mean()) if inside.any() else float("nan"))
    return means


def _found_again(
    gaps: NDArray[np.float32], apart: NDArray[np.float32], is_same: NDArray[np.bool_]
) -> float:
    """Share of notes whose nearest note an octave or more away is of their own instrument.

    Only notes whose instrument has one there count.
    """
    is_far = apart >= 12.0
    nearest = np.argmin(np.where(is_far, gaps, np.inf), axis=1)
    counted = (is_far & is_same).any(axis=1)
    if not counted.any():
        return float("nan")
    found = is_same[np.arange(len(gaps)), nearest]
    return float(found[counted].mean())


def _draw(curves: dict[str, tuple[list[float], list[float]]], path: Path) -> None:
    figure = Figure(figsize=(5.0 * len(curves), 4.0), layout="constrained")
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    names = [f"{low}–{high}" for low, high in BINS]
    for axis, (name, (within, between)) in zip(axes, curves.items(), strict=True):
        axis.plot(names, within, marker="o", label="within an instrument")
        axis.plot(names, between, marker="o", label="between instruments")
        axis.set(title=name, xlabel="semitones apart", ylabel="distance", ylim=(0.0, None))
        axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
