"""Fitting sources closely, in the window, without networks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.live.keys import KeyOrigin
from app.models import edits
from app.models.session import Source
from app.panels.sources import FIT_STEPS
from core.errors import DeviceError
from core.sound import Timbre
from tests.app.program import WAIT_MS, MixEngine, Program, write_tone


class FittingEngine(MixEngine):
    """Fits step by step, as far as it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = threading.Semaphore(0)
        self.is_free = True
        self.failure: Exception | None = None
        self.before_step = self._wait

    def fit(self, timbre: Timbre, **how: Any) -> Timbre:
        assert how["progress"] is not None
        assert how["cancel"] is not None
        return super().fit(timbre, **how)

    def _wait(self, cancel: threading.Event | None) -> None:
        if self.failure is not None:
            raise self.failure
        assert cancel is not None
        while not self.is_free and not self.steps.acquire(timeout=0.01):
            if cancel.is_set():
                return


class Studio(Program):
    """A program with two sources, its engine and what is asked of both."""

    engine: FittingEngine

    def source(self, index: int = 0) -> Source:
        return self.document.session.sources[index]

    def press_fit(self, index: int = 0) -> None:
        self.shelf.row(self.source(index).id).fit.click()

    def says(self, index: int = 0) -> str:
        return self.shelf.row(self.source(index).id).certainty.text()

    def is_fitted(self, index: int = 0) -> bool:
        """Whether what sounds is the fitted timbre."""
        settings = self.preview.sound
        assert settings is not None
        return bool(settings.mix.timbres[index].fitted)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)


@pytest.fixture
def program(qtbot: QtBot, tmp_path: Path) -> Iterator[Studio]:
    program = Studio(qtbot, tmp_path, FittingEngine())
    program.start()
    program.drop(write_tone(tmp_path / "low.wav", 48), write_tone(tmp_path / "mid.wav", 60))
    document = program.document
    document.edit("Between", edits.move_cursor(document.session, 0.5, 0.5))
    program.wait_rendered()
    yield program
    program.engine.is_free = True
    program.close()


def test_a_fit_is_one_step_that_sounds_and_shows(program: Studio) -> None:
    document, row = program.document, program.shelf.row("s1")
    before, said = document.session, program.says()
    program.press_fit()
    assert document.history.undo_label == "Fit low closely"
    assert document.session == edits.set_fit(before, "s1", FIT_STEPS)
    program.wait_rendered()
    assert (program.is_fitted(0), program.is_fitted(1)) == (True, False)
    assert (row.fit.isChecked(), program.says()) == (True, said)
    program.actions["Undo"].trigger()
    assert document.session == before
    program.wait_rendered()
    assert not program.is_fitted()
    assert not row.fit.isChecked()
    program.actions["Redo"].trigger()
    assert program.is_fitted()  # at once: it was kept
    assert program.engine.fits == [FIT_STEPS]
    program.press_fit()  # the same action takes it back
    assert document.session == before
    assert not program.is_fitted()


def test_a_cancelled_fit_leaves_the_source_as_it_was(program: Studio) -> None:
    before = program.document.session
    assert not program.status.cancel_fit.isVisible()
    program.engine.is_free = False
    program.press_fit()
    program.engine.steps.release(1)
    program.wait_until(lambda: program.says() == "fitting 20%")
    assert program.status.engine.text() == "Fitting low"
    assert (program.status.bar.value(), program.status.bar.maximum()) == (1, FIT_STEPS)
    program.status.cancel_fit.click()
    assert program.document.session == before
    program.wait_until(lambda: program.library.fitting is None)
    program.wait_rendered()
    assert not program.is_fitted()
    assert not program.status.cancel_fit.isVisible()
    assert not program.status.engine.text().startswith("Fitting")
    assert program.shown == []


def test_held_keys_sound_while_a_source_is_fitted(program: Studio) -> None:
    program.engine.is_free = False
    program.press_fit()
    program.wait_until(lambda: bool(program.engine.fits))
    # All keys are to be rendered anew.
    program.sound_panel.sliders["refinement"].slider.setValue(40)
    program.keys.press(KeyOrigin.MOUSE, 61, 100)
    assert program.preview.note(61) is None
    program.engine.steps.release(2)
    program.wait_until(lambda: program.preview.note(61) is not None)
    assert program.library.fitting is not None
    assert not program.is_fitted()
    program.keys.release(KeyOrigin.MOUSE, 61)


def test_an_opened_session_plays_unfitted_until_it_is_fitted_again(
    program: Studio, tmp_path: Path
) -> None:
    document, files = program.document, program.files
    program.press_fit()
    program.wait_rendered()
    files.save_as(tmp_path / "work.hgs")
    program.wait_until(lambda: document.path is not None)
    saved = document.session
    files.new()
    program.library._fits.clear()  # as in another run of the program
    program.engine.is_free = False
    files.open_session(tmp_path / "work.hgs")
    program.wait_until(lambda: program.library.fitting is not None)
    assert document.session == saved
    assert not program.is_fitted()
    program.engine.is_free = True
    program.wait_until(program.is_fitted)
    assert not document.is_dirty


def test_what_is_fitted_no_more_is_not_fitted_to_the_end(program: Studio) -> None:
    program.engine.is_free = False
    document = program.document
    start = document.history.position
    for leave in (
        lambda: program.shelf.delete_requested.emit("s1"),
        lambda: program.shelf.root_changed.emit("s1", 50.0),  # another timbre
        program.actions["Undo"].trigger,
    ):
        program.press_fit()
        program.wait_until(lambda: program.library.fitting is not None)
        key = program.library.fitting.key
        leave()
        program.wait_until(
            lambda key=key: program.library.fitting is None or program.library.fitting.key != key
        )
        document.go_to(start)
        program.wait_until(lambda: program.library.fitting is None)
    assert not program.library._fits


def test_copies_are_fitted_once_and_taken_back_together(program: Studio) -> None:
    program.engine.is_free = False
    program.press_fit()
    program.shelf.duplicate_requested.emit("s1")
    program.engine.steps.release(2)
    program.wait_until(lambda: program.says(0) == program.says(1) == "fitting 40%")
    program.status.cancel_fit.click()
    assert [source.fit_steps for source in program.document.session.sources] == [0, 0, 0]
    program.wait_until(lambda: program.library.fitting is None)
    assert program.engine.fits == [FIT_STEPS]


def test_a_fit_that_fails_is_said_once_and_can_be_tried_again(program: Studio) -> None:
    program.engine.failure = DeviceError("Memory ran out.")
    program.press_fit()
    program.wait_until(lambda: program.says() == "not fitted")
    assert ["Memory ran out" in m.text for m in program.shown] == [True]
    program.shelf.row("s2").mute.click()
    program.wait_rendered()
    assert len(program.engine.fits) == 1
    program.engine.failure = None
    program.press_fit()
    program.press_fit()
    program.wait_until(program.is_fitted)


def test_nothing_is_exported_that_is_still_to_be_fitted(program: Studio) -> None:
    program.actions["Export"].trigger()
    dialog = program.exports.dialog
    assert dialog is not None
    assert dialog.start.isEnabled()
    program.engine.is_free = False
    program.press_fit()
    dialog.refresh()
    assert not dialog.start.isEnabled()
    assert "fitted" in dialog.estimate.text()
    program.engine.is_free = True
    program.wait_until(dialog.start.isEnabled)
    dialog.close()
