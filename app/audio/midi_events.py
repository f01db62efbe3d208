"""What a MIDI keyboard says, as values, and who is told.

Reference: MIDI 1.0 Detailed Specification, tables 1 to 3 (status bytes and controllers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

BEND_RANGE_SEMITONES = 2.0
"""How far the bend wheel reaches either way, as on keyboards by default."""


class KeyHandler(Protocol):
    """What plays notes; ``core.sampler.Sampler`` does."""

    def note_on(self, note: int, velocity: int) -> None:
        """A key went down, velocity 1–127."""

    def note_off(self, note: int) -> None:
        """A key went up."""

    def set_sustain(self, down: bool) -> None:
        """The pedal moved."""

    def set_pitch_bend(self, semitones: float) -> None:
        """The bend wheel moved."""

    def set_mod_wheel(self, value: float) -> None:
        """The modulation wheel moved, 0–1."""

    def release_all(self) -> None:
        """All keys and the pedal were let go."""

    def panic(self) -> None:
        """All sound must end now."""


class MidiHandler(KeyHandler, Protocol):
    """What plays notes and has a pad."""

    def move_pad_x(self, value: float) -> None:
        """The pad's point moved left (0) or right (1)."""

    def move_pad_y(self, value: float) -> None:
        """The pad's point moved down (0) or up (1)."""


@dataclass(frozen=True, slots=True)
class NoteOn:
    """A key went down."""

    note: int
    velocity: int  # 1–127


@dataclass(frozen=True, slots=True)
class NoteOff:
    """A key went up."""

    note: int


@dataclass(frozen=True, slots=True)
class Sustain:
    """The pedal moved."""

    down: bool


@dataclass(frozen=True, slots=True)
class PitchBend:
    """The bend wheel moved."""

    semitones: float


@dataclass(frozen=True, slots=True)
class ModWheel:
    """The modulation wheel moved."""

    value: float  # 0–1


@dataclass(frozen=True, slots=True)
class PadX:
    """The pad's point moved to the left or right."""

    value: float  # 0–1


@dataclass(frozen=True, slots=True)
class PadY:
    """The pad's point moved up or down."""

    value: float  # 0–1


@dataclass(frozen=True, slots=True)
class AllNotesOff:
    """All keys and the pedal were let go."""


@dataclass(frozen=True, slots=True)
class AllSoundOff:
    """All sound must end now."""


KeyEvent = NoteOn | NoteOff | Sustain | PitchBend | ModWheel | AllNotesOff | AllSoundOff
MidiEvent = KeyEvent | PadX | PadY


def parse_message(message: Sequence[int]) -> MidiEvent | None:
    """Understand one MIDI message.

    Args:
        message: Its bytes, status first, as a port delivers them (no running status).

    Returns:
        What it says; None for messages that mean nothing here and for broken ones.
    """
    if len(message) != 3 or not all(0 <= byte <= 127 for byte in message[1:]):
        return None
    status, first, second = message
    match status & 0xF0:
        case 0x90 if second:
            return NoteOn(first, second)
        case 0x80 | 0x90:  # a note-on of velocity 0 lets the key go
            return NoteOff(first)
        case 0xB0:
            return _control_change(first, second)
        case 0xE0:
            return PitchBend(((second << 7 | first) - 8192) / 8192 * BEND_RANGE_SEMITONES)
    return None


def _control_change(controller: int, value: int) -> MidiEvent | None:
    match controller:
        case 1:
            return ModWheel(value / 127)
        case 16:
            return PadX(value / 127)
        case 17:
            return PadY(value / 127)
        case 64:
            return Sustain(value >= 64)
        case 120:
            return AllSoundOff()
        case 123:
            return AllNotesOff()
    return None


def deliver(event: MidiEvent, handler: MidiHandler) -> None:
    """Tell a handler what happened."""
    match event:
        case PadX(value):
            handler.move_pad_x(value)
        case PadY(value):
            handler.move_pad_y(value)
        case _:
            play(event, handler)


def play(event: KeyEvent, handler: KeyHandler) -> None:
    """Tell what plays notes what happened."""
    match event:
        case NoteOn(note, velocity):
            handler.note_on(note, velocity)
        case NoteOff(note):
            handler.note_off(note)
        case Sustain(down):
            handler.set_sustain(down)
        case PitchBend(semitones):
            handler.set_pitch_bend(semitones)
        case ModWheel(value):
            handler.set_mod_wheel(value)
        case AllNotesOff():
            handler.release_all()
        case AllSoundOff():
            handler.panic()
