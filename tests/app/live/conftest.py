"""What works behind the glass, in pieces: no window, no networks, no devices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.background.gui_thread import GuiThread
from app.background.render_bridge import RenderBridge
from app.background.task_runner import TaskRunner
from app.live.editor import Editor
from app.live.messages import Message, Messages
from app.live.preview import Preview
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.audio_store import audio_hash
from app.models.document import Document
from core.audio.files import read_audio
from core.inference.service import RenderService
from core.instrument import Envelope, Instrument, Region
from core.sampler.sampler import Meters
from tests.app.program import WAIT_MS, MixEngine, write_tone


class FakePlayer:
    """Notes down what a player is told."""

    def __init__(self) -> None:
        self.loaded: list[Instrument | None] = []
        self.zones: list[tuple[int, Region]] = []
        self.done: list[tuple[object, ...]] = []
        self.meters: Meters | None = None

    def load(self, instrument: Instrument | None) -> None:
        self.loaded.append(instrument)
        self.zones.clear()

    def set_zone(self, region: Region, _sample_rate: int) -> None:
        self.zones.append((region.root_note, region))

    def set_envelope(self, envelope: Envelope) -> None:
        self.done.append(("envelope", envelope))

    def poll(self) -> Meters | None:
        return self.meters

    def __getattr__(self, name: str) -> object:
        return lambda *values: self.done.append((name, *values))


@pytest.fixture
def root(qtbot: QtBot) -> Iterator[QObject]:
    """Parent of all objects of Qt: they end here, and not wherever memory is next tidied up."""
    root = QObject()
    yield root
    shiboken6.delete(root)


@pytest.fixture
def engine() -> MixEngine:
    return MixEngine()


@pytest.fixture
def said(messages: Messages) -> list[Message]:
    """All that was said."""
    said: list[Message] = []
    messages.told.connect(said.append)
    return said


@pytest.fixture
def messages(root: QObject) -> Messages:
    return Messages(root)


@pytest.fixture
def document() -> Document:
    return Document()


@pytest.fixture
def editor(document: Document, messages: Messages, root: QObject) -> Editor:
    return Editor(document, messages, root)


@pytest.fixture
def tasks(root: QObject) -> Iterator[TaskRunner]:
    tasks = TaskRunner(GuiThread(root))
    yield tasks
    tasks.close()


@pytest.fixture
def bridge(root: QObject) -> RenderBridge:
    return RenderBridge(root)


@pytest.fixture
def service(engine: MixEngine, bridge: RenderBridge) -> Iterator[RenderService]:
    service = RenderService(
        lambda: engine,  # type: ignore[arg-type,return-value]
        on_note=bridge.on_note,
        on_failure=bridge.on_failure,
        on_status=bridge.on_status,
    )
    service.start()
    yield service
    service.close()


@pytest.fixture
def library(
    document: Document,
    tasks: TaskRunner,
    service: RenderService,
    messages: Messages,
    root: QObject,
) -> SourceLibrary:
    return SourceLibrary(document, tasks, service, messages, root)


@pytest.fixture
def player() -> FakePlayer:
    return FakePlayer()


@pytest.fixture
def preview(
    document: Document,
    library: SourceLibrary,
    player: FakePlayer,
    service: RenderService,
    bridge: RenderBridge,
    root: QObject,
) -> Preview:
    return Preview(document, library, player, service, bridge, root)  # type: ignore[arg-type]


class Shelf:
    """Puts tones into a document, as a drop does."""

    def __init__(self, qtbot: QtBot, document: Document, library: SourceLibrary, folder: Path):
        self._qtbot = qtbot
        self._document = document
        self._library = library
        self._folder = folder

    def add(self, name: str, note: float, place: tuple[float, float] | None = None) -> str:
        """Add a tone and wait until it is known; returns the id of its source."""
        clip = read_audio(write_tone(self._folder / f"{name}.wav", note, 0.3))
        key = audio_hash(clip)
        session = edits.add_source(self._document.session, audio_hash=key, name=name, place=place)
        self._document.edit(f"Add {name}", session, clips={key: clip})
        self.wait_known()
        return session.sources[-1].id

    def wait_known(self) -> None:
        self._qtbot.waitUntil(lambda: not self._library.is_busy, timeout=WAIT_MS)


@pytest.fixture
def shelf(qtbot: QtBot, document: Document, library: SourceLibrary, tmp_path: Path) -> Shelf:
    return Shelf(qtbot, document, library, tmp_path)
