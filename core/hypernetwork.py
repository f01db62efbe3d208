"""Hypernetwork H: timbre features to weight offsets that refine the generator for one sound.

Paper: HyperGANStrument (arXiv 2401.04558, section 3): H(h, h_init) is a shallow MLP followed by one
refinement block per modulated layer; the generator's weights become θ · (1 + Δ) as in HyperStyle
(arXiv 2111.15666, eq. 4). Its input is features, never mels: those are HyperStyle's choice, kept as
an ablation that the studies run and the engine refuses.

Deviations: Δ of a layer is a product of two thin matrices (rank given in the config) instead of a
full one, which keeps H a few million parameters; all modulated layers get offsets, the outputs too. H
may also read a pitch-free code of what the first rendering missed (core/inference/miss.py), and predict
gates for what of the recording goes along to other notes (core/inference/gates.py).

Shape legend: T timbres, H feature width, M mel bands, F frames, C channels, O/I channels of a layer,
R rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.errors import ParameterError
from core.nn.layers import Conv2dLayer, FullyConnectedLayer, LayerSpec
from core.nn.ops import check_shape

FEATURES, MELS = "features", "mels"
"""What H may read."""
ENCODER_BANDS = 4
"""Rows that the encoder of mels keeps of the frequency axis."""


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
    input: str = FEATURES
    """What H reads of the source and of its first rendering: ``features``, or ``mels`` (ablation)."""
    miss_dim: int = 0
    """Width of the code of what the first rendering missed; 0 reads none (the paper)."""
    gate_count: int = 0
    """Gates predicted for each timbre; 0 predicts none (the paper)."""
    offset_strength: float = 1.0
    """Share of the predicted offsets that is applied, 0 to 1: less where those of instruments that H
    was not trained on miss their notes. 1 is the paper."""
    encoder_channels: tuple[int, ...] = (32, 64, 96, 128, 192)
    """Channels of the encoder of mels after each halving."""

    def __post_init__(self) -> None:
        if self.input not in (FEATURES, MELS):
            raise ParameterError(f"input = '{self.input}' must be '{FEATURES}' or '{MELS}'.")
        if not self.encoder_channels:
            raise ParameterError("encoder_channels is empty; give at least one width.")
        if not 0.0 <= self.offset_strength <= 1.0:
            raise ParameterError(
                f"offset_strength = {self.offset_strength} must lie between 0 and 1."
            )
        if self.rank < 1:
            raise ParameterError(f"rank = {self.rank} must be at least 1.")

    @property
    def reads_mels(self) -> bool:
        """Whether H reads mels in place of features."""
        return self.input == MELS


class Refinement(NamedTuple):
    """What H predicts of some timbres; a tuple, so that Fabric's wrapper can look through it."""

    offsets: list[Tensor]
    """Δ [T, O, I] for each modulated layer; weights become θ · (1 + Δ)."""
    gates: Tensor
    """Unbounded gates, [T, gate_count]."""


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


class MelEncoder(nn.Module):
    """A source and its first rendering, both as mels, to one vector (HyperStyle, section 3).

    Args:
        channels: C after each halving of both axes.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.stem = Conv2dLayer(2, channels[0], 5, stride=2)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(Conv2dLayer(i, o, 3, stride=2), Conv2dLayer(o, o, 3))
                for i, o in pairwise(channels)
            )
        )
        self.width = 2 * ENCODER_BANDS * channels[-1]

    def forward(self, source: Tensor, initial: Tensor) -> Tensor:
        """Two mels [T, 1, M, F] to [T, width]: mean and largest value over time."""
        both = torch.cat([source, initial], dim=1)
        x = self.blocks(self.stem(both.contiguous(memory_format=torch.channels_last))).float()
        mean = functional.adaptive_avg_pool2d(x, (ENCODER_BANDS, 1))
        largest = functional.adaptive_max_pool2d(x, (ENCODER_BANDS, 1))
        return torch.cat([mean, largest], dim=1).flatten(1)


class Hypernetwork(nn.Module):
    """Δ = H(h, h_init).

    Args:
        config: Sizes.
        layer_specs: The generator's modulated layers, in order.
    """

    def __init__(self, config: HypernetworkConfig, layer_specs: Sequence[LayerSpec]) -> None:
        super().__init__()
        self.config = config
        self.encoder = MelEncoder(config.encoder_channels) if config.reads_mels else None
        width = 3 * config.h_dim if self.encoder is None else self.encoder.width
        width += config.miss_dim
        widths = [width] + [config.hidden_dim] * config.hidden_layers
        self.shared = nn.Sequential(
            *(FullyConnectedLayer(i, o, activation=True) for i, o in pairwise(widths))
        )
        self.blocks = nn.ModuleList(
            RefinementBlock(spec, config.hidden_dim, config.rank) for spec in layer_specs
        )
        self.gates: FullyConnectedLayer | None = None
        if config.gate_count:
            self.gates = FullyConnectedLayer(config.hidden_dim, config.gate_count, weight_std=0.0)

    def forward(self, source: Tensor, initial: Tensor, miss: Tensor | None = None) -> Refinement:
        """Weight offsets, and gates, for each timbre.

        Args:
            source: Features h of the sound wanted, [T, H]; its mel [T, 1, M, F] where H reads mels.
            initial: Features, or the mel, of the first, unrefined rendering.
            miss: Code of what that rendering missed, [T, miss_dim]; None where H reads none.

        Returns:
            Offsets of every modulated layer, and the gates.

        Raises:
            ParameterError: Other shapes, e.g. features for a hypernetwork that reads mels.
        """
        if self.encoder is None:
            check_shape(source, [None, self.config.h_dim], "Timbre features")
            check_shape(initial, list(source.shape), "Initial features")
            read = torch.cat([source, initial, source - initial], dim=1)
        else:
            check_shape(source, [None, 1, None, None], "Mel of the source")
            check_shape(initial, list(source.shape), "Mel of the first rendering")
            read = self.encoder(source, initial)
        if self.config.miss_dim:
            if miss is None:
                raise ParameterError("The hypernetwork reads what was missed; give its code.")
            check_shape(miss, [len(source), self.config.miss_dim], "Code of what was missed")
            read = torch.cat([read, miss.to(read.dtype)], dim=1)
        hidden = self.shared(read)
        gates = hidden.new_zeros(len(hidden), 0) if self.gates is None else self.gates(hidden)
        strength = self.config.offset_strength
        return Refinement(offsets=[block(hidden) * strength for block in self.blocks], gates=gates)
