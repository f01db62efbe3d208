from __future__ import annotations

import pytest

from training.stages.contest import INSTRUMENT, LOG_MEL, MODEL, RESAMPLING, RUBBER_BAND
from training.stages.evaluate import (
    DistanceRow,
    directions_table,
    distance_row,
    distances_table,
    likeness_table,
)


def _means(model: float, instrument: float) -> dict[str, float]:
    return {MODEL: model, INSTRUMENT: instrument, RESAMPLING: 9.0, RUBBER_BAND: 5.0}


@pytest.mark.parametrize(
    ("interval", "model", "is_met"),
    [
        ((0, 2), 20.0, None),
        ((3, 5), 8.0, True),  # below naive resampling is enough
        ((6, 11), 9.0, False),
        ((12, 17), 8.0, False),  # below both rivals it must be
        ((30, 96), 4.9, True),
    ],
)
def test_the_models_bar_depends_on_the_interval(
    interval: tuple[int, int], model: float, is_met: bool | None
) -> None:
    assert distance_row(LOG_MEL, interval, 7, _means(model, 1.0)).is_met is is_met


@pytest.mark.parametrize(("instrument", "is_met"), [(4.0, True), (5.04, True), (5.06, False)])
def test_the_instrument_is_as_near_as_both_rivals_to_a_tenth(
    instrument: float, is_met: bool
) -> None:
    for interval in ((0, 2), (30, 96)):
        row = distance_row(LOG_MEL, interval, 7, _means(9.0, instrument))
        assert row.instrument_is_met is is_met


def test_only_the_log_mel_has_bars_and_the_rest_a_table_of_its_own() -> None:
    rows = [distance_row(name, (12, 17), 7, _means(1.0, 1.0)) for name in (LOG_MEL, "attack")]
    assert rows[1].is_met is None
    assert rows[1].instrument_is_met is None
    assert [line[0] for line in distances_table(rows).lines] == ["12–17"]
    assert [line[0] for line in likeness_table(rows).lines] == ["attack"]
    for table in (distances_table(rows), likeness_table(rows)):
        assert len(table.lines[0]) == len(table.header)


def test_up_and_down_have_a_table_of_their_own() -> None:
    rows = [
        DistanceRow(measure=LOG_MEL, interval=interval, pairs=20, values=_means(1.0, 2.0))
        for interval in ("-12", "+12")
    ]
    table = directions_table(rows)
    assert [line[1] for line in table.lines] == ["-12", "+12"]
    assert all(len(line) == len(table.header) for line in table.lines)
