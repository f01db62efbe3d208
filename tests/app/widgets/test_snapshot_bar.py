from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QDrag
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.widgets.dropped_data import dropped_snapshot
from app.widgets.snapshot_bar import SnapshotBar
from app.widgets.text_popup import TextPopup
from core.errors import ParameterError
from tests.app.widgets.pointer import drag

Shown = Callable[[SnapshotBar, int, int], SnapshotBar]


@pytest.fixture
def bar(shown: Shown) -> SnapshotBar:
    bar = shown(SnapshotBar(), 800, 40)
    bar.set_names(["Glass", None, "Wood", None, None, None, None, None])
    bar.set_active(0)
    return bar


class _Listener:
    def __init__(self, bar: SnapshotBar) -> None:
        self.told: list[tuple[object, ...]] = []
        bar.store_requested.connect(lambda slot: self.told.append(("store", slot)))
        bar.recall_requested.connect(lambda slot: self.told.append(("recall", slot)))
        bar.clear_requested.connect(lambda slot: self.told.append(("clear", slot)))
        bar.rename_requested.connect(lambda *told: self.told.append(("rename", *told)))


def test_an_empty_slot_stores_a_filled_one_recalls(bar: SnapshotBar, qtbot: QtBot) -> None:
    listener = _Listener(bar)
    for slot in (0, 1, 2):
        qtbot.mouseClick(bar.slots[slot], Qt.MouseButton.LeftButton)
    assert listener.told == [("recall", 0), ("store", 1), ("recall", 2)]


def test_keys_recall_clear_and_rename(bar: SnapshotBar) -> None:
    listener = _Listener(bar)
    slot = bar.slots[2]
    QTest.keyClick(slot, Qt.Key.Key_Return)
    QTest.keyClick(slot, Qt.Key.Key_Space)
    QTest.keyClick(slot, Qt.Key.Key_Delete)
    QTest.keyClick(slot, Qt.Key.Key_F2)
    popup = slot.findChild(TextPopup)
    assert popup is not None
    popup.line.setText("Oak")
    QTest.keyClick(popup.line, Qt.Key.Key_Return)
    assert listener.told == [("recall", 2), ("recall", 2), ("clear", 2), ("rename", 2, "Oak")]


def test_nothing_can_be_cleared_where_nothing_is(bar: SnapshotBar) -> None:
    listener = _Listener(bar)
    QTest.keyClick(bar.slots[1], Qt.Key.Key_Delete)
    QTest.keyClick(bar.slots[1], Qt.Key.Key_F2)
    assert listener.told == []
    assert bar.slots[1].findChild(TextPopup) is None


def test_the_menu_replaces(bar: SnapshotBar) -> None:
    listener = _Listener(bar)
    actions = {action.text(): action for action in bar.slots[0].menu().actions()}
    actions["Replace"].trigger()
    assert listener.told == [("store", 0)]
    empty = {action.text(): action.isEnabled() for action in bar.slots[1].menu().actions()}
    assert empty == {"Recall": False, "Store": True, "Rename…": False, "Clear": False}


@pytest.mark.parametrize(("slot", "carried"), [(2, [2]), (1, [])])
def test_only_filled_slots_are_dragged_out(
    bar: SnapshotBar, monkeypatch: pytest.MonkeyPatch, slot: int, carried: list[int]
) -> None:
    listener = _Listener(bar)
    found: list[int | None] = []

    def run(self: QDrag, actions: Qt.DropAction) -> Qt.DropAction:
        found.append(dropped_snapshot(self.mimeData()))
        return Qt.DropAction.CopyAction

    monkeypatch.setattr(QDrag, "exec", run)
    drag(bar.slots[slot], [QPointF(10, 10), QPointF(40, 10), QPointF(60, -200)])
    assert found == carried
    assert listener.told == []


def test_eight_names_are_needed(bar: SnapshotBar) -> None:
    with pytest.raises(ParameterError, match="8"):
        bar.set_names(["one"])
