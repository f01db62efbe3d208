"""How the mix is rendered: faithful or free, varied, hard or soft."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QToolButton, QWidget

from app.theme import GRID
from app.widgets.parameter_slider import ParameterSlider, percent
from core.parameters import parameters
from core.sound import RenderSettings

DICE_VARIATION = 0.4
"""Where the dice find no variation, they start with so much."""
_SEEDS = 1 << 31


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A slider of one setting; its range is that of the field."""

    name: str
    """Field of RenderSettings."""
    label: str
    ends: tuple[str, str]
    """Words for the lowest and the highest value."""
    steps: int
    """Places of the slider in one unit of the setting."""
    tip: str
    text: Callable[[int], str]
    """What is shown beside the slider at a place."""


_ROWS = (
    _Row(
        name="refinement",
        label="Faithfulness",
        ends=("free", "faithful"),
        steps=100,
        tip="How far the model adapts itself to the recording: 0 % plays what it knows of such\n"
        "sounds, 100 % is true to this one, more exaggerates what sets it apart",
        text=percent,
    ),
    _Row(
        name="original_range",
        label="Recording",
        ends=("model", "original"),
        steps=2,
        tip="How far from its root a single source, or a note of one instrument, is played by the\n"
        "recording itself, shifted; beyond, the recording is given the colour that the model\n"
        "draws. At ±0 the model plays alone",
        text=lambda place: f"±{place / 2:g}",
    ),
    _Row(
        name="carry_over",
        label="Body",
        ends=("none", "full"),
        steps=100,
        tip="How much of the recording's own body and room, which the model misses, is added back",
        text=percent,
    ),
    _Row(
        name="velocity",
        label="Strike",
        ends=("soft", "hard"),
        steps=1,
        tip="How hard the notes are struck when they are rendered (MIDI velocity)",
        text=str,
    ),
    _Row(
        name="variation",
        label="Variation",
        ends=("none", "wild"),
        steps=100,
        tip="How far the dice may lead away from the mean sound",
        text=percent,
    ),
)


class SoundPanel(QWidget):
    """A slider for each setting of a sound, and dice for its seed.

    *Signals:*
        settings_changed(RenderSettings, str): the settings, and what was moved.
        released(): the move is over.

    *Thread:* GUI.
    """

    settings_changed = Signal(object, str)
    released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = RenderSettings()
        self.sliders = {row.name: _slider(row) for row in _ROWS}
        """The sliders by the settings they move."""
        self.dice = QToolButton()
        self.dice.setText("⚄  Roll")
        self.dice.setAccessibleName("Roll the dice")
        self.dice.setToolTip("Another variation of this sound (Ctrl+R)")
        self.dice.setShortcut("Ctrl+R")
        self.dice.clicked.connect(self.roll)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(2 * GRID)
        layout.setVerticalSpacing(GRID)
        for place, each in enumerate((*self.sliders.values(), self.dice)):
            layout.addWidget(each, *divmod(place, 3))
        for column in range(3):
            layout.setColumnStretch(column, 1)
        for row in _ROWS:
            slider = self.sliders[row.name]
            slider.value_changed.connect(partial(self._take, row))
            slider.released.connect(self.released)
        self.setAccessibleName("Sound")

    def set_settings(self, settings: RenderSettings) -> None:
        """Show settings; tells nobody."""
        self._settings = settings
        for row in _ROWS:
            self.sliders[row.name].set_value(round(row.steps * getattr(settings, row.name)))

    def roll(self) -> None:
        """Draw another variation."""
        settings = replace(
            self._settings,
            seed=random.randrange(_SEEDS),
            variation=self._settings.variation or DICE_VARIATION,
        )
        self.set_settings(settings)
        self.settings_changed.emit(settings, "dice")
        self.released.emit()

    def _take(self, row: _Row, place: int) -> None:
        value: Any = place if row.steps == 1 else place / row.steps
        self._settings = replace(self._settings, **{row.name: value})
        self.settings_changed.emit(self._settings, row.name)


def _slider(row: _Row) -> ParameterSlider:
    declared = parameters(RenderSettings)[row.name]
    low, high = (round(row.steps * bound) for bound in (declared.least, declared.most))
    return ParameterSlider(row.label, row.ends, low, high, row.tip, row.text)
