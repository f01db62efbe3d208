"""Session files: new, open, save, recent ones, and what is not saved yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QMessageBox, QWidget

from app.error_text import describe
from app.live.editor import Editor
from app.live.messages import Answer
from app.models.session import Session
from app.models.session_file import SUFFIX, SessionContents, load_session, save_session
from app.settings import AppSettings, forget_file, remember_file
from app.studio import Studio
from app.widgets.dropped_data import dropped_files

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
        settings: Settings of the program.
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
        self._question: QMessageBox | None = None  # while the person is asked what to save
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
            f"'{self.name}' was changed. Save it first?",
            buttons.Save | buttons.Discard | buttons.Cancel,
            self._window,
        )
        self._question.setDefaultButton(buttons.Save)
        self._question.finished.connect(partial(self._answered, go_on))
        self._question.open()

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
        dialog = QFileDialog(self._window, "Save", str(self.folder), f"Sessions (*{SUFFIX})")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
        # Some systems' dialogs ask about the name without its suffix: we ask about the final one.
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
        dialog.selectFile(f"{self.name}{SUFFIX}")
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
        self._studio.tasks.run(
            partial(save_session, path, session, clips),
            lambda _none: self._saved(path, session, then),
            self._editor.complain,
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
        self._studio.tasks.run(
            partial(load_session, path), partial(self._opened, path), partial(self._gone, path)
        )

    def _saved(self, path: Path, session: Session, then: Callable[[], object] | None) -> None:
        self._document.mark_saved(path, session)
        self.settings_changed.emit(remember_file(self.settings, path))
        self._studio.messages.info(f"Saved as '{path.name}'.")
        if then is not None:
            then()

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
