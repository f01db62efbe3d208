"""Where the partials of a pitch lie on the mel axis: the generator's map of the requested note.

Ours, not the paper's (see ARCHITECTURE.md, decisions): with it the generator need not learn where
partials lie, only how loud they are.

Shape legend: B batch, M mel bands, K FFT bins.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from core.mel import MelConfig, band_edges_hz, mel_filters

LAYOUT_CHANNELS = 5
"""Log-mel of the pulse train, log₂(f / f0), cos 2π f / f0, sin 2π f / f0, resolvedness."""


def midi_to_f0_hz(midi_pitch: Tensor) -> Tensor:
    """Fundamental frequency of fractional MIDI pitches, Hz (A4 = 69 = 440 Hz)."""
    return 440.0 * torch.exp2((midi_pitch - 69.0) / 12.0)


class PitchLayout(nn.Module):
    """Feature maps of a pitch along the mel axis, constant in time.

    Args:
        config: Mel geometry.
    """

    centers_hz: Tensor
    widths_hz: Tensor
    bins_hz: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.bin_width_hz = config.sample_rate / config.n_fft
        edges = band_edges_hz(config)
        constants = {
            "centers_hz": edges[1:-1],
            "widths_hz": (edges[2:] - edges[:-2]) / 2,
            "bins_hz": np.arange(config.n_fft // 2 + 1) * self.bin_width_hz,
            "filters": mel_filters(config),
        }
        for name, value in constants.items():
            tensor = torch.from_numpy(np.array(value, dtype=np.float32))
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, midi_pitch: Tensor) -> Tensor:
        """Layout of fractional MIDI pitches [B]: [B, LAYOUT_CHANNELS, M], values about ±1."""
        f0 = midi_to_f0_hz(midi_pitch.float())[:, None]
        partial = (self.bins_hz / f0).round().clamp_min(1.0)
        distance = (self.bins_hz - partial * f0) / self.bin_width_hz
        with torch.autocast(f0.device.type, enabled=False):
            pulses = torch.matmul(_hann_lobe(distance), self.filters.T)  # [B, M]
        pulse_train = torch.log10(pulses + 1e-3) / 1.5 + 0.5
        ratio = self.centers_hz / f0
        octaves = torch.log2(ratio) / 4.0
        resolved = torch.sigmoid(4.0 * (f0 / self.widths_hz - 1.5))
        angle = 2.0 * torch.pi * ratio
        return torch.stack(
            [pulse_train, octaves, resolved * angle.cos(), resolved * angle.sin(), resolved], dim=1
        )


def _hann_lobe(distance: Tensor) -> Tensor:
    """Main lobe of a Hann window's spectrum at a distance in bins; 1 at 0, 0 from 2 on."""
    inside = distance.abs() < 2.0
    safe = torch.where(inside, distance, torch.zeros_like(distance))
    denominator = 1.0 - safe.square()
    near_one = denominator.abs() < 1e-4
    lobe = torch.sinc(safe) / torch.where(near_one, torch.ones_like(safe), denominator)
    return torch.where(near_one, torch.full_like(safe, 0.5), lobe) * inside
