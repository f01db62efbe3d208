"""Session files: new, open, save, recent ones, and what is not saved yet."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QMessageBox, QWidget

from app.dialogs.error_text import describe
from app.models.session import Session
from app.models.session_file import SUFFIX, SessionContents, load_session, save_session
from app.settings import AppSettings, forget_file, remember_file
from app.views.editor import Editor
from app.views.messages import Answer
from app.views.studio import Studio
from app.widgets.dropped_data import dropped_files
from core.errors import CoreError

_SOUND_FILTER = (
    "Sounds and sessions (*.wav *.aif *.aiff *.flac *.ogg *.mp3 *.opus *.caf *.au *.w64 "
    f"*{SUFFIX});;All files (*)"
)


class FileControl(QObject):
    """Opens and saves; reading and writing happen in the pool.

    *Signals:*
        settings_changed(AppSettings): other recent files or another folder.
        leaving(): the session is about to be replaced.

    *Thread:* GUI.

    Args:
        studio: Everything behind the window.
        editor: Says what cannot be done.
        settings: Of the program.
        window: Parent of dialogs.
    """

    settings_changed = Signal(object)
    leaving = Signal()

    def __init__(
        self, studio: Studio, editor: Editor, settings: AppSettings, window: QWidget
    ) -> None:
        super().__init__(window)
        self._studio = studio
        self._document = studio.document
        self._editor = editor
        self._window = window
        self.settings = settings
        self.recent = QMenu("Open &recent", window)
        studio.importer.session_dropped.connect(self.open_session)

    @property
    def name(self) -> str:
        """Name of the session for people."""
        path = self._document.path
        return "Untitled" if path is None else path.stem

    @property
    def folder(self) -> Path:
        """Where dialogs begin."""
        return Path(self.settings.last_folder or Path.home())

    def fill_recent(self) -> None:
        """List the sessions used last."""
        self.recent.clear()
        for name in self.settings.recent_files:
            action = self.recent.addAction(Path(name).name)
            action.setToolTip(name)
            action.triggered.connect(partial(self._open_recent, Path(name)))
        self.recent.setEnabled(bool(self.settings.recent_files))

    def new(self) -> None:
        """Start an empty session."""
        if self.may_discard():
            self.leaving.emit()
            self._document.new()

    def open_session(self, path: Path) -> None:
        """Open a session file after what is not saved was asked for."""
        if self.may_discard():
            self._studio.tasks.run(
                partial(load_session, path), partial(self._opened, path), partial(self._gone, path)
            )

    def offer_last(self) -> None:
        """Say that the session of last time can be opened."""
        path = Path(self.settings.recent_files[0])
        if path.exists():
            self._studio.messages.info(
                f"Last time you worked on '{path.stem}'.",
                Answer(text="Open it", act=partial(self.open_session, path)),
            )

    def ask_open(self) -> None:
        """Let sounds or a session be chosen."""
        chosen, _ = QFileDialog.getOpenFileNames(
            self._window, "Open", str(self.folder), _SOUND_FILTER
        )
        if chosen:
            paths = [Path(name) for name in chosen]
            self._remember_folder(paths[0].parent)
            self._studio.importer.add(paths)

    def paste(self) -> None:
        """Add the files on the clipboard."""
        files = dropped_files(QApplication.clipboard().mimeData())
        if files:
            self._studio.importer.add(files)
        else:
            self._studio.messages.info("The clipboard holds no files; copy some in a file manager.")

    def save(self) -> None:
        """Save under the name it has, or ask for one."""
        if self._document.path is None:
            self.ask_save()
        else:
            self.save_as(self._document.path)

    def ask_save(self) -> None:
        """Let a name be chosen."""
        start = str(self.folder / f"{self.name}{SUFFIX}")
        name, _ = QFileDialog.getSaveFileName(self._window, "Save", start, f"Sessions (*{SUFFIX})")
        if name:
            path = Path(name)
            path = path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)
            self._remember_folder(path.parent)
            self.save_as(path)

    def save_as(self, path: Path) -> None:
        """Write the session."""
        session, clips = self._document.session, dict(self._document.clips)
        self._studio.tasks.run(
            partial(save_session, path, session, clips),
            lambda _none: self._saved(path, session),
            self._editor.complain,
        )

    def may_discard(self) -> bool:
        """Whether the session may go: it is saved, or the person says so."""
        if not self._document.is_dirty:
            return True
        buttons = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self._window, "Unsaved changes", f"'{self.name}' was changed. Save it first?",
            buttons.Save | buttons.Discard | buttons.Cancel, buttons.Save,
        )  # fmt: skip
        if answer is buttons.Save and self._document.path is not None:
            return self._save_now(self._document.path)
        if answer is buttons.Save:
            self.ask_save()  # once it is saved the person goes on
            return False
        return answer is buttons.Discard

    def _save_now(self, path: Path) -> bool:
        try:
            self._document.save(path)
        except CoreError as error:
            self._editor.complain(error)
            return False
        return True

    def _saved(self, path: Path, session: Session) -> None:
        self._document.mark_saved(path, session)
        self.settings_changed.emit(remember_file(self.settings, path))
        self._studio.messages.info(f"Saved as '{path.name}'.")

    def _opened(self, path: Path, contents: SessionContents) -> None:
        self.leaving.emit()
        self._document.show(contents, path)
        self.settings_changed.emit(remember_file(self.settings, path))

    def _gone(self, path: Path, error: Exception) -> None:
        if not path.exists():
            self.settings_changed.emit(forget_file(self.settings, path))
        self._studio.messages.error(describe(error, path))

    def _open_recent(self, path: Path, _checked: bool = False) -> None:
        self.open_session(path)

    def _remember_folder(self, folder: Path) -> None:
        self.settings_changed.emit(replace(self.settings, last_folder=str(folder)))
