from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.background.render_bridge import RenderBridge
from app.background.task_runner import TaskRunner
from app.live.drag_out import DragOut
from app.live.dragged_files import DraggedFiles
from app.live.export_orders import ExportOrders
from app.live.messages import Kind, Message, Messages
from app.live.preview import Preview
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.document import Document
from core.audio.files import read_audio
from core.errors import DeviceError
from core.inference.service import RenderService
from tests.app.live.conftest import Shelf
from tests.app.program import WAIT_MS, MixEngine


@pytest.fixture
def dragging(
    document: Document,
    library: SourceLibrary,
    preview: Preview,
    service: RenderService,
    tasks: TaskRunner,
    messages: Messages,
    root: QObject,
    tmp_path: Path,
) -> DragOut:
    orders = ExportOrders(document, library, preview, service, tasks, root)
    return DragOut(document, orders, preview, messages, DraggedFiles(tmp_path / "Dragged"))


def wait_note(qtbot: QtBot, preview: Preview, note: int) -> None:
    qtbot.waitUntil(lambda: preview.note(note) is not None, timeout=WAIT_MS)


def wait_ready(qtbot: QtBot, said: list[Message]) -> None:
    qtbot.waitUntil(lambda: any("is ready:" in each.text for each in said), timeout=WAIT_MS)


def test_a_note_that_is_not_rendered_is_said(dragging: DragOut, said: list[Message]) -> None:
    assert dragging.note_files() == []
    assert [each.text for each in said] == ["That note is not rendered yet; drag it in a moment."]


def test_the_note_looked_at_is_dragged_as_it_sounds(
    qtbot: QtBot, dragging: DragOut, preview: Preview, shelf: Shelf
) -> None:
    shelf.add("Glass Bell", 48)
    preview.strike(61)
    wait_note(qtbot, preview, 61)
    (path,) = dragging.note_files()
    assert path.name == "Glass Bell_061_Cs4.wav"
    ready = preview.note(61)
    assert ready is not None
    clip = read_audio(path)
    assert clip.sample_rate == ready.sample_rate
    assert clip.samples.shape == ready.region.samples.shape
    assert dragging.note_files() == [path]
    path.unlink()
    (again,) = dragging.note_files()  # somebody took it away
    assert again.exists()


def test_a_draft_is_not_dragged(
    qtbot: QtBot, dragging: DragOut, preview: Preview, bridge: RenderBridge, shelf: Shelf
) -> None:
    shelf.add("low", 48)
    wait_note(qtbot, preview, 48)
    ready = preview.note(48)
    assert ready is not None
    bridge.note_ready.emit(replace(ready, is_draft=True))
    assert dragging.note_files() == []
    bridge.note_ready.emit(ready)
    assert len(dragging.note_files()) == 1


def test_a_note_that_cannot_be_written_is_said(
    qtbot: QtBot,
    dragging: DragOut,
    preview: Preview,
    shelf: Shelf,
    said: list[Message],
    tmp_path: Path,
) -> None:
    shelf.add("low", 48)
    wait_note(qtbot, preview, 48)
    (tmp_path / "Dragged").write_text("a file where the folder should be")
    assert dragging.note_files() == []
    dragging.prepare_instrument()
    assert [each.kind for each in said] == [Kind.ERROR, Kind.ERROR]


def test_nothing_is_prepared_of_nothing(dragging: DragOut, said: list[Message]) -> None:
    assert dragging.instrument_files() == []
    assert "nothing to drag yet" in said[0].text


def test_the_instrument_is_rendered_once_and_then_dragged(
    qtbot: QtBot,
    dragging: DragOut,
    shelf: Shelf,
    document: Document,
    said: list[Message],
    tmp_path: Path,
) -> None:
    shelf.add("low", 48)
    assert dragging.instrument_files() == []
    dragging.prepare_instrument()  # asked for once more: it is under way
    wait_ready(qtbot, said)
    files = dragging.instrument_files()
    assert {path.name for path in files} == {"low", "low.sfz"}
    assert all(path.exists() for path in files)
    assert len([each for each in said if "being rendered" in each.text]) == 1
    assert len(list((tmp_path / "Dragged").iterdir())) == 1
    document.edit("Rename", edits.rename_source(document.session, "s1", "deep"))
    assert dragging.instrument_files() == []  # it is called otherwise now
    said.clear()
    wait_ready(qtbot, said)
    assert {path.name for path in dragging.instrument_files()} == {"deep", "deep.sfz"}
    assert all(path.exists() for path in files)  # they were dragged: they stay


def test_what_nobody_dragged_makes_room_for_the_next(
    qtbot: QtBot,
    dragging: DragOut,
    shelf: Shelf,
    document: Document,
    said: list[Message],
    tmp_path: Path,
) -> None:
    shelf.add("low", 48)
    for name in ("one", "two"):
        document.edit("Rename", edits.rename_source(document.session, "s1", name))
        said.clear()
        dragging.prepare_instrument()
        wait_ready(qtbot, said)
    (folder,) = (tmp_path / "Dragged").iterdir()
    assert (folder / "two.sfz").exists()


def test_another_sound_ends_the_rendering_of_the_one_before(
    qtbot: QtBot,
    dragging: DragOut,
    shelf: Shelf,
    document: Document,
    engine: MixEngine,
    said: list[Message],
    tmp_path: Path,
) -> None:
    shelf.add("low", 48)
    go_on = threading.Event()
    engine.before_note = lambda _note: go_on.wait(WAIT_MS / 1000) and None
    dragging.prepare_instrument()
    document.edit("Rename", edits.rename_source(document.session, "s1", "deep"))
    dragging.prepare_instrument()
    go_on.set()
    wait_ready(qtbot, said)
    qtbot.waitUntil(lambda: len(list((tmp_path / "Dragged").iterdir())) == 1, timeout=WAIT_MS)
    assert not any(each.kind is Kind.ERROR for each in said)
    assert {path.name for path in dragging.instrument_files()} == {"deep", "deep.sfz"}


def test_an_instrument_that_fails_is_said_and_can_be_tried_again(
    qtbot: QtBot,
    dragging: DragOut,
    shelf: Shelf,
    engine: MixEngine,
    said: list[Message],
    tmp_path: Path,
) -> None:
    shelf.add("low", 48)

    def fail(_note: int) -> None:
        raise DeviceError("Memory ran out.")

    engine.before_note = fail
    dragging.prepare_instrument()
    qtbot.waitUntil(lambda: any(each.kind is Kind.ERROR for each in said), timeout=WAIT_MS)
    assert list((tmp_path / "Dragged").iterdir()) == []
    engine.before_note = lambda _note: None
    said.clear()
    dragging.prepare_instrument()
    wait_ready(qtbot, said)
