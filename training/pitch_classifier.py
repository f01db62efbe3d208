"""Independent pitch classifier: which note a sound is, and features for the Fréchet distance.

It hears sounds, not mels: below MIDI 36 the partials of a note lie closer than a mel's 46 ms window
can part, so that no classifier of mels can name them (training/README.md, trials). It shares no weight
with the networks that it measures.

Papers: pitch accuracy and Fréchet distance of rendered sounds as in GANSynth (arXiv 1902.08710,
section 4); harmonically stacked log-frequency spectra as in Bittner et al., *Deep salience
representations for f0 estimation in polyphonic music* (ISMIR 2017).

Shape legend: B batch, T samples, L log-frequency bins, N frames, R harmonics, C channels, D feature
width.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.audio.pitch import midi_to_hz
from core.checkpoint import load_checkpoint, load_network, named_tensors, save_checkpoint
from core.nn.ops import check_shape
from core.structure import structure

NOTES = 128
"""Number of classes: one for every MIDI note."""
BINS_PER_NOTE = 3
"""Log-frequency bins per semitone."""
FRAME = 8192
"""Window and hop, samples: long enough to part the partials of the lowest notes."""
RATIOS = (
    1 / 4,
    1 / 3,
    1 / 2,
    1,
    3 / 2,
    2,
    5 / 2,
    3,
    7 / 2,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    12,
    14,
    16,
    18,
    20,
    24,
)
"""Multiples of a candidate's fundamental that speak for it or against it."""
FLOOR_DB = -80.0
"""Level below the strongest bin that reads 0."""
LEAK = 0.1
"""Slope of the leaky ReLU."""
CLASSIFIER_FILE = "pitch_judge.safetensors"
"""The classifier's file beside a bundle, named as in release 0.1."""
FILE_KIND = "judge"
"""How the names of the tensors in that file begin, and what its header says that it holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PitchClassifierConfig:
    """Size of the pitch classifier."""

    channels: int = 32
    """Channels C over frequency and time; twice as many over notes."""
    blocks: int = 3
    """Residual blocks over frequency and time."""


class LogFrequencySpectrum(nn.Module):
    """Waveform to levels along a log-frequency axis; a change of pitch is a shift along it.

    Args:
        sample_rate: Hz.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        top = int(BINS_PER_NOTE * (NOTES + 9))  # 22 kHz
        centres = np.array([midi_to_hz(b / BINS_PER_NOTE) for b in range(-1, top - 1)])
        bins = np.fft.rfftfreq(FRAME, 1.0 / sample_rate)
        width = np.maximum(centres * (2.0 ** (1.0 / (12 * BINS_PER_NOTE)) - 1.0), bins[1])
        filters = np.maximum(0.0, 1.0 - np.abs(bins[None] - centres[:, None]) / width[:, None])
        filters /= np.maximum(filters.sum(axis=1, keepdims=True), 1e-9)
        filters = torch.from_numpy(filters.astype(np.float32))
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(FRAME), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Sounds [B, T] to levels [B, L, N], 0 at the floor and 1 at the sound's strongest bin."""
        with torch.autocast(audio.device.type, enabled=False):
            spectrum = torch.stft(
                audio.float(),
                FRAME,
                FRAME,
                window=self.window,
                center=True,
                pad_mode="constant",
                return_complex=True,
            )
            levels = 20.0 * torch.log10(torch.matmul(self.filters, spectrum.abs()) + 1e-9)
        return (1.0 + (levels.amax(dim=(1, 2), keepdim=True) - levels) / FLOOR_DB).clamp_min(0.0)


class _Block(nn.Module):
    """Two convolutions over frequency and time, with a residual.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, (5, 3), padding=(2, 1))
        self.second = nn.Conv2d(channels, channels, (5, 3), padding=(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Activations [B, C, L, N] to activations of the same shape."""
        y: Tensor = self.second(functional.leaky_relu(self.first(x), LEAK))
        return functional.leaky_relu(x + y, LEAK)


class PitchClassifier(nn.Module):
    """Names the MIDI note of a sound.

    Args:
        config: Sizes.
        sample_rate: Sample rate of the sounds, Hz.
    """

    def __init__(self, config: PitchClassifierConfig, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.spectrum = LogFrequencySpectrum(sample_rate)
        wide = 2 * config.channels
        self.stem = nn.Conv2d(len(RATIOS), config.channels, 1)
        self.blocks = nn.Sequential(*(_Block(config.channels) for _ in range(config.blocks)))
        # From bins to notes: the middle one of a note's three bins is its centre.
        self.to_notes = nn.Conv1d(wide + 1, wide, 5, stride=BINS_PER_NOTE, padding=1)
        self.octaves = nn.Conv1d(wide, wide, 5, padding=24, dilation=12)
        self.classifier = nn.Conv1d(wide, 1, 1)

    def forward(self, levels: Tensor) -> Tensor:
        """Logits of the notes, from the ``spectrum`` [B, L, N] of sounds to [B, NOTES]."""
        return self._classify(self._notes(levels))

    def hear(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """The note that a sound is taken for, and the features that this rests on.

        Args:
            audio: [B, T].

        Returns:
            Logits of the notes, [B, NOTES], and what the classifier saw at the note named and over
            all notes, [B, D].
        """
        notes = self._notes(self.spectrum(audio))
        logits = self._classify(notes)
        named = (notes.float() * logits.softmax(dim=1)[:, None]).sum(dim=2)
        return logits, torch.cat([named, notes.float().mean(dim=2)], dim=1)

    def _classify(self, notes: Tensor) -> Tensor:
        logits: Tensor = self.classifier(notes).squeeze(1).float()
        return logits

    def _notes(self, levels: Tensor) -> Tensor:
        """Levels [B, L, N] to activations of every note, [B, 2C, NOTES]."""
        check_shape(levels, [None, len(self.spectrum.filters), None], "Levels")
        x = self.stem(_stack_harmonics(levels).contiguous(memory_format=torch.channels_last))
        x = self.blocks(functional.leaky_relu(x, LEAK))
        x = torch.cat([x.mean(dim=3), x.amax(dim=3)], dim=1)
        height = torch.linspace(-1.0, 1.0, x.shape[2], device=x.device, dtype=x.dtype)
        x = torch.cat([x, height.expand(len(x), 1, -1)], dim=1)
        x = functional.leaky_relu(self.to_notes(x), LEAK)
        return functional.leaky_relu(x + self.octaves(x), LEAK)


def _stack_harmonics(levels: Tensor) -> Tensor:
    """Levels [B, L, N] at the multiples of every candidate, [B, R, NOTES · BINS_PER_NOTE, N]."""
    count = NOTES * BINS_PER_NOTE
    shifts = [round(12 * BINS_PER_NOTE * float(np.log2(ratio))) for ratio in RATIOS]
    below, above = -min(shifts), max(shifts)
    padded = functional.pad(levels, (0, 0, below, above))
    starts = [below + shift for shift in shifts]
    return torch.stack([padded[:, start : start + count] for start in starts], dim=1)


def save_classifier(path: Path, classifier: PitchClassifier) -> None:
    """Write a pitch classifier in half precision.

    Raises:
        CheckpointError: The file cannot be written.
    """
    sizes = dataclasses.asdict(classifier.config)
    tensors = named_tensors({FILE_KIND: classifier}, torch.float16)
    save_checkpoint(path, tensors, {"kind": FILE_KIND, "config": sizes})


def load_classifier(path: Path, sample_rate: int) -> PitchClassifier:
    """Read a pitch classifier.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    checkpoint = load_checkpoint(path, kind=FILE_KIND)
    sizes = structure(PitchClassifierConfig, checkpoint.section("config"), f"{path}: config")
    classifier = PitchClassifier(sizes, sample_rate)
    load_network(classifier, checkpoint, FILE_KIND)
    return classifier.eval().requires_grad_(False)
