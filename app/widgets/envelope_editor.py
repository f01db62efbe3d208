"""ADSR as a curve to drag and as numbers to type."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.theme import GRID, scaled_font, theme_of, translucent
from app.widgets.gestures import Settling
from core.instrument import Envelope

LONGEST_S = 20.0
SHORTEST_RELEASE_S = 0.001

_TIME_SHARE = 0.28  # of the width, for the longest attack, decay or release each
_HOLD_SHARE = 1 - 3 * _TIME_SHARE
_MARGIN = 8.0
_HANDLE_RADIUS = 5.0
_GRAB_PIXELS = 14.0
_ATTACK, _DECAY, _RELEASE = range(3)


def time_share(time_s: float) -> float:
    """Length of a time in the drawing, 0–1 for 0–20 s; short times get more room."""
    return float((time_s / LONGEST_S) ** (1 / 3))


def share_time(share: float) -> float:
    """Inverse of :func:`time_share`, held within 0–20 s."""
    return float(LONGEST_S * min(max(share, 0.0), 1.0) ** 3)


class EnvelopeCurve(QWidget):
    """The drawn envelope with a handle for each corner.

    *Signals:*
        envelope_changed(Envelope): while a handle is dragged.
        envelope_released(): the drag is over.

    *Thread:* GUI.
    """

    envelope_changed = Signal(object)
    envelope_released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._envelope = Envelope()
        self._dragged: int | None = None
        self._grip = QPointF()
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Envelope curve")
        self.setToolTip("Drag the corners: attack, decay with sustain, release")

    def set_envelope(self, envelope: Envelope) -> None:
        """Draw this envelope."""
        self._envelope = envelope
        self.update()

    @override
    def sizeHint(self) -> QSize:
        return QSize(280, 88)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(160, 56)

    def handles(self) -> tuple[QPointF, QPointF, QPointF]:
        """Where the corners lie: end of attack, of decay and of release."""
        area, envelope = self._area(), self._envelope
        unit = _TIME_SHARE * area.width()
        attack = area.left() + unit * time_share(envelope.attack_s)
        decay = attack + unit * time_share(envelope.decay_s)
        let_go = decay + _HOLD_SHARE * area.width()
        level = area.bottom() - envelope.sustain * area.height()
        return (
            QPointF(attack, area.top()),
            QPointF(decay, level),
            QPointF(let_go + unit * time_share(envelope.release_s), area.bottom()),
        )

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
            return
        self._dragged = self._handle_at(event.position())
        if self._dragged is not None:
            self._grip = self.handles()[self._dragged] - event.position()

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged is not None:
            self._drag(self._dragged, event.position() + self._grip)
        else:
            is_over = self._handle_at(event.position()) is not None
            self.setCursor(Qt.CursorShape.OpenHandCursor if is_over else Qt.CursorShape.ArrowCursor)

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._dragged is not None:
            self._dragged = None
            self.envelope_released.emit()
        else:
            super().mouseReleaseEvent(event)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = theme_of(self.palette())
        ground = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.setBrush(QColor(theme.surface))
        painter.drawRoundedRect(ground, 4, 4)
        area = self._area()
        attack, decay, release = self.handles()
        let_go = QPointF(decay.x() + _HOLD_SHARE * area.width(), decay.y())
        curve = QPainterPath(area.bottomLeft())
        curve.lineTo(attack)
        curve.quadTo(QPointF(attack.x() + 0.25 * (decay.x() - attack.x()), decay.y()), decay)
        curve.lineTo(let_go)
        falling = QPointF(let_go.x() + 0.25 * (release.x() - let_go.x()), area.bottom())
        curve.quadTo(falling, release)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(translucent(theme.accent, 0.18))
        painter.drawPath(curve)
        painter.setPen(QPen(translucent(theme.dim_text, 0.5), 1, Qt.PenStyle.DotLine))
        painter.drawLine(let_go, QPointF(let_go.x(), area.bottom()))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.drawPath(curve)
        painter.setPen(QPen(QColor(theme.surface), 1.5))
        for index, handle in enumerate((attack, decay, release)):
            radius = _HANDLE_RADIUS + (1.5 if index == self._dragged else 0)
            painter.setBrush(QColor(theme.text))
            painter.drawEllipse(handle, radius, radius)
        painter.end()

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)

    def _handle_at(self, point: QPointF) -> int | None:
        """The nearest corner; of equally near ones the later, which can be drawn away."""
        offsets = [handle - point for handle in self.handles()]
        distances = [offset.manhattanLength() for offset in offsets]
        nearest = min(reversed(range(3)), key=lambda index: distances[index])
        return nearest if distances[nearest] <= _GRAB_PIXELS else None

    def _drag(self, handle: int, point: QPointF) -> None:
        area, envelope = self._area(), self._envelope
        unit = _TIME_SHARE * area.width()
        attack, decay, _ = self.handles()
        if handle == _ATTACK:
            changed = replace(envelope, attack_s=share_time((point.x() - area.left()) / unit))
        elif handle == _DECAY:
            level = (area.bottom() - point.y()) / area.height()
            changed = replace(
                envelope,
                decay_s=share_time((point.x() - attack.x()) / unit),
                sustain=min(max(level, 0.0), 1.0),
            )
        else:
            let_go = decay.x() + _HOLD_SHARE * area.width()
            release_s = share_time((point.x() - let_go) / unit)
            changed = replace(envelope, release_s=max(release_s, SHORTEST_RELEASE_S))
        if changed != envelope:
            self.set_envelope(changed)
            self.envelope_changed.emit(changed)


class EnvelopeEditor(QWidget):
    """A curve above four numbers; both show the same envelope.

    *Signals:*
        envelope_changed(Envelope): while it is dragged or typed.
        envelope_released(): the drag is over, or nothing was typed for a while.

    *Thread:* GUI.
    """

    envelope_changed = Signal(object)
    envelope_released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._envelope = Envelope()
        self.setAccessibleName("Envelope")
        self.curve = EnvelopeCurve()
        self.attack = _time_box("Attack", 0.0)
        self.decay = _time_box("Decay", 0.0)
        self.sustain = _box("Sustain", " %", 100.0, 0)
        self.release = _time_box("Release", SHORTEST_RELEASE_S)
        self._settled = Settling(self)
        self._settled.timeout.connect(self.envelope_released)
        self.curve.envelope_changed.connect(self._take)
        self.attack.valueChanged.connect(lambda s: self._type(replace(self._envelope, attack_s=s)))
        self.decay.valueChanged.connect(lambda s: self._type(replace(self._envelope, decay_s=s)))
        self.sustain.valueChanged.connect(
            lambda percent: self._type(replace(self._envelope, sustain=percent / 100))
        )
        self.release.valueChanged.connect(
            lambda s: self._type(replace(self._envelope, release_s=s))
        )
        self.curve.envelope_released.connect(self.envelope_released)
        numbers = QGridLayout()
        numbers.setHorizontalSpacing(GRID // 2)
        numbers.setVerticalSpacing(2)
        for column, box in enumerate(self._boxes()):
            label = QLabel(box.accessibleName())
            label.setFont(scaled_font(label.font(), 0.85))
            label.setBuddy(box)
            numbers.addWidget(label, 0, column)
            numbers.addWidget(box, 1, column)
            numbers.setColumnStretch(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID)
        layout.addWidget(self.curve, 1)
        layout.addLayout(numbers)
        self.set_envelope(self._envelope)

    @property
    def envelope(self) -> Envelope:
        """What is shown."""
        return self._envelope

    def set_envelope(self, envelope: Envelope) -> None:
        """Show an envelope; tells nobody."""
        self._envelope = envelope
        self.curve.set_envelope(envelope)
        values = (
            envelope.attack_s,
            envelope.decay_s,
            100 * envelope.sustain,
            envelope.release_s,
        )
        for box, value in zip(self._boxes(), values, strict=True):
            with QSignalBlocker(box):
                if abs(box.value() - value) > 0.6 * 10.0 ** -box.decimals():
                    box.setValue(value)

    def _boxes(self) -> tuple[QDoubleSpinBox, ...]:
        return (self.attack, self.decay, self.sustain, self.release)

    def _take(self, envelope: Envelope) -> None:
        self.set_envelope(envelope)
        self.envelope_changed.emit(envelope)

    def _type(self, envelope: Envelope) -> None:
        self._take(envelope)
        self._settled.start()


def _time_box(name: str, least_s: float) -> QDoubleSpinBox:
    box = _box(name, " s", LONGEST_S, 3)
    box.setMinimum(least_s)
    box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    return box


def _box(name: str, suffix: str, most: float, decimals: int) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setAccessibleName(name)
    box.setToolTip(f"{name}: type, or use the arrow keys and the wheel")
    box.setSuffix(suffix)
    box.setDecimals(decimals)
    box.setMaximum(most)
    box.setMinimumWidth(0)
    return box
