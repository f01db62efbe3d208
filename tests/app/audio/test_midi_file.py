from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import mido
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.audio.midi_events import NoteOff, NoteOn, PitchBend, Sustain
from app.audio.midi_file import TimedEvent, notes_of, read_midi_file, scale
from core.errors import ParameterError

TICKS = 480


def save(path: Path, *tracks: list[mido.Message | mido.MetaMessage], ticks: int = TICKS) -> Path:
    file = mido.MidiFile(type=1, ticks_per_beat=ticks)
    for messages in tracks:
        file.tracks.append(mido.MidiTrack(messages))
    file.save(path)
    return path


def note(kind: str, number: int, wait: int, channel: int = 0) -> mido.Message:
    return mido.Message(kind, note=number, velocity=90, time=wait, channel=channel)


def test_events_come_at_the_times_the_tempo_gives(tmp_path: Path) -> None:
    melody = [
        note("note_on", 60, 0),
        note("note_off", 60, TICKS),  # one beat at 120 per minute
        mido.Message("control_change", control=64, value=127),
        mido.Message("control_change", control=16, value=127),  # no pad here
        note("note_on", 64, TICKS),  # the next beat has begun at 60 per minute
        note("note_off", 64, TICKS),
    ]
    tempo = [mido.MetaMessage("set_tempo", tempo=1_000_000, time=TICKS)]
    bass = [
        mido.Message("pitchwheel", pitch=4096, time=TICKS // 2, channel=3),
        note("note_on", 36, 0, channel=3),
        note("note_on", 38, 0, channel=9),  # a snare drum
    ]
    events = read_midi_file(save(tmp_path / "song.mid", tempo, melody, bass))
    assert events == (
        TimedEvent(time_s=0.0, event=NoteOn(60, 90)),
        TimedEvent(time_s=0.25, event=PitchBend(1.0)),
        TimedEvent(time_s=0.25, event=NoteOn(36, 90)),
        TimedEvent(time_s=0.5, event=NoteOff(60)),
        TimedEvent(time_s=0.5, event=Sustain(True)),
        TimedEvent(time_s=1.5, event=NoteOn(64, 90)),
        TimedEvent(time_s=2.5, event=NoteOff(64)),
    )
    assert notes_of(events) == (36, 60, 64)


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"", "damaged"),
        (b"RIFF\0\0\0\0WAVE", "it is no MIDI file"),
        (b"MThd\0\0\0\6\0\1\0\1\0\0MTrk\0\0\0\0", "damaged"),  # no ticks in a beat
        (b"MThd\0\0\0\6\0\1\0\1\xe7\x28MTrk\0\0\0\0", "film frames"),
        (b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\x04\0\xff\x2f\0", "plays no note"),
    ],
)
def test_what_is_no_tune_is_refused(tmp_path: Path, contents: bytes | None, says: str) -> None:
    path = tmp_path / "song.mid"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(ParameterError, match=says) as caught:
        read_midi_file(path)
    assert "song.mid" in str(caught.value)


def test_drums_alone_are_no_tune(tmp_path: Path) -> None:
    path = save(tmp_path / "drums.mid", [note("note_on", 36, 0, channel=9)])
    with pytest.raises(ParameterError, match="drum channel"):
        read_midi_file(path)


def test_endless_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "long.mid", [note("note_on", 60, 0), note("note_off", 60, 5000 * TICKS)])
    with pytest.raises(ParameterError, match="2,500 s"):
        read_midi_file(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4), st.integers(0, 80))
def test_damage_is_told_in_a_sentence_or_survived(
    tmp_path: Path, changes: list[tuple[int, int]], kept: int
) -> None:
    path = save(
        tmp_path / "song.mid",
        [
            mido.MetaMessage("key_signature", key="C"),
            mido.MetaMessage("set_tempo", tempo=500_000),
            note("note_on", 60, 0),
            note("note_off", 60, TICKS),
        ],
    )
    data = bytearray(path.read_bytes()[: 14 + kept])
    for place, byte in changes:
        data[place % len(data)] = byte
    path.write_bytes(bytes(data))
    with contextlib.suppress(ParameterError):  # no other error may leave
        assert notes_of(read_midi_file(path))


def test_the_scale_is_one_note_after_another() -> None:
    events = scale(77)
    assert notes_of(events) == (60, 62, 64, 65, 67, 69, 71, 72)
    assert [type(timed.event) for timed in events] == [NoteOn, NoteOff] * 8
    assert all(a.time_s < b.time_s for a, b in itertools.pairwise(events))
