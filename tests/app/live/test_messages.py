from __future__ import annotations

from app.live.messages import Answer, Kind, Message, Messages


def test_messages_keep_their_kind_and_answers(messages: Messages, said: list[Message]) -> None:
    answer = Answer(text="Open it", act=lambda: None)
    messages.info("one", answer)
    messages.warn("two")
    messages.error("three", answer, answer)
    assert [(each.text, each.kind, each.answers) for each in said] == [
        ("one", Kind.INFO, (answer,)),
        ("two", Kind.WARNING, ()),
        ("three", Kind.ERROR, (answer, answer)),
    ]
