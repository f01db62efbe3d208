"""What gestures have in common: where a drag begins, and when small steps are over."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPoint, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

SETTLE_MS = 400
"""A gesture of small steps is over when none has come for so long."""


class Settling(QTimer):
    """Says that a gesture of small steps is over: keys, notches of the wheel, MIDI controllers.

    Each step calls ``start``; ``timeout`` comes when no other has followed for ``SETTLE_MS``.

    *Thread:* GUI.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.setSingleShot(True)
        self.setInterval(SETTLE_MS)

    def finish(self) -> bool:
        """End the gesture now, without ``timeout``; returns whether there was one."""
        is_under_way = self.isActive()
        self.stop()
        return is_under_way


class DragStart:
    """Tells a drag from a click: the pointer is pressed and then moved far enough.

    *Thread:* GUI.
    """

    def __init__(self) -> None:
        self._pressed_at: QPoint | None = None

    def press(self, event: QMouseEvent) -> None:
        """The button went down."""
        self._pressed_at = event.globalPosition().toPoint()

    def has_begun(self, event: QMouseEvent) -> bool:
        """Whether a move of the pointer makes it a drag."""
        if self._pressed_at is None:
            return False
        distance = (event.globalPosition().toPoint() - self._pressed_at).manhattanLength()
        return distance >= QApplication.startDragDistance()

    def forget(self) -> None:
        """The button went up, or what was dragged is on its way: later moves begin nothing."""
        self._pressed_at = None
