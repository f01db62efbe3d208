"""What a sound file says of itself: its root note, fine tune and loops, and where it says so.

Read from ``smpl``, ``inst``, ``acid`` and ``clm`` chunks of WAV files, ``INST`` and ``MARK`` of AIFF
files and from the file's name. Files come from strangers: whatever does not fit is left out, nothing
is refused, and little of a file is read. What is claimed here is weighed against what is heard in
:mod:`core.audio.root`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final

from core.audio.chunks import Container, find_chunks, read_chunk
from core.audio.notes import note_of
from core.errors import ParameterError

MAX_LOOPS: Final = 16
"""Loops taken from a file."""
MAX_CLAIMS: Final = 8
MIDDLE_C_OCTAVE: Final = 4
"""Number of middle C's octave where nothing else is said: C4 is MIDI note 60."""
SHORTEST_CYCLE: Final = 2
LONGEST_CYCLE: Final = 1 << 16

_CHUNK_BYTES = 4096  # of a chunk are read
_HIGHEST_NOTE = 127
_DEFAULT_NOTE = 60  # what editors write where nobody set a root
_MAX_MARKS = 256
_NAMED_NOTE = re.compile(
    # Apart from other letters and digits, or a capital after a small letter: "Kick_A1", "PianoC4".
    r"(?:(?<![A-Za-z0-9#♯♭])|(?<=[a-z])(?=[A-G]))"
    r"([A-Ga-g])([#♯sb♭]?)(-?[0-9]|10)(?![A-Za-z0-9#])"
)
_BETWEEN_NOTES = re.compile(r"[^A-Za-z0-9]*")


class RootOrigin(StrEnum):
    """Where the root of a recording is known from."""

    HEARD = "heard"
    SMPL = "smpl"
    INST = "inst"
    ACID = "acid"
    AIFF_INST = "aiff-inst"
    NAME = "name"
    CYCLE = "cycle"
    """Its file is one period of a wave: the length tells."""
    GIVEN = "given"
    """By the user."""
    FIXED = "fixed"
    """The sound has no pitch, so one is as good as another."""

    @property
    def phrase(self) -> str:
        """For people, to stand behind the note."""
        return _PHRASES[self]

    @property
    def label(self) -> str:
        """For people, where there is little room."""
        return _LABELS.get(self, "by its file")


_PHRASES = {
    RootOrigin.HEARD: "heard",
    RootOrigin.SMPL: "from the file's smpl chunk",
    RootOrigin.INST: "from the file's inst chunk",
    RootOrigin.ACID: "from the file's acid chunk",
    RootOrigin.AIFF_INST: "from the file's INST chunk",
    RootOrigin.NAME: "from the file's name",
    RootOrigin.CYCLE: "from the length of the cycle",
    RootOrigin.GIVEN: "given",
    RootOrigin.FIXED: "fixed, for no pitch is heard",
}


_LABELS = {
    RootOrigin.HEARD: "heard",
    RootOrigin.NAME: "by its name",
    RootOrigin.CYCLE: "one cycle",
    RootOrigin.GIVEN: "set by you",
    RootOrigin.FIXED: "no pitch",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RootClaim:
    """A root note that a file names."""

    midi_pitch: float
    """Fractional MIDI note, the fine tune included."""
    origin: RootOrigin

    def __post_init__(self) -> None:
        if not 0.0 <= self.midi_pitch <= _HIGHEST_NOTE + 1:
            raise ParameterError(f"A root of {self.midi_pitch} is outside 0-{_HIGHEST_NOTE}.")

    @property
    def is_default(self) -> bool:
        """Whether it is what editors write unasked: a chunk's middle C."""
        return self.midi_pitch == _DEFAULT_NOTE and self.origin is not RootOrigin.NAME


@dataclass(frozen=True, kw_only=True, slots=True)
class FileLoop:
    """A loop that a file brings."""

    start: int
    """First frame."""
    end: int
    """The frame after its last."""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ParameterError(f"A loop from frame {self.start} to {self.end} holds nothing.")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """All that a file says of itself."""

    claims: tuple[RootClaim, ...] = ()
    """Root notes, those of chunks before the name's."""
    loops: tuple[FileLoop, ...] = ()
    """Sustain loops in frames of the recording, in the file's order."""
    cycle_frames: int | None = None
    """Frames of one period where the file is a single cycle or a wavetable of them."""

    def __post_init__(self) -> None:
        if len(self.claims) > MAX_CLAIMS or len(self.loops) > MAX_LOOPS:
            raise ParameterError("A file with that many roots or loops is none.")
        cycle = self.cycle_frames
        if cycle is not None and not SHORTEST_CYCLE <= cycle <= LONGEST_CYCLE:
            raise ParameterError(
                f"A cycle of {cycle} frames is outside {SHORTEST_CYCLE}-{LONGEST_CYCLE}."
            )

    @property
    def root(self) -> RootClaim | None:
        """The claim to believe: the first that no editor wrote unasked, or else the first."""
        believed = (claim for claim in self.claims if not claim.is_default)
        return next(believed, self.claims[0] if self.claims else None)

    def within(self, start: int, end: int) -> FileFacts:
        """What is true of a part of the recording: a part of a cycle is none.

        Args:
            start: Its first frame.
            end: The frame after its last.
        """
        loops = tuple(
            FileLoop(start=loop.start - start, end=loop.end - start)
            for loop in self.loops
            if start <= loop.start and loop.end <= end
        )
        return FileFacts(claims=self.claims, loops=loops)


def read_file_facts(
    stream: BinaryIO, name: str, n_frames: int, *, middle_c_octave: int = MIDDLE_C_OCTAVE
) -> FileFacts:
    """What a file says of itself.

    Args:
        stream: The file; its position is moved.
        name: Its stem.
        n_frames: How many frames of it are known: loops beyond them are left out.
        middle_c_octave: Octave that the names of notes give to middle C: 3, 4 or 5.
    """
    container = find_chunks(stream)
    claims: list[RootClaim] = []
    loops: list[FileLoop] = []
    cycle: int | None = None
    if container is not None:
        reader = _FactReader(stream, container)
        claims += reader.claims()
        loops += (loop for loop in reader.loops() if loop.end <= n_frames)
        cycle = reader.cycle_frames()
    named = note_in_name(name, middle_c_octave=middle_c_octave)
    if named is not None:
        claims.append(RootClaim(midi_pitch=float(named), origin=RootOrigin.NAME))
    is_cycle = cycle is not None and SHORTEST_CYCLE <= cycle <= min(n_frames, LONGEST_CYCLE)
    return FileFacts(
        claims=tuple(claims),
        loops=tuple(loops[:MAX_LOOPS]),
        cycle_frames=cycle if is_cycle else None,
    )


def note_in_name(name: str, *, middle_c_octave: int = MIDDLE_C_OCTAVE) -> int | None:
    """The MIDI note that a file's name holds; None where it holds none.

    ``Pad_C#4``, ``bass-Eb2``, ``PianoC4`` and a tracker's ``C-4`` are notes; digits alone, ``v127``
    and ``rr1`` are none. The last note of a name counts, and of several in a row, as of a chord, the
    first.

    Args:
        name: A file's stem.
        middle_c_octave: Octave that it gives to middle C (MIDI note 60).
    """
    row_start: int | None = None
    row_end = -1
    for found in _NAMED_NOTE.finditer(name):
        letter, accidental, octave = found.groups()
        number = int(octave)
        if number < -2:
            number = -number  # a dash before the octave, as trackers write it
        sign = {"": "", "♯": "#", "s": "#", "♭": "b"}.get(accidental, accidental)
        note = note_of(letter, sign, number + MIDDLE_C_OCTAVE - middle_c_octave)
        if not 0 <= note <= _HIGHEST_NOTE:
            continue
        is_row = row_start is not None and _BETWEEN_NOTES.fullmatch(name[row_end : found.start()])
        if not is_row:
            row_start = note
        row_end = found.end()
    return row_start


class _FactReader:
    """Reads the chunks of one file; whatever is too short or out of range says nothing.

    Args:
        stream: The file.
        container: Its chunks.
    """

    def __init__(self, stream: BinaryIO, container: Container) -> None:
        self._stream = stream
        self._container = container
        self._order = ">" if container.is_big_endian else "<"

    def claims(self) -> Iterator[RootClaim]:
        """Root notes, the most trustworthy first."""
        if self._container.kind == "AIFF":
            yield from self._tuned(b"INST", RootOrigin.AIFF_INST)
            return
        head = self._unpack(b"smpl", "9I")
        if head is not None:
            # The fraction is that of a semitone above the note, in 32 bits.
            yield from _claim(head[3], head[4] / 2.0**32, RootOrigin.SMPL)
        yield from self._tuned(b"inst", RootOrigin.INST)
        acid = self._unpack(b"acid", "IH")
        if acid is not None and acid[0] & 2:
            yield from _claim(acid[1], 0.0, RootOrigin.ACID)

    def loops(self) -> Iterator[FileLoop]:
        """Loops in the file's order, at most :data:`MAX_LOOPS`."""
        if self._container.kind == "AIFF":
            yield from self._loops_between_marks()
            return
        head = self._unpack(b"smpl", "9I")
        for index in range(min(head[7], MAX_LOOPS) if head is not None else 0):
            entry = self._unpack(b"smpl", "6I", 36 + 24 * index)
            if entry is not None and entry[2] <= entry[3]:
                yield FileLoop(start=entry[2], end=entry[3] + 1)

    def cycle_frames(self) -> int | None:
        """Frames of one wave of a wavetable, from its ``clm`` chunk: ``<!>2048 10000000 …``."""
        told = re.match(rb"<!>([0-9]{1,6})\b", self._content(b"clm "))
        return int(told[1]) if told else None

    def _tuned(self, name: bytes, origin: RootOrigin) -> Iterator[RootClaim]:
        found = self._unpack(name, "Bb")
        if found is not None and abs(found[1]) <= 50:
            # The tune is what a player adds, so the recording lies as much on the other side.
            yield from _claim(found[0], -found[1] / 100.0, origin)

    def _loops_between_marks(self) -> Iterator[FileLoop]:
        marks = self._marks()
        sustained = self._unpack(b"INST", "hHH", 8)
        if sustained is not None and sustained[0] != 0:
            start, end = (marks.get(number, -1) for number in sustained[1:])
            if 0 <= start < end:
                yield FileLoop(start=start, end=end)

    def _marks(self) -> dict[int, int]:
        """Places of an AIFF file's markers by their numbers."""
        content = self._content(b"MARK")
        marks: dict[int, int] = {}
        at = 2
        while at + 7 <= len(content) and len(marks) < _MAX_MARKS:
            number, place, letters = struct.unpack_from(">HIB", content, at)
            marks[number] = place
            at += 7 + letters + (letters + 1) % 2  # the name with its length is of even size
        return marks

    def _unpack(self, name: bytes, form: str, at: int = 0) -> tuple[int, ...] | None:
        content = self._content(name)
        layout = struct.Struct(self._order + form)
        return layout.unpack_from(content, at) if at + layout.size <= len(content) else None

    def _content(self, name: bytes) -> bytes:
        chunk = self._container.first(name)
        return b"" if chunk is None else read_chunk(self._stream, chunk, _CHUNK_BYTES)


def _claim(note: int, tune: float, origin: RootOrigin) -> Iterator[RootClaim]:
    if note <= _HIGHEST_NOTE and note + tune >= 0.0:
        yield RootClaim(midi_pitch=note + tune, origin=origin)
