from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.keyboard import NOTES, KeyState
from app.live.preview import DEFAULT_NOTE, STATES_MS, Preview
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.document import Document
from app.models.session_file import SessionContents
from core.errors import ParameterError
from core.instrument import Envelope
from core.sound import RenderSettings
from tests.app.live.conftest import FakePlayer, Shelf
from tests.app.program import WAIT_MS, MixEngine


def wait_complete(qtbot: QtBot, preview: Preview) -> None:
    qtbot.waitUntil(lambda: preview.is_complete, timeout=WAIT_MS)


def contents(document: Document) -> SessionContents:
    return SessionContents(session=document.session, clips=dict(document.clips))


def test_the_recording_sounds_at_once_and_notes_take_its_place(
    qtbot: QtBot, preview: Preview, player: FakePlayer, shelf: Shelf
) -> None:
    shelf.add("low", 48)
    assert player.loaded[0] is not None
    assert player.loaded[0].name == "low"
    wait_complete(qtbot, preview)
    assert {note for note, _ in player.zones} >= set(NOTES)
    assert len(player.loaded) == 1
    ready = preview.note(60)
    assert ready is not None
    assert not ready.is_draft


def test_nothing_sounds_when_nothing_is_left(
    preview: Preview, player: FakePlayer, document: Document, shelf: Shelf
) -> None:
    shelf.add("low", 48)
    document.undo()
    assert player.loaded[-1] is None
    assert preview.sound is None
    assert preview.key_states() == {}
    assert preview.loudest is None


def test_every_setting_that_is_heard_makes_another_sound(
    qtbot: QtBot, preview: Preview, document: Document, shelf: Shelf
) -> None:
    shelf.add("low", 48, (0.0, 0.5))
    shelf.add("high", 60, (1.0, 0.5))
    wait_complete(qtbot, preview)
    keys = {preview.sound.key if preview.sound else ""}
    for change in (
        edits.move_cursor(document.session, 0.3, 0.5),
        replace(document.session, settings=RenderSettings(refinement=0.4)),
        replace(document.session, one_instrument=True),
        edits.set_muted(document.session, "s1", True),
    ):
        document.edit("Change", change)
        assert preview.sound is not None
        assert preview.sound.key not in keys
        assert preview.note(60) is None
        keys.add(preview.sound.key)
        document.undo()
        keys.add(preview.sound.key if preview.sound else "")


def test_envelope_and_level_reach_the_player(
    preview: Preview, player: FakePlayer, document: Document
) -> None:
    envelope = Envelope(attack_s=0.5)
    document.edit("Envelope", replace(document.session, envelope=envelope))
    document.edit("Level", replace(document.session, gain_db=-20.0))
    assert player.done == [("envelope", envelope), ("set_gain", pytest.approx(0.1))]


def test_the_note_looked_at_is_the_root_until_one_is_played(
    preview: Preview, document: Document, shelf: Shelf
) -> None:
    assert preview.focus == DEFAULT_NOTE
    shelf.add("low", 48)
    assert preview.focus == 48
    preview.strike(70)
    assert preview.focus == 70
    document.new()
    assert preview.focus == DEFAULT_NOTE


def test_the_loudest_is_compared_until_another_is_chosen(
    qtbot: QtBot, preview: Preview, document: Document, shelf: Shelf
) -> None:
    low = shelf.add("low", 48, (0.0, 0.5))
    high = shelf.add("high", 60, (1.0, 0.5))
    told: list[str] = []
    preview.compared_changed.connect(
        lambda: told.append(preview.compared.name if preview.compared else "")
    )
    document.edit("Move", edits.move_cursor(document.session, 0.9, 0.5))
    document.edit("Move", edits.move_cursor(document.session, 0.1, 0.5))
    preview.choose(high)
    document.edit("Move", edits.move_cursor(document.session, 0.2, 0.5))
    assert told[-3:] == ["high", "low", "high"]
    assert preview.chosen == high
    document.edit("Remove", edits.remove_source(document.session, high))
    assert preview.chosen is None
    assert preview.compared == document.session.source(low)


def test_a_path_moves_the_sound_without_an_edit(
    preview: Preview, document: Document, shelf: Shelf
) -> None:
    shelf.add("low", 48, (0.0, 0.5))
    shelf.add("high", 60, (1.0, 0.5))
    session = document.session
    preview.move_live((1.0, 0.5))
    assert preview.place == (1.0, 0.5)
    assert preview.weights["s2"] == pytest.approx(1.0)
    assert document.session == session
    preview.move_live(None)
    assert preview.place == (session.x, session.y)


def test_the_recording_is_heard_while_notes_go_on_being_rendered(
    qtbot: QtBot, preview: Preview, player: FakePlayer, document: Document, shelf: Shelf
) -> None:
    low = shelf.add("low", 48, (0.0, 0.5))
    shelf.add("high", 60, (1.0, 0.5))
    wait_complete(qtbot, preview)
    preview.choose(low)
    preview.play_original(True)
    assert player.loaded[-1] is not None
    assert player.loaded[-1].name == "low"
    loads = len(player.loaded)
    document.edit("Move", edits.move_cursor(document.session, 0.9, 0.5))
    wait_complete(qtbot, preview)
    assert player.zones == []  # none of them is heard
    assert len(player.loaded) == loads
    preview.play_original(False)
    wait_complete(qtbot, preview)
    qtbot.waitUntil(lambda: {note for note, _ in player.zones} >= set(NOTES), timeout=WAIT_MS)


def test_an_audition_is_heard_whatever_is_compared(
    qtbot: QtBot, preview: Preview, player: FakePlayer, shelf: Shelf
) -> None:
    low = shelf.add("low", 48, (0.0, 0.5))
    high = shelf.add("high", 60, (1.0, 0.5))
    wait_complete(qtbot, preview)
    preview.choose(low)
    preview.play_original(True)
    preview.audition(high)
    preview.audition(None)
    preview.play_original(False)
    names = [each.name for each in player.loaded if each is not None]
    assert names[-4:-1] == ["low", "high", "low"]


def test_a_recording_is_as_loud_as_the_mix_as_far_as_its_peak_lets(
    qtbot: QtBot,
    preview: Preview,
    player: FakePlayer,
    document: Document,
    library: SourceLibrary,
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    low = shelf.add("low", 48, (0.0, 0.5))
    shelf.add("high", 60, (1.0, 0.5))
    timbre = library.timbre

    def louder(source: object) -> object:
        known = timbre(source)  # type: ignore[arg-type]
        level = -10.0 if source.id == low else -30.0  # type: ignore[attr-defined]
        return None if known is None else replace(known, loudness_db=level)

    monkeypatch.setattr(library, "timbre", louder)
    document.edit("Move", edits.move_cursor(document.session, 1.0, 0.5))
    preview.choose(low)
    preview.play_original(True)
    softer = np.abs(player.loaded[-1].regions[0].samples).max()  # type: ignore[union-attr]
    preview.play_original(False)
    document.edit("Move", edits.move_cursor(document.session, 0.0, 0.5))
    preview.play_original(True)
    own = np.abs(player.loaded[-1].regions[0].samples).max()  # type: ignore[union-attr]
    assert 20 * np.log10(own / softer) == pytest.approx(20.0, abs=0.1)


def test_states_of_the_keys_are_told_in_bursts(
    qtbot: QtBot, preview: Preview, engine: MixEngine, shelf: Shelf
) -> None:
    qtbot.wait(2 * STATES_MS)
    told: list[int] = []
    preview.states_changed.connect(lambda: told.append(1))

    def fail(note: int) -> None:
        if note == 70:
            raise ParameterError("That note cannot be rendered.")

    engine.before_note = fail
    shelf.add("low", 48)
    wait_complete(qtbot, preview)
    qtbot.wait(2 * STATES_MS)
    states = preview.key_states()
    assert states[70] is KeyState.FAILED
    assert all(states[note] is KeyState.RENDERED for note in NOTES if note != 70)
    assert 0 < len(told) < len(NOTES)


def test_keys_wait_until_they_are_rendered(
    qtbot: QtBot, preview: Preview, engine: MixEngine, shelf: Shelf
) -> None:
    go_on = threading.Event()
    engine.before_note = lambda _note: go_on.wait(WAIT_MS / 1000) and None
    shelf.add("low", 48)
    assert preview.key_states() == dict.fromkeys(NOTES, KeyState.PENDING)
    assert not preview.is_complete
    go_on.set()
    wait_complete(qtbot, preview)


def test_another_session_is_heard_from_its_first_moment(
    qtbot: QtBot, preview: Preview, player: FakePlayer, document: Document, shelf: Shelf
) -> None:
    shelf.add("low", 48)
    first = contents(document)
    document.new()
    shelf.add("high", 60)  # by the same id
    wait_complete(qtbot, preview)
    preview.choose("s1")
    preview.strike(70)
    preview.move_live((0.1, 0.1))
    preview.play_original(True)
    player.loaded.clear()
    document.new(first)
    assert [None if each is None else each.name for each in player.loaded] == [None, "low"]
    assert (preview.chosen, preview.place) == (None, (0.5, 0.5))
    assert preview.note(60) is None
    wait_complete(qtbot, preview)
    assert {note for note, _ in player.zones} >= set(NOTES)


def test_the_same_session_opened_anew_is_rendered_anew(
    qtbot: QtBot, preview: Preview, player: FakePlayer, document: Document, shelf: Shelf
) -> None:
    shelf.add("low", 48)
    wait_complete(qtbot, preview)
    document.new(contents(document))
    wait_complete(qtbot, preview)
    assert {note for note, _ in player.zones} >= set(NOTES)


def test_a_note_without_room_in_the_sampler_is_left_out(
    qtbot: QtBot,
    preview: Preview,
    player: FakePlayer,
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_arguments: object) -> None:
        raise ParameterError("The sampler is full.")

    monkeypatch.setattr(player, "set_zone", full)
    shelf.add("low", 48)
    wait_complete(qtbot, preview)
    assert "found no room in the sampler" in caplog.text
