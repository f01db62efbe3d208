"""A recording as a waveform: its part in use, onset, loop and playhead.

Shape legend: C channels, T samples, N columns.
"""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import (
    QGraphicsSceneWheelEvent,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.theme import Theme, scaled_font, theme_of, translucent
from app.widgets.gestures import Settling

SHORTEST_RANGE_S = 0.032
"""Start and end stay this far apart: a session refuses sources shorter than 0.03 s."""

_FRAME_PIXELS = 2
_HANDLE_PIXELS = 14.0
_TALLEST = 1.1  # full scale leaves a little room above and below
_SHORTEST_VIEW = 64  # samples that fill the picture at most
_START, _END = 0, 1
_PEAKS_PER_PIXEL = 2.0
_MOST_CURVES = 2  # of more channels the outline is drawn


class _TimeAxis(pg.ViewBox):  # type: ignore[misc]
    """Seconds across: the wheel zooms where it points and scrolls with Shift; a drag scrolls."""

    def __init__(self) -> None:
        super().__init__(enableMenu=False, defaultPadding=0.0)
        self.setMouseEnabled(x=True, y=False)
        self.setRange(yRange=(-_TALLEST, _TALLEST))

    @override
    def wheelEvent(self, event: QGraphicsSceneWheelEvent, axis: int | None = None) -> None:
        is_across = event.orientation() == Qt.Orientation.Horizontal
        if is_across or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            left, right = self.viewRange()[0]
            self.translateBy(x=-event.delta() / 120 * 0.1 * (right - left))
            event.accept()
        else:
            super().wheelEvent(event, axis)


class _Trim(pg.LinearRegionItem):  # type: ignore[misc]
    """The part in use, between two ends that can be dragged and never meet."""

    def __init__(self) -> None:
        super().__init__(swapMode="block")
        self._duration_s = 0.0
        self.movable = False  # its ends are: a drag between them scrolls
        self.veils = (_span(), _span())
        for line, marker in zip(self.lines, ("|>", "<|"), strict=True):
            line.addMarker(marker, size=_HANDLE_PIXELS)
            line.setCursor(Qt.CursorShape.SizeHorCursor)
        self.sigRegionChanged.connect(self._follow)

    def place(self, start_s: float, end_s: float, duration_s: float) -> None:
        """Put the ends somewhere in a recording of this length."""
        self._duration_s = duration_s
        for line in self.lines:
            line.setBounds((None, None))
        self.setRegion((start_s, end_s))
        self._follow()

    def move(self, which: int, time_s: float) -> None:
        """Put one end somewhere, or as near to there as it may come."""
        self.lines[which].setValue(time_s)

    def restyle(self, theme: Theme) -> None:
        self.setBrush(translucent(theme.text, 0.05))
        for line in self.lines:
            line.setPen(theme.text, width=2)
            line.setHoverPen(theme.accent, width=2)
        for veil in self.veils:
            veil.setBrush(translucent(theme.surface, 0.7))

    def _follow(self) -> None:
        start, end = self.getRegion()
        shortest = min(SHORTEST_RANGE_S, self._duration_s)
        self.lines[_START].setBounds((0.0, end - shortest))
        self.lines[_END].setBounds((start + shortest, self._duration_s))
        self.veils[_START].setRegion((0.0, start))
        self.veils[_END].setRegion((end, self._duration_s))


class WaveformView(QWidget):
    """Draws samples and lets start and end be dragged.

    The wheel zooms where it points and scrolls with Shift, a drag scrolls, a double click shows
    all. With the focus on it, arrows move the start by 10 ms and with Shift the end; with Ctrl by
    1 ms.

    Args:
        can_trim: Whether there are a start and an end to drag.
        parent: Qt's parent.

    *Signals:*
        range_changed(float, float): start and end in seconds, while they are moved.
        range_released(): the move is over.

    *Thread:* GUI.
    """

    range_changed = Signal(float, float)
    range_released = Signal()

    def __init__(self, *, can_trim: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._can_trim = can_trim
        self._duration_s = 0.0
        self._range = (0.0, 0.0)
        self._colour: str | None = None
        self._axis = _TimeAxis()
        self._middle = pg.InfiniteLine(0.0, angle=0)
        self._waves: list[pg.PlotDataItem] = []
        self._trim = _Trim()
        self._loop = _span()
        self._loop_label = _flag(self._loop.lines[_START], "loop", at_top=False)
        self._onset = pg.InfiniteLine()
        self._onset_label = _flag(self._onset, "onset", at_top=True)
        self._playhead = pg.InfiniteLine()
        trim = (*self._trim.veils, self._trim) if can_trim else ()
        marks = (*trim, self._loop, self._onset, self._playhead)
        for depth, item in ((-1, self._middle), *enumerate(marks, start=1)):
            item.setZValue(depth)
            self._axis.addItem(item, ignoreBounds=True)
        self._graphics = pg.GraphicsView()
        self._graphics.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._graphics.setCentralItem(self._axis)
        self._hint = QLabel("No sample chosen")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[_FRAME_PIXELS] * 4)
        layout.addWidget(self._hint)
        layout.addWidget(self._graphics)
        self._settled = Settling(self)
        self._settled.timeout.connect(self.range_released)
        for line in self._trim.lines:
            line.sigDragged.connect(self._dragged)
            line.sigPositionChangeFinished.connect(self.range_released)
        self._graphics.scene().setMoveDistance(1)
        self._graphics.scene().sigMouseClicked.connect(self._clicked)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("Waveform")
        self.setToolTip(
            "Drag the ends to trim (arrows, with Shift the end); wheel zooms, double click shows all"
        )
        self._restyle()
        self.set_samples(None, 44100)

    def set_samples(self, samples: NDArray[np.float32] | None, sample_rate: int) -> None:
        """Show a recording, [T] or [C, T], all of it; None shows nothing."""
        channels = np.zeros((1, 0), np.float32) if samples is None else np.atleast_2d(samples)
        if len(channels) > _MOST_CURVES:
            channels = np.stack([channels.max(axis=0), channels.min(axis=0)])
        self._duration_s = channels.shape[1] / sample_rate
        self.set_range(0.0, None)
        for mark in (self._loop, self._onset, self._playhead):
            mark.setVisible(False)
        self._hint.setVisible(not self._duration_s)
        self._graphics.setVisible(bool(self._duration_s))
        for wave in self._waves:
            wave.clear()  # or it would be drawn once more, for another view
            self._axis.removeItem(wave)
        self._waves = []
        if self._duration_s:
            self._axis.setLimits(
                xMin=0.0,
                xMax=self._duration_s,
                minXRange=min(_SHORTEST_VIEW / sample_rate, self._duration_s),
            )
            self._show_all()
            times = np.arange(channels.shape[1]) / sample_rate
            for channel in channels:
                wave = pg.PlotDataItem(
                    autoDownsample=True,
                    autoDownsampleFactor=_PEAKS_PER_PIXEL,
                    downsampleMethod="peak",
                    clipToView=True,
                    antialias=True,
                )
                self._axis.addItem(wave, ignoreBounds=True)
                wave.setData(times, channel, pen=self._wave_colour())
                self._waves.append(wave)

    def set_range(self, start_s: float, end_s: float | None) -> None:
        """Show which part is in use; ``None`` means to the end."""
        end_s = self._duration_s if end_s is None else min(end_s, self._duration_s)
        self._range = (min(max(start_s, 0.0), end_s), end_s)
        self._trim.place(*self._range, self._duration_s)
        self._describe()

    def set_onset(self, onset_s: float | None) -> None:
        """Mark where the note begins."""
        self._onset.setVisible(onset_s is not None)
        if onset_s is not None:
            self._onset.setValue(onset_s)

    def set_loop(self, loop_s: tuple[float, float] | None) -> None:
        """Mark the loop: start and end in seconds."""
        self._loop.setVisible(loop_s is not None)
        if loop_s is not None:
            self._loop.setRegion(loop_s)

    def set_playhead(self, time_s: float | None) -> None:
        """Show what is heard now."""
        self._playhead.setVisible(time_s is not None)
        if time_s is not None:
            self._playhead.setValue(time_s)

    def set_colour(self, colour: str) -> None:
        """Draw the waveform in this colour (``#rrggbb``) in place of the accent."""
        if colour != self._colour:
            self._colour = colour
            self._restyle()

    def set_hint(self, text: str) -> None:
        """Say this while there is nothing to show."""
        self._hint.setText(text)

    @override
    def sizeHint(self) -> QSize:
        return QSize(480, 96)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(120, 48)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        directions: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        direction = directions.get(event.key())
        if direction is None or not self._duration_s or not self._can_trim:
            super().keyPressEvent(event)
            return
        is_fine = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        is_end = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        which = _END if is_end else _START
        self._trim.move(which, self._range[which] + direction * (0.001 if is_fine else 0.01))
        self._tell()
        self._settled.start()

    @override
    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._finish_keys()
        super().focusOutEvent(event)

    @override
    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._restyle()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = theme_of(self.palette())
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(QColor(theme.accent if self.hasFocus() else theme.line), 1))
        painter.setBrush(QColor(theme.surface))
        painter.drawRoundedRect(area, 4, 4)
        painter.end()

    def _restyle(self) -> None:
        theme = theme_of(self.palette())
        font = scaled_font(self.font(), 0.75)
        self._graphics.setBackground(theme.surface)
        self._middle.setPen(translucent(theme.line, 0.8))
        for wave in self._waves:
            wave.setPen(self._wave_colour())
        self._trim.restyle(theme)
        self._loop.setBrush(translucent(theme.good, 0.15))
        for line in self._loop.lines:
            line.setPen(theme.good, width=1.5)
        self._onset.setPen(theme.warning, width=1.5, style=Qt.PenStyle.DashLine)
        self._playhead.setPen(theme.text)
        for label, colour in ((self._loop_label, theme.good), (self._onset_label, theme.warning)):
            label.setFont(font)
            label.setColor(theme.window if theme.is_dark else "#ffffff")
            label.fill = pg.mkBrush(colour)

    def _wave_colour(self) -> str:
        return self._colour or theme_of(self.palette()).accent

    def _show_all(self) -> None:
        self._axis.setXRange(0.0, self._duration_s)

    def _describe(self) -> None:
        used = f", used from {self._range[0]:.3f} s to {self._range[1]:.3f} s"
        self.setAccessibleDescription(
            f"{self._duration_s:.2f} s long{used if self._can_trim else ''}."
        )

    def _dragged(self) -> None:
        self._finish_keys()
        self._tell()

    def _tell(self) -> None:
        moved = self._trim.getRegion()
        if moved != self._range:
            self._range = moved
            self._describe()
            self.range_changed.emit(*moved)

    def _finish_keys(self) -> None:
        if self._settled.finish():
            self.range_released.emit()

    def _clicked(self, event: MouseClickEvent) -> None:
        if event.double():
            self._show_all()


def _span() -> pg.LinearRegionItem:
    return pg.LinearRegionItem(pen=pg.mkPen(None), movable=False)


def _flag(line: pg.InfiniteLine, text: str, *, at_top: bool) -> pg.InfLineLabel:
    """A label beside a line, on the side where there is more room."""
    y = 0 if at_top else 1
    label = pg.InfLineLabel(line, text, position=1.0 - y, anchors=[(0, y), (1, y)])
    label.textItem.document().setDocumentMargin(1)
    return label
