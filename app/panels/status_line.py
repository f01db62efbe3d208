"""One line at the window's foot: what computes, what sounds, what is played with."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from app.audio.output_stream import StreamKind, StreamState
from app.theme import GRID, scaled_font, theme_of
from app.widgets.note_names import note_label
from core.inference.service import ServiceState, ServiceStatus

_LONGEST_NAME = 28  # characters of a sound device


class StatusLine(QWidget):
    """Shows states; says them in full as tooltips.

    *Signals:*
        fit_cancelled(): the fit under way shall end.

    *Thread:* GUI.
    """

    fit_cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
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
        self._fitted_name = ""
        self._service = ServiceStatus(state=ServiceState.LOADING)
        self.setFixedHeight(QFontMetrics(font).height() + GRID)
        self.setAccessibleName("Status")

    def show_service(self, status: ServiceStatus) -> None:
        """Show what the networks do."""
        self._service = status
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
        if self._fitted_name:
            text = f"Fitting {self._fitted_name}"
        self._say(self.engine, text, status.message or text, is_bad=bool(status.message))

    def show_progress(self, done: int, total: int) -> None:
        """Show how many keys are rendered, unless a fit is shown."""
        if self._fitted_name:
            return
        self.bar.setVisible(total > 0 and done < total)
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)

    def show_fit(self, name: str, done: int, total: int) -> None:
        """Show a fit under way, and the button that cancels it.

        Args:
            name: Name of the source; empty when there is none.
            done: Steps.
            total: Steps.
        """
        self._fitted_name = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        self.cancel_fit.setVisible(bool(name))
        self.bar.setAccessibleName("Steps of the fit" if name else "Notes rendered")
        self.bar.setVisible(bool(name))
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.show_service(self._service)

    def show_audio(self, state: StreamState) -> None:
        """Show where sound goes."""
        text = state.kind.value
        if state.kind is StreamKind.RUNNING and state.device is not None:
            name = state.device.name
            text = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
            if state.latency_s > 0:
                text += f", {1000 * state.latency_s:.0f} ms"
        bad = (StreamKind.LOST, StreamKind.NO_DEVICE, StreamKind.REFUSED)
        self._say(self.audio, f"Sound: {text}", state.message, is_bad=state.kind in bad)

    def show_underruns(self, count: int) -> None:
        """Show how often the sound broke off."""
        text = "no underruns" if count == 0 else f"{count} underruns"
        tip = "Times that the sound device got no sound in time; larger blocks help (settings)"
        self._say(self.underruns, text, tip, is_bad=count > 0)

    def show_midi(self, text: str, is_on: bool) -> None:
        """Show which MIDI keyboards are heard."""
        self._say(self.midi, "MIDI on" if is_on else "no MIDI", text)

    def show_letters(self, octave: int, velocity: int, middle_c: int) -> None:
        """Show what the computer keyboard plays."""
        name = note_label(12 * octave, middle_c) if octave <= 10 else ""
        self._say(
            self.letters,
            f"Letters: {name}, velocity {velocity}",
            "The A key plays this note: Z and X move it by an octave, C and V the velocity",
        )

    def _say(self, label: QLabel, text: str, tip: str, *, is_bad: bool = False) -> None:
        label.setText(text)
        label.setToolTip(tip)
        label.setAccessibleName(text)
        theme = theme_of(self.palette())
        label.setStyleSheet(f"color: {theme.warning if is_bad else theme.dim_text};")


def _field(name: str) -> QLabel:
    label = QLabel()
    label.setAccessibleName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
    return label
