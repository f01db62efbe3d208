from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.inference.note_cache import NoteCache
from core.instrument import Region

FRAME_BYTES = 4


def note(key: int, frames: int = 10) -> Region:
    return Region(
        root_note=key, low_key=key, high_key=key, samples=np.zeros((1, frames), np.float32)
    )


def test_what_was_put_is_found_again() -> None:
    cache = NoteCache(1000)
    region = note(60)
    cache.put("warm", 60, region)
    assert cache.get("warm", 60) is region
    assert cache.get("warm", 61) is None
    assert cache.get("cold", 60) is None


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    cache = NoteCache(3 * 10 * FRAME_BYTES)
    for key in (60, 61, 62):
        cache.put("warm", key, note(key))
    cache.get("warm", 60)
    cache.put("warm", 63, note(63))
    assert [key for key in (60, 61, 62, 63) if cache.get("warm", key) is not None] == [60, 62, 63]


def test_a_note_larger_than_the_limit_pushes_nothing_out() -> None:
    cache = NoteCache(10 * FRAME_BYTES)
    cache.put("warm", 60, note(60))
    cache.put("warm", 61, note(61, frames=11))
    assert cache.get("warm", 60) is not None
    assert cache.get("warm", 61) is None


def test_a_limit_of_nothing_keeps_nothing() -> None:
    cache = NoteCache(0)
    cache.put("warm", 60, note(60))
    assert len(cache) == cache.held_bytes == 0


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ParameterError, match="-1"):
        NoteCache(-1)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(60, 66), st.integers(1, 40))),
    st.integers(0, 100),
)
def test_it_never_holds_more_than_its_limit_and_drops_no_more_than_it_must(
    steps: list[tuple[bool, int, int]], limit_frames: int
) -> None:
    cache = NoteCache(limit_frames * FRAME_BYTES)
    expected: OrderedDict[int, int] = OrderedDict()  # frames by note, asked for last at the end
    for is_put, key, frames in steps:
        if is_put:
            cache.put("warm", key, note(key, frames))
            expected.pop(key, None)
            if frames <= limit_frames:
                expected[key] = frames
            while sum(expected.values()) > limit_frames:
                expected.popitem(last=False)
        elif cache.get("warm", key) is not None:
            expected.move_to_end(key)
        assert cache.held_bytes == sum(expected.values()) * FRAME_BYTES <= cache.limit_bytes
        assert len(cache) == len(expected)
    for key, frames in expected.items():
        kept = cache.get("warm", key)
        assert kept is not None
        assert kept.samples.shape[1] == frames
