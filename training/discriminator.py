"""Projection discriminator D(x, p, h), is this the mel of that pitch and timbre, and its objective.

Papers: StyleGAN2 residual discriminator (arXiv 1912.04958) with the projection of Miyato and
Koyama (arXiv 1802.05637) on instance features, as GANStrument (arXiv 2211.05385, section 2.3);
non-saturating logistic loss with lazy R1 (StyleGAN2, section 4.1).

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
from training import losses
from training.data.dataset import NoteBatch
from training.stage import Objective, Stage, StageConfig, plain_module

NAME = "discriminator"
"""What the stages that train D call it."""
GRADIENT_CLIP = 10.0
"""Largest gradient norm of D."""


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
    """Tell the discriminator the velocity; False is the paper's."""
    use_layout: bool = True
    """Show the discriminator where the partials of the pitch lie."""


class Discriminator(nn.Module):
    """The discriminator D(x, p, h).

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
        """How real mels look for their pitch and timbre.

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


def add_discriminator(
    stage: Stage[StageConfig], discriminator: Discriminator, learning_rate: float
) -> None:
    """Have a stage train D."""
    optimizer = torch.optim.Adam(discriminator.parameters(), learning_rate, (0.5, 0.99))
    stage.add(NAME, discriminator, optimizer, GRADIENT_CLIP)


def fooling_loss(
    stage: Stage[StageConfig], rendered: Tensor, target: NoteBatch, h: Tensor
) -> Tensor:
    """How well rendered mels fool D, a scalar; its gradient reaches the mels alone.

    Args:
        stage: The stage that trains D.
        rendered: Rendered mels in cells of time, [B, 1, M, C].
        target: True notes, for their pitches and velocities.
        h: Timbre features, [B, H].
    """
    with stage.frozen(NAME) as discriminator:
        logits = discriminator(rendered, target.midi_pitch, target.velocity, h)
    return losses.generator_logistic(logits)


def discriminator_objective(
    stage: Stage[StageConfig],
    step: int,
    target: NoteBatch,
    true: Tensor,
    rendered: Tensor,
    h: Tensor,
    *,
    r1_weight: float,
    r1_every: int,
) -> Objective:
    """What D minimises: it tells true mels from rendered ones, with lazy R1.

    Args:
        stage: The stage that trains D.
        step: Steps of D done before.
        target: True notes, for their pitches and velocities.
        true: Mels of the true notes in cells of time, [B, M, C].
        rendered: Rendered mels, [B, 1, M, C].
        h: Timbre features, [B, H].
        r1_weight: γ.
        r1_every: Steps of D between penalties; the penalty is scaled by it.
    """
    discriminator, h = stage.networks[NAME], h.detach()
    real = true[:, None].detach()
    real_logits = discriminator(real, target.midi_pitch, target.velocity, h)
    fake_logits = discriminator(rendered.detach(), target.midi_pitch, target.velocity, h)
    loss = losses.discriminator_logistic(real_logits, fake_logits)
    terms = {"told_apart": loss}
    if step % r1_every == 0:
        # In full precision and outside Fabric's wrapper, which forbids a gradient of gradients;
        # the one backward that follows still reaches the wrapper's parameters.
        real = real.clone().requires_grad_(True)
        with torch.autocast(real.device.type, enabled=False):
            logits = plain_module(discriminator)(
                real, target.midi_pitch, target.velocity, h.float()
            )
            penalty = losses.r1_penalty(logits, real)
        loss = loss + penalty * (0.5 * r1_weight * r1_every)
        terms["r1"] = penalty
    return Objective(loss=loss, moves=(NAME,), terms=terms)
