from __future__ import annotations

import ctypes
import gc
import threading
import weakref
from collections.abc import Callable

import numpy as np
import pytest

from core.errors import ParameterError
from core.instrument import Envelope, Instrument, Loop, Region
from core.sampler.layout import RING_EVENTS
from core.sampler.sampler import Sampler
from tests.core.sampler.playing import (
    RATE,
    Action,
    Samples,
    frequency_hz,
    instrument,
    largest_step,
    loaded,
    looped_sine,
    note_hz,
    perform,
    region,
    render,
    sine,
)

SHORT = Envelope(release_s=0.001)
LIMIT = 10 ** (-3 / 20)


def db(ratio: float) -> float:
    return float(20 * np.log10(ratio))


def level(out: Samples) -> float:
    """RMS of the left channel."""
    return float(np.sqrt(np.mean(np.square(out[0], dtype=np.float64))))


def busy_performance() -> list[Action]:
    """Something of everything, at frames that no block size knows."""
    other = instrument(looped_sine(57, 0.2), rate=48000)
    return [
        (0, lambda s: s.note_on(60, 100)),
        (0, lambda s: s.set_mod_wheel(0.7)),
        (701, lambda s: s.note_on(64, 80)),
        (1203, lambda s: s.set_pitch_bend(1.7)),
        (1999, lambda s: s.set_sustain(True)),
        (2003, lambda s: s.note_off(60)),
        (2500, lambda s: s.load(other)),
        (3007, lambda s: s.note_on(64, 127)),
        (3100, lambda s: s.set_zone(looped_sine(64, 0.3), RATE, crossfade_s=0.011)),
        (3111, lambda s: s.set_zone(looped_sine(65, 0.3), RATE)),
        (4001, lambda s: s.set_envelope(Envelope(attack_s=0.02, sustain=0.5, release_s=0.03))),
        (4600, lambda s: s.set_gain(2.5)),
        (4801, lambda s: s.note_on(71, 127)),
        (5003, lambda s: s.set_sustain(False)),
        (6001, lambda s: s.set_one_shot(True)),
        (6002, lambda s: s.note_on(90, 60)),
        (6500, lambda s: s.note_off(90)),
        (7003, lambda s: s.panic()),
        (7500, lambda s: s.note_on(50, 90)),
    ]


@pytest.mark.parametrize("block", [1, 7, 64, 65, 512])
def test_any_block_size_gives_the_same_audio(block: int) -> None:
    length = 8192
    expected, actual = (
        perform(loaded(looped_sine(60, 0.3), voices=3), busy_performance(), length, size)
        for size in (length, block)
    )
    assert level(expected) > 0.05
    np.testing.assert_array_equal(actual, expected)


def test_the_callback_gives_what_render_gives() -> None:
    actions = busy_performance()
    expected = perform(loaded(looped_sine(60, 0.3)), actions, 8192)
    sampler = loaded(looped_sine(60, 0.3))
    callback = ctypes.CFUNCTYPE(
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_float),
        ctypes.c_ulong,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_void_p,
    )(sampler.callback_address)

    class Stream:
        """Renders as PortAudio would."""

        def render(self, out: Samples) -> None:
            block = np.full((out.shape[1], 2), np.nan, np.float32)
            pointer = block.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            assert callback(None, pointer, len(block), None, 0, sampler.user_data_address) == 0
            out[:] = block.T

    pieces, now = [], 0
    for frame, action in [*actions, (8192, lambda s: None)]:
        pieces.append(render(Stream(), frame - now))  # type: ignore[arg-type]
        action(sampler)
        now = frame
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), expected)


# --- one note ---


@pytest.mark.parametrize("channels", [1, 2])
def test_a_recording_at_its_root_is_itself(channels: int) -> None:
    rng = np.random.default_rng(3)
    samples = rng.uniform(-0.7, 0.7, (channels, 3000)).astype(np.float32)
    samples[:, 0] = samples[:, -100:] = 0
    sampler = loaded(region(samples, 61))
    sampler.note_on(61, 127)
    out = render(sampler, 4000)
    np.testing.assert_array_equal(out[:, :3000], np.broadcast_to(samples, (2, 3000)))
    assert not out[:, 3000:].any()
    assert sampler.meters().active_voices == 0


@pytest.mark.parametrize("bend", [0.0, 0.3])
def test_a_loop_wraps_exactly(bend: float) -> None:
    """As the same recording unrolled, whatever lies behind its loop's end."""
    rng = np.random.default_rng(4)
    samples = rng.uniform(-0.5, 0.5, (1, 900)).astype(np.float32)
    start, end = 100, 277
    unrolled = np.concatenate([samples[:, :end]] + [samples[:, start:end]] * 60, axis=1)
    played = []
    for each in (region(samples, loop=Loop(start=start, end=end)), region(unrolled)):
        sampler = loaded(each)
        sampler.set_pitch_bend(bend)
        sampler.note_on(60, 127)
        played.append(render(sampler, 9000))
    np.testing.assert_array_equal(played[0], played[1])


@pytest.mark.parametrize("recorded_rate", [22050, 44100, 48000, 96000])
@pytest.mark.parametrize("key", [36, 59, 60, 61, 67, 84, 96])
def test_every_key_is_in_tune(key: int, recorded_rate: int) -> None:
    wave = sine(note_hz(60), 20 * recorded_rate // 4, rate=recorded_rate)
    sampler = loaded(region(wave), rate=recorded_rate)
    sampler.note_on(key, 100)
    heard = frequency_hz(render(sampler, 16384)[0][2000:])
    assert abs(1200 * np.log2(heard / note_hz(key))) < 0.05


@pytest.mark.parametrize("velocity", [1, 31, 64, 127])
def test_velocity_follows_its_curve(velocity: int) -> None:
    sampler = loaded(looped_sine())
    sampler.note_on(60, velocity)
    expected = 40 * np.log10(velocity / 127) + db(0.5 / np.sqrt(2))
    assert db(level(render(sampler, 16900))) == pytest.approx(expected, abs=0.05)


def test_velocity_zero_lets_go() -> None:
    sampler = loaded(looped_sine())
    sampler.set_envelope(SHORT)
    sampler.note_on(60, 100)
    render(sampler, 512)
    sampler.note_on(60, 0)
    render(sampler, 512)
    assert sampler.meters().active_voices == 0


def test_bend_and_vibrato_move_the_pitch() -> None:
    sampler = loaded(looped_sine())
    base = RATE / round(RATE / note_hz(60))
    sampler.set_pitch_bend(-3.5)
    sampler.note_on(60, 127)
    low = frequency_hz(render(sampler, 16384)[0])
    assert 12 * np.log2(low / base) == pytest.approx(-3.5, abs=0.001)
    sampler.set_pitch_bend(0)
    render(sampler, 8192)
    sampler.set_mod_wheel(1.0)
    render(sampler, 8192)
    out = render(sampler, RATE)[0]
    # Periods between rising zero crossings give the pitch over time.
    rising = np.flatnonzero((out[:-1] < 0) & (out[1:] >= 0))
    crossing = rising - out[rising] / (out[rising + 1] - out[rising])
    cents = 1200 * np.log2(RATE / np.diff(crossing) / base)
    assert cents.max() == pytest.approx(50, abs=1.5)
    assert cents.min() == pytest.approx(-50, abs=1.5)
    assert np.sum((cents[:-1] < 0) & (cents[1:] >= 0)) in (5, 6)  # times per second


# --- envelope ---


def flat(n: int = 30000) -> Region:
    """Constant level from a silent first frame: what is heard is the envelope."""
    samples = np.full((1, n), 0.5, np.float32)
    samples[0, 0] = 0
    return region(samples, loop=Loop(start=100, end=n - 100))


def test_the_envelope_is_exact_to_the_frame() -> None:
    sampler = loaded(flat())
    sampler.set_envelope(Envelope(attack_s=0.01, decay_s=0.1, sustain=0.25, release_s=0.05))
    sampler.note_on(60, 127)
    out = 2 * perform(sampler, [(12000, lambda s: s.note_off(60))], 15000)[0]
    attack, decay, release = 441, 4410, 2205
    np.testing.assert_allclose(out[1:attack], np.arange(1, attack) / attack, atol=1e-4)
    assert out[attack] == pytest.approx(1.0, abs=1e-5)
    assert (np.diff(out[attack : attack + decay]) < 0).all()
    np.testing.assert_allclose(out[attack + decay : 12000], 0.25, atol=1e-6)
    assert (np.diff(out[12000 : 12000 + release]) < 0).all()
    assert out[12000 + release - 1] > 0
    assert not out[12000 + release :].any()


def test_without_attack_only_recordings_that_start_loud_get_a_ramp() -> None:
    loud = loaded(region(np.full((1, 3000), 0.5, np.float32)))
    silent = loaded(flat())
    outs = []
    for sampler in (loud, silent):
        sampler.note_on(60, 127)
        outs.append(render(sampler, 512)[0])
    assert np.argmax(outs[0] >= 0.499) == pytest.approx(0.001 * RATE, abs=2)
    assert outs[1][1] == 0.5


def test_a_changed_envelope_is_heard_on_held_notes() -> None:
    sampler = loaded(flat())
    sampler.note_on(60, 127)
    assert render(sampler, 2000)[0, -1] == pytest.approx(0.5)
    sampler.set_envelope(Envelope(sustain=0.4))
    assert render(sampler, 512)[0, -1] == pytest.approx(0.2, abs=1e-6)
    sampler.set_envelope(Envelope(sustain=0.8))
    assert render(sampler, 512)[0, -1] == pytest.approx(0.4, abs=1e-6)
    sampler.set_envelope(Envelope(sustain=0.8, release_s=10.0))
    sampler.note_off(60)
    assert render(sampler, 2000)[0, -1] > 0.2
    sampler.set_envelope(SHORT)
    assert render(sampler, 512)[0, -1] == 0


def test_an_attack_cut_short_does_not_jump() -> None:
    sampler = loaded(flat())
    sampler.set_envelope(Envelope(attack_s=1.0))
    sampler.note_on(60, 127)
    out = perform(sampler, [(9000, lambda s: s.set_envelope(Envelope()))], 12000)
    assert out[0, 9500] == pytest.approx(0.5)
    assert largest_step(out) < 0.5 / (0.008 * RATE)


# --- keys, pedal, modes ---


def test_the_pedal_holds_what_keys_let_go() -> None:
    sampler = loaded(looped_sine())
    sampler.set_envelope(SHORT)
    sampler.set_sustain(True)
    for note in (60, 64, 67):
        sampler.note_on(note, 90)
    for note in (60, 64):
        sampler.note_off(note)
    render(sampler, 4096)
    assert sampler.meters().active_voices == 3
    sampler.set_sustain(False)
    render(sampler, 4096)
    assert sampler.meters().active_voices == 1
    sampler.release_all()
    render(sampler, 4096)
    assert sampler.meters().active_voices == 0


def test_one_shots_play_to_their_end() -> None:
    wave = sine(441.0, 9000)
    sampler = loaded(region(wave))
    sampler.set_one_shot(True)
    sampler.note_on(60, 127)
    out = perform(sampler, [(300, lambda s: s.note_off(60))], 10000)
    np.testing.assert_array_equal(out[0, :8900], wave[0, :8900])
    looped = loaded(looped_sine(periods=20))
    looped.set_envelope(SHORT)
    looped.set_one_shot(True)
    looped.note_on(60, 127)
    looped.note_off(60)
    render(looped, 2000)
    assert looped.meters().active_voices == 1
    render(looped, 30000)
    assert looped.meters().active_voices == 0


def test_velocity_layers_and_round_robins_are_played() -> None:
    def layer(amplitude: float, velocities: tuple[int, int], turn: int) -> Region:
        return Region(
            root_note=60,
            low_key=0,
            high_key=127,
            samples=np.full((1, 900), amplitude, np.float32),
            low_velocity=velocities[0],
            high_velocity=velocities[1],
            round_robin=turn,
        )

    sampler = loaded(
        layer(0.1, (1, 99), 1),
        layer(0.2, (1, 99), 2),
        layer(0.3, (100, 127), 1),
        layer(0.4, (100, 127), 2),
    )
    heard = []
    for velocity in (127, 127, 127, 64, 64):
        sampler.note_on(60, velocity)
        peak = float(np.abs(render(sampler, 1000)).max())
        heard.append(round(peak / (velocity / 127) ** 2, 2))
    assert heard == [0.3, 0.4, 0.3, 0.2, 0.1]


def test_a_key_without_recording_stays_silent() -> None:
    sampler = loaded(region(sine(441, 500), low=60, high=61))
    sampler.note_on(62, 100)
    assert not render(sampler, 512).any()
    assert not render(Sampler(RATE), 512).any()


# --- many notes ---


def test_notes_add_up() -> None:
    """The mix of a chord is the sum of its notes, each played alone."""
    notes = [(0, 48), (500, 55), (733, 60), (1400, 64), (2000, 71)]

    def play(some: list[tuple[int, int]]) -> Samples:
        actions: list[Action] = []
        for start, note in some:
            actions.append((start, lambda s, note=note: s.note_on(note, 90)))  # type: ignore[misc]
            actions.append((start + 3000, lambda s, note=note: s.note_off(note)))  # type: ignore[misc]
        return perform(loaded(looped_sine(60, 0.2)), actions, 12000)

    together = play(notes)
    assert np.abs(together).max() < LIMIT
    apart = sum(play([note]).astype(np.float64) for note in notes)
    np.testing.assert_allclose(together, apart, atol=2e-7)


@pytest.mark.parametrize("voices", [1, 5, 64])
def test_polyphony_never_exceeds_its_limit(voices: int) -> None:
    rng = np.random.default_rng(voices)
    sampler = loaded(looped_sine(60, 0.01), voices=voices)
    most = 0
    for _ in range(400):
        for note in rng.integers(0, 128, rng.integers(0, 9)):
            (sampler.note_on if rng.random() < 0.8 else lambda n, _: sampler.note_off(n))(
                int(note), 100
            )
        render(sampler, int(rng.integers(1, 200)))
        most = max(most, sampler.meters().active_voices)
    assert most == voices


def playing_keys(sampler: Sampler) -> set[int]:
    voices = sampler._state["voices"]
    return {int(v["key"]) for v in voices if v["recording"] >= 0 and not v["is_leaving"]}


def test_the_quietest_released_note_gives_way_then_the_oldest() -> None:
    sampler = loaded(looped_sine(60, 0.1), voices=4)
    sampler.set_envelope(Envelope(release_s=5.0))
    for note, velocity in ((60, 120), (61, 100), (62, 40), (63, 90)):
        sampler.note_on(note, velocity)
        render(sampler, 100)
    for note in (61, 62):
        sampler.note_off(note)
    survivors = []
    for note in (70, 71, 72):
        sampler.note_on(note, 100)
        render(sampler, 100)
        survivors.append(playing_keys(sampler))
    assert survivors == [{60, 61, 63, 70}, {60, 63, 70, 71}, {63, 70, 71, 72}]


def test_a_stolen_note_goes_with_the_old_half_of_its_crossfade() -> None:
    sampler = loaded(looped_sine(60, 0.1), voices=1)
    sampler.note_on(60, 100)
    render(sampler, 1000)
    sampler.load(instrument(looped_sine(60, 0.1)), crossfade_s=1.0)
    render(sampler, 1000)
    sampler.note_on(70, 100)
    render(sampler, round(0.005 * RATE))
    voices = sampler._state["voices"]
    assert [int(voice["key"]) for voice in voices if voice["recording"] >= 0] == [70]


def test_a_note_waits_when_every_slot_fades_and_then_sounds() -> None:
    sampler = loaded(looped_sine(60, 0.01))
    for turn in range(6):
        for note in range(64):
            sampler.note_on(turn % 2 * 64 + note, 100)
        render(sampler, 8)
    assert sampler.meters().late_events > 0
    for _ in range(64):
        render(sampler, 200)
    assert sampler.meters().waiting_events == 0
    assert playing_keys(sampler) == set(range(64, 128))


# --- no clicks ---

# A sine of 130 Hz at half scale moves 0.0093 per frame. Fades of 4 ms add at most
# 0.5 · (π/2) / 176 = 0.0045 per frame and voice, ramps and releases of 1 ms 0.5 · 6.9 / 44 = 0.078.
SMOOTH = 0.0094
FADE = 0.0046


def swap(**settings: float) -> Callable[[Sampler], None]:
    return lambda s: s.load(instrument(looped_sine(48)), **settings)


CASES: dict[str, tuple[list[Action], float]] = {
    "retrigger": ([(5000, lambda s: s.note_on(48, 127))], 2 * SMOOTH + FADE),
    "steal": ([(5000, lambda s: s.note_on(47, 127))], 2 * SMOOTH + FADE),
    "panic": ([(5000, lambda s: s.panic())], SMOOTH + FADE),
    "loop wrap": ([], SMOOTH),
    "release": (
        [(0, lambda s: s.set_envelope(Envelope(release_s=0.05))), (5000, lambda s: s.note_off(48))],
        SMOOTH + 0.5 * 6.92 / 2205,
    ),
    "swap": ([(5000, swap())], 2 * SMOOTH),
    "swap to silence": ([(5000, lambda s: s.load(None))], 2 * SMOOTH),
    "swaps while swapping": (
        [(5000 + 100 * k, swap(crossfade_s=0.03)) for k in range(40)],
        2 * SMOOTH,
    ),
    "panic while swapping": ([(5000, swap()), (5500, lambda s: s.panic())], 2 * SMOOTH + 2 * FADE),
    "zone": ([(5000, lambda s: s.set_zone(looped_sine(50), RATE))], 2 * SMOOTH),
    "gain": ([(5000, lambda s: s.set_gain(0.0))], SMOOTH + 0.5 / 441),
    "envelope": (
        [(5000, lambda s: s.set_envelope(Envelope(sustain=0.1)))],
        SMOOTH + 0.5 * 6.92 / 441,
    ),
    "bend": ([(5000, lambda s: s.set_pitch_bend(-24))], SMOOTH),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_clicks(case: str) -> None:
    actions, bound = CASES[case]
    for shift in range(0, 340, 67):  # at any phase of the tone
        sampler = loaded(looped_sine(48, periods=30), voices=1)
        sampler.set_envelope(SHORT)
        sampler.note_on(48, 127)
        moved = [(frame + shift if frame else 0, action) for frame, action in actions]
        out = perform(sampler, moved, 16000)
        assert np.abs(out).max() <= 1.0
        assert largest_step(out) < bound
        assert level(out[:, 3000:4500]) > 0.1


def test_a_planted_click_is_caught() -> None:
    sampler = loaded(looped_sine(48))
    sampler.note_on(48, 127)
    out = render(sampler, 6000)
    assert largest_step(out) < SMOOTH
    at = 4000 + int(np.argmax(np.abs(out[0, 4000:4400])))
    out[:, at:] = 0
    assert largest_step(out) > 10 * SMOOTH


def test_extreme_rates_stay_within_the_recording() -> None:
    """A loop shorter than one step of the key, held until positions would overflow."""
    sampler = Sampler(8000)
    tiny = region(sine(441.0, 200, 0.1), root=0, loop=Loop(start=64, end=96))
    sampler.set_zone(tiny, 192000)
    sampler.set_pitch_bend(24)
    sampler.note_on(127, 127)
    render(sampler, 20_000, 4096)
    sampler.set_zone(tiny, 8000)
    assert np.abs(render(sampler, 1000)).max() <= 0.15
    voices = sampler._state["voices"]
    assert (voices["travel"] >= 0).all()
    assert (voices["position"] >= 0).all()


# --- swaps ---


def test_a_swap_goes_on_at_the_same_time_in_the_note() -> None:
    """Two recordings of the same sound: after the crossfade nothing tells that there was one."""
    still = loaded(looped_sine(60, 0.3))
    still.note_on(62, 127)
    expected = render(still, 40000)
    swapped = loaded(looped_sine(60, 0.3))
    swapped.note_on(62, 127)
    actions: list[Action] = [(30000, lambda s: s.load(instrument(looped_sine(60, 0.3))))]
    out = perform(swapped, actions, 40000)
    fade = round(0.03 * RATE)
    np.testing.assert_array_equal(out[:, :30000], expected[:, :30000])
    np.testing.assert_array_equal(out[:, 30000 + fade :], expected[:, 30000 + fade :])
    np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9, 1.0, -1.0])
def test_a_crossfade_keeps_the_level_however_alike_the_sounds_are(share: float) -> None:
    """Two noises of one power, the second of which holds a share of the first."""
    rng = np.random.default_rng(1)
    own, other = (0.1 * rng.standard_normal((1, 60_000)).astype(np.float32) for _ in range(2))
    second = share * own + np.sqrt(1.0 - share**2) * other
    sampler = loaded(region(own))
    sampler.note_on(60, 127)
    begun, fade = 20_000, 16_000
    swap_to = instrument(region(second.astype(np.float32)))
    swapping: list[Action] = [(begun, lambda s: s.load(swap_to, crossfade_s=fade / RATE))]
    out = perform(sampler, swapping, 50_000)
    still = level(out[:, :begun])
    middle = [level(out[:, at : at + 2000]) / still for at in range(begun, begun + fade, 2000)]
    if share >= 0.0:
        assert middle == pytest.approx([1.0] * len(middle), rel=0.05)
    else:  # what cancels out is not made louder
        assert max(middle) <= 1.05
        assert middle[4] < 0.3


def test_a_true_note_takes_over_from_a_stretched_one_in_time() -> None:
    """The decay of the note goes on where it was, though the recordings differ in speed."""
    n = 2 * RATE
    decay = np.exp(-np.arange(n) / RATE * 3)
    stretched = (sine(note_hz(60), n, 0.5) * decay).astype(np.float32)
    true = (sine(note_hz(72), n, 0.5) * np.exp(-np.arange(n) / RATE * 6)).astype(np.float32)
    sampler = loaded(region(stretched))
    sampler.note_on(72, 127)
    actions: list[Action] = [(8000, lambda s: s.set_zone(region(true, 72), RATE))]
    out = perform(sampler, actions, 20000)
    np.testing.assert_allclose(out[0, 10000:], true[0, 10000:20000], atol=1e-4)


def test_keys_map_to_the_nearest_recording_after_a_zone_is_set() -> None:
    sampler = Sampler(RATE)
    for root, amplitude in ((60, 0.1), (64, 0.2), (62, 0.3), (60, 0.4)):
        sampler.set_zone(looped_sine(root, amplitude), RATE)
    heard = []
    for key in (40, 61, 63, 64, 100):
        sampler.note_on(key, 127)
        render(sampler, 500)
        heard.append(round(float(np.abs(render(sampler, 4000)).max()), 2))
        sampler.panic()
        render(sampler, 500)
    assert heard == [0.4, 0.4, 0.3, 0.2, 0.2]


def test_only_keys_whose_best_recording_changed_crossfade() -> None:
    sampler = Sampler(RATE)
    sampler.set_zone(looped_sine(48, 0.2), RATE)
    sampler.note_on(48, 127)
    sampler.note_on(60, 127)
    render(sampler, 4000)
    sampler.set_zone(looped_sine(60, 0.2), RATE)
    render(sampler, 100)
    voices = sampler._state["voices"]
    assert [int(v["key"]) for v in voices if v["is_leaving"] and v["recording"] >= 0] == [60]


def recordings(sampler: Sampler) -> list[weakref.ref[Samples]]:
    return [weakref.ref(frames) for frames in sampler._frames.values()]


def alive(references: list[weakref.ref[Samples]]) -> int:
    gc.collect()
    return sum(reference() is not None for reference in references)


def test_recordings_are_freed_only_after_the_audio_side_returned_them() -> None:
    sampler = loaded(looped_sine(60, 0.2), rate=RATE)
    references = recordings(sampler)
    sampler.note_on(60, 100)
    render(sampler, 1000)
    sampler.load(instrument(looped_sine(60, 0.1)))
    sampler.collect()
    assert alive(references) == 1  # nobody has told the audio side yet
    render(sampler, 500)
    sampler.collect()
    assert alive(references) == 1  # it still fades
    render(sampler, 2000)
    assert alive(references) == 1  # given back, not yet collected
    sampler.collect()
    assert alive(references) == 0
    assert len(sampler._frames) == 1


def test_a_recording_is_returned_by_its_last_voice() -> None:
    sampler = loaded(looped_sine(60, 0.2))
    references = recordings(sampler)
    for note in (60, 64):
        sampler.note_on(note, 100)
    render(sampler, 1000)
    sampler.load(instrument(looped_sine(60, 0.1)))
    render(sampler, 16)
    sampler.note_on(60, 100)  # ends one of two crossfades early
    render(sampler, round(0.01 * RATE))
    sampler.collect()
    assert alive(references) == 1
    render(sampler, round(0.03 * RATE))
    sampler.collect()
    assert alive(references) == 0


def test_swaps_that_nobody_hears_are_freed_too() -> None:
    sampler = loaded(looped_sine(60, 0.2))
    references = recordings(sampler)
    for _ in range(20):
        sampler.load(instrument(looped_sine(60, 0.2)))
        references += recordings(sampler)
    sampler.load(None)
    render(sampler, 0)
    sampler.collect()
    assert alive(references) == 0


def test_a_sampler_can_be_collected() -> None:
    sampler = loaded(looped_sine())
    sampler.note_on(60, 100)
    render(sampler, 100)
    reference = weakref.ref(sampler)
    del sampler
    gc.collect()
    assert reference() is None


# --- master ---


def test_the_limiter_leaves_quiet_music_alone_and_never_passes_full_scale() -> None:
    wave = sine(441.0, 20000, LIMIT - 1e-4)
    sampler = loaded(region(wave))
    sampler.note_on(60, 127)
    np.testing.assert_array_equal(render(sampler, 19000)[0], wave[0, :19000])
    loud = loaded(looped_sine(60, 1.0))
    loud.set_gain(16.0)
    for note in range(30, 94):
        loud.note_on(note, 127)
    out = render(loud, 20000)
    assert 0.95 < np.abs(out).max() < 1.0


def test_gain_arrives_in_ten_milliseconds() -> None:
    sampler = loaded(flat())
    sampler.note_on(60, 127)
    render(sampler, 100)
    sampler.set_gain(0.5)
    out = render(sampler, 512)[0]
    assert out[441:] == pytest.approx(0.25)
    assert out[220] == pytest.approx(0.375, abs=0.001)


def test_no_nan_leaves_and_the_next_note_is_well() -> None:
    bad = region(sine(441.0, 3000), 60, 0, 60)
    sampler = Sampler(RATE)
    bad.samples[0, 1000:1010] = [np.nan, np.inf, -np.inf, np.nan, 1e30] * 2
    sampler.load(instrument(bad, region(sine(441.0, 3000), 61, 61, 127)))
    sampler.set_pitch_bend(0.5)
    sampler.note_on(60, 127)
    out = render(sampler, 4000)
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 1.0
    render(sampler, RATE)
    sampler.set_pitch_bend(0)
    sampler.note_on(61, 127)
    render(sampler, 500)
    assert np.abs(render(sampler, 2000)).max() == pytest.approx(0.5, abs=0.01)


def test_meters_tell_the_peaks_since_they_were_read() -> None:
    left_only = np.concatenate([sine(441.0, 2000), np.zeros((1, 2000), np.float32)])
    sampler = loaded(region(left_only))
    sampler.note_on(60, 127)
    out = render(sampler, 4000, block=100)
    meters = sampler.meters()
    assert (meters.peak_left, meters.peak_right) == (float(np.abs(out).max()), 0.0)
    assert (meters.blocks, meters.frames, meters.active_voices) == (40, 4000, 0)
    render(sampler, 100)
    assert sampler.meters().peak_left == 0


# --- two threads ---


def test_events_that_find_no_room_wait_and_none_is_lost() -> None:
    sampler = loaded(looped_sine(60, 0.01))
    render(sampler, 0)
    count = 3 * RING_EVENTS
    for k in range(count):
        sampler.set_pitch_bend(24 * k / count)
    sampler.note_on(60, 100)
    assert sampler.meters().waiting_events == count + 1
    for _ in range(4):
        render(sampler, 16)
        sampler.collect()
    assert sampler.meters().waiting_events == 0
    assert sampler._state["bend_target"] == 24 * (count - 1) / count
    assert playing_keys(sampler) == {60}


def play_at_random(sampler: Sampler, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        note = int(rng.integers(24, 100))
        what = rng.random()
        if what < 0.45:
            sampler.note_on(note, int(rng.integers(1, 128)))
        elif what < 0.85:
            sampler.note_off(note)
        elif what < 0.90:
            sampler.set_pitch_bend(float(rng.uniform(-24, 24)))
        elif what < 0.93:
            sampler.set_sustain(bool(rng.random() < 0.5))
        elif what < 0.95:
            sampler.set_mod_wheel(float(rng.random()))
        elif what < 0.97:
            sampler.set_zone(looped_sine(note, 0.2, periods=6), RATE)
        elif what < 0.98:
            sampler.load(instrument(looped_sine(note, 0.2, periods=6)))
        elif what < 0.99:
            sampler.set_envelope(Envelope(attack_s=rng.random() / 100, sustain=rng.random()))
        else:
            sampler.panic()
        sampler.collect()


def final_state(sampler: Sampler) -> tuple[object, ...]:
    """What is left after everything was let go but a last chord."""
    sampler.panic()
    sampler.set_sustain(False)
    sampler.load(instrument(looped_sine(60, 0.2)))
    render(sampler, 4096)
    for note in (60, 64, 67):
        sampler.note_on(note, 100)
    render(sampler, RATE)
    sampler.collect()
    state = sampler._state
    return (
        playing_keys(sampler),
        state["bend_target"],
        state["mod_target"],
        state["sustain"],
        state["one_shot"],
        sampler.meters().waiting_events,
        len(sampler._frames),
        int(state["recordings"]["users"].sum()),
        render(sampler, 4096)[0, -1] != 0,
    )


def test_concurrent_is_serial() -> None:
    serial = loaded(looped_sine())
    play_at_random(serial, 5, 3000)
    concurrent = loaded(looped_sine())
    concurrent.compile()
    stop = threading.Event()
    broken: list[float] = []

    def audio() -> None:
        out = np.empty((2, 64), np.float32)
        while not stop.is_set():
            concurrent.render(out)
            if not np.abs(out).max() <= 1.0:
                broken.append(float(np.abs(out).max()))

    thread = threading.Thread(target=audio)
    thread.start()
    play_at_random(concurrent, 5, 3000)
    stop.set()
    thread.join()
    assert not broken
    assert concurrent.meters().blocks > 10
    assert final_state(concurrent) == final_state(serial)


def soak(seconds: int) -> None:
    """Simulated time: notes, bends, swaps and pad moves at random, all laws looked at."""
    rng = np.random.default_rng(seconds)
    sampler = loaded(looped_sine())
    out = np.empty((2, 256), np.float32)
    for block in range(seconds * RATE // 256):
        if rng.random() < 0.2:
            play_at_random(sampler, block, int(rng.integers(1, 12)))
        sampler.render(out)
        assert np.abs(out).max() <= 1.0  # also false for NaN
        assert sampler.meters().active_voices <= 64
        assert len(sampler._frames) < 200
    assert final_state(sampler)[5:] == (0, 1, 3, True)


def test_ten_seconds_leave_nothing_behind() -> None:
    soak(10)


@pytest.mark.slow
def test_ten_minutes_leave_nothing_behind() -> None:
    soak(600)


# --- refusals ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.note_on(128, 100), "Note 128 is outside 0-127."),
        (lambda s: s.note_on(60, 128), "Velocity 128 is outside 0-127."),
        (lambda s: s.note_off(-1), "Note -1 is outside 0-127."),
        (lambda s: s.set_pitch_bend(25), "Pitch bend 25 semitones is outside -24-24 semitones."),
        (lambda s: s.set_mod_wheel(float("nan")), "Mod wheel nan is outside 0-1."),
        (lambda s: s.set_gain(-1), "Gain -1 is outside 0-16."),
        (lambda s: s.load(None, crossfade_s=2), "Crossfade 2 s is outside 0-1 s."),
        (lambda s: s.set_zone(looped_sine(), 0), "Sample rate 0 Hz is outside 8000-192000 Hz."),
        (lambda s: s.render(np.zeros((1, 5), np.float32)), r"shape \(1, 5\) cannot be filled"),
        (lambda s: s.render(np.zeros((2, 5))), "A block of float64"),
        (lambda s: Sampler(100), "Sample rate 100 Hz is outside 8000-192000 Hz."),
        (lambda s: Sampler(RATE, voices=65), "Number of voices 65 is outside 1-64."),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[Sampler], None], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call(Sampler(RATE))


def test_more_recordings_than_there_is_room_for_are_refused() -> None:
    sampler = Sampler(RATE)
    small = region(sine(441.0, 4))
    many = Instrument(
        name="many",
        sample_rate=RATE,
        regions=tuple(
            Region(root_note=k, low_key=k, high_key=k, samples=small.samples) for k in range(128)
        ),
    )
    for _ in range(32):
        sampler.load(many)
    with pytest.raises(ParameterError, match="128 more recordings do not fit"):
        sampler.load(many)
    render(sampler, 64)
    sampler.load(many)
    assert len(sampler._frames) <= 256


def test_making_a_sampler_compiles_nothing() -> None:
    assert Sampler(RATE)._callback is None
