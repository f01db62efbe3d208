"""Losses as pure functions of tensors.

Shape legend: B batch, M mel bands, F frames, H feature width, T samples, K FFT bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def audible_bins(one: Tensor, other: Tensor, depth: float) -> Tensor:
    """Bins where either of two mels [N, M, F] lies within `depth` (normalised) of its loudest bin."""
    near = [mel > mel.amax(dim=(1, 2), keepdim=True) - depth for mel in (one, other)]
    return near[0] | near[1]


def generator_logistic(fake_logits: Tensor) -> Tensor:
    """Non-saturating generator loss (Goodfellow et al., arXiv 1406.2661), [B] to a scalar."""
    return functional.softplus(-fake_logits).mean()


def discriminator_logistic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Logistic discriminator loss, [B] and [B] to a scalar."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """Squared gradient of the logits on real data (Mescheder et al., arXiv 1801.04406)."""
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.float().square().flatten(1).sum(dim=1).mean()


def reconstruction(rendered: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of normalised log-mels (λ_recon's term)."""
    return functional.mse_loss(rendered.float(), target.float())


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelFree:
    """What a rendered mel misses of a true one, level apart; means over notes, normalised units."""

    squared: Tensor
    """Mean square over the audible bins, once one gain a note is taken off."""
    absolute: Tensor
    """Mean absolute difference over the audible bins, once one gain a note is taken off."""
    level: Tensor
    """Mean square of the gain a note that the other terms leave out."""
    quiet: Tensor
    """Mean absolute difference of the bins that are inaudible in both mels."""
    movement: Tensor
    """Mean absolute difference of how much each band moves from frame to frame."""


def level_free(rendered: Tensor, target: Tensor, depth: float) -> LevelFree:
    """Compare mels as they are heard: an instrument's notes are levelled when they are played.

    Bins count as audible where either mel lies within `depth` of its own loudest bin.

    Args:
        rendered: Normalised log-mels, [B, M, F].
        target: True ones.
        depth: Normalised units below the loudest bin.
    """
    rendered, target = rendered.float(), target.float()
    audible = audible_bins(rendered.detach(), target, depth)
    weight = audible / audible.sum(dim=(1, 2), keepdim=True).clamp_min(1)
    hidden = ~audible / (~audible).sum(dim=(1, 2), keepdim=True).clamp_min(1)
    difference = rendered - target
    gain = (difference * weight).sum(dim=(1, 2), keepdim=True)
    levelled = (difference - gain) * weight
    return LevelFree(
        squared=(levelled * (difference - gain)).sum(dim=(1, 2)).mean(),
        absolute=levelled.abs().sum(dim=(1, 2)).mean(),
        level=gain.square().mean(),
        quiet=(difference.abs() * hidden).sum(dim=(1, 2)).mean(),
        movement=(_movement(rendered, audible) - _movement(target, audible)).abs().mean(),
    )


def _movement(mel: Tensor, audible: Tensor) -> Tensor:
    """Mean absolute step from frame to frame of each band's audible bins, [B, M, F] to [B, M]."""
    both = audible[..., 1:] & audible[..., :-1]
    steps = (mel.diff(dim=2).abs() * both).sum(dim=2)
    return steps / both.sum(dim=2).clamp_min(1)


def timbre(rendered_features: Tensor, features: Tensor) -> Tensor:
    """Mean squared difference of timbre features (λ_timbre's term), [B, H]."""
    return functional.mse_loss(rendered_features.float(), features.float())


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Identity whose gradient is turned around (Ganin and Lempitsky, arXiv 1409.7495)."""
    reversed_x: Tensor = _ReverseGradient.apply(x, strength)  # type: ignore[no-untyped-call]
    return reversed_x


def instrument_contrast(h: Tensor, instrument: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al., arXiv 2004.11362, eq. 2).

    Args:
        h: Features, [B, H].
        instrument: Index of the instrument of each, [B]; each should occur at least twice.
        temperature: Scale of the cosine similarities.
    """
    unit = functional.normalize(h.float())
    similarity = unit @ unit.T / temperature
    itself = torch.eye(len(h), dtype=torch.bool, device=h.device)
    log_share = functional.log_softmax(similarity.masked_fill(itself, float("-inf")), dim=1)
    positive = (instrument[:, None] == instrument[None]) & ~itself
    chosen = torch.where(positive, log_share, torch.zeros_like(log_share))
    return -(chosen.sum(dim=1) / positive.sum(dim=1).clamp_min(1)).mean()


def multi_resolution_stft(
    rendered: Tensor, target: Tensor, fft_sizes: Sequence[int] = (512, 1024, 2048)
) -> tuple[Tensor, Tensor]:
    """Spectral convergence and log-magnitude distance (Yamamoto et al., arXiv 1910.11480).

    Args:
        rendered: [B, T].
        target: [B, T].
        fft_sizes: Windows; hops are a quarter of each.

    Returns:
        The two terms, each the mean over resolutions. The convergence is taken over the whole
        batch, so that a nearly silent crop does not outweigh the rest.
    """
    convergence = torch.zeros((), device=rendered.device)
    log_distance = torch.zeros((), device=rendered.device)
    for n_fft in fft_sizes:
        window = torch.hann_window(n_fft, device=rendered.device)
        ours, theirs = (
            torch.stft(
                audio, n_fft, n_fft // 4, window=window, return_complex=True, pad_mode="constant"
            )
            .abs()
            .clamp_min(1e-4)
            for audio in (rendered.float(), target.float())
        )
        convergence = convergence + (ours - theirs).norm() / theirs.norm()
        log_distance = log_distance + (ours.log() - theirs.log()).abs().mean()
    return convergence / len(fft_sizes), log_distance / len(fft_sizes)


def least_squares_generator(fake_scores: Sequence[Tensor]) -> Tensor:
    """Least-squares generator loss over several discriminators (arXiv 1611.04076)."""
    losses = [(1.0 - score).square().mean() for score in fake_scores]
    return torch.stack(losses).mean()


def least_squares_discriminator(
    real_scores: Sequence[Tensor], fake_scores: Sequence[Tensor]
) -> Tensor:
    """Least-squares discriminator loss over several discriminators."""
    losses = [
        (1.0 - real).square().mean() + fake.square().mean()
        for real, fake in zip(real_scores, fake_scores, strict=True)
    ]
    return torch.stack(losses).mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of discriminator activations (arXiv 1910.06711)."""
    losses = [(r.detach() - f).abs().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()
