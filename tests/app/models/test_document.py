from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.audio_store import audio_hash
from app.models.document import Document
from app.models.edits import add_source, move_cursor, move_source, remove_source, rename_source
from app.models.session import Session
from app.models.session_file import SessionContents, load_session, save_session
from core.errors import ParameterError
from tests.app.models.sessions import CLIPS, EDITS, HASHES, Edit, make_clip


def with_bell() -> Document:
    document = Document()
    session = add_source(document.session, audio_hash=HASHES[0], name="bell")
    document.edit("Import bell", session, clips=CLIPS)
    return document


@given(st.lists(EDITS, min_size=1, max_size=12))
def test_undoing_all_edits_and_redoing_them(edits: list[Edit]) -> None:
    document = Document()
    states = [document.session]
    for edit in edits:
        document.edit("Edit", edit(document.session), clips=CLIPS)
        if document.session != states[-1]:
            states.append(document.session)
    for state in reversed(states):
        assert document.session == state
        document.undo()
    assert not document.is_dirty
    for state in states:
        assert document.session == state
        document.redo()
    document.go_to(0)
    assert document.session == Session()


def test_listeners_hear_old_and_new() -> None:
    document, heard = with_bell(), []
    end = document.subscribe(lambda old, new: heard.append((old, new)))
    before = document.session
    document.edit("Move cursor", move_cursor(before, 0.1, 0.2))
    after = document.session
    document.undo()
    document.redo()
    assert heard == [(before, after), (after, before), (before, after)]
    end()
    document.undo()
    assert len(heard) == 3


def test_a_listener_may_edit_and_all_hear_changes_in_order() -> None:
    document, heard = with_bell(), []

    def rename(old: Session, new: Session) -> None:
        if new.sources[0].name == "bell":
            document.edit("Rename", rename_source(new, "s1", "gong"))

    document.subscribe(rename)
    document.subscribe(lambda old, new: heard.append((old.x, new.x, new.sources[0].name)))
    document.edit("Move cursor", move_cursor(document.session, 0.1, 0.2))
    assert heard == [(0.5, 0.1, "bell"), (0.1, 0.1, "gong")]


def test_a_failing_listener_does_not_silence_the_next_change() -> None:
    document, heard = with_bell(), []

    def fail(old: Session, new: Session) -> None:
        raise RuntimeError

    end = document.subscribe(fail)
    document.subscribe(lambda old, new: heard.append(new.x))
    with pytest.raises(RuntimeError):
        document.edit("Move cursor", move_cursor(document.session, 0.1, 0.2))
    end()
    document.edit("Move cursor", move_cursor(document.session, 0.2, 0.2))
    assert heard == [0.2]


def test_a_drag_is_one_step() -> None:
    document = with_bell()
    for x in (0.1, 0.2, 0.3):
        document.edit("Move bell", move_source(document.session, "s1", x, 0.0), merge_key="s1")
    document.end_gesture()
    document.edit("Move bell", move_source(document.session, "s1", 0.9, 0.0), merge_key="s1")
    assert document.history.labels == ("Import bell", "Move bell", "Move bell")
    document.undo()
    assert document.session.source("s1").x == 0.3
    document.undo()
    assert document.session.source("s1").x == 0.2  # its first spot


def test_audio_lives_as_long_as_a_state_that_uses_it() -> None:
    document, clip = Document(), make_clip(9)
    key, alive = audio_hash(clip), weakref.ref(clip.samples)
    session = add_source(document.session, audio_hash=key, name="bell")
    document.edit("Import", session, clips={key: clip})
    del clip
    document.edit("Remove", remove_source(document.session, "s1"))
    document.undo()
    assert key in document.clips
    document.undo()
    document.edit("Other", move_cursor(document.session, 0.0, 0.0))  # nothing to redo any more
    gc.collect()
    assert alive() is None


def test_an_edit_without_its_audio_changes_nothing() -> None:
    document, heard = with_bell(), []
    document.subscribe(lambda old, new: heard.append(new))
    session = document.session
    with pytest.raises(ParameterError, match="missing"):
        document.edit("Import", add_source(session, audio_hash="f" * 64, name="gong"))
    assert document.session is session
    assert heard == []


def save(document: Document, path: Path) -> None:
    save_session(path, document.session, document.clips)
    document.mark_saved(path, document.session)


def test_saving_opening_and_the_dirty_mark(tmp_path: Path) -> None:
    document, path = with_bell(), tmp_path / "bell.hgs"
    assert document.is_dirty
    save(document, path)
    assert (document.path, document.is_dirty) == (path, False)
    saved = document.session
    document.edit("Move cursor", move_cursor(saved, 0.0, 0.0))
    assert document.is_dirty
    document.undo()
    assert not document.is_dirty

    other = with_bell()
    other.show(load_session(path), path)
    assert (other.session, other.path, other.is_dirty) == (saved, path, False)
    assert other.history.labels == ()
    assert set(other.clips) == {HASHES[0]}
    other.new()
    assert (other.session, other.path, other.is_dirty) == (Session(), None, False)
    assert not other.clips


def test_what_changed_while_another_thread_saved_stays_dirty(tmp_path: Path) -> None:
    document = with_bell()
    written = document.session
    document.edit("Move cursor", move_cursor(written, 0.0, 0.0))
    document.mark_saved(tmp_path / "a.hgs", written)
    assert document.is_dirty
    document.undo()
    assert not document.is_dirty


def test_a_recovered_session_is_dirty_at_its_old_path(tmp_path: Path) -> None:
    document = with_bell()
    save(document, tmp_path / "bell.hgs")
    contents = load_session(tmp_path / "bell.hgs")
    crashed = SessionContents(
        session=contents.session, clips=contents.clips, origin=tmp_path / "mine.hgs"
    )
    recovered, dirty = Document(), []
    recovered.subscribe(lambda old, new: dirty.append(recovered.is_dirty))
    recovered.recover(crashed)
    assert recovered.session == document.session
    assert recovered.path == tmp_path / "mine.hgs"
    assert recovered.is_dirty
    assert dirty[-1]
