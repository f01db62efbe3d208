"""Edits of the document by the window: what cannot be done is said, and the window shown anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject, Signal

from app.error_text import describe
from app.live.messages import Messages
from app.models.document import Document
from app.models.session import Session
from core.audio.files import AudioClip
from core.errors import CoreError

Change = Callable[[Session], Session]
Show = Callable[[Session | None, Session], None]
"""Shows a session: what differs from the one before, or all of it where that is None."""


class Editor(QObject):
    """Edits the document for the window.

    *Signals:*
        refused(): an edit was not possible; what ran ahead must show the document again.

    *Thread:* GUI.
    """

    refused = Signal()

    def __init__(
        self, document: Document, messages: Messages, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._messages = messages

    @property
    def session(self) -> Session:
        """The document's present state."""
        return self._document.session

    def follow(self, show: Show) -> None:
        """Have the session shown: all of it now, what changed after every edit, undo and opening.

        Args:
            show: Called with the session before, or None, and the present one.
        """
        self._document.subscribe(show)
        self.refused.connect(lambda: show(None, self.session))
        show(None, self.session)

    def edit(
        self,
        label: str,
        change: Change,
        merge_key: str | None = None,
        clips: Mapping[str, AudioClip] | None = None,
    ) -> None:
        """Change the session.

        Args:
            label: What is done, for undo.
            change: Makes the new session of the present one; may raise a ``CoreError``.
            merge_key: What is being dragged: one step until :meth:`end_gesture`.
            clips: Recordings that the edit brings in, by hash.
        """
        try:
            self._document.edit(label, change(self.session), clips=clips, merge_key=merge_key)
        except CoreError as error:
            self.complain(error)
            self.refused.emit()

    def end_gesture(self) -> None:
        """The drag is over."""
        self._document.end_gesture()

    def complain(self, error: Exception) -> None:
        """Say why something was not done."""
        self._messages.error(describe(error))
