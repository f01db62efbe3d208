"""How loud the output is, looked at some 30 times a second."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from app.audio.player import Player

METER_MS = 33
"""Between two looks."""


class OutputMeters(QObject):
    """Looks at the player's meters, which also frees recordings that are no longer played.

    *Signals:*
        peaks_changed(float, float): linear peaks of left and right since the last look.
        underruns_changed(int): how often the device got no sound in time; only while there is one.

    *Thread:* GUI.
    """

    peaks_changed = Signal(float, float)
    underruns_changed = Signal(int)

    def __init__(self, player: Player, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self._timer = QTimer(self, interval=METER_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()

    def _look(self) -> None:
        meters = self._player.poll()
        if meters is None:
            self.peaks_changed.emit(0.0, 0.0)
        else:
            self.peaks_changed.emit(meters.peak_left, meters.peak_right)
            self.underruns_changed.emit(meters.underruns)
