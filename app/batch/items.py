"""What a folder holds that becomes instruments: sound files, and sub-folders of notes."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from core.audio.files import SOUND_SUFFIXES
from core.errors import AudioFileError
from core.export.files import safe_stem


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One instrument to be made."""

    name: str
    """Display name, unique in the batch."""
    folder: str
    """Name of its folder in the destination, unique on every file system."""
    sources: tuple[Path, ...]
    """One file, or all notes of one instrument."""

    def digest(self) -> str:
        """SHA-256 (hex) of the names and contents of its sources, as far as they can be read."""
        total = hashlib.sha256()
        for path in self.sources:
            total.update(path.name.encode("utf-8", "replace"))
            with contextlib.suppress(OSError), path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()


def find_items(folder: Path, out: Path) -> list[Item]:
    """Instruments that a folder's contents make, by name.

    A sound file makes one; a sub-folder makes one of all sound files in and below it. Hidden files
    and the destination are passed over.

    Args:
        folder: Where to look.
        out: The destination, which may lie within.

    Raises:
        AudioFileError: It is no folder, cannot be read or holds no sound files.
    """
    try:
        found = [
            (path.name if path.is_dir() else path.stem, sounds)
            for path in sorted(folder.iterdir())
            if path.resolve() != out.resolve() and (sounds := _sounds(path))
        ]
    except NotADirectoryError as error:
        raise AudioFileError(f"'{folder}' is no folder; name one that holds sounds.") from error
    except OSError as error:
        reason = error.strerror or error
        raise AudioFileError(f"Folder '{folder}' cannot be read ({reason}); check it.") from error
    if not found:
        raise AudioFileError(f"Folder '{folder}' holds no sound files; name another.")
    items: list[Item] = []
    taken: set[str] = set()
    for name, sounds in found:
        number, unique = 1, name
        while safe_stem(unique).lower() in taken:
            number += 1
            unique = f"{name[:24]} {number}"
        taken.add(safe_stem(unique).lower())
        items.append(Item(name=unique, folder=safe_stem(unique), sources=sounds))
    return items


def _sounds(path: Path) -> tuple[Path, ...]:
    if path.name.startswith("."):
        return ()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple(
        file
        for file in files
        if file.suffix.lower() in SOUND_SUFFIXES
        and not file.name.startswith(".")
        and file.is_file()
    )
