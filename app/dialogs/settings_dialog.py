"""Settings of the program: sound device, MIDI, where networks compute, looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.audio.portaudio import SAMPLE_RATES, OutputDevice
from app.settings import AppSettings, ComputeDevice, MiddleC, ThemeName
from app.theme import GRID

BLOCK_SIZES = (64, 128, 256, 512, 1024, 2048)


class SettingsDialog(QDialog):
    """Shows settings and gives back changed ones.

    *Thread:* GUI.

    Args:
        settings: Settings as they are now.
        devices: Sound devices there are.
        midi_ports: Labels of the MIDI ports there are.
        audio_state: Where the output stands, one sentence.
        midi_state: Where the MIDI ports stand, one sentence.
    """

    def __init__(
        self,
        settings: AppSettings,
        devices: Sequence[OutputDevice],
        midi_ports: Sequence[str],
        audio_state: str,
        midi_state: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self._settings = settings
        self.device = _choices(
            "Sound device",
            [("System default", None), *((device.label, device.label) for device in devices)],
            settings.audio_device,
        )
        self.rate = _choices(
            "Sample rate",
            [("The device's own", None), *((f"{rate} Hz", rate) for rate in SAMPLE_RATES)],
            settings.sample_rate,
        )
        self.block = _choices(
            "Block size",
            [(f"{size} frames ({1000 * size / 44100:.0f} ms)", size) for size in BLOCK_SIZES],
            settings.block_size,
        )
        self.midi = QListWidget()
        self.midi.setAccessibleName("MIDI inputs")
        self.midi.setMaximumHeight(8 * GRID)
        chosen = settings.midi_inputs
        for port in dict.fromkeys([*midi_ports, *(chosen or ())]):
            item = QListWidgetItem(port)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            is_on = chosen is None or port in chosen
            item.setCheckState(Qt.CheckState.Checked if is_on else Qt.CheckState.Unchecked)
            self.midi.addItem(item)
        self.compute = _choices(
            "Networks compute on",
            [(_DEVICE_NAMES[name], name) for name in get_args(ComputeDevice)],
            settings.compute_device,
        )
        self.theme = _choices(
            "Theme", [(name.capitalize(), name) for name in get_args(ThemeName)], settings.theme
        )
        self.middle_c = _choices(
            "Note 60 is called",
            [(f"C{octave}", octave) for octave in get_args(MiddleC)],
            settings.middle_c,
        )
        form = QFormLayout()
        for box, tip in (
            (self.device, "Where you hear the sound"),
            (self.rate, "Of the sound device"),
            (self.block, "Smaller answers sooner, larger is safer"),
        ):
            _add(form, box, tip)
        form.addRow("", _hint(audio_state))
        form.addRow("MIDI inputs", self.midi)
        form.addRow("", _hint(midi_state))
        _add(form, self.compute, "Takes effect at the next start")
        form.addRow("", _hint("Where networks compute is changed at the next start."))
        _add(form, self.theme, "Colours of the window")
        _add(form, self.middle_c, "Programs differ in how they number octaves; files hold numbers")
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(2 * GRID)
        layout.addLayout(form)
        layout.addWidget(buttons)
        self.setMinimumWidth(60 * GRID)

    @property
    def settings(self) -> AppSettings:
        """What is chosen."""
        items = [self.midi.item(row) for row in range(self.midi.count())]
        heard = tuple(i.text() for i in items if i.checkState() is Qt.CheckState.Checked)
        return replace(
            self._settings,
            audio_device=self.device.currentData(),
            sample_rate=self.rate.currentData(),
            block_size=self.block.currentData(),
            midi_inputs=None if len(heard) == len(items) else heard,
            compute_device=self.compute.currentData(),
            theme=self.theme.currentData(),
            middle_c=self.middle_c.currentData(),
        )


_DEVICE_NAMES = {
    "auto": "the fastest there is",
    "cpu": "the processor (CPU)",
    "cuda": "an NVIDIA GPU (CUDA)",
    "mps": "an Apple GPU (MPS)",
}


def _choices(name: str, rows: Sequence[tuple[str, object]], chosen: object) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(28)
    for text, value in rows:
        box.addItem(text, value)
    values = [value for _, value in rows]
    if chosen not in values:  # a device that is not there now, or a value of another program
        box.addItem(str(chosen), chosen)
        values.append(chosen)
    box.setCurrentIndex(values.index(chosen))
    return box


def _add(form: QFormLayout, box: QComboBox, tip: str) -> None:
    box.setToolTip(tip)
    form.addRow(box.accessibleName(), box)


def _hint(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setForegroundRole(label.palette().ColorRole.PlaceholderText)
    return label
