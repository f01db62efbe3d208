"""How the mix is rendered: faithful or free, varied, hard or soft."""

from __future__ import annotations

import random
from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QToolButton, QWidget

from app.models.session import SoundSettings
from app.theme import GRID
from app.views.parameter_slider import ParameterSlider, percent

DICE_VARIATION = 0.4
"""Where the dice find no variation, they start with so much."""
_SEEDS = 1 << 31


class SoundPanel(QWidget):
    """Four sliders and dice.

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
        self.carry_over = ParameterSlider(
            "Body of the recording", ("model alone", "kept"), 0, 100,
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
        self.dice.setText("⚄")
        self.dice.setAccessibleName("Roll the dice")
        self.dice.setToolTip("Another variation of this sound (Ctrl+R)")
        self.dice.setShortcut("Ctrl+R")
        self.dice.clicked.connect(self.roll)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(2 * GRID)
        layout.setVerticalSpacing(GRID)
        layout.addWidget(self.refinement, 0, 0)
        layout.addWidget(self.carry_over, 0, 1, 1, 2)
        layout.addWidget(self.velocity, 1, 0)
        layout.addWidget(self.variation, 1, 1)
        layout.addWidget(self.dice, 1, 2)
        layout.setColumnStretch(0, 1)
        layout.setColumnStretch(1, 1)
        for slider, name in self._sliders():
            slider.value_changed.connect(
                lambda value, name=name, slider=slider: self._take(name, slider)
            )
            slider.released.connect(self.released)
        self.setAccessibleName("Sound")

    def set_sound(self, sound: SoundSettings) -> None:
        """Show settings; tells nobody."""
        self._sound = sound
        for slider, name in self._sliders():
            value = getattr(sound, name)
            slider.set_value(value if name == "velocity" else round(100 * value))

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

    def _sliders(self) -> tuple[tuple[ParameterSlider, str], ...]:
        return (
            (self.refinement, "refinement"),
            (self.carry_over, "carry_over"),
            (self.variation, "variation"),
            (self.velocity, "velocity"),
        )

    def _take(self, name: str, slider: ParameterSlider) -> None:
        value = slider.value if name == "velocity" else slider.value / 100
        if name == "velocity":
            self._sound = replace(self._sound, velocity=slider.value)
        elif name == "refinement":
            self._sound = replace(self._sound, refinement=value)
        elif name == "carry_over":
            self._sound = replace(self._sound, carry_over=value)
        else:
            self._sound = replace(self._sound, variation=value)
        self.sound_changed.emit(self._sound, name)
