from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QObject, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from typing_extensions import override

from app.widgets.gestures import SETTLE_MS, DragStart, Settling
from app.widgets.piano_keyboard import PianoKeyboard
from app.widgets.source_row import SourceRow, SourceView
from app.widgets.timbre_pad import TimbrePad
from app.widgets.waveform_view import WaveformView


def pointer(x: float) -> QMouseEvent:
    place, left = QPointF(x, 0.0), Qt.MouseButton.LeftButton
    none = Qt.KeyboardModifier.NoModifier
    return QMouseEvent(QEvent.Type.MouseMove, place, place, left, left, none)


def test_a_drag_begins_when_the_pointer_was_moved_far_enough() -> None:
    start, far = DragStart(), QApplication.startDragDistance()
    assert not start.has_begun(pointer(1000.0))  # nothing was pressed
    start.press(pointer(5.0))
    assert not start.has_begun(pointer(5.0 + far - 1))
    assert start.has_begun(pointer(5.0 + far))
    assert start.has_begun(pointer(5.0 - far))
    start.forget()
    assert not start.has_begun(pointer(1000.0))


def test_steps_are_over_when_none_follows(qtbot: QtBot) -> None:
    settling = Settling(QApplication.instance())  # type: ignore[arg-type]
    rests: list[int] = []
    settling.timeout.connect(lambda: rests.append(1))
    settling.start()
    qtbot.wait(SETTLE_MS // 2)
    settling.start()
    qtbot.wait(SETTLE_MS // 2 + 50)
    assert rests == []  # the second step put the rest off
    qtbot.waitUntil(lambda: rests == [1], timeout=10 * SETTLE_MS)
    assert not settling.finish()
    settling.start()
    assert settling.finish()
    qtbot.wait(SETTLE_MS + 50)
    assert rests == [1]
    settling.deleteLater()


class Paints(QObject):
    """Counts how often a widget is painted."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.count = 0
        widget.installEventFilter(self)

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        self.count += event.type() == QEvent.Type.Paint
        return False


@pytest.mark.parametrize("kind", [TimbrePad, PianoKeyboard, WaveformView, SourceRow])
def test_the_focus_is_shown_as_it_comes_and_goes(qtbot: QtBot, kind: type[QWidget]) -> None:
    view = SourceView(source_id="a", name="Bell", colour="#ffffff")
    widget = SourceRow(view, 4) if kind is SourceRow else kind()
    qtbot.addWidget(widget)
    other = QWidget(widget)
    other.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.resize(300, 100)
    with qtbot.waitActive(widget):
        widget.show()
        widget.activateWindow()
    other.setFocus()
    qtbot.waitUntil(lambda: other.hasFocus())
    qtbot.wait(50)
    paints = Paints(widget)
    widget.setFocus()
    qtbot.waitUntil(lambda: paints.count > 0)
    painted = paints.count
    other.setFocus()
    qtbot.waitUntil(lambda: paints.count > painted)
