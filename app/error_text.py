"""What a person is told about each kind of error, and what they can do: one table."""

from __future__ import annotations

from pathlib import Path

from app.settings import SettingsError
from core.errors import (
    AudioFileError,
    CheckpointError,
    CoreError,
    DeviceError,
    ExportError,
    FileExistsAlreadyError,
    ParameterError,
    SessionFileError,
)

_REMEDIES: tuple[tuple[type[Exception], str], ...] = (
    (CheckpointError, "Reinstall the program."),
    (DeviceError, "Choose another compute device in the settings (Ctrl+,)."),
    (ParameterError, ""),
    (AudioFileError, ""),
    (SessionFileError, ""),
    (FileExistsAlreadyError, "Tick 'Replace files that exist' to have it replaced."),
    (ExportError, ""),
    (SettingsError, ""),
    (CoreError, ""),
    (MemoryError, "Memory ran out: close other programs or remove some sources."),
    (OSError, "Check the drive and the access rights."),
)
"""The first class that fits says what to add to the error's own sentence."""


def describe(error: BaseException, path: Path | None = None) -> str:
    """What to say about an error.

    Args:
        error: What was raised.
        path: The file it is about: named by its name alone where the error names it whole.
    """
    for kind, remedy in _REMEDIES:
        if isinstance(error, kind):
            text = str(error) or type(error).__name__
            if path is not None:
                text = text.replace(str(path), path.name).replace(
                    f"'{path.stem}'", f"'{path.name}'"
                )
            return f"{text} {remedy}".strip()
    return (
        f"Something went wrong inside the program ({type(error).__name__}: {error}); it goes on, "
        "and the log holds the details."
    )
