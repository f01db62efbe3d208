"""The command line of the pipeline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from training import __main__ as command_line
from training import pipeline

ROOT = Path(__file__).resolve().parents[2]
DEBUG = str(ROOT / "resources" / "configs" / "debug.toml")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the pipeline was asked to do; nothing is done."""
    asked: list[str] = []
    for name in (
        "render_corpus",
        "print_shares",
        "fit_root_finder",
        "bundle_run",
        "evaluate_bundle",
        "draw_sheet",
    ):
        monkeypatch.setattr(pipeline, name, lambda *_, name=name: asked.append(name))
    monkeypatch.setattr(pipeline, "run_stage", lambda name, *_, **__: asked.append(name))
    return asked


def test_a_full_run_takes_every_stage_in_order(done: list[str], tmp_path: Path) -> None:
    assert command_line.main(["all", "--config", DEBUG, "--run-dir", str(tmp_path)]) == 0
    assert done == [
        "render_corpus",
        "print_shares",
        *pipeline.STAGES,
        "bundle_run",
        "evaluate_bundle",
    ]


@pytest.mark.parametrize(
    ("word", "asked"),
    [
        ("corpus", ["render_corpus", "print_shares"]),
        ("classifier", ["classifier"]),
        ("adversarial", ["adversarial"]),
        ("root", ["fit_root_finder"]),
        ("bundle", ["bundle_run"]),
        ("evaluate", ["evaluate_bundle"]),
        ("sheet", ["draw_sheet"]),
    ],
)
def test_a_word_asks_for_one_thing(
    done: list[str], tmp_path: Path, word: str, asked: list[str]
) -> None:
    assert command_line.main([word, "--config", DEBUG, "--run-dir", str(tmp_path)]) == 0
    assert done == asked


def test_help_and_bad_arguments_wait_for_no_torch() -> None:
    code = "import sys, training.__main__ as m; m.build_parser(); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0
