"""Log-mels of rendered notes, made for pictures beside a source's own.

Shape legend: C channels, T samples, M mel bands, F frames.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from core.audio.loudness import reference_gain
from core.audio.signal import to_mono
from core.mel import MelConfig, MelSpectrogram


class NoteMel:
    """The spectrogram of a note, at the reference loudness as every source's is.

    Args:
        sample_rate: Rate of the notes, Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.config = MelConfig(sample_rate=sample_rate, f_max_hz=sample_rate / 2)
        self._spectrogram = MelSpectrogram(self.config)

    @torch.inference_mode()
    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Audio [C, T] to its normalised log-mel [M, F]; what is longer than a window is cut."""
        mono = to_mono(samples)[: self.config.n_samples]
        mono = mono * np.float32(reference_gain(mono, self.config.sample_rate))
        mel: NDArray[np.float32] = self._spectrogram(torch.from_numpy(mono)[None])[0].numpy()
        return mel
