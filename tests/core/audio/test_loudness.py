from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import sosfreqz

from core.audio.loudness import (
    BLOCK_S,
    SILENCE_DB,
    _k_weighting,
    momentary_loudness_db,
    reference_gain,
)
from tests.helpers.signals import harmonic_tone, noise_burst, sine

RATE = 44100
NOTE = harmonic_tone(220.0, 0.8, decay_s=0.3)


@pytest.mark.parametrize("sample_rate", [22050, 44100, 48000, 96000])
def test_the_standards_own_check(sample_rate: int) -> None:
    # BS.1770-4: a full-scale 997 Hz sine on one channel reads -3.01.
    tone = sine(997.0, 1.0, sample_rate)[None]
    assert momentary_loudness_db(tone, sample_rate) == pytest.approx(-3.01, abs=0.1)


def test_at_48_khz_the_filters_are_those_of_the_standard() -> None:
    # BS.1770-4, annex 1, tables 1 and 2.
    shelf, high_pass = _k_weighting(48000)
    np.testing.assert_allclose(
        shelf,
        [
            1.53512485958697,
            -2.69169618940638,
            1.19839281085285,
            1.0,
            -1.69065929318241,
            0.73248077421585,
        ],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        high_pass, [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], atol=1e-6
    )


@pytest.mark.parametrize("sample_rate", [44100, 96000])
def test_other_rates_weigh_frequencies_alike(sample_rate: int) -> None:
    frequencies = np.array([40.0, 100.0, 1000.0, 4000.0, 10000.0])
    weights = [
        20 * np.log10(np.abs(sosfreqz(_k_weighting(rate), frequencies, fs=rate)[1]))
        for rate in (48000, sample_rate)
    ]
    np.testing.assert_allclose(weights[1], weights[0], atol=0.25)


@given(gain_db=st.floats(-60.0, 20.0))
def test_gain_in_decibels_is_added(gain_db: float) -> None:
    loudness_db = momentary_loudness_db(NOTE[None], RATE)
    scaled = NOTE.astype(np.float64) * 10 ** (gain_db / 20)
    assert momentary_loudness_db(scaled[None], RATE) == pytest.approx(
        loudness_db + gain_db, abs=1e-6
    )


def test_the_loudest_part_counts_wherever_it_lies() -> None:
    loud, quiet = noise_burst(0.5), 0.05 * noise_burst(2.0, seed=1)
    alone = momentary_loudness_db(loud[None], RATE)
    for parts in ([loud, quiet], [quiet, loud], [quiet, loud, quiet]):
        together = momentary_loudness_db(np.concatenate(parts)[None], RATE)
        assert together == pytest.approx(alone, abs=0.1)


def test_silence_around_a_note_changes_nothing() -> None:
    short = noise_burst(0.1)[None]
    padded = np.pad(short, ((0, 0), (20000, 50000)))
    assert momentary_loudness_db(padded, RATE) == pytest.approx(
        momentary_loudness_db(short, RATE), abs=0.01
    )


def test_half_a_block_of_noise_is_3_db_softer_than_a_whole_one() -> None:
    whole = noise_burst(BLOCK_S)
    half = whole[: len(whole) // 2]
    step_db = momentary_loudness_db(whole[None], RATE) - momentary_loudness_db(half[None], RATE)
    assert step_db == pytest.approx(3.01, abs=0.3)


def test_a_note_and_its_copy_on_two_channels_are_equally_loud() -> None:
    mono = momentary_loudness_db(NOTE[None], RATE)
    assert momentary_loudness_db(np.stack([NOTE, NOTE]), RATE) == pytest.approx(mono, abs=1e-9)


def test_low_tones_count_less_and_high_tones_more() -> None:
    tones = [momentary_loudness_db(sine(hz, 1.0)[None], RATE) for hz in (30.0, 997.0, 6000.0)]
    assert tones[0] < tones[1] - 3
    assert tones[2] > tones[1] + 2


@pytest.mark.parametrize("length", [1, 100, 50000])
def test_silence_has_a_floor(length: int) -> None:
    assert momentary_loudness_db(np.zeros((1, length), np.float32), RATE) == SILENCE_DB


@given(st.integers(0, round(0.6 * RATE)))
def test_a_burst_is_as_loud_wherever_it_lies(start: int) -> None:
    # A block must begin within a millisecond of it: with a hop of 100 ms up to 0.6 dB are lost.
    note = np.zeros((1, round(1.2 * RATE)), np.float32)
    note[0, start : start + round(BLOCK_S * RATE)] = sine(997.0, BLOCK_S, RATE)
    assert momentary_loudness_db(note, RATE) == pytest.approx(-3.01, abs=0.1)


@pytest.mark.parametrize("gain", [0.01, 1.0])
def test_networks_look_at_notes_at_one_loudness(gain: float) -> None:
    note = (gain * NOTE).astype(np.float32)
    leveled = note * reference_gain(note, RATE)
    assert momentary_loudness_db(leveled[None], RATE) == pytest.approx(-14.0, abs=0.01)
    assert reference_gain(np.zeros(1000), RATE) == 1.0
