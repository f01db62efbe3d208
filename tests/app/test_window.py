"""The window's gestures, without networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QComboBox, QSlider
from pytestqt.qtbot import QtBot

from app.live.keys import KeyOrigin
from app.panels.output import DragHandle
from core.audio.pitch import midi_to_hz
from tests.app.program import WAIT_MS, Program, pitch_hz, write_tone


@pytest.fixture
def program(qtbot: QtBot, tmp_path: Path) -> Iterator[Program]:
    program = Program(qtbot, tmp_path)
    program.start()
    yield program
    program.close()


@pytest.fixture
def loaded(program: Program, tmp_path: Path) -> Program:
    program.drop(write_tone(tmp_path / "low.wav", 48), write_tone(tmp_path / "mid.wav", 60.0))
    program.wait_rendered()
    return program


def test_a_drop_of_several_files_is_one_step(loaded: Program) -> None:
    assert loaded.names == ["low", "mid"]
    loaded.actions["Undo"].trigger()
    assert loaded.names == []
    loaded.actions["Redo"].trigger()
    assert loaded.names == ["low", "mid"]


def test_a_folder_gives_its_sounds_in_order(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "kit" / "deep"
    folder.mkdir(parents=True)
    write_tone(folder / "b.wav")
    write_tone(folder.parent / "a.wav")
    (folder / "notes.txt").write_text("no sound")
    (folder / ".hidden.wav").write_bytes(b"")
    program.drop(tmp_path / "kit")
    assert program.names == ["a", "b"]
    assert program.shown == []


def test_own_sounds_take_the_place_of_the_examples(program: Program, tmp_path: Path) -> None:
    from app.application import SAMPLES_FOLDER, read_examples

    program.application.show_examples(read_examples(SAMPLES_FOLDER))
    assert len(program.names) == 8
    assert not program.document.is_dirty
    program.drop(write_tone(tmp_path / "mine.wav"))
    assert program.names == ["mine"]
    program.actions["Undo"].trigger()
    assert len(program.names) == 8


def test_pasted_files_are_added(program: Program, qtbot: QtBot, tmp_path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(write_tone(tmp_path / "copied.wav")))])
    QApplication.clipboard().setMimeData(mime)
    with qtbot.waitSignal(program.importer.finished, timeout=WAIT_MS):
        program.files.paste()
    assert program.names == ["copied"]
    QApplication.clipboard().clear()


@pytest.mark.parametrize(
    ("act", "label"),
    [
        (lambda p: p.sound_panel.sliders["refinement"].slider.setValue(40), "Change faithfulness"),
        (lambda p: p.sound_panel.roll(), "Roll the dice"),
        (lambda p: p.output.gain.slider.setValue(-12), "Change the level"),
        (lambda p: p.envelope.attack.setValue(0.5), "Change the envelope"),
        (lambda p: p.shelf.row("s1").mute.click(), "Mute"),
        (lambda p: p.shelf.duplicate_requested.emit("s1"), "Duplicate"),
        (lambda p: p.shelf.octave_shifted.emit("s1", -1), "Root an octave down"),
        (lambda p: p.shelf.delete_requested.emit("s2"), "Remove mid"),
        (lambda p: p.snapshots.store(2), "Store snapshot 3"),
        (lambda p: p.pad_panel.move_by_controller(0.9, None), "Move the cursor"),
        (lambda p: p.pictures.source_wave.range_changed.emit(0.1, 0.6), "Trim low"),
        (lambda p: p.piano_panel.set_range(40, 50), "Change the export range"),
    ],
)
def test_every_edit_can_be_undone(loaded: Program, act: object, label: str) -> None:
    document = loaded.document
    before = document.session
    act(loaded)  # type: ignore[operator]
    document.end_gesture()
    assert document.session != before
    assert document.history.undo_label == label
    assert loaded.window.isWindowModified()
    loaded.actions["Undo"].trigger()
    assert document.session == before


def test_what_is_shown_follows_the_document(loaded: Program) -> None:
    document = loaded.document
    session = document.session
    settings = replace(session.settings, refinement=0.4, velocity=60)
    document.edit("All", replace(session, settings=settings, gain_db=-9.0, x=0.1, y=0.2))
    assert loaded.sound_panel.sliders["refinement"].value == 40
    assert loaded.sound_panel.sliders["velocity"].value == 60
    assert loaded.output.gain.value == -9
    assert loaded.pad._cursor == (0.1, 0.2)


def test_the_source_can_be_compared_with_the_result(loaded: Program) -> None:
    keys = loaded.keys
    loaded.preview.choose("s1")
    loaded.output.original.click()
    keys.press(KeyOrigin.MOUSE, 55, 100)
    original = loaded.listen()
    assert pitch_hz(original, 48_000) == pytest.approx(midi_to_hz(55), rel=2e-3)
    loaded.output.result.click()
    loaded.qtbot.waitUntil(lambda: loaded.preview.note(55) is not None, timeout=WAIT_MS)
    loaded.listen(0.1)
    assert not np.allclose(loaded.listen()[:4000], original[:4000], atol=0.02)


def test_snapshots_bring_the_sound_back(loaded: Program) -> None:
    document = loaded.document
    loaded.snapshots.store(0)
    stored = document.session
    loaded.pad_panel.move_by_controller(0.9, 0.1)
    loaded.sound_panel.roll()
    loaded.snapshots.recall(0)
    assert document.session == stored


def test_a_snapshot_becomes_a_source(loaded: Program) -> None:
    loaded.snapshots.store(0)
    loaded.pad.snapshot_dropped.emit(0, 0.4, 0.6)
    loaded.qtbot.waitUntil(lambda: len(loaded.names) == 3, timeout=WAIT_MS)
    source = loaded.document.session.sources[2]
    assert (source.x, source.y) == (0.4, 0.6)
    assert source.root == loaded.preview.focus


def test_a_path_is_recorded_and_played(loaded: Program) -> None:
    document = loaded.document
    loaded.paths.record.click()
    for place in ((0.1, 0.1), (0.5, 0.9), (0.9, 0.1)):
        loaded.pad.cursor_moved.emit(*place)
        loaded.qtbot.wait(20)
    loaded.paths.record.click()
    path = document.session.path
    assert path is not None
    assert path.length_s > 0.03
    document.end_gesture()
    before = document.session
    with loaded.qtbot.waitSignal(loaded.paths.place_changed):
        loaded.paths.play.click()
    assert document.session == before  # playing edits nothing
    loaded.paths.play.click()
    assert loaded.preview.place == (before.x, before.y)


def test_a_key_held_by_two_hands_sounds_until_both_let_go(loaded: Program) -> None:
    keys = loaded.keys
    keys.press(KeyOrigin.MOUSE, 60, 100)
    keys.press(KeyOrigin.MIDI, 60, 100)
    keys.release(KeyOrigin.MOUSE, 60)
    assert keys.held == {60}
    keys.release(KeyOrigin.MIDI, 60)
    assert keys.held == frozenset()
    loaded.listen(0.4)
    assert np.abs(loaded.listen(0.2)).max() < 1e-3


def test_the_next_key_can_be_taken_as_root(loaded: Program) -> None:
    loaded.shelf.root_learn_requested.emit("s1")
    loaded.keys.press(KeyOrigin.MIDI, 50, 100)
    loaded.keys.release(KeyOrigin.MIDI, 50)
    loaded.keys.press(KeyOrigin.MIDI, 55, 100)
    assert loaded.document.session.source("s1").root == 50.0


def test_a_rendered_note_and_the_instrument_can_be_dragged_out(loaded: Program) -> None:
    output = loaded.output
    mime = output.note_handle.mime()
    assert mime is not None
    (url,) = mime.urls()
    assert Path(url.toLocalFile()).name == "low-mid_048_C3.wav"
    assert Path(url.toLocalFile()).stat().st_size > 1000
    assert output.instrument_handle.mime() is None  # it is being rendered
    loaded.qtbot.waitUntil(lambda: output.instrument_handle.mime() is not None, timeout=WAIT_MS)
    names = {Path(u.toLocalFile()).name for u in output.instrument_handle.mime().urls()}
    assert names == {"low-mid", "low-mid.sfz"}


def test_what_was_dragged_out_stays(loaded: Program, tmp_path: Path) -> None:
    output, keys = loaded.output, loaded.keys

    def drag(handle: DragHandle) -> list[Path]:
        loaded.qtbot.waitUntil(lambda: handle.mime() is not None, timeout=WAIT_MS)
        mime = handle.mime()
        assert mime is not None
        return [Path(url.toLocalFile()) for url in mime.urls()]

    keys.press(KeyOrigin.MOUSE, 60, 100)
    keys.release(KeyOrigin.MOUSE, 60)
    (note,) = drag(output.note_handle)
    instrument = drag(output.instrument_handle)
    held = {file: file.read_bytes() for path in [note, *instrument] for file in files_of(path)}
    assert drag(output.note_handle) == [note]  # nothing changed: the same file
    assert drag(output.instrument_handle) == instrument
    document = loaded.document
    document.edit("Move", replace(document.session, x=0.9, y=0.1))
    loaded.wait_rendered()
    assert drag(output.note_handle) != [note]
    assert drag(output.instrument_handle) != instrument
    loaded.close()
    assert {file: file.read_bytes() for file in held} == held
    assert all(tmp_path / "dragged" in file.parents for file in held)


def test_an_instrument_that_nobody_dragged_makes_room(loaded: Program, tmp_path: Path) -> None:
    document = loaded.document
    for x in (0.2, 0.8):
        document.edit("Move", replace(document.session, x=x))
        loaded.wait_rendered()
        loaded.close_messages()
        loaded.output.instrument_handle.click()
        loaded.qtbot.waitUntil(
            lambda: any("is ready" in m.text for m in loaded.shown),
            timeout=WAIT_MS,
        )
    assert len(list((tmp_path / "dragged").iterdir())) == 1


def files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def test_every_control_has_a_name_and_a_hint(loaded: Program) -> None:
    window = loaded.window
    for kind in (QAbstractButton, QComboBox, QSlider, QAbstractSpinBox):
        for control in window.findChildren(kind):
            if control.isVisible() and control.objectName() != "qt_toolbar_ext_button":
                where = f"{type(control).__name__} in {type(control.parent()).__name__}"
                assert control.accessibleName() or control.text(), where
                assert control.toolTip(), where
