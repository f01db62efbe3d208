"""Notes of the user's own sounds: sub-folders of note-named files, SFZ instruments, soundfonts."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from training.corpus.note_names import note_in_name, velocity_in_name
from training.corpus.recordings import DEFAULT_VELOCITY, Recording, RecordingsJob
from training.corpus.sfz import read_sfz
from training.corpus.soundfonts import PresetJob, SoundFontSource
from training.corpus.source import CorpusError, NoteGrid, NoteJob, hash_file

logger = logging.getLogger(__name__)

AUDIO_SUFFIXES = frozenset({".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3", ".opus"})
"""Files that may hold a note."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderSource:
    """Everything playable under one folder.

    An ``.sfz`` file is an instrument, and so is a folder of note-named sound files in which no
    ``.sfz`` file lies; an ``.sf2`` file gives its melodic presets.
    """

    folder: Path
    grid: NoteGrid
    """Keys and velocities to render of soundfonts; recordings are limited to its key range."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def licence(self) -> str:
        """``unknown``: nobody tells the licence of a folder."""
        return "unknown"

    def sha256(self) -> str:
        """Hash of all files' relative paths and contents."""
        digest = hashlib.sha256()
        for path in self._files():
            digest.update(f"{path.relative_to(self.folder)}\n{hash_file(path)}\n".encode())
        return digest.hexdigest()

    def jobs(self) -> list[NoteJob]:
        """One job for each instrument, by path.

        Raises:
            CorpusError: The folder is missing, holds no instrument, or an instrument is damaged.
        """
        if not self.folder.is_dir():
            raise CorpusError(f"{self.folder} is not a folder; check folders in the corpus config.")
        files = self._files()
        jobs: list[NoteJob] = []
        for path in files:
            if path.suffix.lower() == ".sf2":
                jobs.extend(self._preset_jobs(path))
            elif path.suffix.lower() == ".sfz":
                jobs.extend(self._recordings_job(path.with_suffix(""), read_sfz(path)))
        mapped = {path.parent for path in files if path.suffix.lower() == ".sfz"}
        audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
        for folder in sorted({path.parent for path in audio}):
            if not any(parent in mapped for parent in (folder, *folder.parents)):
                named = _named_recordings([path for path in audio if path.parent == folder])
                jobs.extend(self._recordings_job(folder, named))
        if not jobs:
            raise CorpusError(
                f"{self.folder} holds no instrument; put note-named sound files such as "
                "'Name_C4.wav' into one sub-folder for each instrument, or SFZ or SF2 files."
            )
        return jobs

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def _preset_jobs(self, path: Path) -> list[PresetJob]:
        return SoundFontSource(path=path, grid=self.grid).jobs()

    def _recordings_job(self, place: Path, recordings: list[Recording]) -> list[RecordingsJob]:
        """The instrument at a place in the folder, or none where no recording is in range."""
        kept = tuple(
            recording
            for recording in recordings
            if self.grid.note_low <= recording.midi_pitch <= self.grid.note_high
        )
        if not kept:
            return []
        relative = place.relative_to(self.folder).as_posix()
        identity = self.name if relative == "." else f"{self.name}/{relative}"
        return [
            RecordingsJob(instrument=identity, source=self.name, name=place.name, recordings=kept)
        ]


def _named_recordings(paths: list[Path]) -> list[Recording]:
    """Recordings of the files whose names tell a note; others are left out with a warning."""
    recordings = []
    for path in paths:
        note = note_in_name(path.stem)
        if note is None:
            logger.warning("Left out of the corpus: '%s' names no note such as C4 or 60.", path)
            continue
        velocity = velocity_in_name(path.stem) or DEFAULT_VELOCITY
        recordings.append(Recording(path=path, midi_pitch=float(note), velocity=velocity))
    return recordings
