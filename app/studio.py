"""All parts that the window joins, made once by the composition root and handed to it."""

from __future__ import annotations

from dataclasses import dataclass

from app.audio.midi_input import MidiInput
from app.audio.player import Player
from app.background.gui_thread import GuiThread
from app.background.render_bridge import RenderBridge
from app.background.task_runner import TaskRunner
from app.live.dragged_files import DraggedFiles
from app.live.importer import Importer
from app.live.keys import Keys
from app.live.messages import Messages
from app.live.preview import Preview
from app.live.source_library import SourceLibrary
from app.models.autosave import Autosave
from app.models.document import Document
from core.inference.service import RenderService


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Studio:
    """Everything behind the window."""

    gui: GuiThread
    tasks: TaskRunner
    messages: Messages
    document: Document
    autosave: Autosave
    player: Player
    midi: MidiInput
    bridge: RenderBridge
    service: RenderService
    book: SourceLibrary
    sound: Preview
    keys: Keys
    importer: Importer
    dragged: DraggedFiles
