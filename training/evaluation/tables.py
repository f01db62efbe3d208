"""Tables as they are printed and kept: a title, a header and lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as PrintedTable

FILE_WIDTH = 300
"""Characters of a line where the tables are not printed to a terminal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table."""

    title: str
    """What the table shows, one line."""
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    """Cells line by line; every line is as long as the header."""

    def markdown(self) -> str:
        """The table for a model card, under its title."""
        cells = [self.header, ("---",) * len(self.header), *self.lines]
        text = "\n".join(f"| {' | '.join(line)} |" for line in cells)
        return f"{self.title}\n\n{text}\n"


def mark(is_met: bool | None) -> str:
    """Whether a bar is met, as a cell: yes, no, or nothing where there is no bar."""
    return "" if is_met is None else "yes" if is_met else "no"


def publish_tables(tables: Sequence[Table], path: Path) -> None:
    """Print tables and keep them as markdown."""
    console = Console()
    if not console.is_terminal:
        console.width = FILE_WIDTH
    for table in tables:
        printed = PrintedTable(*table.header, title=table.title, title_justify="left")
        for line in table.lines:
            printed.add_row(*line)
        console.print(printed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")
