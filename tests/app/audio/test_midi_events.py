from __future__ import annotations

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.midi_events import (
    AllNotesOff,
    AllSoundOff,
    MidiEvent,
    ModWheel,
    NoteOff,
    NoteOn,
    PadX,
    PadY,
    PitchBend,
    Sustain,
    deliver,
    parse_message,
)

seven_bits = st.integers(0, 127)
channels = st.integers(0, 15)


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def note_on(self, note: int, velocity: int) -> None:
        self.told.append(("note_on", note, velocity))

    def note_off(self, note: int) -> None:
        self.told.append(("note_off", note))

    def set_sustain(self, down: bool) -> None:
        self.told.append(("sustain", down))

    def set_pitch_bend(self, semitones: float) -> None:
        self.told.append(("bend", semitones))

    def set_mod_wheel(self, value: float) -> None:
        self.told.append(("mod", value))

    def release_all(self) -> None:
        self.told.append(("release",))

    def panic(self) -> None:
        self.told.append(("panic",))

    def move_pad_x(self, value: float) -> None:
        self.told.append(("x", value))

    def move_pad_y(self, value: float) -> None:
        self.told.append(("y", value))


@given(channels, seven_bits, seven_bits)
def test_notes_are_read_as_mido_writes_them(channel: int, note: int, velocity: int) -> None:
    on = mido.Message("note_on", channel=channel, note=note, velocity=velocity)
    assert parse_message(on.bytes()) == (NoteOn(note, velocity) if velocity else NoteOff(note))
    off = mido.Message("note_off", channel=channel, note=note, velocity=velocity)
    assert parse_message(off.bytes()) == NoteOff(note)


@given(channels, st.integers(-8192, 8191))
def test_the_bend_wheel_reaches_two_semitones(channel: int, pitch: int) -> None:
    bend = parse_message(mido.Message("pitchwheel", channel=channel, pitch=pitch).bytes())
    assert bend == PitchBend(2.0 * pitch / 8192)


@given(channels, seven_bits, seven_bits)
def test_controllers_are_read_as_mido_writes_them(channel: int, control: int, value: int) -> None:
    known: dict[int, MidiEvent] = {
        1: ModWheel(value / 127),
        16: PadX(value / 127),
        17: PadY(value / 127),
        64: Sustain(value >= 64),
        120: AllSoundOff(),
        123: AllNotesOff(),
    }
    message = mido.Message("control_change", channel=channel, control=control, value=value)
    assert parse_message(message.bytes()) == known.get(control)


@given(st.lists(st.integers(0, 255), max_size=6))
def test_any_bytes_are_an_event_in_range_or_nothing(message: list[int]) -> None:
    match parse_message(message):
        case NoteOn(note, velocity):
            assert 0 <= note <= 127
            assert 1 <= velocity <= 127
        case ModWheel(value) | PadX(value) | PadY(value):
            assert 0.0 <= value <= 1.0
        case PitchBend(semitones):
            assert -2.0 <= semitones < 2.0


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (NoteOn(60, 99), ("note_on", 60, 99)),
        (NoteOff(60), ("note_off", 60)),
        (Sustain(True), ("sustain", True)),
        (PitchBend(-1.5), ("bend", -1.5)),
        (ModWheel(0.5), ("mod", 0.5)),
        (PadX(0.25), ("x", 0.25)),
        (PadY(0.75), ("y", 0.75)),
        (AllNotesOff(), ("release",)),
        (AllSoundOff(), ("panic",)),
    ],
)
def test_every_event_reaches_the_handler(event: MidiEvent, told: tuple[object, ...]) -> None:
    listener = Listener()
    deliver(event, listener)
    assert listener.told == [told]
