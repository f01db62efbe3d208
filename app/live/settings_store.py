"""The settings of the program: one holder, written to the disk at every change."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.error_text import describe
from app.live.messages import Messages
from app.settings import AppSettings, SettingsError, save_settings


class SettingsStore(QObject):
    """Holds the settings and tells their changes.

    *Signals:*
        changed(AppSettings, AppSettings): the settings before and after.

    *Thread:* GUI.

    Args:
        settings: What they are at the start.
        messages: Told where they cannot be written.
        folder: Where they are kept; None for the user's folder.
    """

    changed = Signal(object, object)

    def __init__(
        self,
        settings: AppSettings,
        messages: Messages,
        folder: Path | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._value = settings
        self._messages = messages
        self._settings_folder = folder

    @property
    def value(self) -> AppSettings:
        """The settings now."""
        return self._value

    @property
    def folder(self) -> Path:
        """Where dialogs for files begin."""
        return Path(self._value.last_folder or Path.home())

    def change(self, settings: AppSettings) -> None:
        """Use other settings from now on, and keep them."""
        before, self._value = self._value, settings
        self.changed.emit(before, settings)
        try:
            save_settings(settings, self._settings_folder)
        except SettingsError as error:
            self._messages.error(describe(error))
