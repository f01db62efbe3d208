"""Files that are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PARTIAL = "-partial-"
"""Stands in the names of files not complete yet: a dot, the final name, this, random digits."""


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its place when the block ends without an error.

    It is through to the disk by then. Whatever happens, a crash included, ``path`` is the old file
    or the new one. A link is followed.

    Args:
        path: What to replace or make; its folder must exist.

    Raises:
        OSError: The file system refused.
    """
    target = path.resolve()
    partial = target.with_name(f".{target.name[:100]}{PARTIAL}{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where folders can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
