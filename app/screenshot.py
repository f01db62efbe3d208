"""A picture of the window once everything that it shows is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QElapsedTimer, QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from app.cli.console import say

LOOK_MS = 100
QUIET_LOOKS = 4
"""So many looks in a row all must be done: the last pictures are painted meanwhile."""
LONGEST_S = 300.0
"""After this the program gives up, with exit code 1."""


class Screenshot(QObject):
    """Waits until all is rendered, writes the picture and ends the program.

    *Thread:* GUI.

    Args:
        window: What is pictured.
        is_done: Whether the window shows all that there is to show.
        path: Where the picture goes; its ending names the format.
        size: Size of the window, device-independent pixels.
    """

    def __init__(
        self,
        window: QWidget,
        is_done: Callable[[], bool],
        path: Path,
        size: tuple[int, int],
    ) -> None:
        super().__init__(window)
        self._window = window
        self._is_done = is_done
        self._path = path
        self._size = size
        self._quiet = 0
        self._clock = QElapsedTimer()
        self._timer = QTimer(self, interval=LOOK_MS)
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        """Begin to wait."""
        self._window.resize(*self._size)
        self._clock.start()
        self._timer.start()

    def _look(self) -> None:
        if self._clock.elapsed() > 1000 * LONGEST_S:
            say("The window was not ready for its picture in time; nothing was written.")
            self._end(1)
            return
        self._quiet = self._quiet + 1 if self._is_done() else 0
        if self._quiet >= QUIET_LOOKS:
            self._take()

    def _take(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._window.grab().save(str(self._path)):
            self._end(0)
        else:
            say(f"'{self._path}' could not be written; give a name that ends in .png.")
            self._end(1)

    def _end(self, exit_code: int) -> None:
        self._timer.stop()
        QApplication.exit(exit_code)
