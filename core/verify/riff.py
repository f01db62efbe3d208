"""RIFF: the chunks that WAV files and SoundFonts are made of."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import AudioFileError

Chunk = tuple[bytes, int, int]
"""Name, first byte, size."""


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """A file's bytes, read as they are looked at.

    Raises:
        AudioFileError: It cannot be opened or is empty.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except (OSError, ValueError) as error:
        raise AudioFileError(f"'{path.name}' cannot be read ({error}).") from error


def form(data: mmap.mmap, kind: bytes, name: str) -> Chunk:
    """The outermost chunk, which must hold all it promises.

    Raises:
        AudioFileError: The file is something else, or cut off.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != kind:
        raise AudioFileError(f"'{name}' is no {kind.decode()} file.")
    (size,) = struct.unpack("<I", data[4:8])
    if size + 8 > len(data):
        raise AudioFileError(
            f"'{name}' is cut off: its header promises {size + 8} bytes and {len(data)} are there."
        )
    return kind, 12, size - 4


def chunks(data: mmap.mmap, first: int, size: int, name: str) -> Iterator[Chunk]:
    """Chunks within a part of a file.

    Raises:
        AudioFileError: One is longer than the part.
    """
    place, end = first, first + size
    while place + 8 <= end:
        (length,) = struct.unpack("<I", data[place + 4 : place + 8])
        kind = bytes(data[place : place + 4])
        if place + 8 + length > end:
            raise AudioFileError(f"'{name}' is damaged: its chunk {kind!r} runs past its end.")
        yield kind, place + 8, length
        place += 8 + length + length % 2
