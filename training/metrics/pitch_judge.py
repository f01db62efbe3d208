"""Independent pitch classifier: which note a mel is, and features for the Fréchet distance.

It shares no weight with the networks it judges.

Papers: pitch accuracy and Fréchet distance as in GANSynth (arXiv 1902.08710, section 4).

Shape legend: B batch, M mel bands, F frames, D feature width.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.feature_extractor import ResidualBlock
from core.mel import MelConfig
from core.nn.layers import Conv2dLayer, FullyConnectedLayer

NOTES = 128
"""Classes: MIDI notes."""
FRAMES_AVERAGED = 4
"""Mel frames averaged before the first convolution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PitchJudgeConfig:
    """Size of the pitch judge."""

    channels: tuple[int, ...] = (24, 48, 96, 128)
    """Channels at full mel resolution and after each halving."""
    feature_dim: int = 128
    """Width D of the features under the classifier."""


class PitchJudge(nn.Module):
    """Mel to note.

    Args:
        config: Sizes.
        mel: Geometry of the input.
    """

    def __init__(self, config: PitchJudgeConfig, mel: MelConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        self.stem = Conv2dLayer(1, widths[0], 5)
        self.blocks = nn.Sequential(*(ResidualBlock(i, o) for i, o in pairwise(widths)))
        bands = mel.n_mels >> (len(widths) - 1)
        self.hidden = FullyConnectedLayer(
            2 * widths[-1] * bands, config.feature_dim, activation=True
        )
        self.classifier = FullyConnectedLayer(config.feature_dim, NOTES)

    def features(self, mel: Tensor) -> Tensor:
        """[B, 1, M, F] to [B, D], float32."""
        # Time is averaged first: what names a note is fine structure along the mel axis.
        x = functional.avg_pool2d(mel, (1, FRAMES_AVERAGED))
        x = self.blocks(self.stem(x.contiguous(memory_format=torch.channels_last)))
        pooled = torch.cat([x.mean(dim=3), x.amax(dim=3)], dim=1).flatten(1)
        features: Tensor = self.hidden(pooled).float()
        return features

    def forward(self, mel: Tensor) -> Tensor:
        """Logits of the notes, [B, 1, M, F] to [B, NOTES]."""
        logits: Tensor = self.classifier(self.features(mel))
        return logits
