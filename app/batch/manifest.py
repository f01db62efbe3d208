"""What a batch has done so far: a JSON file in the destination, whole after every instrument."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.models.atomic_file import replace_file
from core.errors import ExportError, ParameterError
from core.structure import structure, unstructure

FILE_NAME = "batch.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """How an instrument ended."""

    digest: str
    """SHA-256 over its sources, the recipe and the weights: equal digests give equal instruments."""
    files: tuple[str, ...] = ()
    """Written, relative to the destination; none where it failed."""
    error: str | None = None
    """Why it failed."""
    seconds: float = 0.0
    """Time it took."""


def read_manifest(out: Path) -> dict[str, Entry]:
    """Entries by the name of the instrument's folder; none where no batch has been.

    Raises:
        ParameterError: The file is damaged, or of a newer program.
    """
    path = out / FILE_NAME
    try:
        contents = json.loads(path.read_text("utf-8"))
        version = contents["format_version"]
        if version == FORMAT_VERSION:
            entries = contents["instruments"].items()
            return {name: structure(Entry, entry, name) for name, entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(
            f"'{path}' cannot be understood ({str(error).rstrip('.')}); "
            "move it away to start afresh."
        ) from error
    raise ParameterError(
        f"'{path}' is of format {version}, expected {FORMAT_VERSION}; "
        "use the program that wrote it or choose another folder."
    )


def write_manifest(out: Path, entries: Mapping[str, Entry]) -> None:
    """Replace the manifest.

    Raises:
        ExportError: The file system refused; the old one is left.
    """
    contents = {
        "format_version": FORMAT_VERSION,
        "instruments": {name: unstructure(entry) for name, entry in sorted(entries.items())},
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        with replace_file(out / FILE_NAME) as file:
            file.write(json.dumps(contents, indent=2).encode() + b"\n")
    except OSError as error:
        raise ExportError(
            f"'{out / FILE_NAME}' could not be written ({error.strerror or error}); "
            "free some space or choose another folder with --out."
        ) from error


def is_done(out: Path, entry: Entry | None, digest: str) -> bool:
    """Whether an instrument need not be made again."""
    return (
        entry is not None
        and entry.error is None
        and entry.digest == digest
        and all((out / file).is_file() for file in entry.files)
    )
