from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.instrument import Envelope, Instrument, Loop, PadInstrument, Region, tile_zones

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
        ({"round_robin": 0}, "Round robin 0"),
        ({"round_robin": 17}, "1-16"),
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
        ({"regions": ()}, "no regions"),
    ],
)
def test_instruments_refuse_nonsense(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        instrument(region(), **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"release_s": 0.0}, r"Release 0\.0 s is outside 0\.001-20 s"),
        ({"attack_s": -0.1}, "Attack"),
        ({"decay_s": 21.0}, "Decay 21"),
        ({"sustain": 1.5}, r"Sustain 1\.5 is outside 0-1\."),
        ({"sustain": math.nan}, "nan"),
    ],
)
def test_envelopes_refuse_nonsense(changes: dict[str, float], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        Envelope(**changes)


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


def test_round_robins_are_counted() -> None:
    assert instrument(region()).round_robins == 1
    assert instrument(region(round_robin=2), region()).round_robins == 2


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ([{"round_robin": 2, "high_key": 60}], "Key 61 .* has no alternative 2 of 2"),
        ([{"round_robin": 3}], "Key 0 .* has no alternative 2 of 3"),
        ([{"round_robin": 2}, {"round_robin": 2, "root_note": 50}], "answered by 2"),
    ],
)
def test_every_key_needs_every_turn(others: list[dict[str, object]], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        instrument(region(), *(region(**other) for other in others))


def test_turns_may_split_the_keys_differently() -> None:
    low, high = region(root_note=48, high_key=60), region(low_key=61)
    assert instrument(low, high, region(round_robin=2)).round_robins == 2


def pad(*points: Instrument, **changes: object) -> PadInstrument:
    defaults = {"name": "Pad", "columns": len(points), "rows": 1, "points": points}
    return PadInstrument(**(defaults | changes))


def test_a_pad_knows_its_points_by_place() -> None:
    points = [instrument(region(), name=name) for name in "abcdef"]
    made = pad(*points, columns=3, rows=2)
    assert [made.point(column, row).name for column, row in made.places] == list("abcdef")
    assert made.point(2, 0).name == "c"
    assert made.point(0, 1).name == "d"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "name"),
        ({"columns": 6}, "6x1"),
        ({"columns": 1}, "1x1"),
        ({"columns": 3}, "2 instruments were given for a pad of 3x1"),
        ({"x": 1.5}, "x = 1.5"),
        ({"y": math.nan}, "y = nan"),
    ],
)
def test_pads_refuse_nonsense(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        pad(instrument(region()), instrument(region()), **changes)


@pytest.mark.parametrize(
    "other",
    [
        instrument(region(), name="Other", sample_rate=48000),
        instrument(region(), name="Other", envelope=Envelope(release_s=1.0)),
        instrument(region(root_note=61), name="Other"),
        instrument(region(high_velocity=100), name="Other"),
        instrument(region(), region(round_robin=2), name="Other"),
    ],
)
def test_points_of_a_pad_differ_in_sound_only(other: Instrument) -> None:
    with pytest.raises(ParameterError, match="'Other' and 'Test' differ"):
        pad(instrument(region()), other)


def test_a_pad_tells_common_provenance_from_its_points_own() -> None:
    points = [
        instrument(region(), provenance={"model": "abc", "weights": weights, **extra})
        for weights, extra in (("1,0", {}), ("0,1", {"note": "x"}))
    ]
    made = pad(*points)
    assert made.provenance == {"model": "abc"}
    assert made.own_provenance(1) == {"weights": "0,1", "note": "x"}


def test_an_instrument_is_not_changed_from_outside() -> None:
    provenance = {"model": "abc"}
    made = instrument(region(), provenance=provenance)
    provenance["model"] = "changed"
    assert made.provenance == {"model": "abc"}
    with pytest.raises(TypeError):
        made.provenance["model"] = "x"  # type: ignore[index]
    assert dataclasses.replace(made, name="Other").provenance == {"model": "abc"}
