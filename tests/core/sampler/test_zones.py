from __future__ import annotations

import numpy as np
import pytest

from core.instrument import Loop, Region
from core.sampler.layout import SILENCE
from core.sampler.zones import KeyMap, Zone, lay_out
from tests.core.sampler.playing import RATE, region, sine


def zone(
    recording: int,
    root: int,
    keys: tuple[int, int] = (0, 127),
    velocities: tuple[int, int] = (1, 127),
    turn: int = 1,
) -> Zone:
    return Zone(
        recording=recording,
        root_note=root,
        low_key=keys[0],
        high_key=keys[1],
        low_velocity=velocities[0],
        high_velocity=velocities[1],
        round_robin=turn,
    )


def test_ranges_decide_unless_the_nearest_root_does() -> None:
    zones = (zone(0, 48, (0, 40)), zone(1, 60, (41, 127)))
    assert KeyMap(zones=zones).choose(47, 100, 0) == 1
    assert KeyMap(zones=zones, is_nearest=True).choose(47, 100, 0) == 0


def test_of_two_equally_near_roots_the_lower_answers() -> None:
    nearest = KeyMap(zones=(zone(1, 62), zone(0, 58), zone(2, 64)), is_nearest=True)
    assert [nearest.choose(key, 100, 0) for key in (60, 61, 63, 64, 127)] == [0, 1, 1, 2, 2]


def test_velocity_layers_and_turns_are_honoured() -> None:
    zones = tuple(
        zone(2 * layer + turn, 60, velocities=[(1, 79), (80, 127)][layer], turn=turn + 1)
        for layer in range(2)
        for turn in range(2)
    )
    for is_nearest in (False, True):
        keys = KeyMap(zones=zones, is_nearest=is_nearest)
        assert [keys.choose(60, 79, turn) for turn in range(4)] == [0, 1, 0, 1]
        assert [keys.choose(60, 80, turn) for turn in range(4)] == [2, 3, 2, 3]


def test_what_nothing_answers_is_silent() -> None:
    for is_nearest in (False, True):
        assert KeyMap(is_nearest=is_nearest).choose(60, 100, 0) == SILENCE
        soft = KeyMap(zones=(zone(0, 60, (50, 60), (1, 50)),), is_nearest=is_nearest)
        assert soft.choose(60, 51, 0) == SILENCE
    assert KeyMap(zones=(zone(0, 60, (50, 60)),)).choose(61, 100, 0) == SILENCE


@pytest.mark.parametrize(("start", "end"), [(64, 100), (500, 1500)])
def test_a_loop_is_the_same_on_both_sides_of_its_wrap(start: int, end: int) -> None:
    margin = 96
    rng = np.random.default_rng(1)
    samples = rng.uniform(-1, 1, (2, 2000)).astype(np.float32)
    looped = Region(
        root_note=60, low_key=0, high_key=127, samples=samples, loop=Loop(start=start, end=end)
    )
    layout = lay_out(looped, RATE, margin)
    turns = [samples[:, :end]] + [samples[:, start:end]] * (2 + margin // (end - start))
    unrolled = np.concatenate(turns, axis=1)
    frames = layout.frames[:, margin:]
    np.testing.assert_array_equal(frames, unrolled[:, : frames.shape[1]])
    assert layout.loop_length == end - start
    # Around the end and one turn earlier interpolation reads the same.
    reach = min(margin, end - start)
    at_end = layout.frames[:, margin + layout.end - reach :][:, : reach + margin]
    before = layout.frames[:, margin + layout.end - (end - start) - reach :][:, : reach + margin]
    np.testing.assert_array_equal(at_end, before)


def test_an_end_that_stops_loud_is_faded_and_nothing_else_is_touched() -> None:
    samples = np.full((1, 1000), 0.5, np.float32)
    layout = lay_out(region(samples), RATE, 32)
    faded = layout.frames[0, 32:-32]
    np.testing.assert_array_equal(faded[:900], samples[0, :900])
    assert faded[-1] < 0.001
    assert not layout.starts_silent
    assert (samples == 0.5).all()
    quiet = lay_out(region(sine(441.0, 101)), RATE, 32)
    np.testing.assert_array_equal(quiet.frames[:, 32:-32], sine(441.0, 101))
    assert quiet.starts_silent
