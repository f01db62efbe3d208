"""A slider with its name above it and its value beside."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QSlider, QWidget

from app.theme import scaled_font
from app.widgets.gestures import Settling


class ParameterSlider(QWidget):
    """A number that is dragged, or moved by arrows and the wheel.

    *Signals:*
        value_changed(int): while it moves.
        released(): the move is over.

    *Thread:* GUI.

    Args:
        name: What it is called, also for screen readers.
        ends: Words for the lowest and the highest value.
        low: Lowest value.
        high: Highest value.
        tip: What it does.
        label: Text of a value.
    """

    value_changed = Signal(int)
    released = Signal()

    def __init__(
        self,
        name: str,
        ends: tuple[str, str],
        low: int,
        high: int,
        tip: str,
        label: Callable[[int], str],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._label = label
        self._name = QLabel(name)
        self._value = QLabel()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(low, high)
        self.slider.setPageStep(max(1, (high - low) // 10))
        self.slider.setAccessibleName(name)
        self.slider.setToolTip(f"{tip}\nArrows and wheel move it finely")
        self._name.setToolTip(self.slider.toolTip())
        self._name.setBuddy(self.slider)
        self._settled = Settling(self)
        self._settled.timeout.connect(self.released)
        self.slider.valueChanged.connect(self._moved)
        self.slider.sliderReleased.connect(self._let_go)
        small = scaled_font(self.font(), 0.8)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout.addWidget(self._name, 0, 0)
        layout.addWidget(self._value, 0, 1, Qt.AlignmentFlag.AlignRight)
        layout.addWidget(self.slider, 1, 0, 1, 2)
        for column, (word, side) in enumerate(
            zip(ends, (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight), strict=True)
        ):
            end = QLabel(word)
            end.setFont(small)
            end.setForegroundRole(self.palette().ColorRole.PlaceholderText)
            layout.addWidget(end, 2, column, side)
        self._show(self.slider.value())

    @property
    def value(self) -> int:
        """What it stands at."""
        return self.slider.value()

    def set_value(self, value: int) -> None:
        """Move it; tells nobody."""
        with QSignalBlocker(self.slider):
            self.slider.setValue(value)
        self._show(self.slider.value())

    def _moved(self, value: int) -> None:
        self._show(value)
        self.value_changed.emit(value)
        if not self.slider.isSliderDown():
            self._settled.start()

    def _let_go(self) -> None:
        self._settled.stop()
        self.released.emit()

    def _show(self, value: int) -> None:
        self._value.setText(self._label(value))
        self.slider.setAccessibleDescription(self._label(value))


def percent(value: int) -> str:
    """A value as a share of hundred."""
    return f"{value} %"
