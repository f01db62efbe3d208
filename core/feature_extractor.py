"""Feature extractor f: a log-mel to timbre features h that keep the instrument and forget the pitch.

Papers: GANStrument (arXiv 2211.05385, section 2.2) and HyperGANStrument (arXiv 2401.04558): f is
trained to tell the instrument while a pitch classifier behind a gradient reversal fails on h.

Deviations: the frequency axis is kept until the last layer (time is pooled to its mean and its
largest value), because formants and brightness live at absolute frequencies; h is scaled to unit
mean square, as IC-GAN (arXiv 2109.05070) normalises its instance features.

Shape legend: B batch, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from core.errors import ParameterError
from core.mel import MelConfig
from core.nn.layers import Conv2dLayer, FullyConnectedLayer
from core.nn.ops import check_shape, downsample_2x, normalize_2nd_moment
from core.nn.time_grid import TimeGrid


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureExtractorConfig:
    """Size of the feature extractor."""

    h_dim: int = 256
    """Width H of the features."""
    channels: tuple[int, ...] = (32, 64, 128, 192, 256)
    """Channels after each halving."""
    n_cells: int | None = None
    """Columns that are read, see core/nn/time_grid.py; None reads every frame."""


class ResidualBlock(nn.Module):
    """Two convolutions beside an averaged shortcut; halves both axes.

    Args:
        in_channels: I.
        out_channels: O.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = Conv2dLayer(in_channels, out_channels, 3, stride=2)
        self.conv1 = Conv2dLayer(out_channels, out_channels, 3, gain=0.5**0.5)
        self.shortcut = Conv2dLayer(in_channels, out_channels, 1, activation=False, gain=0.5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, M, F] to [B, O, M / 2, F / 2]."""
        y: Tensor = self.conv1(self.conv0(x))
        shortcut: Tensor = self.shortcut(downsample_2x(x))
        return y + shortcut


class FeatureExtractor(nn.Module):
    """h = f(x).

    Args:
        config: Sizes.
        mel: Geometry of the input.
    """

    def __init__(self, config: FeatureExtractorConfig, mel: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = mel
        widths = config.channels
        self.time = TimeGrid(mel.n_frames, config.n_cells)
        self.stem = Conv2dLayer(1, widths[0], 5, stride=2)
        self.blocks = nn.Sequential(*(ResidualBlock(i, o) for i, o in pairwise(widths)))
        bands = mel.n_mels >> len(widths)
        self.squeeze = Conv2dLayer(widths[-1], widths[-1] // 2, 1)
        self.hidden = FullyConnectedLayer(widths[-1] * bands, config.h_dim, activation=True)
        self.head = FullyConnectedLayer(config.h_dim, config.h_dim)

    def forward(self, mel: Tensor) -> Tensor:
        """Timbre features.

        Args:
            mel: Normalised log-mels, [B, 1, M, F]; where every frame is read, any F that is a
                multiple of 32 at the default depth (one halving for each entry of ``channels``).

        Returns:
            [B, H], unit mean square per row, float32.

        Raises:
            ParameterError: Another shape.
        """
        n_frames = None if self.time.is_identity else self.mel.n_frames
        check_shape(mel, [None, 1, self.mel.n_mels, n_frames], "Mel")
        mel = self.time.pool(mel)
        step = 1 << len(self.config.channels)
        if mel.shape[3] == 0 or mel.shape[3] % step:
            raise ParameterError(
                f"A mel of {mel.shape[3]} frames cannot be halved {len(self.config.channels)} "
                f"times; use a multiple of {step}."
            )
        x = self.stem(mel.contiguous(memory_format=torch.channels_last))
        x = self.squeeze(self.blocks(x))
        pooled = torch.cat([x.mean(dim=3), x.amax(dim=3)], dim=1).flatten(1)
        h: Tensor = self.head(self.hidden(pooled))
        return normalize_2nd_moment(h.float())
