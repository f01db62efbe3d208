"""A stereo peak meter with hold and clip lights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget
from typing_extensions import override

from app.theme import scaled_font, theme_of

FALL_DB_PER_S = 24.0
"""How fast the bar and, after its time, the held peak fall."""
HOLD_S = 1.5
"""How long the highest peak stays."""
LOWEST_DB = -60.0

_SCALE_DB = (-60.0, -40.0, -30.0, -20.0, -10.0, 0.0)
_SCALE_SHARE = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)
_TICKS_DB = (0, -6, -12, -20, -30, -40)
_WARNING_DB = -9.0
_DANGER_DB = -1.0
_LIGHT = 8.0  # height of the clip lights


def meter_share(level_db: float) -> float:
    """Height of a level on the meter, 0 to 1; the upper decibels get more room."""
    return float(np.interp(level_db, _SCALE_DB, _SCALE_SHARE))


@dataclass(slots=True)
class _Channel:
    level_db: float = LOWEST_DB
    held_db: float = LOWEST_DB
    held_at_s: float = -math.inf
    has_clipped: bool = False

    def take(self, peak: float, now_s: float, elapsed_s: float) -> None:
        peak_db = 20 * math.log10(peak) if peak > 1e-6 else LOWEST_DB
        fall_db = FALL_DB_PER_S * elapsed_s
        self.level_db = max(peak_db, self.level_db - fall_db, LOWEST_DB)
        if peak_db >= self.held_db:
            self.held_db, self.held_at_s = peak_db, now_s
        elif now_s - self.held_at_s > HOLD_S:
            self.held_db = max(self.held_db - fall_db, self.level_db)
        self.has_clipped = self.has_clipped or peak >= 1.0


class LevelMeter(QWidget):
    """Shows the peaks it is told; a click or Space puts out the clip lights.

    *Thread:* GUI.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(
        self, parent: QWidget | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._now_s = clock()
        self._channels = (_Channel(), _Channel())
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Output level")
        self.setToolTip("Peak level in dBFS; click (Space) to put out the clip lights")

    @property
    def levels_db(self) -> tuple[float, float]:
        """Left and right as shown, dBFS, at least -60."""
        return self._channels[0].level_db, self._channels[1].level_db

    @property
    def held_db(self) -> tuple[float, float]:
        """The highest peaks of late, dBFS."""
        return self._channels[0].held_db, self._channels[1].held_db

    @property
    def has_clipped(self) -> bool:
        """Whether a clip light is on."""
        return any(channel.has_clipped for channel in self._channels)

    def set_peaks(self, left: float, right: float) -> None:
        """Show the highest sample values since the last call, linear, 0 or more."""
        now_s = self._clock()
        elapsed_s, self._now_s = max(now_s - self._now_s, 0.0), now_s
        before = (self.levels_db, self.held_db, self.has_clipped)
        for channel, peak in zip(self._channels, (left, right), strict=True):
            channel.take(peak, now_s, elapsed_s)
        if (self.levels_db, self.held_db, self.has_clipped) != before:
            self.update()

    def reset(self) -> None:
        """Put out the clip lights and forget the held peaks."""
        for channel in self._channels:
            channel.has_clipped = False
            channel.held_db = channel.level_db
        self.update()

    @override
    def sizeHint(self) -> QSize:
        return QSize(round(28 + self._scale_width()), 160)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(round(28 + self._scale_width()), 72)

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.reset()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space:
            self.reset()
        else:
            super().keyPressEvent(event)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = theme_of(self.palette())
        painter.setFont(scaled_font(self.font(), 0.75))
        half_text = QFontMetricsF(painter.font()).height() / 2
        top, bottom = _LIGHT + max(6.0, half_text - 2), self.height() - 4.0
        painter.setPen(Qt.PenStyle.NoPen)
        for index, channel in enumerate(self._channels):
            left = 2.0 + 11.0 * index
            painter.setBrush(QColor(theme.danger if channel.has_clipped else theme.raised))
            painter.drawRoundedRect(QRectF(left, 2, 9, _LIGHT - 2), 2, 2)
            painter.setBrush(QColor(theme.raised))
            painter.drawRoundedRect(QRectF(left, top, 9, bottom - top), 2, 2)
            for low_db, high_db, colour in (
                (LOWEST_DB, _WARNING_DB, theme.good),
                (_WARNING_DB, _DANGER_DB, theme.warning),
                (_DANGER_DB, 0.0, theme.danger),
            ):
                reached_db = min(channel.level_db, high_db)
                if reached_db > low_db:
                    upper = bottom - meter_share(reached_db) * (bottom - top)
                    lower = bottom - meter_share(low_db) * (bottom - top)
                    painter.fillRect(QRectF(left, upper, 9, lower - upper), QColor(colour))
            if channel.held_db > LOWEST_DB:
                held = bottom - meter_share(channel.held_db) * (bottom - top)
                painter.fillRect(QRectF(left, held - 1, 9, 2), QColor(theme.text))
        self._paint_scale(painter, top, bottom, 2 * half_text)
        if self.hasFocus():
            painter.setPen(QColor(theme.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        painter.end()

    def _paint_scale(
        self, painter: QPainter, top: float, bottom: float, text_height: float
    ) -> None:
        painter.setPen(QColor(theme_of(self.palette()).dim_text))
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        last = -math.inf
        for tick_db in _TICKS_DB:
            y = bottom - meter_share(tick_db) * (bottom - top)
            if y - last >= text_height:
                last = y
                rect = QRectF(24, y - text_height / 2, self._scale_width(), text_height)
                painter.drawText(rect, flags, str(-tick_db))

    def _scale_width(self) -> float:
        return QFontMetricsF(scaled_font(self.font(), 0.75)).horizontalAdvance("60") + 2
