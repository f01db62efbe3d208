from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from core.errors import ParameterError
from core.mel import MelConfig
from training.data.augment import AugmentConfig, apply_change, disturb_source, shared_change

MEL = MelConfig()
OFF = AugmentConfig(shared_probability=0.0, noise_probability=0.0, cut_probability=0.0, gain_db=0.0)


def _mels(count: int = 8) -> Tensor:
    chance = torch.Generator().manual_seed(1)
    return (torch.rand(count, MEL.n_mels, MEL.n_frames, generator=chance) * 2 - 1).clamp_min(-1)


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_switched_off_it_changes_nothing() -> None:
    mels = _mels()
    change = shared_change(OFF, MEL, len(mels), _rng())
    assert torch.equal(apply_change(mels, change), mels)
    assert torch.equal(disturb_source(OFF, MEL, mels, _rng()), mels)


def test_the_loudest_cell_keeps_its_level_and_the_floor_holds() -> None:
    mels = _mels()
    always = dataclasses.replace(OFF, shared_probability=1.0)
    changed = apply_change(mels, shared_change(always, MEL, len(mels), _rng()))
    assert not torch.equal(changed, mels)
    assert torch.allclose(changed.amax(dim=(1, 2)), mels.amax(dim=(1, 2)), atol=1e-6)
    assert changed.min() >= -1.0


def test_silence_stays_silent_under_equaliser_and_decay() -> None:
    silent = torch.full((4, MEL.n_mels, MEL.n_frames), -1.0)
    always = dataclasses.replace(OFF, shared_probability=1.0)
    assert torch.equal(apply_change(silent, shared_change(always, MEL, 4, _rng())), silent)


def test_noise_only_fills_and_a_cut_only_removes() -> None:
    mels = _mels()
    noisy = disturb_source(dataclasses.replace(OFF, noise_probability=1.0), MEL, mels, _rng())
    assert torch.all(noisy >= mels)
    assert torch.any(noisy > mels)
    cut = disturb_source(dataclasses.replace(OFF, cut_probability=1.0), MEL, mels, _rng())
    assert torch.all(cut <= mels)
    assert torch.all(cut[:, :, :30] == mels[:, :, :30])  # never before 0.15 of the window


def test_a_share_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"cut_probability = 1\.5"):
        AugmentConfig(cut_probability=1.5)
