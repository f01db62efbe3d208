"""The paper's one formula (core/inference/refining.py) with the networks that training holds.

Paper: HyperGANStrument (arXiv 2401.04558, section 3.2): x_init = G(0, p, h), h_init = f(x_init),
Δ = H(h, h_init).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.generator import Generator
from core.hypernetwork import Hypernetwork, Refinement
from core.inference import refining
from training.data.dataset import NoteBatch
from training.stage import plain_module


def refine(
    features: nn.Module, generator: Generator, hypernetwork: nn.Module, source: NoteBatch, h: Tensor
) -> Refinement:
    """What the hypernetwork predicts for timbres, asked as the engine asks it.

    Gradients reach H alone.

    Args:
        features: f.
        generator: G.
        hypernetwork: H, as it is or in Fabric's wrapper.
        source: The sounds wanted, T notes.
        h: Features of the sounds, [T, H].

    Returns:
        Offsets and gates.
    """
    plain = plain_module(hypernetwork)
    assert isinstance(plain, Hypernetwork)
    z = torch.zeros(len(h), generator.config.z_dim, device=h.device)
    return refining.refine(
        source.mel,
        source.midi_pitch,
        h,
        draw=lambda: generator(z, source.midi_pitch, source.velocity, h)[:, 0],
        features=lambda mels: features(mels[:, None]),
        predict=hypernetwork,
        config=plain.config,
        mel=generator.mel,
    )
