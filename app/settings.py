"""What the program remembers of a person's machine and taste from one start to the next."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from platformdirs import user_config_path

from app.models.atomic_file import replace_file
from core.errors import CoreError, ParameterError
from core.structure import dump_json, parse_json, structure, unstructure

ThemeName = Literal["system", "dark", "light"]
ComputeDevice = Literal["auto", "cpu", "cuda", "mps"]
MiddleC = Literal[3, 4, 5]
"""The octave that note 60 is called by."""

MAX_RECENT_FILES = 10
SCHEMA_VERSION = 1

_FILE_NAME = "settings.json"
_MAX_BYTES = 1 << 20


class SettingsError(CoreError):
    """Settings could not be written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppSettings:
    """Settings of the program; a session has its own."""

    schema_version: int = SCHEMA_VERSION
    audio_device: str | None = None
    """Name of the output; None is the system's default."""
    sample_rate: int | None = None
    """Sample rate of the output, Hz, 8000–192000; None is the device's own."""
    block_size: int = 256
    """Frames per audio callback, 16–8192."""
    midi_inputs: tuple[str, ...] | None = None
    """Names of the ports listened to; None is all."""
    compute_device: ComputeDevice = "auto"
    theme: ThemeName = "dark"
    middle_c: MiddleC = 4
    recent_files: tuple[str, ...] = ()
    """Session files, newest first, at most ten."""
    octave: int = 4
    """Lowest octave of the computer keyboard, MIDI note ÷ 12 - 1, -1 to 9."""
    last_folder: str | None = None
    """Where files were last opened or saved."""
    window_geometry: bytes = b""
    """As the toolkit gave it; empty until the window was closed once."""

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise ParameterError(f"Settings of version {self.schema_version} are unknown.")
        if self.sample_rate is not None and not 8_000 <= self.sample_rate <= 192_000:
            raise ParameterError(f"Sample rate {self.sample_rate} Hz is outside 8000-192000.")
        if not 16 <= self.block_size <= 8192:
            raise ParameterError(f"Block size {self.block_size} is outside 16-8192 frames.")
        if len(self.recent_files) > MAX_RECENT_FILES:
            raise ParameterError(f"{len(self.recent_files)} recent files are over ten.")
        if not -1 <= self.octave <= 9:
            raise ParameterError(f"Octave {self.octave} is outside -1 to 9.")


def remember_file(settings: AppSettings, path: Path) -> AppSettings:
    """Put a file first among the recent ones."""
    name = str(path.absolute())
    others = [other for other in settings.recent_files if other != name]
    return replace(settings, recent_files=(name, *others)[:MAX_RECENT_FILES])


def forget_file(settings: AppSettings, path: Path) -> AppSettings:
    """Take a file that is gone off the recent ones."""
    name = str(path.absolute())
    return replace(
        settings, recent_files=tuple(other for other in settings.recent_files if other != name)
    )


def settings_folder() -> Path:
    """Where settings lie unless another folder is given."""
    return user_config_path("hyperganstrument", appauthor=False)


def load_settings(folder: Path | None = None) -> tuple[AppSettings, str | None]:
    """Read the settings; what cannot be read is set aside and never stops the program.

    Args:
        folder: Where they lie; :func:`settings_folder` if None.

    Returns:
        The settings, the defaults when there are none or they are damaged, and in that last case a
        sentence that says so.
    """
    path = (folder or settings_folder()) / _FILE_NAME
    try:
        if not path.exists():
            return AppSettings(), None
        if path.stat().st_size > _MAX_BYTES:
            raise ParameterError("they are too large")
        return structure(AppSettings, parse_json(path.read_bytes()), "settings"), None
    except (ParameterError, OSError) as error:
        aside = path.with_suffix(".damaged.json")
        with contextlib.suppress(OSError):
            path.replace(aside)
        return AppSettings(), (
            f"The settings could not be read ({str(error).rstrip('.')}); the defaults are used, "
            f"and the old file was kept as '{aside}'."
        )


def save_settings(settings: AppSettings, folder: Path | None = None) -> None:
    """Write the settings in one step.

    Args:
        settings: What to write.
        folder: Where to; :func:`settings_folder` if None; made when missing.

    Raises:
        SettingsError: They could not be written; the old ones are left.
    """
    path = (folder or settings_folder()) / _FILE_NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as file:
            file.write(dump_json(unstructure(settings)))
    except OSError as error:
        raise SettingsError(
            f"The settings could not be written to '{path}' ({error.strerror or error}); "
            "free some space or check its access rights."
        ) from error
