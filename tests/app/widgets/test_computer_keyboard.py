from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDoubleSpinBox, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app.widgets.computer_keyboard import ComputerKeyboard

_NONE = Qt.KeyboardModifier.NoModifier


class _Listener:
    def __init__(self, keyboard: ComputerKeyboard) -> None:
        self.events: list[tuple[str, int]] = []
        keyboard.note_on.connect(lambda note, velocity: self.events.append(("on", note)))
        keyboard.note_off.connect(lambda note: self.events.append(("off", note)))


@pytest.fixture
def keyboard(qapp: QApplication) -> Iterator[ComputerKeyboard]:
    keyboard = ComputerKeyboard()
    qapp.installEventFilter(keyboard)
    yield keyboard
    qapp.removeEventFilter(keyboard)


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    window.setFocus()
    return window


def test_the_letter_rows_are_a_piano(keyboard: ComputerKeyboard, window: QWidget) -> None:
    listener = _Listener(keyboard)
    for letter in "AWSEDFTGYHUJKOLP":
        QTest.keyClick(window, letter.lower())
    assert [note for kind, note in listener.events if kind == "on"] == list(range(60, 76))


def test_a_held_key_ends_the_note_it_began(keyboard: ComputerKeyboard, window: QWidget) -> None:
    listener = _Listener(keyboard)
    QTest.keyPress(window, Qt.Key.Key_A)
    QTest.keyClick(window, Qt.Key.Key_X)
    QTest.keyRelease(window, Qt.Key.Key_A)
    assert listener.events == [("on", 60), ("off", 60)]
    assert keyboard.octave == 6


def test_velocity_keys_stay_in_range(keyboard: ComputerKeyboard, window: QWidget) -> None:
    for key, last in ((Qt.Key.Key_V, 127), (Qt.Key.Key_C, 1)):
        for _ in range(12):
            QTest.keyClick(window, key)
        assert keyboard.velocity == last


def test_auto_repeat_is_one_note(keyboard: ComputerKeyboard, window: QWidget) -> None:
    listener = _Listener(keyboard)
    QTest.keyPress(window, Qt.Key.Key_A)
    for kind in (QEvent.Type.KeyRelease, QEvent.Type.KeyPress) * 3:
        event = QKeyEvent(kind, Qt.Key.Key_A, _NONE, "a", True)
        QApplication.sendEvent(window, event)
    QTest.keyRelease(window, Qt.Key.Key_A)
    assert listener.events == [("on", 60), ("off", 60)]


@pytest.mark.parametrize("field", [QLineEdit, QDoubleSpinBox])
def test_fields_keep_their_letters(
    keyboard: ComputerKeyboard, window: QWidget, qtbot: QtBot, field: type[QWidget]
) -> None:
    listener = _Listener(keyboard)
    typed = field(window)
    typed.show()
    typed.setFocus()
    qtbot.waitUntil(typed.hasFocus)
    QTest.keyClicks(typed, "adz")
    assert listener.events == []
    assert keyboard.octave == 5
    if isinstance(typed, QLineEdit):
        assert typed.text() == "adz"


@pytest.mark.parametrize(
    "modifier",
    [
        Qt.KeyboardModifier.ControlModifier,
        Qt.KeyboardModifier.AltModifier,
        Qt.KeyboardModifier.ShiftModifier,
        Qt.KeyboardModifier.MetaModifier,
    ],
)
def test_shortcuts_are_left_alone(
    keyboard: ComputerKeyboard, window: QWidget, modifier: Qt.KeyboardModifier
) -> None:
    listener = _Listener(keyboard)
    QTest.keyClick(window, Qt.Key.Key_S, modifier)
    assert listener.events == []


def test_losing_the_window_lets_go(keyboard: ComputerKeyboard, window: QWidget) -> None:
    listener = _Listener(keyboard)
    QTest.keyPress(window, Qt.Key.Key_A)
    QTest.keyPress(window, Qt.Key.Key_D)
    QApplication.sendEvent(window, QEvent(QEvent.Type.WindowDeactivate))
    assert sorted(listener.events) == [("off", 60), ("off", 64), ("on", 60), ("on", 64)]
    QTest.keyRelease(window, Qt.Key.Key_A)
    assert len(listener.events) == 4


@pytest.mark.parametrize(("platform", "code"), [("xcb", 38), ("wayland", 38), ("windows", 30)])
def test_the_place_of_a_key_counts_not_its_letter(
    qapp: QApplication, window: QWidget, monkeypatch: pytest.MonkeyPatch, platform: str, code: int
) -> None:
    """On a French keyboard the key right of Caps Lock types Q."""
    monkeypatch.setattr(QGuiApplication, "platformName", lambda: platform)
    keyboard = ComputerKeyboard()
    listener = _Listener(keyboard)
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        event = QKeyEvent(kind, Qt.Key.Key_Q, _NONE, code, 0, 0, "q")
        assert keyboard.eventFilter(window, event)
    assert listener.events == [("on", 60), ("off", 60)]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_notes_are_balanced_whatever_is_typed(seed: int) -> None:
    keyboard = ComputerKeyboard()
    listener = _Listener(keyboard)
    target = QWidget()
    chance = random.Random(seed)
    keys = [Qt.Key.Key_A, Qt.Key.Key_K, Qt.Key.Key_W, Qt.Key.Key_O, Qt.Key.Key_Z, Qt.Key.Key_X]
    for _ in range(60):
        kind = chance.choice([QEvent.Type.KeyPress, QEvent.Type.KeyRelease])
        keyboard.eventFilter(target, QKeyEvent(kind, chance.choice(keys), _NONE))
    keyboard.release_all()
    for note in {note for _, note in listener.events}:
        kinds = [kind for kind, other in listener.events if other == note]
        assert kinds == ["on", "off"] * (len(kinds) // 2)
