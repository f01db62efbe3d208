from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.audio.shift import shift_pitch
from core.errors import ParameterError
from tests.helpers.signals import harmonic_tone

RATE = 44100


def tone(frequency_hz: float, length: int = 65536) -> NDArray[np.float32]:
    time_s = np.arange(length) / RATE
    attack = np.minimum(1.0, time_s / 0.01)
    return (0.5 * attack * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def frequency_of(samples: NDArray[np.float32]) -> float:
    """Peak of the windowed spectrum, refined by a parabola."""
    steady = samples[8192 : 8192 + 32768]
    magnitude = np.log(np.abs(np.fft.rfft(steady * np.hanning(len(steady)), 8 * len(steady))))
    peak = int(magnitude.argmax())
    left, middle, right = magnitude[peak - 1 : peak + 2]
    offset = 0.5 * (left - right) / (left - 2 * middle + right)
    return float((peak + offset) * RATE / (8 * len(steady)))


@pytest.mark.parametrize("semitones", [-24.0, -7.0, -0.4, 0.3, 5.0, 12.0])
def test_the_pitch_moves_by_exactly_what_was_asked(semitones: float) -> None:
    shifted = shift_pitch(tone(440.0), RATE, semitones)
    cents = 1200.0 * np.log2(frequency_of(shifted) / 440.0) - 100.0 * semitones
    assert abs(cents) < 0.05


@pytest.mark.parametrize("semitones", [-12.0, 7.0])
def test_onset_and_length_stay(semitones: float) -> None:
    click = np.zeros(40000, np.float32)
    click[20000] = 1.0
    shifted = shift_pitch(click, RATE, semitones)
    assert len(shifted) == len(click)
    assert abs(int(np.abs(shifted).argmax()) - 20000) <= 441


@pytest.mark.parametrize("semitones", [-12.0, -7.0, -3.0, 3.0, 7.0, 12.0])
def test_attacks_stay_sharp(semitones: float) -> None:
    onset = 441
    samples = np.zeros(RATE, np.float32)
    samples[onset:] = harmonic_tone(220.0, (RATE - onset) / RATE, decay_s=0.3)[: RATE - onset]
    shifted = shift_pitch(samples, RATE, semitones)
    attack = shifted[: onset + 2646]
    early = attack[: onset - 265]  # 6 ms before it
    assert np.square(early).sum() < 1e-3 * np.square(attack).sum()
    for start in range(onset, onset + 1764, 441):
        levels = [np.square(each[start : start + 441]).mean() for each in (samples, shifted)]
        assert abs(10.0 * np.log10(levels[1] / levels[0])) < 2.0
    assert (
        np.abs(np.diff(shifted)).max() < 3.0 * np.abs(np.diff(samples)).max()
    )  # nor do they click


def test_silence_stays_silence() -> None:
    assert not shift_pitch(np.zeros(8192, np.float32), RATE, 5.0).any()


def test_no_shift_is_the_recording_itself() -> None:
    samples = tone(220.0)
    assert shift_pitch(samples, RATE, 0.0) is samples


@pytest.mark.parametrize("semitones", [-24.0, -5.0, 3.5, 12.0, 20.0])
def test_the_same_shift_gives_the_same_samples(semitones: float) -> None:
    samples = tone(220.0)
    once, again = (shift_pitch(samples, RATE, semitones) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_a_recording_shorter_than_a_block_keeps_its_length() -> None:
    assert shift_pitch(tone(440.0, 300), RATE, 5.0).shape == (300,)


@pytest.mark.parametrize("semitones", [49.0, float("nan")])
def test_impossible_shifts_are_named(semitones: float) -> None:
    with pytest.raises(ParameterError, match="semitones"):
        shift_pitch(tone(440.0), RATE, semitones)


def test_stereo_is_refused() -> None:
    with pytest.raises(ParameterError, match="mono"):
        shift_pitch(np.zeros((2, 100), np.float32), RATE, 1.0)
