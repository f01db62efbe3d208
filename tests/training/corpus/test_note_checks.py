"""Checks of notes, on tones and impostors made here."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.audio.pitch import midi_to_hz
from training.corpus.note_checks import (
    count_onsets,
    find_fault,
    judge_notes,
    share_power,
    spectral_difference_db,
    track_period,
)
from training.corpus.source import N_SAMPLES, SAMPLE_RATE

TIME_S = np.arange(N_SAMPLES) / SAMPLE_RATE
KEYS = [30, 38, 46, 55, 62, 70, 79, 88]


def tone(pitch: float, *, slope: float = 1.0, decay: float = 1.0) -> NDArray[np.float64]:
    """Sixteen partials below 16 kHz that fall with their number, rising within a few periods."""
    f0_hz = midi_to_hz(pitch)
    partials = [
        np.sin(2 * np.pi * k * f0_hz * TIME_S + k * k) / k**slope
        for k in range(1, 17)
        if k * f0_hz < 16000
    ]
    attack: NDArray[np.float64] = np.minimum(TIME_S / 0.01, 1.0) * np.exp(-decay * TIME_S)
    return 0.2 * np.sum(partials, axis=0) * attack


@pytest.mark.parametrize("pitch", [28.0, 41.3, 60.0, 91.4])
def test_a_tone_has_no_fault_at_its_pitch_alone(pitch: float) -> None:
    assert find_fault(tone(pitch), pitch) == ""
    for wrong in (pitch + 12, pitch - 12, pitch + 7, pitch + 1, pitch - 0.5):
        assert find_fault(tone(pitch), wrong)


def test_the_period_is_tracked() -> None:
    for pitch in (28.0, 52.6, 91.0):
        assert track_period(tone(pitch)) == pytest.approx(pitch, abs=0.1)
    noise = np.random.default_rng(0).standard_normal(N_SAMPLES)
    assert len(track_period(noise)) == 0


def test_power_lies_on_and_between_partials() -> None:
    sound = tone(57.0)
    own, octave_up, octave_down = (share_power(sound, 57.0 + shift) for shift in (0, 12, -12))
    assert own.partials > 0.99
    assert own.between < 1e-4
    assert octave_up.between > 0.3
    assert octave_down.odd < 1e-3


def test_echoes_and_arpeggios_are_several_onsets() -> None:
    late = np.roll(tone(60.0, decay=8.0), SAMPLE_RATE)
    late[:SAMPLE_RATE] = 0.0
    assert count_onsets(tone(60.0, decay=8.0)) == 1
    assert count_onsets(tone(60.0, decay=8.0) + late) == 2
    assert "several times" in find_fault(tone(60.0, decay=8.0) + late, 60.0)


def test_beating_partials_are_one_onset() -> None:
    assert count_onsets(tone(48.0) + tone(48.2)) == 1


def test_chords_and_noise_and_glides_are_refused() -> None:
    def glide(pitch: float) -> NDArray[np.float64]:
        return np.sin(2 * np.pi * midi_to_hz(pitch) * (TIME_S + 0.2 * TIME_S**2))

    rng = np.random.default_rng(1)
    impostors = {
        "triad": [tone(key) + tone(key + 4) + tone(key + 7) for key in KEYS],
        "fifth": [tone(key) + tone(key + 7) for key in KEYS],
        "noise": [rng.standard_normal(N_SAMPLES) for _ in KEYS],
        "glide": [glide(key) for key in KEYS],
        "always the same": [tone(50.0) for _ in KEYS],
        "half steps": [tone(60.0 + 0.5 * (key - 60)) for key in KEYS],
        "tuned a quarter tone off": [tone(key + 0.5) for key in KEYS],
        "two octaves off": [tone(key + 24) for key in KEYS],
    }
    for name, sounds in impostors.items():
        verdict = judge_notes(sounds, KEYS)
        assert verdict.reason, name
        assert not any(verdict.passed)


@pytest.mark.parametrize(("shift", "offset"), [(0, 0.0), (-12, -12.0), (12, 12.0), (0.1, 0.1)])
def test_an_instrument_is_moved_by_octaves_and_its_tuning(shift: float, offset: float) -> None:
    verdict = judge_notes([tone(key + shift) for key in KEYS], KEYS)
    assert verdict.reason == ""
    assert verdict.offset == pytest.approx(offset, abs=0.02)
    assert sum(verdict.passed) >= 7


def test_a_wrong_note_is_left_out_alone() -> None:
    sounds = [tone(key) for key in KEYS]
    sounds[3] = tone(KEYS[3] + 5)
    verdict = judge_notes(sounds, KEYS)
    assert verdict.passed == tuple(index != 3 for index in range(len(KEYS)))


def test_gain_alone_makes_no_spectral_difference() -> None:
    bright, dull = tone(50.0, slope=0.5), tone(50.0, slope=2.0)
    assert spectral_difference_db(bright, 0.1 * bright) == pytest.approx(0.0, abs=1e-6)
    assert spectral_difference_db(bright, dull) > 3.0
