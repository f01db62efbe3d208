"""Augmentation of normalised log-mels, on the training device, for whole batches.

What the real world does to a recording is mostly addition in decibels, so it is done on the mel:
equaliser tilt and bumps, other decays, noise, a cut-off end. Detuning and velocities are in the
corpus itself.

Shape legend: B batch, M mel bands, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import ParameterError
from core.mel import MelConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """How far and how often mels are changed."""

    equalizer_db: float = 9.0
    """Standard deviation of the smooth equaliser curve, shared by source and target."""
    decay_db: float = 24.0
    """Largest extra decay over the window, shared by source and target."""
    shared_probability: float = 0.5
    """Share of instruments that get equaliser and decay."""
    noise_probability: float = 0.2
    """Share of sources with added noise."""
    noise_db: float = -50.0
    """Loudest added noise, relative to full scale."""
    cut_probability: float = 0.15
    """Share of sources that end early."""
    gain_db: float = 3.0
    """Largest change of the source's level."""

    def __post_init__(self) -> None:
        for name in ("shared_probability", "noise_probability", "cut_probability"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ParameterError(f"augment.{name} = {value} must lie between 0 and 1.")


def shared_change(
    config: AugmentConfig, mel: MelConfig, count: int, rng: torch.Generator
) -> Tensor:
    """Equaliser and decay that make new timbres of known instruments.

    Args:
        config: Strengths.
        mel: Geometry.
        count: Instruments.
        rng: Source of chance, on the CPU.

    Returns:
        Normalised change [count, M, F], to be added with :func:`apply_change`.
    """
    knots = torch.randn(count, 1, 7, generator=rng) * config.equalizer_db
    curve = torch.nn.functional.interpolate(
        knots, size=mel.n_mels, mode="linear", align_corners=True
    )
    curve = curve - curve.amax(dim=2, keepdim=True).clamp_min(0.0)
    slope = torch.rand(count, 1, 1, generator=rng).square() * config.decay_db
    decay = -slope * torch.linspace(0.0, 1.0, mel.n_frames)
    applied = torch.rand(count, 1, 1, generator=rng) < config.shared_probability
    change = (curve.transpose(1, 2) + decay) * applied
    return change / mel.db_per_unit


def apply_change(mels: Tensor, change: Tensor) -> Tensor:
    """Add a change to mels [B, M, F], keep the floor, and bring the loudest band back.

    A peak-normalised recording stays about peak-normalised, so the loudest bin keeps its level.
    """
    changed = (mels + change).clamp_min(-1.0)
    loss = mels.amax(dim=(1, 2), keepdim=True) - changed.amax(dim=(1, 2), keepdim=True)
    lifted = changed + loss
    return torch.where(changed > -1.0, lifted, changed).clamp_min(-1.0)


def disturb_source(
    config: AugmentConfig, mel: MelConfig, mels: Tensor, rng: torch.Generator
) -> Tensor:
    """Level, noise and a cut-off end for recordings [B, M, F] that features are taken from."""
    count = mels.shape[0]
    device = mels.device

    def chance(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=rng).to(device)

    gain = (chance(1, 1) * 2.0 - 1.0) * config.gain_db / mel.db_per_unit
    disturbed = torch.where(mels > -1.0, mels + gain, mels)
    level_db = config.noise_db - 25.0 * chance(1, 1)
    colour_db = (
        (chance(1, 1) - 0.5) * 30.0 * torch.linspace(-1, 1, mel.n_mels, device=device)[:, None]
    )
    noise = (level_db + colour_db) / mel.db_per_unit + 1.0
    flutter = torch.randn(mels.shape, generator=rng).to(device) * (3.0 / mel.db_per_unit)
    noisy = torch.maximum(disturbed, noise + flutter)
    disturbed = torch.where(chance(1, 1) < config.noise_probability, noisy, disturbed)
    end = (0.15 + 0.85 * chance(1, 1)) * mels.shape[2]
    past = (torch.arange(mels.shape[2], device=device) - end).clamp_min(0.0)
    cut = disturbed - past * (8.0 / mel.db_per_unit)
    disturbed = torch.where(chance(1, 1) < config.cut_probability, cut, disturbed)
    return disturbed.clamp_min(-1.0)
