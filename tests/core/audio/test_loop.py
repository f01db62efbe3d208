from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, hilbert, sosfiltfilt

from core.audio.loop import GUARD_FRAMES, LoopedNote, find_loop, find_sustain
from core.audio.pitch import midi_to_hz
from core.errors import ParameterError
from core.instrument import Loop
from tests.helpers.signals import bell, harmonic_tone, noise_burst, sine

RATE = 44100

Samples = NDArray[np.float32]


def looped(samples: Samples, f0_hz: float) -> LoopedNote:
    note = find_loop(samples, RATE, f0_hz)
    assert note is not None, find_sustain(samples, RATE, f0_hz).why_no_loop()
    return note


def held(note: LoopedNote, seconds: float, loop: Loop | None = None) -> Samples:
    """What a sampler plays while the key is down: forwards, wrapping from the end to the start."""
    loop = loop or note.loop
    frames = np.arange(round(seconds * RATE))
    wrapped = loop.start + (frames - loop.start) % loop.length
    return note.samples[..., np.where(frames < loop.end, frames, wrapped)]


def seam_click(note: LoopedNote, loop: Loop | None = None) -> float:
    """Largest curvature at the first wraps relative to the largest one elsewhere in the sound."""
    loop = loop or note.loop
    curvature = np.abs(np.diff(held(note, 3.0 + loop.end / RATE, loop), 3))
    seams = np.arange(loop.end, len(curvature) - 8, loop.length)
    near = np.zeros(len(curvature), bool)
    for seam in seams:
        near[seam - 6 : seam + 6] = True
    return float(curvature[near].max() / curvature[round(0.1 * RATE) :][~near[4410:]].max())


def widest_pitch_step_cents(note: LoopedNote, f0_hz: float) -> float:
    """How far the fundamental strays from its pitch over three seconds of wraps, by its phase."""
    sound = held(note, note.loop.end / RATE + 3.0)
    band = butter(2, (0.7 * f0_hz, 1.4 * f0_hz), "bandpass", fs=RATE, output="sos")
    phase = np.unwrap(np.angle(hilbert(sosfiltfilt(band, sound.astype(np.float64)))))
    period = RATE / f0_hz
    span = round(np.ceil(max(4.0, 1024 / period)) * period)  # whole periods: no ripple
    steady = phase[note.loop.start : -RATE // 4]
    frequency_hz = (steady[span:] - steady[:-span]) / span * RATE / (2 * np.pi)
    return float(np.max(np.abs(1200 * np.log2(frequency_hz / f0_hz))))


def rms_db(samples: Samples, block: int) -> NDArray[np.float64]:
    blocks = samples[: len(samples) // block * block].reshape(-1, block).astype(np.float64)
    return 10 * np.log10(np.mean(blocks**2, axis=1))


@pytest.mark.parametrize("midi_note", range(24, 109, 7))
def test_a_sustained_note_repeats_in_whole_periods_without_a_seam(midi_note: int) -> None:
    f0_hz = midi_to_hz(midi_note)
    note = looped(harmonic_tone(f0_hz, 2.5, attack_s=0.1), f0_hz)
    periods = note.loop.length * f0_hz / RATE
    assert periods == pytest.approx(round(periods), abs=0.5 * f0_hz / RATE)
    assert note.similarity > 0.99
    assert widest_pitch_step_cents(note, f0_hz) < 1.0
    assert seam_click(note) < 1.0
    assert np.ptp(rms_db(held(note, 10.0)[RATE:], 8192)) < 0.5


def test_a_bad_loop_is_heard_by_the_measures_used_here() -> None:
    f0_hz = midi_to_hz(57)
    note = looped(harmonic_tone(f0_hz, 2.5), f0_hz)
    quarter = round(RATE / f0_hz / 4)
    shifted = Loop(start=note.loop.start + quarter, end=note.loop.end)
    assert seam_click(note, shifted) > 2.0
    detuned = LoopedNote(samples=note.samples, loop=shifted, similarity=1.0)
    assert widest_pitch_step_cents(detuned, f0_hz) > 5.0


@pytest.mark.parametrize(
    "sound",
    [harmonic_tone(220.0, 2.0), noise_burst(2.0), sine(220.0, 2.0)],
    ids=["tone", "noise", "sine"],
)
def test_samplers_may_read_over_both_ends(sound: Samples) -> None:
    note = looped(sound, 220.0)
    start, end, samples = note.loop.start, note.loop.end, note.samples
    assert start >= GUARD_FRAMES
    assert len(samples) - end >= GUARD_FRAMES
    before, after = np.arange(-GUARD_FRAMES, 0), np.arange(GUARD_FRAMES)
    np.testing.assert_array_equal(samples[end + before], samples[start + before])
    np.testing.assert_array_equal(samples[end + after], samples[start + after])


def test_everything_before_the_loop_and_the_tail_stay() -> None:
    sound = harmonic_tone(220.0, 2.5)
    before = sound.copy()
    note = looped(sound, 220.0)
    np.testing.assert_array_equal(sound, before)
    assert note.samples.shape == sound.shape
    np.testing.assert_array_equal(note.samples[: note.loop.start], sound[: note.loop.start])
    np.testing.assert_allclose(note.samples[-400:], sound[-400:], rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("decay_s", [0.2, 0.5, 1.5])
def test_a_decaying_note_has_no_loop_and_says_how_fast_it_decays(decay_s: float) -> None:
    sound = harmonic_tone(220.0, 2.5, decay_s=decay_s)
    assert find_loop(sound, RATE, 220.0) is None
    sustain = find_sustain(sound, RATE, 220.0)
    assert sustain.slope_db_s == pytest.approx(-20 / np.log(10) / decay_s, rel=0.05)
    assert sustain.why_no_loop() == f"the note decays by {-sustain.slope_db_s:.0f} dB/s"


def test_bells_swells_stumps_and_silence_have_no_loop() -> None:
    rising = sine(220.0, 2.0) * np.linspace(0.01, 1.0, 2 * RATE, dtype=np.float32) ** 2
    for sound, reason in (
        (bell(440.0), "decays"),
        (rising, "swells"),
        (sine(220.0, 0.2), "short"),
        (np.zeros(2 * RATE, np.float32), "silent"),
    ):
        assert find_loop(sound, RATE, 220.0) is None
        assert reason in find_sustain(sound, RATE, 220.0).why_no_loop()


def test_a_gentle_decline_is_evened_out_within_the_loop() -> None:
    slope_db_s = -3.0
    sound = harmonic_tone(220.0, 3.0, decay_s=-20 / np.log(10) / slope_db_s)
    note = looped(sound, 220.0)
    assert np.ptp(rms_db(held(note, 10.0)[note.loop.start :], 4410)) < 0.3
    release = harmonic_tone(220.0, 3.0) * np.minimum(1.0, np.linspace(15, 0, 3 * RATE)).astype("f4")
    assert looped(release, 220.0).loop.end < 2.81 * RATE


@pytest.mark.parametrize("seed", range(3))
def test_noise_keeps_its_power_across_the_crossfade(seed: int) -> None:
    note = looped(noise_burst(2.5, seed=seed), 440.0)
    assert abs(note.similarity) < 0.3
    turns = held(note, 20.0)[note.loop.end :]
    turns = turns[: len(turns) // note.loop.length * note.loop.length].reshape(-1, note.loop.length)
    levels = rms_db(turns[0], 1024)
    assert np.abs(levels - np.median(levels)).max() < 1.0  # a linear crossfade would dip by 3 dB


def test_sounds_that_never_repeat_are_faded_into_each_other() -> None:
    smooth = butter(4, 400.0, fs=RATE, output="sos")
    sound = (2 * sosfiltfilt(smooth, noise_burst(2.5))).astype(np.float32)
    note = looped(sound, 440.0)
    own = np.abs(np.diff(sound.astype(np.float64), 2)).max()
    assert np.abs(np.diff(held(note, 6.0).astype(np.float64), 2)).max() < 1.5 * own
    cut = Loop(start=note.loop.start + 1000, end=note.loop.end - 10_000)
    assert np.abs(np.diff(held(note, 6.0, cut).astype(np.float64), 2)).max() > 5 * own


def test_beating_partials_repeat_with_their_beat() -> None:
    time_s = np.arange(3 * RATE) / RATE
    sound = 0.3 * (np.sin(2 * np.pi * 300.0 * time_s) + 0.8 * np.sin(2 * np.pi * 302.5 * time_s))
    note = looped(sound.astype(np.float32), 300.0)
    assert (note.loop.length / RATE * 2.5) % 1 == pytest.approx(0, abs=0.03)
    assert note.similarity > 0.99


def test_partials_that_are_no_multiples_decide_the_length_themselves() -> None:
    time_s = np.arange(3 * RATE) / RATE
    sound = 0.5 * np.sin(2 * np.pi * 1173.3 * time_s).astype(np.float32)
    note = looped(sound, 440.0)
    periods = note.loop.length * 1173.3 / RATE
    assert periods == pytest.approx(round(periods), abs=0.1)
    assert note.similarity > 0.98


def test_both_channels_loop_together() -> None:
    mono = harmonic_tone(220.0, 2.5)
    stereo = np.stack([mono, 0.5 * mono])
    note = looped(stereo, 220.0)
    assert note.loop == looped(mono, 220.0).loop
    assert note.samples.shape == stereo.shape
    np.testing.assert_allclose(note.samples[1], 0.5 * note.samples[0], atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    midi_note=st.integers(0, 127),
    length_s=st.floats(0.05, 3.0),
    kind=st.sampled_from(["tone", "noise", "decay"]),
    rate=st.sampled_from([8000, 22050, 44100, 96000]),
)
@example(midi_note=7, length_s=0.6875, kind="tone", rate=8000)
def test_whatever_comes_the_loop_fits_the_note(
    midi_note: int, length_s: float, kind: str, rate: int
) -> None:
    f0_hz = midi_to_hz(midi_note)
    sound = {
        "tone": harmonic_tone(f0_hz, length_s, rate)
        if f0_hz < 0.4 * rate
        else sine(f0_hz, length_s, rate),
        "noise": noise_burst(length_s, rate),
        "decay": noise_burst(length_s, rate, decay_s=0.2),
    }[kind]
    note = find_loop(sound, rate, f0_hz)
    if note is None:
        return
    assert note.loop.start >= GUARD_FRAMES
    assert note.loop.length >= 2 * GUARD_FRAMES
    assert note.loop.end + GUARD_FRAMES <= len(sound) == len(note.samples)
    assert np.isfinite(note.samples).all()
    assert np.abs(note.samples).max() <= 1.6 * np.abs(sound).max()  # 4 dB


@pytest.mark.parametrize(("rate", "f0_hz"), [(44100, 0.0), (44100, -1.0), (0, 440.0)])
def test_a_note_without_a_period_is_refused(rate: int, f0_hz: float) -> None:
    with pytest.raises(ParameterError, match="no period"):
        find_loop(sine(440.0), rate, f0_hz)


def test_no_loop_starts_in_the_first_quarter_and_a_tail_is_left_for_the_fade() -> None:
    tone = (0.5 * sine(220.0, 2.0)).astype(np.float32)
    sustain = find_sustain(tone, RATE, 220.0)
    assert sustain.start == pytest.approx(0.5 * RATE, abs=0.06 * RATE)
    assert len(tone) - sustain.end >= 0.03 * RATE
    assert looped(tone, 220.0).loop.start >= sustain.start


def test_the_release_of_a_note_that_was_let_go_is_not_looped() -> None:
    seconds = np.arange(2 * RATE) / RATE
    level_db = np.where(seconds < 1.6, 0.0, -60.0 * (seconds - 1.6))  # let go after 1.6 s
    tone = (0.5 * sine(220.0, 2.0) * 10 ** (level_db / 20)).astype(np.float32)
    sustain = find_sustain(tone, RATE, 220.0)
    assert 1.55 * RATE < sustain.end < 1.75 * RATE  # six decibels down
    assert looped(tone, 220.0).loop.end <= sustain.end


def test_the_tail_goes_on_at_the_level_of_the_loop() -> None:
    sound = harmonic_tone(220.0, 3.0, decay_s=20 / np.log(10) / 3.0)  # 3 dB/s
    note = looped(sound, 220.0)
    before = note.samples[note.loop.end - 2205 : note.loop.end]
    after = note.samples[note.loop.end + 200 : note.loop.end + 2405]
    step_db = 20 * np.log10(np.sqrt(np.mean(after**2)) / np.sqrt(np.mean(before**2)))
    assert abs(step_db) < 0.4
