"""Generator: timbre features and a pitch to the log-mel of that note.

Papers: StyleGAN2 (arXiv 1912.04958) conditioned on instance features as IC-GAN (arXiv 2109.05070)
and GANStrument (arXiv 2211.05385, section 2): x̂ = G(z, p, h; θ). Weight offsets from a
hypernetwork refine θ for a timbre: θ · (1 + Δ) (HyperGANStrument, arXiv 2401.04558, section 3).

Deviations: see core/nn/layers.py; velocity is a second condition beside the pitch; the layout of the
pitch along the mel axis enters every layer (core/nn/pitch_layout.py); columns are cells of time, short in
the attack and longer after it (core/nn/time_grid.py).

Shape legend: B batch, Z/W/H latent, style and feature widths, M mel bands, F frames, C cells of time,
T timbres with K notes each (B = T · K, notes of a timbre next to each other).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from core.errors import ParameterError
from core.mel import MelConfig
from core.nn.layers import FullyConnectedLayer, LayerSpec, SynthesisLayer, ToMelLayer
from core.nn.ops import check_shape, normalize_2nd_moment, upsample_2x
from core.nn.pitch_layout import LAYOUT_CHANNELS, PitchLayout
from core.nn.time_grid import TimeGrid

PITCH_HARMONICS = 4
"""Pairs of sine and cosine that encode the pitch for the mapping network."""
CONDITION_DIM = 2 + 2 * PITCH_HARMONICS
"""Width of the encoded pitch and velocity."""
MIDDLE_VELOCITY = 64.0
"""Velocity that is encoded as 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorConfig:
    """Size of the generator."""

    z_dim: int = 64
    """Width Z of the noise input."""
    h_dim: int = 256
    """Width H of the timbre features."""
    w_dim: int = 256
    """Width W of the styles."""
    mapping_layers: int = 3
    """Depth of the mapping network."""
    channels: tuple[int, ...] = field(default=(256, 256, 256, 128, 64, 32))
    """Channels at each resolution, from the coarsest (M / 32 bands) to the full one."""
    use_layout: bool = True
    """Give every layer the layout of the pitch; False is the paper's generator."""
    use_velocity: bool = True
    """Render soft and loud notes apart; False is the paper's generator."""
    n_cells: int | None = None
    """Columns that are drawn, see core/nn/time_grid.py; None draws every frame."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2:
            raise ParameterError(f"channels = {self.channels} needs at least two resolutions.")


def encode_condition(midi_pitch: Tensor, velocity: Tensor, *, use_velocity: bool = True) -> Tensor:
    """Encode pitch and velocity for a network.

    Args:
        midi_pitch: Fractional MIDI notes, [B].
        velocity: MIDI velocities 1–127, [B].
        use_velocity: Tell the velocity; False encodes every note as one of MIDDLE_VELOCITY.

    Returns:
        [B, CONDITION_DIM]: scaled pitch, scaled velocity, sines and cosines of the pitch.
    """
    if not use_velocity:
        velocity = torch.full_like(velocity, MIDDLE_VELOCITY)
    octave = (midi_pitch.float() - 60.0) / 12.0
    rates = 2.0 ** torch.arange(PITCH_HARMONICS, device=octave.device) * (math.pi / 4.0)
    angles = octave[:, None] * rates
    linear = torch.stack([octave / 2.0, velocity.float() / 64.0 - 1.0], dim=1)
    return torch.cat([linear, angles.sin(), angles.cos()], dim=1)


class MappingNetwork(nn.Module):
    """Noise, pitch, velocity and timbre features to styles w.

    Args:
        config: Sizes.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width = config.w_dim
        self.z_layer = FullyConnectedLayer(config.z_dim, width)
        self.c_layer = FullyConnectedLayer(CONDITION_DIM, width)
        self.h_layer = FullyConnectedLayer(config.h_dim, width)
        widths = [3 * width] + [width] * config.mapping_layers
        self.layers = nn.Sequential(
            *(
                FullyConnectedLayer(i, o, activation=True, lr_multiplier=0.1)
                for i, o in pairwise(widths)
            )
        )

    def forward(self, z: Tensor, condition: Tensor, h: Tensor) -> Tensor:
        """[B, Z], [B, CONDITION_DIM], [B, H] to styles [B, W]."""
        parts = [
            self.z_layer(z),  # z = 0 stays 0: no normalisation of the noise branch
            normalize_2nd_moment(self.c_layer(condition)),
            normalize_2nd_moment(self.h_layer(h)),
        ]
        styles: Tensor = self.layers(torch.cat(parts, dim=1))
        return styles


class SynthesisNetwork(nn.Module):
    """Styles and pitch layout to a log-mel, coarse to fine with skip outputs.

    Args:
        config: Sizes.
        mel: Geometry of the result.
    """

    def __init__(self, config: GeneratorConfig, mel: MelConfig) -> None:
        super().__init__()
        doublings = len(config.channels) - 1
        n_cells = mel.n_frames if config.n_cells is None else config.n_cells
        if mel.n_mels % 2**doublings or n_cells % 2**doublings:
            raise ParameterError(
                f"A {mel.n_mels}x{n_cells} mel cannot be halved {doublings} times; "
                "use fewer resolutions."
            )
        base = (mel.n_mels >> doublings, n_cells >> doublings)
        self.constant = nn.Parameter(torch.randn(config.channels[0], *base))
        layout_channels = LAYOUT_CHANNELS if config.use_layout else 0
        self.layers = nn.ModuleList()
        self.outputs = nn.ModuleList()
        specs: list[LayerSpec] = []
        previous = config.channels[0]
        for level, channels in enumerate(config.channels):
            bands = base[0] << level
            for index, inputs in enumerate((previous, channels)):
                spec = LayerSpec(
                    name=f"b{bands}.conv{index}", in_channels=inputs, out_channels=channels
                )
                self.layers.append(SynthesisLayer(spec, config.w_dim, layout_channels))
                specs.append(spec)
            spec = LayerSpec(name=f"b{bands}.mel", in_channels=channels, out_channels=1)
            self.outputs.append(ToMelLayer(spec, config.w_dim))
            specs.append(spec)
            previous = channels
        self.layer_specs: tuple[LayerSpec, ...] = tuple(specs)

    def forward(
        self, w: Tensor, layout: Tensor | None, weight_offsets: Sequence[Tensor | None] | None
    ) -> Tensor:
        """Draw the mels.

        Args:
            w: Styles, [B, W].
            layout: Pitch layout at full resolution, [B, C, M], or None.
            weight_offsets: One [T, O, I] or None for each of ``layer_specs``, or None for all.

        Returns:
            Log-mels in cells of time, [B, 1, M, C], float32.
        """
        levels = len(self.outputs)
        offsets = weight_offsets if weight_offsets is not None else [None] * len(self.layer_specs)
        pyramid = layout_pyramid(layout, levels)
        x = self.constant[None].expand(w.shape[0], -1, -1, -1)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        x = x.contiguous(memory_format=torch.channels_last)
        mel: Tensor | None = None
        for level in range(levels):
            # The first convolution of a level runs below it, where it is four times cheaper.
            below = pyramid[max(level - 1, 0)]
            x = self.layers[2 * level](x, w, below, offsets[3 * level])
            if level:
                x = upsample_2x(x)
            x = self.layers[2 * level + 1](x, w, pyramid[level], offsets[3 * level + 1])
            drawn = self.outputs[level](x, w, offsets[3 * level + 2]).float()
            mel = drawn if mel is None else upsample_2x(mel) + drawn
        assert mel is not None
        return mel


def layout_pyramid(layout: Tensor | None, levels: int) -> list[Tensor | None]:
    """The layout at each resolution, coarsest first: halved along the mel axis by averaging."""
    if layout is None:
        return [None] * levels
    pyramid: list[Tensor | None] = [layout]
    for _ in range(levels - 1):
        layout = nn.functional.avg_pool1d(layout, 2)
        pyramid.insert(0, layout)
    return pyramid


class Generator(nn.Module):
    """x̂ = G(z, p, h; θ · (1 + Δ)).

    Args:
        config: Sizes.
        mel: Geometry of the result.
    """

    def __init__(self, config: GeneratorConfig, mel: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = mel
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config, mel)
        self.layout = PitchLayout(mel)
        self.time = TimeGrid(mel.n_frames, config.n_cells)

    @property
    def layer_specs(self) -> tuple[LayerSpec, ...]:
        """The modulated layers in the order of the weight offsets."""
        return self.synthesis.layer_specs

    def forward(
        self,
        z: Tensor,
        midi_pitch: Tensor,
        velocity: Tensor,
        h: Tensor,
        weight_offsets: Sequence[Tensor | None] | None = None,
        *,
        in_cells: bool = False,
    ) -> Tensor:
        """Render notes.

        Args:
            z: Noise, [B, Z]; zeros give the mean sound.
            midi_pitch: Fractional MIDI notes, [B].
            velocity: MIDI velocities, [B].
            h: Timbre features, [B, H].
            weight_offsets: See :meth:`SynthesisNetwork.forward`.
            in_cells: Return the cells of time that are drawn instead of frames.

        Returns:
            Normalised log-mels [B, 1, M, F]; [B, 1, M, C] in cells.
        """
        check_shape(z, [None, self.config.z_dim], "z")
        check_shape(h, [z.shape[0], self.config.h_dim], "Timbre features")
        condition = encode_condition(midi_pitch, velocity, use_velocity=self.config.use_velocity)
        w = self.mapping(z, condition, h)
        layout = self.layout(midi_pitch) if self.config.use_layout else None
        cells: Tensor = self.synthesis(w, layout, weight_offsets)
        return cells if in_cells else self.time.expand(cells)
