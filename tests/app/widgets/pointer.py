"""Mouse, wheel and drops as events, with modifiers and fractions of pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget

NO_KEYS = Qt.KeyboardModifier.NoModifier


def _send(
    widget: QWidget, kind: QEvent.Type, at: QPointF, is_down: bool, keys: Qt.KeyboardModifier
) -> None:
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    button = none if kind == QEvent.Type.MouseMove else left
    event = QMouseEvent(
        kind, at, QPointF(widget.mapToGlobal(at)), button, left if is_down else none, keys
    )
    QApplication.sendEvent(widget, event)


def press(widget: QWidget, at: QPointF, keys: Qt.KeyboardModifier = NO_KEYS) -> None:
    _send(widget, QEvent.Type.MouseButtonPress, at, True, keys)


def move(widget: QWidget, at: QPointF, keys: Qt.KeyboardModifier = NO_KEYS) -> None:
    _send(widget, QEvent.Type.MouseMove, at, True, keys)


def release(widget: QWidget, at: QPointF, keys: Qt.KeyboardModifier = NO_KEYS) -> None:
    _send(widget, QEvent.Type.MouseButtonRelease, at, False, keys)


def drag(widget: QWidget, points: Sequence[QPointF], keys: Qt.KeyboardModifier = NO_KEYS) -> None:
    press(widget, points[0], keys)
    for point in points[1:]:
        move(widget, point, keys)
    release(widget, points[-1], keys)


def click(widget: QWidget, at: QPointF, keys: Qt.KeyboardModifier = NO_KEYS) -> None:
    drag(widget, [at], keys)


def double_click(widget: QWidget, at: QPointF) -> None:
    click(widget, at)
    _send(widget, QEvent.Type.MouseButtonDblClick, at, True, NO_KEYS)
    release(widget, at)


def wheel(
    widget: QWidget, at: QPointF, notches: float, keys: Qt.KeyboardModifier = NO_KEYS
) -> None:
    event = QWheelEvent(
        at,
        QPointF(widget.mapToGlobal(at)),
        QPoint(),
        QPoint(0, round(120 * notches)),
        Qt.MouseButton.NoButton,
        keys,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def files_mime(paths: Sequence[Path]) -> QMimeData:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return mime


def drop(widget: QWidget, mime: QMimeData, at: QPointF) -> bool:
    """Whether the widget took it."""
    copy, left = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    with warnings.catch_warnings():
        # Qt 6.12 has one more constructor and calls the only one of older versions deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        enter = QDragEnterEvent(at.toPoint(), copy, mime, left, NO_KEYS)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    if not enter.isAccepted():
        return False
    event = QDropEvent(at, copy, mime, left, NO_KEYS)
    QApplication.sendEvent(widget, event)
    return event.isAccepted()
