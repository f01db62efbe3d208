"""Measurements against arithmetic: signals whose pitch, seams and levels are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.audio.pitch import midi_to_hz
from core.verify.measure import (
    clipped_frames,
    peak_db,
    seam_ratio,
    tuning_of,
    unrolled,
)
from tests.helpers.signals import harmonic_tone, noise_burst, sine

RATE = 44100


def drum(frequency_hz: float) -> NDArray[np.float32]:
    """Modes of a membrane, equally strong."""
    ratios = (1.0, 1.593, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501)
    return np.sum([sine(ratio * frequency_hz) for ratio in ratios], axis=0) / len(ratios)


def detuned(note: float, cents: float) -> float:
    return midi_to_hz(note + cents / 100)


@pytest.mark.parametrize("note", [24, 36, 48, 60, 72, 84, 96, 108])
@pytest.mark.parametrize("cents", [-40.0, -6.0, 0.0, 3.0, 25.0])
def test_tuning_is_read_to_a_cent(note: int, cents: float) -> None:
    tone = harmonic_tone(detuned(note, cents), 2.0)
    assert tuning_of(tone, RATE, midi_to_hz(note)).cents == pytest.approx(cents, abs=1.0)


@pytest.mark.parametrize("cents", [-700.0, -200.0, -100.0, 100.0, 300.0, 1100.0])
def test_a_wrong_note_is_no_unpitched_sound(cents: float) -> None:
    tone = harmonic_tone(detuned(60, cents), 1.0)
    assert tuning_of(tone, RATE, midi_to_hz(60)).cents == pytest.approx(cents, abs=2.0)


@pytest.mark.parametrize(
    "partials", [(1.0,), (0.05, 1.0, 0.5), (1.0, 0.0, 0.5, 0.0, 0.3), (0.0, 1.0, 1.0, 1.0)]
)
def test_timbre_does_not_move_the_reading(partials: tuple[float, ...]) -> None:
    tone = harmonic_tone(detuned(52, 8.0), 1.5, partials=partials)
    assert tuning_of(tone, RATE, midi_to_hz(52)).cents == pytest.approx(8.0, abs=1.0)


def test_vibrato_decay_and_noise_do_not_move_it_much() -> None:
    tone = harmonic_tone(detuned(60, 10.0), 2.0, vibrato_cents=20, decay_s=0.4)
    noisy = tone + 0.02 * noise_burst(2.0)
    assert tuning_of(noisy, RATE, midi_to_hz(60)).cents == pytest.approx(10.0, abs=4.0)


@pytest.mark.parametrize("sound", [noise_burst(1.0), drum(200.0), np.zeros(RATE, np.float32)])
def test_what_has_no_pitch_is_not_measurable_and_says_why(sound: NDArray[np.float32]) -> None:
    tuning = tuning_of(sound, RATE, midi_to_hz(60))
    assert tuning.cents is None
    assert tuning.why_not


def test_too_short_a_note_is_not_measurable() -> None:
    assert tuning_of(sine(100.0, 0.02), RATE, 100.0).why_not.startswith("too short")


def test_only_runs_at_full_scale_are_clipping() -> None:
    tone = sine(440.0)[None]
    assert clipped_frames(0.9 * tone) == 0
    assert clipped_frames(np.clip(1.5 * tone, -1, 1)) > 20
    touch = 0.5 * tone.copy()
    touch[0, 1000] = 1.0
    assert clipped_frames(touch) == 0


def test_peaks_are_in_decibels() -> None:
    assert peak_db(np.full((1, 10), -0.5, np.float32)) == pytest.approx(-6.02, abs=0.01)
    assert peak_db(np.zeros((1, 10), np.float32)) == -120


@pytest.mark.parametrize("hz", [60.0, 441.0, 3000.0])
def test_whole_periods_have_no_seam_and_others_do(hz: float) -> None:
    tone = 0.5 * sine(hz, 2.0)[None]
    period = RATE / hz
    start, length = 10_000, round(round(20_000 / period) * period)
    for shift, clicks in ((0, False), (round(period / 4), True)):
        loop = (start, start + length + shift)
        played = unrolled(tone, loop, 3 * length)
        wraps = range(loop[1], played.shape[1], loop[1] - loop[0])
        ratio = seam_ratio(played, loop, wraps, 4)
        assert ratio is not None
        assert (ratio > 1.5) is clicks


def test_noise_has_no_seam() -> None:
    noise = noise_burst(2.0)[None]
    played = unrolled(noise, (20_000, 60_000), 80_000)
    ratio = seam_ratio(played, (20_000, 60_000), [60_000, 100_000], 80)
    assert ratio is not None
    assert ratio < 1.1


def test_a_loop_is_unrolled_as_often_as_is_asked() -> None:
    samples = np.arange(10, dtype=np.float32)[None]
    assert unrolled(samples, (4, 6), 5)[0].tolist() == [0, 1, 2, 3, 4, 5, 4, 5, 4, 5, 4, 5]
    assert unrolled(samples, (2, 8), 1).shape[1] == 14
