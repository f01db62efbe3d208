"""After New, Open, Undo and Redo the screen shows the document, and nothing of what was before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.live.keys import KeyOrigin
from app.live.messages import Kind
from app.models.session import ExportSettings, Session
from app.models.session_file import save_session
from core.audio.pitch import midi_to_hz
from core.plan import InstrumentOptions, NoteSpan
from tests.app.program import WAIT_MS, Program, pitch_hz, write_tone

REGIONS = (
    "shelf",
    "pad",
    "paths",
    "pictures",
    "sound_panel",
    "envelope",
    "output",
    "snapshot_bar",
    "piano",
    "one_instrument",
)
"""Parts of the window that show the document."""


class Screen(Program):
    """A program whose window is looked at."""

    def fill(self, folder: Path, **notes: float) -> None:
        self.drop(*(write_tone(folder / f"{name}.wav", note) for name, note in notes.items()))
        self.settle()

    def open(self, path: Path) -> None:
        document = self.document
        document.mark_saved(Path("anywhere.hgs"), document.session)
        self.files.open_session(path)
        self.qtbot.waitUntil(lambda: document.path == path, timeout=WAIT_MS)
        self.settle()

    def settle(self) -> None:
        """Wait until nothing on the screen is still to change."""
        if self.names:
            self.wait_rendered()
        self.qtbot.waitUntil(lambda: self.application.is_settled, timeout=WAIT_MS)
        self.qtbot.wait(200)  # the last pictures are painted

    def look(self) -> dict[str, QImage]:
        self.close_messages()
        focused = QApplication.focusWidget()
        if focused is not None:
            focused.clearFocus()
        self.qtbot.wait(100)
        return {region: getattr(self, region).grab().toImage() for region in REGIONS}

    def change_everything(self) -> None:
        """Use all that has a state, in the document or only on the screen."""
        document = self.document
        self.preview.choose("s2")
        self.snapshots.store(3)
        self.paths.record.click()
        for place in ((0.1, 0.1), (0.5, 0.9), (0.9, 0.1)):
            self.pad.cursor_moved.emit(*place)
            self.qtbot.wait(20)
        self.paths.record.click()
        self.paths.mode.setCurrentIndex(2)
        self.paths.speed.setValue(3.0)
        for slider in (
            self.sound_panel.sliders["refinement"],
            self.sound_panel.sliders["original_range"],
            self.sound_panel.sliders["carry_over"],
            self.sound_panel.sliders["velocity"],
            self.sound_panel.sliders["variation"],
        ):
            slider.slider.setValue(7)
        self.envelope.attack.setValue(0.5)
        self.output.gain.slider.setValue(-12)
        self.piano_panel.set_range(50, 60)
        self.pictures.source_wave.range_changed.emit(0.1, 0.6)
        self.one_instrument.click()
        document.end_gesture()
        self.keys.press(KeyOrigin.MOUSE, 70, 100)
        self.keys.release(KeyOrigin.MOUSE, 70)
        self.settle()
        self.output.original.click()
        self.shelf.root_learn_requested.emit("s2")


def differing(before: dict[str, QImage], after: dict[str, QImage]) -> list[str]:
    return [region for region in REGIONS if before[region] != after[region]]


@pytest.fixture
def used(qtbot: QtBot, tmp_path: Path) -> Iterator[Screen]:
    """A program in which much was done."""
    yield from _screen(qtbot, tmp_path / "used")


@pytest.fixture
def fresh(qtbot: QtBot, tmp_path: Path) -> Iterator[Screen]:
    """A program that was just started."""
    yield from _screen(qtbot, tmp_path / "fresh")


def _screen(qtbot: QtBot, folder: Path) -> Iterator[Screen]:
    folder.mkdir()
    screen = Screen(qtbot, folder)
    screen.start()
    screen.window.resize(1300, 820)
    yield screen
    screen.close()


@pytest.fixture
def other_file(fresh: Screen, tmp_path: Path) -> Path:
    """A session of other sounds, whose sources have the ids of the used program's."""
    fresh.fill(tmp_path, x=55, y=67)
    path = tmp_path / "other.hgs"
    fresh.files.save_as(path)
    fresh.qtbot.waitUntil(lambda: not fresh.document.is_dirty, timeout=WAIT_MS)
    fresh.files.new()
    fresh.settle()
    return path


def test_a_new_session_looks_like_a_new_window(used: Screen, fresh: Screen, tmp_path: Path) -> None:
    wanted = fresh.look()
    used.fill(tmp_path, low=48, mid=60, high=72)
    used.change_everything()
    used.document.mark_saved(Path("anywhere.hgs"), used.document.session)
    used.files.new()
    used.settle()
    assert differing(wanted, used.look()) == []


def test_an_opened_session_looks_as_in_a_new_window(
    used: Screen, fresh: Screen, other_file: Path, tmp_path: Path
) -> None:
    fresh.open(other_file)
    used.fill(tmp_path, low=48, mid=60, high=72)
    used.change_everything()
    used.open(other_file)
    assert differing(fresh.look(), used.look()) == []
    assert used.window.windowTitle() == fresh.window.windowTitle()
    used.keys.press(KeyOrigin.MOUSE, 50, 100)  # no source waits for its root
    assert not used.document.is_dirty
    kinds = {message.kind for message in used.shown}
    assert kinds <= {Kind.INFO}


def test_undoing_everything_brings_the_screen_back(used: Screen, tmp_path: Path) -> None:
    used.fill(tmp_path, low=48, mid=60, high=72)
    used.preview.choose("s2")
    used.keys.press(KeyOrigin.MOUSE, 70, 100)
    used.keys.release(KeyOrigin.MOUSE, 70)
    used.settle()
    document = used.document
    position, before = document.history.position, used.look()
    used.change_everything()
    changed = used.look()
    document.go_to(position)
    used.output.result.click()
    used.settle()
    assert differing(before, used.look()) == []
    document.go_to(len(document.history.labels))
    used.output.original.click()
    used.settle()
    assert differing(changed, used.look()) == []


def test_a_source_that_undo_takes_away_is_looked_at_and_heard_no_more(
    used: Screen, tmp_path: Path
) -> None:
    document = used.document
    used.fill(tmp_path, low=48)
    used.fill(tmp_path, mid=60)
    used.preview.choose("s2")
    used.output.original.click()
    document.undo()
    assert used.preview.chosen is None
    used.settle()
    assert used.pictures._source_title.text() == "Source   low"
    document.redo()
    used.settle()
    assert used.preview.chosen is None  # as the shelf shows
    document.go_to(0)
    assert used.output.result.isChecked()
    used.keys.press(KeyOrigin.MOUSE, 60, 100)
    assert np.abs(used.listen()).max() < 1e-3


def test_a_source_that_is_gone_waits_for_no_root(used: Screen, tmp_path: Path) -> None:
    used.fill(tmp_path, low=48)
    used.shelf.root_learn_requested.emit("s1")
    used.document.undo()
    used.close_messages()
    used.keys.press(KeyOrigin.MOUSE, 50, 100)
    assert used.shown == []
    used.document.redo()
    used.keys.press(KeyOrigin.MOUSE, 52, 100)
    assert used.document.session.source("s1").root is None


def test_no_picture_of_the_session_before_stays_while_the_next_is_rendered(
    used: Screen, tmp_path: Path
) -> None:
    used.fill(tmp_path, low=48, mid=60)
    document, path = used.document, tmp_path / "moved.hgs"
    moved = replace(document.session, x=0.123)  # its sources are known, none of its notes is
    save_session(path, moved, document.clips)
    go_on = threading.Event()
    used.engine.before_note = lambda _note: go_on.wait(WAIT_MS / 1000) and None
    document.mark_saved(Path("anywhere.hgs"), document.session)
    used.files.open_session(path)
    used.qtbot.waitUntil(lambda: document.path == path, timeout=WAIT_MS)
    used.qtbot.wait(200)
    assert used.pictures._result_title.text() == "Result"
    go_on.set()
    used.settle()


def test_what_is_compared_follows_the_document(used: Screen, tmp_path: Path) -> None:
    used.fill(tmp_path, low=48, mid=60)
    document = used.document
    document.edit("Below the limiter", replace(document.session, gain_db=-24.0))
    used.preview.choose("s1")
    used.output.original.click()
    used.shelf.root_changed.emit("s1", 60.0)  # an octave above its note
    used.settle()
    used.keys.press(KeyOrigin.MOUSE, 60, 100)
    assert pitch_hz(used.listen(), 48_000) == pytest.approx(midi_to_hz(48), rel=2e-3)
    document.undo()
    used.settle()
    used.keys.press(KeyOrigin.MOUSE, 60, 100)
    used.listen(0.2)
    assert pitch_hz(used.listen(), 48_000) == pytest.approx(midi_to_hz(60), rel=2e-3)


def test_a_source_of_another_session_is_unknown_until_it_was_listened_to(
    used: Screen, other_file: Path, tmp_path: Path
) -> None:
    used.fill(tmp_path, low=48, mid=60)
    document, book = used.document, used.library
    known: list[bool] = []

    def look(_before: Session, after: Session) -> None:
        if after.sources[0].name == "x":
            known.append(book.first_listen(after.sources[0]) is not None)

    document.subscribe(look)
    used.open(other_file)
    assert known[:1] == [False]


def test_the_export_dialog_follows_the_document(
    used: Screen, other_file: Path, tmp_path: Path
) -> None:
    used.fill(tmp_path, low=48, mid=60)
    document = used.document
    used.actions["Export"].trigger()
    dialog = used.exports.dialog
    assert dialog is not None
    dialog.choices.layers.setValue(3)
    used.piano_panel.set_range(50, 60)  # what is chosen in the dialog and not used yet stays
    span = NoteSpan(low=50, high=60)
    layered = InstrumentOptions(velocity_layers=3)
    assert dialog.choices.chosen == ExportSettings(span=span, options=layered)
    chosen = ExportSettings(
        formats=("wav",),
        span=NoteSpan(low=40, high=44, step=2),
        options=InstrumentOptions(round_robins=2, loudness_lufs=-30.0),
    )
    document.edit("Plan", replace(document.session, export=chosen))
    assert dialog.choices.chosen == chosen
    document.undo()
    assert dialog.choices.chosen == ExportSettings(span=span)
    used.open(other_file)
    assert dialog.choices.chosen == ExportSettings()
    assert dialog.name.text() == "other"
    dialog.close()
