"""Arithmetic of note names; C4 is MIDI note 60."""

from __future__ import annotations

from typing import Final

_STEPS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS: Final = {"": 0, "#": 1, "s": 1, "b": -1}


def note_of(letter: str, accidental: str, octave: int) -> int:
    """MIDI note of a name's parts; it may lie outside 0-127.

    Args:
        letter: A to G, small or capital.
        accidental: Nothing, ``#``, ``s`` (for sharp) or ``b``.
        octave: Its number.
    """
    return _STEPS[letter.upper()] + _ACCIDENTALS[accidental] + 12 * (octave + 1)
