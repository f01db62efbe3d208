from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import edits
from app.models.pad import session_weights
from app.models.session import MAX_AUDIBLE, MAX_NAME_LENGTH, MAX_SOURCES, Session
from core.errors import ParameterError
from tests.app.models.sessions import EDITS, HASHES, SESSIONS, UNIT, Edit

# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0: linear RGB to linear RGB.
COLOUR_VISIONS = {
    "all": np.eye(3),
    "no red": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no green": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def with_sources(count: int) -> Session:
    session = Session()
    for number in range(count):
        session = edits.add_source(session, audio_hash=HASHES[number % 3], name=f"sound {number}")
    return session


def weights(session: Session) -> dict[str, float]:
    return session_weights(session, session.x, session.y)


def lab(colour: str, vision: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as some eyes see it."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(vision @ linear, 0.0, 1.0)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratios = np.array(to_xyz) @ seen / [0.9505, 1.0, 1.089]
    f = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16.0 / 116.0)
    return np.array([116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", COLOUR_VISIONS)
def test_any_eyes_tell_the_colours_apart(vision: str) -> None:
    seen = [lab(colour, COLOUR_VISIONS[vision]) for colour in edits.COLOURS]
    # 2.3 is a just noticeable difference.
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 7 * 2.3


def test_eight_sources_differ_in_colour_and_place() -> None:
    session = with_sources(8)
    assert len({source.colour for source in session.sources}) == 8
    assert len({(source.x, source.y) for source in session.sources}) == 8
    near = min(np.hypot(a.x - b.x, a.y - b.y) for a, b in combinations(session.sources, 2))
    assert near > 0.25
    assert [s.colour for s in with_sources(10).sources[8:]] == list(edits.COLOURS[:2])


def test_a_freed_colour_is_used_again() -> None:
    session = edits.remove_source(with_sources(5), "s2")
    session = edits.add_source(session, audio_hash=HASHES[0], name="new")
    assert session.sources[-1].colour == edits.COLOURS[1]


def test_the_ninth_source_comes_in_muted() -> None:
    session = with_sources(9)
    assert [source.muted for source in session.sources] == [False] * 8 + [True]
    with pytest.raises(ParameterError, match="mute another"):
        edits.set_muted(session, "s9", False)
    session = edits.set_muted(edits.set_muted(session, "s1", True), "s9", False)
    assert weights(session)["s1"] == 0.0
    assert edits.duplicate_source(session, "s2").sources[2].muted


def test_a_full_shelf_is_said() -> None:
    session = with_sources(MAX_SOURCES)
    with pytest.raises(ParameterError, match="remove some"):
        edits.add_source(session, audio_hash=HASHES[0], name="one more")


@given(SESSIONS, EDITS)
def test_any_edit_of_any_session_keeps_the_rules(session: Session, edit: Edit) -> None:
    after = edit(session)  # every constructor checks
    assert sum(not source.muted for source in after.sources) <= MAX_AUDIBLE
    assert edit(session) == after


@given(SESSIONS.filter(lambda session: session.sources), st.data())
def test_edits_of_one_source_leave_all_else(session: Session, data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(session.sources))
    for edit in (
        lambda: edits.rename_source(session, target.id, "another"),
        lambda: edits.move_source(session, target.id, 0.123, 0.456),
        lambda: edits.set_root(session, target.id, 61.5),
        lambda: edits.set_fit(session, target.id, 20),
        lambda: edits.trim_source(session, target.id, 0.01, None),
        lambda: edits.set_muted(session, target.id, True),
        lambda: edits.set_soloed(session, target.id, not target.soloed),
    ):
        after = edit()
        others = [source for source in session.sources if source is not target]
        assert [source for source in after.sources if source.id != target.id] == others
        assert replace(after, sources=session.sources) == session


def test_source_edits_do_what_they_say() -> None:
    session = with_sources(2)
    edited = edits.rename_source(session, "s1", "  a\tbell ")
    edited = edits.recolour_source(edited, "s1", "#ABCDEF")
    edited = edits.move_source(edited, "s1", -3.0, 0.25)
    edited = edits.trim_source(edited, "s1", 0.1, 0.5)
    edited = edits.shift_octave(edited, "s1", 1, detected=60.2)
    edited = edits.shift_octave(edited, "s1", -2, detected=0.0)
    edited = edits.set_soloed(edited, "s1", True)
    source = edited.source("s1")
    assert (source.name, source.colour, source.x, source.y) == ("a bell", "#abcdef", 0.0, 0.25)
    assert (source.start_s, source.end_s, source.soloed) == (0.1, 0.5, True)
    assert source.root == pytest.approx(48.2)
    assert edits.set_root(edited, "s1", None).source("s1").root is None
    with pytest.raises(ParameterError, match="Root note"):
        edits.shift_octave(session, "s1", 6, detected=60.0)
    with pytest.raises(ParameterError, match="'s7'"):
        edits.move_source(session, "s7", 0.0, 0.0)


def test_order_on_the_shelf() -> None:
    session = with_sources(4)
    ids = [source.id for source in edits.reorder_source(session, "s1", 2).sources]
    assert ids == ["s2", "s3", "s1", "s4"]
    assert [s.id for s in edits.reorder_source(session, "s1", 99).sources][-1] == "s1"
    assert edits.reorder_source(session, "s3", 2) == session


def test_a_copy_lies_beside_its_original() -> None:
    session = edits.move_source(with_sources(3), "s2", 0.99, 0.5)
    copy = edits.duplicate_source(session, "s2").sources[2]
    original = session.source("s2")
    assert copy.id not in {source.id for source in session.sources}
    assert copy.recording == original.recording
    assert copy.colour != original.colour
    assert 0.02 < np.hypot(copy.x - original.x, copy.y - original.y) < 0.1


@given(st.floats(-2.0, 3.0), st.floats(-2.0, 3.0))
def test_the_cursor_never_leaves_the_pad(x: float, y: float) -> None:
    session = edits.move_cursor(Session(), x, y)
    assert (session.x, session.y) == (min(1.0, max(0.0, x)), min(1.0, max(0.0, y)))


@given(st.text())
def test_any_text_becomes_a_name(text: str) -> None:
    name = edits.display_name(text)
    assert 1 <= len(name) <= MAX_NAME_LENGTH
    assert name.isprintable()
    assert edits.display_name(name) == name


@given(SESSIONS, st.lists(EDITS, max_size=6), st.integers(0, 7))
def test_a_recalled_snapshot_sounds_as_it_was_stored(
    session: Session, changes: list[Edit], slot: int
) -> None:
    stored = edits.store_snapshot(session, slot)
    changed = stored
    for change in changes:
        changed = change(changed)
    if changed.snapshots[slot] != stored.snapshots[slot]:
        return  # an edit stored or cleared the same slot
    recalled = edits.recall_snapshot(changed, slot)
    sounding = {key: weight for key, weight in weights(recalled).items() if weight}
    assert sounding == pytest.approx({k: w for k, w in weights(session).items() if w})
    for key in sounding:
        assert recalled.source(key).recording == session.source(key).recording
    assert recalled.settings == session.settings
    assert recalled.one_instrument == session.one_instrument
    assert recalled.envelope == session.envelope


def test_recalling_keeps_names_and_newer_sources_and_brings_removed_ones_back() -> None:
    session = edits.store_snapshot(with_sources(2), 0, "warm")
    session = edits.rename_source(session, "s1", "renamed")
    session = edits.remove_source(session, "s2")
    session = edits.add_source(session, audio_hash=HASHES[2], name="newer")
    assert session.sources[-1].id == "s3"  # s2 still means the snapshot's
    recalled = edits.recall_snapshot(session, 0)
    assert [(s.name, s.muted) for s in recalled.sources] == [
        ("renamed", False),
        ("newer", True),
        ("sound 1", False),
    ]


def test_a_snapshot_becomes_a_source() -> None:
    session = edits.store_snapshot(with_sources(2), 3, "warm")
    bred = edits.add_snapshot_source(session, 3, audio_hash=HASHES[2], root=60.0, place=(0.1, 0.9))
    source = bred.sources[-1]
    assert (source.name, source.root, source.x, source.y) == ("warm", 60.0, 0.1, 0.9)
    assert source.audio_hash == HASHES[2]


def test_empty_and_missing_slots_are_said() -> None:
    with pytest.raises(ParameterError, match="Snapshot 1 is empty"):
        edits.recall_snapshot(Session(), 0)
    with pytest.raises(ParameterError, match="slot 8"):
        edits.store_snapshot(Session(), 8)
    with pytest.raises(ParameterError, match="slot -1"):
        edits.clear_snapshot(Session(), -1)
    stored = edits.store_snapshot(Session(), 5)
    assert stored.snapshots[5].name == "Snapshot 6"
    assert edits.clear_snapshot(stored, 5) == Session()


@given(UNIT, UNIT)
def test_a_dropped_source_lies_where_it_was_dropped(x: float, y: float) -> None:
    session = edits.add_source(Session(), audio_hash=HASHES[0], name="bell", place=(x, y))
    assert (session.sources[0].x, session.sources[0].y) == (x, y)
