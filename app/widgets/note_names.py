"""Names of notes in the octave numbering that the user prefers."""

from __future__ import annotations

import re

from core.audio.pitch import note_name, parse_note
from core.errors import ParameterError

_NAMED_NOTE = re.compile(r"([A-Ga-g][#sb]?)(-?[0-9]{1,2})")


def note_label(note: int, middle_c: int) -> str:
    """Name of a MIDI note where note 60 is C of octave ``middle_c``."""
    return note_name(note + 12 * (middle_c - 4))


def pitch_label(pitch: float, middle_c: int) -> str:
    """Name of a fractional MIDI note with its cents, e.g. ``C4 +20``."""
    note = round(pitch)
    cents = round(100 * (pitch - note))
    name = note_label(note, middle_c)
    return f"{name} {cents:+d}" if cents else name


def parse_note_label(text: str, middle_c: int) -> int:
    """MIDI note of a number or of a name in this octave numbering.

    Raises:
        ParameterError: Not a note, or outside 0-127.
    """
    named = _NAMED_NOTE.fullmatch(text.strip())
    if named is None:
        return parse_note(text)
    try:
        return parse_note(f"{named[1]}{int(named[2]) - middle_c + 4}")
    except ParameterError as error:
        raise ParameterError(
            f"Note {text.strip()} is outside {note_label(0, middle_c)} to "
            f"{note_label(127, middle_c)}; choose one within."
        ) from error
