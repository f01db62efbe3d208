from __future__ import annotations

import math

import pytest
from rich.console import Console

from tests.benchmarks.__main__ import as_table
from tests.benchmarks.measuring import Row, Timings, time_side_by_side


def test_jobs_take_turns_and_the_warm_up_does_not_count() -> None:
    now = 0.0
    order: list[str] = []

    def job(name: str, seconds: float) -> None:
        nonlocal now
        order.append(name)
        # The first run is slow, and the machine gets slower from round to round.
        now += 100 if order.count(name) == 1 else seconds * order.count(name)

    taken = time_side_by_side(
        {"a": lambda: job("a", 1), "b": lambda: job("b", 4)}, rounds=3, clock=lambda: now
    )
    assert order == ["a", "b"] * 4
    assert taken.rounds == {"a": (2, 3, 4), "b": (8, 12, 16)}
    assert taken.ratio("a", "b") == pytest.approx(0.25)
    assert taken.median_s("b") == pytest.approx(12)


def test_one_bad_round_does_not_decide() -> None:
    taken = Timings(rounds={"a": (1, 1, 90), "b": (2, 2, 2)})
    assert taken.ratio("a", "b") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("value", "bar", "missed", "verdict"),
    [
        (0.5, 0.5, False, "yes"),
        (0.51, 0.5, True, "NO"),
        (math.nan, 0.5, True, "NO"),
        (0.5, None, False, ""),
        (None, 0.5, False, "skipped"),
    ],
)
def test_a_bar_is_missed_by_larger_values_alone(
    value: float | None, bar: float | None, missed: bool, verdict: str
) -> None:
    row = Row(measure="m", value=value, bar=bar)
    assert (row.is_missed, row.verdict) == (missed, verdict)


def test_the_table_shows_every_row() -> None:
    rows = [
        Row(measure="a note", value=0.0421, bar=0.05, note="1 ms ÷ 24 ms"),
        Row(measure="a rival", value=None, bar=0.3, note="not installed"),
        Row(measure="loading", value=123.0, bar=1000.0, unit="ms"),
    ]
    console = Console(width=160)
    with console.capture() as capture:
        console.print(as_table(rows, "this machine"))
    for text in ("0.0421", "1,000 ms", "yes", "skipped", "not installed", "123 ms", "this machine"):
        assert text in capture.get()
