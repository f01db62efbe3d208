"""Files that are dragged to other programs: where they lie, and that they stay there."""

from __future__ import annotations

import contextlib
import shutil
from datetime import datetime
from itertools import count
from pathlib import Path

from platformdirs import user_data_path

from core.errors import ExportError


def dragged_folder() -> Path:
    r"""Where dragged files are kept unless another folder is given.

    That is ``Dragged`` in the user's data folder of the program: on Linux
    ``~/.local/share/hyperganstrument``, on macOS ``~/Library/Application Support/hyperganstrument``,
    on Windows ``%LOCALAPPDATA%\hyperganstrument``.
    """
    return user_data_path("hyperganstrument", appauthor=False) / "Dragged"


class DraggedFiles:
    """Gives each drag a folder of its own.

    A program that was given a file by dragging may read that very file for years, so the files
    stay when this program ends, and no later drag replaces them. Only the person deletes them.

    Args:
        folder: What the folders lie in; :func:`dragged_folder` if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or dragged_folder()

    def new_folder(self) -> Path:
        """Make an empty folder, named after the time.

        Raises:
            ExportError: The disk refuses.
        """
        now = datetime.now().strftime("%Y-%m-%d %H.%M.%S")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for number in count(1):
                folder = self._folder / (now if number == 1 else f"{now} ({number})")
                with contextlib.suppress(FileExistsError):
                    folder.mkdir()
                    break
        except OSError as error:
            raise ExportError(
                f"Files to drag cannot be kept in '{self._folder}' ({error.strerror or error}); "
                "free some space or check the access rights."
            ) from error
        return folder

    def forget(self, folder: Path) -> None:
        """Delete a folder of which nothing was ever dragged out."""
        if folder.parent == self._folder:
            shutil.rmtree(folder, ignore_errors=True)
