"""Menus, buttons and the page of keys: all made of one table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QMenu, QToolButton
from pytestqt.qtbot import QtBot

from app.actions import Action, Line, Submenu, keys_page
from app.dialogs.about import KeysDialog
from tests.app.program import WAIT_MS, Program, write_tone


@pytest.fixture
def program(qtbot: QtBot, tmp_path: Path) -> Iterator[Program]:
    program = Program(qtbot, tmp_path)
    program.start()
    yield program
    program.close()


def menu(program: Program, text: str) -> QMenu:
    """A menu, opened as the person opens it."""
    (found,) = (m for m in program.window.findChildren(QMenu) if m.title() == text)
    found.aboutToShow.emit()
    return found


def entries(menu: QMenu) -> list[str]:
    return [action.text() for action in menu.actions() if not action.isSeparator()]


def test_the_menus_hold_what_they_held(program: Program) -> None:
    tops = [action.text() for action in program.window.menuBar().actions()]
    assert tops == ["&File", "&Edit", "&Sound", "&View", "&Help"]
    assert entries(menu(program, "&File")) == [
        "&New session",
        "&Open…",
        "Open &recent",
        "&Save",
        "Save &as…",
        "&Export…",
        "&Quit",
    ]
    assert entries(menu(program, "&Edit")) == [
        "&Undo",
        "&Redo",
        "&History",
        "&Paste files",
        "Se&ttings…",
    ]
    assert entries(menu(program, "S&napshots"))[::8] == ["Recall 1", "Store in 1"]
    assert entries(menu(program, "&View"))[-1] == "Note 60 is C&5"
    assert entries(menu(program, "&Help")) == ["&Keys", "&About"]


def test_no_two_actions_share_their_keys(program: Program) -> None:
    keys = Counter(
        action.shortcut().toString()
        for action in program.window.findChildren(QAction)
        if not action.shortcut().isEmpty()
    )
    keys += Counter(
        button.shortcut().toString()
        for button in program.window.findChildren(QAbstractButton)
        if not button.shortcut().isEmpty()
    )
    assert {key for key, count in keys.items() if count > 1} == set()


def test_every_shortcut_stands_on_the_page_of_keys(program: Program) -> None:
    program.actions["Keys"].trigger()
    dialog = program.window.findChild(KeysDialog)
    assert dialog is not None
    page = " ".join(label.text() for label in dialog.findChildren(QLabel))
    for action in program.window.findChildren(QAction):
        key = action.shortcut().toString()
        if key and not re.search(r"Ctrl\+(Alt\+)?[2-7]", key):
            assert key in page, key
    assert "Ctrl+1 … Ctrl+8" in page
    dialog.close()


def test_tips_name_only_keys_that_do_it(program: Program) -> None:
    shortcuts = {action.shortcut().toString() for action in program.window.findChildren(QAction)}
    named = [
        key
        for button in program.window.findChildren(QToolButton)
        for key in re.findall(r"\((Ctrl\+[^)]+)\)", button.toolTip())
    ]
    assert len(named) >= 8  # five beside the menus, the dice, the path's two
    assert set(named) <= shortcuts


def test_keys_of_panels_do_what_their_buttons_do(program: Program, qtbot: QtBot) -> None:
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    qtbot.waitActive(program.window)
    before = program.document.session.settings
    QTest.keyClick(program.window, Qt.Key.Key_R, control)
    assert program.document.session.settings.seed != before.seed
    for is_on in (True, False):
        QTest.keyClick(program.window, Qt.Key.Key_R, control | shift)
        assert program.paths.is_recording is is_on


def test_undo_names_the_step_and_the_history_goes_anywhere(
    program: Program, tmp_path: Path
) -> None:
    undo, redo = program.actions["Undo"], program.actions["Redo"]
    assert not undo.isEnabled()
    program.drop(write_tone(tmp_path / "a.wav"))
    program.sound_panel.roll()
    assert (undo.text(), undo.iconText()) == ("&Undo: Roll the dice", "Undo")
    history = menu(program, "&History")
    menu(program, "&Edit")
    assert [action.isChecked() for action in history.actions()] == [True, False, False]
    history.actions()[-1].trigger()
    assert program.names == []
    assert redo.text() == "&Redo: Add a"


def test_recent_files_are_opened(program: Program, qtbot: QtBot, tmp_path: Path) -> None:
    menu(program, "&File")
    recent = menu(program, "Open &recent")
    assert not recent.isEnabled()
    program.drop(write_tone(tmp_path / "a.wav"))
    program.files.save_as(tmp_path / "a & b.hgs")
    qtbot.waitUntil(lambda: not program.document.is_dirty, timeout=WAIT_MS)
    program.files.new()
    menu(program, "&File")
    (action,) = recent.actions()
    assert (action.text(), action.toolTip()) == ("a && b.hgs", str(tmp_path / "a & b.hgs"))
    action.trigger()
    qtbot.waitUntil(lambda: program.names == ["a"], timeout=WAIT_MS)


@pytest.mark.parametrize(("words", "theme"), [("Light theme", "light"), ("Dark theme", "dark")])
def test_marks_follow_the_settings(program: Program, words: str, theme: str) -> None:
    program.actions[words].trigger()
    assert program.application.settings.value.theme == theme
    assert program.actions[words].isChecked()
    program.actions["Note 60 is C3"].trigger()
    assert program.application.settings.value.middle_c == 3
    assert not program.actions["Note 60 is C4"].isChecked()


def test_the_page_of_keys_is_made_of_the_table() -> None:
    rows = (
        Action(menu="&File", text="&Open…", shortcut="Ctrl+O", act=lambda: None),
        Line(menu="&File"),
        Submenu(menu="&Sound", text="S&napshots"),
        Action(menu="&Help", text="&About", act=lambda: None),
        *(
            Action(menu="S&napshots", text=f"Recall {n}", shortcut=f"Ctrl+{n}", act=lambda: None)
            for n in (1, 2)
        ),
    )
    assert list(keys_page(rows)) == [
        ("Ctrl+O", "Open"),
        ("Ctrl+1 … Ctrl+8", "Snapshots: recall 1 … 8"),
    ]
