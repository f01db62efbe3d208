from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.widgets.waveform_view import (
    SHORTEST_RANGE_S,
    WaveformView,
    waveform_envelope,
    waveform_polygon,
)
from tests.app.widgets.pointer import double_click, drag, wheel

Shown = Callable[[WaveformView, int, int], WaveformView]
_SHIFT, _CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def view(shown: Shown) -> WaveformView:
    """Two seconds on 400 pixels: 200 pixels are a second."""
    view = shown(WaveformView(), 400, 100)
    view.set_samples(np.sin(np.arange(2000) / 20).astype(np.float32), 1000)
    return view


@given(n_samples=st.integers(1, 400), n_columns=st.integers(1, 120), channels=st.integers(1, 2))
def test_the_envelope_is_lowest_and_highest_of_each_column(
    n_samples: int, n_columns: int, channels: int
) -> None:
    samples = np.random.default_rng(n_samples).uniform(-1, 1, (channels, n_samples)).astype("f4")
    envelope = waveform_envelope(samples, n_columns)
    n_columns = min(n_columns, n_samples)
    assert envelope.shape == (n_columns, 2)
    edges = [column * n_samples // n_columns for column in range(n_columns + 1)]
    for column, (low, high) in enumerate(envelope):
        part = samples[:, edges[column] : edges[column + 1]]
        assert (low, high) == (part.min(), part.max())


def test_nothing_has_an_empty_envelope() -> None:
    assert waveform_envelope(np.zeros((2, 0), np.float32), 10).shape == (0, 2)


def test_the_outline_stays_in_its_area_even_for_clipped_samples() -> None:
    envelope = np.array([[-3.0, 2.0], [-0.5, 0.5], [0.0, 0.0]], np.float32)
    bounds = waveform_polygon(envelope, QRectF(10, 20, 100, 50)).boundingRect()
    assert bounds == QRectF(10, 20, 100, 50)


def test_ends_are_dragged(view: WaveformView) -> None:
    told: list[tuple[float, float]] = []
    released: list[bool] = []
    view.range_changed.connect(lambda start, end: told.append((start, end)))
    view.range_released.connect(lambda: released.append(True))
    drag(view, [QPointF(1, 50), QPointF(60, 50), QPointF(100, 50)])
    assert told[-1] == (pytest.approx(0.5), 2.0)
    drag(view, [QPointF(399, 50), QPointF(300, 50)])
    assert told[-1] == (pytest.approx(0.5), pytest.approx(1.5))
    assert released == [True, True]


def test_a_press_elsewhere_moves_nothing(view: WaveformView, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(view.range_changed):
        drag(view, [QPointF(200, 50), QPointF(300, 50)])


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_start_stays_before_end_and_the_view_within_the_recording(seed: int) -> None:
    view = WaveformView()
    view.resize(400, 100)
    view.set_samples(np.zeros(2000, np.float32), 1000)
    told: list[tuple[float, float]] = []
    view.range_changed.connect(lambda start, end: told.append((start, end)))
    chance = random.Random(seed)
    for _ in range(30):
        points = [QPointF(chance.uniform(-50, 450), 50) for _ in range(4)]
        modifiers = chance.choice([Qt.KeyboardModifier.NoModifier, _SHIFT, _CONTROL])
        chance.choice(
            [
                lambda points=points: drag(view, points),
                lambda points=points, keys=modifiers: wheel(
                    view, points[0], chance.uniform(-30, 30), keys
                ),
                lambda keys=modifiers: QTest.keyClick(view, Qt.Key.Key_Left, keys),
                lambda keys=modifiers: QTest.keyClick(view, Qt.Key.Key_Right, keys),
            ]
        )()
        left, right = view.visible_range
        assert 0.0 <= left < right <= 2.0 + 1e-9
    for start, end in told:
        assert 0.0 <= start <= end - SHORTEST_RANGE_S + 1e-9
        assert end <= 2.0


def test_the_wheel_keeps_what_it_points_at(view: WaveformView) -> None:
    wheel(view, QPointF(100, 50), 3)
    left, right = view.visible_range
    assert right - left == pytest.approx(2.0 * 0.8**3)
    assert left + (right - left) * 100 / 400 == pytest.approx(0.5)
    double_click(view, QPointF(200, 50))
    assert view.visible_range == (0.0, 2.0)


def test_arrows_move_the_ends(view: WaveformView, qtbot: QtBot) -> None:
    told: list[tuple[float, float]] = []
    view.range_changed.connect(lambda start, end: told.append((start, end)))
    QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Right, _CONTROL)
    QTest.keyClick(view, Qt.Key.Key_Left, _SHIFT)
    assert told[-1] == (pytest.approx(0.011), pytest.approx(1.99))
    with qtbot.waitSignal(view.range_released):
        pass
    assert "0.011" in view.accessibleDescription()


def test_a_new_recording_starts_afresh(view: WaveformView) -> None:
    wheel(view, QPointF(100, 50), 5)
    view.set_loop((0.5, 1.0))
    view.set_onset(0.1)
    view.set_playhead(0.2)
    view.grab()
    view.set_samples(np.zeros((2, 500), np.float32), 1000)
    assert view.visible_range == (0.0, 0.5)
    view.set_samples(None, 44100)
    assert view.duration_s == 0.0
    drag(view, [QPointF(1, 1), QPointF(50, 50)])
    wheel(view, QPointF(100, 50), 5)
    view.grab()
