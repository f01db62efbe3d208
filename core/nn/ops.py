"""Small pure tensor functions shared by the networks, and shape checks.

Shape legend: B batch, C channels, M mel bands, F frames, I/O input and output channels.

Paper: Karras et al., *Analyzing and Improving the Image Quality of StyleGAN* (arXiv 1912.04958).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from core.errors import ParameterError

LEAKY_SLOPE = 0.2
"""Slope of the leaky ReLU (StyleGAN2, appendix B)."""
ACTIVATION_GAIN = 2.0**0.5
"""Keeps unit variance through a leaky ReLU (StyleGAN2, appendix B)."""
DEMODULATION_EPSILON = 1e-8
"""Keeps the demodulation finite."""


def check_shape(tensor: Tensor, shape: Sequence[int | None], name: str) -> None:
    """Raise ParameterError unless `tensor` has `shape`; None matches any size."""
    fits = tensor.ndim == len(shape) and all(
        wanted is None or size == wanted for size, wanted in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        expected = "x".join("?" if size is None else str(size) for size in shape)
        raise ParameterError(f"{name} must have shape {expected}; got {tuple(tensor.shape)}.")


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU that keeps the variance."""
    return functional.leaky_relu(x, LEAKY_SLOPE) * ACTIVATION_GAIN


def scale_shift_activate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Leaky ReLU of x · scale + shift with the activation gain folded in, in one pass each.

    Args:
        x: [B, C, M, F].
        scale: [B, C], positive or not.
        shift: Broadcasts to [B, C, M, F].
    """
    scale = (scale * ACTIVATION_GAIN).to(x.dtype)[:, :, None, None]
    shift = (shift * ACTIVATION_GAIN).to(x.dtype)
    # A shift laid out like x is several times faster to broadcast on a CPU.
    x = torch.addcmul(shift.contiguous(memory_format=torch.channels_last), x, scale)
    return functional.leaky_relu(x, LEAKY_SLOPE)


def normalize_2nd_moment(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Scale each row of [B, C] to unit mean square."""
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


def upsample_2x(x: Tensor) -> Tensor:
    """Bilinear doubling of both axes, [B, C, M, F] to [B, C, 2M, 2F]: the [1, 3, 3, 1] filter."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def downsample_2x(x: Tensor) -> Tensor:
    """Halve both axes of [B, C, M, F] by averaging."""
    return functional.avg_pool2d(x, 2)


def demodulation(weight: Tensor, styles: Tensor, eps: float = DEMODULATION_EPSILON) -> Tensor:
    """Factor that brings each output channel of a modulated convolution to unit variance.

    Args:
        weight: [T, O, I, k, k], one weight per timbre.
        styles: [T, K, I], K notes per timbre.
        eps: Keeps the factor finite.

    Returns:
        [T, K, O] (StyleGAN2, eq. 3).
    """
    energy = weight.float().square().sum(dim=(3, 4))  # [T, O, I]
    return torch.rsqrt(torch.bmm(styles.float().square(), energy.transpose(1, 2)) + eps)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    weight_offsets: Tensor | None = None,
    *,
    demodulate: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Modulated convolution with weights shared by the notes of one timbre.

    Scaling the weight's input channels by the styles and its output channels by the demodulation
    (StyleGAN2, eq. 1–3) equals scaling the activations going in and coming out. So the notes of
    one timbre share one weight, and a batch costs a plain convolution.

    Args:
        x: [B, I, M, F] with B = T · K, the K notes of each timbre next to each other.
        weight: [O, I, k, k].
        styles: [B, I].
        weight_offsets: [T, O, I]; the weight becomes weight · (1 + offset), None leaves it.
        demodulate: Compute the factor that brings every output channel to unit variance.

    Returns:
        The convolved activations [B, O, M, F] and the demodulation [B, O] still to be multiplied
        in (None without it): the caller fuses it with its bias.
    """
    out_channels, in_channels = weight.shape[:2]
    if weight_offsets is None:
        refined = weight[None]
    else:
        refined = weight * (1.0 + weight_offsets[..., None, None]).to(weight.dtype)
    n_timbres = refined.shape[0]
    batch = x.shape[0]
    if batch % n_timbres:
        raise ParameterError(f"A batch of {batch} notes cannot be shared by {n_timbres} timbres.")
    notes = batch // n_timbres
    x = x * styles.to(x.dtype)[:, :, None, None]
    x = _convolve_by_timbre(x, refined.to(x.dtype))
    if not demodulate:
        return x, None
    scale = demodulation(refined, styles.reshape(n_timbres, notes, in_channels))
    return x, scale.reshape(batch, out_channels)


def _convolve_by_timbre(x: Tensor, weights: Tensor) -> Tensor:
    """Convolve each timbre's notes with its own weight.

    One by one on a CPU, where a grouped convolution of few channels is several times slower;
    grouped elsewhere, where many small launches are.

    Args:
        x: [T · K, I, M, F].
        weights: [T, O, I, k, k].

    Returns:
        [T · K, O, M, F].
    """
    if len(weights) == 1:
        return functional.conv2d(x, weights[0], padding=weights.shape[-1] // 2)
    return convolve_in_turn(x, weights) if x.device.type == "cpu" else convolve_grouped(x, weights)


def convolve_in_turn(x: Tensor, weights: Tensor) -> Tensor:
    """One convolution per timbre, [T · K, I, M, F] with [T, O, I, k, k] to [T · K, O, M, F]."""
    parts = zip(torch.split(x, len(x) // len(weights)), weights, strict=True)
    return torch.cat([functional.conv2d(part, w, padding=w.shape[-1] // 2) for part, w in parts])


def convolve_grouped(x: Tensor, weights: Tensor) -> Tensor:
    """Convolve as :func:`convolve_in_turn` does, by one grouped convolution."""
    n_timbres, out_channels, in_channels, kernel, _ = weights.shape
    batch, _, height, width = x.shape
    notes = batch // n_timbres
    x = x.reshape(n_timbres, notes, in_channels, height, width).transpose(0, 1)
    x = x.reshape(notes, n_timbres * in_channels, height, width)
    grouped = weights.reshape(n_timbres * out_channels, in_channels, kernel, kernel)
    x = functional.conv2d(x, grouped, padding=kernel // 2, groups=n_timbres)
    x = x.reshape(notes, n_timbres, out_channels, height, width).transpose(0, 1)
    return x.reshape(batch, out_channels, height, width)
