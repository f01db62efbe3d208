"""The note and velocity that a file name tells, as samplers and sample libraries write them."""

from __future__ import annotations

import re

from core.errors import ParameterError

_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"": 0, "#": 1, "s": 1, "b": -1}
_NOTE = r"([A-Ga-g])([#sb]?)(-?\d)"
_NOTE_TOKEN = re.compile(rf"(?<![A-Za-z0-9#]){_NOTE}(?![A-Za-z0-9#])")
_NUMBER_TOKEN = re.compile(r"(?<![A-Za-z0-9#])(\d{1,3})(?![A-Za-z0-9#])")
_VELOCITY_TOKEN = re.compile(r"(?<![A-Za-z0-9])v(?:el)?[-_ ]?(\d{1,3})(?!\d)", re.IGNORECASE)


def parse_note(text: str) -> int:
    """MIDI note of ``60``, ``C4``, ``c#4``, ``Eb3`` or ``C-1``; C4 = 60.

    Raises:
        ParameterError: The text is no note between 0 and 127.
    """
    match = re.fullmatch(_NOTE, text.strip())
    if match is not None:
        note = _midi_of(match)
    else:
        note = int(text) if re.fullmatch(r"\s*\d{1,3}\s*", text) else -1
    if not 0 <= note <= 127:
        raise ParameterError(f"'{text}' is no note; write a MIDI number 0 to 127 or e.g. C#4.")
    return note


def note_in_name(stem: str) -> int | None:
    """MIDI note that a file's stem names, e.g. 60 for ``Name_060_C4``, ``Name-C4`` and ``60``.

    The last note name counts. A number of the same pitch class wins over its octave, since
    makers disagree whether C4 or C3 is 60; without a note name the last number counts.
    """
    stem = _VELOCITY_TOKEN.sub("", stem)
    named = [_midi_of(match) for match in _NOTE_TOKEN.finditer(stem)]
    named = [note for note in named if 0 <= note <= 127]
    numbers = [int(match[1]) for match in _NUMBER_TOKEN.finditer(_NOTE_TOKEN.sub(" ", stem))]
    numbers = [number for number in numbers if number <= 127]
    if named:
        agreeing = [number for number in numbers if (number - named[-1]) % 12 == 0]
        return agreeing[-1] if agreeing else named[-1]
    return numbers[-1] if numbers else None


def velocity_in_name(stem: str) -> int | None:
    """Velocity 1 to 127 that a file's stem names, e.g. 90 for ``Name_C4_v90``."""
    match = _VELOCITY_TOKEN.search(stem)
    velocity = int(match[1]) if match else 0
    return velocity if 1 <= velocity <= 127 else None


def _midi_of(match: re.Match[str]) -> int:
    letter, accidental, octave = match.groups()
    return _SEMITONES[letter.lower()] + _ACCIDENTALS[accidental] + 12 * (int(octave) + 1)
