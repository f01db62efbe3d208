from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.pairs import Indices
from training.evaluation.comparison import (
    ATTACK,
    BASELINES,
    INSTRUMENT,
    LMD60,
    MEASURES,
    MOVEMENT,
    OTHER_MODEL,
    OTHER_RECORDING,
    SIGNED_HARMONICS,
    UNREFINED,
    Comparison,
    Values,
)
from training.evaluation.config import EvaluateConfig
from training.evaluation.distances import (
    EVERY_INTERVAL,
    DistanceRow,
    Distances,
    differences_table,
    distance_row,
    distances_tables,
    families_table,
    family_row,
    model_difference,
)
from training.evaluation.draws import INTERVALS, SAME_NOTE, Interval, semitones_of
from training.evaluation.workbench import Workbench

COLUMNS = (INSTRUMENT, UNREFINED, *BASELINES, OTHER_RECORDING)
FAR = Interval(low=18, high=23, sign=1)
NEAR = Interval(low=12, high=17, sign=-1)


def _figures(**changed: float) -> dict[str, NDArray[np.float64]]:
    """Two pairs by column: the instrument at 5, all others at 6 unless said otherwise."""
    means = dict.fromkeys(COLUMNS, 6.0) | {INSTRUMENT: 5.0}
    names = {"instrument": INSTRUMENT, "other_recording": OTHER_RECORDING}
    names |= {f"baseline{i}": name for i, name in enumerate(BASELINES)}
    means |= {names[key]: value for key, value in changed.items()}
    return {column: np.array([mean - 1.0, mean + 1.0]) for column, mean in means.items()}


@pytest.mark.parametrize("baseline", range(len(BASELINES)))
@pytest.mark.parametrize(("mean", "is_met"), [(5.1, True), (4.996, True), (4.98, False)])
def test_every_baseline_counts_to_the_second_decimal(
    baseline: int, mean: float, is_met: bool
) -> None:
    row = distance_row(ATTACK, FAR, _figures(**{f"baseline{baseline}": mean}))
    assert row.is_at_or_below_baselines is is_met
    assert row.is_near_recording is None  # no measure that the other recording limits


@pytest.mark.parametrize(
    ("interval", "other", "is_met"),
    [(NEAR, 5.0, True), (NEAR, 4.9, False), (FAR, 4.9, True), (FAR, 4.5, False)],
)
def test_the_other_recording_may_be_a_tenth_nearer_beyond_17_semitones(
    interval: Interval, other: float, is_met: bool
) -> None:
    assert (
        distance_row(LMD60, interval, _figures(other_recording=other)).is_near_recording is is_met
    )


def test_the_limit_is_read_on_the_pairs_that_have_another_recording() -> None:
    figures = _figures()
    figures[INSTRUMENT] = np.array([4.0, 9.0])
    figures[OTHER_RECORDING] = np.array([5.0, np.nan])
    row = distance_row(LMD60, NEAR, figures)
    assert row.is_near_recording is True
    assert row.values[INSTRUMENT] == 6.5
    assert row.values[OTHER_RECORDING] == 5.0
    nobody = figures | {OTHER_RECORDING: np.full(2, np.nan)}
    row = distance_row(LMD60, NEAR, nobody)
    assert row.values[OTHER_RECORDING] is None
    assert row.is_near_recording is None


@pytest.mark.parametrize(("mean", "is_met"), [(-1.6, False), (-1.4, True), (1.6, False)])
def test_a_signed_measure_has_a_range_and_no_rivals(mean: float, is_met: bool) -> None:
    row = distance_row(SIGNED_HARMONICS, FAR, _figures(instrument=mean))
    assert row.is_in_range is is_met
    assert row.is_at_or_below_baselines is None
    assert distance_row(LMD60, FAR, _figures()).is_in_range is None


def test_movement_has_a_range() -> None:
    for ratio, is_met in ((0.6, False), (0.8, True), (1.2, True), (1.4, False)):
        figures = {column: np.full(2, ratio) for column in COLUMNS}
        assert distance_row(MOVEMENT, NEAR, figures).is_in_range is is_met


def test_the_sources_own_note_has_no_bars() -> None:
    row = distance_row(LMD60, SAME_NOTE, _figures(instrument=9.0))
    assert row.is_at_or_below_baselines is None
    assert row.is_near_recording is None


class _Planted(Comparison):
    """A comparison in which every figure is the interval itself, in semitones above -100."""

    def compare_everyone(self, pairs: Indices) -> Values:
        figures = 100.0 + semitones_of(self.bench.split, pairs).astype(np.float64)
        columns = dict.fromkeys((*COLUMNS, OTHER_MODEL), figures)
        return {measure.name: columns for measure in MEASURES}

    def compare_refinement(self, pairs: Indices, measure: object) -> Values:
        return {LMD60.name: self.compare_everyone(pairs)[LMD60.name]}


@pytest.fixture
def distances(bench: Workbench) -> Distances:
    return Distances(_Planted(bench), bench.pairs, EvaluateConfig(pairs_per_bin=2, family_pairs=8))


def test_rows_hold_the_pairs_of_their_interval(distances: Distances) -> None:
    rows, _ = distances.rows(recorded=True)
    shown = [row for row in rows if row.measure == LMD60.name]
    intervals = {interval.name: interval for interval in INTERVALS}
    for row in shown[:-1]:
        mean = row.values[INSTRUMENT]
        assert mean is not None
        interval = intervals[row.interval]
        assert interval.low - 0.5 <= interval.sign * (mean - 100.0) <= interval.high + 0.5
    assert len({row.pairs for row in shown[:-1]}) == 1
    assert shown[-1].interval == EVERY_INTERVAL
    assert shown[-1].pairs == sum(row.pairs for row in shown[1:-1])  # all but the own note


def test_the_other_model_is_compared_near_the_octaves(distances: Distances) -> None:
    _, differences = distances.rows(recorded=True)
    assert {row.semitones for row in differences} <= {12, 24}
    assert all(row.ours == row.other for row in differences)
    assert len({row.measure for row in differences}) == 3


def test_a_split_without_synthesized_instruments_has_no_such_rows(distances: Distances) -> None:
    assert distances.rows(recorded=False) == ([], [])


def test_families_are_listed_with_a_line_for_all(distances: Distances) -> None:
    families = distances.families()
    assert [row.family for row in families] == ["Piano", "Organ", "Guitar", EVERY_INTERVAL]
    assert families[-1].pairs == sum(row.pairs for row in families[:-1])


@pytest.mark.parametrize(("rise", "is_worse"), [(-1.0, False), (0.09, False), (0.11, True)])
def test_a_family_that_the_hypernetwork_harms_is_flagged(rise: float, is_worse: bool) -> None:
    plain = np.array([7.0, 9.0, 100.0])
    figures = {INSTRUMENT: plain + rise, UNREFINED: plain}
    row = family_row("Brass", figures, np.array([True, True, False]))
    assert (row.pairs, row.unrefined_db) == (2, 8.0)
    assert row.is_worse is is_worse
    table = families_table([row])
    assert table.lines[0][-1] == ("worse" if is_worse else "")
    assert table.lines[0][-2] == f"{rise:+.2f}"


def test_a_difference_of_models_is_paired() -> None:
    rng = np.random.default_rng(0)
    other = rng.uniform(5.0, 15.0, 100)
    ours = other - 1.0 + rng.normal(0.0, 0.1, 100)
    row = model_difference(LMD60.name, 12, ours, other)
    assert row.ours - row.other == pytest.approx(-1.0, abs=0.05)
    assert row.margin == pytest.approx(1.96 * 0.1 / 10.0, rel=0.2)
    table = differences_table([row], "the old one")
    assert table.lines == ((LMD60.name, table.lines[0][1]),)
    assert table.header == ("measure", "±12")


def test_tables_count_the_bars_and_show_what_is_missing_as_nothing() -> None:
    figures = _figures() | {OTHER_RECORDING: np.full(2, np.nan)}
    rows = [
        distance_row(LMD60, NEAR, _figures()),
        distance_row(LMD60, FAR, _figures(instrument=7.0)),
        distance_row(ATTACK, FAR, figures),
        distance_row(LMD60, None, _figures()),
    ]
    whole, parts = distances_tables("Recorded", rows)
    assert len(whole.lines) == 1
    assert "2 of 3 cells" in parts.title
    assert "1 of 2 within reach" in parts.title
    column = parts.header.index(OTHER_RECORDING)
    assert parts.lines[2][column] == ""
    for table in (whole, parts):
        assert all(len(line) == len(table.header) for line in table.lines)
        assert all("|" not in cell for line in table.lines for cell in line)


def test_a_row_is_plain_data() -> None:
    row = distance_row(LMD60, None, _figures())
    assert isinstance(row, DistanceRow)
    assert row.is_near_recording is None
    assert row.is_at_or_below_baselines is True
