from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.widgets.dropped_data import SNAPSHOT_MIME, snapshot_mime
from app.widgets.timbre_pad import PadSource, TimbrePad
from core.errors import ParameterError
from tests.app.widgets.pointer import (
    click,
    double_click,
    drag,
    drop,
    files_mime,
    move,
    press,
    release,
    wheel,
)

Shown = Callable[[TimbrePad, int, int], TimbrePad]
_SIDE = 432  # 400 pixels of pad within margins of 16
_SOURCES = (
    PadSource(source_id="a", name="Bell", colour="#ff0000", x=0.25, y=0.75),
    PadSource(source_id="b", name="Pad", colour="#00ff00", x=0.75, y=0.25),
)


def _at(x: float, y: float) -> QPointF:
    return QPointF(16 + 400 * x, 416 - 400 * y)


class _Listener:
    def __init__(self, pad: TimbrePad) -> None:
        self.moves: list[tuple[float, float]] = []
        self.releases = 0
        self.source_moves: list[tuple[str, float, float]] = []
        self.source_releases: list[str] = []
        self.selected: list[str] = []
        pad.cursor_moved.connect(lambda x, y: self.moves.append((x, y)))
        pad.cursor_released.connect(self._release)
        pad.source_moved.connect(lambda *move: self.source_moves.append(move))
        pad.source_released.connect(self.source_releases.append)
        pad.source_selected.connect(self.selected.append)

    def _release(self) -> None:
        self.releases += 1


@pytest.fixture
def pad(shown: Shown) -> TimbrePad:
    pad = shown(TimbrePad(), _SIDE, _SIDE)
    pad.set_sources(_SOURCES)
    return pad


def test_up_is_up_and_a_drag_is_one_gesture(pad: TimbrePad) -> None:
    listener = _Listener(pad)
    drag(pad, [_at(0.5, 0.5), _at(0.6, 0.55), _at(0.6, 0.9)])
    assert listener.moves[-1] == pytest.approx((0.6, 0.9))
    assert pad._cursor == listener.moves[-1]
    assert listener.releases == 1


def test_a_press_on_empty_ground_brings_the_cursor(pad: TimbrePad) -> None:
    listener = _Listener(pad)
    click(pad, _at(0.1, 0.2))
    assert listener.moves == [pytest.approx((0.1, 0.2))]


def test_the_cursor_snaps_to_a_source_unless_asked_not_to(pad: TimbrePad) -> None:
    near = _at(0.25, 0.75) + QPointF(7, -7)
    drag(pad, [_at(0.5, 0.5), near])
    assert pad._cursor == (0.25, 0.75)
    pad.set_cursor(0.5, 0.5)
    drag(pad, [_at(0.5, 0.5), near], Qt.KeyboardModifier.AltModifier)
    assert pad._cursor == pytest.approx((0.25 + 7 / 400, 0.75 + 7 / 400))


def test_the_cursor_does_not_snap_to_what_is_not_heard(pad: TimbrePad) -> None:
    pad.set_sources(
        [PadSource(source_id="a", name="Bell", colour="#ff0000", x=0.25, y=0.75, is_audible=False)]
    )
    drag(pad, [_at(0.5, 0.5), _at(0.26, 0.75)])
    assert pad._cursor == pytest.approx((0.26, 0.75))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_ever_leaves_the_pad_and_gestures_are_balanced(seed: int) -> None:
    pad = TimbrePad()
    pad.resize(_SIDE, _SIDE)
    pad.set_sources(_SOURCES)
    listener = _Listener(pad)
    _fidget(pad, seed)
    everywhere = listener.moves + [(x, y) for _, x, y in listener.source_moves]
    assert all(0.0 <= x <= 1.0 and 0.0 <= y <= 1.0 for x, y in everywhere)
    if listener.moves:
        assert pad._cursor == listener.moves[-1]


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_gesture_moves_a_frozen_cursor(seed: int) -> None:
    pad = TimbrePad()
    pad.resize(_SIDE, _SIDE)
    pad.set_sources(_SOURCES)
    pad.set_frozen("Not now")
    listener = _Listener(pad)
    _fidget(pad, seed)
    assert (listener.moves, listener.releases) == ([], 0)
    assert pad._cursor == (0.5, 0.5)
    pad.set_frozen("")
    click(pad, _at(0.1, 0.2))
    assert listener.moves == [pytest.approx((0.1, 0.2))]


def test_a_frozen_pad_says_why_and_still_moves_its_sources(pad: TimbrePad) -> None:
    pad.set_cursor(0.25, 0.75)  # over a source
    plain = pad.grab().toImage()
    drag_begins = _at(0.25, 0.75)
    press(pad, _at(0.5, 0.1))
    pad.set_frozen("Notes of one instrument")
    move(pad, _at(0.9, 0.9))
    release(pad, _at(0.9, 0.9))
    assert pad._cursor == pytest.approx((0.5, 0.1))  # the drag ended there
    assert pad.grab().toImage() != plain
    assert pad.accessibleDescription().startswith("Notes of one instrument.")
    assert "Notes of one instrument" in pad.toolTip()
    pad.set_cursor(0.25, 0.75)
    listener = _Listener(pad)
    drag(pad, [drag_begins, _at(0.4, 0.4)])
    assert listener.source_moves[-1] == ("a", pytest.approx(0.4), pytest.approx(0.4))
    QTest.keyClick(pad, Qt.Key.Key_PageDown)
    assert listener.selected == ["a", "b"]


def _fidget(pad: TimbrePad, seed: int) -> None:
    """Gestures of all kinds, at random."""
    chance = random.Random(seed)
    keys = [Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Home, Qt.Key.Key_PageDown, Qt.Key.Key_Return]
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    for _ in range(40):
        at = QPointF(chance.uniform(-200, 700), chance.uniform(-200, 700))
        held = chance.choice([Qt.KeyboardModifier.NoModifier, control, shift])
        chance.choice(
            [
                lambda at=at, held=held: press(pad, at, held),
                lambda at=at, held=held: move(pad, at, held),
                lambda at=at: release(pad, at),
                lambda at=at: double_click(pad, at),
                lambda at=at, held=held: wheel(pad, at, 40, held),
                lambda held=held: QTest.keyClick(pad, chance.choice(keys), held),
            ]
        )()


def test_double_click_centres_or_goes_to_the_source(pad: TimbrePad) -> None:
    double_click(pad, _at(0.75, 0.25))
    assert pad._cursor == (0.75, 0.25)
    double_click(pad, _at(0.1, 0.1))
    assert pad._cursor == (0.5, 0.5)


def test_sources_are_dragged_by_handle_and_by_name(pad: TimbrePad) -> None:
    listener = _Listener(pad)
    drag(pad, [_at(0.25, 0.75), _at(0.35, 0.65)])
    assert listener.source_moves[-1] == ("a", pytest.approx(0.35), pytest.approx(0.65))
    name = _at(0.35, 0.65) + QPointF(0, 22)
    drag(pad, [name, name + QPointF(40, 0)])
    assert listener.source_moves[-1] == ("a", pytest.approx(0.45), pytest.approx(0.65))
    assert listener.source_releases == ["a", "a"]
    assert listener.selected == ["a"]
    assert listener.moves == []


def test_under_the_cursor_a_source_moves_with_control(pad: TimbrePad) -> None:
    pad.set_cursor(0.25, 0.75)
    listener = _Listener(pad)
    drag(pad, [_at(0.25, 0.75), _at(0.4, 0.4)], Qt.KeyboardModifier.ControlModifier)
    assert listener.source_moves[-1] == ("a", pytest.approx(0.4), pytest.approx(0.4))
    drag(pad, [_at(0.25, 0.75), _at(0.6, 0.6)])
    assert pad._cursor == pytest.approx((0.6, 0.6))


def test_arrows_move_finely_with_shift_faster_and_settle_once(pad: TimbrePad, qtbot: QtBot) -> None:
    listener = _Listener(pad)
    QTest.keyClick(pad, Qt.Key.Key_Right)
    QTest.keyClick(pad, Qt.Key.Key_Up)
    assert pad._cursor == pytest.approx((0.505, 0.505))
    QTest.keyClick(pad, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert pad._cursor == pytest.approx((0.455, 0.505))
    assert listener.releases == 0
    qtbot.waitUntil(lambda: listener.releases == 1)


def test_the_wheel_moves_along_x_and_with_shift_along_y(pad: TimbrePad, qtbot: QtBot) -> None:
    listener = _Listener(pad)
    wheel(pad, _at(0.5, 0.5), 2)
    wheel(pad, _at(0.5, 0.5), -4, Qt.KeyboardModifier.ShiftModifier)
    assert pad._cursor == pytest.approx((0.51, 0.48))
    qtbot.waitUntil(lambda: listener.releases == 1)


def test_sources_are_chosen_moved_visited_and_deleted_by_keys(pad: TimbrePad) -> None:
    listener = _Listener(pad)
    deleted: list[str] = []
    pad.source_delete_requested.connect(deleted.append)
    for _ in range(2):
        QTest.keyClick(pad, Qt.Key.Key_PageDown)
    assert listener.selected == ["a", "b"]
    QTest.keyClick(pad, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    assert listener.source_moves == [("b", pytest.approx(0.745), 0.25)]
    QTest.keyClick(pad, Qt.Key.Key_Return)
    assert listener.source_releases == ["b"]
    assert pad._cursor == pytest.approx((0.745, 0.25))
    QTest.keyClick(pad, Qt.Key.Key_Delete)
    assert deleted == ["b"]


def test_files_land_where_they_are_dropped(pad: TimbrePad, tmp_path: Path) -> None:
    dropped: list[tuple[list[Path], float, float]] = []
    pad.files_dropped.connect(lambda *told: dropped.append(told))
    files = [tmp_path / "a.wav", tmp_path / "folder"]
    assert drop(pad, files_mime(files), _at(0.2, 0.6))
    assert dropped == [(files, pytest.approx(0.2), pytest.approx(0.6))]


def test_snapshots_land_where_they_are_dropped(pad: TimbrePad) -> None:
    dropped: list[tuple[int, float, float]] = []
    pad.snapshot_dropped.connect(lambda *told: dropped.append(told))
    assert drop(pad, snapshot_mime(5), _at(0.5, 0.1))
    assert dropped == [(5, pytest.approx(0.5), pytest.approx(0.1))]


@pytest.mark.parametrize("data", [b"8", b"-1", b"", b"x", b"1\x00"])
def test_foreign_data_is_not_taken(pad: TimbrePad, data: bytes) -> None:
    mime = files_mime([])
    mime.setData(SNAPSHOT_MIME, data)
    assert not drop(pad, mime, _at(0.5, 0.5))


def test_the_field_is_painted_with_row_0_at_the_bottom(pad: TimbrePad) -> None:
    field = np.zeros((2, 1, 3), np.uint8)
    field[0] = (0, 0, 255)
    field[1] = (255, 0, 0)
    pad.set_field(field)
    image = pad.grab().toImage()
    ratio = image.devicePixelRatio()
    low = image.pixelColor((_at(0.05, 0.05) * ratio).toPoint())
    high = image.pixelColor((_at(0.05, 0.95) * ratio).toPoint())
    assert low.blue() > 200 > low.red()
    assert high.red() > 200 > high.blue()


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (4, 3, 1)])
def test_fields_of_other_shapes_are_refused(pad: TimbrePad, shape: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="field"):
        pad.set_field(np.zeros(shape, np.uint8))


def test_screen_readers_hear_the_mix(pad: TimbrePad) -> None:
    pad.set_weights({"a": 0.25, "b": 0.75})
    click(pad, _at(0.5, 0.3))
    assert "Bell 25%" in pad.accessibleDescription()
    assert "Pad 75%" in pad.accessibleDescription()
    QApplication.processEvents()
