from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.instrument import Instrument, Loop, Region, tile_zones

NOTES = st.lists(st.integers(0, 127), min_size=1, max_size=128, unique=True)


def region(**changes: object) -> Region:
    defaults = {
        "root_note": 60,
        "low_key": 0,
        "high_key": 127,
        "samples": np.full((1, 500), 0.5, np.float32),
    }
    return Region(**(defaults | changes))


def instrument(*regions: Region, **changes: object) -> Instrument:
    return Instrument(**({"name": "Test", "sample_rate": 44100, "regions": regions} | changes))


@given(NOTES)
def test_each_key_belongs_to_the_nearest_root_and_to_no_other(roots: list[int]) -> None:
    zones = tile_zones(roots)
    for key in range(128):
        owners = [
            root for root, (low, high) in zip(roots, zones, strict=True) if low <= key <= high
        ]
        nearest = min(roots, key=lambda root: (abs(root - key), root))
        assert owners == [nearest]


@given(NOTES, st.randoms())
def test_order_of_roots_does_not_matter(roots: list[int], random: object) -> None:
    shuffled = sorted(roots, key=lambda _: random.random())
    assert dict(zip(roots, tile_zones(roots), strict=True)) == dict(
        zip(shuffled, tile_zones(shuffled), strict=True)
    )


def test_zones_are_split_half_way() -> None:
    assert tile_zones([60]) == [(0, 127)]
    assert tile_zones([36, 39, 42]) == [(0, 37), (38, 40), (41, 127)]
    zones = tile_zones(range(128))
    assert all(low == high for low, high in zones)
    assert all(a[1] + 1 == b[0] for a, b in pairwise(zones))


@pytest.mark.parametrize(
    ("roots", "says"),
    [([], "No root"), ([60, 60], "60 is given twice"), ([128], "128"), ([-1], "-1")],
)
def test_impossible_roots_are_named(roots: list[int], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        tile_zones(roots)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"root_note": 128}, "Root note 128"),
        ({"low_key": 61, "high_key": 60}, "61-60"),
        ({"high_key": 128}, "0-128"),
        ({"low_velocity": 0}, "0-127"),
        ({"low_velocity": 90, "high_velocity": 80}, "90-80"),
        ({"samples": np.zeros(500, np.float32)}, "shape"),
        ({"samples": np.zeros((3, 500), np.float32)}, "channels"),
        ({"samples": np.zeros((1, 500))}, "float64"),
        ({"samples": np.zeros((1, 0), np.float32)}, "no samples"),
        ({"samples": np.full((1, 500), np.nan, np.float32)}, "nan"),
        ({"samples": np.full((1, 500), np.inf, np.float32)}, "inf"),
        ({"samples": np.full((1, 500), -1.25, np.float32)}, "1.25"),
        ({"loop": Loop(start=100, end=493)}, "493 of 500"),
    ],
)
def test_regions_refuse_what_no_sampler_can_play(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        region(**changes)


def test_a_loop_may_end_just_far_enough_from_the_end() -> None:
    loop = Loop(start=64, end=492)
    assert region(loop=loop).loop == loop
    assert loop.length == 428


@pytest.mark.parametrize(
    ("start", "end", "says"), [(63, 200, "frame 63"), (100, 131, "31 frames"), (200, 100, "-100")]
)
def test_loops_leave_room_for_interpolation(start: int, end: int, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        Loop(start=start, end=end)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": " "}, "name"),
        ({"sample_rate": 0}, "Sample rate 0"),
        ({"release_s": 0.0}, "Release 0.0"),
        ({"regions": ()}, "no regions"),
    ],
)
def test_instruments_refuse_nonsense(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        instrument(region(), **changes)


def test_overlapping_regions_are_refused_with_key_and_velocity() -> None:
    low = region(root_note=48, high_key=60)
    high = region(low_key=60)
    with pytest.raises(ParameterError, match="Key 60 at velocity 1 is answered by 2"):
        instrument(low, high)


def test_the_same_recording_twice_is_refused() -> None:
    with pytest.raises(ParameterError, match="Note 60 up to velocity 127 is recorded 2"):
        instrument(region(high_key=50), region(low_key=51))


def test_velocity_layers_share_keys() -> None:
    soft, loud = region(high_velocity=80), region(low_velocity=81)
    assert instrument(loud, soft).velocity_layers == ((1, 80), (81, 127))


def test_an_instrument_is_not_changed_from_outside() -> None:
    provenance = {"model": "abc"}
    made = instrument(region(), provenance=provenance)
    provenance["model"] = "changed"
    assert made.provenance == {"model": "abc"}
    with pytest.raises(TypeError):
        made.provenance["model"] = "x"  # type: ignore[index]
    assert dataclasses.replace(made, name="Other").provenance == {"model": "abc"}
