"""The pitch classifier: its spectrum, what disturbs it in training, the shipped one on known tones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from core.inference.model import SHIPPED_MODEL
from core.nn.pitch_layout import midi_to_f0_hz
from core.vocoder import harmonic_source
from training.pitch_classifier import (
    BINS_PER_NOTE,
    CLASSIFIER_FILE,
    NOTES,
    LogFrequencySpectrum,
    load_classifier,
)
from training.stages.classifier import ClassifierStageConfig, disturb_levels

RATE = 44100


def _tones(notes: list[float]) -> Tensor:
    """Dull harmonic tones, [B, T]."""
    pitches = torch.tensor(notes, dtype=torch.float64)
    pulses = harmonic_source(midi_to_f0_hz(pitches), RATE, RATE)
    spectrum = torch.fft.rfft(pulses)
    hertz = torch.fft.rfftfreq(RATE, 1.0 / RATE)
    return torch.fft.irfft(spectrum / (1.0 + hertz / 300.0), RATE)


@pytest.mark.parametrize("note", [45, 60, 69, 93])
def test_a_sine_stands_at_its_note(note: int) -> None:
    hertz = 440.0 * 2.0 ** ((note - 69) / 12)
    sine = torch.sin(2.0 * np.pi * hertz * torch.arange(RATE, dtype=torch.float64) / RATE)
    levels = LogFrequencySpectrum(RATE)(sine[None].float())[0, :, 2]
    assert abs(int(levels.argmax()) - (BINS_PER_NOTE * note + 1)) <= 1
    assert float(levels.max()) == pytest.approx(1.0, abs=0.02)


def test_the_level_of_a_sound_tells_nothing() -> None:
    spectrum = LogFrequencySpectrum(RATE)
    tones = _tones([40.0, 71.0])
    assert torch.allclose(spectrum(tones), spectrum(1e-3 * tones), atol=1e-3)


def test_a_moved_sound_has_the_moved_note_as_its_label() -> None:
    spectrum = LogFrequencySpectrum(RATE)
    rng = torch.Generator().manual_seed(0)
    only_moved = ClassifierStageConfig(change_probability=1.0, equalizer_db=0.0, noise_db=-500.0)
    levels = spectrum(_tones([60.0] * 16))
    moved, pitch = disturb_levels(levels, torch.full([16], 60.0), only_moved, rng)
    assert pitch.unique().numel() > 4
    true = spectrum(_tones(pitch.tolist()))
    audible = slice(BINS_PER_NOTE * 50, BINS_PER_NOTE * 90)
    peaks, true_peaks = (x[:, audible, 1].argmax(dim=1) for x in (moved, true))
    assert torch.equal(peaks, true_peaks)


def test_the_shipped_judge_names_tones_over_the_whole_range() -> None:
    classifier = load_classifier(SHIPPED_MODEL.with_name(CLASSIFIER_FILE), RATE)
    notes = list(range(24, 97))
    with torch.inference_mode():
        logits, features = classifier.hear(_tones([float(note) for note in notes]))
    assert logits.shape == (len(notes), NOTES)
    assert torch.isfinite(features).all()
    right = (logits.argmax(dim=1) == torch.tensor(notes)).float().mean()
    assert right >= 0.95
