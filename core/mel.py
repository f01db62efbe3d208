"""The one log-mel definition of the program: analysis, training and vocoder all use it.

A mel is a matrix [M, F] of normalised decibels. A full-scale sine reads about 0 dB in its band:
the STFT is scaled by the window's sum, bands have triangular filters with peak 1 (Slaney scale,
see Slaney, *Auditory Toolbox*, 1998), and [floor_db, 0] dB is mapped to [-1, 1].

Shape legend: B batch, T samples, M mel bands, F frames, K FFT bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import ParameterError


@dataclass(frozen=True, kw_only=True, slots=True)
class MelConfig:
    """Geometry of the log-mel spectrogram."""

    sample_rate: int = 44100
    """Hz."""
    n_fft: int = 2048
    """Window and FFT length, samples."""
    hop_length: int = 512
    """Samples between frames."""
    n_mels: int = 128
    """Mel bands M."""
    n_frames: int = 256
    """Frames F of one note."""
    f_min_hz: float = 0.0
    """Lower edge of the first band."""
    f_max_hz: float = 22050.0
    """Upper edge of the last band."""
    floor_db: float = -80.0
    """Level mapped to -1; 0 dB is mapped to +1."""

    def __post_init__(self) -> None:
        if self.f_max_hz > self.sample_rate / 2:
            raise ParameterError(
                f"f_max_hz = {self.f_max_hz} lies above half the sample rate {self.sample_rate}."
            )
        if self.floor_db >= 0:
            raise ParameterError(f"floor_db = {self.floor_db} must be negative.")

    @property
    def n_samples(self) -> int:
        """Samples T of one note window (2.97 s at the defaults)."""
        return self.n_frames * self.hop_length

    @property
    def db_per_unit(self) -> float:
        """Decibels spanned by 1.0 of a normalised mel."""
        return -self.floor_db / 2


def hz_to_mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney mel scale: linear to 1 kHz, logarithmic above."""
    linear = frequency_hz * 3.0 / 200.0
    log_part = 15.0 + np.log(np.maximum(frequency_hz, 1e-9) / 1000.0) * 27.0 / np.log(6.4)
    return np.where(frequency_hz < 1000.0, linear, log_part)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of :func:`hz_to_mel`."""
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27))


def band_edges_hz(config: MelConfig) -> NDArray[np.float64]:
    """Edges of the triangular filters, [M + 2]; band m spans edges m … m + 2, centre m + 1."""
    low, high = hz_to_mel(np.array([config.f_min_hz, config.f_max_hz]))
    return mel_to_hz(np.linspace(low, high, config.n_mels + 2))


@lru_cache(maxsize=8)
def mel_filters(config: MelConfig) -> NDArray[np.float32]:
    """Triangular filters with peak 1, [M, K] with K = n_fft / 2 + 1."""
    edges = band_edges_hz(config)
    bins = np.fft.rfftfreq(config.n_fft, 1.0 / config.sample_rate)
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    filters.setflags(write=False)
    return filters


class MelSpectrogram(nn.Module):
    """Waveform to normalised log-mel.

    Args:
        config: Geometry; the same for every network that exchanges mels.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        window = torch.hann_window(config.n_fft)
        self.register_buffer("window", window, persistent=False)
        filters = torch.from_numpy(mel_filters(config).copy()) * (2.0 / float(window.sum()))
        self.register_buffer("filters", filters, persistent=False)

    def magnitudes(self, audio: Tensor) -> Tensor:
        """STFT magnitudes of [B, T] audio: [B, K, T / hop]; frame i is centred at i · hop."""
        config = self.config
        n_frames = -(-audio.shape[-1] // config.hop_length)
        spectrum = torch.stft(
            audio,
            config.n_fft,
            config.hop_length,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.abs()[..., :n_frames]

    def forward(self, audio: Tensor) -> Tensor:
        """Normalised log-mel of audio.

        Args:
            audio: Samples in [-1, 1], [B, T].

        Returns:
            [B, M, ceil(T / hop)], floor_db mapped to -1 and 0 dB to 1.
        """
        if audio.ndim != 2:
            raise ParameterError(f"Audio must be [batch, samples]; got shape {tuple(audio.shape)}.")
        return self.from_magnitudes(self.magnitudes(audio))

    def from_magnitudes(self, magnitudes: Tensor) -> Tensor:
        """Normalised log-mel [B, M, F] of STFT magnitudes [B, K, F]."""
        floor = 10.0 ** (self.config.floor_db / 20.0)
        with torch.autocast(magnitudes.device.type, enabled=False):
            bands = torch.matmul(self.filters, magnitudes.float()).clamp_min(floor)
        return torch.log10(bands) * (20.0 / self.config.db_per_unit) + 1.0
