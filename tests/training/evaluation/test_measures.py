from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.mel import MelConfig, MelSpectrogram
from training.evaluation.measures import (
    NOISE_RANGE_DB,
    attack_error_db,
    harmonics_to_noise_db,
    levelled,
    log_mel_rmse_db,
    movement_ratio,
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


def test_only_what_is_near_the_loudest_bin_of_either_mel_is_heard() -> None:
    true = torch.full((1, 128, 16), -1.0)
    true[:, :64] = 1.0
    ours = true.clone()
    ours[:, 96:] += 15.0 / UNIT_DB  # 65 dB below the loudest bin
    assert log_mel_rmse_db(ours, true, UNIT_DB, depth_db=60.0)[0] == 0.0
    assert log_mel_rmse_db(ours, true, UNIT_DB)[0] == pytest.approx(7.5, rel=1e-4)
    ours[:, 96:] = 1.0 - 50.0 / UNIT_DB  # now heard in one of them, off by 30 dB
    heard = log_mel_rmse_db(ours, true, UNIT_DB, depth_db=60.0)[0]
    assert heard == pytest.approx(30.0 * (32 / 96) ** 0.5, rel=1e-4)
    assert log_mel_rmse_db(true, ours, UNIT_DB, depth_db=60.0)[0] == pytest.approx(heard, rel=1e-6)


def test_movement_of_a_still_mel_is_none_and_of_the_true_one_all() -> None:
    true = _mels(3) * 0.5
    still = true.mean(dim=2, keepdim=True).expand_as(true)
    assert movement_ratio(true, true, 60.0 / UNIT_DB) == pytest.approx(np.ones(3))
    assert movement_ratio(still, true, 60.0 / UNIT_DB) == pytest.approx(np.zeros(3), abs=1e-6)
    half = still + 0.5 * (true - still)
    louder = true + 6.0 / UNIT_DB
    assert movement_ratio(half, true, 60.0 / UNIT_DB) == pytest.approx(np.full(3, 0.5), rel=1e-4)
    assert movement_ratio(louder, true, 60.0 / UNIT_DB) == pytest.approx(np.ones(3), rel=1e-4)
    assert np.isnan(movement_ratio(true, still.clone(), 60.0 / UNIT_DB)).all()


def test_movement_of_what_nobody_hears_does_not_count() -> None:
    true = torch.full((1, 128, 16), -1.0)
    true[:, :32, ::2] = 1.0
    true[:, :32, 1::2] = 0.9
    busy = true.clone()
    busy[:, 64:, ::2] = -0.6  # 64 dB below the loudest bin
    assert movement_ratio(busy, true, 60.0 / UNIT_DB)[0] == pytest.approx(1.0)
    assert movement_ratio(busy, true, 90.0 / UNIT_DB)[0] > 2.0


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


def test_levelling_takes_off_the_gain_and_nothing_else() -> None:
    true = torch.rand(3, 8, 20, generator=torch.Generator().manual_seed(0)) * 0.5
    tilt = torch.linspace(-0.1, 0.1, 8)[:, None]
    gains = torch.tensor([0.3, -0.2, 0.0])[:, None, None]
    torch.testing.assert_close(levelled(true + tilt + gains, true, 1.5), true + tilt)


def test_levelling_goes_by_what_is_heard() -> None:
    true = torch.zeros(1, 8, 20)
    true[:, 4:] = -0.9
    ours = true.clone()
    ours[:, 4:] = -0.7  # hiss 60 dB down and more says nothing about the level
    torch.testing.assert_close(levelled(ours, true, 0.5), ours)
