"""Stage `evaluate`: the quality tables of a bundle, on instruments nothing was trained or tuned on.

Notes of recorded instruments are compared with what the instrument really does at that pitch: pairs
are genuine (training/data/pairs.py). Synthesized instruments have a table of their own.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from core.inference.engine import SynthesisEngine
from core.inference.model import load_model
from training.evaluation.comparison import Comparison
from training.evaluation.config import EvaluateConfig
from training.evaluation.distances import (
    Distances,
    differences_table,
    distances_tables,
    families_table,
)
from training.evaluation.quality import Quality, quality_table
from training.evaluation.tables import Table, publish_tables
from training.evaluation.workbench import Workbench, bundle_file

KINDS = {"recorded": "Recorded instruments", "synthesized": "Patches and synthesized instruments"}
"""Titles of the tables of distances, by how the instruments make their notes."""


def evaluate(bench: Workbench, config: EvaluateConfig, out: Path) -> None:
    """Take and print the tables, and keep them.

    Of a bundle that the engine refuses because its hypernetwork reads mels, only the paper's
    measures are taken.

    Args:
        bench: Bundle, pitch classifier and test notes.
        config: How much to measure.
        out: Folder for ``table.md`` and ``metrics.json``.

    Raises:
        CoreError: A baseline is not installed, or the other model cannot be opened.
    """
    metrics: dict[str, Any] = {"model": bench.model.content_hash}
    tables: list[Table] = []
    if not bench.model.hypernetwork.config.reads_mels:
        _compare(bench, config, tables, metrics)
    rows = Quality(bench, config).rows()
    metrics["rows"] = [dataclasses.asdict(row) for row in rows]
    kind = KINDS["recorded" if bench.split.is_recorded.any() else "synthesized"]
    tables.append(quality_table(rows, f"{kind} of the {bench.split.split} split: networks"))
    publish_tables(tables, out / "table.md")
    text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "metrics.json").write_text(f"{text}\n", encoding="utf-8")


@torch.inference_mode()
def _compare(
    bench: Workbench, config: EvaluateConfig, tables: list[Table], metrics: dict[str, Any]
) -> None:
    """Add the tables of distances, by family and beside another model."""
    other = None
    if config.other_model:
        other = load_model(bundle_file(Path(config.other_model)))
        metrics["other_model"] = other.content_hash
    engine = None if other is None else SynthesisEngine(other, torch.device("cpu"))
    distances = Distances(Comparison(bench, engine), bench.pairs, config)
    for kind, title in KINDS.items():
        rows, differences = distances.rows(recorded=kind == "recorded")
        if rows:
            tables += distances_tables(title, rows)
        metrics[f"{kind}_distances"] = [dataclasses.asdict(row) for row in rows]
        if differences and other is not None:
            name = f"the model {other.content_hash[:12]}"
            tables.append(differences_table(differences, name))
            metrics[f"{kind}_differences"] = [dataclasses.asdict(row) for row in differences]
    families = distances.families()
    if families:
        tables.append(families_table(families))
    metrics["families"] = [dataclasses.asdict(row) | {"is_worse": row.is_worse} for row in families]
