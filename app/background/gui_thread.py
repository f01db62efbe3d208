"""The way back to the window from any thread."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal


class GuiThread(QObject):
    """Runs functions on the thread it was made on, in the order in which they were handed over.

    *Thread:* made on the GUI's; ``call`` may be used from any.
    """

    _called = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._called.connect(_run, Qt.ConnectionType.QueuedConnection)

    def call(self, function: Callable[[], object]) -> None:
        """Run a function soon on the GUI's thread; what it returns is dropped."""
        self._called.emit(function)


def _run(function: Callable[[], object]) -> None:
    function()
