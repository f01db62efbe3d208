from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRectF

from app.waveform import waveform_envelope, waveform_polygon


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
