"""Layers with equalised learning rate, and the table of modulated layers the hypernetwork refines.

Paper: StyleGAN2 (arXiv 1912.04958) and Progressive GAN (arXiv 1710.10196, section 4.1).

Deviations: up-sampling is bilinear after a convolution at the lower resolution instead of a
transposed convolution followed by a filter (the same cost and filter); no per-pixel noise inputs,
so that equal requests render equal sound; the layout of the pitch is added to each layer.

Shape legend: B batch, C channels, M mel bands, F frames, W style width, T timbres, K notes each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.nn.ops import activate, modulated_conv2d, scale_shift_activate


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerSpec:
    """Size of one modulated layer: what a hypernetwork must know to offset its weights."""

    name: str
    """Name inside the generator, e.g. ``b32.conv1``."""
    in_channels: int
    """I of the weight [O, I, k, k]."""
    out_channels: int
    """O of the weight [O, I, k, k]."""


class FullyConnectedLayer(nn.Module):
    """Linear layer whose weights are stored at unit variance and scaled when used.

    Args:
        in_features: Input width.
        out_features: Output width.
        activation: Apply the leaky ReLU.
        lr_multiplier: Learning rate of this layer relative to the rest.
        bias_init: Initial value of the bias.
        weight_std: Initial standard deviation of the scaled weights, relative to He's.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
        weight_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(out_features, in_features) * (weight_std / lr_multiplier)
        )
        self.bias = nn.Parameter(torch.full([out_features], bias_init / lr_multiplier))
        self.activation = activation
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """[B, in] to [B, out]."""
        weight = (self.weight * self.weight_gain).to(x.dtype)
        x = functional.linear(x, weight, (self.bias * self.bias_gain).to(x.dtype))
        return activate(x) if self.activation else x


class Conv2dLayer(nn.Module):
    """Plain convolution with equalised learning rate, [B, I, M, F] to [B, O, M / s, F / s].

    Args:
        in_channels: I.
        out_channels: O.
        kernel: Odd kernel size.
        stride: Step of both axes.
        activation: Apply the leaky ReLU.
        gain: Scale of the output, e.g. 1/√2 in a residual sum.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        activation: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.weight_gain = 1.0 / math.sqrt(in_channels * kernel * kernel)
        self.stride = stride
        self.activation = activation
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, add the bias, activate."""
        padding = self.weight.shape[-1] // 2
        weight = (self.weight * self.weight_gain).to(x.dtype)
        x = functional.conv2d(x, weight, self.bias.to(x.dtype), self.stride, padding)
        if self.activation:
            x = activate(x)
        return x if self.gain == 1.0 else x * self.gain


class SynthesisLayer(nn.Module):
    """Modulated 3×3 convolution + layout of the pitch + bias + leaky ReLU.

    The layout enters through a 1×1 convolution that starts at zero, scaled per channel by a style
    of its own, so that each timbre draws its partials with its own strength.

    Args:
        spec: Channels and name.
        w_dim: Style width W.
        layout_channels: Channels of the pitch layout; 0 leaves it out.
    """

    def __init__(self, spec: LayerSpec, w_dim: int, layout_channels: int) -> None:
        super().__init__()
        self.spec = spec
        self.weight = nn.Parameter(torch.randn(spec.out_channels, spec.in_channels, 3, 3))
        self.weight_gain = 1.0 / math.sqrt(spec.in_channels * 9)
        self.bias = nn.Parameter(torch.zeros(spec.out_channels))
        self.affine = FullyConnectedLayer(w_dim, spec.in_channels, bias_init=1.0)
        self.layout_weight: nn.Parameter | None = None
        if layout_channels:
            self.layout_weight = nn.Parameter(torch.zeros(spec.out_channels, layout_channels))
            self.layout_affine = FullyConnectedLayer(w_dim, spec.out_channels, bias_init=1.0)

    def forward(
        self, x: Tensor, w: Tensor, layout: Tensor | None, weight_offsets: Tensor | None
    ) -> Tensor:
        """One layer.

        Args:
            x: [B, I, M, F].
            w: Styles, [B, W].
            layout: [B, C, M] at this resolution, the same for all frames; None leaves it out.
            weight_offsets: [T, O, I] or None.

        Returns:
            [B, O, M, F].
        """
        weight = self.weight * self.weight_gain
        x, scale = modulated_conv2d(x, weight, self.affine(w), weight_offsets)
        assert scale is not None
        shift = self.bias[None, :, None]
        if layout is not None and self.layout_weight is not None:
            drawn = torch.einsum("oc,bcm->bom", self.layout_weight, layout)
            shift = shift + drawn * self.layout_affine(w)[:, :, None]
        return scale_shift_activate(x, scale, shift[..., None])


class ToMelLayer(nn.Module):
    """Modulated 1×1 convolution to one mel channel, without demodulation (StyleGAN2, tRGB).

    Args:
        spec: Channels and name; ``out_channels`` is 1.
        w_dim: Style width W.
    """

    def __init__(self, spec: LayerSpec, w_dim: int) -> None:
        super().__init__()
        self.spec = spec
        self.weight = nn.Parameter(torch.randn(spec.out_channels, spec.in_channels, 1, 1))
        self.weight_gain = 1.0 / math.sqrt(spec.in_channels)
        self.bias = nn.Parameter(torch.zeros(spec.out_channels))
        self.affine = FullyConnectedLayer(w_dim, spec.in_channels, bias_init=1.0)

    def forward(self, x: Tensor, w: Tensor, weight_offsets: Tensor | None) -> Tensor:
        """[B, I, M, F] to [B, 1, M, F]."""
        weight = self.weight * self.weight_gain
        x, _ = modulated_conv2d(x, weight, self.affine(w), weight_offsets, demodulate=False)
        return x + self.bias[None, :, None, None].to(x.dtype)
