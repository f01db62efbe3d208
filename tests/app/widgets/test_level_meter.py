from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest

from app.widgets.level_meter import FALL_DB_PER_S, HOLD_S, LevelMeter, meter_share
from tests.app.widgets.pointer import click

Shown = Callable[[LevelMeter, int, int], LevelMeter]


class _Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def meter(clock: _Clock, shown: Shown) -> LevelMeter:
    return shown(LevelMeter(clock=clock), 60, 200)


@given(levels=st.tuples(st.floats(-100, 10), st.floats(-100, 10)))
def test_louder_is_never_lower(levels: tuple[float, float]) -> None:
    assert 0.0 <= meter_share(min(levels)) <= meter_share(max(levels)) <= 1.0


def test_half_amplitude_is_six_decibels_down(meter: LevelMeter) -> None:
    meter.set_peaks(0.5, 1.0)
    assert meter.levels_db == pytest.approx((-6.02, 0.0), abs=0.01)


def test_the_bar_falls_steadily_and_silence_is_the_floor(meter: LevelMeter, clock: _Clock) -> None:
    meter.set_peaks(1.0, 0.0)
    for step in range(1, 5):
        clock.now_s += 0.25
        meter.set_peaks(0.0, 0.0)
        assert meter.levels_db == pytest.approx((-0.25 * step * FALL_DB_PER_S, -60.0))
    clock.now_s += 100.0
    meter.set_peaks(0.0, 0.0)
    assert meter.levels_db == (-60.0, -60.0)


def test_the_highest_peak_stays_for_a_while(meter: LevelMeter, clock: _Clock) -> None:
    meter.set_peaks(0.5, 0.5)
    clock.now_s += HOLD_S - 0.01
    meter.set_peaks(0.0, 0.0)
    assert meter.held_db == pytest.approx((-6.02, -6.02), abs=0.01)
    clock.now_s += 0.5
    meter.set_peaks(0.0, 0.0)
    assert meter.held_db[0] < -15


def test_the_clip_light_stays_until_it_is_put_out(meter: LevelMeter, clock: _Clock) -> None:
    meter.set_peaks(0.999, 0.2)
    assert not meter.has_clipped
    meter.set_peaks(1.0, 0.2)
    clock.now_s += 1000.0
    meter.set_peaks(0.0, 0.0)
    assert meter.has_clipped
    click(meter, QPointF(10, 10))
    assert not meter.has_clipped
    meter.set_peaks(2.0, 0.2)
    QTest.keyClick(meter, Qt.Key.Key_Space)
    assert not meter.has_clipped


def test_a_clock_that_stands_still_is_no_fault(meter: LevelMeter) -> None:
    meter.set_peaks(0.5, 0.5)
    meter.set_peaks(0.0, 0.0)
    assert meter.levels_db == pytest.approx((-6.02, -6.02), abs=0.01)
    meter.grab()
