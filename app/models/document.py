"""The open document: the only writer of its session, and who is told.

Thread: all of it belongs to one thread (the window's).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from app.models.audio_store import AudioStore, check_audio
from app.models.history import History
from app.models.session import Session
from app.models.session_file import SessionContents
from core.audio.files import AudioClip

Listener = Callable[[Session, Session], None]
"""Called with the session before and after a change. They are the same when only the path, the
dirty mark or the labels of the history changed."""


class Document:
    """A session with its history, its recordings and its place on disk."""

    def __init__(self) -> None:
        self._history = History(Session())
        self._store = AudioStore()
        self._path: Path | None = None
        self._listeners: list[Listener] = []
        self._start_listeners: list[Callable[[], object]] = []
        self._unheard: deque[tuple[Session, Session]] = deque()

    @property
    def session(self) -> Session:
        """The present state."""
        return self._history.value

    @property
    def history(self) -> History[Session]:
        """For its labels; it is changed through the document only."""
        return self._history

    @property
    def clips(self) -> Mapping[str, AudioClip]:
        """Recordings by hash: all that any state of the history uses."""
        return self._store.clips

    @property
    def path(self) -> Path | None:
        """Where the session was opened or saved; None for a new one."""
        return self._path

    @property
    def name(self) -> str:
        """What the session is called on the screen."""
        return "Untitled" if self._path is None else self._path.stem

    @property
    def is_dirty(self) -> bool:
        """Whether the present state differs from the one on disk."""
        return self._history.is_dirty

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have a function called after every change; returns what ends that.

        A listener may edit: all listeners hear of the changes in the order they were made.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def subscribe_start(self, listener: Callable[[], object]) -> None:
        """Have a function called when another session takes the place of the present one.

        That is at New, Open and recovery. It is called before the listeners of :meth:`subscribe`,
        with the new session in place: whoever keeps something by the ids of sources forgets it,
        because another session uses the same ids for other sounds.
        """
        self._start_listeners.append(listener)

    def edit(
        self,
        label: str,
        session: Session,
        *,
        clips: Mapping[str, AudioClip] | None = None,
        merge_key: str | None = None,
    ) -> None:
        """Make an edited session the present one: one step to undo.

        Args:
            label: What was done, e.g. ``Move bell``.
            session: The result, made from :attr:`session` by :mod:`app.models.edits`.
            clips: Recordings by hash that the edit brings in.
            merge_key: What is being dragged: edits of one key are one step until
                :meth:`end_gesture`.

        Raises:
            ParameterError: A recording is missing; nothing was changed.
        """
        before = self.session
        new_clips = clips or {}
        if new_clips or session.all_sources != before.all_sources:
            check_audio(session, {**self._store.clips, **new_clips})
        self._store.add({key: new_clips[key] for key in new_clips if key in session.audio_hashes})
        if self._history.push(session, label, merge_key):
            self._collect()
        self._tell(before)

    def end_gesture(self) -> None:
        """The drag is over: the next edit is a new step."""
        self._history.end_gesture()
        self._tell(self.session)

    def undo(self) -> None:
        """Go back one step, if there is one."""
        before = self.session
        self._history.undo()
        self._tell(before)

    def redo(self) -> None:
        """Go forward one step, if there is one."""
        before = self.session
        self._history.redo()
        self._tell(before)

    def go_to(self, position: int) -> None:
        """Go to a place in the history: so many steps done."""
        before = self.session
        self._history.go_to(position)
        self._tell(before)

    def new(self, contents: SessionContents | None = None) -> None:
        """Start a session that lies in no file.

        Args:
            contents: What it begins with; None for nothing.
        """
        self._start(contents or SessionContents(session=Session(), clips={}), path=None)

    def show(self, contents: SessionContents, path: Path) -> None:
        """Go on with a session that was loaded before, e.g. off the window's thread.

        Args:
            contents: What :func:`~app.models.session_file.load_session` gave.
            path: The file it came from.
        """
        self._start(contents, path=path)

    def recover(self, contents: SessionContents) -> None:
        """Go on with a session that a crash interrupted: it is dirty, at its former path."""
        self._start(contents, path=contents.origin)
        self._history.mark_unsaved()
        self._tell(self.session)

    def mark_saved(self, path: Path, session: Session) -> None:
        """A state of the session was written to a file, maybe on another thread.

        Args:
            path: The file.
            session: What was written; the document stays dirty if it has changed since.
        """
        self._path = path
        self._history.mark_saved(session)
        self._tell(self.session)

    def _start(self, contents: SessionContents, path: Path | None) -> None:
        before = self.session
        self._history = History(contents.session)
        self._path = path
        self._store.add(contents.clips)
        self._collect()
        for listener in tuple(self._start_listeners):
            listener()
        self._tell(before)

    def _collect(self) -> None:
        self._store.collect(key for session in self._history for key in session.audio_hashes)

    def _tell(self, before: Session) -> None:
        telling = bool(self._unheard)
        self._unheard.append((before, self.session))
        if telling:
            return  # an edit by a listener: the call that tells now goes on with it
        try:
            while self._unheard:
                for listener in tuple(self._listeners):
                    listener(*self._unheard[0])
                self._unheard.popleft()
        finally:
            self._unheard.clear()
