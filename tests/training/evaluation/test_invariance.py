from __future__ import annotations

import numpy as np
import pytest
import torch

from training.evaluation.invariance import explained_pitch, within_and_between


def _features(pitch_share: float) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Forty instruments of eight notes, whose features hold so much of the pitch's variance."""
    rng = np.random.default_rng(0)
    instrument = np.repeat(np.arange(40), 8)
    pitch = rng.normal(size=320)
    noise = rng.normal(size=320)
    told = pitch_share**0.5 * pitch + (1.0 - pitch_share) ** 0.5 * noise
    h = np.stack([told, rng.normal(size=40)[instrument]], axis=1)
    return torch.tensor(100.0 * h).float(), torch.tensor(60.0 + 12.0 * pitch), instrument


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_probe_reads_how_much_of_the_pitch_the_features_hold(share: float) -> None:
    assert explained_pitch(*_features(share)) == pytest.approx(share, abs=0.1)


def test_the_probe_is_not_asked_about_instruments_that_it_was_fitted_to() -> None:
    """Features that name the instrument tell the pitch of a known one, not of a new one."""
    instrument = np.repeat(np.arange(20), 4)
    h = 100.0 * torch.nn.functional.one_hot(torch.from_numpy(instrument), 20).float()
    pitches = torch.from_numpy(np.random.default_rng(0).normal(size=20)[instrument])
    assert explained_pitch(h, pitches, instrument) < 0.1


def test_distances_within_and_between_instruments() -> None:
    h = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    assert within_and_between(h, np.array([0, 0, 1, 1])) == pytest.approx((2.0, 10.0))
