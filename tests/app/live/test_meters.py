from __future__ import annotations

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.live.meters import METER_MS, OutputMeters
from core.sampler.sampler import Meters
from tests.app.live.conftest import FakePlayer


@pytest.mark.parametrize(("left", "right", "underruns"), [(0.5, 0.25, 3), (1.0, 0.0, 0)])
def test_peaks_and_underruns_are_told(
    qtbot: QtBot,
    root: QObject,
    player: FakePlayer,
    left: float,
    right: float,
    underruns: int,
) -> None:
    meters = OutputMeters(player, root)  # type: ignore[arg-type]
    counts: list[int] = []
    meters.underruns_changed.connect(counts.append)
    with qtbot.waitSignal(meters.peaks_changed) as silent:
        pass
    assert silent.args == [0.0, 0.0]
    assert counts == []  # without sound there are none to count
    player.meters = Meters(
        peak_left=left,
        peak_right=right,
        active_voices=1,
        blocks=1,
        frames=256,
        underruns=underruns,
        waiting_events=0,
        late_events=0,
    )
    with qtbot.waitSignal(
        meters.peaks_changed, check_params_cb=lambda *peaks: peaks == (left, right)
    ):
        pass
    assert counts[-1] == underruns
    meters.stop()
    counts.clear()
    qtbot.wait(3 * METER_MS)
    assert counts == []
