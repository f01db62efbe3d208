"""The window: where its parts lie, its actions, and playing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeySequence,
)
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QMenuBar,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.audio.midi_input import MidiState, port_label
from app.audio.output_stream import StreamState
from app.dialogs.about import AboutDialog, KeysDialog
from app.dialogs.settings_dialog import SettingsDialog
from app.keyboard import HIGHEST_NOTE, LOWEST_NOTE, KeyState
from app.live.editor import Editor
from app.live.keys import KeyOrigin
from app.live.messages import Answer
from app.models.pad import audible
from app.models.session import SNAPSHOT_SLOTS, Session
from app.models.session_file import SessionContents
from app.panels.export import ExportControl
from app.panels.files import FileControl
from app.panels.message_area import MessageArea
from app.panels.output import OutputPanel
from app.panels.pad import CursorControl
from app.panels.path_bar import PathBar
from app.panels.pictures import PicturePanel
from app.panels.snapshots import SnapshotControl
from app.panels.sound import SoundPanel
from app.panels.sources import SourceControl
from app.panels.status_line import StatusLine
from app.settings import AppSettings, MiddleC, ThemeName
from app.studio import Studio
from app.theme import GRID
from app.widgets.computer_keyboard import ComputerKeyboard
from app.widgets.dropped_data import dropped_files
from app.widgets.envelope_editor import EnvelopeEditor
from app.widgets.piano_keyboard import PianoKeyboard
from app.widgets.snapshot_bar import SnapshotBar
from app.widgets.source_shelf import SourceShelf
from app.widgets.timbre_pad import TimbrePad
from core.inference.service import ServiceState, ServiceStatus
from core.instrument import Envelope
from core.plan import NoteSpan
from core.sound import RenderSettings

ValueT = TypeVar("ValueT")

METER_MS = 33
"""Between two looks at meters and playhead."""
_SOUND_LABELS = {
    "refinement": "Change faithfulness",
    "original_range": "Change the recording's share",
    "carry_over": "Change the body",
    "variation": "Change variation",
    "velocity": "Change the strike",
    "dice": "Roll the dice",
}
_ONE_INSTRUMENT = (
    "Take the sources for notes of one instrument: every key takes after the notes next to it,\n"
    "and the pad does not morph"
)
_TOO_FEW_NOTES = "Needs two sources that sound: notes of one instrument at different pitches"


class MainWindow(QMainWindow):
    """Shelf, pad and pictures above sound, envelope and output; snapshots and piano below.

    *Signals:*
        settings_changed(AppSettings): to be kept, and applied where they concern others.
        closed(): the window was closed for good.

    *Thread:* GUI.

    Args:
        studio: Everything behind the window.
        settings: Settings of the program.
    """

    settings_changed = Signal(object)
    closed = Signal()

    def __init__(self, studio: Studio, settings: AppSettings) -> None:
        super().__init__()
        self._studio = studio
        self._document = studio.document
        self._settings = settings
        self._status = ServiceStatus(state=ServiceState.LOADING)
        self._last_struck: int | None = None
        self._are_states_stale = True
        self._is_leaving = False
        self._meters = QTimer(self, interval=METER_MS)
        self._editor = Editor(studio.document, studio.messages, self)
        self.files = FileControl(studio, self._editor, settings, self)
        self.exports = ExportControl(studio, self._editor, self, lambda: self.files.folder)
        self.messages = MessageArea()
        self.shelf = SourceShelf()
        self.pad = TimbrePad()
        self.paths = PathBar()
        self.pictures = PicturePanel(studio.document, studio.book, studio.sound, studio.tasks)
        self.sound_panel = SoundPanel()
        self.envelope = EnvelopeEditor()
        self.output = OutputPanel(self.exports.note_files, self.exports.instrument_files)
        self.one_instrument_action = QAction("&Notes of one instrument", self)
        self.one_instrument_action.setCheckable(True)
        self.one_instrument = QToolButton()
        self.one_instrument.setDefaultAction(self.one_instrument_action)
        self.snapshot_bar = SnapshotBar()
        self.piano = PianoKeyboard()
        self.status = StatusLine()
        self.letters = ComputerKeyboard(self)
        self.sources = SourceControl(
            studio, self._editor, self.shelf, self.pad, self.piano, self.pictures.source_wave, self
        )
        self.cursor_control = CursorControl(self._editor, studio.sound, self.pad, self.paths, self)
        self.snapshots = SnapshotControl(studio, self._editor, self.snapshot_bar, self.pad, self)
        self.setAcceptDrops(True)
        self.setMinimumSize(1024, 640)
        self._lay_out()
        self._make_menus()
        self._connect()
        if settings.window_geometry:
            self.restoreGeometry(QByteArray(settings.window_geometry))
        self.set_settings(settings)
        self._show_session(None, self._document.session)
        self._meters.start()

    # --- what others ask of the window ---

    @property
    def is_settled(self) -> bool:
        """Whether all pictures show what there is."""
        is_empty = self._studio.sound.sound is None
        return self.sources.is_settled and (is_empty or self.pictures.is_current)

    def set_settings(self, settings: AppSettings) -> None:
        """Show settings that were changed."""
        self._settings = self.files.settings = settings
        for widget in (self.shelf, self.piano, self.pictures):
            widget.set_middle_c(settings.middle_c)
        self.files.fill_recent()
        self._show_letters()
        self._theme_actions[settings.theme].setChecked(True)
        self._octave_actions[settings.middle_c].setChecked(True)

    def theme_changed(self) -> None:
        """Paint what does not follow the palette by itself."""
        self.sources.paint_field()
        self._show_letters()
        self.status.show_service(self._status)
        self.status.show_audio(self._studio.player.state)

    def show_examples(self, contents: SessionContents) -> None:
        """Start with the bundled samples."""
        self._document.new(contents)
        self._studio.importer.examples = contents.session.audio_hashes

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

    # --- layout ---

    def _lay_out(self) -> None:
        upper = QSplitter(Qt.Orientation.Horizontal)
        upper.addWidget(_column(_row(_heading("Sources"), self.one_instrument), self.shelf))
        upper.addWidget(_column(_row(_heading("Timbre pad"), self.paths), self.pad))
        upper.setStretchFactor(1, 1)
        lower = QWidget()
        strip = QHBoxLayout(lower)
        strip.setContentsMargins(0, 0, 0, 0)
        strip.setSpacing(3 * GRID)
        strip.addWidget(_column(_heading("Sound"), self.sound_panel), 1)
        strip.addWidget(_column(_heading("Envelope"), self.envelope), 1)
        lower.setFixedHeight(lower.sizeHint().height())
        sides = QSplitter(Qt.Orientation.Horizontal)
        sides.addWidget(_column(upper, lower, stretched=upper, gap=GRID + GRID // 2))
        sides.addWidget(
            _column(self.pictures, self.output, stretched=self.pictures, gap=GRID + GRID // 2)
        )
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
        layout.addWidget(self.snapshot_bar)
        self.piano.setFixedHeight(13 * GRID)
        layout.addWidget(self.piano)
        layout.addWidget(self.status)
        self.setCentralWidget(content)
        self.resize(1280, 800)

    # --- actions ---

    def _make_menus(self) -> None:
        bar = self.menuBar()
        self._make_file_menu(bar.addMenu("&File"))
        self._make_edit_menu(bar.addMenu("&Edit"))
        self._make_sound_menu(bar.addMenu("&Sound"))
        self._make_view_menu(bar.addMenu("&View"))
        help_menu = bar.addMenu("&Help")
        self._action(help_menu, "&Keys", "F1", lambda: KeysDialog(self).open())
        self._action(help_menu, "&About", "", self._show_about)
        bar.setCornerWidget(self._make_buttons(bar))

    def _make_file_menu(self, menu: QMenu) -> None:
        files = self.files
        self._action(menu, "&New session", "Ctrl+N", files.new)
        self.open_action = self._action(menu, "&Open…", "Ctrl+O", files.ask_open)
        menu.addMenu(files.recent)
        menu.addSeparator()
        self.save_action = self._action(menu, "&Save", "Ctrl+S", lambda: files.save())
        self._action(menu, "Save &as…", "Ctrl+Shift+S", lambda: files.ask_save())
        menu.addSeparator()
        self.export_action = self._action(menu, "&Export…", "Ctrl+E", self._show_export)
        menu.addSeparator()
        self._action(menu, "&Quit", "Ctrl+Q", self.close)

    def _make_edit_menu(self, menu: QMenu) -> None:
        self.undo_action = self._action(menu, "&Undo", "Ctrl+Z", self._document.undo)
        self.redo_action = self._action(menu, "&Redo", "Ctrl+Shift+Z", self._document.redo)
        self._history = QMenu("&History", self)
        self._history.aboutToShow.connect(self._fill_history)
        menu.addMenu(self._history)
        menu.addSeparator()
        self._action(menu, "&Paste files", "Ctrl+V", self.files.paste)
        self._action(menu, "Se&ttings…", "Ctrl+,", self._show_settings)

    def _make_sound_menu(self, menu: QMenu) -> None:
        self._action(menu, "Compare &source and result", "B", self.output.toggle_original)
        self._action(menu, "&Roll the dice", "", self.sound_panel.roll)
        centre = self.cursor_control.centre
        self.centre_action = self._action(menu, "&Centre the cursor", "Ctrl+0", centre)
        menu.addAction(self.one_instrument_action)
        self._action(menu, "S&ilence", "Ctrl+.", self._silence)
        slots = QMenu("S&napshots", self)
        menu.addMenu(slots)
        for slot in range(SNAPSHOT_SLOTS):
            recall = partial(self.snapshots.recall, slot)
            self._action(slots, f"Recall {slot + 1}", f"Ctrl+{slot + 1}", recall)
        slots.addSeparator()
        for slot in range(SNAPSHOT_SLOTS):
            store = partial(self.snapshots.store, slot)
            self._action(slots, f"Store in {slot + 1}", f"Ctrl+Alt+{slot + 1}", store)

    def _make_view_menu(self, menu: QMenu) -> None:
        themes: dict[ThemeName, str] = {
            "dark": "&Dark theme", "light": "&Light theme", "system": "Theme of the &system",
        }  # fmt: skip
        self._theme_actions = self._choice(
            menu, themes, lambda theme: replace(self._settings, theme=theme)
        )
        menu.addSeparator()
        octaves: dict[MiddleC, str] = {
            3: "Note 60 is C&3",
            4: "Note 60 is C&4",
            5: "Note 60 is C&5",
        }
        self._octave_actions = self._choice(
            menu, octaves, lambda octave: replace(self._settings, middle_c=octave)
        )

    def _make_buttons(self, bar: QMenuBar) -> QWidget:
        buttons = QWidget(bar)
        row = QHBoxLayout(buttons)
        row.setContentsMargins(0, GRID // 2, GRID + GRID // 2, 0)
        row.setSpacing(GRID // 2)
        for action in (self.open_action, self.save_action, self.undo_action, self.redo_action,
                       self.export_action):  # fmt: skip
            button = QToolButton()
            button.setDefaultAction(action)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            row.addWidget(button)
        return buttons

    def _action(self, menu: QMenu, text: str, shortcut: str, act: Callable[[], object]) -> QAction:
        action = QAction(text, self)
        plain = text.replace("&", "").rstrip("…")
        action.setIconText(plain)
        action.setToolTip(f"{plain} ({shortcut})" if shortcut else plain)
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
        action.triggered.connect(lambda _checked=False: act())
        menu.addAction(action)
        return action

    def _choice(
        self, menu: QMenu, texts: dict[ValueT, str], change: Callable[[ValueT], AppSettings]
    ) -> dict[ValueT, QAction]:
        """Actions of which one is checked; each changes a setting."""
        group = QActionGroup(self)
        actions = {}
        for value, text in texts.items():
            action = actions[value] = QAction(text, self)
            action.setCheckable(True)
            group.addAction(action)
            menu.addAction(action)
            action.triggered.connect(
                lambda _checked=False, value=value: self.settings_changed.emit(change(value))
            )
        return actions

    # --- wiring ---

    def _connect(self) -> None:
        studio, end = self._studio, self._editor.end_gesture
        self._document.subscribe_start(self._hear_result)
        self._document.subscribe(self._show_session)
        self._editor.refused.connect(lambda: self._show_session(None, self._document.session))
        studio.messages.told.connect(self.messages.show_message)
        studio.sound.states_changed.connect(self._states_changed)
        studio.book.fitting_changed.connect(self._show_fit)
        self.status.fit_cancelled.connect(self.sources.stop_fit)
        studio.bridge.status_changed.connect(self._show_service)
        self._meters.timeout.connect(self._tick)
        self.files.settings_changed.connect(self.settings_changed)
        self.files.leaving.connect(self._silence)
        self.snapshots.recalling.connect(self.paths.stop)
        self.one_instrument_action.triggered.connect(self._set_one_instrument)
        self.sound_panel.settings_changed.connect(self._set_sound)
        self.sound_panel.released.connect(end)
        self.envelope.envelope_changed.connect(self._set_envelope)
        self.envelope.envelope_released.connect(end)
        self.output.gain_changed.connect(self._set_gain)
        self.output.gain_released.connect(end)
        self.output.original_chosen.connect(self._compare)
        self.output.instrument_handle.clicked.connect(self.exports.prepare_instrument)
        studio.sound.compared_changed.connect(self._compare_other)
        self._connect_keys()

    def _connect_keys(self) -> None:
        keys, piano, letters = self._studio.keys, self.piano, self.letters
        keys.struck.connect(self._struck)
        keys.changed.connect(lambda: piano.set_pressed(keys.held))
        piano.note_on.connect(partial(keys.press, KeyOrigin.MOUSE))
        piano.note_off.connect(partial(keys.release, KeyOrigin.MOUSE))
        piano.export_range_changed.connect(self.exports.set_range)
        piano.export_range_released.connect(self._editor.end_gesture)
        letters.note_on.connect(partial(keys.press, KeyOrigin.LETTERS))
        letters.note_off.connect(partial(keys.release, KeyOrigin.LETTERS))
        letters.octave_changed.connect(lambda _octave: self._show_letters())
        letters.velocity_changed.connect(lambda _velocity: self._show_letters())
        _application().installEventFilter(letters)

    # --- editing ---

    def _set_sound(self, settings: RenderSettings, what: str) -> None:
        def change(session: Session) -> Session:
            return replace(session, settings=settings)

        self._editor.edit(_SOUND_LABELS[what], change, f"sound {what}")

    def _set_one_instrument(self, is_on: bool) -> None:
        def change(session: Session) -> Session:
            return replace(session, one_instrument=is_on)

        self._editor.edit("Play as one instrument" if is_on else "Morph on the pad", change)

    def _set_envelope(self, envelope: Envelope) -> None:
        self._editor.edit(
            "Change the envelope", lambda s: replace(s, envelope=envelope), "envelope"
        )

    def _set_gain(self, gain_db: int) -> None:
        self._editor.edit("Change the level", lambda s: replace(s, gain_db=float(gain_db)), "gain")

    # --- playing ---

    def _struck(self, note: int, _velocity: int) -> None:
        self._last_struck = note
        self._studio.sound.strike(note)
        self.pictures.strike()

    def _silence(self) -> None:
        self.paths.stop()
        self.letters.release_all()
        self.piano.release_all()
        for origin in KeyOrigin:
            self._studio.keys.let_go(origin)
        self._studio.player.panic()

    def _compare(self, is_original: bool) -> None:
        if is_original and self._studio.sound.compared is None:
            self._hear_result()
        else:
            self._studio.sound.play_original(is_original)

    def _compare_other(self) -> None:
        if self._studio.sound.compared is None:
            self._hear_result()

    def _hear_result(self) -> None:
        self.output.result.setChecked(True)

    def _tick(self) -> None:
        meters = self._studio.player.poll()
        if meters is None:
            self.output.meter.set_peaks(0.0, 0.0)
        else:
            self.output.meter.set_peaks(meters.peak_left, meters.peak_right)
            self.status.show_underruns(meters.underruns)
        self.pictures.tick(is_held=self._last_struck in self._studio.keys.held)
        if self._are_states_stale:
            self._are_states_stale = False
            states = self._studio.sound.key_states()
            self.piano.set_key_states(states)
            done = sum(state is not KeyState.PENDING for state in states.values())
            self.status.show_progress(done, len(states))

    def _states_changed(self) -> None:
        self._are_states_stale = True

    # --- showing ---

    def _show_session(self, before: Session | None, after: Session) -> None:
        """Show what differs from before; all of it where that is None."""
        if before is None or before.sources != after.sources:
            self.sources.show_sources()
        if before is None or (before.x, before.y) != (after.x, after.y):
            self.cursor_control.show_cursor()
        if before is None or before.settings != after.settings:
            self.sound_panel.set_settings(after.settings)
        if before is None or (before.sources, before.one_instrument) != (
            after.sources,
            after.one_instrument,
        ):
            self._show_one_instrument(after)
        if before is None or before.envelope != after.envelope:
            self.envelope.set_envelope(after.envelope)
        if before is None or before.gain_db != after.gain_db:
            self.output.gain.set_value(round(after.gain_db))
        if before is None or before.path != after.path:
            self.cursor_control.show_path()
        if before is None or before.export != after.export:
            self._show_range(after.export.span)
            self.exports.show_chosen(after.export)
        self.snapshots.show_snapshots()
        self._show_title()

    def _show_one_instrument(self, session: Session) -> None:
        is_on = session.one_instrument
        can_be_used = is_on or len(audible(session.sources)) > 1
        self.one_instrument_action.setChecked(is_on)
        self.one_instrument_action.setEnabled(can_be_used)
        self.one_instrument_action.setToolTip(_ONE_INSTRUMENT if can_be_used else _TOO_FEW_NOTES)
        self.centre_action.setEnabled(not is_on)
        self.cursor_control.show_rest()
        self.exports.show_possible()

    def _show_title(self) -> None:
        self.setWindowTitle(f"{self.files.name}[*] – HyperGANStrument")
        self.setWindowModified(self._document.is_dirty)
        history = self._document.history
        for action, word, label in (
            (self.undo_action, "&Undo", history.undo_label),
            (self.redo_action, "&Redo", history.redo_label),
        ):
            action.setEnabled(label is not None)
            action.setText(word if label is None else f"{word}: {label}")
            action.setIconText(word.removeprefix("&"))

    def _show_range(self, span: NoteSpan) -> None:
        low = min(max(span.low, LOWEST_NOTE), HIGHEST_NOTE)
        high = min(max(span.high, low), HIGHEST_NOTE)
        self.piano.set_export_range(low, high, span.step)

    def _show_service(self, status: ServiceStatus) -> None:
        if status.state is ServiceState.FAILED and self._status.state is not status.state:
            self._studio.messages.error(status.message)
        self._status = status
        self.status.show_service(status)

    def _show_fit(self) -> None:
        fitting = self._studio.book.fitting
        if fitting is None:
            self.status.show_fit("", 0, 0)
            self._are_states_stale = True
        else:
            self.status.show_fit(fitting.name, fitting.done, fitting.total)

    def _show_letters(self) -> None:
        letters = self.letters
        self.status.show_letters(letters.octave, letters.velocity, self._settings.middle_c)

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

    # --- dialogs ---

    def _show_export(self) -> None:
        self.exports.show_dialog(self._settings.middle_c, self._status.ms_per_note)

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

    # --- Qt's own ---

    @override
    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_files(event.mimeData()):
            event.acceptProposedAction()

    @override
    def dropEvent(self, event: QDropEvent) -> None:
        files = dropped_files(event.mimeData())
        if files:
            event.acceptProposedAction()
            self._studio.importer.add(files)

    @override
    def closeEvent(self, event: QCloseEvent) -> None:
        if self._document.is_dirty and not self._is_leaving:
            event.ignore()
            self.files.leave(self._close_now)
            return
        self._meters.stop()
        self.paths.stop()
        _application().removeEventFilter(self.letters)
        geometry = bytes(self.saveGeometry().data())
        self.settings_changed.emit(replace(self._settings, window_geometry=geometry))
        event.accept()
        self.closed.emit()

    def _close_now(self) -> None:
        """Close although something may not be saved: the person wants it so."""
        self._is_leaving = True
        self.close()


def _application() -> QApplication:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    return application


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def _row(first: QWidget, last: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(first)
    layout.addStretch(1)
    layout.addWidget(last)
    return row


def _column(*widgets: QWidget, stretched: QWidget | None = None, gap: int = GRID // 2) -> QWidget:
    """Widgets below each other; one takes the height that is left, the last unless named."""
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(gap)
    for widget in widgets:
        layout.addWidget(widget, int(widget is (stretched or widgets[-1])))
    return column
