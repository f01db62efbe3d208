"""Events from the control side to the audio side, in order, without a lock.

The control side writes an entry of the ring, then moves ``head``; the audio side takes entries up to it
and moves ``tail``. What finds the ring full waits here and goes in with the next call: nothing is lost
and nothing blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from core.sampler.layout import RING_EVENTS, SILENCE, EventKind


class Event(NamedTuple):
    """One entry of the ring, in the order of ``layout.EVENT``."""

    kind: EventKind
    """What is asked for."""
    key: int = 0
    """MIDI note, where the kind has one."""
    recording: int = SILENCE
    """Number of a recording, where the kind has one."""
    values: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Numbers of the kind."""


def valued(kind: EventKind, value: float) -> Event:
    """An event of one number."""
    return Event(kind, values=(float(value), 0.0, 0.0, 0.0))


class EventRing:
    """The control side's end of the ring.

    Args:
        state: The record of ``layout.STATE`` that both sides share.
    """

    def __init__(self, state: Any) -> None:
        self._state = state
        self._events = state["events"]
        self._head = 0
        self._waiting: deque[Sequence[Event]] = deque()
        self.fence: Callable[[], object] = _nothing  # before there is an audio side
        """What was written before a call of it is seen before what is written after."""

    @property
    def n_waiting(self) -> int:
        """Events that the audio side has not yet taken."""
        return self._head - int(self._state["tail"]) + sum(map(len, self._waiting))

    def push(self, *events: Event) -> None:
        """Send events that take effect in the same block."""
        self._waiting.append(events)
        self.flush()

    def flush(self) -> None:
        """Send what found no room before, as far as there is room now."""
        head = self._head
        room = RING_EVENTS - (head - int(self._state["tail"]))
        while self._waiting and len(self._waiting[0]) <= room:
            events = self._waiting.popleft()
            room -= len(events)
            for event in events:
                self._events[head % RING_EVENTS] = event
                head += 1
        if head != self._head:
            self.fence()
            self._head = head
            self._state["head"] = head


def _nothing() -> None:
    """Do nothing."""
