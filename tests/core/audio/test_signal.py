from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audio.files import AudioClip
from core.audio.pitch import midi_to_hz
from core.audio.signal import (
    MIN_NOTE_S,
    PRE_ROLL_S,
    Samples,
    fade,
    find_onset,
    isolate_note,
    peak_normalise,
    remove_dc,
    resample,
    to_mono,
    trim_end,
)
from core.errors import AudioFileError, ParameterError
from tests.helpers.signals import harmonic_tone, noise_burst, sine

RATE = 44100
NOTE = harmonic_tone(220.0, 1.5, decay_s=0.3)


def clip_of(*channels: Samples, rate: int = RATE) -> AudioClip:
    return AudioClip(samples=np.stack(channels).astype(np.float32), sample_rate=rate, name="one")


def after_silence(sound: Samples, length_s: float, rate: int = RATE) -> Samples:
    return np.pad(sound, (round(length_s * rate), 0))


def decibels(ratio: float) -> float:
    return float(20 * np.log10(ratio))


@pytest.mark.parametrize("from_rate", [8000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("to_rate", [22050, 44100, 48000])
def test_resampling_keeps_pitch_level_and_timing(from_rate: int, to_rate: int) -> None:
    converted = resample(sine(1000.0, 0.5, from_rate), from_rate, to_rate)
    expected = sine(1000.0, 0.5, to_rate)
    assert len(converted) == len(expected)
    inner = slice(len(expected) // 10, -len(expected) // 10)
    np.testing.assert_allclose(converted[inner], expected[inner], atol=1e-3)


def test_resampling_treats_channels_alike() -> None:
    both = resample(np.stack([NOTE, -NOTE]), RATE, 48000)
    np.testing.assert_array_equal(both[0], resample(NOTE, RATE, 48000))
    np.testing.assert_array_equal(both[1], -both[0])


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    aliased = resample(sine(10000.0, 0.5), RATE, 16000)
    assert np.max(np.abs(aliased[1000:-1000])) < 1e-4


def test_resampling_needs_rates() -> None:
    with pytest.raises(ParameterError, match="0 and 44100 Hz"):
        resample(NOTE, 0, RATE)


def test_mono_is_the_mean() -> None:
    np.testing.assert_allclose(to_mono(np.stack([NOTE, 0.5 * NOTE])), 0.75 * NOTE, atol=1e-7)
    np.testing.assert_array_equal(to_mono(NOTE[None]), NOTE)


def test_cancelling_channels_leave_the_loudest() -> None:
    stereo = np.stack([0.99 * NOTE, -NOTE])
    np.testing.assert_array_equal(to_mono(stereo), -NOTE)


def _partial_db(samples: np.ndarray, frequency_hz: float) -> float:
    """Level of one partial."""
    window = np.hanning(len(samples))
    turns = np.exp(-2j * np.pi * frequency_hz * np.arange(len(samples)) / RATE)
    return float(20.0 * np.log10(np.abs(np.sum(samples * window * turns)) / window.sum()))


@pytest.mark.parametrize("midi_pitch", [45, 57, 69, 76])
@pytest.mark.parametrize("delay_periods", [0.5, 1.5])
def test_a_channel_that_comes_late_cancels_no_partial(
    midi_pitch: int, delay_periods: float
) -> None:
    frequency_hz = midi_to_hz(midi_pitch)
    note = harmonic_tone(frequency_hz, 0.5)
    late = np.roll(note, round(delay_periods * RATE / frequency_hz))
    mono = to_mono(0.8 * np.stack([note, late]))
    for number in range(1, 6):
        expected_db = _partial_db(0.8 * note, number * frequency_hz)
        assert _partial_db(mono, number * frequency_hz) == pytest.approx(expected_db, abs=1.0)


@pytest.mark.parametrize("midi_pitch", [40, 57, 64])
@pytest.mark.parametrize("opposite", [1, 2, 3])
def test_a_partial_in_opposite_phase_is_kept(midi_pitch: int, opposite: int) -> None:
    frequency_hz = midi_to_hz(midi_pitch)
    alone = [1.0 / n if n == opposite else 0.0 for n in range(1, 10)]
    others = [0.0 if n == opposite else 1.0 / n for n in range(1, 10)]
    one, rest = (harmonic_tone(frequency_hz, 0.5, partials=part) for part in (alone, others))
    stereo = 0.4 * np.stack([rest + 0.4 * one, rest - 0.4 * one])
    mono = to_mono(stereo)
    expected_db = _partial_db(stereo[0], opposite * frequency_hz)
    assert _partial_db(mono, opposite * frequency_hz) == pytest.approx(expected_db, abs=1.0)
    assert np.array_equal(mono, stereo[0])


@pytest.mark.parametrize("gain", [0.6, 0.9, 1.0])
def test_an_inverted_channel_cancels_nothing(gain: float) -> None:
    np.testing.assert_array_equal(to_mono(np.stack([NOTE, -gain * NOTE])), NOTE)


@pytest.mark.parametrize("length_s", [0.02, 0.3, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_wide_sounds_stay_the_mean(length_s: float, seed: int) -> None:
    hiss = np.stack([noise_burst(length_s, decay_s=0.1, seed=2 * seed + c) for c in (0, 1)])
    octaves = np.stack([harmonic_tone(130.8, length_s), harmonic_tone(261.6, length_s)])
    beating = np.stack([harmonic_tone(220.0, length_s), harmonic_tone(220.7, length_s)])
    for stereo in (hiss, octaves, hiss[:, ::-1] + octaves, beating[:, : RATE // 4]):
        np.testing.assert_allclose(to_mono(stereo), stereo.mean(axis=0), atol=1e-7)


def test_one_channel_of_eight_is_kept() -> None:
    sound = np.zeros((8, len(NOTE)), np.float32)
    sound[5] = NOTE
    np.testing.assert_allclose(to_mono(sound), NOTE / 8, atol=1e-7)


@pytest.mark.parametrize("attack_s", [0.0005, 0.005, 0.05, 0.5, 2.0])
@pytest.mark.parametrize("lead_s", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("frequency_hz", [27.5, 110.0, 440.0, 4000.0])
def test_onset_of_attacks_from_clicks_to_pads(
    attack_s: float, lead_s: float, frequency_hz: float
) -> None:
    sound = after_silence(harmonic_tone(frequency_hz, 3.0, attack_s=attack_s), lead_s)
    # The first thousandth of a linear attack cannot be heard, nor the first period of a low note.
    assert abs(find_onset(sound, RATE) / RATE - lead_s) <= 0.005 + 0.02 * attack_s


@pytest.mark.parametrize("noise_db", [-70.0, -60.0, -50.0, -40.0])
@pytest.mark.parametrize("attack_s", [0.0005, 0.005, 0.05])
def test_onset_in_noise_within_5_ms(noise_db: float, attack_s: float) -> None:
    sound = after_silence(harmonic_tone(440.0, 1.0, attack_s=attack_s), 0.4)
    noisy = sound + 10 ** (noise_db / 20) * np.random.default_rng(0).standard_normal(len(sound))
    assert abs(find_onset(noisy.astype(np.float32), RATE) / RATE - 0.4) <= 0.005


@pytest.mark.parametrize("click_samples", [1, 20, 100, 150])
def test_a_click_before_the_note_is_passed_over(click_samples: int) -> None:
    sound = after_silence(NOTE, 0.5)
    sound[5000 : 5000 + click_samples] = 1.0
    assert abs(find_onset(sound, RATE) / RATE - 0.5) <= 0.005


def test_a_quiet_beginning_belongs_to_the_note() -> None:
    breath = 0.01 * noise_burst(0.3)
    sound = after_silence(np.concatenate([breath, NOTE]), 0.2)
    assert abs(find_onset(sound, RATE) / RATE - 0.2) <= 0.005


@pytest.mark.parametrize("length", [0, 1, 100, 10000])
def test_silence_begins_and_ends_at_0(length: int) -> None:
    silence = np.zeros(length, np.float32)
    assert find_onset(silence, RATE) == 0
    assert trim_end(silence, RATE) == 0


def test_the_end_is_where_the_note_has_decayed_by_70_db() -> None:
    sound = np.pad(harmonic_tone(440.0, 3.0, decay_s=0.1), (0, RATE))
    assert trim_end(sound, RATE) / RATE == pytest.approx(0.1 * np.log(10**3.5), rel=0.1)


@given(offset=st.floats(-0.5, 0.5))
def test_an_offset_is_removed(offset: float) -> None:
    shifted = 0.4 * after_silence(NOTE, 0.3) + np.float32(offset)
    assert np.max(np.abs(remove_dc(shifted, RATE) - 0.4 * after_silence(NOTE, 0.3))) < 0.003


@given(frequency_hz=st.floats(25.0, 5000.0), lead_s=st.floats(0.0, 0.5))
def test_a_sound_without_offset_is_left_alone(frequency_hz: float, lead_s: float) -> None:
    sound = after_silence(harmonic_tone(frequency_hz, 1.0), lead_s)
    np.testing.assert_allclose(remove_dc(sound, RATE), sound, atol=0.01)


@given(start=st.integers(0, 400), end=st.integers(0, 400))
def test_fades_touch_only_the_ends(start: int, end: int) -> None:
    sound = np.ones((2, 900), np.float32)
    faded = fade(sound, start, end)
    np.testing.assert_array_equal(faded[:, start : 900 - end], 1.0)
    assert np.all(np.diff(faded[0, :start]) > 0)
    assert np.all(np.diff(faded[0, 900 - end :]) < 0)
    assert np.all(sound == 1.0)


def test_fades_longer_than_the_sound_are_refused() -> None:
    with pytest.raises(ParameterError, match="Fades of 11 and 0 samples"):
        fade(np.ones(10, np.float32), 11)


@given(gain=st.floats(1e-4, 10.0))
def test_normalising_gives_peak_1_and_the_gain_back(gain: float) -> None:
    normalised, peak = peak_normalise(NOTE * np.float32(gain))
    assert np.max(np.abs(normalised)) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(normalised * peak, NOTE * np.float32(gain), rtol=1e-5, atol=1e-12)


def test_silence_cannot_be_normalised() -> None:
    with pytest.raises(ParameterError, match="silence"):
        peak_normalise(np.zeros(10, np.float32))


def test_an_isolated_note() -> None:
    note = isolate_note(clip_of(0.25 * after_silence(NOTE, 0.4)))
    assert (note.samples.ndim, note.samples.dtype, note.sample_rate) == (1, np.float32, RATE)
    assert np.max(np.abs(note.samples)) == pytest.approx(1.0)
    assert note.gain == pytest.approx(0.25 * np.max(np.abs(NOTE)), rel=1e-3)
    assert note.onset_s == pytest.approx(0.4, abs=0.005)
    assert note.length_s == pytest.approx(1.5, abs=0.01)
    assert len(note.samples) == pytest.approx((note.length_s + PRE_ROLL_S) * RATE, abs=2)


def test_a_note_begins_three_milliseconds_before_it_is_heard() -> None:
    silence = np.zeros(round(0.5 * RATE), np.float32)
    tone = sine(440.0, 0.5)
    clip = AudioClip(samples=np.concatenate([silence, tone])[None], sample_rate=RATE, name="late")
    note = isolate_note(clip, RATE)
    heard = int(np.flatnonzero(np.abs(note.samples) > 0.1)[0])
    assert heard / RATE == pytest.approx(0.003, abs=0.002)


def test_a_long_note_fills_the_window_and_no_more() -> None:
    note = isolate_note(clip_of(harmonic_tone(110.0, 6.0)))
    assert len(note.samples) == 131072
    assert note.length_s == pytest.approx(6.0, abs=0.01)


@given(lead_samples=st.integers(0, 40000), gain=st.floats(0.001, 1.0))
def test_leading_silence_and_gain_change_nothing(lead_samples: int, gain: float) -> None:
    plain = isolate_note(clip_of(NOTE))
    moved = isolate_note(clip_of(np.pad(NOTE * np.float32(gain), (lead_samples, 0))))
    # The onset lies on a grid of 1 ms: align before comparing.
    shift = lead_samples - round((moved.onset_s - plain.onset_s) * RATE)
    assert abs(shift) <= 0.002 * RATE
    assert moved.gain == pytest.approx(gain * plain.gain, rel=1e-4)
    first = plain.samples[400:60000]
    np.testing.assert_allclose(moved.samples[400 + shift : 60000 + shift], first, atol=1e-4)


@pytest.mark.parametrize("rate", [16000, 22050, 48000, 96000, 192000])
def test_the_rate_of_the_file_changes_nothing(rate: int) -> None:
    partials = (1.0, 0.5, 0.3)
    plain = isolate_note(clip_of(harmonic_tone(220.0, 1.5, partials=partials, decay_s=0.3)))
    sound = harmonic_tone(220.0, 1.5, rate, partials=partials, decay_s=0.3)
    other = isolate_note(clip_of(after_silence(sound, 0.3, rate), rate=rate))
    shift = round((0.3 - (other.onset_s - plain.onset_s)) * RATE)
    assert abs(shift) <= 0.002 * RATE
    first = plain.samples[1000:40000]
    np.testing.assert_allclose(other.samples[1000 + shift : 40000 + shift], first, atol=0.02)


@pytest.mark.parametrize("gains", [(1, 1), (1, 0.3), (1, -1), (0, 1), (0.1,) * 8])
def test_the_channel_layout_changes_nothing(gains: tuple[float, ...]) -> None:
    plain = isolate_note(clip_of(NOTE))
    other = isolate_note(clip_of(*(np.float32(gain) * NOTE for gain in gains)))
    np.testing.assert_allclose(np.abs(other.samples), np.abs(plain.samples), atol=1e-5)
    assert decibels(other.length_s / plain.length_s) == pytest.approx(0, abs=0.01)


def test_an_offset_changes_little() -> None:
    plain = isolate_note(clip_of(0.5 * after_silence(NOTE, 0.2)))
    shifted = isolate_note(clip_of(0.5 * after_silence(NOTE, 0.2) + np.float32(0.3)))
    assert shifted.onset_s == pytest.approx(plain.onset_s, abs=0.005)
    assert decibels(shifted.gain / plain.gain) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("length_s", [0.001, 0.012, 0.02])
@pytest.mark.parametrize("lead_s", [0.0, 0.3])
def test_a_click_is_too_short(length_s: float, lead_s: float) -> None:
    click = np.pad(after_silence(harmonic_tone(1000.0, length_s, attack_s=1e-4), lead_s), (0, 900))
    with pytest.raises(AudioFileError, match=r"'one' is too short \(\d+ ms .* at least 30 ms"):
        isolate_note(clip_of(click))


def test_the_least_sound_is_enough() -> None:
    note = isolate_note(clip_of(harmonic_tone(1000.0, MIN_NOTE_S + 0.002, attack_s=1e-4)))
    assert note.length_s >= MIN_NOTE_S


def test_a_constant_is_no_sound() -> None:
    with pytest.raises(AudioFileError, match="only a constant offset"):
        isolate_note(clip_of(np.full(RATE, 0.5, np.float32)))
