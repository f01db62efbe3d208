"""Memory that rendering has left free: back to the system."""

from __future__ import annotations

import ctypes
import sys


def return_freed_memory() -> None:
    """Give what glibc keeps of freed memory back to the system; elsewhere do nothing.

    Rendering a keyboard leaves some 200 MB in the allocator's hands. Taking them anew costs the
    next note a few milliseconds, so this is for times of rest.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:  # another C library
        return
    trim(0)
