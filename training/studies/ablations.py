"""Study `ablations`: what each part of the method is worth; the commands, and the figures they left.

Each ablation is a full run with one change. It takes as long as any other, so this study starts
none: it says how to, and gathers what `evaluate` wrote into the runs that are there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from training.evaluation.tables import Table

CONFIGS = "resources/configs"
FIGURES = (
    "MSE at the source's own note",
    "MSE at another note",
    "pitch accuracy, HyperGANStrument",
    "Fréchet distance on sounds",
)
"""Beginnings of the measures of metrics.json that are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation:
    """One change to the recipe."""

    name: str
    """Name of the ablation and of its run folder."""
    what: str
    config: str = "default"
    """Name of the configuration that is changed."""
    changes: tuple[str, ...] = ()
    """Keys and values for ``--set``."""

    def command(self, runs: Path) -> str:
        """Command that runs the ablation and leaves its figures."""
        settings = "".join(f" --set {change}" for change in self.changes)
        return (
            f"python -m training all --config {CONFIGS}/{self.config}.toml "
            f"--run-dir {runs / self.name}{settings}"
        )


ABLATIONS = (
    Ablation(name="ours", what="our recipe"),
    Ablation(name="paper", what="the published recipe", config="paper"),
    Ablation(
        name="no-projection",
        what="the published recipe, D without its projection",
        config="paper",
        changes=("model.discriminator.use_projection=false",),
    ),
    Ablation(
        name="no-adversary",
        what="our recipe without adversarial losses",
        changes=("generator.adversarial_weight=0.0", "adversarial.steps=0"),
    ),
    Ablation(
        name="no-layout",
        what="our recipe, the pitch not drawn as a layout of partials",
        changes=("model.generator.use_layout=false", "model.discriminator.use_layout=false"),
    ),
    Ablation(
        name="no-cross-pitch",
        what="our recipe, no supervision across pitches",
        changes=(
            "pairs.same_note_share=1.0",
            "hypernetwork.notes_per_timbre=1",
            "hypernetwork.carried_weight=0.0",
            "adversarial.notes_per_timbre=1",
            "adversarial.carried_weight=0.0",
        ),
    ),
    Ablation(
        name="frozen-features",
        what="our recipe, f frozen while G is trained",
        changes=("generator.features_learning_rate=0.0",),
    ),
    Ablation(
        name="mels-into-h",
        what="our recipe, H reads mels in place of features",
        changes=("model.hypernetwork.input=mels",),
    ),
    Ablation(
        name="not-carried",
        what="our recipe, H trained without carry-over in the loop",
        changes=("hypernetwork.carried_weight=0.0", "adversarial.carried_weight=0.0"),
    ),
)


def study_ablations(runs: Path) -> list[Table]:
    """Commands and figures of all ablations.

    Args:
        runs: Folder of the runs, one sub-folder for each ablation.
    """
    return [
        Table(
            title=f"Ablations: what `evaluate` left in the runs of {runs}",
            header=("run", "what", *FIGURES),
            lines=tuple((each.name, each.what, *_figures(runs / each.name)) for each in ABLATIONS),
        ),
        Table(
            title="How to run them",
            header=("run", "command"),
            lines=tuple((each.name, each.command(runs)) for each in ABLATIONS),
        ),
    ]


def _figures(run_dir: Path) -> tuple[str, ...]:
    """The figures that `evaluate` left in a run; empty where it was not run."""
    metrics = run_dir / "evaluate" / "metrics.json"
    if not metrics.is_file():
        return ("",) * len(FIGURES)
    rows = json.loads(metrics.read_text(encoding="utf-8"))["rows"]
    return tuple(
        next((row["value"] for row in rows if row["measure"].startswith(name)), "")
        for name in FIGURES
    )
