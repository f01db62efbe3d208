"""How the mix is rendered: faithful or free, varied, hard or soft."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from PySide6.QtWidgets import QGridLayout, QToolButton, QWidget

from app.live.editor import Editor
from app.models.session import Session
from app.panels.layout import heading, stack
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
    step: str
    """What a move of it is called in the history."""
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
        step="Change faithfulness",
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
        step="Change the recording's share",
        text=lambda place: f"±{place / 2:g}",
    ),
    _Row(
        name="carry_over",
        label="Body",
        ends=("none", "full"),
        steps=100,
        tip="How much of the recording's own body and room, which the model misses, is added back",
        step="Change the body",
        text=percent,
    ),
    _Row(
        name="velocity",
        label="Strike",
        ends=("soft", "hard"),
        steps=1,
        tip="How hard the notes are struck when they are rendered (MIDI velocity)",
        step="Change the strike",
        text=str,
    ),
    _Row(
        name="variation",
        label="Variation",
        ends=("none", "wild"),
        steps=100,
        tip="How far the dice may lead away from the mean sound",
        step="Change variation",
        text=percent,
    ),
)


class SoundPanel(QWidget):
    """A slider for each setting of a sound, and dice for its seed.

    *Thread:* GUI.
    """

    def __init__(self, editor: Editor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._editor = editor
        self.sliders = {row.name: _slider(row) for row in _ROWS}
        """The sliders by the settings they move."""
        self.dice = QToolButton()
        self.dice.setText("⚄  Roll")
        self.dice.setAccessibleName("Roll the dice")
        self.dice.setToolTip("Another variation of this sound (Ctrl+R)")
        self.dice.clicked.connect(self.roll)
        content = QWidget()
        layout = QGridLayout(content)
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
            slider.released.connect(editor.end_gesture)
        stack(self, heading("Sound"), content)
        self.setAccessibleName("Sound")
        editor.follow(self._show)

    def roll(self) -> None:
        """Draw another variation."""

        def change(settings: RenderSettings) -> RenderSettings:
            variation = settings.variation or DICE_VARIATION
            return replace(settings, seed=random.randrange(_SEEDS), variation=variation)

        self._edit("Roll the dice", change)
        self._editor.end_gesture()

    def toggle_one_instrument(self) -> None:
        """Take the sources for notes of one instrument, or morph between them again."""
        is_on = not self._editor.session.one_instrument
        self._editor.edit(
            "Play as one instrument" if is_on else "Morph on the pad",
            lambda session: replace(session, one_instrument=is_on),
        )

    def _show(self, before: Session | None, after: Session) -> None:
        if before is None or before.settings != after.settings:
            for row in _ROWS:
                place = round(row.steps * getattr(after.settings, row.name))
                self.sliders[row.name].set_value(place)

    def _take(self, row: _Row, place: int) -> None:
        value: Any = place if row.steps == 1 else place / row.steps

        def change(settings: RenderSettings) -> RenderSettings:
            return replace(settings, **{row.name: value})

        self._edit(row.step, change, f"sound {row.name}")

    def _edit(
        self,
        label: str,
        change: Callable[[RenderSettings], RenderSettings],
        merge_key: str | None = None,
    ) -> None:
        def edit(session: Session) -> Session:
            return replace(session, settings=change(session.settings))

        self._editor.edit(label, edit, merge_key)


def _slider(row: _Row) -> ParameterSlider:
    declared = parameters(RenderSettings)[row.name]
    low, high = (round(row.steps * bound) for bound in (declared.least, declared.most))
    return ParameterSlider(row.label, row.ends, low, high, row.tip, row.text)
