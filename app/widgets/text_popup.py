"""A line of text asked for on the spot, over the widget that it belongs to."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QLineEdit, QVBoxLayout, QWidget

from app.theme import GRID, theme_of
from core.errors import CoreError, ParameterError


class TextPopup(QFrame):
    """Return takes the text, Escape or a click elsewhere leaves it.

    *Signals:*
        entered(str): a text that passed the check.

    *Thread:* GUI.

    Args:
        anchor: Widget to lie over; also the parent.
        text: What stands there first.
        name: What is asked for, also for screen readers.
        check: Raises a ``CoreError``, whose sentence is shown, for a text that cannot be used.
    """

    entered = Signal(str)

    def __init__(
        self, anchor: QWidget, text: str, name: str, check: Callable[[str], object]
    ) -> None:
        super().__init__(anchor, Qt.WindowType.Popup)
        self._check = check
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.line = QLineEdit(text)
        self.line.setAccessibleName(name)
        self.line.setPlaceholderText(name)
        self.line.selectAll()
        self.line.returnPressed.connect(self._enter)
        self._complaint = QLabel()
        self._complaint.setWordWrap(True)
        self._complaint.setStyleSheet(f"color: {theme_of(anchor.palette()).danger};")
        self._complaint.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GRID // 2, GRID // 2, GRID // 2, GRID // 2)
        layout.setSpacing(GRID // 2)
        layout.addWidget(self.line)
        layout.addWidget(self._complaint)
        self.setFixedWidth(max(anchor.width(), 20 * GRID))
        self.adjustSize()
        self.move(anchor.mapToGlobal(QPoint(0, 0)))
        self.show()
        self.line.setFocus()

    def _enter(self) -> None:
        text = self.line.text().strip()
        try:
            self._check(text)
        except CoreError as error:
            self._complaint.setText(str(error))
            self._complaint.show()
            self.adjustSize()
        else:
            self.close()
            self.entered.emit(text)


def check_name(text: str) -> None:
    """Refuse empty names.

    Raises:
        ParameterError: Nothing but space.
    """
    if not text.strip():
        raise ParameterError("The name is empty; type at least one letter.")
