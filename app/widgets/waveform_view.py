"""A recording as a waveform: its part in use, onset, loop and playhead.

Shape legend: C channels, T samples, N columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget
from typing_extensions import override

from app.theme import Theme, scaled_font, theme_of, translucent

SHORTEST_RANGE_S = 0.02
"""Start and end stay this far apart."""
SETTLE_MS = 400
"""After the last key the gesture is over."""

_GRAB_PIXELS = 8.0
_START, _END = 0, 1


def waveform_envelope(samples: NDArray[np.float32], n_columns: int) -> NDArray[np.float32]:
    """Lowest and highest sample of each column of a drawing.

    Args:
        samples: [T] or [C, T]; channels are drawn over each other.
        n_columns: N; fewer are returned where there are fewer samples.

    Returns:
        [N, 2].
    """
    channels = np.atleast_2d(samples)
    n_columns = min(n_columns, channels.shape[1])
    if n_columns == 0:
        return np.zeros((0, 2), np.float32)
    starts = np.arange(n_columns) * channels.shape[1] // n_columns
    low = np.minimum.reduceat(channels.min(axis=0), starts)
    high = np.maximum.reduceat(channels.max(axis=0), starts)
    return np.stack([low, high], axis=1)


def waveform_polygon(envelope: NDArray[np.float32], area: QRectF) -> QPolygonF:
    """The outline of an envelope [N, 2] of samples in [-1, 1], at least a line thick."""
    x = area.left() + np.linspace(0.0, area.width(), len(envelope))
    middle, half = area.center().y(), area.height() / 2
    upper = middle - np.clip(envelope[:, 1], -1, 1) * half
    lower = np.maximum(middle - np.clip(envelope[:, 0], -1, 1) * half, upper + 1.0)
    points = [QPointF(px, py) for px, py in zip(x, upper, strict=True)]
    points += [QPointF(px, py) for px, py in zip(x[::-1], lower[::-1], strict=True)]
    return QPolygonF(points)


class WaveformView(QWidget):
    """Draws samples and lets start and end be dragged.

    The wheel zooms where it points, a double click shows all. With the focus on it, arrows move
    the start by 10 ms and with Shift the end; with Ctrl by 1 ms.

    *Signals:*
        range_changed(float, float): start and end in seconds, while they are moved.
        range_released(): the move is over.

    *Thread:* GUI.
    """

    range_changed = Signal(float, float)
    range_released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._samples: NDArray[np.float32] = np.zeros((1, 0), np.float32)
        self._sample_rate = 44100
        self._range = (0.0, 0.0)
        self._onset_s: float | None = None
        self._loop_s: tuple[float, float] | None = None
        self._playhead_s: float | None = None
        self._colour: str | None = None
        self._hint = "No sample chosen"
        self._visible = (0.0, 0.0)
        self._dragged: int | None = None
        self._envelope: NDArray[np.float32] | None = None
        self._settled = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settled.timeout.connect(self.range_released)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("Waveform")
        self.setToolTip(
            "Drag the ends to trim (arrows, with Shift the end); wheel zooms, double click shows all"
        )

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return int(self._samples.shape[1]) / self._sample_rate

    @property
    def visible_range(self) -> tuple[float, float]:
        """Seconds at the left and right edges."""
        return self._visible

    def set_samples(self, samples: NDArray[np.float32] | None, sample_rate: int) -> None:
        """Show a recording, [T] or [C, T], all of it; None shows nothing."""
        self._samples = np.zeros((1, 0), np.float32) if samples is None else np.atleast_2d(samples)
        self._sample_rate = sample_rate
        self._range = (0.0, self.duration_s)
        self._onset_s = self._loop_s = self._playhead_s = None
        self._show(0.0, self.duration_s)

    def set_range(self, start_s: float, end_s: float | None) -> None:
        """Show which part is in use; ``None`` means to the end."""
        end_s = self.duration_s if end_s is None else min(end_s, self.duration_s)
        self._range = (min(max(start_s, 0.0), end_s), end_s)
        self._describe()
        self.update()

    def set_onset(self, onset_s: float | None) -> None:
        """Mark where the note begins."""
        self._onset_s = onset_s
        self.update()

    def set_loop(self, loop_s: tuple[float, float] | None) -> None:
        """Mark the loop: start and end in seconds."""
        self._loop_s = loop_s
        self.update()

    def set_playhead(self, time_s: float | None) -> None:
        """Show what is heard now."""
        if time_s != self._playhead_s:
            for at_s in (self._playhead_s, time_s):
                if at_s is not None:
                    self.update(round(self._x_of(at_s)) - 3, 0, 6, self.height())
            self._playhead_s = time_s

    def set_colour(self, colour: str) -> None:
        """Draw the waveform in this colour (``#rrggbb``) in place of the accent."""
        self._colour = colour
        self.update()

    def set_hint(self, text: str) -> None:
        """Say this while there is nothing to show."""
        self._hint = text
        self.update()

    @override
    def sizeHint(self) -> QSize:
        return QSize(480, 96)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(120, 48)

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self.duration_s:
            super().mousePressEvent(event)
            return
        self._finish_keys()
        self._dragged = self._end_at(event.position())

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged is not None:
            self._move(self._dragged, self._time_at(event.position().x()))
        else:
            is_over_end = self._end_at(event.position()) is not None
            self.setCursor(
                Qt.CursorShape.SizeHorCursor if is_over_end else Qt.CursorShape.ArrowCursor
            )

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._dragged is not None:
            self._dragged = None
            self.range_released.emit()
        else:
            super().mouseReleaseEvent(event)

    @override
    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._show(0.0, self.duration_s)

    @override
    def wheelEvent(self, event: QWheelEvent) -> None:
        if not self.duration_s:
            return
        start, end = self._visible
        delta = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier or not delta.y():
            shift = -(delta.y() or delta.x()) / 120 * 0.1 * (end - start)
            shift = min(max(shift, -start), self.duration_s - end)
            self._show(start + shift, end + shift)
        else:
            at = min(max(self._time_at(event.position().x()), start), end)
            factor = 0.8 ** (delta.y() / 120)
            shortest = min(64 / self._sample_rate, self.duration_s)
            factor = max(factor, shortest / (end - start))
            left = max(at - (at - start) * factor, 0.0)
            self._show(left, min(left + (end - start) * factor, self.duration_s))
        event.accept()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        directions: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        direction = directions.get(event.key())
        if direction is None or not self.duration_s:
            super().keyPressEvent(event)
            return
        is_fine = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        is_end = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        which = _END if is_end else _START
        self._move(which, self._range[which] + direction * (0.001 if is_fine else 0.01))
        self._settled.start()

    @override
    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    @override
    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._finish_keys()
        super().focusOutEvent(event)
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = theme_of(self.palette())
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(QColor(theme.accent if self.hasFocus() else theme.line), 1))
        painter.setBrush(QColor(theme.surface))
        painter.drawRoundedRect(area, 4, 4)
        if self.duration_s:
            self._paint_wave(painter, theme)
            self._paint_loop(painter, theme)
            self._paint_marks(painter, theme)
        else:
            painter.setPen(QColor(theme.dim_text))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, self._hint)
        painter.end()

    def _show(self, start_s: float, end_s: float) -> None:
        self._visible = (start_s, end_s)
        self._envelope = None
        self._describe()
        self.update()

    def _describe(self) -> None:
        self.setAccessibleDescription(
            f"{self.duration_s:.2f} s long, used from {self._range[0]:.3f} s "
            f"to {self._range[1]:.3f} s."
        )

    def _x_of(self, time_s: float) -> float:
        start, end = self._visible
        return (time_s - start) / max(end - start, 1e-9) * self.width()

    def _time_at(self, x: float) -> float:
        start, end = self._visible
        return start + x / max(self.width(), 1) * (end - start)

    def _end_at(self, point: QPointF) -> int | None:
        """The end of the range under a point; at equal distance the one that can move there."""
        distances = [abs(self._x_of(time_s) - point.x()) for time_s in self._range]
        nearest = _START if distances[_START] < distances[_END] else _END
        return nearest if distances[nearest] <= _GRAB_PIXELS else None

    def _move(self, which: int, time_s: float) -> None:
        start, end = self._range
        shortest = min(SHORTEST_RANGE_S, self.duration_s)
        if which == _START:
            moved = (min(max(time_s, 0.0), max(end - shortest, 0.0)), end)
        else:
            moved = (start, min(max(time_s, start + shortest), self.duration_s))
        if moved != self._range:
            self._range = moved
            self._describe()
            self.update()
            self.range_changed.emit(*moved)

    def _finish_keys(self) -> None:
        if self._settled.isActive():
            self._settled.stop()
            self.range_released.emit()

    def _visible_envelope(self) -> NDArray[np.float32]:
        n_columns = round(self.width() * self.devicePixelRatioF())
        if self._envelope is None or len(self._envelope) != n_columns:
            first, last = (round(time_s * self._sample_rate) for time_s in self._visible)
            self._envelope = waveform_envelope(self._samples[:, first : last + 1], n_columns)
        return self._envelope

    def _paint_wave(self, painter: QPainter, theme: Theme) -> None:
        area = QRectF(self.rect()).adjusted(0, 6, 0, -6)
        shape = waveform_polygon(self._visible_envelope(), area)
        painter.setPen(QPen(translucent(theme.line, 0.8), 1))
        painter.drawLine(QPointF(0, area.center().y()), QPointF(self.width(), area.center().y()))
        painter.setPen(Qt.PenStyle.NoPen)
        left, right = (self._x_of(time_s) for time_s in self._range)
        painter.setBrush(translucent(theme.dim_text, 0.45))
        painter.drawPolygon(shape)
        painter.save()
        used = QRectF(left, 0, right - left, self.height())
        painter.setClipRect(used, Qt.ClipOperation.IntersectClip)
        painter.fillRect(used, QColor(theme.surface))
        painter.fillRect(used, translucent(theme.text, 0.05))
        painter.setBrush(QColor(self._colour or theme.accent))
        painter.drawPolygon(shape)
        painter.restore()

    def _paint_loop(self, painter: QPainter, theme: Theme) -> None:
        if self._loop_s is None:
            return
        left, right = (self._x_of(time_s) for time_s in self._loop_s)
        colour = QColor(theme.good)
        painter.fillRect(
            QRectF(left, 0, right - left, self.height()), translucent(theme.good, 0.15)
        )
        painter.setPen(QPen(colour, 1.5))
        for x in (left, right):
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        self._paint_flag(painter, theme, left, "loop", theme.good, at_top=False)

    def _paint_marks(self, painter: QPainter, theme: Theme) -> None:
        if self._onset_s is not None:
            x = self._x_of(self._onset_s)
            painter.setPen(QPen(QColor(theme.warning), 1.5, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
            self._paint_flag(painter, theme, x, "onset", theme.warning, at_top=True)
        for which, time_s in enumerate(self._range):
            x = min(max(self._x_of(time_s), 1.0), self.width() - 1.0)
            if not -1 <= self._x_of(time_s) <= self.width() + 1:
                continue
            inwards = 6.0 if which == _START else -6.0
            painter.setPen(QPen(QColor(theme.text), 2))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.text))
            tip = self.height() / 2
            triangle = [QPointF(x, tip - 6), QPointF(x + inwards, tip), QPointF(x, tip + 6)]
            painter.drawPolygon(QPolygonF(triangle))
        if self._playhead_s is not None:
            x = self._x_of(self._playhead_s)
            painter.setPen(QPen(QColor(theme.text), 1))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))

    def _paint_flag(
        self, painter: QPainter, theme: Theme, x: float, text: str, colour: str, *, at_top: bool
    ) -> None:
        painter.setFont(scaled_font(self.font(), 0.75))
        metrics = QFontMetricsF(painter.font())
        width, height = metrics.horizontalAdvance(text) + 8, metrics.height()
        left = min(x, self.width() - width - 1)
        rect = QRectF(left, 1 if at_top else self.height() - height - 1, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        painter.drawRoundedRect(rect, 2, 2)
        painter.setPen(QColor(theme.window if theme.is_dark else "#ffffff"))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
