from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.background.task_runner import TaskRunner
from app.live.editor import Editor
from app.live.messages import Kind, Message, Messages
from app.live.preview import Preview
from app.live.snapshot_rendering import SnapshotRendering
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.document import Document
from core.errors import DeviceError
from core.inference.service import RenderService
from tests.app.live.conftest import Shelf
from tests.app.program import RATE, WAIT_MS, MixEngine


@pytest.fixture
def rendering(
    editor: Editor,
    preview: Preview,
    service: RenderService,
    tasks: TaskRunner,
    messages: Messages,
) -> SnapshotRendering:
    return SnapshotRendering(editor, preview, service, tasks, messages)


def store(document: Document, slot: int) -> None:
    document.edit("Store", edits.store_snapshot(document.session, slot, "Dusk"))


def test_a_snapshot_becomes_a_source_at_the_note_looked_at(
    qtbot: QtBot, rendering: SnapshotRendering, preview: Preview, document: Document, shelf: Shelf
) -> None:
    shelf.add("low", 48)
    store(document, 3)
    preview.strike(55)
    rendering.add(3, 0.25, 0.75)
    qtbot.waitUntil(lambda: len(document.session.sources) == 2, timeout=WAIT_MS)
    source = document.session.sources[1]
    assert (source.root, source.x, source.y) == (55.0, 0.25, 0.75)
    clip = document.clips[source.audio_hash]
    assert (clip.sample_rate, clip.samples.shape) == (RATE, (1, RATE))
    assert document.history.undo_label == "Drop a snapshot on the pad"


def test_the_sound_kept_is_rendered_and_not_that_of_now(
    qtbot: QtBot,
    rendering: SnapshotRendering,
    preview: Preview,
    document: Document,
    shelf: Shelf,
    engine: MixEngine,
) -> None:
    shelf.add("low", 48, (0.0, 0.5))
    shelf.add("high", 60, (1.0, 0.5))
    document.edit("Move", edits.move_cursor(document.session, 1.0, 0.5))
    store(document, 0)
    document.edit("Move", edits.move_cursor(document.session, 0.0, 0.5))
    preview.strike(72)
    rendering.add(0, 0.5, 0.5)
    qtbot.waitUntil(lambda: len(document.session.sources) == 3, timeout=WAIT_MS)
    asked = [request.sound.mix.timbres for request in engine.requests if request.notes == (72,)]
    assert ["high"] in [[timbre.name for timbre in timbres] for timbres in asked]


def test_an_empty_slot_does_nothing(
    rendering: SnapshotRendering, document: Document, said: list[Message]
) -> None:
    rendering.add(1, 0.5, 0.5)
    assert said == []


def test_a_snapshot_of_unknown_sources_is_said(
    rendering: SnapshotRendering,
    document: Document,
    library: SourceLibrary,
    shelf: Shelf,
    said: list[Message],
) -> None:
    shelf.add("low", 48)
    store(document, 0)
    library._timbres.facts.clear()
    library._timbres.forget_sources()
    rendering.add(0, 0.5, 0.5)
    assert [each.kind for each in said] == [Kind.ERROR]
    assert "cannot be rendered yet" in said[0].text


def test_a_rendering_that_fails_is_said(
    qtbot: QtBot,
    rendering: SnapshotRendering,
    document: Document,
    shelf: Shelf,
    engine: MixEngine,
    said: list[Message],
) -> None:
    shelf.add("low", 48)
    store(document, 0)

    def fail(_note: int) -> None:
        raise DeviceError("Memory ran out.")

    engine.before_note = fail
    rendering.add(0, 0.5, 0.5)
    qtbot.waitUntil(lambda: bool(said), timeout=WAIT_MS)
    assert "Memory ran out." in said[0].text
    assert len(document.session.sources) == 1
