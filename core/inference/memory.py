"""Memory between two notes: kept at hand while rendering, back to the system at rest."""

from __future__ import annotations

import ctypes
import sys

KEPT_BYTES = 256 * 2**20
"""Freed memory that stays with the process until it is asked for."""
LARGEST_BYTES = 32 * 2**20
"""Size of the largest block that is kept."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory(kept_bytes: int = KEPT_BYTES, largest_bytes: int = LARGEST_BYTES) -> None:
    """Let glibc keep what the networks free until :func:`return_freed_memory`.

    By itself glibc gives feature maps back to the system as soon as they are freed. The next note
    takes them anew, 4 KiB at a time and cleared, which is a fifth of its time. Does nothing where
    the C library is not glibc.

    Args:
        kept_bytes: Freed memory that stays with the process, below 2³¹.
        largest_bytes: Size of the largest block that is kept, below 2³¹.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, largest_bytes)
        libc.mallopt(_M_TRIM_THRESHOLD, kept_bytes)


def return_freed_memory() -> None:
    """Give what glibc keeps of freed memory back to the system; elsewhere do nothing.

    Rendering a keyboard leaves some 200 MB in the allocator's hands. Taking them anew costs the
    next note some milliseconds, so this is for times of rest.
    """
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
