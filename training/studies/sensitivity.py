"""Study `sensitivity`: λ_timbre × λ_recon, each by a short training of the hypernetwork.

Every cell starts from the run's trained generator and the same untrained hypernetwork, and sees the
same batches; measures are taken on the validation split.

Paper: HyperGANStrument (arXiv 2401.04558, section 4.1), which takes 20 and 200.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from training.config import RunConfig
from training.evaluation.tables import Table
from training.pipeline import run_stage

TIMBRE_WEIGHTS = (0.0, 20.0, 100.0)
RECONSTRUCTION_WEIGHTS = (20.0, 200.0, 1000.0)
MEASURES = (
    "validation/same_plain_mse",
    "validation/same_refined_mse",
    "validation/cross_refined_mse",
    "timbre",
)
"""Names in stats.jsonl of what the table shows; their last values count."""


def study_sensitivity(config: RunConfig, run_dir: Path, out: Path, steps: int) -> list[Table]:
    """Train `steps` steps for each pair of weights, below `out`.

    Raises:
        TrainingError: The run has no trained generator.
    """
    lines = []
    for timbre_weight in TIMBRE_WEIGHTS:
        for reconstruction_weight in RECONSTRUCTION_WEIGHTS:
            recipe = dataclasses.replace(
                config.hypernetwork,
                steps=steps,
                timbre_weight=timbre_weight,
                reconstruction_weight=reconstruction_weight,
            )
            folder = out / f"sensitivity-{timbre_weight:g}-{reconstruction_weight:g}"
            trial = dataclasses.replace(config, hypernetwork=recipe)
            run_stage("hypernetwork", trial, run_dir, minutes=None, resume=False, out=folder)
            found = _last_values(folder / "hypernetwork" / "stats.jsonl")
            lines.append(
                (
                    f"{timbre_weight:g}",
                    f"{reconstruction_weight:g}",
                    *(f"{found[name]:.4f}" for name in MEASURES),
                )
            )
    return [
        Table(
            title=f"Hypernetwork after {steps} steps",
            header=(
                "λ_timbre",
                "λ_recon",
                "MSE of the plain generator",
                "MSE",
                "MSE at another pitch",
                "‖f(x̂) − h‖² ÷ H, training",
            ),
            lines=tuple(lines),
        )
    ]


def _last_values(stats: Path) -> dict[str, float]:
    """The last value of everything logged."""
    found: dict[str, float] = {}
    for line in stats.read_text(encoding="utf-8").splitlines():
        found |= json.loads(line)
    return found
