"""``python -m training study NAME``: the study's tables, printed and kept in the run's folder."""

from __future__ import annotations

from pathlib import Path

from training.config import RunConfig
from training.evaluation.tables import Table, publish_tables
from training.pipeline import open_bundle
from training.studies.ablations import study_ablations
from training.studies.cost import study_cost
from training.studies.interpolation import study_interpolation
from training.studies.invariance import study_invariance
from training.studies.out_of_distribution import study_out_of_distribution
from training.studies.pooling import study_pooling
from training.studies.sensitivity import study_sensitivity


def run_study(name: str, config: RunConfig, run_dir: Path, model: Path | None, steps: int) -> None:
    """Take and print a study's tables; they and its picture go to ``RUN_DIR/study``.

    Args:
        name: One of ``training.__main__.STUDIES``.
        config: Names the corpus and says how much is measured (section ``evaluate``).
        run_dir: The run's folder.
        model: The bundle studied; the shipped one if None.
        steps: Steps of each training of ``sensitivity``.

    Raises:
        CoreError: Something needed is missing; the message says what.
    """
    out = run_dir / "study"
    publish_tables(_tables(name, config, run_dir, model, steps, out), out / f"{name}.md")


def _tables(
    name: str, config: RunConfig, run_dir: Path, model: Path | None, steps: int, out: Path
) -> list[Table]:
    match name:
        case "ablations":
            return study_ablations(run_dir.parent)
        case "sensitivity":
            return study_sensitivity(config, run_dir, out, steps)
        case "cost":
            return study_cost(open_bundle(config, model), out)
        case "interpolation":
            return study_interpolation(open_bundle(config, model), config.evaluate, out)
        case "invariance":
            return study_invariance(open_bundle(config, model), config.evaluate, out)
        case "pooling":
            return study_pooling(open_bundle(config, model), config.evaluate)
        case _:
            return study_out_of_distribution(open_bundle(config, model), config.evaluate)
