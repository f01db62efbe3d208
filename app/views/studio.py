"""All parts that the window joins, made once by the composition root and handed to it."""

from __future__ import annotations

from dataclasses import dataclass

from app.audio.midi_input import MidiInput
from app.audio.player import Player
from app.models.autosave import Autosave
from app.models.document import Document
from app.views.dragged_files import DraggedFiles
from app.views.importer import Importer
from app.views.keys import Keys
from app.views.messages import Messages
from app.views.sound import Sound
from app.views.source_book import SourceBook
from app.workers.gui_thread import GuiThread
from app.workers.render_bridge import RenderBridge
from app.workers.task_runner import TaskRunner
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
    book: SourceBook
    sound: Sound
    keys: Keys
    importer: Importer
    dragged: DraggedFiles
