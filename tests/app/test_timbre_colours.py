from __future__ import annotations

import numpy as np
import pytest

from app.timbre_colours import TimbreProjection, oklab_to_srgb, paint_landscape
from core.errors import ParameterError


@pytest.mark.parametrize(
    ("lab", "rgb"),
    [
        ((1.0, 0.0, 0.0), (255, 255, 255)),
        ((0.0, 0.0, 0.0), (0, 0, 0)),
        ((0.627955, 0.224863, 0.125846), (255, 0, 0)),
        ((0.866440, -0.233888, 0.179498), (0, 255, 0)),
        ((0.452014, -0.032457, -0.311528), (0, 0, 255)),
    ],
)
def test_primaries_have_their_published_places(
    lab: tuple[float, ...], rgb: tuple[int, ...]
) -> None:
    assert np.abs(oklab_to_srgb(np.array(lab)).astype(int) - rgb).max() <= 1


def test_axes_are_eigenvectors_of_the_covariance() -> None:
    features = np.random.default_rng(1).normal(size=(40, 6)) * [5, 3, 2, 1, 0.5, 0.1]
    projection = TimbreProjection.fit(features.astype(np.float32))
    values, vectors = np.linalg.eigh(np.cov(features.T, bias=True))
    assert projection.spread == pytest.approx(np.sqrt(values[::-1][:3]), rel=1e-4)
    overlap = np.abs(projection.axes @ vectors[:, ::-1][:, :3])
    assert overlap == pytest.approx(np.eye(3), abs=1e-3)


def test_two_timbres_are_enough() -> None:
    features = np.zeros((2, 8), np.float32)
    features[1] = 1.0
    places = TimbreProjection.fit(features)(features)
    assert np.isfinite(places).all()
    assert places[0] == pytest.approx(-places[1])


def test_equal_timbres_are_one_colour() -> None:
    grid = np.ones((5, 7, 8), np.float32)
    projection = TimbreProjection.fit(np.random.default_rng(0).normal(size=(9, 8)).astype("f4"))
    field = paint_landscape(grid, projection, is_dark=True)
    assert field.shape == (160, 160, 3)
    assert (field == field[0, 0]).all()


def test_colours_change_where_timbre_changes_and_row_0_stays_row_0() -> None:
    grid = np.zeros((8, 8, 4), np.float32)
    grid[2:, :, 0] = 1.0
    field = paint_landscape(grid, TimbreProjection.fit(grid.reshape(-1, 4)), is_dark=False)
    low, high = field[0].astype(int), field[-1].astype(int)
    assert np.abs(low - low[0]).max() == 0
    assert np.abs(low[0] - high[0]).max() > 30
    steps = np.abs(np.diff(field[:, 0].astype(int), axis=0)).sum(axis=1)
    assert 20 < steps.argmax() < 50


@pytest.mark.parametrize("shape", [(1, 4, 3), (4, 1, 3)])
def test_grids_without_area_are_refused(shape: tuple[int, ...]) -> None:
    projection = TimbreProjection.fit(np.eye(3, dtype=np.float32))
    with pytest.raises(ParameterError, match="grid"):
        paint_landscape(np.zeros(shape, np.float32), projection, is_dark=True)


def test_one_timbre_has_no_axes() -> None:
    with pytest.raises(ParameterError, match="principal"):
        TimbreProjection.fit(np.zeros((1, 8), np.float32))
