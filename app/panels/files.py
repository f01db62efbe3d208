"""Session files: new, open, save, recent ones, and what is not saved yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox, QWidget

from app.background.task_runner import TaskRunner
from app.error_text import describe
from app.live.importer import Importer
from app.live.messages import Answer, Messages
from app.live.settings_store import SettingsStore
from app.models.document import Document
from app.models.session import Session
from app.models.session_file import SUFFIX, SessionContents, load_session, save_session
from app.settings import forget_file, remember_file
from app.widgets.dropped_data import dropped_files

_SOUND_FILTER = (
    "Sounds and sessions (*.wav *.bwf *.aif *.aiff *.flac *.ogg *.mp3 *.opus *.caf *.au *.w64 "
    f"*{SUFFIX});;All files (*)"
)


class SessionFiles(QObject):
    """Opens and saves; reading and writing happen in the pool.

    *Signals:*
        leaving(): the session is about to be replaced.

    *Thread:* GUI.

    Args:
        window: Parent of dialogs.
    """

    leaving = Signal()

    def __init__(
        self,
        document: Document,
        importer: Importer,
        tasks: TaskRunner,
        messages: Messages,
        settings: SettingsStore,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._document = document
        self._importer = importer
        self._tasks = tasks
        self._messages = messages
        self._settings = settings
        self._window = window
        self._question: QMessageBox | None = None  # while the person is asked what to save
        importer.session_dropped.connect(self.open_session)

    def new(self) -> None:
        """Start an empty session after what is not saved was asked for."""
        self.leave(self._start_new)

    def open_session(self, path: Path) -> None:
        """Open a session file after what is not saved was asked for."""
        self.leave(partial(self._load, path))

    def leave(self, go_on: Callable[[], object]) -> None:
        """Do something that ends the session, after what is not saved was asked for.

        Nothing happens, and the session stays, where the person cancels or where saving fails.

        Args:
            go_on: What the person wants: called at once where all is saved, after Discard, and
                after Save as soon as the file is written.
        """
        if not self._document.is_dirty:
            go_on()
            return
        if self._question is not None:
            return  # the person is being asked already
        buttons = QMessageBox.StandardButton
        self._question = QMessageBox(
            QMessageBox.Icon.Question,
            "Unsaved changes",
            f"'{self._document.name}' was changed. Save it first?",
            buttons.Save | buttons.Discard | buttons.Cancel,
            self._window,
        )
        self._question.setDefaultButton(buttons.Save)
        self._question.finished.connect(partial(self._answered, go_on))
        self._question.open()

    def offer_last(self) -> None:
        """Say that the session of last time can be opened."""
        path = Path(self._settings.value.recent_files[0])
        if path.exists():
            self._messages.info(
                f"Last time you worked on '{path.stem}'.",
                Answer(text="Open it", act=partial(self.open_session, path)),
            )

    def ask_open(self) -> None:
        """Let sounds or a session be chosen."""
        chosen, _ = QFileDialog.getOpenFileNames(
            self._window, "Open", str(self._settings.folder), _SOUND_FILTER
        )
        if chosen:
            paths = [Path(name) for name in chosen]
            self._remember_folder(paths[0].parent)
            self._importer.add(paths)

    def paste(self) -> None:
        """Add the files on the clipboard."""
        files = dropped_files(QApplication.clipboard().mimeData())
        if files:
            self._importer.add(files)
        else:
            self._messages.info("The clipboard holds no files; copy some in a file manager.")

    def save(self, then: Callable[[], object] | None = None) -> None:
        """Save under the name it has, or ask for one.

        Args:
            then: Called once the session is written.
        """
        if self._document.path is None:
            self.ask_save(then)
        else:
            self.save_as(self._document.path, then)

    def ask_save(self, then: Callable[[], object] | None = None) -> None:
        """Let a name be chosen.

        Args:
            then: Called once the session is written.
        """
        dialog = QFileDialog(
            self._window, "Save", str(self._settings.folder), f"Sessions (*{SUFFIX})"
        )
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
        # Some systems' dialogs ask about the name without its suffix: we ask about the final one.
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
        dialog.selectFile(f"{self._document.name}{SUFFIX}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(lambda: self._take_name(Path(dialog.selectedFiles()[0]), then))
        dialog.open()

    def save_as(self, path: Path, then: Callable[[], object] | None = None) -> None:
        """Write the session to a file that may be replaced.

        Args:
            path: The file.
            then: Called once the session is written.
        """
        session, clips = self._document.session, dict(self._document.clips)
        self._tasks.run(
            partial(save_session, path, session, clips),
            lambda _none: self._saved(path, session, then),
            lambda error: self._messages.error(describe(error)),
        )

    def recover(self, contents: SessionContents) -> None:
        """Go on with a session that a crash left behind."""
        self.leaving.emit()
        self._document.recover(contents)

    def _answered(self, go_on: Callable[[], object], answer: int) -> None:
        """The person said what becomes of a session that is not saved."""
        question, self._question = self._question, None
        if question is not None:
            question.deleteLater()
        if answer == QMessageBox.StandardButton.Save:
            self.save(partial(self.leave, go_on))  # it may have changed again meanwhile
        elif answer == QMessageBox.StandardButton.Discard:
            go_on()

    def _take_name(self, chosen: Path, then: Callable[[], object] | None) -> None:
        """A name was chosen: what would be replaced under the final one is asked about."""
        has_suffix = chosen.suffix.lower() == SUFFIX
        path = chosen if has_suffix else chosen.with_name(chosen.name + SUFFIX)
        self._remember_folder(path.parent)
        if not path.exists():
            self.save_as(path, then)
            return
        buttons = QMessageBox.StandardButton
        box = QMessageBox(
            QMessageBox.Icon.Warning,
            "Replace a file",
            f"'{path.name}' exists already in '{path.parent.name}'. Replace it?",
            buttons.Yes | buttons.Cancel,
            self._window,
        )
        box.button(buttons.Yes).setText("Replace")
        box.setDefaultButton(buttons.Cancel)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.accepted.connect(lambda: self.save_as(path, then))
        box.rejected.connect(lambda: self.ask_save(then))
        box.open()

    def _start_new(self) -> None:
        self.leaving.emit()
        self._document.new()

    def _load(self, path: Path) -> None:
        self._tasks.run(
            partial(load_session, path), partial(self._opened, path), partial(self._gone, path)
        )

    def _saved(self, path: Path, session: Session, then: Callable[[], object] | None) -> None:
        self._document.mark_saved(path, session)
        self._settings.change(remember_file(self._settings.value, path))
        self._messages.info(f"Saved as '{path.name}'.")
        if then is not None:
            then()

    def _opened(self, path: Path, contents: SessionContents) -> None:
        self.leaving.emit()
        self._document.show(contents, path)
        self._settings.change(remember_file(self._settings.value, path))

    def _gone(self, path: Path, error: Exception) -> None:
        if not path.exists():
            self._settings.change(forget_file(self._settings.value, path))
        self._messages.error(describe(error, path))

    def _remember_folder(self, folder: Path) -> None:
        self._settings.change(replace(self._settings.value, last_folder=str(folder)))
