"""Chunks of WAV and AIFF files, found without trusting their sizes, and broken WAV files mended.

Written for the files that broken or careless programs leave: sizes of 0 where writing was cut off,
chunks of odd length without their padding byte, an empty ``data`` chunk before the real one, another
format's stream in ``data``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

MAX_CHUNKS: Final = 1024
"""Chunks looked at; a file with more is read up to there."""

_ID3_HEADER = 10
_KNOWN = frozenset(
    {b"fmt ", b"data", b"smpl", b"inst", b"acid", b"LIST", b"fact", b"cue ", b"bext", b"JUNK", b"junk",
     b"PEAK", b"id3 ", b"ID3 ", b"iXML", b"ds64", b"clm ", b"plst", b"note", b"labl", b"PAD ", b"FLLR"}
)  # fmt: skip
_STREAMS = (b"OggS", b"fLaC", b"ID3")  # what other formats begin with
_MAX_FORMAT_BYTES = 4096
_UNKNOWN_SIZE = 0xFFFFFFFF  # written by programs that do not know the size yet, and by RF64


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """One chunk of a file."""

    name: bytes
    """Four bytes."""
    at: int
    """Where its content begins in the file."""
    size: int
    """Bytes of content that are there, whatever its header says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """A file of chunks."""

    kind: Literal["WAVE", "AIFF"]
    is_big_endian: bool
    chunks: tuple[Chunk, ...]
    """In their order in the file."""

    def first(self, name: bytes) -> Chunk | None:
        """The first chunk of a name; None where there is none."""
        return next((chunk for chunk in self.chunks if chunk.name == name), None)


def find_chunks(stream: BinaryIO) -> Container | None:
    """The chunks of a WAV (RIFF, RIFX, RF64) or AIFF file, behind an ID3 tag where there is one.

    Args:
        stream: The file; its position is moved.

    Returns:
        None for a file of any other kind.
    """
    end = stream.seek(0, 2)
    start = _after_id3(_read_at(stream, 0, _ID3_HEADER))
    head = _read_at(stream, start, 12)
    container, form = head[:4], head[8:12]
    if container in (b"RIFF", b"RIFX", b"RF64") and form == b"WAVE":
        is_big_endian = container == b"RIFX"
        kind: Literal["WAVE", "AIFF"] = "WAVE"
    elif container == b"FORM" and form in (b"AIFF", b"AIFC"):
        is_big_endian, kind = True, "AIFF"
    else:
        return None
    walk = _Walk(stream, end, ">" if is_big_endian else "<")
    return Container(kind=kind, is_big_endian=is_big_endian, chunks=walk.chunks(start + 12))


def read_chunk(stream: BinaryIO, chunk: Chunk, limit: int) -> bytes:
    """The content of a chunk, at most so many bytes of it."""
    return _read_at(stream, chunk.at, min(chunk.size, limit))


def mended_wav(stream: BinaryIO, max_length_s: float) -> bytes | None:
    """A sound file for libsndfile made of what a broken WAV file holds.

    Args:
        stream: The file; its position is moved.
        max_length_s: About as much of the sound is taken at most.

    Returns:
        A WAV file with nothing but format and samples, or the stream of another format that lay in
        ``data``; None where the file is no WAV or holds no samples.
    """
    container = find_chunks(stream)
    if container is None or container.kind != "WAVE":
        return None
    form = container.first(b"fmt ")
    data = max(
        (chunk for chunk in container.chunks if chunk.name == b"data"),
        key=lambda chunk: chunk.size,
        default=None,
    )
    if form is None or form.size < 16 or data is None or data.size == 0:
        return None
    order = ">" if container.is_big_endian else "<"
    format_bytes = read_chunk(stream, form, _MAX_FORMAT_BYTES)
    _, channels, rate = struct.unpack_from(f"{order}HHI", format_bytes)
    widest = 8 * channels * rate * max_length_s  # no sample is wider than eight bytes
    payload = read_chunk(stream, data, int(min(widest, 1 << 29)) + (1 << 16))
    if payload.startswith(_STREAMS):
        return payload
    parts = b"".join(
        name + struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)
        for name, content in ((b"fmt ", format_bytes), (b"data", payload))
    )
    head = b"RIFX" if container.is_big_endian else b"RIFF"
    return head + struct.pack(f"{order}I", 4 + len(parts)) + b"WAVE" + parts


class _Walk:
    """Goes from chunk to chunk.

    Args:
        stream: The file.
        end: Its size.
        order: Byte order for ``struct``.
    """

    def __init__(self, stream: BinaryIO, end: int, order: str) -> None:
        self._stream = stream
        self._end = end
        self._order = order
        self._long_data = 0  # size of the data chunk of an RF64 file

    def chunks(self, at: int) -> tuple[Chunk, ...]:
        """All chunks from a place on."""
        found: list[Chunk] = []
        while len(found) < MAX_CHUNKS and (header := self._header(at)) is not None:
            name, stated = header
            chunk = Chunk(name=name, at=at + 8, size=self._size(name, stated, at + 8))
            if name == b"ds64" and chunk.size >= 16:
                (self._long_data,) = struct.unpack(
                    f"{self._order}Q", _read_at(self._stream, at + 16, 8)
                )
            found.append(chunk)
            at = self._next(chunk)
        return tuple(found)

    def _header(self, at: int) -> tuple[bytes, int] | None:
        header = _read_at(self._stream, at, 8)
        if len(header) < 8 or not header[:4].isascii() or not header[:4].decode().isprintable():
            return None
        return header[:4], struct.unpack(f"{self._order}I", header[4:])[0]

    def _size(self, name: bytes, stated: int, at: int) -> int:
        if name == b"data" and stated == _UNKNOWN_SIZE and self._long_data:
            stated = self._long_data
        if name == b"data" and stated == 0 and not self._is_known(at):
            stated = self._end  # the program that wrote it never came back to write the size
        return max(0, min(stated, self._end - at))

    def _next(self, chunk: Chunk) -> int:
        after = chunk.at + chunk.size
        return after if chunk.size % 2 == 0 or self._is_known(after) else after + 1

    def _is_known(self, at: int) -> bool:
        header = self._header(at)
        return header is not None and header[0] in _KNOWN


def _after_id3(head: bytes) -> int:
    """Where a file begins behind its ID3 tag."""
    if len(head) < _ID3_HEADER or not head.startswith(b"ID3"):
        return 0
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 127
    return _ID3_HEADER + size


def _read_at(stream: BinaryIO, at: int, size: int) -> bytes:
    stream.seek(at)
    return stream.read(size)
