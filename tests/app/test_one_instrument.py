"""Sources that are notes of one instrument, in the window, without networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.live.keys import KeyOrigin
from app.models import edits
from app.models.session import ExportSettings
from core.audio.files import AudioClip
from core.plan import NoteSpan, PadGrid
from core.sound import Timbre, TimbreMix
from tests.app.program import WAIT_MS, MixEngine, Program, write_tone


class LoudnessEngine(MixEngine):
    """Finds the notes below middle C 20 dB louder than the others."""

    def analyze(self, clip: AudioClip, *, root: float | None = None) -> Timbre:
        timbre = super().analyze(clip, root=root)
        return replace(timbre, loudness_db=-10.0 if timbre.root_pitch < 60.0 else -30.0)


@pytest.fixture
def program(qtbot: QtBot, tmp_path: Path) -> Iterator[Program]:
    """With two notes on the shelf."""
    program = Program(qtbot, tmp_path, LoudnessEngine())
    program.start()
    program.drop(write_tone(tmp_path / "low.wav", 48), write_tone(tmp_path / "high.wav", 72))
    document = program.document
    session = edits.set_root(document.session, "s1", 48.0)
    document.edit("Roots", edits.set_root(session, "s2", 72.0))
    program.wait_rendered()
    yield program
    program.close()


def switch(program: Program) -> None:
    """Press the button and wait until all keys follow."""
    program.one_instrument.click()
    program.wait_rendered()


def mix_of_now(program: Program) -> TimbreMix:
    settings = program.preview.sound
    assert settings is not None
    return settings.mix


def test_all_sources_sound_alike_wherever_the_cursor_is(program: Program) -> None:
    document = program.document
    for place in ((0.5, 0.5), (0.2, 0.5)):  # between the sources and on the first
        document.edit("Move", edits.move_cursor(document.session, *place))
        program.wait_rendered()
        morphed = mix_of_now(program)
        assert not morphed.one_instrument
        switch(program)
        mix = mix_of_now(program)
        assert mix.one_instrument
        assert [timbre.name for timbre in mix.timbres] == ["low", "high"]
        assert mix.weights == (0.5, 0.5)
        assert any(request.sound.mix == mix for request in program.engine.requests)
        switch(program)
        assert mix_of_now(program) == morphed


def test_the_switch_is_one_step_to_undo_and_shown_as_it_stands(program: Program) -> None:
    document = program.document
    before = document.session
    program.one_instrument.click()
    assert document.session == replace(before, one_instrument=True)
    assert document.history.undo_label == "Play as one instrument"
    program.actions["Undo"].trigger()
    assert document.session == before
    assert not program.one_instrument.isChecked()
    program.actions["Redo"].trigger()
    assert program.one_instrument.isChecked()
    program.sound_panel.sliders["refinement"].slider.setValue(40)  # other settings leave it
    assert document.session.one_instrument


def test_one_note_alone_is_played_as_any_source(program: Program) -> None:
    switch(program)
    program.shelf.row("s2").mute.click()
    program.wait_rendered()
    mix = mix_of_now(program)
    assert not mix.one_instrument
    assert [timbre.name for timbre in mix.timbres] == ["low"]
    program.one_instrument.click()
    assert not program.one_instrument.isEnabled()
    assert "two sources" in program.one_instrument.toolTip()
    program.shelf.row("s2").mute.click()
    assert program.one_instrument.isEnabled()


def test_notes_of_one_pitch_are_fine(program: Program) -> None:
    document = program.document
    document.edit("Root", edits.set_root(document.session, "s2", 48.0))
    switch(program)
    assert mix_of_now(program).one_instrument
    assert program.shown == []


def test_nothing_moves_the_cursor_meanwhile(program: Program) -> None:
    document = program.document
    program.paths.record.click()
    program.pad.cursor_moved.emit(0.1, 0.1)
    program.one_instrument.click()
    assert not program.paths.is_recording
    assert document.session.path is not None
    before = document.session
    for control in (
        program.paths.record,
        program.paths.play,
        program.paths.mode,
        program.paths.speed,
    ):
        assert not control.isEnabled()
        assert "one instrument" in control.toolTip()
    QTest.mouseClick(program.pad, Qt.MouseButton.LeftButton, pos=QPoint(40, 40))
    QTest.keyClick(program.pad, Qt.Key.Key_Home)
    program.pad_panel.move_by_controller(0.9, 0.9)
    program.actions["Centre the cursor"].trigger()
    assert document.session == before
    assert program.pad.focusPolicy() == Qt.FocusPolicy.StrongFocus
    program.one_instrument.click()
    for control in (program.paths.record, program.paths.play, program.actions["Centre the cursor"]):
        assert control.isEnabled()
        assert "one instrument" not in control.toolTip()


def test_a_path_that_plays_ends(program: Program) -> None:
    program.paths.record.click()
    for place in ((0.1, 0.1), (0.9, 0.1)):
        program.pad.cursor_moved.emit(*place)
        program.qtbot.wait(20)
    program.paths.record.click()
    program.paths.play.click()
    program.one_instrument.click()
    session = program.document.session
    assert program.preview.place == (session.x, session.y)


def test_snapshots_keep_it(program: Program) -> None:
    switch(program)
    program.snapshots.store(0)
    switch(program)
    program.snapshots.recall(0)
    assert program.one_instrument.isChecked()
    assert mix_of_now(program).one_instrument
    program.pad.snapshot_dropped.emit(0, 0.4, 0.6)
    program.qtbot.waitUntil(lambda: len(program.names) == 3, timeout=WAIT_MS)
    dropped = next(r for r in reversed(program.engine.requests) if r.notes == (72,))
    assert dropped.sound.mix.one_instrument


def test_it_is_exported_as_one_sound_whatever_pad_was_wanted(
    program: Program, tmp_path: Path
) -> None:
    document = program.document
    plan = ExportSettings(
        formats=("sfz",), span=NoteSpan(low=60, high=60), grid=PadGrid(columns=3, rows=1)
    )
    document.edit("Plan", replace(document.session, export=plan))
    program.actions["Export"].trigger()
    dialog = program.exports.dialog
    assert dialog is not None
    assert dialog.choices.columns.isEnabled()
    assert dialog.choices.columns.value() == 3
    switch(program)  # with the dialog open
    assert not dialog.choices.columns.isEnabled()
    assert (dialog.choices.columns.value(), dialog.choices.rows.value()) == (1, 1)
    assert "one instrument" in dialog.choices.columns.toolTip()
    dialog.folder.setText(str(tmp_path / "out"))
    program.engine.requests.clear()
    with program.qtbot.waitSignal(dialog.exported, timeout=WAIT_MS):
        dialog.start.click()
    assert [request.notes for request in program.engine.requests] == [(60,)]
    assert program.engine.requests[0].sound.mix.one_instrument
    dialog.close()


def test_it_is_dragged_out_as_one_sound(program: Program) -> None:
    document, output = program.document, program.output
    plan = ExportSettings(
        formats=("sfz",), span=NoteSpan(low=60, high=60), grid=PadGrid(columns=3, rows=1)
    )
    document.edit("Plan", replace(document.session, export=plan))
    switch(program)
    program.engine.requests.clear()
    assert output.instrument_handle.mime() is None  # it is being rendered
    program.qtbot.waitUntil(lambda: output.instrument_handle.mime() is not None, timeout=WAIT_MS)
    assert [request.sound.mix.one_instrument for request in program.engine.requests] == [True]


def test_a_source_is_compared_at_the_loudness_of_its_own_keys(program: Program) -> None:
    program.preview.choose("s1")
    document = program.document
    a, b = document.session.sources
    between = edits.move_cursor(document.session, (a.x + b.x) / 2, (a.y + b.y) / 2)
    document.edit("Below the limiter", replace(between, gain_db=-24.0))

    def level() -> float:
        program.output.original.click()
        program.keys.press(KeyOrigin.MOUSE, 48, 100)
        program.listen(0.1)
        heard = float(np.sqrt(np.mean(program.listen() ** 2)))
        program.keys.release(KeyOrigin.MOUSE, 48)
        program.listen(0.5)
        program.output.result.click()
        return heard

    morphed = level()  # as loud as half of both: 10 dB below its own keys
    switch(program)
    assert 20 * np.log10(level() / morphed) == pytest.approx(10.0, abs=0.5)
