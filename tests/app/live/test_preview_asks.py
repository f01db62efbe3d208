"""What the preview asks the render service for, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest
from pytestqt.qtbot import QtBot

from app.background.render_bridge import RenderBridge
from app.keyboard import HIGHEST_NOTE, NOTES, KeyState
from app.live.preview import Preview
from core.inference.service import NoteFailed, NoteReady, RenderService
from core.sound import Sound
from tests.app.live.conftest import Shelf
from tests.app.program import WAIT_MS

Asked = list[tuple[Sound | None, list[int], list[int]]]


@pytest.fixture
def asked(service: RenderService, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """All that the service was asked for, in order; it goes on rendering."""
    asked: Asked = []
    preview = service.preview

    def spy(
        sound: Sound | None, notes: Sequence[int], urgent: Collection[int] | None = None
    ) -> None:
        asked.append((sound, list(notes), sorted(urgent) if urgent is not None else list(notes)))
        preview(sound, notes, urgent)

    monkeypatch.setattr(service, "preview", spy)
    return asked


def test_all_keys_are_asked_for_by_distance_and_one_at_once(
    preview: Preview, shelf: Shelf, asked: Asked
) -> None:
    shelf.add("low", 48)
    sound, notes, urgent = asked[-1]
    assert sound == preview.sound
    assert set(notes) == set(NOTES)
    assert notes[:5] == [48, 47, 49, 46, 50]
    assert urgent == [48]
    preview.strike(70)
    assert asked[-1][1][0] == 70
    assert asked[-1][2] == [70]


def test_a_note_beyond_the_window_s_keys_stays_asked_for(
    preview: Preview, shelf: Shelf, asked: Asked
) -> None:
    shelf.add("low", 48)
    beyond = HIGHEST_NOTE + 3
    preview.strike(beyond)
    assert beyond in asked[-1][1]
    preview.strike(60)
    assert beyond in asked[-1][1]


def test_a_key_that_failed_and_then_came_has_not_failed(
    qtbot: QtBot, preview: Preview, shelf: Shelf, bridge: RenderBridge
) -> None:
    shelf.add("low", 48)
    qtbot.waitUntil(lambda: preview.is_complete, timeout=WAIT_MS)
    ready = preview.note(60)
    assert isinstance(ready, NoteReady)
    bridge.note_failed.emit(NoteFailed(sound_key=ready.sound_key, note=60, message="No."))
    assert preview.key_states()[60] is KeyState.FAILED
    bridge.note_ready.emit(ready)
    assert preview.key_states()[60] is KeyState.RENDERED
    bridge.note_failed.emit(NoteFailed(sound_key="another", note=61, message="No."))
    assert preview.key_states()[61] is KeyState.RENDERED
