from __future__ import annotations

import numpy as np
import pytest

from core.errors import ParameterError
from training.evaluation.frechet import frechet_distance


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20000, 3))
    assert frechet_distance(features, features) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(features, features + 2.0) == pytest.approx(12.0, rel=1e-6)
    # Covariances I and 9 I: the trace of (1 - 3)² per dimension.
    wide = 3.0 * rng.normal(size=(20000, 3))
    assert frechet_distance(features, wide) == pytest.approx(12.0, rel=0.05)


def test_frechet_distance_is_symmetric_and_survives_few_samples() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(size=(10, 32)), rng.normal(size=(12, 32))
    assert frechet_distance(ours, theirs) == pytest.approx(frechet_distance(theirs, ours), rel=1e-6)
    with pytest.raises(ParameterError, match="two samples"):
        frechet_distance(ours[:1], theirs)
    with pytest.raises(ParameterError, match=r"\[N, D\]"):
        frechet_distance(ours, theirs[:, :5])
