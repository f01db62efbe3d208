"""Undo and redo of a value: a row of labelled states and a place in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")

MAX_STEPS = 200
"""Steps that can be undone; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class _State(Generic[ValueT]):
    label: str  # of the step that led here
    value: ValueT


class History(Generic[ValueT]):
    """States of one immutable value.

    Pushes with one merge key are one step until the gesture ends or another push comes between.

    Args:
        value: Where it starts, and what counts as saved.
        max_steps: Steps that can be undone.
    """

    def __init__(self, value: ValueT, *, max_steps: int = MAX_STEPS) -> None:
        self._states = [_State("", value)]
        self._position = 0
        self._saved: ValueT | None = value
        self._max_steps = max_steps
        self._merge_key: str | None = None

    @property
    def value(self) -> ValueT:
        """The present state."""
        return self._states[self._position].value

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all steps, done and undone, oldest first."""
        return tuple(state.label for state in self._states[1:])

    @property
    def position(self) -> int:
        """How many of those steps are done."""
        return self._position

    @property
    def undo_label(self) -> str | None:
        """What undo would take back; None when there is nothing."""
        return self._states[self._position].label if self._position > 0 else None

    @property
    def redo_label(self) -> str | None:
        """What redo would do again; None when there is nothing."""
        following = self._states[self._position + 1 : self._position + 2]
        return following[0].label if following else None

    @property
    def is_dirty(self) -> bool:
        """Whether the present state differs from the saved one."""
        return self.value != self._saved

    def __iter__(self) -> Iterator[ValueT]:
        """All states that can be reached, oldest first."""
        return (state.value for state in self._states)

    def push(self, value: ValueT, label: str, merge_key: str | None = None) -> bool:
        """Make a new state the present one; states undone before are forgotten.

        Args:
            value: The new state; an equal one to the present changes nothing.
            label: What was done, e.g. ``Move bell``.
            merge_key: What is being dragged; None is a step of its own.

        Returns:
            Whether this is a new step: older or undone states may have been forgotten.
        """
        if merge_key is None or merge_key != self._merge_key:
            self.end_gesture()
        if value == self.value:
            return False
        if merge_key is not None and merge_key == self._merge_key:
            self._states[self._position] = _State(label, value)
            return False
        self._states[self._position + 1 :] = [_State(label, value)]
        del self._states[: -1 - self._max_steps]
        self._position = len(self._states) - 1
        self._merge_key = merge_key
        return True

    def end_gesture(self) -> None:
        """The drag is over: what comes next is a new step. A drag back to its start is none."""
        if self._merge_key is None:
            return
        self._merge_key = None
        if self._states[self._position - 1].value == self.value:
            del self._states[self._position]
            self._position -= 1

    def undo(self) -> None:
        """Go back one step, if there is one."""
        self.end_gesture()
        self.go_to(self._position - 1)

    def redo(self) -> None:
        """Go forward one step, if there is one."""
        self.end_gesture()
        self.go_to(self._position + 1)

    def go_to(self, position: int) -> None:
        """Go to where so many steps are done; beyond the ends means the end."""
        self.end_gesture()
        self._position = max(0, min(position, len(self._states) - 1))

    def mark_saved(self, value: ValueT) -> None:
        """This state is on disk."""
        self._saved = value

    def mark_unsaved(self) -> None:
        """No state is on disk."""
        self._saved = None
