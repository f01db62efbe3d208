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
from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from app.actions import Actions, keys_page, window_actions
from app.audio.midi_input import MidiInput, MidiSystem, port_label
from app.audio.output_stream import OutputSettings
from app.audio.player import Player
from app.audio.portaudio import AudioSystem
from app.background.device_bridge import DeviceBridge
from app.background.gui_thread import GuiThread
from app.background.render_bridge import RenderBridge
from app.background.task_runner import TaskRunner
from app.cli.window import WindowArguments
from app.dialogs.about import AboutDialog, KeysDialog
from app.dialogs.settings_dialog import SettingsDialog
from app.error_text import describe
from app.live.drag_out import DragOut
from app.live.dragged_files import DraggedFiles
from app.live.editor import Editor
from app.live.export_orders import ExportOrders
from app.live.importer import Importer
from app.live.keys import Keys
from app.live.messages import Answer, Messages
from app.live.meters import OutputMeters
from app.live.midi_performer import MidiPerformer
from app.live.preview import Preview
from app.live.settings_store import SettingsStore
from app.live.snapshot_rendering import SnapshotRendering
from app.live.source_library import SourceLibrary
from app.models.audio_store import audio_hash
from app.models.autosave import Autosave, Recovery, find_recovery
from app.models.document import Document
from app.models.edits import add_source, move_cursor
from app.models.session import Session
from app.models.session_file import SessionContents, load_session
from app.panels.envelope import EnvelopePanel
from app.panels.export import Exports
from app.panels.files import SessionFiles
from app.panels.message_area import MessageArea
from app.panels.output import OutputPanel
from app.panels.pad import PadPanel
from app.panels.piano import PianoPanel
from app.panels.pictures import PicturesPanel
from app.panels.snapshots import SnapshotsPanel
from app.panels.sound import SoundPanel
from app.panels.sources import SourcesPanel
from app.panels.status_line import StatusLine
from app.screenshot import Screenshot
from app.settings import AppSettings, load_settings
from app.theme import DARK, LIGHT, apply_theme
from app.widgets.computer_keyboard import ComputerKeyboard
from app.window import MainWindow
from core.audio.files import read_audio
from core.errors import CoreError, SessionFileError
from core.inference.service import RenderService, ServiceState, ServiceStatus

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

EngineLoader = Callable[[Callable[[str], None]], "SynthesisEngine"]
"""Makes the engine; it is given what tells a person about a fallback, from any thread."""
_log = logging.getLogger(__name__)


class Application(QObject):
    """The program: window, sound, networks, files.

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
        self._recovery_folder = recovery_folder
        self._recovery: Recovery | None = None
        self._is_closed = False
        self._has_failed = False
        gui = GuiThread(self)
        self.tasks = TaskRunner(gui)
        self.messages = Messages(self)
        self.document = Document()
        self.settings = SettingsStore(settings, self.messages, settings_folder, self)
        self._rendering, self._devices = RenderBridge(self), DeviceBridge(self)
        self.service = RenderService(
            lambda: load_engine(self.messages.warn),
            on_note=self._rendering.on_note,
            on_failure=self._rendering.on_failure,
            on_status=self._rendering.on_status,
            cache_bytes=CACHE_BYTES,
        )
        self.player = Player(self._devices.on_stream, audio)
        self.library = SourceLibrary(self.document, self.tasks, self.service, self.messages, self)
        self.preview = Preview(
            self.document, self.library, self.player, self.service, self._rendering, self
        )
        self.keys = Keys(self.player, self.service.set_held, self)
        performer = MidiPerformer(self.keys, self.player, gui, self._move_pad)
        self.midi = MidiInput(performer, self._devices.on_midi, midi)
        self.importer = Importer(self.document, self.library, self.tasks, self.messages, self)
        self._autosave = Autosave(recovery_folder, on_failure=self.messages.warn)
        self._meters = OutputMeters(self.player, self)
        self._make_window(dragged_folder)
        self._connect()

    def _make_window(self, dragged_folder: Path | None) -> None:
        """Make the panels, each with what it uses, and put them into the window."""
        document, preview, library = self.document, self.preview, self.library
        messages, settings, importer = self.messages, self.settings, self.importer
        editor = Editor(document, messages, self)
        orders = ExportOrders(document, library, preview, self.service, self.tasks, self)
        dragging = DragOut(document, orders, preview, messages, DraggedFiles(dragged_folder))
        letters = ComputerKeyboard(self)
        window = self.window = MainWindow(document, settings)
        self.files = SessionFiles(document, importer, self.tasks, messages, settings, window)
        self.exports = Exports(
            document, editor, orders, library, preview, self._rendering, messages, settings, window
        )
        self.message_area = MessageArea(messages)
        self.sources = SourcesPanel(
            document, editor, library, importer, preview, self.keys, messages, settings
        )
        self.pad = PadPanel(
            editor,
            library,
            importer,
            preview,
            SnapshotRendering(editor, preview, self.service, self.tasks, messages),
        )
        self.sound = SoundPanel(editor)
        self.envelope = EnvelopePanel(editor)
        self.pictures = PicturesPanel(
            document, editor, library, preview, self.keys, self.tasks, settings
        )
        self.output = OutputPanel(document, editor, preview, self._meters, dragging)
        self.snapshots = SnapshotsPanel(editor, preview)
        self.piano = PianoPanel(editor, library, preview, self.keys, letters, settings)
        self.status = StatusLine(
            library, preview, self._rendering, self._devices, self._meters, letters, settings
        )
        window.place(
            messages=self.message_area,
            sources=self.sources,
            pad=self.pad,
            sound=self.sound,
            envelope=self.envelope,
            pictures=self.pictures,
            output=self.output,
            snapshots=self.snapshots,
            piano=self.piano,
            status=self.status,
        )
        self._rows = window_actions(
            document=document,
            settings=settings,
            files=self.files,
            sources=self.sources,
            pad=self.pad,
            sound=self.sound,
            output=self.output,
            snapshots=self.snapshots,
            export=self.exports.show_dialog,
            silence=self.silence,
            quit_program=window.close,
            show_settings=self._show_settings,
            show_keys=lambda: KeysDialog(keys_page(self._rows), window).open(),
            show_about=lambda: AboutDialog(self._rendering.status.device_name, window).open(),
        )
        self._actions = Actions(window, self._rows, editor, settings)

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

    @property
    def is_settled(self) -> bool:
        """Whether the window shows all that there is to show."""
        is_empty = self.preview.sound is None
        is_drawn = self.pad.is_settled and (is_empty or self.pictures.is_current)
        if self.importer.is_busy or not is_drawn:
            return False
        if not self.document.session.sources or self._has_failed:
            return True
        return not self.library.is_busy and self.preview.is_complete

    def silence(self) -> None:
        """Let go of all keys and end all sound and movement."""
        self.pad.stop_path()
        self.piano.release_all()
        self.keys.silence()

    def show_examples(self, contents: SessionContents) -> None:
        """Start with the bundled samples, unless the person has dropped something already."""
        if not self.document.session.sources:
            self.document.new(contents)
            self.importer.examples = contents.session.audio_hashes

    def close(self) -> None:
        """Take everything apart; returns when all threads have ended."""
        if self._is_closed:
            return
        self._is_closed = True
        self.midi.close()
        self.player.close()
        self.tasks.close()
        self.service.close()
        self._autosave.close()
        if self._recovery is not None:
            self._recovery.release()

    def _start_behind(self, files: Sequence[Path], shows_examples: bool) -> None:
        if self._is_closed:
            return
        self.player.open(output_settings(self.settings.value))
        self.midi.choose(self.settings.value.midi_inputs)
        self.service.start()
        self._keep_against_crashes()
        if files:
            self.importer.add(files)
        elif shows_examples:
            self.tasks.run(
                partial(read_examples, SAMPLES_FOLDER), self.show_examples, self._complain
            )

    def _connect(self) -> None:
        window, files = self.window, self.files
        window.files_dropped.connect(self.importer.add)
        window.close_asked.connect(lambda: files.leave(window.close_now))
        window.closed.connect(self._window_closed)
        # The window is gone before threads are waited for.
        window.closed.connect(self.close, Qt.ConnectionType.QueuedConnection)
        files.leaving.connect(self.silence)
        self.snapshots.recalling.connect(self.pad.stop_path)
        self.status.fit_cancelled.connect(self.sources.stop_fit)
        self.settings.changed.connect(self._take_settings)
        self._rendering.status_changed.connect(self._rendering_changed)

    def _window_closed(self) -> None:
        self._meters.stop()
        self.pad.stop_path()
        self.piano.stop()

    def _move_pad(self, x: float | None, y: float | None) -> None:
        self.pad.move_by_controller(x, y)

    def _rendering_changed(self, status: ServiceStatus) -> None:
        if status.state is ServiceState.FAILED and not self._has_failed:
            self._has_failed = True
            self.messages.error(status.message)

    def _complain(self, error: Exception) -> None:
        self.messages.error(describe(error))

    def _show_settings(self) -> None:
        dialog = SettingsDialog(
            self.settings.value,
            self.player.devices,
            [port_label(port) for port in self.midi.state.ports],
            self.player.state.message,
            self.midi.state.message,
            self.window,
        )
        dialog.accepted.connect(lambda: self.settings.change(dialog.settings))
        dialog.open()

    def _take_settings(self, before: AppSettings, after: AppSettings) -> None:
        if output_settings(before) != output_settings(after):
            self.player.open(output_settings(after))
        if before.midi_inputs != after.midi_inputs:
            self.midi.choose(after.midi_inputs)
        if before.theme != after.theme:
            use_theme(after)

    def _keep_against_crashes(self) -> None:
        try:
            self._recovery = find_recovery(self._recovery_folder)
            self._autosave.start()
        except (SessionFileError, OSError) as error:
            self.messages.warn(describe(error))
            return
        self._autosave.follow(self.document)
        if self._recovery is not None:
            self.messages.warn(
                "The program ended unexpectedly last time; its session was kept.",
                Answer(text="Restore it", act=self._restore),
                Answer(text="Discard it", act=self._discard),
            )

    def _restore(self) -> None:
        self.files.leave(self._load_recovery)

    def _load_recovery(self) -> None:
        if self._recovery is not None:
            self.tasks.run(
                partial(load_session, self._recovery.path), self._recovered, self._not_recovered
            )

    def _recovered(self, contents: SessionContents) -> None:
        recovery, self._recovery = self._recovery, None
        self.files.recover(contents)
        if recovery is not None:
            self._autosave.adopt(recovery)

    def _not_recovered(self, error: Exception) -> None:
        _log.error("The session of last time cannot be read.", exc_info=error)
        recovery, self._recovery = self._recovery, None
        if recovery is not None:
            kept = recovery.set_aside()
            self.messages.error(f"The session of last time cannot be read; it is kept as '{kept}'.")

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
    program = Application(settings, partial(load_engine, settings.compute_device, None))
    log = _start_logging()
    _report_failures(program.messages, log)
    if complaint is not None:
        program.messages.warn(complaint)
    if args.screenshot is not None:
        picture = Screenshot(program.window, lambda: program.is_settled, args.screenshot, args.size)
        picture.start()
    is_new_here = not settings.recent_files
    program.start(args.files, shows_examples=is_new_here or args.screenshot is not None)
    if not args.files and not is_new_here:
        program.files.offer_last()
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


def load_engine(
    device: str,
    model: Path | None = None,
    on_message: Callable[[str], None] | None = None,
) -> SynthesisEngine:
    """Load the networks, on the service's thread: the bundled ones unless others are named.

    They compute on all cores but one, which the window and the sound keep: a moved pad is heard
    sooner so, because nothing waits for a core that repaints.
    """
    import torch  # slow to import, and the window is shown before

    from core.inference.engine import SynthesisEngine

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    return SynthesisEngine.load(model, device, on_message)


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
