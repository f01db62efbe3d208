"""The generator as notes are rendered with it: what does not depend on the note is computed once.

The same function as :class:`core.generator.Generator`, for inference alone. Once for an engine: the
gains of the equalised learning rate are multiplied in, all style layers become one matrix. Once for
a timbre: its weight offsets are multiplied in, and the energies that the demodulation needs. For a
note the convolutions are left, and one pass over what they return.

Feature maps lie in memory as [B, F, M, C], so that the layout of a pitch, the same for all frames,
is added in long runs.

Shape legend: B batch, C channels, M mel bands, F frames, W style width, O/I channels of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from core.generator import Generator, encode_condition, layout_pyramid
from core.nn.layers import FullyConnectedLayer, SynthesisLayer, ToMelLayer
from core.nn.ops import (
    ACTIVATION_GAIN,
    DEMODULATION_EPSILON,
    LEAKY_SLOPE,
    activate,
    normalize_2nd_moment,
    upsample_2x,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FoldedWeights:
    """The synthesis network's weights for one timbre, in the order of its layers."""

    convolutions: tuple[Tensor, ...]
    """[O, I, 3, 3], frames before bands, in the type that is computed in."""
    energies: tuple[Tensor, ...]
    """Squared weights summed over the kernel ÷ squared gain of the activation, [O, I]."""
    outputs: tuple[Tensor, ...]
    """1×1 convolution of each level to the mel, [I]."""


class FoldedGenerator:
    """Draws mels.

    Args:
        generator: The trained network; it is left as it is.
        dtype: Type of the convolutions; all else is float32.
    """

    def __init__(self, generator: Generator, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._layout = generator.layout if generator.config.use_layout else None
        self._time = generator.time
        self._use_velocity = generator.config.use_velocity
        mapping, synthesis = generator.mapping, generator.synthesis
        self._inputs = [
            _folded([layer]) for layer in (mapping.z_layer, mapping.c_layer, mapping.h_layer)
        ]
        self._mapping = [_folded([cast(FullyConnectedLayer, layer)]) for layer in mapping.layers]
        layers = [cast(SynthesisLayer, layer) for layer in synthesis.layers]
        outputs = [cast(ToMelLayer, layer) for layer in synthesis.outputs]
        self._constant = synthesis.constant.permute(2, 1, 0)[None].to(dtype)  # [1, F, M, C]
        self._weights = FoldedWeights(
            convolutions=tuple(
                _frames_first(layer.weight * layer.weight_gain).to(dtype) for layer in layers
            ),
            energies=tuple(
                (layer.weight * (layer.weight_gain / ACTIVATION_GAIN)).square().sum(dim=(2, 3))
                for layer in layers
            ),
            outputs=tuple(layer.weight[0, :, 0, 0] * layer.weight_gain for layer in outputs),
        )
        self._biases = [layer.bias * ACTIVATION_GAIN for layer in layers]
        self._layout_weights = [
            None if layer.layout_weight is None else layer.layout_weight * ACTIVATION_GAIN
            for layer in layers
        ]
        self._output_biases = [layer.bias for layer in outputs]
        bands = torch.eye(generator.mel.n_mels, device=synthesis.constant.device)
        pyramid = layout_pyramid(bands[None], len(outputs))
        self._band_counts = [level.shape[2] for level in pyramid if level is not None]
        self._averages = torch.cat([level[0] for level in pyramid if level is not None], dim=1)
        affines: list[FullyConnectedLayer] = []  # in the order in which _synthesize takes styles
        for level, output in enumerate(outputs):
            for layer in layers[2 * level : 2 * level + 2]:
                affines.append(layer.affine)
                if self._layout is not None:
                    affines.append(layer.layout_affine)
            affines.append(output.affine)
        self._styles = _folded(affines)
        self._style_widths = [len(affine.bias) for affine in affines]

    def fold(self, weight_offsets: Sequence[Tensor] | None) -> FoldedWeights:
        """The weights θ · (1 + Δ) of a timbre.

        Args:
            weight_offsets: Δ [1, O, I] of each layer in the order of the generator's
                ``layer_specs``; None for Δ = 0.
        """
        plain = self._weights
        if weight_offsets is None:
            return plain
        factors = [1.0 + offsets[0].float() for offsets in weight_offsets]
        inner = [factor for index, factor in enumerate(factors) if index % 3 < 2]
        return FoldedWeights(
            convolutions=tuple(
                weight * factor.to(self._dtype)[:, :, None, None]
                for weight, factor in zip(plain.convolutions, inner, strict=True)
            ),
            energies=tuple(
                energy * factor.square()
                for energy, factor in zip(plain.energies, inner, strict=True)
            ),
            outputs=tuple(
                weight * factor[0]
                for weight, factor in zip(plain.outputs, factors[2::3], strict=True)
            ),
        )

    def draw(
        self, z: Tensor, midi_pitch: Tensor, velocity: Tensor, h: Tensor, weights: FoldedWeights
    ) -> Tensor:
        """Normalised log-mels [B, M, F] of notes of one timbre.

        Args:
            z: Noise, [B, Z].
            midi_pitch: Fractional MIDI notes, [B].
            velocity: MIDI velocities, [B].
            h: Timbre features, [B, H].
            weights: The timbre's.
        """
        condition = encode_condition(midi_pitch, velocity, use_velocity=self._use_velocity)
        w = self._map(z, condition, h)
        layout = None if self._layout is None else self._layout(midi_pitch)
        return self._time.expand(self._synthesize(w, layout, weights))

    def _map(self, z: Tensor, condition: Tensor, h: Tensor) -> Tensor:
        """Styles [B, W], see ``core.generator.MappingNetwork``."""
        of_z, of_condition, of_h = (
            functional.linear(value, *layer)
            for value, layer in zip((z, condition, h), self._inputs, strict=True)
        )
        w = torch.cat([of_z, normalize_2nd_moment(of_condition), normalize_2nd_moment(of_h)], dim=1)
        for layer in self._mapping:
            w = activate(functional.linear(w, *layer))
        return w

    def _synthesize(self, w: Tensor, layout: Tensor | None, weights: FoldedWeights) -> Tensor:
        """[B, W] and [B, C, M] to cells [B, M, F], see ``core.generator.SynthesisNetwork``."""
        styles = iter(torch.split(functional.linear(w, *self._styles), self._style_widths, dim=1))
        pyramid: Sequence[Tensor | None] = [None] * len(weights.outputs)
        if layout is not None:
            at_all_levels = torch.matmul(layout, self._averages).transpose(1, 2)
            pyramid = torch.split(at_all_levels, self._band_counts, dim=1)
        x = self._constant.expand(len(w), -1, -1, -1)
        mel: Tensor | None = None
        for level, output in enumerate(weights.outputs):
            below = pyramid[max(level - 1, 0)]
            x = self._convolve(x, 2 * level, styles, below, weights)
            if level:
                x = _upsample(x)
            x = self._convolve(x, 2 * level + 1, styles, pyramid[level], weights)
            weight = (output * next(styles)).to(x.dtype)[:, :, None]
            drawn = torch.matmul(x.flatten(1, 2), weight).float() + self._output_biases[level]
            drawn = drawn.reshape(x.shape[:3])
            mel = drawn if mel is None else upsample_2x(mel[:, None])[:, 0] + drawn
        assert mel is not None
        return mel.transpose(1, 2)

    def _convolve(
        self,
        x: Tensor,
        index: int,
        styles: Iterator[Tensor],
        layout: Tensor | None,
        weights: FoldedWeights,
    ) -> Tensor:
        """[B, F, M, I] and [B, M, C] to [B, F, M, O], see ``core.nn.layers.SynthesisLayer``."""
        style = next(styles)
        x = x * style.to(x.dtype)[:, None, None]
        x = functional.conv2d(x.permute(0, 3, 1, 2), weights.convolutions[index], padding=1)
        x = x.permute(0, 2, 3, 1)
        energy = functional.linear(style.square(), weights.energies[index])  # [B, O]
        scale = torch.rsqrt(energy + DEMODULATION_EPSILON / ACTIVATION_GAIN**2)
        shift = self._biases[index]
        layout_weight = self._layout_weights[index]
        if layout is not None and layout_weight is not None:
            drawn = functional.linear(layout, layout_weight)  # [B, M, O]
            shift = torch.addcmul(shift, drawn, next(styles)[:, None])
        n_bands = x.shape[2]
        row = (len(x), 1, n_bands * x.shape[3])
        scale = scale.to(x.dtype)[:, None].expand(-1, n_bands, -1).reshape(row)
        shift = shift.to(x.dtype).expand(len(x), n_bands, -1).reshape(row)
        flat = torch.addcmul(shift, x.flatten(2), scale)
        return functional.leaky_relu_(flat, LEAKY_SLOPE).reshape(x.shape)


def _folded(layers: Sequence[FullyConnectedLayer]) -> tuple[Tensor, Tensor]:
    """Weight and bias of fully connected layers of one input as a single layer's."""
    weight = torch.cat([layer.weight * layer.weight_gain for layer in layers])
    return weight, torch.cat([layer.bias * layer.bias_gain for layer in layers])


def _frames_first(weight: Tensor) -> Tensor:
    """[O, I, bands, frames] to [O, I, frames, bands], the input channels next to each other."""
    return weight.transpose(2, 3).contiguous(memory_format=torch.channels_last)


def _upsample(x: Tensor) -> Tensor:
    """Double both axes of [B, F, M, C]; in float32, which a CPU is quicker at."""
    doubled = upsample_2x(x.permute(0, 3, 1, 2).float())
    return doubled.permute(0, 2, 3, 1).to(x.dtype)
