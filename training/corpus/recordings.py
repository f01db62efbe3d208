"""Notes that were recorded before: files with a known pitch, one instrument at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.audio.files import read_audio
from core.audio.signal import isolate_note
from core.errors import AudioFileError
from training.corpus.source import (
    N_SAMPLES,
    SAMPLE_RATE,
    Note,
    NoteKind,
    RenderedNote,
    prepare_note,
)
from training.corpus.splits import pseudo_program, split_of

logger = logging.getLogger(__name__)

MAX_READ_S = 30.0
"""Longest part of a file that is searched for a note."""
DEFAULT_VELOCITY = 100
"""Velocity of a recording that names none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One file with one note."""

    path: Path
    midi_pitch: float
    """True pitch of the recording, MIDI."""
    velocity: int = DEFAULT_VELOCITY
    """MIDI velocity, 1 to 127."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingsJob:
    """The recorded notes of one instrument; its split comes from a stable hash of its identity."""

    instrument: str
    """Identity, unique in the corpus."""
    source: str
    """Name of the note source."""
    name: str
    """Name for people."""
    recordings: tuple[Recording, ...]

    @property
    def program(self) -> int:
        """A stable pseudo program made from the identity."""
        return pseudo_program(self.instrument)

    def render(self) -> Iterator[RenderedNote]:
        """Read the files in order; unusable ones are left out with a warning in the log."""
        for recording in self.recordings:
            try:
                clip = read_audio(recording.path, max_length_s=MAX_READ_S)
                isolated = isolate_note(clip, SAMPLE_RATE, N_SAMPLES / SAMPLE_RATE)
            except AudioFileError as error:
                logger.warning("Left out of the corpus: %s", error)
                continue
            audio = prepare_note(isolated.samples)
            if audio is None:
                continue
            note = Note(
                instrument=self.instrument,
                source=self.source,
                name=self.name,
                program=self.program,
                split=split_of(self.program),
                midi_pitch=recording.midi_pitch,
                velocity=recording.velocity,
                kind=NoteKind.RECORDED,
                samples=("/".join(recording.path.parts[-2:]),),
            )
            yield RenderedNote(note=note, audio=audio)
