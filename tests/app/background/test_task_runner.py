from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot

from app.background.gui_thread import GuiThread
from app.background.task_runner import TaskRunner
from core.errors import ParameterError


@pytest.fixture
def gui(qtbot: QtBot) -> GuiThread:
    return GuiThread()


def test_calls_from_any_thread_run_here_and_in_order(qtbot: QtBot, gui: GuiThread) -> None:
    seen: list[tuple[int, bool]] = []
    here = QThread.currentThread()

    def note(number: int) -> Callable[[], None]:
        return lambda: seen.append((number, QThread.currentThread() is here))

    worker = threading.Thread(target=lambda: [gui.call(note(number)) for number in range(50)])
    worker.start()
    worker.join()
    assert seen == []
    qtbot.waitUntil(lambda: len(seen) == 50)
    assert seen == [(number, True) for number in range(50)]


def test_work_is_done_elsewhere_and_answered_here(qtbot: QtBot, gui: GuiThread) -> None:
    tasks = TaskRunner(gui)
    here = threading.get_ident()
    answers: list[tuple[object, int]] = []
    tasks.run(
        threading.get_ident, lambda who: answers.append((who, threading.get_ident())), pytest.fail
    )
    qtbot.waitUntil(lambda: bool(answers))
    ((worker, answered),) = answers
    assert worker != here
    assert answered == here
    tasks.close()


def test_errors_come_back_too(qtbot: QtBot, gui: GuiThread) -> None:
    tasks = TaskRunner(gui)
    errors: list[Exception] = []

    def fail() -> None:
        raise ParameterError("Too much of it.")

    tasks.run(fail, pytest.fail, errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    assert str(errors[0]) == "Too much of it."
    tasks.close()


def test_nobody_is_answered_after_closing(qtbot: QtBot, gui: GuiThread) -> None:
    tasks = TaskRunner(gui)
    tasks.run(lambda: 1, pytest.fail, pytest.fail)
    tasks.close()
    tasks.run(lambda: 1, pytest.fail, pytest.fail)
    qtbot.wait(20)
