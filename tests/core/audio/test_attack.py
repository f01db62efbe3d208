"""The level of a beginning is put back; nothing else of the note moves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.audio.attack import ATTACK_S, attack_power, restore_attack
from tests.helpers.signals import harmonic_tone, noise_burst

RATE = 44100
ATTACK = round(ATTACK_S * RATE)
SHARP = harmonic_tone(220.0, 1.0, decay_s=0.3)


def softened(rise_s: float) -> NDArray[np.float32]:
    rise = np.minimum(1.0, np.arange(len(SHARP)) / (rise_s * RATE))
    return (SHARP * rise).astype(np.float32)


def levels_db(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Levels of the first 50 ms, in steps of 10."""
    blocks = samples[:2205].reshape(5, 441).astype(np.float64)
    levels: NDArray[np.float64] = 10.0 * np.log10(np.square(blocks).mean(axis=1))
    return levels


@pytest.mark.parametrize("rise_s", [0.02, 0.03, 0.05])
def test_a_softened_attack_is_sharp_again(rise_s: float) -> None:
    soft = softened(rise_s)
    restored = restore_attack(soft, attack_power(SHARP, RATE), RATE)
    ours, before = (np.abs(levels_db(x) - levels_db(SHARP)) for x in (restored, soft))
    assert ours.mean() < 0.5 * before.mean()
    np.testing.assert_array_equal(restored[ATTACK:], soft[ATTACK:])


@pytest.mark.parametrize("gain", [0.01, 1.0, 30.0])
def test_the_level_of_the_recording_does_not_count(gain: float) -> None:
    power = attack_power((gain * SHARP).astype(np.float32), RATE)
    np.testing.assert_allclose(restore_attack(SHARP, power, RATE), SHARP, atol=1e-4)


@pytest.mark.parametrize("length", [0, 1, 100, ATTACK - 1, ATTACK + 1])
def test_short_notes_keep_their_length(length: int) -> None:
    restored = restore_attack(SHARP[:length], attack_power(SHARP, RATE), RATE)
    assert restored.shape == (length,)
    assert np.isfinite(restored).all()


def test_silence_asks_for_nothing_and_gets_nothing() -> None:
    silence = np.zeros(RATE, np.float32)
    assert not restore_attack(silence, attack_power(SHARP, RATE), RATE).any()
    np.testing.assert_array_equal(restore_attack(SHARP, attack_power(silence, RATE), RATE), SHARP)


def test_only_the_attack_is_changed() -> None:
    note = noise_burst(0.5)
    wanted = attack_power(note * np.linspace(0.0, 1.0, len(note), dtype=np.float32), 44100)
    restored = restore_attack(note, wanted, 44100)
    end = round(0.06 * 44100)
    np.testing.assert_allclose(restored[end - 20 : end], note[end - 20 : end], rtol=0.05)
    np.testing.assert_array_equal(restored[end + 44 :], note[end + 44 :])
    assert np.abs(restored[:400] - note[:400]).max() > 0.05
