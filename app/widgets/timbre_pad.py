"""The pad on which sounds lie and between which the cursor morphs.

Places run from (0, 0) at the bottom left to (1, 1) at the top right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFontMetricsF,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget
from typing_extensions import override

from app.theme import Theme, scaled_font, theme_of, translucent
from app.widgets.dropped_data import dropped_files, dropped_snapshot
from app.widgets.gestures import Settling
from core.errors import ParameterError

FINE_STEP = 0.005
"""Step of an arrow key or a notch of the wheel, share of the pad."""
COARSE_STEP = 0.05
"""Step of an arrow key with Shift, share of the pad."""
SNAP_PIXELS = 12.0
"""The cursor jumps onto a source that is nearer than this."""
WEIGHTS_SHOWN_MS = 1500
"""Weights stay this long after the cursor was moved."""

_MARGIN = 16.0
_CORNER = 8.0
_SOURCE_RADIUS = 9.0
_CURSOR_RADIUS = 14.0
_CURSOR = ""  # takes the place of a source's id while the cursor is moved
_FROZEN_OPACITY = 0.3  # of what does nothing while the cursor is frozen
_TIP = (
    "Drag to morph (Alt: no snapping), double click to centre (Home)\n"
    "Arrows and wheel move finely; Page Up/Down choose a source, Ctrl+arrows move it"
)
_NO_SNAP = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ShiftModifier


@dataclass(frozen=True, kw_only=True, slots=True)
class PadSource:
    """A sound on the pad."""

    source_id: str
    """Tells sources apart; never empty."""
    name: str
    colour: str
    """``#rrggbb``."""
    x: float
    """0 (left) to 1 (right)."""
    y: float
    """0 (bottom) to 1 (top)."""
    is_audible: bool = True
    """False while muted or while others are soloed."""


class TimbrePad(QWidget):
    """Sounds as coloured handles, and the cursor that mixes them.

    Press or drag anywhere to move the cursor: it snaps to sources near it unless Alt or Shift is
    held. Handles and their names are dragged to move sources, with Ctrl even under the cursor. A
    double click centres the cursor or brings it to a source. Arrows and the wheel move it finely,
    arrows with Shift faster; Page Up and Page Down choose a source, Ctrl with arrows moves it,
    Return goes to it, Delete removes it, Home centres. While the cursor is frozen only sources are
    chosen, moved and removed.

    *Signals:*
        cursor_moved(float, float): x and y while the cursor is moved.
        cursor_released(): the move is over.
        source_moved(str, float, float): id, x and y while a source is moved.
        source_released(str): the move is over.
        source_selected(str): id.
        source_delete_requested(str): id.
        files_dropped(list, float, float): paths, and where.
        snapshot_dropped(int, float, float): slot 0–7, and where.

    *Thread:* GUI.
    """

    cursor_moved = Signal(float, float)
    cursor_released = Signal()
    source_moved = Signal(str, float, float)
    source_released = Signal(str)
    source_selected = Signal(str)
    source_delete_requested = Signal(str)
    files_dropped = Signal(list, float, float)
    snapshot_dropped = Signal(int, float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sources: dict[str, PadSource] = {}
        self._selected: str | None = None
        self._cursor = (0.5, 0.5)
        self._weights: dict[str, float] = {}
        self._field: QImage | None = None
        self._path: tuple[tuple[float, float], ...] = ()
        self._is_recording = False
        self._frozen = ""  # why the cursor cannot be moved
        self._gesture: str | None = None
        self._grip = QPointF()  # from the pointer to what it drags
        self._drop_at: QPointF | None = None
        self._settled = Settling(self)
        self._settled.timeout.connect(self._end_gesture)
        self._weights_shown = QTimer(self, singleShot=True, interval=WEIGHTS_SHOWN_MS)
        self._weights_shown.timeout.connect(self.update)
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Timbre pad")
        self.setToolTip(_TIP)
        self._describe()

    def set_sources(self, sources: Sequence[PadSource]) -> None:
        """Show these sources; the last ones lie on top."""
        self._sources = {source.source_id: source for source in sources}
        if self._selected not in self._sources:
            self._selected = None
        self._describe()
        self.update()

    def set_selected(self, source_id: str | None) -> None:
        """Mark a source."""
        self._selected = source_id
        self.update()

    def set_cursor(self, x: float, y: float) -> None:
        """Place the cursor; tells nobody."""
        self._cursor = (_within(x), _within(y))
        self.update()

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Show what each source contributes, 0 to 1 by id, whenever the cursor moves."""
        self._weights = dict(weights)
        self.update()

    def set_frozen(self, reason: str) -> None:
        """Keep the cursor where it is and say why on the pad.

        Args:
            reason: One short line; empty lets the cursor go.
        """
        if reason and self._gesture == _CURSOR:
            self._end_gesture()
        self._weights_shown.stop()
        self._frozen = reason
        self.setToolTip(f"{reason}; sources can still be moved" if reason else _TIP)
        self._describe()
        self.update()

    def set_field(self, colours: NDArray[np.uint8] | None) -> None:
        """Paint the field behind the sources.

        Args:
            colours: sRGB, row 0 at the bottom, [rows, columns, 3]; None for none.

        Raises:
            ParameterError: Another shape or type.
        """
        if colours is None:
            self._field = None
        else:
            if colours.dtype != np.uint8 or colours.ndim != 3 or colours.shape[2] != 3:
                raise ParameterError(
                    f"A field of {colours.dtype} {colours.shape} cannot be painted; "
                    "give uint8 [rows, columns, 3]."
                )
            pixels = np.ascontiguousarray(colours[::-1])
            height, width = pixels.shape[:2]
            image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            self._field = image.copy()  # owns its memory
        self.update()

    def set_path(
        self, points: Sequence[tuple[float, float]], *, is_recording: bool = False
    ) -> None:
        """Show a recorded path, or the one being recorded."""
        self._path = tuple(points)
        self._is_recording = is_recording
        self.update()

    @override
    def sizeHint(self) -> QSize:
        return QSize(480, 480)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(200, 200)

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
            return
        self._end_gesture()
        at = event.position()
        is_on_cursor = _distance(at, self._to_pixels(*self._cursor)) <= _CURSOR_RADIUS
        source = self._source_at(at)
        prefers_source = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if source is not None and (prefers_source or self._frozen or not is_on_cursor):
            self._gesture = source.source_id
            self._grip = self._to_pixels(source.x, source.y) - at
            self._select(source.source_id)
        elif not self._frozen:
            self._gesture = _CURSOR
            self._grip = self._to_pixels(*self._cursor) - at if is_on_cursor else QPointF()
            if not is_on_cursor:
                self._drag_cursor(at, event.modifiers())

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._gesture is None or not event.buttons() & Qt.MouseButton.LeftButton:
            source = self._source_at(event.position())
            ground = Qt.CursorShape.ArrowCursor if self._frozen else Qt.CursorShape.CrossCursor
            self.setCursor(ground if source is None else Qt.CursorShape.OpenHandCursor)
        elif self._gesture == _CURSOR:
            self._drag_cursor(event.position() + self._grip, event.modifiers())
        else:
            self._move_source(self._gesture, *self._to_pad(event.position() + self._grip))

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._end_gesture()
        else:
            super().mouseReleaseEvent(event)

    @override
    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            super().mouseDoubleClickEvent(event)
            return
        source = self._source_at(event.position())
        self._jump(*((0.5, 0.5) if source is None else (source.x, source.y)))

    @override
    def wheelEvent(self, event: QWheelEvent) -> None:
        delta = event.angleDelta()
        step = (delta.y() or delta.x()) / 120 * FINE_STEP
        is_vertical = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self._nudge_cursor(0.0 if is_vertical else step, step if is_vertical else 0.0)
        event.accept()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        directions: dict[int, tuple[int, int]] = {
            Qt.Key.Key_Left: (-1, 0),
            Qt.Key.Key_Right: (1, 0),
            Qt.Key.Key_Down: (0, -1),
            Qt.Key.Key_Up: (0, 1),
        }
        modifiers, key = event.modifiers(), event.key()
        if key in directions:
            is_coarse = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
            step = COARSE_STEP if is_coarse else FINE_STEP
            dx, dy = (step * sign for sign in directions[key])
            if modifiers & Qt.KeyboardModifier.ControlModifier:
                self._nudge_selected(dx, dy)
            else:
                self._nudge_cursor(dx, dy)
        elif key == Qt.Key.Key_Home:
            self._jump(0.5, 0.5)
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown) and self._sources:
            self._select_next(1 if key == Qt.Key.Key_PageDown else -1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._selected is not None:
            source = self._sources[self._selected]
            self._jump(source.x, source.y)
        elif key == Qt.Key.Key_Delete and self._selected is not None:
            self.source_delete_requested.emit(self._selected)
        else:
            super().keyPressEvent(event)

    @override
    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        mime = event.mimeData()
        if dropped_files(mime) or dropped_snapshot(mime) is not None:
            event.acceptProposedAction()
            self._drop_at = event.position()
            self.update()

    @override
    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        event.acceptProposedAction()
        self._drop_at = event.position()
        self.update()

    @override
    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._drop_at = None
        self.update()

    @override
    def dropEvent(self, event: QDropEvent) -> None:
        self._drop_at = None
        self.update()
        x, y = self._to_pad(event.position())
        slot = dropped_snapshot(event.mimeData())
        files = dropped_files(event.mimeData())
        if slot is not None:
            self.snapshot_dropped.emit(slot, x, y)
        elif files:
            self.files_dropped.emit(files, x, y)
        else:
            return
        event.acceptProposedAction()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        theme = theme_of(self.palette())
        self._paint_ground(painter, theme)
        painter.setOpacity(_FROZEN_OPACITY if self._frozen else 1.0)
        self._paint_path(painter, theme)
        painter.setOpacity(1.0)
        shows_weights = self._gesture == _CURSOR or self._weights_shown.isActive()
        if shows_weights:
            self._paint_lines(painter)
        for source in self._sources.values():
            self._paint_source(painter, theme, source, shows_weights)
        if self._sources:
            painter.setOpacity(_FROZEN_OPACITY if self._frozen else 1.0)
            self._paint_cursor(painter, theme)
            painter.setOpacity(1.0)
        if self._sources and self._frozen:
            self._paint_reason(painter, theme)
        if self._drop_at is not None:
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.setBrush(translucent(theme.accent, 0.3))
            painter.drawEllipse(self._to_pixels(*self._to_pad(self._drop_at)), 12, 12)
        painter.end()

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)

    def _to_pixels(self, x: float, y: float) -> QPointF:
        area = self._area()
        return QPointF(area.left() + x * area.width(), area.bottom() - y * area.height())

    def _to_pad(self, point: QPointF) -> tuple[float, float]:
        area = self._area()
        x = (point.x() - area.left()) / max(area.width(), 1.0)
        y = (area.bottom() - point.y()) / max(area.height(), 1.0)
        return _within(x), _within(y)

    def _source_at(self, point: QPointF) -> PadSource | None:
        """The topmost source whose handle or name lies under a point."""
        for source in reversed(self._sources.values()):
            centre = self._to_pixels(source.x, source.y)
            is_on_handle = _distance(point, centre) <= _SOURCE_RADIUS + 2
            if is_on_handle or self._label_rect(source, source.name).contains(point):
                return source
        return None

    def _drag_cursor(self, point: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        x, y = self._to_pad(point)
        if not modifiers & _NO_SNAP:
            for source in self._sources.values():
                here = self._to_pixels(source.x, source.y)
                if source.is_audible and _distance(point, here) <= SNAP_PIXELS:
                    x, y = source.x, source.y
        self._move_cursor(x, y)

    def _move_cursor(self, x: float, y: float) -> None:
        place = (_within(x), _within(y))
        self._weights_shown.start()
        if place != self._cursor:
            self._cursor = place
            self.update()
            self.cursor_moved.emit(*place)

    def _jump(self, x: float, y: float) -> None:
        self._end_gesture()
        if self._frozen:
            return
        self._gesture = _CURSOR
        self._move_cursor(x, y)
        self._end_gesture()

    def _nudge_cursor(self, dx: float, dy: float) -> None:
        if not self._frozen:
            self._begin_fine_move(_CURSOR)
            self._move_cursor(self._cursor[0] + dx, self._cursor[1] + dy)

    def _nudge_selected(self, dx: float, dy: float) -> None:
        if self._selected is not None:
            self._begin_fine_move(self._selected)
            source = self._sources[self._selected]
            self._move_source(source.source_id, _within(source.x + dx), _within(source.y + dy))

    def _begin_fine_move(self, gesture: str) -> None:
        if self._gesture != gesture:
            self._end_gesture()
        self._gesture = gesture
        self._settled.start()

    def _end_gesture(self) -> None:
        self._settled.stop()
        gesture, self._gesture = self._gesture, None
        if gesture == _CURSOR:
            self.cursor_released.emit()
        elif gesture is not None:
            self.source_released.emit(gesture)
        if gesture is not None:
            self._describe()
            self.update()

    def _move_source(self, source_id: str, x: float, y: float) -> None:
        source = self._sources.get(source_id)
        if source is not None and (x, y) != (source.x, source.y):
            self._sources[source_id] = replace(source, x=x, y=y)
            self.update()
            self.source_moved.emit(source_id, x, y)

    def _select(self, source_id: str) -> None:
        if source_id != self._selected:
            self._selected = source_id
            self.update()
            self.source_selected.emit(source_id)

    def _select_next(self, step: int) -> None:
        ids = list(self._sources)
        if self._selected is None:
            self._select(ids[0])
        else:
            self._select(ids[(ids.index(self._selected) + step) % len(ids)])
        self._describe()

    def _describe(self) -> None:
        place = f"Cursor at {self._cursor[0]:.0%} across, {self._cursor[1]:.0%} up."
        parts = [f"{self._frozen}." if self._frozen else place]
        parts += [
            f"{source.name} {self._weights[source.source_id]:.0%}."
            for source in self._sources.values()
            if source.source_id in self._weights
        ]
        if self._selected is not None:
            parts.append(f"{self._sources[self._selected].name} is chosen.")
        self.setAccessibleDescription(" ".join(parts))

    def _label(self, source: PadSource, shows_weights: bool) -> str:
        if shows_weights and source.source_id in self._weights:
            return f"{source.name}  {self._weights[source.source_id]:.0%}"
        return source.name

    def _label_rect(self, source: PadSource, text: str) -> QRectF:
        """Under the handle, or above it at the lower edge; always within the widget."""
        metrics = QFontMetricsF(scaled_font(self.font(), 0.9))
        width = min(metrics.horizontalAdvance(text) + 12, self.width() - 4.0)
        height = metrics.height() + 4
        centre = self._to_pixels(source.x, source.y)
        top = centre.y() + _SOURCE_RADIUS + 5
        if top + height > self.height() - 2:
            top = centre.y() - _SOURCE_RADIUS - 5 - height
        left = min(max(centre.x() - width / 2, 2.0), self.width() - width - 2)
        return QRectF(left, top, width, height)

    def _paint_ground(self, painter: QPainter, theme: Theme) -> None:
        ground = QPainterPath()
        area = self._area()
        ground.addRoundedRect(area, _CORNER, _CORNER)
        painter.fillPath(ground, QColor(theme.surface))
        if self._field is not None and self._sources:
            painter.save()
            painter.setOpacity(_FROZEN_OPACITY if self._frozen else 1.0)
            painter.setClipPath(ground)
            painter.drawImage(area, self._field)
            painter.restore()
        is_aimed_at = self.hasFocus() or self._drop_at is not None
        pen = QPen(QColor(theme.accent if is_aimed_at else theme.line), 2 if is_aimed_at else 1)
        if not self._sources:
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawPath(ground)
        if not self._sources:
            painter.setPen(QColor(theme.dim_text))
            painter.setFont(scaled_font(self.font(), 1.25))
            wrapped = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(area.adjusted(16, 16, -16, -16), wrapped, "Drop one-shots here")

    def _paint_path(self, painter: QPainter, theme: Theme) -> None:
        if len(self._path) < 2:
            return
        line = QPolygonF([self._to_pixels(x, y) for x, y in self._path])
        colour = theme.danger if self._is_recording else "#ffffff"
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(translucent("#000000", 0.45), 4), QPen(translucent(colour, 0.85), 1.6)):
            pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
            painter.setPen(pen)
            painter.drawPolyline(line)
        painter.setBrush(QColor(colour))
        painter.drawEllipse(line.at(0), 3, 3)

    def _paint_lines(self, painter: QPainter) -> None:
        cursor = self._to_pixels(*self._cursor)
        for source in self._sources.values():
            weight = self._weights.get(source.source_id, 0.0)
            if weight >= 0.005:
                here = self._to_pixels(source.x, source.y)
                painter.setPen(QPen(translucent("#000000", 0.35), 3 + 5 * weight))
                painter.drawLine(cursor, here)
                painter.setPen(QPen(translucent(source.colour, 0.6 + 0.4 * weight), 1 + 5 * weight))
                painter.drawLine(cursor, here)

    def _paint_source(
        self, painter: QPainter, theme: Theme, source: PadSource, shows_weights: bool
    ) -> None:
        painter.save()
        if not source.is_audible:
            painter.setOpacity(0.5)
        centre = self._to_pixels(source.x, source.y)
        if source.source_id == self._selected:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(translucent("#000000", 0.5), 4))
            painter.drawEllipse(centre, _SOURCE_RADIUS + 4, _SOURCE_RADIUS + 4)
            painter.setPen(QPen(QColor("#ffffff"), 2))
            painter.drawEllipse(centre, _SOURCE_RADIUS + 4, _SOURCE_RADIUS + 4)
        painter.setPen(QPen(QColor("#101216"), 1.5))
        painter.setBrush(QColor(source.colour))
        painter.drawEllipse(centre, _SOURCE_RADIUS, _SOURCE_RADIUS)
        painter.setFont(scaled_font(self.font(), 0.9))
        text = self._label(source, shows_weights)
        rect = self._label_rect(source, text)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(translucent(theme.surface, 0.82))
        painter.drawRoundedRect(rect, 4, 4)
        painter.setPen(QColor(theme.text))
        metrics = QFontMetricsF(painter.font())
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width() - 8)
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, shown)
        painter.restore()

    def _paint_cursor(self, painter: QPainter, theme: Theme) -> None:
        centre = self._to_pixels(*self._cursor)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(translucent("#000000", 0.6), 5), QPen(QColor("#ffffff"), 2.5)):
            painter.setPen(pen)
            painter.drawEllipse(centre, _CURSOR_RADIUS, _CURSOR_RADIUS)
        painter.setPen(QPen(QColor("#101216"), 1))
        painter.setBrush(QColor(theme.accent))
        painter.drawEllipse(centre, 3.5, 3.5)

    def _paint_reason(self, painter: QPainter, theme: Theme) -> None:
        """On the upper edge, where no source lies."""
        painter.setFont(scaled_font(self.font(), 0.9))
        metrics = QFontMetricsF(painter.font())
        area = self._area()
        text = metrics.elidedText(self._frozen, Qt.TextElideMode.ElideRight, area.width() - 40)
        rect = QRectF(0, 0, metrics.horizontalAdvance(text) + 24, metrics.height() + 8)
        rect.moveCenter(QPointF(area.center().x(), area.top()))
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.setBrush(QColor(theme.raised))
        painter.drawRoundedRect(rect, rect.height() / 2, rect.height() / 2)
        painter.setPen(QColor(theme.text))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _distance(a: QPointF, b: QPointF) -> float:
    return float(np.hypot(a.x() - b.x(), a.y() - b.y()))
