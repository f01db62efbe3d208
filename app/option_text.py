"""Which option of the command line helps with each kind of error: one table."""

from __future__ import annotations

from core.errors import (
    CheckpointError,
    CoreError,
    DestinationError,
    DeviceError,
    FileExistsAlreadyError,
)

_OPTIONS: tuple[tuple[type[CoreError], str], ...] = (
    (FileExistsAlreadyError, "--force"),
    (DestinationError, "--out"),
    (DeviceError, "--device"),
    (CheckpointError, "--model"),
)
"""The first class that fits."""


def described(error: CoreError) -> str:
    """The error's sentence, with the option that helps where there is one."""
    option = next((option for kind, option in _OPTIONS if isinstance(error, kind)), None)
    return str(error) if option is None else f"{str(error).rstrip('.')} ({option})."
