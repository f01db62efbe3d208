"""Which notes are wanted, which of them is next, and what still counts when it is done.

A schedule is plain state: it has no thread and no lock, and the time is handed in. The render service
asks it under its lock; tests ask it without waiting for anything.

The order is: held keys, the one whose turn is longest ago first; keys played lately; visible ones;
the rest as it was asked for. Notes of a sound that was asked for a moment ago wait until it has come
to rest, but for those in use (held, or named urgent): a pad that is dragged renders nothing that
nobody hears. A held key that had another sound gets a draft first, and the note itself once the sound
rests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from core.sound import Sound

HELD_PER_BATCH = 4
"""Most held keys rendered at once: a chord moves together."""
SETTLED_S = 0.12
"""A sound asked for so long ago has come to rest, seconds."""
RECENT_KEPT = 12
"""How many of the keys played last go before the visible ones."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """Notes to be rendered at once."""

    sound: Sound
    key: str
    """``Sound.key`` of the sound."""
    notes: tuple[int, ...]
    """MIDI notes."""
    is_draft: bool = False
    """Whether drafts are enough: the notes themselves follow once the sound rests."""


class _Target:
    """The sound that is wanted and its notes.

    Args:
        sound: What notes sound like.
        notes: MIDI notes in the order wanted.
        urgent: Notes that do not wait for the sound to rest; None is all of them.
        asked_s: When the sound was asked for.
    """

    def __init__(
        self, sound: Sound, notes: Sequence[int], urgent: Collection[int] | None, asked_s: float
    ) -> None:
        self.sound = sound
        self.key = sound.key
        self.wanted = tuple(notes)
        self.pending = dict.fromkeys(notes)  # an ordered set of what is still to be delivered
        self.urgent = frozenset(notes if urgent is None else urgent)
        self.drafted: set[int] = set()  # of the pending ones: delivered as a draft
        self.asked_s = asked_s

    def inherit(self, previous: _Target) -> None:
        """Leave out what was delivered already where the sound is the same."""
        if previous.key != self.key:
            return
        self.drafted, self.asked_s = previous.drafted, previous.asked_s
        for note in previous.wanted:
            if note not in previous.pending:
                self.pending.pop(note, None)


class Schedule:
    """What is wanted now, and what is to be done for it next.

    Args:
        clock: Gives the time, seconds; never goes back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._target: _Target | None = None
        self._held: tuple[int, ...] = ()
        self._recent: list[int] = []
        self._sounding: set[int] = set()  # notes that were delivered, of whatever sound
        self._visible = range(0)
        self._turn = 0
        self._last_turn: dict[int, int] = {}  # of each note: when it was rendered last

    @property
    def wanted(self) -> Sound | None:
        """The sound that is wanted; None where nothing is."""
        return None if self._target is None else self._target.sound

    @property
    def n_pending(self) -> int:
        """How many notes are still to be delivered."""
        return 0 if self._target is None else len(self._target.pending)

    @property
    def rests_in_s(self) -> float | None:
        """Seconds until the sound has come to rest, 0 or less if it has; None if nothing waits."""
        if self._target is None or not self._target.pending:
            return None
        return self._target.asked_s + SETTLED_S - self._clock()

    def want(
        self, sound: Sound | None, notes: Sequence[int], urgent: Collection[int] | None = None
    ) -> None:
        """Say what is wanted from now on, in place of what was wanted before.

        Args:
            sound: What notes sound like; None wants nothing.
            notes: MIDI notes in the order wanted.
            urgent: Notes that do not wait for the sound to rest; None is all of them.
        """
        target = None
        if sound is not None and notes:
            target = _Target(sound, notes, urgent, self._clock())
            if self._target is not None:
                target.inherit(self._target)
        else:
            self._sounding.clear()
        self._target = target

    def hold(self, notes: Iterable[int]) -> None:
        """Say which keys are down."""
        held = tuple(dict.fromkeys(notes))
        pressed = [note for note in held if note not in self._held]
        self._recent = list(dict.fromkeys([*pressed, *self._recent]))[:RECENT_KEPT]
        self._held = held

    def show(self, low: int, high: int) -> None:
        """Say which keys are on the screen, both ends included."""
        self._visible = range(low, high + 1)

    def due(self) -> list[int]:
        """Pending notes that may be rendered now, what matters most first."""
        target, rests_in_s = self._target, self.rests_in_s
        if target is None or rests_in_s is None:
            return []
        due = list(target.pending)
        if rests_in_s > 0.0:
            in_use = target.urgent | set(self._held)
            due = [note for note in due if note in in_use and note not in target.drafted]
        held = sorted(self._held, key=lambda note: self._last_turn.get(note, 0))
        visible = [note for note in due if note in self._visible]
        is_due = set(due)
        ranked = dict.fromkeys([*held, *self._recent, *visible, *due])
        return [note for note in ranked if note in is_due]

    def next_batch(self, *, held_only: bool = False) -> Batch | None:
        """The batch that matters most now; it counts as begun.

        Args:
            held_only: Whether nothing but held keys may be rendered.
        """
        target, due = self._target, self.due()
        held = [note for note in due if note in self._held]
        if target is None or not (held if held_only else due):
            return None
        # Alone, a note nobody holds keeps a key or a pad that moves meanwhile waiting least.
        notes = held or due[:1]
        moved = self._sounding - target.drafted if held else set()
        is_draft = notes[0] in moved
        notes = [note for note in notes if (note in moved) == is_draft][:HELD_PER_BATCH]
        self._turn += 1
        self._last_turn.update(dict.fromkeys(notes, self._turn))
        return Batch(sound=target.sound, key=target.key, notes=tuple(notes), is_draft=is_draft)

    def is_wanted(self, key: str) -> bool:
        """Whether a sound is the one that is wanted now."""
        return self._target is not None and self._target.key == key

    def deliver(self, key: str, note: int, *, is_draft: bool = False) -> bool:
        """Take a note off the list because it is there.

        Args:
            key: ``Sound.key`` of what it was rendered from.
            note: MIDI note.
            is_draft: Whether it is a draft, after which the note itself is still to come.

        Returns:
            False where nobody waits for it any more. A held key takes notes of sounds gone by too,
            so that it follows a pad that never rests.
        """
        target = self._target
        if target is None:
            return False
        if target.key != key:
            if not (note in self._held and note in target.wanted):
                return False
        elif note not in target.pending:
            return False
        elif is_draft:
            target.drafted.add(note)
        else:
            del target.pending[note]
        self._sounding.add(note)
        return True
