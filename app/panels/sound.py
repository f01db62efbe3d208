"""How the mix is rendered: faithful or free, varied, hard or soft."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QToolButton, QWidget

from app.models.session import SoundSettings
from app.theme import GRID
from app.widgets.parameter_slider import ParameterSlider, percent
from core.inference.request import MAX_ORIGINAL_RANGE

DICE_VARIATION = 0.4
"""Where the dice find no variation, they start with so much."""
RANGE_STEPS = 2
"""Places of the recording's slider in a semitone."""
_SEEDS = 1 << 31


class SoundPanel(QWidget):
    """Five sliders and dice.

    *Signals:*
        sound_changed(SoundSettings, str): the settings, and what was moved.
        released(): the move is over.

    *Thread:* GUI.
    """

    sound_changed = Signal(object, str)
    released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sound = SoundSettings()
        self.refinement = ParameterSlider(
            "Faithfulness", ("free", "faithful"), 0, 200,
            "How far the model adapts itself to the recording: 0 % plays what it knows of such\n"
            "sounds, 100 % is true to this one, more exaggerates what sets it apart",
            percent,
        )  # fmt: skip
        self.original_range = ParameterSlider(
            "Recording", ("model", "original"), 0, round(RANGE_STEPS * MAX_ORIGINAL_RANGE),
            "How far from its root a single source, or a note of one instrument, is played by the\n"
            "recording itself, shifted; beyond, the recording is given the colour that the model\n"
            "draws. At ±0 the model plays alone",
            lambda steps: f"±{steps / RANGE_STEPS:g}",
        )  # fmt: skip
        self.carry_over = ParameterSlider(
            "Body", ("none", "full"), 0, 100,
            "How much of the recording's own body and room, which the model misses, is added back",
            percent,
        )  # fmt: skip
        self.variation = ParameterSlider(
            "Variation", ("none", "wild"), 0, 100,
            "How far the dice may lead away from the mean sound", percent,
        )  # fmt: skip
        self.velocity = ParameterSlider(
            "Strike", ("soft", "hard"), 1, 127,
            "How hard the notes are struck when they are rendered (MIDI velocity)", str,
        )  # fmt: skip
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
        layout.addWidget(self.refinement, 0, 0)
        layout.addWidget(self.original_range, 0, 1)
        layout.addWidget(self.carry_over, 0, 2)
        layout.addWidget(self.velocity, 1, 0)
        layout.addWidget(self.variation, 1, 1)
        layout.addWidget(self.dice, 1, 2)
        for column in range(3):
            layout.setColumnStretch(column, 1)
        self._connect()
        self.setAccessibleName("Sound")

    def set_sound(self, sound: SoundSettings) -> None:
        """Show settings; tells nobody."""
        self._sound = sound
        self.refinement.set_value(round(100 * sound.refinement))
        self.original_range.set_value(round(RANGE_STEPS * sound.original_range))
        self.carry_over.set_value(round(100 * sound.carry_over))
        self.velocity.set_value(sound.velocity)
        self.variation.set_value(round(100 * sound.variation))

    def roll(self) -> None:
        """Draw another variation."""
        sound = replace(
            self._sound,
            seed=random.randrange(_SEEDS),
            variation=self._sound.variation or DICE_VARIATION,
        )
        self.set_sound(sound)
        self.sound_changed.emit(sound, "dice")
        self.released.emit()

    def _connect(self) -> None:
        for name, slider, change in (
            ("refinement", self.refinement, lambda s, v: replace(s, refinement=v / 100)),
            (
                "original_range",
                self.original_range,
                lambda s, v: replace(s, original_range=v / RANGE_STEPS),
            ),
            ("carry_over", self.carry_over, lambda s, v: replace(s, carry_over=v / 100)),
            ("velocity", self.velocity, lambda s, v: replace(s, velocity=v)),
            ("variation", self.variation, lambda s, v: replace(s, variation=v / 100)),
        ):
            slider.value_changed.connect(partial(self._take, name, change))
            slider.released.connect(self.released)

    def _take(
        self, name: str, change: Callable[[SoundSettings, int], SoundSettings], value: int
    ) -> None:
        self._sound = change(self._sound, value)
        self.sound_changed.emit(self._sound, name)
