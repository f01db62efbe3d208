from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.mel import MelConfig, MelSpectrogram
from tests.training.evaluation.tones import RATE, harmonic_note
from training.evaluation import baselines
from training.evaluation.baselines import (
    BaselineError,
    griffin_lim,
    resample_shift,
    rubber_band_shift,
)
from training.evaluation.tuning import tuning_error_cents

needs_rubber_band = pytest.mark.skipif(
    shutil.which("rubberband") is None, reason="Rubber Band (rubberband-cli) is not installed"
)


def _spectral_peak_hz(audio: NDArray[np.float32]) -> float:
    """Centre of the loudest 300 Hz."""
    power = np.square(np.abs(np.fft.rfft(audio)))
    width = round(300.0 * len(audio) / RATE)
    smooth = np.convolve(power, np.ones(width), "same")
    return float(np.argmax(smooth)) * RATE / len(audio)


def _formant_note(formant_hz: float) -> NDArray[np.float32]:
    """A tone of MIDI 45 whose partials are loudest around one frequency, [T]."""
    f0 = 110.0
    time_s = np.arange(MelConfig().n_samples) / RATE
    gains = {k: np.exp(-0.5 * ((k * f0 - formant_hz) / 250.0) ** 2) for k in range(1, 60)}
    sound = sum(gain * np.sin(2 * np.pi * f0 * k * time_s + k * k) for k, gain in gains.items())
    return (0.4 * sound / np.max(np.abs(sound))).astype(np.float32)


@pytest.mark.parametrize("semitones", [-12.0, -3.0, 7.0, 12.0])
def test_resampling_reaches_the_pitch_asked_for(semitones: float) -> None:
    _check_pitch(resample_shift(harmonic_note(60.0), semitones), 60.0 + semitones)


@needs_rubber_band
@pytest.mark.parametrize("keep_formants", [False, True])
@pytest.mark.parametrize("semitones", [-12.0, -3.0, 7.0, 12.0])
def test_rubber_band_reaches_the_pitch_asked_for(semitones: float, keep_formants: bool) -> None:
    shifted = rubber_band_shift(harmonic_note(60.0), semitones, RATE, keep_formants=keep_formants)
    _check_pitch(shifted, 60.0 + semitones)


def _check_pitch(audio: NDArray[np.float32], midi_pitch: float) -> None:
    assert audio.shape == (MelConfig().n_samples,)
    assert audio.dtype == np.float32
    error = tuning_error_cents(audio, midi_pitch, RATE)
    assert error is not None
    assert abs(error) < 4.0


@needs_rubber_band
def test_formants_stay_only_where_they_are_kept() -> None:
    source = _formant_note(1000.0)
    kept = rubber_band_shift(source, 12.0, RATE, keep_formants=True)
    moved = rubber_band_shift(source, 12.0, RATE)
    assert _spectral_peak_hz(kept) < 1300.0
    assert _spectral_peak_hz(moved) > 1700.0


@needs_rubber_band
def test_rubber_band_gives_loud_notes_back_as_loud_without_clipping() -> None:
    quiet = harmonic_note(60.0)
    loud = rubber_band_shift(10.0 * quiet, 5.0, RATE)
    assert np.max(np.abs(loud)) > 2.0
    assert loud / 10.0 == pytest.approx(rubber_band_shift(quiet, 5.0, RATE), abs=1e-4)


def test_resampling_upwards_ends_early() -> None:
    shifted = resample_shift(harmonic_note(60.0), 12.0)
    half = len(shifted) // 2
    assert np.max(np.abs(shifted[: half - 100])) > 0.3
    assert not shifted[half + 100 :].any()


def test_a_missing_rubber_band_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines.shutil, "which", lambda name: None)
    with pytest.raises(BaselineError, match="rubberband-cli"):
        rubber_band_shift(harmonic_note(60.0), 1.0, RATE)


def test_griffin_lim_returns_a_sound_of_the_mel_it_was_given() -> None:
    to_mel = MelSpectrogram(MelConfig())
    mel = to_mel(torch.from_numpy(harmonic_note(60.0))[None])[0]
    again = to_mel(torch.from_numpy(griffin_lim(mel.numpy(), MelConfig()))[None])[0]
    audible = mel > 0.25  # 30 dB below full scale and louder: the partials
    audible[:, :2] = audible[:, -4:] = False
    error_db = float((again - mel)[audible].abs().mean()) * MelConfig().db_per_unit
    assert error_db < 1.5
