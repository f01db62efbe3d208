from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.models.pad import (
    audible,
    field_weights,
    session_weights,
    source_weights,
)
from app.models.session import Session, Source
from tests.app.models.sessions import SHELVES, UNIT

PLACES = st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8).map(np.array)


def source(number: int, x: float, y: float, **changes: bool) -> Source:
    return Source(
        id=f"s{number}", name="bell", colour="#e69f00", audio_hash="0" * 64, x=x, y=y, **changes
    )


@given(SHELVES, UNIT, UNIT)
def test_muted_sources_are_silent_and_soloed_ones_alone(
    sources: tuple[Source, ...], x: float, y: float
) -> None:
    weights = source_weights(sources, x, y)
    assert list(weights) == [each.id for each in sources]
    soloing = any(each.soloed and not each.muted for each in sources)
    for each in sources:
        if each.muted or (soloing and not each.soloed):
            assert weights[each.id] == 0.0
    sounding = any(not each.muted for each in sources)
    assert sum(weights.values()) == pytest.approx(float(sounding))


@given(SHELVES, UNIT, UNIT)
def test_a_muted_source_weighs_as_if_it_were_not_there(
    sources: tuple[Source, ...], x: float, y: float
) -> None:
    weights = source_weights(sources, x, y)
    without = source_weights(audible(sources), x, y)
    assert {key: weight for key, weight in weights.items() if key in without} == without


def test_a_muted_solo_lets_the_others_sound() -> None:
    sources = [source(1, 0.0, 0.0, muted=True, soloed=True), source(2, 1.0, 1.0)]
    assert source_weights(sources, 0.0, 0.0) == {"s1": 0.0, "s2": 1.0}


@given(SHELVES, UNIT, UNIT)
def test_notes_of_one_instrument_count_alike_wherever_the_cursor_is(
    sources: tuple[Source, ...], x: float, y: float
) -> None:
    session = Session(sources=sources, one_instrument=True)
    weights = session_weights(session, x, y)
    sounding = {each.id for each in audible(sources)}
    assert list(weights) == [each.id for each in sources]
    assert {key for key, weight in weights.items() if weight} == sounding
    assert len({weights[key] for key in sounding}) <= 1
    assert sum(weights.values()) == pytest.approx(float(bool(sounding)))
    morphing = replace(session, one_instrument=False)
    assert session_weights(morphing, x, y) == source_weights(sources, x, y)


@given(SHELVES)
def test_the_field_agrees_with_the_cursor(sources: tuple[Source, ...]) -> None:
    sounding = audible(sources)
    assume(sounding)
    grid = field_weights(sources, 5, 3)
    assert grid.shape == (3, 5, len(sounding))
    for row, y in enumerate((0.0, 0.5, 1.0)):
        for column, x in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
            weights = source_weights(sources, x, y)
            assert grid[row, column] == pytest.approx([weights[each.id] for each in sounding])
