"""Recording a movement of the cursor and playing it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import get_args

from PySide6.QtCore import QSignalBlocker, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QToolButton, QWidget

from app.models.pad_path import MAX_SPEED, MIN_SPEED, PadPath, PathMode, PathRecorder
from app.theme import GRID

FRAME_MS = 16
"""Between two places of a path that is played."""


class PathBar(QWidget):
    """Record, play, how it goes on at its end, how fast, away with it.

    *Signals:*
        path_changed(object, str): a ``PadPath`` or None, and what was done.
        place_changed(float, float): where the path that plays has the cursor.
        stopped(): playing is over; the cursor is the document's again.
        recording_changed(bool)

    *Thread:* GUI.
    """

    path_changed = Signal(object, str)
    place_changed = Signal(float, float)
    stopped = Signal()
    recording_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._path: PadPath | None = None
        self._recorder: PathRecorder | None = None
        self._places: list[tuple[float, float]] = []
        self._started_s = 0.0
        self._frozen = ""  # why the cursor cannot move
        self._timer = QTimer(self, interval=FRAME_MS)
        self._timer.timeout.connect(self._step)
        self.record = _button("● Record")
        self.record.setCheckable(True)
        self.play = _button("▶ Play")
        self.play.setCheckable(True)
        self.mode = QComboBox()
        self.mode.addItems(list(get_args(PathMode)))
        self.mode.setAccessibleName("What follows the end of the path")
        self.speed = QDoubleSpinBox()
        self.speed.setRange(MIN_SPEED, MAX_SPEED)
        self.speed.setDecimals(2)
        self.speed.setSingleStep(0.1)
        self.speed.setPrefix("× ")
        self.speed.setAccessibleName("Speed of the path")
        self.clear = _button("×")
        self.clear.setAccessibleName("Forget the path")
        self._tips: dict[QWidget, str] = {
            self.record: "Record the cursor's way over the pad (Ctrl+Shift+R)",
            self.play: "Let the cursor go the recorded way (Ctrl+Space)",
            self.mode: "What follows the end of the path",
            self.speed: "Speed of the path: 1 plays it as recorded",
            self.clear: "Forget the path",
        }
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID // 2)
        for widget in self._tips:
            layout.addWidget(widget)
        self.record.toggled.connect(self._toggle_record)
        self.play.toggled.connect(self._toggle_play)
        self.mode.currentTextChanged.connect(self._take_mode)
        self.speed.valueChanged.connect(self._take_speed)
        self.clear.clicked.connect(lambda: self.path_changed.emit(None, "Forget the path"))
        self.setAccessibleName("Path of the cursor")
        self.set_path(None)

    @property
    def is_recording(self) -> bool:
        """Whether the cursor's way is being recorded."""
        return self._recorder is not None

    @property
    def shown_places(self) -> list[tuple[float, float]]:
        """The path as points of the pad: the one being recorded, else the recorded one."""
        if self._recorder is not None:
            return self._places
        return [] if self._path is None else [(point.x, point.y) for point in self._path.points]

    def set_path(self, path: PadPath | None) -> None:
        """Show a path; tells nobody."""
        self._path = path
        self._enable()
        if path is None:
            self.play.setChecked(False)
            with QSignalBlocker(self.mode), QSignalBlocker(self.speed):
                self.mode.setCurrentIndex(0)
                self.speed.setValue(1.0)
            return
        with QSignalBlocker(self.mode), QSignalBlocker(self.speed):
            self.mode.setCurrentText(path.mode)
            self.speed.setValue(path.speed)

    def set_frozen(self, reason: str) -> None:
        """Neither record nor play while the cursor cannot move.

        Args:
            reason: Why; empty lets it move again.
        """
        self._frozen = reason
        if reason:
            self.stop()
        self._enable()

    def follow(self, x: float, y: float) -> None:
        """The cursor was moved: a recording takes it down."""
        if self._recorder is not None:
            self._recorder.add(time.monotonic(), x, y)
            self._places.append((x, y))

    def stop(self) -> None:
        """End playing and recording."""
        self.play.setChecked(False)
        self.record.setChecked(False)

    def _enable(self) -> None:
        for widget, tip in self._tips.items():
            can_be_used = widget is self.record or self._path is not None
            widget.setEnabled(can_be_used and not self._frozen)
            widget.setToolTip(self._frozen or tip)

    def _toggle_record(self, is_on: bool) -> None:
        if is_on:
            self.play.setChecked(False)
            self._recorder, self._places = PathRecorder(), []
        else:
            recorder, self._recorder = self._recorder, None
            if recorder is not None and self._places:
                path = recorder.finish(mode=self._mode(), speed=self.speed.value())
                self.path_changed.emit(path, "Record a path")
        self.recording_changed.emit(is_on)

    def _toggle_play(self, is_on: bool) -> None:
        self.play.setText("■ Stop" if is_on else "▶ Play")
        if is_on:
            self.record.setChecked(False)
            self._started_s = time.monotonic()
            self._timer.start()
        elif self._timer.isActive():
            self._timer.stop()
            self.stopped.emit()

    def _step(self) -> None:
        if self._path is None:
            self.play.setChecked(False)
            return
        elapsed_s = time.monotonic() - self._started_s
        self.place_changed.emit(*self._path.position(elapsed_s))
        if self._path.is_over(elapsed_s):
            self._timer.stop()  # the cursor stays at the end until Stop

    def _mode(self) -> PathMode:
        return next(mode for mode in get_args(PathMode) if mode == self.mode.currentText())

    def _take_mode(self) -> None:
        if self._path is not None:
            self.path_changed.emit(replace(self._path, mode=self._mode()), "Change the path")

    def _take_speed(self, speed: float) -> None:
        if self._path is not None:
            self.path_changed.emit(replace(self._path, speed=speed), "Change the path's speed")


def _button(text: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    return button
