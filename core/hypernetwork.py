"""Hypernetwork H: timbre features to weight offsets that refine the generator for one sound.

Paper: HyperGANStrument (arXiv 2401.04558, section 3): H(h, h_init) is a shallow MLP followed by one
refinement block per modulated layer; the generator's weights become θ · (1 + Δ) as in HyperStyle
(arXiv 2111.15666, eq. 4). Its input is features, never mels.

Deviations: Δ of a layer is a product of two thin matrices (rank given in the config) instead of a
full one, which keeps H a few million parameters; all modulated layers get offsets, the outputs too.

Shape legend: T timbres, H feature width, O/I channels of a layer, R rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from core.errors import ParameterError
from core.nn.layers import FullyConnectedLayer, LayerSpec
from core.nn.ops import check_shape


@dataclass(frozen=True, kw_only=True, slots=True)
class HypernetworkConfig:
    """Size of the hypernetwork."""

    h_dim: int = 256
    """Width H of the timbre features."""
    hidden_dim: int = 256
    """Width of the shared MLP."""
    hidden_layers: int = 2
    """Depth of the shared MLP."""
    rank: int = 4
    """Rank R of a layer's offsets."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ParameterError(f"rank = {self.rank} must be at least 1.")


class RefinementBlock(nn.Module):
    """Hidden state to the offsets of one layer; starts at Δ = 0.

    Args:
        spec: Size of the layer.
        hidden_dim: Width of the hidden state.
        rank: Rank R of Δ.
    """

    def __init__(self, spec: LayerSpec, hidden_dim: int, rank: int) -> None:
        super().__init__()
        self.spec = spec
        self.rank = min(rank, spec.out_channels, spec.in_channels)
        self.left = FullyConnectedLayer(hidden_dim, spec.out_channels * self.rank, weight_std=0.0)
        self.right = FullyConnectedLayer(hidden_dim, spec.in_channels * self.rank)

    def forward(self, hidden: Tensor) -> Tensor:
        """[T, hidden] to Δ [T, O, I]."""
        left = self.left(hidden).reshape(-1, self.spec.out_channels, self.rank)
        right = self.right(hidden).reshape(-1, self.rank, self.spec.in_channels)
        return torch.bmm(left, right) / math.sqrt(self.rank)


class Hypernetwork(nn.Module):
    """Δ = H(h, h_init).

    Args:
        config: Sizes.
        layer_specs: The generator's modulated layers, in order.
    """

    def __init__(self, config: HypernetworkConfig, layer_specs: Sequence[LayerSpec]) -> None:
        super().__init__()
        self.config = config
        widths = [3 * config.h_dim] + [config.hidden_dim] * config.hidden_layers
        self.shared = nn.Sequential(
            *(FullyConnectedLayer(i, o, activation=True) for i, o in pairwise(widths))
        )
        self.blocks = nn.ModuleList(
            RefinementBlock(spec, config.hidden_dim, config.rank) for spec in layer_specs
        )

    def forward(self, h: Tensor, h_init: Tensor) -> list[Tensor]:
        """Weight offsets for each timbre.

        Args:
            h: Features of the sound wanted, [T, H].
            h_init: Features of the first, unrefined rendering, [T, H].

        Returns:
            One Δ [T, O, I] for each modulated layer; weights become θ · (1 + Δ).
        """
        check_shape(h, [None, self.config.h_dim], "Timbre features")
        check_shape(h_init, list(h.shape), "Initial features")
        hidden = self.shared(torch.cat([h, h_init, h - h_init], dim=1))
        return [block(hidden) for block in self.blocks]
