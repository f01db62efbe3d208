"""Measures speed: ``python -m tests.benchmarks [--model PATH] [THEME…]``; 1 where a bar is missed.

The bars are those of the design: ratios taken in one run on the same machine, with all its threads.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from core.errors import CoreError
from core.inference.model import load_model
from tests.benchmarks import (
    bench_export,
    bench_load,
    bench_playback,
    bench_render,
    bench_sampler,
    bench_service,
    bench_window,
)
from tests.benchmarks.measuring import Row

THEMES = {
    "load": bench_load.measure,
    "render": bench_render.measure,
    "export": bench_export.measure,
    "sampler": bench_sampler.measure,
    "service": bench_service.measure,
    "playback": bench_playback.measure,
    "window": bench_window.measure,
}
"""What can be measured, by name."""


def main() -> int:
    """Measure and print; 0 every bar met, 1 one missed, 2 nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "themes", nargs="*", metavar="THEME", help=f"{', '.join(THEMES)}; all if none"
    )
    parser.add_argument("--model", type=Path, help="a .safetensors bundle; the shipped one if none")
    arguments = parser.parse_args()
    unknown = [theme for theme in arguments.themes if theme not in THEMES]
    if unknown:
        parser.error(f"unknown theme '{unknown[0]}'; choose from {', '.join(THEMES)}")
    errors = Console(stderr=True, soft_wrap=True)
    rows: list[Row] = []
    try:
        model_hash = load_model(arguments.model).content_hash
        for theme in arguments.themes or THEMES:
            errors.print(f"measuring: {theme}")
            rows += THEMES[theme](arguments.model)
    except CoreError as error:
        errors.print(f"error: {error}", markup=False)
        return 2
    machine = (
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, model {model_hash[:12]}"
    )
    Console().print(as_table(rows, machine))
    return int(any(row.is_missed for row in rows))


def as_table(rows: list[Row], caption: str) -> Table:
    """Measure, value, bar and whether it is met; times for information."""
    table = Table(caption=caption)
    for heading in ("measure", "value", "bar", "met", "times"):
        table.add_column(heading, justify="right" if heading in ("value", "bar") else "left")
    for row in rows:
        value, bar = (_figure(number, row.unit) for number in (row.value, row.bar))
        table.add_row(row.measure, value, bar, row.verdict, row.note)
    return table


def _figure(number: float | None, unit: str) -> str:
    if number is None:
        return "–"
    return f"{number:,.0f} {unit}" if unit else f"{number:.3g}"


if __name__ == "__main__":
    sys.exit(main())
