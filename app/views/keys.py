"""Which keys are down, whoever presses them: the mouse, the letters, MIDI keyboards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum

from PySide6.QtCore import QObject, Signal

from app.audio.player import Player


class Hand(Enum):
    """Who presses keys."""

    MOUSE = "mouse"
    LETTERS = "letters"
    MIDI = "MIDI"
    PROGRAM = "program"


class Keys(QObject):
    """Plays each key once, however many hands hold it.

    *Signals:*
        struck(int, int): note and velocity, from whatever hand.
        changed(): other keys are down.

    *Thread:* ``press``, ``release`` and ``let_go`` may be called from any.

    Args:
        player: What sounds.
        on_held: Told which keys are down, on the calling thread.
    """

    struck = Signal(int, int)
    changed = Signal()

    def __init__(
        self,
        player: Player,
        on_held: Callable[[frozenset[int]], object],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._player = player
        self._on_held = on_held
        self._lock = threading.Lock()
        self._down: dict[int, set[Hand]] = {}

    @property
    def held(self) -> frozenset[int]:
        """The keys that are down."""
        with self._lock:
            return frozenset(self._down)

    def press(self, hand: Hand, note: int, velocity: int) -> None:
        """A key goes down; a second hand on it strikes it again."""
        with self._lock:
            self._down.setdefault(note, set()).add(hand)
            held = frozenset(self._down)
        self._on_held(held)
        self._player.note_on(note, velocity)
        self.struck.emit(note, velocity)
        self.changed.emit()

    def release(self, hand: Hand, note: int) -> None:
        """A hand leaves a key."""
        with self._lock:
            hands = self._down.get(note, set())
            hands.discard(hand)
            is_up = note in self._down and not hands
            if is_up:
                del self._down[note]
            held = frozenset(self._down)
        if is_up:
            self._on_held(held)
            self._player.note_off(note)
            self.changed.emit()

    def let_go(self, hand: Hand) -> None:
        """A hand leaves all its keys."""
        with self._lock:
            notes = [note for note, hands in self._down.items() if hand in hands]
        for note in notes:
            self.release(hand, note)
