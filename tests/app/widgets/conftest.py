from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.theme import DARK, apply_theme

WidgetT = TypeVar("WidgetT", bound=QWidget)


@pytest.fixture(autouse=True)
def _theme(qapp: QApplication) -> None:
    """Tests of the whole program may have left another theme."""
    if qapp.palette().window().color().name() != DARK.window:
        apply_theme(qapp, DARK)


@pytest.fixture
def shown(qtbot: QtBot) -> Callable[[WidgetT, int, int], WidgetT]:
    """Shows a widget at a size and takes it away after the test."""

    def show(widget: WidgetT, width: int, height: int) -> WidgetT:
        qtbot.addWidget(widget)
        widget.resize(width, height)
        widget.show()
        return widget

    return show
