from __future__ import annotations

from pathlib import Path

import pytest

from training.evaluation.tables import Table, publish_tables


def test_tables_are_printed_and_kept_as_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(title="Things", header=("a", "b"), lines=(("1", "two"), ("3", "four")))
    publish_tables([table, table], tmp_path / "new" / "table.md")
    kept = (tmp_path / "new" / "table.md").read_text()
    assert kept.splitlines()[:5] == ["Things", "", "| a | b |", "| --- | --- |", "| 1 | two |"]
    assert kept.count("| 3 | four |") == 2
    assert "four" in capsys.readouterr().out
