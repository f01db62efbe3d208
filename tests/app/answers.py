"""Answers to the program's real dialogs, given as a person gives them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from tests.app.program import WAIT_MS


def open_dialogs(window: QWidget, kind: type[QDialog] = QDialog) -> list[QDialog]:
    """What asks the person something now."""
    return [dialog for dialog in window.findChildren(kind) if dialog.isVisible()]


def press(qtbot: QtBot, window: QWidget, answer: QMessageBox.StandardButton) -> str:
    """Click a button of the message box that is open; returns what it asked."""
    qtbot.waitUntil(lambda: len(open_dialogs(window, QMessageBox)) == 1, timeout=WAIT_MS)
    (box,) = open_dialogs(window, QMessageBox)
    assert isinstance(box, QMessageBox)
    text = box.text()
    QTest.mouseClick(box.button(answer), Qt.MouseButton.LeftButton)
    return text


def type_file_name(qtbot: QtBot, window: QWidget, name: str | Path) -> None:
    """Type a name into the file dialog that is open and accept it."""
    qtbot.waitUntil(lambda: len(open_dialogs(window, QFileDialog)) == 1, timeout=WAIT_MS)
    (dialog,) = open_dialogs(window, QFileDialog)
    assert isinstance(dialog, QFileDialog)
    edit = dialog.findChild(QLineEdit, "fileNameEdit")
    assert edit is not None
    edit.setText(str(name))  # typing opens a list that takes the click below
    buttons = dialog.findChild(QDialogButtonBox)
    assert buttons is not None
    accept = next(
        button
        for button in buttons.buttons()
        if buttons.buttonRole(button) is QDialogButtonBox.ButtonRole.AcceptRole
    )
    assert isinstance(accept, QPushButton)
    QTest.mouseClick(accept, Qt.MouseButton.LeftButton)
