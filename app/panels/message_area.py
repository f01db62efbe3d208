"""Where the program says what it has to say: a strip in the window instead of dialogs."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget
from typing_extensions import override

from app.live.messages import Kind, Message, Messages
from app.theme import GRID, theme_of, translucent

MOST_SHOWN = 4
"""Older messages make room."""
INFO_MS = 6000
"""How long a message stays that asks for nothing."""


class MessageRow(QWidget):
    """One message, with its answers and a button that closes it.

    *Signals:*
        closed(MessageRow): it is done with.

    *Thread:* GUI.
    """

    closed = Signal(object)

    def __init__(self, message: Message, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = message
        label = QLabel(message.text)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2 * GRID, GRID // 2, GRID, GRID // 2)
        layout.addWidget(label, 1)
        for answer in message.answers:
            button = QPushButton(answer.text)
            button.clicked.connect(lambda _checked=False, act=answer.act: self._answer(act))
            layout.addWidget(button)
        close = QPushButton("×")
        close.setProperty("flat", "true")
        close.setFixedWidth(3 * GRID)
        close.setAccessibleName("Close this message")
        close.setToolTip("Close this message")
        close.clicked.connect(lambda: self.closed.emit(self))
        layout.addWidget(close)
        self.setAccessibleName(message.text)
        if message.kind is Kind.INFO and not message.answers:
            QTimer.singleShot(INFO_MS, self, lambda: self.closed.emit(self))

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self.palette())
        colour = {
            Kind.INFO: theme.accent,
            Kind.WARNING: theme.warning,
            Kind.ERROR: theme.danger,
        }[self.message.kind]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.surface))
        painter.drawRoundedRect(self.rect(), 4, 4)
        painter.setBrush(translucent(colour, 0.16))
        painter.drawRoundedRect(self.rect(), 4, 4)
        painter.setBrush(QColor(colour))
        painter.drawRoundedRect(4, 6, 4, self.height() - 12, 2, 2)
        painter.end()

    def _answer(self, act: Callable[[], object]) -> None:
        self.closed.emit(self)
        act()


class MessageArea(QWidget):
    """The newest messages, one below the other; nothing while there is nothing to say.

    *Thread:* GUI.
    """

    def __init__(self, messages: Messages, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        messages.told.connect(self.show_message)
        self._rows: list[MessageRow] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(GRID // 2)
        self.setAccessibleName("Messages")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.hide()

    def show_message(self, message: Message) -> None:
        """Show a message; one that stands there already is not repeated."""
        for row in self._rows:
            if (row.message.text, row.message.kind) == (message.text, message.kind):
                return
        row = MessageRow(message)
        row.closed.connect(self._close)
        self._rows.append(row)
        self._column.addWidget(row)
        while len(self._rows) > MOST_SHOWN:
            asked = [row for row in self._rows if not row.message.answers]
            self._close((asked or self._rows)[0])
        self.show()

    def _close(self, row: MessageRow) -> None:
        if row in self._rows:
            self._rows.remove(row)
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.setVisible(bool(self._rows))
