from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.errors import ParameterError
from core.mel import MelConfig, MelSpectrogram
from training.metrics import rivals
from training.metrics.frechet import frechet_distance
from training.metrics.rivals import (
    RivalError,
    griffin_lim,
    phase_vocoder_shift,
    resample_shift,
    rubber_band_shift,
)
from training.metrics.tuning import tuning_error_cents

RATE = 44100


def _note(midi_pitch: float, partials: int = 12) -> NDArray[np.float32]:
    f0 = 440.0 * 2.0 ** ((midi_pitch - 69.0) / 12.0)
    time_s = np.arange(MelConfig().n_samples) / RATE
    orders = range(1, min(partials, int(20000 / f0)) + 1)
    sound = sum(np.sin(2 * np.pi * f0 * k * time_s + k) / k for k in orders)
    return (0.4 * sound / np.max(np.abs(sound))).astype(np.float32)


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20000, 3))
    assert frechet_distance(features, features) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(features, features + 2.0) == pytest.approx(12.0, rel=1e-6)
    # Covariances I and 9 I: the trace of (1 - 3)² per dimension.
    wide = 3.0 * rng.normal(size=(20000, 3))
    assert frechet_distance(features, wide) == pytest.approx(12.0, rel=0.05)


def test_frechet_distance_is_symmetric_and_survives_few_samples() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(size=(10, 32)), rng.normal(size=(12, 32))
    assert frechet_distance(ours, theirs) == pytest.approx(frechet_distance(theirs, ours), rel=1e-6)
    with pytest.raises(ParameterError, match="two samples"):
        frechet_distance(ours[:1], theirs)
    with pytest.raises(ParameterError, match=r"\[N, D\]"):
        frechet_distance(ours, theirs[:, :5])


@pytest.mark.parametrize("midi_pitch", [30.0, 45.3, 60.0, 71.8, 84.0, 95.0])
@pytest.mark.parametrize("cents", [-40.0, -3.0, 0.0, 25.0])
def test_the_tracker_reads_a_known_detuning(midi_pitch: float, cents: float) -> None:
    error = tuning_error_cents(_note(midi_pitch + cents / 100.0), midi_pitch, RATE)
    assert error is not None
    assert error == pytest.approx(cents, abs=1.0)


def test_the_tracker_gives_up_on_silence_and_on_another_note() -> None:
    assert tuning_error_cents(np.zeros(RATE * 2, np.float32), 60.0, RATE) is None
    assert tuning_error_cents(_note(64.0, partials=1), 60.0, RATE) is None


@pytest.mark.parametrize("semitones", [-12.0, -3.0, 7.0, 12.0])
def test_rivals_reach_the_pitch_asked_for(semitones: float) -> None:
    source = _note(60.0)
    shifted = [resample_shift(source, semitones), phase_vocoder_shift(source, semitones, RATE)]
    if shutil.which("rubberband") is not None:
        shifted.append(rubber_band_shift(source, semitones, RATE))
    for audio in shifted:
        assert audio.shape == source.shape
        assert audio.dtype == np.float32
        error = tuning_error_cents(audio, 60.0 + semitones, RATE)
        assert error is not None
        assert abs(error) < 4.0


def test_a_missing_rubber_band_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals.shutil, "which", lambda name: None)
    with pytest.raises(RivalError, match="rubberband-cli"):
        rubber_band_shift(_note(60.0), 1.0, RATE)


def test_griffin_lim_returns_a_sound_of_the_mel_it_was_given() -> None:
    to_mel = MelSpectrogram(MelConfig())
    mel = to_mel(torch.from_numpy(_note(60.0))[None])[0]
    again = to_mel(torch.from_numpy(griffin_lim(mel.numpy(), MelConfig()))[None])[0]
    audible = mel > 0.25  # 30 dB below full scale and louder: the partials
    audible[:, :2] = audible[:, -4:] = False
    error_db = float((again - mel)[audible].abs().mean()) * MelConfig().db_per_unit
    assert error_db < 1.5
