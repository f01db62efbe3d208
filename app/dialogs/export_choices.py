"""What an export is made of: formats, notes, layers, a pad."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.models.session import ExportSettings
from app.theme import GRID
from app.widgets.note_names import note_label, parse_note_label
from core.errors import CoreError
from core.export.base import FORMATS
from core.instrument import HIGHEST_KEY
from core.parameters import parameters
from core.plan import InstrumentOptions, NoteSpan, PadGrid

PAD_TIP = (
    "Points of the pad that can be morphed in the sampler; 1 × 1 is the sound under the cursor"
)


class NoteBox(QSpinBox):
    """A MIDI note by number or name.

    Args:
        middle_c: Octave that note 60 is called by.
    """

    def __init__(self, middle_c: int, parent: QWidget | None = None) -> None:
        self._middle_c = middle_c
        super().__init__(parent)
        self.setRange(0, HIGHEST_KEY)

    @override
    def textFromValue(self, value: int) -> str:
        return f"{note_label(value, self._middle_c)} ({value})"

    @override
    def valueFromText(self, text: str) -> int:
        try:
            return parse_note_label(text.split("(")[0].strip(), self._middle_c)
        except CoreError:
            return self.value()

    @override
    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        try:
            parse_note_label(text.split("(")[0].strip(), self._middle_c)
        except CoreError:
            return QValidator.State.Intermediate, text, position
        return QValidator.State.Acceptable, text, position


class ExportChoices(QWidget):
    """Shows and edits the settings of an export.

    *Signals:*
        changed(): something else is chosen.

    *Thread:* GUI.

    Args:
        chosen: Settings to begin with.
        middle_c: Octave that note 60 is called by.
        length_s: Longest note while none is chosen, seconds.
    """

    changed = Signal()

    def __init__(
        self,
        chosen: ExportSettings,
        middle_c: int,
        length_s: float,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._length_s = length_s
        self._options = chosen.options  # what no control shows stays as it was
        self.formats = {key: QCheckBox(key) for key in FORMATS}
        self.low = NoteBox(middle_c)
        self.high = NoteBox(middle_c)
        self.step = _spin(NoteSpan, "step", " semitones")
        self.limit = QCheckBox("At most")
        self.length = QDoubleSpinBox()
        length = parameters(InstrumentOptions)["length_s"]
        self.length.setRange(length.least, length.most)
        self.length.setSuffix(" s")
        self.layers = _spin(InstrumentOptions, "velocity_layers")
        self.robins = _spin(InstrumentOptions, "round_robins")
        self.columns = _spin(PadGrid, "columns")
        self.rows = _spin(PadGrid, "rows")
        self.loop = QCheckBox("Loop what sustains")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * GRID)
        layout.addWidget(self._formats_box(), 1)
        layout.addWidget(self._content_box(), 1)
        self.set_chosen(chosen)
        self._connect()

    @property
    def chosen(self) -> ExportSettings:
        """What is chosen."""
        chosen = tuple(key for key, box in self.formats.items() if box.isChecked())
        low, high = sorted((self.low.value(), self.high.value()))
        columns, rows = self.columns.value(), self.rows.value()
        return ExportSettings(
            formats=chosen,
            span=NoteSpan(low=low, high=high, step=self.step.value()),
            options=replace(
                self._options,
                length_s=self.length.value() if self.limit.isChecked() else None,
                loop=self.loop.isChecked(),
                velocity_layers=self.layers.value(),
                round_robins=self.robins.value(),
            ),
            grid=PadGrid(columns=columns, rows=rows) if columns * rows > 1 else None,
        )

    def set_chosen(self, chosen: ExportSettings) -> None:
        """Show other settings, those that the document holds."""
        self._options = chosen.options
        for key, box in self.formats.items():
            box.setChecked(key in chosen.formats)
        self.set_range(chosen.span.low, chosen.span.high)
        self.step.setValue(chosen.span.step)
        self.loop.setChecked(chosen.options.loop)
        self.limit.setChecked(chosen.options.length_s is not None)
        self.length.setValue(chosen.options.length_s or self._length_s)
        self.length.setEnabled(self.limit.isChecked())
        self.layers.setValue(chosen.options.velocity_layers)
        self.robins.setValue(chosen.options.round_robins)
        self.columns.setValue(1 if chosen.grid is None else chosen.grid.columns)
        self.rows.setValue(1 if chosen.grid is None else chosen.grid.rows)

    def set_range(self, low: int, high: int) -> None:
        """Take the range that was dragged on the piano."""
        self.low.setValue(low)
        self.high.setValue(high)

    def set_pad_refusal(self, reason: str) -> None:
        """Offer no pad.

        Args:
            reason: Why; empty offers one.
        """
        for box in (self.columns, self.rows):
            box.setEnabled(not reason)
            box.setToolTip(reason or PAD_TIP)
            if reason:
                box.setValue(1)

    def _formats_box(self) -> QGroupBox:
        group = QGroupBox("Formats")
        layout = QVBoxLayout(group)
        for key, box in self.formats.items():
            summary = FORMATS[key].summary
            short = summary.split(";")[0].split(" (")[0]
            box.setText(short[0].upper() + short[1:])
            box.setAccessibleName(key)
            box.setToolTip(summary)
            layout.addWidget(box)
        return group

    def _content_box(self) -> QGroupBox:
        group = QGroupBox("Content")
        grid = QGridLayout(group)
        grid.setHorizontalSpacing(2 * GRID)
        length = _side_by_side(self.limit, self.length)
        pad = _side_by_side(self.columns, QLabel("×"), self.rows)
        for row, (text, field, tip) in enumerate(
            (
                ("Lowest note", self.low, "Also dragged above the piano"),
                ("Highest note", self.high, "Also dragged above the piano"),
                ("A recording every", self.step, "Keys between are stretched by the sampler"),
                ("Length", length, "Unchecked: as long as the sources"),
                ("Velocity layers", self.layers, "Timbres from soft to loud"),
                ("Round robins", self.robins, "Variations that repeated keys run through"),
                ("Pad", pad, PAD_TIP),
            )
        ):
            label = QLabel(text)
            label.setToolTip(tip)
            grid.addWidget(label, row, 0)
            if isinstance(field, QWidget):
                field.setToolTip(tip)
                field.setAccessibleName(text)
                grid.addWidget(field, row, 1)
            elif isinstance(field, QHBoxLayout):
                grid.addLayout(field, row, 1)
        grid.addWidget(self.loop, grid.rowCount(), 0, 1, 2)
        self.columns.setAccessibleName("Columns of the pad")
        self.rows.setAccessibleName("Rows of the pad")
        return group

    def _connect(self) -> None:
        for box in (
            self.low,
            self.high,
            self.step,
            self.length,
            self.layers,
            self.robins,
            self.columns,
            self.rows,
        ):
            box.valueChanged.connect(self.changed)
        self.limit.toggled.connect(self.length.setEnabled)
        for check in (*self.formats.values(), self.loop, self.limit):
            check.toggled.connect(self.changed)


def _side_by_side(*widgets: QWidget) -> QHBoxLayout:
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
    return layout


def _spin(declaring: type[Any], name: str, suffix: str = "") -> QSpinBox:
    """A box of a whole number with the range that a field of a dataclass declares."""
    declared = parameters(declaring)[name]
    box = QSpinBox()
    box.setRange(int(declared.least), int(declared.most))
    box.setSuffix(suffix)
    return box
