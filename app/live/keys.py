"""Which keys are down, whoever presses them: the mouse, the letters, MIDI keyboards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum

from PySide6.QtCore import QObject, Signal

from app.audio.player import Player


class KeyOrigin(Enum):
    """What presses keys."""

    MOUSE = "mouse"
    LETTERS = "letters"
    MIDI = "MIDI"
    PROGRAM = "program"


class Keys(QObject):
    """Plays each key once, from however many origins it is held.

    *Signals:*
        struck(int, int): note and velocity, from whatever origin.
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
        self._down: dict[int, set[KeyOrigin]] = {}

    @property
    def held(self) -> frozenset[int]:
        """The keys that are down."""
        with self._lock:
            return frozenset(self._down)

    def press(self, origin: KeyOrigin, note: int, velocity: int) -> None:
        """A key goes down; a key that is held already is struck again."""
        with self._lock:
            self._down.setdefault(note, set()).add(origin)
            held = frozenset(self._down)
        self._on_held(held)
        self._player.note_on(note, velocity)
        self.struck.emit(note, velocity)
        self.changed.emit()

    def release(self, origin: KeyOrigin, note: int) -> None:
        """An origin lets go of a key, which goes up when no other holds it."""
        with self._lock:
            origins = self._down.get(note, set())
            origins.discard(origin)
            is_up = note in self._down and not origins
            if is_up:
                del self._down[note]
            held = frozenset(self._down)
        if is_up:
            self._on_held(held)
            self._player.note_off(note)
            self.changed.emit()

    def let_go(self, origin: KeyOrigin) -> None:
        """An origin lets go of all its keys."""
        with self._lock:
            notes = [note for note, origins in self._down.items() if origin in origins]
        for note in notes:
            self.release(origin, note)

    def silence(self) -> None:
        """All origins let go of all keys, and all sound ends now."""
        for origin in KeyOrigin:
            self.let_go(origin)
        self._player.panic()
