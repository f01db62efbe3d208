"""Errors the core raises.

Every message is one sentence for a person: what went wrong, the value, what was expected, what to do.
The core never prints, exits or shows a dialog; the program at the edge decides how to say it.
"""

from __future__ import annotations


class CoreError(Exception):
    """Root of every error that the core raises on purpose."""


class ParameterError(CoreError, ValueError):
    """An argument is outside its documented range or has the wrong shape."""


class AudioFileError(CoreError):
    """A sound file cannot be read or written, or holds nothing usable."""


class CheckpointError(CoreError):
    """A weights file is missing, damaged, foreign or of an unknown version."""


class DeviceError(CoreError):
    """The requested compute device does not exist or ran out of memory."""


class ExportError(CoreError):
    """An instrument could not be written; nothing half-written is left behind."""


class DestinationError(ExportError):
    """The folder that was to be written into cannot be used."""


class FileExistsAlreadyError(DestinationError):
    """A file would be overwritten that nobody has said may be."""


class SessionFileError(CoreError):
    """A session file cannot be read or written; a file that was there is left as it was."""


class RenderCancelled(CoreError):
    """The caller asked for the work to stop before it was done."""
