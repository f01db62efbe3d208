"""What the program has to say, from whatever part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import QObject, Signal


class Kind(Enum):
    """How much a message matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answer:
    """Something that a message offers to do."""

    text: str
    act: Callable[[], object]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Message:
    """One sentence for a person."""

    text: str
    kind: Kind = Kind.INFO
    answers: tuple[Answer, ...] = ()
    """A message with answers stays until one is given or it is closed."""


class Messages(QObject):
    """Where all parts of the program leave what they have to say.

    *Signals:*
        told(Message): on the GUI's thread.

    *Thread:* any.
    """

    told = Signal(object)

    def info(self, text: str, *answers: Answer) -> None:
        """Something went well, or is offered."""
        self.told.emit(Message(text=text, answers=answers))

    def warn(self, text: str, *answers: Answer) -> None:
        """Something is not as wished; the program goes on."""
        self.told.emit(Message(text=text, kind=Kind.WARNING, answers=answers))

    def error(self, text: str, *answers: Answer) -> None:
        """Something that was asked for was not done."""
        self.told.emit(Message(text=text, kind=Kind.ERROR, answers=answers))
