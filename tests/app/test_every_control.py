"""Every control does something: moving it changes what is asked for.

The tables are made of the controls that the window really has, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QDoubleSpinBox,
    QLineEdit,
    QSpinBox,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.dialogs.export_dialog import ExportDialog
from app.models.session import ExportSettings
from core.inference.production import Production
from core.parameters import parameters
from core.plan import InstrumentPlan
from core.sound import RenderSettings, Sound, TimbreMix
from tests.app.program import WAIT_MS, Program, write_tone
from tests.core.test_sound import timbre


@pytest.fixture
def program(qtbot: QtBot, tmp_path: Path) -> Iterator[Program]:
    program = Program(qtbot, tmp_path)
    program.start()
    program.drop(write_tone(tmp_path / "a.wav", 57.3))
    program.wait_rendered()
    yield program
    program.close()


def test_every_slider_reaches_the_engine_over_its_whole_range(
    qtbot: QtBot, program: Program
) -> None:
    sliders = program.sound_panel.sliders
    assert set(sliders) == {each.name for each in fields(RenderSettings)} - {"seed"}
    for name, row in sliders.items():
        slider, declared = row.slider, parameters(RenderSettings)[name]
        for place, expected in (
            (slider.minimum(), declared.least),
            (slider.maximum(), declared.most),
            (slider.maximum() - 1, None),
        ):
            slider.setValue(place)
            value = getattr(program.document.session.settings, name)
            assert expected in (None, value)
            assert expected is not None or declared.least < value < declared.most
            qtbot.waitUntil(lambda: is_asked_for(program, name, value), timeout=WAIT_MS)  # noqa: B023


def is_asked_for(program: Program, name: str, value: float) -> bool:
    """Whether the engine was asked for a note with a value of a setting."""
    asked = [request.sound.settings for request in program.engine.requests]
    return any(getattr(settings, name) == value for settings in asked)


def test_the_dice_ask_for_another_seed_that_is_heard(program: Program) -> None:
    before = program.document.session.settings
    program.sound_panel.dice.click()
    after = program.document.session.settings
    assert after.seed != before.seed
    assert after.variation > 0.0
    program.wait_rendered()
    assert program.engine.requests[-1].sound.settings == after


# The export dialog


def sound() -> Sound:
    mix = TimbreMix(timbres=(timbre("a"), timbre("b")), weights=(1.0, 1.0))
    return Sound(mix=mix)


@pytest.fixture
def dialog(qtbot: QtBot, tmp_path: Path) -> ExportDialog:
    def order(name: str, folder: Path, chosen: ExportSettings) -> Production:
        return Production(
            name=name,
            sound=sound(),
            plan=InstrumentPlan(notes=chosen.span.notes, options=chosen.options),
            grid=chosen.grid,
            formats=chosen.formats,
            folder=folder,
        )

    dialog = ExportDialog(
        ExportSettings(),
        "Mine",
        tmp_path,
        4,
        order,
        lambda _order: None,  # type: ignore[arg-type, return-value]
        pad_refusal="",
        note_ms=50.0,
        length_s=2.0,
    )
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def controls(dialog: ExportDialog) -> list[QWidget]:
    """All that a person can set in the dialog."""
    found: list[QWidget] = []
    for kind in (QCheckBox, QAbstractSpinBox, QLineEdit):
        found += [
            each
            for each in dialog.findChildren(kind)
            if not isinstance(each.parent(), QAbstractSpinBox)  # a spin box's own line
        ]
    return found


def turn(control: QWidget) -> None:
    """Set a control to something else."""
    if isinstance(control, QCheckBox):
        control.click()
    elif isinstance(control, QSpinBox | QDoubleSpinBox):
        control.setEnabled(True)
        step = 1 if control.value() < control.maximum() else -1
        control.stepBy(step)
    elif isinstance(control, QLineEdit):
        control.setText(f"{control.text()}x")


def test_every_control_of_the_export_dialog_changes_the_order(dialog: ExportDialog) -> None:
    found = controls(dialog)
    assert len(found) >= 17
    for control in found:
        if control is dialog.choices.length:
            dialog.choices.limit.setChecked(True)
        if isinstance(control, QCheckBox) and control in dialog.choices.formats.values():
            dialog.choices.formats["sfz"].setChecked(True)
        before = dialog._order()
        turn(control)
        if not any(box.isChecked() for box in dialog.choices.formats.values()):
            dialog.choices.formats["wav"].setChecked(True)
        after = dialog._order()
        assert before is not None
        assert after is not None
        assert before != after, control.accessibleName() or control.objectName() or control


def test_every_control_of_the_export_dialog_shows_what_it_is_given(dialog: ExportDialog) -> None:
    for control in controls(dialog):
        if control not in (dialog.name, dialog.folder, dialog.replace_files, dialog.verify):
            turn(control)
    dialog.choices.limit.setChecked(True)
    chosen = dialog.choices.chosen
    dialog.choices.set_chosen(ExportSettings())
    assert dialog.choices.chosen != chosen
    dialog.choices.set_chosen(chosen)
    assert dialog.choices.chosen == chosen
