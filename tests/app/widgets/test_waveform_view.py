from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyqtgraph as pg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.models.session import MIN_SOURCE_S
from app.theme import DARK
from app.widgets.waveform_view import (
    SHORTEST_RANGE_S,
    WaveformView,
)
from tests.app.widgets.pointer import double_click, drag, wheel

Shown = Callable[[WaveformView, int, int], WaveformView]
_SHIFT, _CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
_SINE = np.sin(np.arange(2000) / 20).astype(np.float32)


@pytest.fixture(autouse=True)
def _no_move_is_left_out() -> Iterator[None]:
    """pyqtgraph ignores moves within 10 ms of the last: tests are faster than hands."""
    limit = pg.getConfigOption("mouseRateLimit")
    pg.setConfigOption("mouseRateLimit", 0)
    yield
    pg.setConfigOption("mouseRateLimit", limit)


@pytest.fixture
def view(shown: Shown) -> WaveformView:
    """Two seconds on 400 pixels between the frame: 200 pixels are a second."""
    view = shown(WaveformView(), 404, 104)
    view.set_samples(_SINE, 1000)
    return view


@pytest.fixture
def told(view: WaveformView) -> list[tuple[float, float] | str]:
    """What the view tells, in order."""
    told: list[tuple[float, float] | str] = []
    view.range_changed.connect(lambda start, end: told.append((start, end)))
    view.range_released.connect(lambda: told.append("released"))
    return told


def _canvas(view: WaveformView) -> QWidget:
    """What lies under the pointer."""
    QApplication.processEvents()
    canvas = view.childAt(view.rect().center())
    assert canvas is not None
    return canvas


def _visible(view: WaveformView) -> tuple[float, float]:
    left, right = view._axis.viewRange()[0]
    return left, right


def _drag(view: WaveformView, places: Sequence[int]) -> None:
    canvas = _canvas(view)
    QTest.mouseMove(canvas, QPoint(places[0], 50))
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(places[0], 50))
    for x in places[1:]:
        QTest.mouseMove(canvas, QPoint(x, 50))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(places[-1], 50))


def _pixels(view: WaveformView) -> NDArray[np.int64]:
    """What the canvas shows, [rows, columns, red green blue]."""
    image = _canvas(view).grab().toImage()
    rows, columns = range(image.height()), range(image.width())
    colours = [[image.pixelColor(x, y).getRgb()[:3] for x in columns] for y in rows]
    return np.array(colours)


def _shows(pixels: NDArray[np.int64], colour: str, tolerance: int = 12) -> NDArray[np.bool_]:
    """In which columns a colour is seen."""
    distance = np.abs(pixels - np.array(QColor(colour).getRgb()[:3])).max(axis=2)
    seen: NDArray[np.bool_] = (distance <= tolerance).any(axis=0)
    return seen


def test_ends_are_dragged(view: WaveformView, told: list[tuple[float, float] | str]) -> None:
    _drag(view, [1, 60, 101])
    assert told[-2:] == [(pytest.approx(0.5), 2.0), "released"]
    _drag(view, [398, 298])
    assert told[-2:] == [(pytest.approx(0.5), pytest.approx(1.5)), "released"]
    _drag(view, [300, 20])
    assert told[-2] == (pytest.approx(0.5), pytest.approx(0.5 + SHORTEST_RANGE_S))
    assert told.count("released") == 3


def test_no_source_is_trimmed_shorter_than_a_session_takes() -> None:
    assert SHORTEST_RANGE_S > MIN_SOURCE_S


def test_two_pixels_are_a_drag(view: WaveformView, told: list[tuple[float, float] | str]) -> None:
    _drag(view, [2, 4])
    assert told[-2:] == [(pytest.approx(0.01), 2.0), "released"]


def test_a_press_elsewhere_moves_nothing(
    view: WaveformView, told: list[tuple[float, float] | str]
) -> None:
    _drag(view, [200, 300])
    _drag(view, [30, 1])
    assert told == []


def test_the_pointer_says_where_an_end_can_be_taken(view: WaveformView) -> None:
    shapes = []
    for x in (200, 7, 393, 100):
        QTest.mouseMove(_canvas(view), QPoint(x, 20))
        shapes.append(_canvas(view).cursor().shape())
    arrow, across = Qt.CursorShape.ArrowCursor, Qt.CursorShape.SizeHorCursor
    assert shapes == [arrow, across, across, arrow]


def test_an_end_can_be_seen_and_dragged_where_it_was_put(
    view: WaveformView, told: list[tuple[float, float] | str]
) -> None:
    view.set_range(0.5, 1.5)
    assert told == []
    _drag(view, [100, 120])
    assert told[-2:] == [(pytest.approx(0.6), 1.5), "released"]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_start_stays_before_end_and_the_view_within_the_recording(seed: int) -> None:
    view = WaveformView()
    view.resize(404, 104)
    view.set_samples(np.zeros(2000, np.float32), 1000)
    view.grab()
    told: list[tuple[float, float]] = []
    view.range_changed.connect(lambda start, end: told.append((start, end)))
    chance = random.Random(seed)
    for _ in range(30):
        points = [QPointF(chance.uniform(-50, 450), 50) for _ in range(4)]
        modifiers = chance.choice([Qt.KeyboardModifier.NoModifier, _SHIFT, _CONTROL])
        chance.choice(
            [
                lambda points=points: drag(_canvas(view), points),
                lambda points=points, keys=modifiers: wheel(
                    _canvas(view), points[0], chance.uniform(-30, 30), keys
                ),
                lambda keys=modifiers: QTest.keyClick(view, Qt.Key.Key_Left, keys),
                lambda keys=modifiers: QTest.keyClick(view, Qt.Key.Key_Right, keys),
            ]
        )()
        left, right = _visible(view)
        assert -1e-9 <= left < right <= 2.0 + 1e-9
    for start, end in told:
        assert 0.0 <= start <= end - SHORTEST_RANGE_S + 1e-9
        assert end <= 2.0


def test_the_wheel_keeps_what_it_points_at(view: WaveformView) -> None:
    wheel(_canvas(view), QPointF(100, 50), 3)
    left, right = _visible(view)
    assert 0.1 < right - left < 1.1
    assert left + (right - left) * 100 / 400 == pytest.approx(0.5)
    double_click(_canvas(view), QPointF(200, 50))
    assert _visible(view) == (0.0, 2.0)


@pytest.mark.parametrize("by", ["wheel", "drag"])
def test_a_zoomed_view_scrolls_as_far_as_the_recording_goes(view: WaveformView, by: str) -> None:
    wheel(_canvas(view), QPointF(200, 50), 4)
    left, right = _visible(view)
    if by == "wheel":
        wheel(_canvas(view), QPointF(200, 50), -1, _SHIFT)
    else:
        _drag(view, [200, 160])
    moved = _visible(view)
    assert moved[0] - left == pytest.approx(0.1 * (right - left))
    assert moved[1] - moved[0] == pytest.approx(right - left)
    for _ in range(40):
        wheel(_canvas(view), QPointF(200, 50), -1, _SHIFT)
    assert _visible(view) == (pytest.approx(2.0 - (right - left)), pytest.approx(2.0))


def test_arrows_move_the_ends(
    view: WaveformView, told: list[tuple[float, float] | str], qtbot: QtBot
) -> None:
    QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Right, _CONTROL)
    QTest.keyClick(view, Qt.Key.Key_Left, _SHIFT)
    assert told[-1] == (pytest.approx(0.011), pytest.approx(1.99))
    with qtbot.waitSignal(view.range_released):
        pass
    assert "0.011" in view.accessibleDescription()


def test_a_drag_ends_the_gesture_of_the_keys(
    view: WaveformView, told: list[tuple[float, float] | str]
) -> None:
    QTest.keyClick(view, Qt.Key.Key_Right)
    _drag(view, [2, 100])
    assert told[:2] == [(pytest.approx(0.01), 2.0), "released"]
    assert told.count("released") == 2


def test_a_view_that_cannot_trim_has_no_ends(shown: Shown, qtbot: QtBot) -> None:
    view = shown(WaveformView(can_trim=False), 404, 104)
    view.set_samples(_SINE, 1000)
    with qtbot.assertNotEmitted(view.range_changed):
        _drag(view, [1, 100])
        QTest.keyClick(view, Qt.Key.Key_Right)
    assert not _shows(_pixels(view), DARK.text).any()
    assert view.accessibleDescription() == "2.00 s long."


def test_what_is_not_in_use_is_veiled(view: WaveformView) -> None:
    view.set_samples(np.tile(np.array([0.9, -0.9], np.float32), 1000), 1000)
    view.set_colour("#ff00ff")
    view.set_range(0.5, 1.5)
    bright = _shows(_pixels(view), "#ff00ff", 40)
    assert bright[110:290].mean() > 0.9
    assert not bright[:95].any()
    assert not bright[305:].any()
    view.set_range(0.0, None)
    assert _shows(_pixels(view), "#ff00ff", 40)[[50, 350]].all()


@pytest.mark.parametrize(
    ("channel", "n_channels", "length_s"), [(0, 1, 60), (0, 2, 60), (1, 2, 60), (17, 40, 2)]
)
def test_no_peak_is_lost_in_a_minute_of_any_channel(
    shown: Shown, channel: int, n_channels: int, length_s: int
) -> None:
    view = shown(WaveformView(), 404, 104)
    samples = np.zeros((n_channels, length_s * 48000), np.float32)
    samples[channel, samples.shape[1] // 2 + 1] = 1.0
    samples[channel, samples.shape[1] * 3 // 4 + 1] = -1.0
    view.set_samples(samples, 48000)
    assert len(view._waves) <= 2
    ink = np.abs(_pixels(view) - np.array(QColor(DARK.accent).getRgb()[:3])).max(axis=2) < 120
    assert ink[5:48, 198:203].any()
    assert not ink[56:, 198:203].any()
    assert ink[56:98, 298:303].any()
    assert not ink[5:48, 298:303].any()


def test_marks_are_where_they_were_put(view: WaveformView) -> None:
    view.set_samples(np.zeros(2000, np.float32), 1000)
    view.set_onset(0.4)
    view.set_loop((0.8, 1.2))
    view.set_playhead(1.5)
    pixels = _pixels(view)[20:44]  # beside handles and labels
    for colour, places in ((DARK.warning, [80]), (DARK.good, [160, 240]), (DARK.text, [300])):
        (columns,) = np.nonzero(_shows(pixels, colour)[5:395])
        groups = np.split(columns + 5, np.nonzero(np.diff(columns) > 2)[0] + 1)
        assert [group.mean() for group in groups] == pytest.approx(places, abs=1.5)
    view.set_onset(None)
    view.set_loop(None)
    view.set_playhead(None)
    pixels = _pixels(view)
    for colour in (DARK.warning, DARK.good, DARK.text):
        assert not _shows(pixels, colour)[10:390].any()


def test_the_frame_says_who_has_the_focus(view: WaveformView) -> None:
    view.clearFocus()
    edge = [(200, 0), (0, 52), (200, 103), (403, 52)]
    assert {view.grab().toImage().pixelColor(x, y).name() for x, y in edge} == {DARK.line}
    QTest.mouseClick(_canvas(view), Qt.MouseButton.LeftButton, pos=QPoint(200, 50))
    assert view.hasFocus()
    assert {view.grab().toImage().pixelColor(x, y).name() for x, y in edge} == {DARK.accent}


def test_a_new_recording_starts_afresh(view: WaveformView) -> None:
    wheel(_canvas(view), QPointF(100, 50), 5)
    view.set_loop((0.5, 1.0))
    view.set_onset(0.1)
    view.set_playhead(0.2)
    view.set_range(0.2, 0.3)
    view.set_samples(np.zeros((2, 500), np.float32), 1000)
    assert _visible(view) == (0.0, 0.5)
    assert "used from 0.000 s to 0.500 s" in view.accessibleDescription()
    assert not _shows(_pixels(view), DARK.good).any()


def test_without_a_recording_a_hint_takes_its_place(view: WaveformView, qtbot: QtBot) -> None:
    view.set_hint("Nothing here")
    view.set_samples(None, 44100)
    with qtbot.assertNotEmitted(view.range_changed):
        drag(_canvas(view), [QPointF(1, 1), QPointF(50, 50)])
        wheel(_canvas(view), QPointF(100, 50), 5)
        QTest.keyClick(view, Qt.Key.Key_Right)
    assert view.childAt(view.rect().center()).property("text") == "Nothing here"
    view.set_samples(_SINE, 1000)
    assert _visible(view) == (0.0, 2.0)
