"""Projection discriminator D(x, p, h): is this the mel of that pitch and timbre?

Papers: StyleGAN2 residual discriminator (arXiv 1912.04958) with the projection of Miyato and
Koyama (arXiv 1802.05637) on instance features, as GANStrument (arXiv 2211.05385, section 2.3).

Shape legend: B batch, M mel bands, C cells of time (core/nn/time_grid.py), H feature width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from core.feature_extractor import ResidualBlock
from core.generator import CONDITION_DIM, GeneratorConfig, encode_condition
from core.mel import MelConfig
from core.nn.layers import Conv2dLayer, FullyConnectedLayer
from core.nn.ops import check_shape
from core.nn.pitch_layout import LAYOUT_CHANNELS, PitchLayout


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorConfig:
    """Size of the discriminator."""

    channels: tuple[int, ...] = (16, 32, 64, 128, 192, 256)
    """Channels from full resolution to the coarsest."""
    embedding_dim: int = 256
    """Width of the projection."""
    use_projection: bool = True
    """Condition on pitch and timbre; False is the plain discriminator of the ablation."""
    use_velocity: bool = True
    """Tell it the velocity; False is the paper's discriminator."""
    use_layout: bool = True
    """Show the discriminator where the partials of the pitch lie."""


class Discriminator(nn.Module):
    """D(x, p, h).

    Args:
        config: Sizes.
        mel: Geometry of the mels.
        generator: The generator whose cells of time are judged.
    """

    def __init__(
        self, config: DiscriminatorConfig, mel: MelConfig, generator: GeneratorConfig
    ) -> None:
        super().__init__()
        self.config = config
        self.mel = mel
        self.n_cells = mel.n_frames if generator.n_cells is None else generator.n_cells
        widths = config.channels
        inputs = 1 + (LAYOUT_CHANNELS if config.use_layout else 0)
        self.layout = PitchLayout(mel)
        self.stem = Conv2dLayer(inputs, widths[0], 3)
        self.blocks = nn.Sequential(*(ResidualBlock(i, o) for i, o in pairwise(widths)))
        cells = (mel.n_mels >> (len(widths) - 1)) * (self.n_cells >> (len(widths) - 1))
        self.final_conv = Conv2dLayer(widths[-1] + 1, widths[-1] // 2, 3)
        self.hidden = FullyConnectedLayer(
            widths[-1] // 2 * cells, config.embedding_dim, activation=True
        )
        self.head = FullyConnectedLayer(config.embedding_dim, 1)
        self.condition = FullyConnectedLayer(CONDITION_DIM + generator.h_dim, config.embedding_dim)

    def forward(self, mel: Tensor, midi_pitch: Tensor, velocity: Tensor, h: Tensor) -> Tensor:
        """Realness.

        Args:
            mel: Normalised log-mels in cells of time, [B, 1, M, C].
            midi_pitch: Fractional MIDI notes, [B].
            velocity: MIDI velocities, [B].
            h: Timbre features, [B, H].

        Returns:
            Logits [B], float32.
        """
        check_shape(mel, [None, 1, self.mel.n_mels, self.n_cells], "Mel")
        x = mel
        if self.config.use_layout:
            layout = self.layout(midi_pitch)[..., None].expand(-1, -1, -1, mel.shape[3])
            x = torch.cat([x, layout.to(x.dtype)], dim=1)
        x = self.blocks(self.stem(x.contiguous(memory_format=torch.channels_last)))
        spread = x.float().std(dim=0, unbiased=False).mean().to(x.dtype)
        x = torch.cat([x, spread.expand(x.shape[0], 1, x.shape[2], x.shape[3])], dim=1)
        x = self.hidden(self.final_conv(x).flatten(1))
        logits: Tensor = self.head(x).squeeze(1).float()
        if self.config.use_projection:
            note = encode_condition(midi_pitch, velocity, use_velocity=self.config.use_velocity)
            condition = torch.cat([note, h], dim=1)
            embedded = self.condition(condition).float()
            logits = logits + (embedded * x.float()).sum(dim=1) / math.sqrt(x.shape[1])
        return logits
