"""The memory that control and audio side share: one NumPy record, reached from one address.

Each field has one writer. The control side writes events, bands, what recordings hold and
``head``; all the rest belongs to the audio side. Machine code carries the fingerprint of the layout that
it was made for, :data:`LAYOUT`: so Numba's cache tells layouts apart, and a record of another layout
is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from enum import IntEnum

import numpy as np

MAX_VOICES = 64
"""Most notes that sound at once."""
SLOTS = 3 * MAX_VOICES
"""Voices in memory: each note, the old half of its crossfade, and as many that fade out."""
MAX_RECORDINGS = 4096
"""Recordings in memory, those included that still fade out."""
RING_EVENTS = 4096
"""Events that can wait; a power of two."""
PEAK_BLOCKS = 256
"""Blocks whose peaks are remembered; a power of two."""
BANDS_PER_OCTAVE = 4
BANDS = 1 + 3 * BANDS_PER_OCTAVE
"""Interpolation filters: for rates up to 1, and for three octaves above."""
PHASES = 256
"""Rows of an interpolation filter between two frames."""
CONTROL_FRAMES = 32
"""Frames between two updates of pitch; also the longest piece rendered at once."""
FRACTION_BITS = 32
"""Positions in recordings are 64-bit integers with this many bits below the point."""
SILENCE = -1
"""In place of a recording: none; a voice that plays it is free."""
NOTHING_WAITS = -2
"""In place of the next recording of a voice: it stays with the one it has."""


class EventKind(IntEnum):
    """What an event asks for, and which of its fields it uses."""

    NOTE_ON = 0
    """``key``, ``recording``, values: gain."""
    NOTE_OFF = 1
    """``key``."""
    SUSTAIN = 2
    """Values: 1 down, 0 up."""
    PITCH_BEND = 3
    """Values: semitones."""
    MOD_WHEEL = 4
    """Values: 0–1."""
    ENVELOPE = 5
    """Values: attack and decay in frames, sustain level, release in frames."""
    GAIN = 6
    """Values: linear gain."""
    ONE_SHOT = 7
    """Values: 1 on, 0 off."""
    RELEASE_ALL = 8
    PANIC = 9
    SWITCH = 10
    """``key``, ``recording`` that it moves to or SILENCE, values: crossfade in frames, correlation of
    the two recordings."""
    RETIRE = 11
    """``recording``, to be given back as soon as no voice plays it."""


class Stage(IntEnum):
    """Where a voice is in its envelope."""

    ATTACK = 0
    DECAY = 1
    SUSTAIN = 2
    RELEASE = 3


EVENT = np.dtype(
    [("kind", "i4"), ("key", "i4"), ("recording", "i4"), ("values", "f8", (4,))], align=True
)

RECORDING = np.dtype(
    [
        ("address", "i8"),  # of the first frame of the first channel
        ("channel_bytes", "i8"),  # from a frame of the left channel to that of the right; 0 mono
        ("end", "i8"),  # playback stops or wraps here, frames
        ("loop_length", "i8"),  # frames; 0 plays once
        ("rate", "f8"),  # frames per output frame at the root
        ("root_note", "i4"),
        ("starts_silent", "i4"),  # needs no ramp at its start
        ("users", "i4"),  # voices that play it or will
        ("is_retired", "i4"),  # the control side wants it back
        ("is_returned", "i4"),  # the audio side is done with it
    ],
    align=True,
)

VOICE = np.dtype(
    [
        ("recording", "i4"),  # or SILENCE
        ("next_recording", "i4"),  # to crossfade to, or SILENCE, or NOTHING_WAITS
        ("key", "i4"),
        ("is_held", "i4"),  # its key is down
        ("is_one_shot", "i4"),  # the key does not end it
        ("is_leaving", "i4"),  # fades out and no longer counts
        ("stage", "i4"),
        ("serial", "i8"),  # order of starting
        ("base_rate", "f8"),  # frames per output frame without bend and vibrato
        ("position", "i8"),  # in the recording, fixed point
        ("travel", "i8"),  # the same as if loops never wrapped
        ("gain", "f8"),  # of the velocity
        ("level", "f8"),  # envelope: level ← level · factor + offset, each frame
        ("factor", "f8"),
        ("offset", "f8"),
        ("stage_left", "i8"),  # frames
        ("stage_end", "f8"),  # level when the stage is over
        ("fade_scale", "f8"),  # gain that the fade starts or ends at
        ("fade_done", "i8"),  # frames
        ("fade_length", "i8"),  # frames; 0 without a fade
        ("fade_likeness", "f8"),  # correlation, 0-1, with the other half of a crossfade
        ("next_fade", "i8"),  # of the crossfade that waits, frames
        ("next_likeness", "f8"),  # of that crossfade
    ],
    align=True,
)

BAND = np.dtype(
    [
        ("address", "i8"),  # of float32 [PHASES + 1, taps]
        ("taps", "i8"),
    ],
    align=True,
)

STATE = np.dtype(
    [
        # Written by the control side.
        ("layout", "i8"),  # LAYOUT of whoever made the record
        ("head", "i8"),  # events written
        ("sample_rate", "f8"),
        ("max_voices", "i8"),
        ("bands", BAND, (BANDS,)),
        ("events", EVENT, (RING_EVENTS,)),
        # Written by the audio side, a cache line away.
        ("padding", "i8", (8,)),
        ("tail", "i8"),  # events taken
        ("late_events", "i8"),
        ("blocks", "i8"),
        ("underruns", "i8"),  # calls that PortAudio made too late
        ("frame", "i8"),
        ("active_voices", "i8"),
        ("serial", "i8"),
        ("pedal", "i8"),
        ("one_shot", "i8"),
        ("bend", "f8"),  # semitones, follows its target
        ("bend_target", "f8"),
        ("mod", "f8"),
        ("mod_target", "f8"),
        ("bend_ratio", "f8"),  # of frequencies
        ("pitch_ratio", "f8"),  # the same with vibrato
        ("attack", "f8"),  # frames
        ("decay", "f8"),  # frames
        ("sustain", "f8"),
        ("release", "f8"),  # frames
        ("gain", "f8"),
        ("gain_target", "f8"),
        ("gain_step", "f8"),
        ("gain_left", "i8"),  # frames
        ("loudness", "f8"),  # the limiter's peak follower
        ("peaks", "f4", (PEAK_BLOCKS, 2)),  # left and right, of the last blocks
        ("mix", "f4", (2, CONTROL_FRAMES)),
        ("wave", "f4", (CONTROL_FRAMES,)),
        ("gains", "f4", (CONTROL_FRAMES,)),
        ("voices", VOICE, (SLOTS,)),
        # What a recording holds is written before an event names it; then the audio side's.
        ("recordings", RECORDING, (MAX_RECORDINGS,)),
    ],
    align=True,
)


def fingerprint(names: Mapping[str, object]) -> int:
    """A number that changes with every constant, every kind and every field of a layout.

    Args:
        names: What a module of a layout defines, by name.
    """
    parts = [
        (name, list(value) if isinstance(value, type) else repr(value))
        for name, value in sorted(names.items())
        if isinstance(value, int | np.dtype)
        or (isinstance(value, type) and issubclass(value, IntEnum) and value is not IntEnum)
    ]
    return zlib.crc32(repr(parts).encode())


LAYOUT = fingerprint(globals())
"""Fingerprint of everything above."""
