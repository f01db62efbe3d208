from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.mel import MelConfig, MelSpectrogram
from training.metrics.note_distance import (
    NOISE_RANGE_DB,
    attack_error_db,
    harmonics_to_noise_db,
    log_mel_rmse_db,
    spectral_convergence,
    timbre_distance_db,
)

RATE = 44100
UNIT_DB = MelConfig().db_per_unit


def _tone(midi_pitch: float, seconds: float = 1.0) -> NDArray[np.float32]:
    """A sawtooth-like tone, peak 1."""
    f0 = 440.0 * 2.0 ** ((midi_pitch - 69.0) / 12.0)
    time_s = np.arange(round(seconds * RATE)) / RATE
    orders = range(1, int(0.4 * RATE / f0) + 1)
    sound = sum(np.sin(2.0 * np.pi * f0 * k * time_s + k) / k for k in orders)
    return (sound / np.max(np.abs(sound))).astype(np.float32)


def _mels(seed: int) -> torch.Tensor:
    return torch.rand(3, 128, 16, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


def test_a_constant_gap_is_all_level_and_no_timbre() -> None:
    mels = _mels(0) * 0.5
    louder = mels + 6.0 / UNIT_DB
    assert log_mel_rmse_db(louder, mels, UNIT_DB) == pytest.approx(np.full(3, 6.0), rel=1e-4)
    assert timbre_distance_db(louder, mels, UNIT_DB) == pytest.approx(np.zeros(3), abs=1e-4)


def test_a_smooth_tilt_is_all_timbre_and_fine_structure_is_none() -> None:
    mels = torch.zeros(1, 128, 16)
    bands = torch.arange(128)
    tilt = torch.cos(torch.pi * (bands + 0.5) / 128.0)[None, :, None] * 3.0 * 2.0**0.5 / UNIT_DB
    assert timbre_distance_db(mels + tilt, mels, UNIT_DB)[0] == pytest.approx(3.0, rel=1e-4)
    teeth = torch.where(bands % 2 == 0, 1.0, -1.0)[None, :, None] * 3.0 / UNIT_DB
    assert log_mel_rmse_db(mels + teeth, mels, UNIT_DB)[0] == pytest.approx(3.0, rel=1e-4)
    assert timbre_distance_db(mels + teeth, mels, UNIT_DB)[0] < 0.1


def test_timbre_is_never_more_than_the_whole_distance() -> None:
    ours, true = _mels(1), _mels(2)
    timbre = timbre_distance_db(ours, true, UNIT_DB)
    assert (timbre <= log_mel_rmse_db(ours, true, UNIT_DB)).all()


def test_spectral_convergence_of_silence_is_one_and_of_a_gain_the_gap() -> None:
    magnitudes = MelSpectrogram(MelConfig()).magnitudes(torch.from_numpy(_tone(60.0))[None])
    measured = [spectral_convergence(magnitudes * gain, magnitudes)[0] for gain in (0.0, 1.0, 1.5)]
    assert measured == pytest.approx([1.0, 0.0, 0.5], rel=1e-4)


def test_attack_error_reads_a_softer_attack_and_nothing_else() -> None:
    true = _tone(81.0)[None]
    softer = true.copy()
    softer[:, : RATE // 20] *= 0.5
    quiet_later = true.copy()
    quiet_later[:, RATE // 20 :] *= 0.1
    assert attack_error_db(softer, true, RATE)[0] == pytest.approx(20.0 * np.log10(2.0), abs=0.01)
    assert attack_error_db(quiet_later, true, RATE)[0] == 0.0


@pytest.mark.parametrize("midi_pitch", [33.0, 47.3, 60.0, 72.5, 84.0])
@pytest.mark.parametrize("ratio_db", [0.0, 10.0, 20.0])
def test_harmonics_to_noise_reads_a_known_mixture(midi_pitch: float, ratio_db: float) -> None:
    tone = _tone(midi_pitch, 2.0)
    noise = np.random.default_rng(0).standard_normal(len(tone)).astype(np.float32)
    gain = np.sqrt(np.mean(tone**2) / np.mean(noise**2)) * 10.0 ** (-ratio_db / 20.0)
    measured = harmonics_to_noise_db(tone + gain * noise, midi_pitch, RATE)
    assert measured == pytest.approx(ratio_db, abs=1.0)


def test_harmonics_to_noise_ends_at_its_range() -> None:
    lowest, highest = NOISE_RANGE_DB
    assert harmonics_to_noise_db(np.zeros(RATE, np.float32), 60.0, RATE) == lowest
    assert harmonics_to_noise_db(_tone(60.0), 60.0, RATE) == highest
