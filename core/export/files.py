"""Names, texts and atomic writing for everything that leaves the program as files.

Files are first written to a temporary folder on the same file system. Only when all of them are
complete do they take their places, by renames, the samples before the file that names them:

* a destination that does not exist yet appears in a single rename;
* in a folder that holds other files, each new entry is one rename, and whatever fails takes the
  entries already placed back out again;
* a replaced file (``force``) waits in the temporary folder until all renames are through.

Nothing else in the destination is ever touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from core.errors import DestinationError, ExportError, FileExistsAlreadyError

MAX_STEM_LENGTH = 32
"""Characters of an instrument's file stem; place on the pad, note, velocity, round robin and ending
bring a file's name to at most 60."""

_WINDOWS_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(10)
}


def safe_stem(name: str) -> str:
    """A file stem for a display name that every sampler and file system accepts.

    Args:
        name: Anything a person typed.

    Returns:
        1 to 32 characters of ``[A-Za-z0-9._ -]``, led by a letter or digit, not ending in a dot or
        space and no Windows device name. Safe stems come back unchanged.
    """
    notes_spelled = re.sub(r"(?<=[A-Ga-g])#", "s", name)
    ascii_name = unicodedata.normalize("NFKD", notes_spelled).encode("ascii", "ignore").decode()
    replaced = re.sub(r" +", " ", re.sub(r"[^A-Za-z0-9._ -]+", "_", ascii_name))
    stem = _cut(re.sub(r"^[^A-Za-z0-9]+", "", replaced)) or "instrument"
    if stem.split(".")[0].rstrip().lower() in _WINDOWS_DEVICES:
        return _cut(f"x{stem}")
    return stem


def _cut(stem: str) -> str:
    return stem[:MAX_STEM_LENGTH].rstrip("._ -")


def one_line(text: str) -> str:
    """A text that any player can read in a line of a text file.

    Args:
        text: Anything a person or a file system gave, line breaks and broken Unicode included.

    Returns:
        Its printable characters; single spaces stand for everything else.
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def point_stem(stem: str, column: int, row: int) -> str:
    """Stem of one point of a pad, e.g. ``Bell_x1y3``; people count from one.

    Args:
        stem: Safe stem of the pad.
        column: From 0 at the left.
        row: From 0 at the bottom.

    Returns:
        Name of the point's folder and head of its files' names.
    """
    return f"{stem}_x{column + 1}y{row + 1}"


def write_file(path: Path, parts: Iterable[bytes]) -> None:
    """Write one new file completely, through to the disk, folders included.

    Args:
        path: Where to; its folder is made when missing.
        parts: Contents, in order.

    Raises:
        OSError: The file system refused, e.g. because it is full.
    """
    with _new_file(path) as file:
        for part in parts:
            file.write(part)


def write_zip(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write one new ZIP archive like :func:`write_file`; equal members give equal bytes.

    Members are stored, not compressed: samplers read them in place.

    Args:
        path: Where to; its folder is made when missing.
        members: (path within the archive with forward slashes, contents), in order; each is
            written before the next is asked for.

    Raises:
        OSError: The file system refused, e.g. because it is full.
    """
    with _new_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)  # dated 1980, the format's first year
            info.create_system = 3  # Unix on every system, for equal bytes
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that must not exist yet, on the disk when the context is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def check_destination(out: Path, entries: Sequence[str], *, force: bool) -> None:
    """Refuse a destination before any work is spent on it.

    Args:
        out: Folder to write into; need not exist.
        entries: Names of files and folders that would be written into it.
        force: Whether files that exist may be replaced.

    Raises:
        ExportError: ``out`` is no folder, or something would be overwritten without ``force``.
    """
    try:
        _check_folder(out)
        if not force:
            _check_free(out, entries)
    except OSError as error:
        raise DestinationError(
            f"Folder {out} cannot be used: {error.strerror or error}; choose another."
        ) from error


def _check_folder(out: Path) -> None:
    """Refuse ``out`` when it, or the nearest folder above it, cannot hold new files."""
    existing = next(path for path in (out, *out.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise DestinationError(f"{existing} is a file, not a folder; choose another.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise DestinationError(f"Folder {existing} may not be written to; choose another.")


def _check_free(out: Path, entries: Sequence[str]) -> None:
    """Refuse when a file exists at or below one of ``entries``."""
    for entry in entries:
        target = out / entry
        if target.is_dir():
            taken = next((path for path in sorted(target.rglob("*")) if not path.is_dir()), None)
        else:
            taken = target if os.path.lexists(target) else None
        if taken is not None:
            raise FileExistsAlreadyError(
                f"{taken} exists; choose another folder or have it replaced."
            )


def publish(
    out: Path, entries: Sequence[str], write: Callable[[Path], None], *, force: bool
) -> list[Path]:
    """Let ``write`` fill a temporary folder, then put all it wrote into ``out``, or nothing.

    Args:
        out: Destination folder; made with its parents when missing.
        entries: Top-level names that ``write`` makes, in the order in which they take their places.
        write: Called once with an empty folder on the same file system.
        force: Whether files that exist may be replaced.

    Returns:
        The files in place, sorted.

    Raises:
        ExportError: The destination is refused (:func:`check_destination`) or writing failed; the
            old state is left. Whatever else ``write`` raises passes through, cleaned up likewise.
    """
    check_destination(out, entries, force=force)
    out = out.resolve() if out.exists() else out
    made_parents = _make_parents(out)
    scratch: Path | None = None
    done = False
    try:
        home = out if out.is_dir() else out.parent
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name[:32]}-partial-", dir=home))
        staging = scratch / "new"
        staging.mkdir()
        write(staging)
        files = [path.relative_to(staging) for path in staging.rglob("*") if not path.is_dir()]
        _put_in_place(staging, out, entries, scratch / "old")
        done = True
    except OSError as error:
        raise DestinationError(
            f"Could not write to {out}: {error.strerror or error}; nothing was changed there. "
            "Free some space or choose another folder."
        ) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        if not done:
            for parent in made_parents:
                with contextlib.suppress(OSError):
                    parent.rmdir()
    return sorted(out / file for file in files)


def _make_parents(out: Path) -> list[Path]:
    """Make the missing parents of ``out``; returns those made, deepest first."""
    missing = [parent for parent in out.parents if not parent.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(
            f"Folder {out.parent} cannot be made: {error.strerror or error}; choose another."
        ) from error
    return missing


def _put_in_place(staging: Path, out: Path, entries: Sequence[str], old: Path) -> None:
    """Move complete entries from ``staging`` to ``out``; undo everything when a rename fails."""
    if not out.exists():
        staging.rename(out)
        return
    moved: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        moved.append((source, target))

    try:
        for entry in entries:
            for source in _movable(staging / entry, out / entry):
                target = out / source.relative_to(staging)
                if os.path.lexists(target):
                    if target.is_dir() != source.is_dir():
                        raise ExportError(f"{target} is in the way; move it elsewhere.")
                    move(target, old / source.relative_to(staging))
                move(source, target)
    except BaseException:
        for source, target in reversed(moved):
            target.rename(source)
        raise


def _movable(source: Path, target: Path) -> list[Path]:
    """The fewest paths under ``source`` whose moves merge it into ``target``."""
    if source.is_dir() and target.is_dir() and not target.is_symlink():
        return [
            path
            for child in sorted(source.iterdir())
            for path in _movable(child, target / child.name)
        ]
    return [source]
