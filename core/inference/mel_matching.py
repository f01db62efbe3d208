"""Brings a spectrum to the mel that it was rendered for.

A vocoder's output does not have quite the mel it was given: frames overlap, filters are predicted one
frame at a time. What is left over is known as soon as the sound is, so it is put right: the
difference of the two mels, spread over the FFT bins, is a gain for each frame. The gain is as smooth
along frequency as a mel band is wide and moves no partial.

Ours; kin to the projections of Griffin and Lim (IEEE Trans. ASSP 32, 1984), with the mel instead of
the magnitudes and the phases kept.

Shape legend: B batch, M mel bands, F frames, K FFT bins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.inference.smoothing import smoothing
from core.mel import MelConfig, MelSpectrogram

STEP = 1.4
"""Share of the difference that is made good at once: neighbouring frames, which overlap, hold the
rest back. Measured on the validation split, see training/README.md."""
LARGEST_GAIN_DB = 40.0
CARRIED_DB = (2.0, 12.0)
"""Gain that a band of a recording needs, smoothed, between which the recording's share falls from 1
to 0: what it holds there is too little to carry the colour. Measured on genuine validation pairs, see
training/README.md."""
SHARE_FRAMES = 6.0
"""Width (σ) of the Gaussian that the gains deciding that share are smoothed with, frames."""


class MelMatcher:
    """Gains that bring spectra to their mels.

    Args:
        config: Geometry of the mels.
        device: Where spectra lie.
        dtype: Type of the matrix products.
    """

    def __init__(self, config: MelConfig, device: torch.device, dtype: torch.dtype) -> None:
        filters = MelSpectrogram(config).filters.T.contiguous().to(device)  # [K, M]
        shares = filters / filters.sum(dim=1, keepdim=True).clamp_min(1e-9)
        covered = torch.nonzero(filters.sum(dim=1) > 0.0).flatten()
        shares[: covered[0]] = shares[covered[0]]  # the edges lie in no band
        shares[covered[-1] :] = shares[covered[-1]]
        self._filters = filters.to(dtype)
        self._spread = shares.T.contiguous().to(dtype)  # [M, K]
        self._nepers = (shares.T.contiguous() * (math.log(10.0) / 20.0)).to(dtype)  # [M, K]
        self._dtype = dtype
        self._floor_db = config.floor_db
        self._db_per_unit = config.db_per_unit

    def match(self, spectrum: Tensor, mel: Tensor, smooth_frames: float = 0.0) -> Tensor:
        """Bring a spectrum nearer to a mel.

        Args:
            spectrum: Complex STFT, [B, F, K]; it is changed in place.
            mel: Normalised log-mel wanted, [B, F, M].
            smooth_frames: Width (σ) of the Gaussian along time that the gains are smoothed with; 0
                brings every frame to its own.

        Returns:
            The spectrum.
        """
        gain_db = self._missing_db(spectrum, mel)
        if smooth_frames > 0.0:
            gain_db = smoothing(gain_db.shape[1], smooth_frames, gain_db.device) @ gain_db
        else:
            gain_db.mul_(STEP)
        gain_db.clamp_(-LARGEST_GAIN_DB, LARGEST_GAIN_DB)
        nepers = torch.matmul(gain_db.to(self._dtype), self._nepers).float()
        return spectrum.mul_(nepers.exp_())

    def share(self, spectrum: Tensor, mel: Tensor) -> Tensor:
        """How much of a note should be a recording brought to its mel, by power.

        Args:
            spectrum: Complex STFT of the recording, [B, F, K].
            mel: Normalised log-mel wanted, [B, F, M].

        Returns:
            0 to 1 for each frame and bin, [B, F, K].
        """
        missing_db = self._missing_db(spectrum, mel)
        missing_db = smoothing(missing_db.shape[1], SHARE_FRAMES, missing_db.device) @ missing_db
        least, most = CARRIED_DB
        share = ((most - missing_db) / (most - least)).clamp_(0.0, 1.0)
        return torch.matmul(share.to(self._dtype), self._spread).float().clamp_(0.0, 1.0)

    def _missing_db(self, spectrum: Tensor, mel: Tensor) -> Tensor:
        """Gains that bring spectra [B, F, K] to mels [B, F, M], dB."""
        floor = 10.0 ** (self._floor_db / 20.0)
        real, imaginary = spectrum.real, spectrum.imag
        # A complex tensor's own abs() guards against overflow, at twice the time.
        magnitudes = torch.addcmul(real * real, imaginary, imaginary).sqrt_().to(self._dtype)
        bands = torch.matmul(magnitudes, self._filters).float().clamp_min_(floor)
        return (mel - 1.0) * self._db_per_unit - bands.log10_().mul_(20.0)
