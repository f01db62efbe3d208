"""Sessions on disk: a zip of ``session.json`` and each recording, read without trusting it.

==============================  ==================================================================
member                          content
==============================  ==================================================================
``session.json`` (deflated)     :class:`Manifest`: version, session, and what each recording is
``audio/<hash>.flac`` (stored)  a recording that FLAC of 24 bits holds exactly
``audio/<hash>.wav`` (stored)   any other, as floats
==============================  ==================================================================

Nothing is ever extracted to disk. Before anything is decoded the members must be exactly those that
the manifest names, and their sizes within the limits below; after it, each recording must have the
hash that names it.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Literal

import numpy as np

from app.models.atomic_file import replace_file
from app.models.audio_store import audio_hash, check_audio
from app.models.edits import display_name
from app.models.lossless import Encoding, decode_audio, encode_audio
from app.models.session import Session, check_range
from app.models.session_migrations import MIGRATIONS
from core.audio.file_facts import FileFacts
from core.audio.files import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, AudioClip
from core.errors import AudioFileError, ParameterError, SessionFileError
from core.structure import dump_json, parse_json, structure, unstructure

SUFFIX = ".hgs"
FORMAT_VERSION: Final = 2

MAX_JSON_BYTES = 8 << 20
MAX_MEMBERS = 512
MAX_AUDIO_VALUES = 1 << 27
"""Samples times channels of all recordings together: 512 MB decoded."""
MAX_FILE_BYTES = 1 << 30

_JSON = "session.json"
_END_OF_ZIP = struct.Struct("<4s4H2LH")  # without a comment the last bytes of a zip
_ZIP64_LOCATOR = (b"PK\x06\x07", 20)  # signature and size; would stand right before the end
_MAX_DIRECTORY_BYTES = MAX_MEMBERS * 256
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioEntry:
    """One recording in the file."""

    hash: str
    """See :func:`app.models.audio_store.audio_hash`."""
    name: str
    encoding: Encoding
    frames: int
    channels: int
    sample_rate: int
    facts: FileFacts = field(default_factory=FileFacts)
    """What its file said of itself."""

    def __post_init__(self) -> None:
        if not _HASH.fullmatch(self.hash):
            raise ParameterError(f"audio hash {self.hash[:20]!r} is not 64 hex digits")
        check_range("Frames of a recording", self.frames, 1, MAX_AUDIO_VALUES)
        check_range("Channels of a recording", self.channels, 1, 1024)
        check_range("Sample rate", self.sample_rate, MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)

    @property
    def member(self) -> str:
        """Its name in the zip."""
        return f"audio/{self.hash}.{self.encoding}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """All of ``session.json``."""

    format: Literal["hyperganstrument-session"] = "hyperganstrument-session"
    format_version: int = FORMAT_VERSION
    origin: str | None = None
    """Only in recovery files: the path that the session was saved under."""
    session: Session
    audio: tuple[AudioEntry, ...]

    def __post_init__(self) -> None:
        values = sum(entry.frames * entry.channels for entry in self.audio)
        if values > MAX_AUDIO_VALUES:
            raise ParameterError(
                f"its recordings hold {values} samples, more than {MAX_AUDIO_VALUES}"
            )
        if {entry.hash for entry in self.audio} != self.session.audio_hashes:
            raise ParameterError("its recordings are not those that its sources use")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedAudio:
    """A recording as it stands in the file."""

    entry: AudioEntry
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SessionContents:
    """What a session file holds."""

    session: Session
    clips: Mapping[str, AudioClip]
    """Recordings by hash, exactly those that the session uses."""
    origin: Path | None = None
    """Where the session of a recovery file was saved. Never trust it from elsewhere."""


def encode_clip(key: str, clip: AudioClip) -> EncodedAudio:
    """A recording as it is written: the slow part of saving, worth keeping between two of them.

    Args:
        key: Its hash.
        clip: The recording.
    """
    encoding, data = encode_audio(clip)
    entry = AudioEntry(
        hash=key,
        name=display_name(clip.name),
        encoding=encoding,
        frames=clip.samples.shape[1],
        channels=clip.samples.shape[0],
        sample_rate=clip.sample_rate,
        facts=clip.facts,
    )
    return EncodedAudio(entry=entry, data=data)


def save_session(path: Path, session: Session, clips: Mapping[str, AudioClip]) -> None:
    """Write a session file, replacing the old one in one step once all is on the disk.

    Args:
        path: Where to; its folder must exist.
        session: What to write.
        clips: Recordings by hash; those that the session uses are written.

    Raises:
        SessionFileError: It is too large, or could not be written; an old file is left as it was.
        ParameterError: A recording is missing.
    """
    check_audio(session, clips)
    encoded = [encode_clip(key, clips[key]) for key in sorted(session.audio_hashes)]
    write_session(path, session, encoded)


def write_session(
    path: Path,
    session: Session,
    encoded: list[EncodedAudio],
    origin: Path | None = None,
) -> None:
    """Write a session file from recordings encoded before: see :func:`save_session`.

    Args:
        path: Where to; its folder must exist.
        session: What to write.
        encoded: Exactly the recordings that the session uses.
        origin: For recovery files: where the session was saved.

    Raises:
        SessionFileError: It is too large, or could not be written; an old file is left as it was.
    """
    try:
        manifest = Manifest(
            session=session,
            audio=tuple(each.entry for each in encoded),
            origin=None if origin is None else str(origin),
        )
        json = dump_json(unstructure(manifest))
        with replace_file(path) as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_JSON, json, compress_type=zipfile.ZIP_DEFLATED)
            for each in encoded:
                archive.writestr(each.entry.member, each.data)
    except ParameterError as error:
        raise SessionFileError(
            f"The session cannot be saved as '{path}': {str(error).rstrip('.')}; "
            "remove some sources or trim their files."
        ) from error
    except OSError as error:
        raise SessionFileError(
            f"'{path}' could not be written ({error.strerror or error}); "
            "free some space or save in another folder."
        ) from error


def load_session(path: Path) -> SessionContents:
    """Read a session file of this or an older version.

    Args:
        path: The file; it may come from anyone.

    Raises:
        SessionFileError: It does not exist, is damaged, foreign, too large or too new.
    """
    try:
        if path.exists() and not path.is_file():
            raise SessionFileError(f"'{path}' is no file; choose a {SUFFIX} file.")
        with path.open("rb") as file:
            return _read(file)
    except FileNotFoundError as error:
        raise SessionFileError(f"'{path}' does not exist; check the path.") from error
    except _NewerVersion as error:
        raise SessionFileError(
            f"'{path}' was saved by a newer version of the program (format {error}, this one reads "
            f"up to {FORMAT_VERSION}); update the program."
        ) from error
    except (ParameterError, AudioFileError) as error:
        raise SessionFileError(
            f"'{path}' cannot be opened: {str(error).rstrip('.')}; use another copy of it."
        ) from error
    except OSError as error:
        raise SessionFileError(
            f"'{path}' cannot be read ({error.strerror or error}); check the drive."
        ) from error


class _NewerVersion(Exception):
    """Its message is the version."""


def _read(file: BinaryIO) -> SessionContents:
    _check_end_of_zip(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = _checked_members(archive)
            manifest = _read_manifest(_read_member(archive, _JSON))
            if set(members) != {_JSON, *(entry.member for entry in manifest.audio)}:
                raise ParameterError("it holds other files than it names")
            clips = {
                entry.hash: _read_clip(_read_member(archive, entry.member), entry)
                for entry in manifest.audio
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ParameterError("it is damaged") from error
    check_audio(manifest.session, clips)
    origin = None if manifest.origin is None else Path(manifest.origin)
    return SessionContents(session=manifest.session, clips=clips, origin=origin)


def _check_end_of_zip(file: BinaryIO) -> None:
    """Look at the zip's size and count of members before its directory is read into memory."""
    size = file.seek(0, 2)
    if size > MAX_FILE_BYTES:
        raise ParameterError(f"it is larger than {MAX_FILE_BYTES >> 20} MB")
    locator, locator_size = _ZIP64_LOCATOR
    file.seek(max(0, size - _END_OF_ZIP.size - locator_size))
    tail = file.read()
    end = tail[-_END_OF_ZIP.size :]
    if len(end) < _END_OF_ZIP.size or not end.startswith(b"PK\x05\x06"):
        raise ParameterError("it is damaged or no session file")
    members, directory_bytes = _END_OF_ZIP.unpack(end)[4:6]
    if members > MAX_MEMBERS or directory_bytes > _MAX_DIRECTORY_BYTES or tail.startswith(locator):
        raise ParameterError(f"it holds more than {MAX_MEMBERS} files")


def _checked_members(archive: zipfile.ZipFile) -> list[str]:
    """Names of all members; their sizes are within the limits."""
    names = archive.namelist()
    if len(set(names)) != len(names):
        raise ParameterError("it holds a file twice")
    if _JSON not in names:
        raise ParameterError(f"it holds no {_JSON}")
    json = archive.getinfo(_JSON)
    # Other methods than these two decompress without a limit.
    if json.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ParameterError(f"its {_JSON} is compressed in an unknown way")
    if json.file_size > MAX_JSON_BYTES:
        raise ParameterError(f"its {_JSON} is larger than {MAX_JSON_BYTES >> 20} MB")
    for info in archive.infolist():
        if info.filename != _JSON and info.compress_type != zipfile.ZIP_STORED:
            raise ParameterError(f"its file {info.filename[:80]!r} is compressed")
    if sum(info.compress_size for info in archive.infolist()) > MAX_FILE_BYTES:
        raise ParameterError("its files overlap")
    return names


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        # Without a size zipfile would inflate all there is, whatever size the directory states.
        return member.read(archive.getinfo(name).file_size)


def _read_manifest(json: bytes) -> Manifest:
    plain = parse_json(json)
    version = plain.get("format_version") if isinstance(plain, dict) else None
    if not isinstance(plain, dict) or type(version) is not int or version < 1:
        raise ParameterError("it names no format version")
    if version > FORMAT_VERSION:
        raise _NewerVersion(str(version)[:20])
    for older in range(version, FORMAT_VERSION):
        plain = {**MIGRATIONS[older](plain), "format_version": older + 1}
    return structure(Manifest, plain, _JSON)


def _read_clip(data: bytes, entry: AudioEntry) -> AudioClip:
    samples = decode_audio(
        data,
        entry.encoding,
        frames=entry.frames,
        channels=entry.channels,
        sample_rate=entry.sample_rate,
    )
    clip = AudioClip(
        samples=samples,
        sample_rate=entry.sample_rate,
        name=display_name(entry.name),
        facts=entry.facts,
    )
    if not np.isfinite(samples).all() or audio_hash(clip) != entry.hash:
        raise ParameterError(f"the recording {clip.name!r} is damaged")
    return clip
