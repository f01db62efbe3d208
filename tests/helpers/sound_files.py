"""WAV and AIFF files put together chunk by chunk, as other programs write them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def chunk(
    name: bytes,
    content: bytes,
    *,
    order: str = "<",
    size: int | None = None,
    is_padded: bool = True,
) -> bytes:
    """A chunk; its header may lie about its size, and its padding byte may be missing."""
    stated = len(content) if size is None else size
    padding = bytes(len(content) % 2) if is_padded else b""
    return name + struct.pack(f"{order}I", stated) + content + padding


def wav_format(rate: int = 44100, channels: int = 1, *, order: str = "<", tag: int = 1) -> bytes:
    """A ``fmt`` chunk for 16 bits."""
    return chunk(
        b"fmt ",
        struct.pack(f"{order}HHIIHH", tag, channels, rate, 2 * channels * rate, 2 * channels, 16),
        order=order,
    )


def pcm16(samples: NDArray[np.floating], order: str = "<") -> bytes:
    """Mono samples [T] as 16-bit integers."""
    return np.rint(np.clip(samples, -1, 1) * 32767).astype(f"{order}i2").tobytes()


def riff(*chunks: bytes, order: str = "<", size: int | None = None) -> bytes:
    """A WAV file, RIFX where the order is big-endian."""
    body = b"WAVE" + b"".join(chunks)
    stated = len(body) if size is None else size
    return (b"RIFX" if order == ">" else b"RIFF") + struct.pack(f"{order}I", stated) + body


def wav(samples: NDArray[np.floating], *more: bytes, rate: int = 44100, order: str = "<") -> bytes:
    """A mono WAV file of 16 bits with further chunks behind the sound."""
    data = chunk(b"data", pcm16(samples, order), order=order)
    return riff(wav_format(rate, order=order), data, *more, order=order)


def smpl(
    root: int, fraction: int = 0, loops: Sequence[tuple[int, int]] = (), *, order: str = "<"
) -> bytes:
    """A ``smpl`` chunk; loops end with their last frame."""
    head = struct.pack(f"{order}9I", 0, 0, 22676, root, fraction, 0, 0, len(loops), 0)
    return chunk(
        b"smpl",
        head + b"".join(struct.pack(f"{order}6I", 0, 0, *loop, 0, 0) for loop in loops),
        order=order,
    )


def inst(root: int, tune_cents: int = 0) -> bytes:
    """An ``inst`` chunk."""
    return chunk(b"inst", struct.pack("<BbbBBBB", root, tune_cents, 0, 0, 127, 1, 127))


def acid(root: int, flags: int = 2) -> bytes:
    """An ``acid`` chunk; without flag 2 its root means nothing."""
    return chunk(b"acid", struct.pack("<IHHfIHHf", flags, root, 0x8000, 0.0, 1, 4, 4, 120.0))


def aiff(
    samples: NDArray[np.floating],
    *,
    root: int,
    tune_cents: int = 0,
    loop: tuple[int, int] | None = None,
    rate: int = 44100,
) -> bytes:
    """A mono AIFF file with ``INST``, and ``MARK`` where there is a loop (its end exclusive)."""

    def mark(number: int, place: int, name: bytes) -> bytes:
        text = bytes([len(name)]) + name
        return struct.pack(">HI", number, place) + text + bytes(len(text) % 2)

    rate80 = struct.pack(">HQ", 16383 + 15, rate << (63 - 15))
    sustained = (0, 0, 0) if loop is None else (1, 7, 9)
    parts = [
        chunk(b"COMM", struct.pack(">hIh", 1, len(samples), 16) + rate80, order=">"),
        chunk(
            b"INST",
            struct.pack(">bbbbbbh", root, tune_cents, 0, 127, 1, 127, 0)
            + struct.pack(">hHH", *sustained)
            + struct.pack(">hHH", 0, 0, 0),
            order=">",
        ),
        chunk(b"SSND", struct.pack(">II", 0, 0) + pcm16(samples, ">"), order=">"),
    ]
    if loop is not None:
        marks = struct.pack(">H", 2) + mark(7, loop[0], b"begin") + mark(9, loop[1], b"end!")
        parts.insert(1, chunk(b"MARK", marks, order=">"))
    body = b"AIFF" + b"".join(parts)
    return b"FORM" + struct.pack(">I", len(body)) + body
