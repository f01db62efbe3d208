from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt, SignalInstance
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.widgets.source_row import SourceView
from app.widgets.source_shelf import SourceShelf
from app.widgets.text_popup import TextPopup
from tests.app.widgets.pointer import click, double_click, drag, drop, files_mime, wheel

Shown = Callable[[SourceShelf, int, int], SourceShelf]
_CONTROL, _ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier
_VIEWS = tuple(
    SourceView(
        source_id=name,
        name=f"{name} sound",
        colour="#56b4e9",
        root_pitch=60.2,
        confidence=0.9,
        thumbnail=np.tile(np.array([[-0.5, 0.5]], np.float32), (60, 1)),
    )
    for name in ("a", "b", "c")
)


@pytest.fixture
def shelf(shown: Shown) -> SourceShelf:
    shelf = shown(SourceShelf(), 320, 400)
    shelf.set_sources(_VIEWS)
    QApplication.processEvents()
    return shelf


def _told(signal: SignalInstance) -> list[tuple[object, ...]]:
    told: list[tuple[object, ...]] = []
    signal.connect(lambda *values: told.append(values))
    return told


def _names(shelf: SourceShelf) -> list[str]:
    """Ids from the top down, as seen."""
    return sorted("abc", key=lambda source_id: shelf.row(source_id).y())


def test_a_fit_is_said_and_taken_back_where_it_was_asked_for(shelf: SourceShelf) -> None:
    told, row = _told(shelf.fit_changed), shelf.row("b")
    row.fit.click()
    shelf.update_rows([replace(_VIEWS[1], is_fit_wanted=True, fit_note="fitting 35%")])
    assert row.certainty.text() == "fitting 35%"
    assert "fitting 35%" in row.accessibleDescription()
    shelf.update_rows([replace(_VIEWS[1], is_fit_wanted=True)])
    assert (row.certainty.text(), row.fit.isChecked()) == ("90% sure", True)
    (action,) = (each for each in row.menu().actions() if "fit" in each.text())
    action.trigger()
    assert told == [("b", True), ("b", False)]


def test_rows_change_without_scrolling_under_the_hand(shown: Shown) -> None:
    shelf = shown(SourceShelf(), 320, 150)
    shelf.set_sources(_VIEWS)
    shelf.set_selected("a")
    QApplication.processEvents()
    bar = shelf._scroll.verticalScrollBar()
    bar.setValue(bar.maximum())
    assert bar.value() > 0
    shelf.update_rows(
        [replace(_VIEWS[0], fit_note="fitting 5%"), replace(_VIEWS[0], source_id="z")]
    )
    assert bar.value() == bar.maximum()


def test_what_does_not_fit_a_row_is_shortened_and_told(shown: Shown) -> None:
    shelf = shown(SourceShelf(), 225, 400)
    shelf.set_sources([replace(_VIEWS[0], root_pitch=None, name="a very long name of a sound")])
    shelf.set_sources([replace(_VIEWS[0], name="a very long name of a sound")])
    QApplication.processEvents()
    row = shelf.row("a")
    for label, full in ((row.name, "a very long name of a sound"), (row.certainty, "90% sure")):
        assert label.text() != full
        assert label.toolTip() == full
        assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width()


def test_rows_show_root_cents_and_certainty(shelf: SourceShelf) -> None:
    row = shelf.row("a")
    assert (row.root.text(), row.certainty.text()) == ("C4 +20", "90% sure")
    shelf.set_middle_c(3)
    assert row.root.text() == "C3 +20"
    row.set_view(replace(_VIEWS[0], confidence=0.2))
    assert row.certainty.text() == "no clear pitch"
    row.set_view(replace(_VIEWS[0], confidence=0.2, root_note="by its file"))
    assert row.certainty.text() == "by its file"
    row.set_view(replace(_VIEWS[0], is_root_set=True, root_pitch=60.0))
    assert (row.root.text(), row.certainty.text()) == ("C3", "set by you")
    row.set_view(replace(_VIEWS[0], root_pitch=None))
    assert row.certainty.text() == "listening"
    assert not row.root.isEnabled()


def test_switches_tell_what_they_are_set_to(shelf: SourceShelf) -> None:
    muted, soloed = _told(shelf.muted_changed), _told(shelf.soloed_changed)
    shelf.row("a").mute.click()
    shelf.row("b").solo.click()
    shelf.row("a").mute.click()
    assert muted == [("a", True), ("a", False)]
    assert soloed == [("b", True)]


def test_showing_a_state_tells_nobody(shelf: SourceShelf, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(shelf.muted_changed):
        shelf.set_sources([replace(view, is_muted=True) for view in _VIEWS])
    assert shelf.row("b").mute.isChecked()


def test_keys_do_all_that_the_mouse_does(shelf: SourceShelf) -> None:
    row = shelf.row("b")
    octaves = _told(shelf.octave_shifted)
    deleted, doubled = _told(shelf.delete_requested), _told(shelf.duplicate_requested)
    heard, moved = _told(shelf.audition_requested), _told(shelf.moved)
    muted, soloed = _told(shelf.muted_changed), _told(shelf.soloed_changed)
    for key, modifier in (
        (Qt.Key.Key_Up, _CONTROL),
        (Qt.Key.Key_Down, _CONTROL),
        (Qt.Key.Key_Delete, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_D, _CONTROL),
        (Qt.Key.Key_Space, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Up, _ALT),
        (Qt.Key.Key_Down, _ALT),
        (Qt.Key.Key_M, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_M, Qt.KeyboardModifier.ShiftModifier),
    ):
        QTest.keyClick(row, key, modifier)
    assert octaves == [("b", 1), ("b", -1)]
    assert deleted == doubled == heard == [("b",)]
    assert moved == [("b", 0), ("b", 2)]
    assert muted == soloed == [("b", True)]


def test_arrows_walk_through_the_rows(shelf: SourceShelf) -> None:
    selected = _told(shelf.selected)
    for _ in range(3):
        QTest.keyClick(shelf.row("a"), Qt.Key.Key_Down)
    QTest.keyClick(shelf.row("b"), Qt.Key.Key_Down)
    assert selected == [("b",), ("c",)]


def test_the_ends_cannot_be_passed(shelf: SourceShelf) -> None:
    moved = _told(shelf.moved)
    QTest.keyClick(shelf.row("a"), Qt.Key.Key_Up, _ALT)
    QTest.keyClick(shelf.row("c"), Qt.Key.Key_Down, _ALT)
    assert moved == []


@pytest.mark.parametrize(
    ("source_id", "onto", "index"), [("a", "c", 2), ("c", "a", 0), ("a", "b", 1)]
)
def test_a_row_is_dragged_to_another_place(
    shelf: SourceShelf, source_id: str, onto: str, index: int
) -> None:
    moved = _told(shelf.moved)
    row = shelf.row(source_id)
    down = shelf.row(onto).geometry().center().y() - row.y()
    down += 6 if onto > source_id else -6
    drag(row, [QPointF(8, 20), QPointF(8, 40), QPointF(8, down)])
    assert moved == [(source_id, index)]


def test_a_click_selects_and_moves_nothing(shelf: SourceShelf) -> None:
    moved, selected = _told(shelf.moved), _told(shelf.selected)
    click(shelf.row("b"), QPointF(8, 20))
    assert (moved, selected) == ([], [("b",)])


def test_rows_follow_the_order_given_and_keep_their_widgets(shelf: SourceShelf) -> None:
    before = {source_id: shelf.row(source_id) for source_id in "abc"}
    shelf.set_sources([_VIEWS[2], _VIEWS[0], _VIEWS[1]])
    QApplication.processEvents()
    assert _names(shelf) == ["c", "a", "b"]
    assert {source_id: shelf.row(source_id) for source_id in "abc"} == before
    shelf.set_sources(_VIEWS[:1])
    with pytest.raises(KeyError):
        shelf.row("b")


def test_a_name_is_typed_in_place(shelf: SourceShelf) -> None:
    renamed = _told(shelf.name_changed)
    double_click(shelf.row("a"), QPointF(100, 10))
    popup = shelf.row("a").findChild(TextPopup)
    assert popup is not None
    assert popup.line.text() == "a sound"
    popup.line.setText("   ")
    QTest.keyClick(popup.line, Qt.Key.Key_Return)
    assert renamed == []
    popup.line.setText("Bell")
    QTest.keyClick(popup.line, Qt.Key.Key_Return)
    assert renamed == [("a", "Bell")]


@pytest.mark.parametrize(
    ("middle_c", "text", "pitch"),
    [(4, "C4", 60.0), (3, "C3", 60.0), (5, "f#5 -30", 65.7), (3, "61", 61.0), (4, "A4 +5", 69.05)],
)
def test_a_root_is_typed(shelf: SourceShelf, middle_c: int, text: str, pitch: float) -> None:
    shelf.set_middle_c(middle_c)
    changed = _told(shelf.root_changed)
    shelf.row("a").root.click()
    popup = shelf.row("a").findChild(TextPopup)
    assert popup is not None
    popup.line.setText(text)
    QTest.keyClick(popup.line, Qt.Key.Key_Return)
    assert changed == [("a", pytest.approx(pitch))]


@pytest.mark.parametrize("text", ["", "H4", "C4 loud", "999", "C-9"])
def test_what_is_no_note_is_explained_and_not_taken(shelf: SourceShelf, text: str) -> None:
    changed = _told(shelf.root_changed)
    shelf.row("a").ask_root()
    popup = shelf.row("a").findChild(TextPopup)
    assert popup is not None
    popup.line.setText(text)
    QTest.keyClick(popup.line, Qt.Key.Key_Return)
    assert changed == []
    assert popup.isVisible()
    assert len(popup._complaint.text()) > 10


def test_the_wheel_over_the_root_moves_it_by_semitones(shelf: SourceShelf) -> None:
    changed = _told(shelf.root_changed)
    row = shelf.row("a")
    wheel(row, QPointF(row.root.geometry().center()), -2)
    wheel(row, QPointF(8, 8), 1)
    assert changed == [("a", pytest.approx(58.2))]


def test_the_menu_offers_what_makes_sense(shelf: SourceShelf) -> None:
    row = shelf.row("a")
    actions = {action.text(): action for action in row.menu().actions()}
    assert not actions["Use the detected root"].isEnabled()
    learned, coloured = _told(shelf.root_learn_requested), _told(shelf.colour_requested)
    actions["Take the root from the next key played"].trigger()
    actions["Colour…"].trigger()
    assert learned == coloured == [("a",)]
    reset = _told(shelf.root_reset)
    row.set_view(replace(_VIEWS[0], is_root_set=True))
    {action.text(): action for action in row.menu().actions()}["Use the detected root"].trigger()
    assert reset == [("a",)]


def test_files_are_taken(shelf: SourceShelf, tmp_path: Path) -> None:
    dropped = _told(shelf.files_dropped)
    assert drop(shelf, files_mime([tmp_path]), QPointF(50, 300))
    assert dropped == [([tmp_path],)]
    assert not drop(shelf, files_mime([]), QPointF(50, 300))


def test_long_names_are_elided_but_told_whole(shelf: SourceShelf) -> None:
    row = shelf.row("a")
    row.set_view(replace(_VIEWS[0], name="x" * 200))
    assert "…" in row.name.text()
    assert row.name.toolTip() == row.accessibleName() == "x" * 200
