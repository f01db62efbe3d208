"""One line at the window's foot: what computes, what sounds, what is played with."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QToolButton,
    QWidget,
)
from typing_extensions import override

from app.audio.midi_input import MidiState
from app.audio.output_stream import StreamKind, StreamState
from app.background.device_bridge import DeviceBridge
from app.background.render_bridge import RenderBridge
from app.keyboard import KeyState
from app.live.meters import OutputMeters
from app.live.preview import Preview
from app.live.settings_store import SettingsStore
from app.live.source_library import SourceLibrary
from app.theme import GRID, scaled_font, theme_of
from app.widgets.computer_keyboard import ComputerKeyboard
from app.widgets.note_names import note_label
from core.inference.service import ServiceState

_LONGEST_NAME = 28  # characters of a sound device or a source


class StatusLine(QWidget):
    """Shows states; says them in full as tooltips.

    *Signals:*
        fit_cancelled(): the fit under way shall end.

    *Thread:* GUI.
    """

    fit_cancelled = Signal()

    def __init__(
        self,
        library: SourceLibrary,
        preview: Preview,
        rendering: RenderBridge,
        devices: DeviceBridge,
        meters: OutputMeters,
        letters: ComputerKeyboard,
        settings: SettingsStore,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._library = library
        self._preview = preview
        self._rendering = rendering
        self._letters = letters
        self._settings = settings
        self._bad: dict[QLabel, bool] = {}  # whether what a label says is bad news
        font = scaled_font(self.font(), 0.9)
        self.engine = _field("Rendering")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedSize(12 * GRID, GRID)
        self.bar.setAccessibleName("Notes rendered")
        self.cancel_fit = QToolButton()
        self.cancel_fit.setText("Cancel")
        self.cancel_fit.setAutoRaise(True)
        self.cancel_fit.setAccessibleName("Cancel the fit")
        self.cancel_fit.setToolTip("Cancel the fit: the source stays as it was")
        self.cancel_fit.clicked.connect(self.fit_cancelled)
        self.audio = _field("Sound output")
        self.underruns = _field("Underruns")
        self.midi = _field("MIDI")
        self.letters = _field("Computer keyboard")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(GRID, 0, GRID, 0)
        layout.setSpacing(2 * GRID)
        for label in (self.engine, self.audio, self.underruns, self.midi, self.letters):
            label.setFont(font)
        layout.addWidget(self.engine)
        layout.addWidget(self.bar)
        layout.addWidget(self.cancel_fit)
        layout.addStretch(1)
        for label in (self.letters, self.midi, self.audio, self.underruns):
            layout.addWidget(label)
        self.bar.hide()
        self.cancel_fit.hide()
        self.setFixedHeight(QFontMetrics(font).height() + GRID)
        self.setAccessibleName("Status")

        rendering.status_changed.connect(self._show_service)
        preview.states_changed.connect(self._show_progress)
        library.fitting_changed.connect(self._show_fit)
        meters.underruns_changed.connect(self._show_underruns)
        queued = Qt.ConnectionType.QueuedConnection
        devices.stream_changed.connect(self._show_audio, queued)
        devices.midi_changed.connect(self._show_midi, queued)
        letters.octave_changed.connect(self._show_letters)
        letters.velocity_changed.connect(self._show_letters)
        settings.changed.connect(self._show_letters)
        self._show_letters()
        self._show_service()

    @override
    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            for label in self._bad:
                self._colour(label)

    def _show_service(self) -> None:
        """Show what the networks do."""
        status = self._rendering.status
        where = {"cpu": "CPU", "cuda": "GPU", "mps": "GPU"}.get(
            status.device_name, status.device_name
        )
        speed = f", {status.ms_per_note:.0f} ms a note" if status.ms_per_note else ""
        text = {
            ServiceState.LOADING: "Loading the networks …",
            ServiceState.IDLE: f"Ready on {where}{speed}",
            ServiceState.RENDERING: f"Rendering on {where}{speed}",
            ServiceState.WORKING: f"Working on {where}{speed}",
            ServiceState.FAILED: "No rendering: the networks could not be loaded",
            ServiceState.CLOSED: "Closing",
        }[status.state]
        if self._library.fitting is not None:
            text = f"Fitting {_shortened(self._library.fitting.name)}"
        self._say(self.engine, text, status.message or text, is_bad=bool(status.message))

    def _show_progress(self) -> None:
        """Show how many keys are rendered, unless a fit is shown."""
        if self._library.fitting is not None:
            return
        states = self._preview.key_states()
        done = sum(state is not KeyState.PENDING for state in states.values())
        self.bar.setVisible(done < len(states))
        self.bar.setRange(0, max(len(states), 1))
        self.bar.setValue(done)

    def _show_fit(self) -> None:
        """Show a fit under way, and the button that cancels it."""
        fitting = self._library.fitting
        is_fitting = fitting is not None
        self.cancel_fit.setVisible(is_fitting)
        self.bar.setAccessibleName("Steps of the fit" if is_fitting else "Notes rendered")
        if fitting is None:
            self._show_progress()
        else:
            self.bar.setVisible(True)
            self.bar.setRange(0, max(fitting.total, 1))
            self.bar.setValue(fitting.done)
        self._show_service()

    def _show_audio(self, state: StreamState) -> None:
        """Show where sound goes."""
        text = state.kind.value
        if state.kind is StreamKind.RUNNING and state.device is not None:
            text = _shortened(state.device.name)
            if state.latency_s > 0:
                text += f", {1000 * state.latency_s:.0f} ms"
        bad = (StreamKind.LOST, StreamKind.NO_DEVICE, StreamKind.REFUSED)
        self._say(self.audio, f"Sound: {text}", state.message, is_bad=state.kind in bad)

    def _show_underruns(self, count: int) -> None:
        """Show how often the sound broke off."""
        text = "no underruns" if count == 0 else f"{count} underruns"
        tip = "Times that the sound device got no sound in time; larger blocks help (settings)"
        self._say(self.underruns, text, tip, is_bad=count > 0)

    def _show_midi(self, state: MidiState) -> None:
        """Show which MIDI keyboards are heard."""
        self._say(self.midi, "MIDI on" if state.open_ports else "no MIDI", state.message)

    def _show_letters(self) -> None:
        """Show what the computer keyboard plays."""
        octave, middle_c = self._letters.octave, self._settings.value.middle_c
        name = note_label(12 * octave, middle_c) if octave <= 10 else ""
        self._say(
            self.letters,
            f"Letters: {name}, velocity {self._letters.velocity}",
            "The A key plays this note: Z and X move it by an octave, C and V the velocity",
        )

    def _say(self, label: QLabel, text: str, tip: str, *, is_bad: bool = False) -> None:
        label.setText(text)
        label.setToolTip(tip)
        label.setAccessibleName(text)
        self._bad[label] = is_bad
        self._colour(label)

    def _colour(self, label: QLabel) -> None:
        theme = theme_of(self.palette())
        label.setStyleSheet(f"color: {theme.warning if self._bad[label] else theme.dim_text};")


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _field(name: str) -> QLabel:
    label = QLabel()
    label.setAccessibleName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
    return label
