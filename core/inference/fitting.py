"""Fitting: weight offsets optimised on a recording, for users who can wait some seconds.

The hypernetwork guesses a sound's offsets in one pass; a few steps of gradient descent from there
bring the model nearer to this very recording. Only the offsets move, and stopping early keeps what
they learn true at other pitches: some 5 steps cost nothing there, more are more faithful to the
recording at its own (figures in training/README.md).

Papers: HyperStyle (arXiv 2111.15666) for the offsets; Pivotal Tuning (arXiv 2106.05744, section 3.1),
which tunes a generator on one picture.

Shape legend: M mel bands, F frames, H feature width, O/I channels of a layer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from core.generator import Generator
from core.progress import Progress, stop_if
from core.sound import SOURCE_VELOCITY

LEARNING_RATE = 0.01
"""Adam's step size."""
BETAS = (0.9, 0.99)
"""Adam's averaging: a fit is too short for the usual 0.999."""


def fit_offsets(
    generator: Generator,
    h: Tensor,
    weight_offsets: Sequence[Tensor],
    mel: Tensor,
    midi_pitch: float,
    *,
    steps: int,
    precision: Callable[[], AbstractContextManager[Any]],
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> list[Tensor]:
    """Find offsets with which the generator draws a note.

    Args:
        generator: Left as it is; its weights take no gradients.
        h: The timbre's features, [1, H].
        weight_offsets: To start from, [1, O, I] for each modulated layer.
        mel: The note, [M, F].
        midi_pitch: Its fractional MIDI note.
        steps: How many.
        precision: Opens the context that the generator computes in.
        progress: Called with steps done and steps in all, after every step.
        cancel: Checked before every step.

    Returns:
        What is to be added to `weight_offsets`, [O, I] for each layer.

    Raises:
        RenderCancelled: `cancel` was set; nothing is kept.
    """
    changes = [torch.zeros_like(offset[0], requires_grad=True) for offset in weight_offsets]
    means = [torch.zeros_like(change) for change in changes]
    squares = [torch.zeros_like(change) for change in changes]
    z = torch.zeros(1, generator.config.z_dim, device=h.device)
    pitch = torch.tensor([midi_pitch], dtype=torch.float32, device=h.device)
    velocity = torch.full([1], float(SOURCE_VELOCITY), device=h.device)
    for step in range(steps):
        stop_if(cancel, "Fitting was cancelled; the sample is as it was.")
        offsets = [start + change for start, change in zip(weight_offsets, changes, strict=True)]
        with precision():
            drawn = generator(z, pitch, velocity, h, offsets)
        loss = (drawn[0, 0] - mel).square().mean()
        gradients = torch.autograd.grad(loss, changes)
        with torch.no_grad():
            # Adam; torch's own loads a compiler first, and nothing is rendered for two seconds.
            for change, gradient, mean, square in zip(
                changes, gradients, means, squares, strict=True
            ):
                mean.lerp_(gradient, 1.0 - BETAS[0])
                square.lerp_(gradient.square(), 1.0 - BETAS[1])
                scale = (square / (1.0 - BETAS[1] ** (step + 1))).sqrt_().add_(1e-8)
                change.addcdiv_(mean, scale, value=-LEARNING_RATE / (1.0 - BETAS[0] ** (step + 1)))
        if progress is not None:
            progress(step + 1, steps)
    return [change.detach() for change in changes]
