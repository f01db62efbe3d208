"""The composition root: makes every part once, joins them, and takes them apart in order."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from platformdirs import user_log_path
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from app.audio.midi_input import MidiInput, MidiState, MidiSystem
from app.audio.output_stream import OutputSettings, StreamState
from app.audio.player import Player
from app.audio.portaudio import AudioSystem
from app.background.gui_thread import GuiThread
from app.background.render_bridge import RenderBridge
from app.background.task_runner import TaskRunner
from app.cli.window import WindowArguments
from app.error_text import describe
from app.live.dragged_files import DraggedFiles
from app.live.importer import Importer
from app.live.keys import Keys
from app.live.messages import Messages
from app.live.midi_performer import MidiPerformer
from app.live.preview import Preview
from app.live.source_library import SourceLibrary
from app.models.audio_store import audio_hash
from app.models.autosave import Autosave, Recovery, find_recovery
from app.models.document import Document
from app.models.edits import add_source, move_cursor
from app.models.session import Session
from app.models.session_file import SessionContents, load_session
from app.screenshot import Screenshot
from app.settings import AppSettings, SettingsError, load_settings, save_settings
from app.studio import Studio
from app.theme import DARK, LIGHT, apply_theme
from app.window import MainWindow
from core.audio.files import read_audio
from core.errors import CoreError, SessionFileError
from core.inference.service import RenderService

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine

SAMPLES_FOLDER = Path(__file__).resolve().parents[1] / "resources" / "samples"
APPLICATION_NAME = "HyperGANStrument"
LOG_BYTES = 1 << 20
CACHE_BYTES = 48 << 20
"""Size of the cache of rendered notes: one timbre of 88 notes. The sampler holds the present one besides."""
HANDOVER_S = 0.001
"""After which a thread of Python lets the window go on."""
PAINTED_MS = 30
"""After the window was shown."""

EngineLoader = Callable[[], "SynthesisEngine"]
_log = logging.getLogger(__name__)


class Application(QObject):
    """The program: window, sound, networks, files.

    *Signals:* ``stream_changed`` and ``midi_changed`` bring states from their threads to the GUI's.

    *Thread:* GUI.

    Args:
        settings: Settings of the program.
        load_engine: Makes the engine, on the render service's thread.
        audio: Where sound goes; None for the system's devices.
        midi: Where MIDI comes from; None for the system's ports.
        settings_folder: Where settings are kept; None for the user's.
        recovery_folder: Where sessions are kept against crashes; None for the user's.
        dragged_folder: Where files are kept that were dragged out; None for the user's.
    """

    stream_changed = Signal(object)
    midi_changed = Signal(object)

    def __init__(
        self,
        settings: AppSettings,
        load_engine: EngineLoader,
        *,
        audio: AudioSystem | None = None,
        midi: MidiSystem | None = None,
        settings_folder: Path | None = None,
        recovery_folder: Path | None = None,
        dragged_folder: Path | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._settings_folder = settings_folder
        self._recovery_folder = recovery_folder
        self._recovery: Recovery | None = None
        self._is_closed = False
        gui, messages, document = GuiThread(self), Messages(self), Document()
        tasks, bridge = TaskRunner(gui), RenderBridge(self)
        service = RenderService(
            load_engine,
            on_note=bridge.on_note,
            on_failure=bridge.on_failure,
            on_status=bridge.on_status,
            cache_bytes=CACHE_BYTES,
        )
        player = Player(self.stream_changed.emit, audio)
        book = SourceLibrary(document, tasks, service, messages, self)
        sound = Preview(document, book, player, service, bridge, self)
        keys = Keys(player, service.set_held, self)
        performer = MidiPerformer(keys, player, gui, self._move_pad)
        self.studio = Studio(
            gui=gui,
            tasks=tasks,
            messages=messages,
            document=document,
            autosave=Autosave(recovery_folder, on_failure=messages.warn),
            player=player,
            midi=MidiInput(performer, self.midi_changed.emit, midi),
            bridge=bridge,
            service=service,
            book=book,
            sound=sound,
            keys=keys,
            importer=Importer(document, book, tasks, messages, self),
            dragged=DraggedFiles(dragged_folder),
        )
        self.window = MainWindow(self.studio, settings)
        self._connect()

    def start(self, files: Sequence[Path], *, shows_examples: bool = True) -> None:
        """Show the window and let everything slow begin behind it.

        Args:
            files: Sounds, folders or a session to open.
            shows_examples: Whether a start without files shows the bundled samples.
        """
        self.window.show()
        # What is slow begins when the window has been painted.
        QTimer.singleShot(
            PAINTED_MS, self, partial(self._start_behind, tuple(files), shows_examples)
        )

    def _start_behind(self, files: Sequence[Path], shows_examples: bool) -> None:
        if self._is_closed:
            return
        self.studio.player.open(output_settings(self._settings))
        self.studio.midi.choose(self._settings.midi_inputs)
        self.studio.service.start()
        self._keep_against_crashes()
        if files:
            self.studio.importer.add(files)
        elif shows_examples:
            self.studio.tasks.run(
                partial(read_examples, SAMPLES_FOLDER), self._show_examples, self._complain
            )

    def close(self) -> None:
        """Take everything apart; returns when all threads have ended."""
        if self._is_closed:
            return
        self._is_closed = True
        self.studio.midi.close()
        self.studio.player.close()
        self.studio.tasks.close()
        self.studio.service.close()
        self.studio.autosave.close()
        if self._recovery is not None:
            self._recovery.release()

    def _connect(self) -> None:
        self.stream_changed.connect(self._stream_changed, Qt.ConnectionType.QueuedConnection)
        self.midi_changed.connect(self._midi_changed, Qt.ConnectionType.QueuedConnection)
        self.window.settings_changed.connect(self._take_settings)
        # The window is gone before threads are waited for.
        self.window.closed.connect(self.close, Qt.ConnectionType.QueuedConnection)

    def _stream_changed(self, state: StreamState) -> None:
        self.window.show_audio(state)

    def _midi_changed(self, state: MidiState) -> None:
        self.window.show_midi(state)

    def _move_pad(self, x: float | None, y: float | None) -> None:
        self.window.cursor_control.move_by_controller(x, y)

    def _complain(self, error: Exception) -> None:
        self.studio.messages.error(describe(error))

    def _show_examples(self, contents: SessionContents) -> None:
        if not self.studio.document.session.sources:
            self.window.show_examples(contents)

    def _take_settings(self, settings: AppSettings) -> None:
        before, self._settings = self._settings, settings
        if output_settings(before) != output_settings(settings):
            self.studio.player.open(output_settings(settings))
        if before.midi_inputs != settings.midi_inputs:
            self.studio.midi.choose(settings.midi_inputs)
        self.window.set_settings(settings)
        if before.theme != settings.theme:
            use_theme(settings)
            self.window.theme_changed()
        try:
            save_settings(settings, self._settings_folder)
        except SettingsError as error:
            self._complain(error)

    def _keep_against_crashes(self) -> None:
        try:
            self._recovery = find_recovery(self._recovery_folder)
            self.studio.autosave.start()
        except (SessionFileError, OSError) as error:
            self.studio.messages.warn(describe(error))
            return
        self.studio.autosave.follow(self.studio.document)
        if self._recovery is not None:
            self.window.offer_recovery(self._restore, self._discard)

    def _restore(self) -> None:
        self.window.files.leave(self._load_recovery)

    def _load_recovery(self) -> None:
        if self._recovery is not None:
            self.studio.tasks.run(
                partial(load_session, self._recovery.path), self._recovered, self._not_recovered
            )

    def _recovered(self, contents: SessionContents) -> None:
        recovery, self._recovery = self._recovery, None
        self.window.files.recover(contents)
        if recovery is not None:
            self.studio.autosave.adopt(recovery)

    def _not_recovered(self, error: Exception) -> None:
        _log.error("The session of last time cannot be read.", exc_info=error)
        recovery, self._recovery = self._recovery, None
        if recovery is not None:
            kept = recovery.set_aside()
            self.studio.messages.error(
                f"The session of last time cannot be read; it is kept as '{kept}'."
            )

    def _discard(self) -> None:
        recovery, self._recovery = self._recovery, None
        if recovery is not None:
            recovery.discard()


def output_settings(settings: AppSettings) -> OutputSettings:
    """What the sound output is asked for."""
    return OutputSettings(
        device=settings.audio_device,
        sample_rate=settings.sample_rate,
        block_frames=settings.block_size,
    )


def read_examples(folder: Path) -> SessionContents:
    """The bundled samples as a session, the cursor on the first of them.

    Raises:
        AudioFileError: One cannot be read.
    """
    session, clips = Session(), {}
    for path in sorted(folder.glob("*.wav")):
        clip = read_audio(path)
        key = audio_hash(clip)
        clips[key] = clip
        session = add_source(session, audio_hash=key, name=clip.name)
    if session.sources:
        first = session.sources[0]
        session = move_cursor(session, first.x, first.y)
    return SessionContents(session=session, clips=clips)


def use_theme(settings: AppSettings) -> None:
    """Colour the program as the settings say."""
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    is_dark = settings.theme == "dark"
    if settings.theme == "system":
        scheme = QGuiApplication.styleHints().colorScheme()
        is_dark = scheme is not Qt.ColorScheme.Light
    apply_theme(application, DARK if is_dark else LIGHT)


def run(args: WindowArguments) -> int:
    """Open the window and stay until it is closed.

    Args:
        args: What to open, and how.

    Returns:
        Exit code.
    """
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(
        Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
    )
    application = QApplication.instance() or QApplication([APPLICATION_NAME])
    assert isinstance(application, QApplication)
    application.setApplicationName(APPLICATION_NAME)
    application.setApplicationDisplayName(APPLICATION_NAME)
    sys.setswitchinterval(HANDOVER_S)
    settings, complaint = load_settings()
    if args.theme is not None:
        settings = replace(settings, theme="light" if args.theme == "light" else "dark")
    use_theme(settings)
    program = Application(settings, partial(load_engine, settings.compute_device))
    log = _start_logging()
    _report_failures(program.studio.messages, log)
    if complaint is not None:
        program.studio.messages.warn(complaint)
    if args.screenshot is not None:
        picture = Screenshot(program.studio, program.window, args.screenshot, args.size)
        picture.start()
    is_new_here = not settings.recent_files
    program.start(args.files, shows_examples=is_new_here or args.screenshot is not None)
    if not args.files and not is_new_here:
        program.window.files.offer_last()
    exit_code = application.exec()
    program.close()
    _leave_if_busy(exit_code)
    return exit_code


def _leave_if_busy(exit_code: int) -> None:
    """End the process at once where a library is still being loaded or compiled on a thread.

    Nothing can interrupt that, and Python must not be taken apart under it.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(exit_code)


def load_engine(device: str, model: Path | None = None) -> SynthesisEngine:
    """Load the networks, on the service's thread: the bundled ones unless others are named.

    They compute on all cores but one, which the window and the sound keep: a moved pad is heard
    sooner so, because nothing waits for a core that repaints.
    """
    import torch  # slow to import, and the window is shown before

    from core.inference.engine import SynthesisEngine

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    return SynthesisEngine.load(model, device)


def _start_logging() -> Path:
    path = user_log_path("hyperganstrument", appauthor=False) / "hyperganstrument.log"
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1)
    except OSError:
        handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    return path


def _report_failures(messages: Messages, log: Path) -> None:
    """Unexpected errors are logged and said once; the program goes on."""

    def report(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QApplication.quit()
            return
        _log.error("Unexpected error.", exc_info=(kind, error, trace))
        text = describe(error)
        messages.error(text if isinstance(error, CoreError) else f"{text[:-1]}: {log}")

    def report_thread(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None:
            report(failed.exc_type, failed.exc_value, failed.exc_traceback)

    sys.excepthook = report
    threading.excepthook = report_thread
