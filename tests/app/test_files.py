"""New, Open, Save and Close with the real dialogs, message boxes and files: no work is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

from app.models.session_file import load_session
from tests.app.answers import open_dialogs, press, type_file_name
from tests.app.program import WAIT_MS, Program, write_tone

BUTTONS = QMessageBox.StandardButton


class Desk(Program):
    """A program with something unsaved in it."""

    def work(self, folder: Path, name: str = "mine") -> None:
        self.drop(write_tone(folder / f"{name}.wav", length_s=0.2))

    def save_as(self, path: Path) -> None:
        self.files.save_as(path)
        self.qtbot.waitUntil(lambda: not self.document.is_dirty, timeout=WAIT_MS)

    def press(self, answer: QMessageBox.StandardButton) -> str:
        return press(self.qtbot, self.window, answer)

    def type_name(self, name: str | Path) -> None:
        type_file_name(self.qtbot, self.window, name)

    def wait_closed(self) -> None:
        self.qtbot.waitUntil(lambda: not self.window.isVisible(), timeout=WAIT_MS)

    @property
    def said(self) -> list[str]:
        return [message.text for message in self.shown]


@pytest.fixture
def program(qtbot: QtBot, tmp_path: Path) -> Iterator[Desk]:
    program = Desk(qtbot, tmp_path)
    program.start()
    program.work(tmp_path)
    yield program
    program.close()


def names_in(path: Path) -> list[str]:
    return [source.name for source in load_session(path).session.sources]


def test_closing_with_nothing_to_lose_asks_nothing(program: Desk, tmp_path: Path) -> None:
    program.save_as(tmp_path / "work.hgs")
    assert program.window.close()
    assert open_dialogs(program.window) == []


def test_cancel_keeps_the_window_and_the_work(program: Desk) -> None:
    assert not program.window.close()
    assert program.press(BUTTONS.Cancel) == "'Untitled' was changed. Save it first?"
    assert program.window.isVisible()
    assert program.names == ["mine"]
    assert program.document.is_dirty
    assert not program.window.close()  # and asks again
    program.press(BUTTONS.Cancel)


def test_discard_closes_the_window(program: Desk, tmp_path: Path) -> None:
    with program.qtbot.waitSignal(program.window.closed, timeout=WAIT_MS):
        assert not program.window.close()
        program.press(BUTTONS.Discard)
    program.wait_closed()
    assert not list(tmp_path.glob("*.hgs"))


def test_save_writes_a_session_that_has_a_name_and_closes(program: Desk, tmp_path: Path) -> None:
    program.save_as(tmp_path / "work.hgs")
    program.work(tmp_path, "other")
    assert not program.window.close()
    assert program.press(BUTTONS.Save) == "'work' was changed. Save it first?"
    program.wait_closed()
    assert names_in(tmp_path / "work.hgs") == ["mine", "other"]


def test_save_asks_for_a_name_and_closes(program: Desk, tmp_path: Path) -> None:
    assert not program.window.close()
    program.press(BUTTONS.Save)
    program.type_name(tmp_path / "first")
    program.wait_closed()
    assert names_in(tmp_path / "first.hgs") == ["mine"]


def test_no_name_keeps_the_window_and_the_work(program: Desk) -> None:
    program.window.close()
    program.press(BUTTONS.Save)
    program.qtbot.waitUntil(lambda: bool(open_dialogs(program.window, QFileDialog)))
    open_dialogs(program.window, QFileDialog)[0].reject()
    program.qtbot.wait(50)
    assert program.window.isVisible()
    assert program.names == ["mine"]


def test_a_failed_save_keeps_the_window_and_the_work(program: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "unplugged"
    folder.mkdir()
    program.save_as(folder / "work.hgs")
    program.work(tmp_path, "other")
    (folder / "work.hgs").unlink()
    folder.rmdir()
    program.window.close()
    program.press(BUTTONS.Save)
    program.qtbot.waitUntil(
        lambda: any("could not be written" in text for text in program.said), timeout=WAIT_MS
    )
    assert program.window.isVisible()
    assert program.names == ["mine", "other"]
    assert program.document.is_dirty


def test_what_changes_while_it_is_saved_is_asked_about_again(program: Desk, tmp_path: Path) -> None:
    program.save_as(tmp_path / "work.hgs")
    program.work(tmp_path, "other")
    program.window.close()
    program.press(BUTTONS.Save)
    program.pad_panel.move_by_controller(0.9, 0.1)  # before it is written
    assert program.press(BUTTONS.Cancel) == "'work' was changed. Save it first?"
    assert names_in(tmp_path / "work.hgs") == ["mine", "other"]
    assert program.window.isVisible()


def test_new_goes_on_after_save_and_after_discard(program: Desk, tmp_path: Path) -> None:
    document = program.document
    program.files.new()
    program.press(BUTTONS.Cancel)
    assert program.names == ["mine"]
    program.files.new()
    program.press(BUTTONS.Save)
    program.type_name(tmp_path / "kept")
    program.qtbot.waitUntil(lambda: program.names == [], timeout=WAIT_MS)
    assert (document.path, document.is_dirty) == (None, False)
    assert names_in(tmp_path / "kept.hgs") == ["mine"]
    program.work(tmp_path, "other")
    program.files.new()
    program.press(BUTTONS.Discard)
    assert program.names == []


def test_open_goes_on_after_save_and_after_discard(program: Desk, tmp_path: Path) -> None:
    program.save_as(tmp_path / "first.hgs")
    program.work(tmp_path, "other")
    program.files.open_session(tmp_path / "first.hgs")
    program.press(BUTTONS.Discard)
    program.qtbot.waitUntil(lambda: program.names == ["mine"], timeout=WAIT_MS)
    program.files.new()
    program.work(tmp_path, "third")
    program.files.open_session(tmp_path / "first.hgs")
    program.press(BUTTONS.Save)
    program.type_name(tmp_path / "third.hgs")
    program.qtbot.waitUntil(lambda: program.names == ["mine"], timeout=WAIT_MS)
    assert names_in(tmp_path / "third.hgs") == ["third"]


def test_two_wishes_ask_once(program: Desk, tmp_path: Path) -> None:
    program.window.close()
    program.files.new()
    assert len(open_dialogs(program.window)) == 1
    program.press(BUTTONS.Cancel)
    assert program.names == ["mine"]


@pytest.mark.parametrize("typed", ["taken", "taken.hgs", "taken.wav"])
def test_another_session_is_replaced_only_if_the_person_says_so(
    program: Desk, tmp_path: Path, typed: str
) -> None:
    taken = tmp_path / f"{typed.removesuffix('.hgs')}.hgs"
    program.save_as(taken)
    program.files.new()
    program.work(tmp_path, "other")
    before = taken.read_bytes()
    program.files.ask_save()
    program.type_name(tmp_path / typed)
    assert program.press(BUTTONS.Cancel).startswith(f"'{taken.name}' exists already")
    assert taken.read_bytes() == before
    program.type_name(tmp_path / typed)  # it asks for another name, or this one again
    program.press(BUTTONS.Yes)
    program.qtbot.waitUntil(lambda: program.document.path == taken, timeout=WAIT_MS)
    assert names_in(taken) == ["other"]


def test_the_menu_saves(program: Desk, tmp_path: Path) -> None:
    program.actions["Save"].trigger()
    program.type_name(tmp_path / "named")
    program.qtbot.waitUntil(lambda: not program.document.is_dirty, timeout=WAIT_MS)
    assert program.document.path == tmp_path / "named.hgs"
