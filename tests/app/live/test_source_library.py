from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.live.first_listen import hear
from app.live.messages import Message
from app.live.source_library import SourceLibrary, fit_key
from app.models import edits
from app.models.audio_store import audio_hash
from app.models.document import Document
from app.models.session import Session
from app.models.session_file import SessionContents
from core.audio.files import AudioClip, read_audio
from core.errors import AudioFileError, DeviceError
from core.sound import Timbre
from tests.app.live.conftest import Shelf
from tests.app.program import WAIT_MS, MixEngine, write_tone


def test_a_source_is_heard_and_then_analysed(
    qtbot: QtBot, document: Document, library: SourceLibrary, shelf: Shelf
) -> None:
    known: list[tuple[bool, bool]] = []

    def look() -> None:
        source = document.session.sources[0]
        known.append((library.first_listen(source) is not None, library.timbre(source) is not None))

    library.changed.connect(look)
    shelf.add("a", 57.0)
    assert known == [(True, False), (True, True)]
    heard = library.first_listen(document.session.sources[0])
    assert heard is not None
    assert heard.root_pitch == pytest.approx(57.0, abs=0.1)


def test_a_source_that_is_edited_is_known_as_it_was_until_it_is_listened_to(
    document: Document, library: SourceLibrary, shelf: Shelf
) -> None:
    source_id = shelf.add("a", 57.0)
    before = library.timbre(document.session.source(source_id))
    document.edit("Root", edits.set_root(document.session, source_id, 45.0))
    edited = document.session.source(source_id)
    assert library.timbre(edited) is before
    shelf.wait_known()
    heard, timbre = library.first_listen(edited), library.timbre(edited)
    assert heard is not None
    assert timbre is not None
    assert (heard.root_pitch, timbre.root_pitch) == (45.0, 45.0)
    document.undo()
    assert library.timbre(document.session.source(source_id)) is before  # at once


def test_another_session_knows_nothing_of_sources_with_the_same_ids(
    document: Document, library: SourceLibrary, shelf: Shelf, tmp_path: Path
) -> None:
    source_id = shelf.add("a", 57.0)
    assert library.timbre(document.session.source(source_id)) is not None
    clip = read_audio(write_tone(tmp_path / "b.wav", 64.0, 0.3))
    key = audio_hash(clip)
    other = edits.add_source(Session(), audio_hash=key, name="b")
    assert other.sources[0].id == source_id
    document.new(SessionContents(session=other, clips={key: clip}))
    (source,) = other.sources
    assert (library.first_listen(source), library.timbre(source)) == (None, None)
    shelf.wait_known()
    heard = library.first_listen(source)
    assert heard is not None
    assert heard.root_pitch == pytest.approx(64.0, abs=0.1)


def test_what_was_heard_elsewhere_is_not_heard_again(
    document: Document,
    library: SourceLibrary,
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def learn(_before: Session, after: Session) -> None:
        source = after.sources[0]
        library.learn(source.recording, hear(document.clips[source.audio_hash], 50.0))

    monkeypatch.setattr("app.live.source_library.hear", _never)
    document._listeners.insert(0, learn)  # before the library, as the importer does
    shelf.add("a", 57.0)
    heard = library.first_listen(document.session.sources[0])
    assert heard is not None
    assert heard.root_pitch == 50.0


def _never(*_arguments: object) -> object:
    raise AssertionError("It was heard already.")


def test_what_cannot_be_analysed_is_said(
    document: Document,
    library: SourceLibrary,
    shelf: Shelf,
    engine: MixEngine,
    said: list[Message],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_clip: AudioClip, *, root: float | None = None) -> Timbre:
        raise AudioFileError("There is too little sound in 'a'.")

    monkeypatch.setattr(engine, "analyze", refuse)
    shelf.add("a", 57.0)
    assert [each.text for each in said] == ["There is too little sound in 'a'."]
    source = document.session.sources[0]
    assert library.first_listen(source) is not None
    assert library.timbre(source) is None


def test_a_fit_is_told_step_by_step_and_takes_the_place_of_the_timbre(
    qtbot: QtBot, document: Document, library: SourceLibrary, shelf: Shelf
) -> None:
    source_id = shelf.add("a", 57.0)
    plain = library.timbre(document.session.source(source_id))
    steps: list[int] = []
    library.fitting_changed.connect(
        lambda: steps.append(-1 if library.fitting is None else library.fitting.done)
    )
    document.edit("Fit", edits.set_fit(document.session, source_id, 3))
    source = document.session.source(source_id)
    assert library.is_fit_awaited(source)
    qtbot.waitUntil(lambda: not library.is_fit_awaited(source), timeout=WAIT_MS)
    fitted = library.timbre(source)
    assert fitted is not None
    assert fitted is not plain
    assert fitted.fitted
    assert steps == [0, 1, 2, 3, -1]
    document.undo()
    assert library.timbre(document.session.source(source_id)) is plain


def test_a_fit_that_is_wanted_no_more_is_cancelled(
    qtbot: QtBot, document: Document, library: SourceLibrary, shelf: Shelf, engine: MixEngine
) -> None:
    source_id = shelf.add("a", 57.0)

    begun, cancelled = threading.Event(), []

    def hold(cancel: threading.Event | None) -> None:
        assert cancel is not None
        begun.set()
        cancelled.append(cancel.wait(WAIT_MS / 2000))

    engine.before_step = hold
    document.edit("Fit", edits.set_fit(document.session, source_id, 3))
    source = document.session.source(source_id)
    assert begun.wait(WAIT_MS / 1000)
    document.undo()
    qtbot.waitUntil(lambda: library.fitting is None, timeout=WAIT_MS)
    assert cancelled == [True]
    assert fit_key(source) not in library._fits
    assert not library.has_fit_failed(source)


def test_a_fit_that_fails_is_said_once(
    qtbot: QtBot,
    document: Document,
    library: SourceLibrary,
    shelf: Shelf,
    engine: MixEngine,
    said: list[Message],
) -> None:
    source_id = shelf.add("a", 57.0)

    def fail(_cancel: threading.Event | None) -> None:
        raise DeviceError("Memory ran out.")

    engine.before_step = fail
    document.edit("Fit", edits.set_fit(document.session, source_id, 3))
    source = document.session.source(source_id)
    qtbot.waitUntil(lambda: library.has_fit_failed(source), timeout=WAIT_MS)
    assert not library.is_fit_awaited(source)
    assert ["Memory ran out." in each.text for each in said] == [True]


def test_only_so_many_recordings_are_remembered(
    document: Document, library: SourceLibrary, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.source_library.KEPT", 2)
    source_id = shelf.add("a", 57.0)
    first = document.session.source(source_id)
    for root in (40.0, 41.0):
        document.edit("Root", edits.set_root(document.session, source_id, root))
        shelf.wait_known()
    assert first.recording not in library._timbres.facts
    assert document.session.source(source_id).recording in library._timbres.facts


def test_sources_are_analysed_as_they_are_trimmed(
    document: Document, library: SourceLibrary, shelf: Shelf, engine: MixEngine, tmp_path: Path
) -> None:
    lengths: list[float] = []
    analyze = engine.analyze

    def note(clip: AudioClip, *, root: float | None = None) -> Timbre:
        lengths.append(clip.length_s)
        return analyze(clip, root=root)

    engine.analyze = note  # type: ignore[method-assign]
    source_id = shelf.add("a", 57.0)
    document.edit("Trim", edits.trim_source(document.session, source_id, 0.1, 0.2))
    shelf.wait_known()
    assert lengths == [pytest.approx(0.3), pytest.approx(0.1)]
