"""How panels place their widgets."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.theme import GRID

WIDE_GAP = GRID + GRID // 2
"""Between panels, pixels."""


def heading(text: str) -> QLabel:
    """The name of a panel above it."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def row(first: QWidget, last: QWidget) -> QWidget:
    """One widget at the left, one at the right."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(first)
    layout.addStretch(1)
    layout.addWidget(last)
    return box


def stack(
    box: QWidget, *widgets: QWidget, stretched: QWidget | None = None, gap: int = GRID // 2
) -> None:
    """Lay widgets below each other.

    Args:
        box: What they lie in.
        widgets: From top to bottom.
        stretched: Takes the height that is left; the last unless named.
        gap: Pixels between two of them.
    """
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(gap)
    for widget in widgets:
        layout.addWidget(widget, int(widget is (stretched or widgets[-1])))


def column(*widgets: QWidget, stretched: QWidget | None = None, gap: int = GRID // 2) -> QWidget:
    """A box with widgets below each other: see :func:`stack`."""
    box = QWidget()
    stack(box, *widgets, stretched=stretched, gap=gap)
    return box
