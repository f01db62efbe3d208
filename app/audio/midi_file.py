"""MIDI files as timed events, and a scale for those who have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.audio.midi_events import KeyEvent, NoteOff, NoteOn, PadX, PadY, parse_message
from core.errors import ParameterError

LONGEST_S = 1200.0
"""Longer files are refused."""
DRUM_CHANNEL = 9
"""Notes of General MIDI's drum channel (10, counted from 0) name drums, not pitches."""

_DAMAGE = (EOFError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError)
"""What mido raises for damaged files."""
_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)
_SCALE_ROOT = 60
_SCALE_STEP_S = 0.4
_SCALE_GATE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedEvent:
    """An event and when it comes."""

    time_s: float
    """From the start, seconds."""
    event: KeyEvent


def read_midi_file(path: Path) -> tuple[TimedEvent, ...]:
    """Read a Standard MIDI File; all tracks and channels together, drums left out.

    Args:
        path: A MIDI file of format 0 or 1.

    Returns:
        Events in order of time; those of one moment in the file's order.

    Raises:
        ParameterError: The file cannot be read, is damaged, too long or plays no note.
    """
    import mido

    try:
        events, length_s = _events(mido.MidiFile(path))
    except OSError as error:
        reason = error.strerror or "it is no MIDI file"
        raise ParameterError(f"'{path}' cannot be read: {reason}; check the path.") from error
    except (*_DAMAGE, mido.KeySignatureError) as error:
        raise ParameterError(
            f"'{path}' is damaged ({error}); save it anew as a MIDI file of format 0 or 1."
        ) from error
    if not notes_of(events):
        raise ParameterError(f"'{path}' plays no note outside the drum channel; choose another.")
    if length_s > LONGEST_S:
        raise ParameterError(
            f"'{path}' lasts {length_s:,.0f} s; the longest that is played is {LONGEST_S:,.0f} s."
        )
    return tuple(events)


def _events(file: Any) -> tuple[list[TimedEvent], float]:
    """Events of a ``mido.MidiFile`` and its length, seconds."""
    if file.ticks_per_beat <= 0:
        raise ValueError("it counts film frames in place of beats")
    events, time_s = [], 0.0
    for message in file:
        time_s += message.time
        event = None if message.is_meta else parse_message(message.bytes())
        if isinstance(event, PadX | PadY | None) or message.channel == DRUM_CHANNEL:
            continue
        events.append(TimedEvent(time_s=time_s, event=event))
    return events, time_s


def scale(velocity: int) -> tuple[TimedEvent, ...]:
    """C major from C4 to C5, each note let go before the next.

    Args:
        velocity: Velocity of all notes, 1–127.
    """
    events = []
    for step, semitones in enumerate(_SCALE):
        note, start_s = _SCALE_ROOT + semitones, step * _SCALE_STEP_S
        end_s = start_s + _SCALE_GATE * _SCALE_STEP_S
        events += [
            TimedEvent(time_s=start_s, event=NoteOn(note, velocity)),
            TimedEvent(time_s=end_s, event=NoteOff(note)),
        ]
    return tuple(events)


def notes_of(events: Sequence[TimedEvent]) -> tuple[int, ...]:
    """The different notes that are played, ascending."""
    return tuple(sorted({e.event.note for e in events if isinstance(e.event, NoteOn)}))
