"""Vocoder: a log-mel and its known pitch to a waveform, in tune by construction.

Ours (kin to DDSP, arXiv 2001.04643, and to the neural source-filter model,
arXiv 1810.11946, with the per-frame spectral head of Vocos, arXiv 2306.00814): a band-limited pulse
train at exactly f0 and white noise are each shaped per STFT frame by predicted filters (complex for
the harmonic source, real for the noise) and summed; an inverse STFT gives the waveform. No network
output can move a partial off its multiple of f0, apart from what the filters' phases drift.

Shape legend: B batch, M mel bands, F frames, K FFT bins, T samples, D backbone width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.mel import MelConfig
from core.nn.ops import check_shape
from core.nn.pitch_layout import LAYOUT_CHANNELS, PitchLayout, midi_to_f0_hz


@dataclass(frozen=True, kw_only=True, slots=True)
class VocoderConfig:
    """Size of the vocoder."""

    width: int = 320
    """Backbone width D."""
    hidden: int = 768
    """Width inside a block."""
    layers: int = 6
    """Blocks of the backbone."""
    kernel: int = 7
    """Frames seen by one block."""


class ConvNextBlock(nn.Module):
    """Depthwise convolution in time, then a two-layer perceptron, with a scaled residual.

    Args:
        config: Sizes.
    """

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        width = config.width
        self.depthwise = nn.Conv1d(
            width, width, config.kernel, padding=config.kernel // 2, groups=width
        )
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, config.hidden)
        self.contract = nn.Linear(config.hidden, width)
        self.scale = nn.Parameter(torch.full([width], 1.0 / config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, D] to [B, F, D]."""
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        y = self.contract(functional.gelu(self.expand(self.norm(y)), approximate="tanh"))
        scaled: Tensor = self.scale * y
        return x + scaled


def harmonic_source(
    f0_hz: Tensor, n_samples: int, sample_rate: int, start: Tensor | None = None
) -> Tensor:
    """Band-limited pulse train: every partial below half the sample rate, at equal level.

    The closed form of the cosine sum (Dirichlet kernel) is used; the phase is computed in float64
    so that a note of any length stays in tune.

    Args:
        f0_hz: Fundamental frequencies, [B].
        n_samples: Length T.
        sample_rate: Hz.
        start: First sample's index on the note's own clock, [B]; 0 if None.

    Returns:
        [B, T] with each partial at amplitude √(2 f0 / sample rate): the spectrum's density does
        not depend on the pitch.
    """
    clock = torch.arange(n_samples, device=f0_hz.device, dtype=torch.float64)[None]
    if start is not None:
        clock = clock + start.double()[:, None]
    frequency = f0_hz.double()[:, None]
    half_phase = torch.remainder(clock * frequency / sample_rate, 1.0) * math.pi
    n_partials = torch.floor((0.5 * sample_rate - 1.0) / frequency).clamp_min(1.0)
    denominator = torch.sin(half_phase)
    near_pulse = denominator.abs() < 1e-7
    safe = torch.where(near_pulse, torch.ones_like(denominator), denominator)
    kernel = torch.sin((2.0 * n_partials + 1.0) * half_phase) / safe
    kernel = torch.where(near_pulse, 2.0 * n_partials + 1.0, kernel)
    amplitude = torch.sqrt(2.0 * frequency / sample_rate)
    return ((kernel - 1.0) * (0.5 * amplitude)).float()


class Vocoder(nn.Module):
    """Waveform of a log-mel at a known pitch.

    Args:
        config: Sizes.
        mel: Geometry of the input.
    """

    window: Tensor

    def __init__(self, config: VocoderConfig, mel: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = mel
        self.layout = PitchLayout(mel)
        self.bins = mel.n_fft // 2 + 1
        self.embed = nn.Conv1d(mel.n_mels, config.width, config.kernel, padding=config.kernel // 2)
        self.embed_pitch = nn.Linear(LAYOUT_CHANNELS * mel.n_mels, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(ConvNextBlock(config) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, 3 * self.bins)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
        self.register_buffer("window", torch.hann_window(mel.n_fft), persistent=False)

    def filters(self, mel: Tensor, midi_pitch: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the filters.

        Args:
            mel: Normalised log-mels, [B, M, F].
            midi_pitch: Fractional MIDI notes, [B].

        Returns:
            Harmonic filter (complex) and noise filter (real, ≥ 0), both [B, K, F].
        """
        check_shape(mel, [None, self.mel.n_mels, None], "Mel")
        pitch = self.embed_pitch(self.layout(midi_pitch).flatten(1))
        x = self.norm(self.embed(mel).transpose(1, 2) + pitch[:, None])
        for block in self.blocks:
            x = block(x)
        with torch.autocast(x.device.type, enabled=False):  # phases need more than bf16's 8 bits
            out = self.head(self.final_norm(x.float())).transpose(1, 2)
        log_gain, phase, log_noise = out.split(self.bins, dim=1)
        level = self._envelope_db(mel.float()) * (math.log(10.0) / 20.0)
        gain = torch.exp((level + log_gain).clamp(-16.0, 8.0))
        noise = torch.exp((level + log_noise - 2.0).clamp(-16.0, 8.0))
        return torch.polar(gain, phase), noise

    def _envelope_db(self, mel: Tensor) -> Tensor:
        """The mel's level spread over the FFT bins, [B, K, F] dB: the filters' starting point."""
        filters = self.layout.filters  # [M, K]
        weights = filters / filters.sum(dim=0, keepdim=True).clamp_min(1e-3)
        decibels = (mel - 1.0) * self.mel.db_per_unit
        with torch.autocast(mel.device.type, enabled=False):
            return torch.matmul(weights.T, decibels)

    def forward(
        self, mel: Tensor, midi_pitch: Tensor, noise: Tensor, start: Tensor | None = None
    ) -> Tensor:
        """Render waveforms.

        Args:
            mel: Normalised log-mels, [B, M, F].
            midi_pitch: Fractional MIDI notes, [B].
            noise: White noise of unit variance, [B, F · hop]; its seed is the caller's.
            start: First sample's index on the note's clock, [B], for crops in training.

        Returns:
            [B, F · hop] samples.
        """
        n_samples = mel.shape[-1] * self.mel.hop_length
        check_shape(noise, [mel.shape[0], n_samples], "Noise")
        harmonic_filter, noise_filter = self.filters(mel, midi_pitch)
        f0 = midi_to_f0_hz(midi_pitch.double())
        source = harmonic_source(f0, n_samples, self.mel.sample_rate, start)
        spectrum = self._stft(source) * harmonic_filter + self._stft(noise) * noise_filter
        return self._istft(spectrum, n_samples)

    def _stft(self, audio: Tensor) -> Tensor:
        """Complex STFT [B, K, F]; frame i is centred at i · hop, as in the mel."""
        spectrum = torch.stft(
            audio,
            self.mel.n_fft,
            self.mel.hop_length,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum[..., : audio.shape[-1] // self.mel.hop_length]

    def _istft(self, spectrum: Tensor, n_samples: int) -> Tensor:
        """Inverse of :meth:`_stft`; a last silent frame completes the final hop."""
        spectrum = functional.pad(spectrum, (0, 1))
        return torch.istft(
            spectrum,
            self.mel.n_fft,
            self.mel.hop_length,
            window=self.window,
            center=True,
            length=n_samples,
        )
