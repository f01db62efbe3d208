"""The 88 keys of the piano on the screen: which they are, where they lie, how far each is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import QPointF, QRectF

LOWEST_NOTE = 21
"""A0."""
HIGHEST_NOTE = 108
"""C8."""
NOTES = range(LOWEST_NOTE, HIGHEST_NOTE + 1)

_BLACK_STEPS = frozenset({1, 3, 6, 8, 10})
_BLACK_SHIFT = {1: -0.1, 3: 0.1, 6: -0.14, 8: 0.0, 10: 0.14}
"""How far a black key's centre lies from the gap between its white neighbours, white keys."""
_BLACK_WIDTH = 0.58  # of a white key
_BLACK_LENGTH = 0.62  # of a white key


def is_black(note: int) -> bool:
    """Whether a MIDI note is a black key."""
    return note % 12 in _BLACK_STEPS


WHITE_NOTES = tuple(note for note in NOTES if not is_black(note))
BLACK_NOTES = tuple(note for note in NOTES if is_black(note))
_WHITES_BELOW = {note: sum(white < note for white in WHITE_NOTES) for note in NOTES}


class KeyState(Enum):
    """How far the recording of a key has come."""

    RENDERED = "rendered"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyLayout:
    """88 keys in a rectangle."""

    area: QRectF

    @property
    def white_width(self) -> float:
        """Width of a white key, pixels."""
        return self.area.width() / len(WHITE_NOTES)

    def rect(self, note: int) -> QRectF:
        """The key of a note from A0 to C8."""
        width = self.white_width
        left = self.area.left() + _WHITES_BELOW[note] * width
        if not is_black(note):
            return QRectF(left, self.area.top(), width, self.area.height())
        left += (_BLACK_SHIFT[note % 12] - _BLACK_WIDTH / 2) * width
        height = _BLACK_LENGTH * self.area.height()
        return QRectF(left, self.area.top(), _BLACK_WIDTH * width, height)

    def note_at(self, point: QPointF) -> int | None:
        """The key under a point, a black one before the white ones below it."""
        if not self.area.contains(point):
            return None
        column = int((point.x() - self.area.left()) / self.white_width)
        white = WHITE_NOTES[min(column, len(WHITE_NOTES) - 1)]
        for note in (white - 1, white + 1):
            if note in NOTES and is_black(note) and self.rect(note).contains(point):
                return note
        return white

    def nearest_note(self, x: float) -> int:
        """The key whose centre is nearest to a horizontal place."""
        return min(NOTES, key=lambda note: abs(self.rect(note).center().x() - x))

    def strike(self, note: int, point: QPointF) -> int:
        """MIDI velocity 1–127 of striking a key there: louder toward its front edge."""
        rect = self.rect(note)
        depth = (point.y() - rect.top()) / rect.height()
        return round(1 + 126 * min(max(depth, 0.0), 1.0))
