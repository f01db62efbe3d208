"""The window: where its parts lie, and what each gesture does to the document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QByteArray, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QColor,
    QDesktopServices,
    QDragEnterEvent,
    QDropEvent,
    QKeySequence,
)
from PySide6.QtWidgets import (
    QApplication,
    QColorDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QMessageBox,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.audio.midi_input import MidiState, port_label
from app.audio.output_stream import OutputSettings, StreamState
from app.dialogs.about import AboutDialog, KeysDialog
from app.dialogs.error_text import describe
from app.dialogs.export_dialog import ExportDialog
from app.dialogs.settings_dialog import SettingsDialog
from app.models import edits
from app.models.audio_store import audio_hash
from app.models.pad import audible, source_weights
from app.models.pad_path import PadPath
from app.models.session import SNAPSHOT_SLOTS, ExportSettings, Session, SoundSettings, Source
from app.models.session_file import SUFFIX, SessionContents, load_session, save_session
from app.settings import AppSettings, MiddleC, ThemeName, forget_file, remember_file
from app.theme import GRID, theme_of
from app.views.keys import Hand
from app.views.landscape import landscape
from app.views.messages import Answer, MessageArea
from app.views.output_panel import OutputPanel
from app.views.path_bar import PathBar
from app.views.picture_panel import PicturePanel
from app.views.sound_panel import SoundPanel
from app.views.status_line import StatusLine
from app.views.studio import Studio
from app.widgets.computer_keyboard import ComputerKeyboard
from app.widgets.dropped_data import dropped_files
from app.widgets.envelope_editor import EnvelopeEditor
from app.widgets.key_layout import HIGHEST_NOTE, LOWEST_NOTE
from app.widgets.piano_keyboard import KeyState, PianoKeyboard
from app.widgets.snapshot_bar import SnapshotBar
from app.widgets.source_row import SourceView
from app.widgets.source_shelf import SourceShelf
from app.widgets.timbre_pad import PadSource, TimbrePad
from app.workers.export_job import ExportJob, ExportOrder, top_level
from core.audio.files import AudioClip, write_audio
from core.audio.pitch import file_note_name
from core.errors import CoreError
from core.export.files import safe_stem
from core.inference.service import ServiceState, ServiceStatus
from core.instrument import Envelope

ValueT = TypeVar("ValueT")

METER_MS = 33
"""Between two looks at meters and playhead."""
FIELD_MS = 40
"""Between two paintings of the pad's field while a source is dragged."""
WHEEL_SETTLE_MS = 400
"""After the last MIDI controller the move of the cursor is one step."""
AUDITION_VELOCITY = 110
LONGEST_AUDITION_S = 3.0
"""How long a recording is played when it is asked for."""
_SOUND_FILTER = (
    "Sounds and sessions (*.wav *.aif *.aiff *.flac *.ogg *.mp3 *.opus *.caf *.au *.w64 "
    f"*{SUFFIX});;All files (*)"
)


class MainWindow(QMainWindow):
    """Shelf, pad and pictures above sound, envelope and output; the piano below.

    *Signals:*
        settings_changed(AppSettings): to be kept, and applied where they concern others.
        closed(): the window was closed for good.

    *Thread:* GUI.

    Args:
        studio: Everything behind the window.
        settings: Of the program.
    """

    settings_changed = Signal(object)
    closed = Signal()

    def __init__(self, studio: Studio, settings: AppSettings) -> None:
        super().__init__()
        self._studio = studio
        self._document = studio.document
        self._settings = settings
        self._status = ServiceStatus(state=ServiceState.LOADING)
        self._selected: str | None = None
        self._learning: str | None = None
        self._last_struck: int | None = None
        self._export_dialog: ExportDialog | None = None
        self._drag_order: ExportOrder | None = None
        self._drag_job: ExportJob | None = None
        self._dragged_files: list[Path] = []
        self.messages = MessageArea()
        self.shelf = SourceShelf()
        self.pad = TimbrePad()
        self.paths = PathBar()
        self.pictures = PicturePanel(studio.document, studio.book, studio.sound, studio.tasks)
        self.sound_panel = SoundPanel()
        self.envelope = EnvelopeEditor()
        self.output = OutputPanel(self._note_files, self._instrument_files)
        self.snapshots = SnapshotBar()
        self.piano = PianoKeyboard()
        self.status = StatusLine()
        self.letters = ComputerKeyboard(self)
        self._meters = QTimer(self, interval=METER_MS)
        self._field = QTimer(self, singleShot=True, interval=FIELD_MS)
        self._controller = QTimer(self, singleShot=True, interval=WHEEL_SETTLE_MS)
        self._audition_end = QTimer(self, singleShot=True)
        self._states_stale = True
        self.setAcceptDrops(True)
        self.setMinimumSize(1024, 640)
        self._lay_out()
        self._make_actions()
        self._connect()
        self._restore_geometry()
        self.set_settings(settings)
        self._show_session(None, self._document.session)
        self._meters.start()

    # --- what others ask of the window ---

    @property
    def document_name(self) -> str:
        """Name of the session for people."""
        path = self._document.path
        return "Untitled" if path is None else path.stem

    def set_settings(self, settings: AppSettings) -> None:
        """Show settings that were changed."""
        self._settings = settings
        for widget in (self.shelf, self.piano, self.pictures):
            widget.set_middle_c(settings.middle_c)
        self._show_letters()
        self._fill_recent()
        self._theme_actions[settings.theme].setChecked(True)
        self._octave_actions[settings.middle_c].setChecked(True)

    def theme_changed(self) -> None:
        """Paint what does not follow the palette by itself."""
        self._paint_field()
        self._show_letters()
        self.status.show_service(self._status)
        self.status.show_audio(self._studio.player.state)

    def open_files(self, paths: list[Path]) -> None:
        """Add sounds, or open a session."""
        if paths:
            self._studio.importer.add(paths)

    def open_session(self, path: Path) -> None:
        """Open a session file after what is not saved was asked for."""
        if self._may_discard():
            self._studio.tasks.run(
                partial(load_session, path), partial(self._opened, path), partial(self._gone, path)
            )

    def show_examples(self, contents: SessionContents) -> None:
        """Start with the bundled samples."""
        self._document.new(contents)
        self._studio.importer.examples = contents.session.audio_hashes

    @property
    def is_settled(self) -> bool:
        """Whether the pictures show what there is."""
        is_empty = self._studio.sound.settings is None
        return not self._field.isActive() and (is_empty or self.pictures.is_current)

    def offer_last_session(self) -> None:
        """Say that the session of last time can be opened."""
        path = Path(self._settings.recent_files[0])
        if path.exists():
            self._studio.messages.info(
                f"Last time you worked on '{path.stem}'.",
                Answer(text="Open it", act=partial(self.open_session, path)),
            )

    def offer_recovery(self, restore: Callable[[], None], discard: Callable[[], None]) -> None:
        """Say that a crash left a session behind."""
        self._studio.messages.warn(
            "The program ended unexpectedly last time; its session was kept.",
            Answer(text="Restore it", act=restore),
            Answer(text="Discard it", act=discard),
        )

    def show_audio(self, state: StreamState) -> None:
        """The sound output stands otherwise."""
        self.status.show_audio(state)

    def show_midi(self, state: MidiState) -> None:
        """MIDI ports came or went."""
        self.status.show_midi(state.message, bool(state.open_ports))

    def move_cursor_by_controller(self, x: float | None, y: float | None) -> None:
        """A MIDI controller moves the cursor along one axis."""
        session = self._document.session
        place = (session.x if x is None else x, session.y if y is None else y)
        self._edit("Move the cursor", lambda s: edits.move_cursor(s, *place), "controller")
        self._controller.start()

    # --- layout ---

    def _lay_out(self) -> None:
        upper = QSplitter(Qt.Orientation.Horizontal)
        upper.addWidget(_column(_heading("Sources"), self.shelf))
        upper.addWidget(_column(_pad_heading(self.paths), self.pad))
        upper.setStretchFactor(1, 1)
        lower = QWidget()
        strip = QHBoxLayout(lower)
        strip.setContentsMargins(0, 0, 0, 0)
        strip.setSpacing(3 * GRID)
        strip.addWidget(_column(_heading("Sound"), self.sound_panel), 1)
        strip.addWidget(_column(_heading("Envelope"), self.envelope), 1)
        lower.setFixedHeight(lower.sizeHint().height())
        left = _column(upper, lower, stretched=upper)
        right = _column(self.pictures, self.output, stretched=self.pictures)
        for column in (left, right):
            column.layout().setSpacing(GRID + GRID // 2)
        sides = QSplitter(Qt.Orientation.Horizontal)
        sides.addWidget(left)
        sides.addWidget(right)
        sides.setStretchFactor(0, 3)
        sides.setStretchFactor(1, 2)
        sides.setSizes([780, 480])
        upper.setSizes([290, 490])
        for splitter in (upper, sides):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(2 * GRID)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(GRID + GRID // 2, GRID // 2, GRID + GRID // 2, 0)
        layout.setSpacing(GRID)
        layout.addWidget(self.messages)
        layout.addWidget(sides, 1)
        layout.addWidget(self.snapshots)
        self.piano.setFixedHeight(13 * GRID)
        layout.addWidget(self.piano)
        layout.addWidget(self.status)
        self.setCentralWidget(content)
        self.resize(1280, 800)

    def _restore_geometry(self) -> None:
        if self._settings.window_geometry:
            self.restoreGeometry(QByteArray(self._settings.window_geometry))

    # --- actions ---

    def _make_actions(self) -> None:
        bar = self.menuBar()
        file_menu = bar.addMenu("&File")
        self._action(file_menu, "&New session", "Ctrl+N", self._new)
        self.open_action = self._action(file_menu, "&Open…", "Ctrl+O", self._ask_open)
        self._recent = file_menu.addMenu("Open &recent")
        file_menu.addSeparator()
        self.save_action = self._action(file_menu, "&Save", "Ctrl+S", self.save)
        self._action(file_menu, "Save &as…", "Ctrl+Shift+S", self._ask_save)
        file_menu.addSeparator()
        self.export_action = self._action(file_menu, "&Export…", "Ctrl+E", self.show_export)
        file_menu.addSeparator()
        self._action(file_menu, "&Quit", "Ctrl+Q", self.close)
        edit_menu = bar.addMenu("&Edit")
        self.undo_action = self._action(edit_menu, "&Undo", "Ctrl+Z", self._document.undo)
        self.redo_action = self._action(edit_menu, "&Redo", "Ctrl+Shift+Z", self._document.redo)
        self._history = edit_menu.addMenu("&History")
        self._history.aboutToShow.connect(self._fill_history)
        edit_menu.addSeparator()
        self._action(edit_menu, "&Paste files", "Ctrl+V", self._paste)
        self._action(edit_menu, "Se&ttings…", "Ctrl+,", self._show_settings)
        sound_menu = bar.addMenu("&Sound")
        self._action(sound_menu, "Compare &source and result", "B", self.output.toggle_original)
        self._action(sound_menu, "&Roll the dice", "", self.sound_panel.roll)
        self._action(sound_menu, "&Centre the cursor", "Ctrl+0", self._centre)
        self._action(sound_menu, "S&ilence", "Ctrl+.", self._silence)
        snapshots = sound_menu.addMenu("S&napshots")
        for slot in range(SNAPSHOT_SLOTS):
            self._action(
                snapshots, f"Recall {slot + 1}", f"Ctrl+{slot + 1}", partial(self._recall, slot)
            )
        snapshots.addSeparator()
        for slot in range(SNAPSHOT_SLOTS):
            self._action(
                snapshots, f"Store in {slot + 1}", f"Ctrl+Alt+{slot + 1}",
                partial(self._store, slot),
            )  # fmt: skip
        view_menu = bar.addMenu("&View")
        themes: dict[ThemeName, str] = {
            "dark": "&Dark theme", "light": "&Light theme", "system": "Theme of the &system",
        }  # fmt: skip
        self._theme_actions = self._choice(
            view_menu, themes, lambda theme: replace(self._settings, theme=theme)
        )
        view_menu.addSeparator()
        octaves: dict[MiddleC, str] = {
            3: "Note 60 is C&3",
            4: "Note 60 is C&4",
            5: "Note 60 is C&5",
        }
        self._octave_actions = self._choice(
            view_menu, octaves, lambda octave: replace(self._settings, middle_c=octave)
        )
        help_menu = bar.addMenu("&Help")
        self._action(help_menu, "&Keys", "F1", lambda: KeysDialog(self).open())
        self._action(help_menu, "&About", "", self._show_about)
        tools = QWidget(bar)
        row = QHBoxLayout(tools)
        row.setContentsMargins(0, GRID // 2, GRID + GRID // 2, 0)
        row.setSpacing(GRID // 2)
        for action in (self.open_action, self.save_action, self.undo_action, self.redo_action,
                       self.export_action):  # fmt: skip
            button = QToolButton()
            button.setDefaultAction(action)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            row.addWidget(button)
        bar.setCornerWidget(tools)
        tools.show()

    def _action(self, menu: QMenu, text: str, shortcut: str, act: Callable[[], object]) -> QAction:
        action = QAction(text, self)
        menu.addAction(action)
        plain = text.replace("&", "").rstrip("…")
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
        action.setToolTip(f"{plain} ({shortcut})" if shortcut else plain)
        action.triggered.connect(lambda _checked=False: act())
        return action

    def _choice(
        self,
        menu: QMenu,
        texts: dict[ValueT, str],
        change: Callable[[ValueT], AppSettings],
    ) -> dict[ValueT, QAction]:
        """Actions of which one is checked; each changes a setting."""
        group = QActionGroup(self)
        actions = {}
        for value, text in texts.items():
            action = QAction(text, self)
            menu.addAction(action)
            action.setCheckable(True)
            group.addAction(action)
            action.triggered.connect(
                lambda _checked=False, value=value: self.settings_changed.emit(change(value))
            )
            actions[value] = action
        return actions

    # --- wiring ---

    def _connect(self) -> None:
        studio = self._studio
        self._document.subscribe(self._show_session)
        studio.messages.told.connect(self.messages.show_message)
        studio.book.changed.connect(self._book_changed)
        studio.sound.mix_changed.connect(self._show_weights)
        studio.sound.states_changed.connect(self._states_changed)
        studio.bridge.status_changed.connect(self._show_service)
        studio.importer.added.connect(self._select)
        studio.importer.session_dropped.connect(self.open_session)
        studio.keys.struck.connect(self._struck)
        studio.keys.changed.connect(self._show_pressed)
        self._meters.timeout.connect(self._tick)
        self._field.timeout.connect(self._paint_field)
        self._controller.timeout.connect(self._document.end_gesture)
        self._audition_end.timeout.connect(self._end_audition)
        self._connect_shelf()
        self._connect_pad()
        self._connect_strip()
        self._connect_keys()

    def _connect_shelf(self) -> None:
        shelf = self.shelf
        shelf.files_dropped.connect(self.open_files)
        shelf.selected.connect(self._select)
        shelf.name_changed.connect(
            lambda i, name: self._edit(
                f"Rename to {name}", lambda s: edits.rename_source(s, i, name)
            )
        )
        shelf.colour_requested.connect(self._ask_colour)
        shelf.root_changed.connect(
            lambda i, root: self._edit("Set the root", lambda s: edits.set_root(s, i, root))
        )
        shelf.root_reset.connect(
            lambda i: self._edit("Detect the root", lambda s: edits.set_root(s, i, None))
        )
        shelf.root_learn_requested.connect(self._learn_root)
        shelf.octave_shifted.connect(self._shift_octave)
        shelf.muted_changed.connect(
            lambda i, on: self._edit(
                "Mute" if on else "Unmute", lambda s: edits.set_muted(s, i, on)
            )
        )
        shelf.soloed_changed.connect(
            lambda i, on: self._edit(
                "Solo" if on else "Unsolo", lambda s: edits.set_soloed(s, i, on)
            )
        )
        shelf.delete_requested.connect(self._remove)
        shelf.duplicate_requested.connect(
            lambda i: self._edit("Duplicate", lambda s: edits.duplicate_source(s, i))
        )
        shelf.audition_requested.connect(self._audition)
        shelf.moved.connect(
            lambda i, place: self._edit("Reorder", lambda s: edits.reorder_source(s, i, place))
        )

    def _connect_pad(self) -> None:
        pad, paths, end = self.pad, self.paths, self._document.end_gesture
        pad.cursor_moved.connect(self._move_cursor)
        pad.cursor_released.connect(end)
        pad.source_moved.connect(
            lambda i, x, y: self._edit(
                f"Move {self._name(i)}", lambda s: edits.move_source(s, i, x, y), f"place {i}"
            )
        )
        pad.source_released.connect(lambda _i: end())
        pad.source_selected.connect(self._select)
        pad.source_delete_requested.connect(self._remove)
        pad.files_dropped.connect(lambda files, x, y: self._studio.importer.add(files, (x, y)))
        pad.snapshot_dropped.connect(self._drop_snapshot)
        paths.path_changed.connect(self._set_path)
        paths.place_changed.connect(self._play_place)
        paths.stopped.connect(self._path_stopped)
        paths.recording_changed.connect(lambda _on: self._show_path())

    def _connect_strip(self) -> None:
        end = self._document.end_gesture
        self.sound_panel.sound_changed.connect(self._set_sound)
        self.sound_panel.released.connect(end)
        self.envelope.envelope_changed.connect(self._set_envelope)
        self.envelope.envelope_released.connect(end)
        self.output.gain_changed.connect(self._set_gain)
        self.output.gain_released.connect(end)
        self.output.gain.value_changed.connect(self.output.gain_changed)
        self.output.gain.released.connect(self.output.gain_released)
        self.output.original_chosen.connect(self._compare)
        self.output.instrument_handle.clicked.connect(self._prepare_instrument)
        self.pictures.source_wave.range_changed.connect(self._trim)
        self.pictures.source_wave.range_released.connect(end)
        self.snapshots.store_requested.connect(self._store)
        self.snapshots.recall_requested.connect(self._recall)
        self.snapshots.clear_requested.connect(
            lambda slot: self._edit("Clear a snapshot", lambda s: edits.clear_snapshot(s, slot))
        )
        self.snapshots.rename_requested.connect(self._rename_snapshot)

    def _connect_keys(self) -> None:
        keys, piano, letters = self._studio.keys, self.piano, self.letters
        piano.note_on.connect(partial(keys.press, Hand.MOUSE))
        piano.note_off.connect(partial(keys.release, Hand.MOUSE))
        piano.export_range_changed.connect(self._set_range)
        piano.export_range_released.connect(self._document.end_gesture)
        letters.note_on.connect(partial(keys.press, Hand.LETTERS))
        letters.note_off.connect(partial(keys.release, Hand.LETTERS))
        letters.octave_changed.connect(lambda _octave: self._show_letters())
        letters.velocity_changed.connect(lambda _velocity: self._show_letters())
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(letters)

    # --- editing ---

    def _edit(
        self, label: str, change: Callable[[Session], Session], merge_key: str | None = None
    ) -> None:
        """Change the document; what cannot be done is said."""
        try:
            self._document.edit(label, change(self._document.session), merge_key=merge_key)
        except CoreError as error:
            self._studio.messages.error(describe(error))
            self._show_session(None, self._document.session)

    def _name(self, source_id: str) -> str:
        return next((s.name for s in self._document.session.sources if s.id == source_id), "")

    def _source(self, source_id: str | None) -> Source | None:
        return next((s for s in self._document.session.sources if s.id == source_id), None)

    def _move_cursor(self, x: float, y: float) -> None:
        self.paths.play.setChecked(False)
        self.paths.follow(x, y)
        if self.paths.is_recording:
            self._show_path()
        self._edit("Move the cursor", lambda s: edits.move_cursor(s, x, y), "cursor")

    def _centre(self) -> None:
        self._edit("Centre the cursor", lambda s: edits.move_cursor(s, 0.5, 0.5))

    def _set_sound(self, sound: SoundSettings, what: str) -> None:
        label = {
            "refinement": "Change faithfulness", "carry_over": "Change the body",
            "variation": "Change variation", "velocity": "Change the strike", "dice": "Roll the dice",
        }[what]  # fmt: skip
        self._edit(label, lambda s: replace(s, sound=sound), f"sound {what}")

    def _set_envelope(self, envelope: Envelope) -> None:
        self._edit("Change the envelope", lambda s: replace(s, envelope=envelope), "envelope")

    def _set_gain(self, gain_db: int) -> None:
        self._edit("Change the level", lambda s: replace(s, gain_db=float(gain_db)), "gain")

    def _set_range(self, low: int, high: int) -> None:
        self._edit(
            "Change the export range",
            lambda s: replace(s, export=replace(s.export, low_note=low, high_note=high)),
            "export range",
        )
        if self._export_dialog is not None:
            self._export_dialog.set_range(low, high)

    def _set_path(self, path: PadPath | None, what: str) -> None:
        self._edit(what, lambda s: replace(s, path=path), "path" if what.startswith("Ch") else None)

    def _trim(self, start_s: float, end_s: float) -> None:
        source = self._studio.sound.compared
        if source is not None:
            length_s = self._document.clips[source.audio_hash].length_s
            end = None if end_s >= length_s - 1e-4 else end_s
            self._edit(
                f"Trim {source.name}",
                lambda s: edits.trim_source(s, source.id, start_s, end),
                f"trim {source.id}",
            )

    def _shift_octave(self, source_id: str, octaves: int) -> None:
        source = self._source(source_id)
        hearing = None if source is None else self._studio.book.hearing(source)
        if hearing is not None:
            self._edit(
                "Root an octave up" if octaves > 0 else "Root an octave down",
                lambda s: edits.shift_octave(s, source_id, octaves, detected=hearing.root_pitch),
            )

    def _remove(self, source_id: str) -> None:
        self._edit(f"Remove {self._name(source_id)}", lambda s: edits.remove_source(s, source_id))

    def _ask_colour(self, source_id: str) -> None:
        source = self._source(source_id)
        if source is not None:
            dialog = QColorDialog(QColor(source.colour), self)
            dialog.colorSelected.connect(
                lambda colour: self._edit(
                    "Change a colour", lambda s: edits.recolour_source(s, source_id, colour.name())
                )
            )
            dialog.open()

    def _learn_root(self, source_id: str) -> None:
        self._learning = source_id
        self._studio.messages.info(f"Play the key that is the root of '{self._name(source_id)}'.")

    # --- snapshots ---

    def _store(self, slot: int) -> None:
        source = self._studio.sound.loudest
        name = None if source is None else f"{source.name} {slot + 1}"
        self._edit(f"Store snapshot {slot + 1}", lambda s: edits.store_snapshot(s, slot, name))

    def _recall(self, slot: int) -> None:
        if self._document.session.snapshots[slot] is not None:
            self.paths.stop()
            self._edit(f"Recall snapshot {slot + 1}", lambda s: edits.recall_snapshot(s, slot))

    def _rename_snapshot(self, slot: int, name: str) -> None:
        def rename(session: Session) -> Session:
            kept = edits.snapshot_in(session, slot)
            slots = list(session.snapshots)
            slots[slot] = replace(kept, name=edits.display_name(name))
            return replace(session, snapshots=tuple(slots))

        self._edit("Rename a snapshot", rename)

    def _drop_snapshot(self, slot: int, x: float, y: float) -> None:
        """Render a snapshot at one note and make that note a source."""
        session = self._document.session
        if session.snapshots[slot] is None:
            return
        recalled = edits.recall_snapshot(session, slot)
        settings = self._studio.sound.settings_of(recalled, recalled.x, recalled.y)
        if settings is None:
            self._studio.messages.error(
                "The snapshot cannot be rendered yet: its sources are still being listened to."
            )
            return
        note = self._studio.sound.focus
        name = edits.snapshot_in(session, slot).name
        job = self._studio.service.submit(
            lambda engine, progress, cancel: engine.render(
                settings.request((note,)), progress=progress, cancel=cancel
            )
        )
        self._studio.tasks.follow(
            job.future,
            lambda instrument: self._studio.tasks.run(
                partial(_as_source, instrument.regions[0].samples, instrument.sample_rate, name),
                lambda found: self._add_snapshot(slot, note, (x, y), *found),
                self._complain,
            ),
            self._complain,
        )

    def _add_snapshot(
        self, slot: int, note: int, place: tuple[float, float], key: str, clip: AudioClip
    ) -> None:
        try:
            after = edits.add_snapshot_source(
                self._document.session, slot, audio_hash=key, root=note, place=place
            )
            self._document.edit("Drop a snapshot on the pad", after, clips={key: clip})
        except CoreError as error:
            self._complain(error)

    # --- playing ---

    def _struck(self, note: int, _velocity: int) -> None:
        self._last_struck = note
        if self._learning is not None:
            learning, self._learning = self._learning, None
            self._edit("Set the root", lambda s: edits.set_root(s, learning, float(note)))
        self._studio.sound.strike(note)
        self.pictures.strike(note)

    def _show_pressed(self) -> None:
        self.piano.set_pressed(self._studio.keys.held)

    def _play_place(self, x: float, y: float) -> None:
        self._studio.sound.move_live((x, y))
        self.pad.set_cursor(x, y)

    def _path_stopped(self) -> None:
        session = self._document.session
        self._studio.sound.move_live(None)
        self.pad.set_cursor(session.x, session.y)

    def _silence(self) -> None:
        self.paths.stop()
        self.letters.release_all()
        self.piano.release_all()
        for hand in Hand:
            self._studio.keys.let_go(hand)
        self._studio.player.panic()

    def _compare(self, is_original: bool) -> None:
        source = self._studio.sound.compared if is_original else None
        if is_original and source is None:
            self.output.result.setChecked(True)
            return
        self._studio.sound.play_original(source)

    def _audition(self, source_id: str) -> None:
        source = self._source(source_id)
        hearing = None if source is None else self._studio.book.hearing(source)
        if source is None or hearing is None:
            return
        self._end_audition()
        self._studio.sound.play_original(source)
        note = min(max(round(hearing.root_pitch), 0), 127)
        self._studio.keys.press(Hand.PROGRAM, note, AUDITION_VELOCITY)
        length_s = min(len(hearing.samples) / hearing.sample_rate, LONGEST_AUDITION_S)
        self._audition_end.start(round(1000 * length_s))

    def _end_audition(self) -> None:
        self._audition_end.stop()
        self._studio.keys.let_go(Hand.PROGRAM)
        if not self.output.original.isChecked():
            self._studio.sound.play_original(None)

    def _tick(self) -> None:
        meters = self._studio.player.poll()
        if meters is None:
            self.output.meter.set_peaks(0.0, 0.0)
        else:
            self.output.meter.set_peaks(meters.peak_left, meters.peak_right)
            self.status.show_underruns(meters.underruns)
        self.pictures.tick(self._last_struck in self._studio.keys.held)
        if self._states_stale:
            self._states_stale = False
            states = self._studio.sound.key_states()
            self.piano.set_key_states(states)
            done = sum(state is not KeyState.PENDING for state in states.values())
            self.status.show_progress(done, len(states))

    def _states_changed(self) -> None:
        self._states_stale = True

    # --- showing ---

    def _show_session(self, before: Session | None, after: Session) -> None:
        """Show what differs from before; all of it where that is None."""
        if before is None or before.sources != after.sources:
            self._show_sources()
            self._field.start()
        if before is None or (before.x, before.y) != (after.x, after.y):
            self.pad.set_cursor(after.x, after.y)
        if before is None or before.sound != after.sound:
            self.sound_panel.set_sound(after.sound)
        if before is None or before.envelope != after.envelope:
            self.envelope.set_envelope(after.envelope)
        if before is None or before.gain_db != after.gain_db:
            self.output.gain.set_value(round(after.gain_db))
        if before is None or before.path != after.path:
            self.paths.set_path(after.path)
            self._show_path()
        if before is None or before.export != after.export:
            self._show_range(after.export)
        self._show_snapshots(after)
        self._show_title()

    def _show_title(self) -> None:
        self.setWindowTitle(f"{self.document_name}[*] – HyperGANStrument")
        self.setWindowModified(self._document.is_dirty)
        history = self._document.history
        for action, word, label in (
            (self.undo_action, "&Undo", history.undo_label),
            (self.redo_action, "&Redo", history.redo_label),
        ):
            action.setEnabled(label is not None)
            action.setText(word if label is None else f"{word}: {label}")
            action.setIconText(word.replace("&", ""))

    def _show_sources(self) -> None:
        session = self._document.session
        if self._source(self._selected) is None:
            self._selected = None
        heard = {source.id for source in audible(session.sources)}
        self.shelf.set_sources([self._view(source) for source in session.sources])
        self.pad.set_sources(
            [
                PadSource(
                    source_id=source.id, name=source.name, colour=source.colour,
                    x=source.x, y=source.y, is_audible=source.id in heard,
                )
                for source in session.sources
            ]
        )  # fmt: skip
        self.pad.set_selected(self._selected)
        self.shelf.set_selected(self._selected)
        self._show_roots()
        self._show_weights()

    def _view(self, source: Source) -> SourceView:
        hearing = self._studio.book.hearing(source)
        root = source.root if source.root is not None or hearing is None else hearing.root_pitch
        return SourceView(
            source_id=source.id,
            name=source.name,
            colour=source.colour,
            root_pitch=root,
            confidence=1.0 if hearing is None else hearing.confidence,
            is_root_set=source.root is not None,
            thumbnail=None if hearing is None else hearing.thumbnail,
            is_muted=source.muted,
            is_soloed=source.soloed,
        )

    def _show_roots(self) -> None:
        roots = []
        for source in audible(self._document.session.sources):
            hearing = self._studio.book.hearing(source)
            if hearing is not None:
                roots.append((round(hearing.root_pitch), source.colour))
        self.piano.set_roots(roots)

    def _book_changed(self) -> None:
        session = self._document.session
        self.shelf.set_sources([self._view(source) for source in session.sources])
        self._show_roots()
        self._field.start()

    def _show_weights(self) -> None:
        self.pad.set_weights(self._studio.sound.weights)

    def _paint_field(self) -> None:
        sources = self._document.session.sources
        is_dark = theme_of(self.palette()).is_dark
        self.pad.set_field(landscape(sources, self._studio.book, is_dark=is_dark))

    def _show_path(self) -> None:
        self.pad.set_path(self.paths.shown_places, is_recording=self.paths.is_recording)

    def _show_range(self, plan: ExportSettings) -> None:
        low = min(max(plan.low_note, LOWEST_NOTE), HIGHEST_NOTE)
        high = min(max(plan.high_note, low), HIGHEST_NOTE)
        self.piano.set_export_range(low, high, plan.step)

    def _show_snapshots(self, session: Session) -> None:
        self.snapshots.set_names(
            [None if kept is None else kept.name for kept in session.snapshots]
        )
        now = (session.sources, session.x, session.y, session.sound, session.envelope)
        active = next(
            (
                slot
                for slot, kept in enumerate(session.snapshots)
                if kept is not None
                and (kept.sources, kept.x, kept.y, kept.sound, kept.envelope) == now
            ),
            None,
        )
        self.snapshots.set_active(active)

    def _show_service(self, status: ServiceStatus) -> None:
        if status.state is ServiceState.FAILED and self._status.state is not status.state:
            self._studio.messages.error(status.message)
        self._status = status
        self.status.show_service(status)

    def _show_letters(self) -> None:
        letters = self.letters
        self.status.show_letters(letters.octave, letters.velocity, self._settings.middle_c)

    def _select(self, source_id: str) -> None:
        self._selected = source_id
        self.pad.set_selected(source_id)
        self.shelf.set_selected(source_id)
        self._studio.sound.choose(source_id)
        if self.output.original.isChecked():
            self._compare(True)

    def _complain(self, error: Exception) -> None:
        self._studio.messages.error(describe(error))

    # --- files ---

    def save(self) -> None:
        """Save under the name it has, or ask for one."""
        if self._document.path is None:
            self._ask_save()
        else:
            self.save_as(self._document.path)

    def save_as(self, path: Path) -> None:
        """Write the session in the pool."""
        session, clips = self._document.session, dict(self._document.clips)
        self._studio.tasks.run(
            partial(save_session, path, session, clips),
            lambda _none: self._saved(path, session),
            self._complain,
        )

    def _saved(self, path: Path, session: Session) -> None:
        self._document.mark_saved(path, session)
        self.settings_changed.emit(remember_file(self._settings, path))
        self._studio.messages.info(f"Saved as '{path.name}'.")

    def _opened(self, path: Path, contents: SessionContents) -> None:
        self.paths.stop()
        self._silence()
        self._document.show(contents, path)
        self.settings_changed.emit(remember_file(self._settings, path))

    def _gone(self, path: Path, error: Exception) -> None:
        if not path.exists():
            self.settings_changed.emit(forget_file(self._settings, path))
        self._studio.messages.error(describe(error, path))

    def _new(self) -> None:
        if self._may_discard():
            self.paths.stop()
            self._document.new()

    def _ask_open(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Open", self._folder(), _SOUND_FILTER)
        if chosen:
            paths = [Path(name) for name in chosen]
            self._remember_folder(paths[0].parent)
            self.open_files(paths)

    def _ask_save(self) -> None:
        start = str(Path(self._folder()) / f"{self.document_name}{SUFFIX}")
        name, _ = QFileDialog.getSaveFileName(self, "Save", start, f"Sessions (*{SUFFIX})")
        if name:
            path = Path(name)
            path = path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)
            self._remember_folder(path.parent)
            self.save_as(path)

    def _folder(self) -> str:
        return self._settings.last_folder or str(Path.home())

    def _remember_folder(self, folder: Path) -> None:
        self.settings_changed.emit(replace(self._settings, last_folder=str(folder)))

    def _may_discard(self) -> bool:
        """Whether the session may go: it is saved, or the person says so."""
        if not self._document.is_dirty:
            return True
        buttons = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self, "Unsaved changes", f"'{self.document_name}' was changed. Save it first?",
            buttons.Save | buttons.Discard | buttons.Cancel, buttons.Save,
        )  # fmt: skip
        if answer is buttons.Save:
            if self._document.path is None:
                self._ask_save()
                return False  # once it is saved the person goes on
            try:
                self._document.save(self._document.path)
            except CoreError as error:
                self._complain(error)
                return False
            return True
        return answer is buttons.Discard

    def _fill_recent(self) -> None:
        self._recent.clear()
        for name in self._settings.recent_files:
            action = self._recent.addAction(Path(name).name)
            action.setToolTip(name)
            action.triggered.connect(partial(self._open_recent, Path(name)))
        self._recent.setEnabled(bool(self._settings.recent_files))

    def _open_recent(self, path: Path, _checked: bool = False) -> None:
        self.open_session(path)

    def _fill_history(self) -> None:
        self._history.clear()
        history = self._document.history
        labels = ["Start", *history.labels]
        for place in reversed(range(max(0, len(labels) - 25), len(labels))):
            action = self._history.addAction(labels[place])
            action.setCheckable(True)
            action.setChecked(place == history.position)
            action.triggered.connect(
                lambda _checked=False, place=place: self._document.go_to(place)
            )

    def _paste(self) -> None:
        files = dropped_files(QApplication.clipboard().mimeData())
        if files:
            self.open_files(files)
        else:
            self._studio.messages.info("The clipboard holds no files; copy some in a file manager.")

    # --- export ---

    def show_export(self) -> None:
        """Ask for an export; the dialog stays while the window is used."""
        if self._export_dialog is not None:
            self._export_dialog.raise_()
            self._export_dialog.activateWindow()
            return
        session = self._document.session
        self._export_dialog = ExportDialog(
            session.export,
            self._instrument_name(),
            Path(self._folder()) / "Instruments",
            self._settings.middle_c,
            self._make_order,
            self._make_job,
            can_pad=len(audible(session.sources)) > 1,
            note_ms=self._status.ms_per_note,
            length_s=self._note_length_s(),
            parent=self,
        )
        self._export_dialog.plan_changed.connect(self._keep_plan)
        self._export_dialog.exported.connect(self._exported)
        self._export_dialog.finished.connect(self._forget_dialog)
        self._export_dialog.show()

    def _forget_dialog(self) -> None:
        if self._export_dialog is not None:
            self._export_dialog.deleteLater()
            self._export_dialog = None

    def _keep_plan(self, plan: ExportSettings) -> None:
        self._edit("Change the export", lambda s: replace(s, export=plan), "export")

    def _exported(self, results: list[Path]) -> None:
        names = ", ".join(f"'{path.name}'" for path in results)
        folder = results[0].parent
        self._studio.messages.info(
            f"Exported {names}.",
            Answer(
                text="Show in folder",
                act=lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))),
            ),
        )

    def _instrument_name(self) -> str:
        if self._document.path is not None:
            return self._document.path.stem
        names = [source.name for source in audible(self._document.session.sources)]
        return edits.display_name("-".join(names[:3])) if names else "Instrument"

    def _note_length_s(self) -> float:
        ready = self._studio.sound.note(self._studio.sound.focus)
        return 3.0 if ready is None else ready.region.samples.shape[1] / ready.sample_rate

    def _make_job(self, order: ExportOrder) -> ExportJob:
        return ExportJob(order, self._studio.service, self._studio.tasks, self)

    def _make_order(
        self, name: str, folder: Path, plan: ExportSettings, is_replacing: bool
    ) -> ExportOrder | None:
        session, sound = self._document.session, self._studio.sound
        is_pad = plan.pad_columns * plan.pad_rows > 1
        sources = tuple(
            source
            for source in audible(session.sources)
            if self._studio.book.timbre(source) is not None
        )
        settings = sound.settings_of(session, session.x, session.y)
        if is_pad and len(sources) > 1:
            # Near the middle every source has a share, and so its timbre is in the mix.
            centre = replace(session, sources=sources)
            shares = source_weights(sources, 0.5 + 1e-6, 0.5 + 1e-6)
            if all(shares.values()):
                settings = sound.settings_of(centre, 0.5 + 1e-6, 0.5 + 1e-6)
        if settings is None or (is_pad and len(settings.mix.timbres) != len(sources)):
            return None
        return ExportOrder(
            name=name,
            folder=folder,
            settings=settings,
            sources=sources,
            envelope=session.envelope,
            plan=plan,
            is_replacing=is_replacing,
        )

    # --- dragging out ---

    def _note_files(self) -> list[Path]:
        """The note looked at as a WAV file."""
        ready = self._studio.sound.note(self._studio.sound.focus)
        if ready is None:
            self._studio.messages.info("That note is not rendered yet; drag it in a moment.")
            return []
        stem = f"{safe_stem(self._instrument_name())}_{ready.note:03d}_{file_note_name(ready.note)}"
        path = self._studio.drag_folder / f"{stem}.wav"
        try:
            write_audio(path, ready.region.samples, ready.sample_rate)
        except CoreError as error:
            self._complain(error)
            return []
        return [path]

    def _instrument_files(self) -> list[Path]:
        """The whole instrument's files if those of the present sound are there."""
        order = self._drag_order_now()
        if order is not None and order == self._drag_order and self._dragged_files:
            return self._dragged_files
        self._prepare_instrument()
        return []

    def _drag_order_now(self) -> ExportOrder | None:
        return self._make_order(
            self._instrument_name(), self._studio.drag_folder, self._document.session.export, True
        )

    def _prepare_instrument(self) -> None:
        order = self._drag_order_now()
        if order is None:
            self._studio.messages.info("There is no sound yet; drop a sample first.")
            return
        if order == self._drag_order and (self._dragged_files or self._drag_job is not None):
            return
        if self._drag_job is not None:
            self._drag_job.cancel()
        self._drag_order, self._dragged_files = order, []
        job = self._drag_job = self._make_job(order)
        job.finished.connect(lambda _opened: self._prepared(job))
        job.failed.connect(lambda error: self._not_prepared(job, error))
        self._studio.messages.info("The instrument is being rendered; drag it when it is ready.")
        job.start()

    def _prepared(self, job: ExportJob) -> None:
        if job is self._drag_job:
            self._drag_job = None
            self._dragged_files = top_level(job.order)
            self._studio.messages.info("The instrument is ready: drag it out now.")

    def _not_prepared(self, job: ExportJob, error: Exception) -> None:
        if job is self._drag_job:
            self._drag_job, self._drag_order = None, None
            self._complain(error)

    # --- dialogs and Qt's own ---

    def _show_settings(self) -> None:
        studio = self._studio
        dialog = SettingsDialog(
            self._settings,
            studio.player.devices,
            [port_label(port) for port in studio.midi.state.ports],
            studio.player.state.message,
            studio.midi.state.message,
            self,
        )
        dialog.accepted.connect(lambda: self.settings_changed.emit(dialog.settings))
        dialog.open()

    def _show_about(self) -> None:
        AboutDialog(self._status.device_name, self).open()

    @override
    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_files(event.mimeData()):
            event.acceptProposedAction()

    @override
    def dropEvent(self, event: QDropEvent) -> None:
        files = dropped_files(event.mimeData())
        if files:
            event.acceptProposedAction()
            self.open_files(files)

    @override
    def closeEvent(self, event: QCloseEvent) -> None:
        if not self._may_discard():
            event.ignore()
            return
        self._meters.stop()
        self.paths.stop()
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self.letters)
        geometry = bytes(self.saveGeometry().data())
        self.settings_changed.emit(replace(self._settings, window_geometry=geometry))
        event.accept()
        self.closed.emit()


def output_settings(settings: AppSettings) -> OutputSettings:
    """What the sound output is asked for."""
    return OutputSettings(
        device=settings.audio_device,
        sample_rate=settings.sample_rate,
        block_frames=settings.block_size,
    )


def _as_source(samples: NDArray[np.float32], sample_rate: int, name: str) -> tuple[str, AudioClip]:
    """A rendered note as a recording, and its hash."""
    clip = AudioClip(samples=samples, sample_rate=sample_rate, name=name)
    return audio_hash(clip), clip


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def _pad_heading(paths: PathBar) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(_heading("Timbre pad"))
    layout.addStretch(1)
    layout.addWidget(paths)
    return row


def _column(*widgets: QWidget, stretched: QWidget | None = None) -> QWidget:
    """Widgets below each other; one takes the height that is left, the last unless named."""
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GRID // 2)
    for widget in widgets:
        layout.addWidget(widget, int(widget is (stretched or widgets[-1])))
    return column
