from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.pad import edge_places, weights_at
from core.plan import PadGrid

UNIT = st.floats(0.0, 1.0)
PLACES = st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=8).map(np.array)


@given(PLACES, UNIT, UNIT)
def test_weights_are_shares_of_one(places: np.ndarray, x: float, y: float) -> None:
    weights = weights_at(np.array([[x, y]]), places)[0]
    assert (weights >= 0.0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)


@given(PLACES)
def test_at_a_source_only_those_of_that_place_sound(places: np.ndarray) -> None:
    for place, weights in zip(places, weights_at(places, places), strict=True):
        here = np.hypot(*(places - place).T) == 0.0
        assert np.array_equal(weights, here / here.sum())


@given(PLACES, UNIT, UNIT)
def test_weights_are_inverse_squares_of_distances(places: np.ndarray, x: float, y: float) -> None:
    distances = np.array([((px - x) ** 2 + (py - y) ** 2) ** 0.5 for px, py in places])
    assume(distances.min() > 1e-6)
    expected = distances**-2.0 / (distances**-2.0).sum()
    assert weights_at(np.array([[x, y]]), places)[0] == pytest.approx(expected)


@given(PLACES, UNIT, UNIT, st.floats(0.0, 2.0 * np.pi))
def test_weights_are_continuous(places: np.ndarray, x: float, y: float, angle: float) -> None:
    gaps = [np.hypot(*(a - b)) for a in places for b in places if (a != b).any()]
    assume(min(gaps, default=1.0) > 0.01)
    step = 1e-5 * np.array([np.cos(angle), np.sin(angle)])
    points = np.array([x, y]) + np.stack([np.zeros(2), step])
    here, there = weights_at(points, places)
    # The slope of 1 / (1 + (d / e)²) is at most 3√3 / 8 / e in d; e ≥ 0.01 / 2, eight sources.
    assert np.abs(here - there).max() <= 8 * 1e-5 / 0.005


@pytest.mark.parametrize("count", range(2, 9))
def test_samples_lie_apart_on_the_edge_of_the_pad(count: int) -> None:
    places = edge_places(count)
    assert places.shape == (count, 2)
    np.testing.assert_allclose(np.abs(places - 0.5).max(axis=1), 0.5)
    distances = np.linalg.norm(places[:, None] - places, axis=2) + np.eye(count)
    assert distances.min() > 0.3


def test_two_four_and_eight_samples_lie_on_points_of_a_grid() -> None:
    np.testing.assert_allclose(edge_places(2), [(0, 0.5), (1, 0.5)], atol=1e-9)
    for count, grid in ((4, PadGrid(columns=2, rows=2)), (8, PadGrid(columns=3, rows=3))):
        assert {(x, y) for x, y in edge_places(count).tolist()} <= set(grid.places)
