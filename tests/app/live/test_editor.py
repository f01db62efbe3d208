from __future__ import annotations

from app.live.editor import Editor
from app.live.messages import Kind, Message
from app.models import edits
from app.models.document import Document
from app.models.session import Session
from core.errors import ParameterError


def test_a_follower_is_shown_all_at_first_and_changes_afterwards(
    editor: Editor, document: Document
) -> None:
    shown: list[tuple[Session | None, Session]] = []
    editor.follow(lambda before, after: shown.append((before, after)))
    start = document.session
    editor.edit("Move", lambda session: edits.move_cursor(session, 0.1, 0.2))
    moved = document.session
    document.undo()
    assert shown == [(None, start), (start, moved), (moved, start)]


def test_an_edit_that_is_refused_is_said_and_shown_anew(
    editor: Editor, document: Document, said: list[Message]
) -> None:
    shown: list[Session | None] = []
    editor.follow(lambda before, _after: shown.append(before))

    def refuse(_session: Session) -> Session:
        raise ParameterError("No such source.")

    editor.edit("Remove", refuse)
    assert shown == [None, None]  # all of it again: a widget may have run ahead
    assert [(each.text, each.kind) for each in said] == [("No such source.", Kind.ERROR)]
    assert document.history.labels == ()


def test_a_gesture_is_one_step(editor: Editor, document: Document) -> None:
    for x in (0.1, 0.2, 0.3):
        editor.edit("Move", lambda s, x=x: edits.move_cursor(s, x, 0.5), "cursor")
    editor.end_gesture()
    editor.edit("Move", lambda s: edits.move_cursor(s, 0.9, 0.5), "cursor")
    assert document.history.labels == ("Move", "Move")
