"""Where an instrument's samples lie: a folder, or an archive that nobody vouches for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from core.errors import AudioFileError
from core.verify.contents import Sound
from core.verify.riff import form, mapped

MAX_FRAMES = 1 << 26
"""Longest recording that is read, frames of all channels together (256 MB)."""
MAX_TEXT_BYTES = 1 << 26
"""Longest text that is read."""
MAX_MEMBERS = 20_000
"""Most files of an archive."""
MAX_MEMBER_BYTES = 1 << 30
"""Largest file of an archive."""


class Samples(Protocol):
    """Files that an instrument refers to by relative paths with forward slashes."""

    def problem(self, name: str) -> str:
        """Why there is no such file, as a clause; empty where there is one."""

    def read(self, name: str) -> Sound:
        """A sound file.

        Raises:
            AudioFileError: It is missing, damaged or too long.
        """


def read_sound(source: Path | BinaryIO, name: str) -> Sound:
    """Decode a sound file of any libsndfile format.

    Args:
        source: The file.
        name: What messages call it.

    Raises:
        AudioFileError: It is damaged, empty or too long.
    """
    try:
        with soundfile.SoundFile(source) as sound:
            if sound.frames * sound.channels > MAX_FRAMES:
                raise AudioFileError(f"'{name}' holds {sound.frames} frames, too many to check.")
            frames = sound.read(dtype="float32", always_2d=True)
            if len(frames) != sound.frames:
                raise AudioFileError(
                    f"'{name}' is cut off: {sound.frames} frames promised, {len(frames)} there."
                )
            rate = int(sound.samplerate)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioFileError(f"'{name}' is damaged or no sound file ({error}).") from error
    if not frames.size:
        raise AudioFileError(f"'{name}' holds no samples.")
    return Sound(samples=np.ascontiguousarray(frames.T), sample_rate=rate)


def _unsafe(name: str) -> str:
    """Why a path must not be followed, as a clause; empty where it may."""
    if "\\" in name:
        return "is written with backslashes"
    path = PurePosixPath(name)
    if path.is_absolute() or ":" in name or ".." in path.parts:
        return "leads out of its folder"
    return "" if name and "\0" not in name else "is no path"


class SampleFolder:
    """Files below a folder; names count to the letter, as on most players' systems.

    Args:
        folder: Where relative paths begin.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listed: dict[Path, frozenset[str]] = {}

    def problem(self, name: str) -> str:
        """See :class:`Samples`."""
        unsafe = _unsafe(name)
        if unsafe:
            return unsafe
        folder = self._folder
        for part in PurePosixPath(name).parts:
            names = self._names(folder)
            if part not in names:
                return _misspelt(part, names)
            folder = folder / part
        return "" if folder.is_file() else "is no file"

    def _names(self, folder: Path) -> frozenset[str]:
        if folder not in self._listed:
            paths = folder.iterdir() if folder.is_dir() else ()
            self._listed[folder] = frozenset(path.name for path in paths)
        return self._listed[folder]

    def read(self, name: str) -> Sound:
        """See :class:`Samples`."""
        problem = self.problem(name)
        if problem:
            raise AudioFileError(f"'{name}' {problem}.")
        path = self._folder / name
        if path.suffix.lower() == ".wav":  # libsndfile is content with what is there
            with mapped(path) as data:
                form(data, b"WAVE", name)
        return read_sound(path, name)


class SampleArchive:
    """Members of a ZIP archive; nothing is ever unpacked to the disk.

    Args:
        path: The archive.

    Raises:
        AudioFileError: It is damaged, or built to harm.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise AudioFileError(f"'{path.name}' is cut off or no archive ({error}).") from error
        if len(members) > MAX_MEMBERS:
            raise AudioFileError(f"'{path.name}' holds {len(members)} files, too many to check.")
        for member in members:
            if member.file_size > MAX_MEMBER_BYTES:
                raise AudioFileError(
                    f"'{member.filename}' in '{path.name}' claims {member.file_size} bytes, "
                    "too many to check."
                )
            unsafe = _unsafe(member.filename)
            if unsafe:
                raise AudioFileError(f"'{member.filename}' in '{path.name}' {unsafe}.")
        self._is_compressed = any(m.compress_type != zipfile.ZIP_STORED for m in members)
        self._names = frozenset(m.filename for m in members if not m.is_dir())

    @property
    def names(self) -> frozenset[str]:
        """Paths of the files in it."""
        return self._names

    @property
    def is_compressed(self) -> bool:
        """Whether a member is not merely stored."""
        return self._is_compressed

    def problem(self, name: str) -> str:
        """See :class:`Samples`."""
        return _unsafe(name) or ("" if name in self._names else _misspelt(name, self._names))

    def read_bytes(self, name: str) -> bytes:
        """Contents of a member, its checksum verified.

        Raises:
            AudioFileError: It is missing or damaged.
        """
        problem = self.problem(name)
        if problem:
            raise AudioFileError(f"'{name}' {problem}.")
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(name) as member:
                return member.read(MAX_MEMBER_BYTES)
        except (zipfile.BadZipFile, OSError, RuntimeError, EOFError) as error:
            raise AudioFileError(
                f"'{name}' in '{self._path.name}' is damaged ({error})."
            ) from error

    def read(self, name: str) -> Sound:
        """See :class:`Samples`."""
        return read_sound(io.BytesIO(self.read_bytes(name)), name)


def _misspelt(name: str, names: frozenset[str]) -> str:
    """Why a name is not among others, as a clause."""
    alike = next((other for other in sorted(names) if other.lower() == name.lower()), None)
    if alike is None:
        return "is missing"
    return f"is called '{alike}' on the disk (upper and lower case differ)"


def read_text(path: Path) -> str:
    """A text file.

    Raises:
        AudioFileError: It cannot be read, is too long or no UTF-8.
    """
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise AudioFileError(f"'{path.name}' is too long to be an instrument's text.")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AudioFileError(f"'{path.name}' cannot be read as text ({error}).") from error
