"""Sessions kept against crashes.

Each running program writes ``<token>.hgs`` into the recovery folder and holds a lock on
``<token>.lock``. The system lets go of the lock when the program dies, however it dies, so a
session whose lock is free was left by a crash.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from app.models.document import Document
from app.models.session import Session
from app.models.session_file import SUFFIX, EncodedAudio, encode_clip, write_session
from core.audio.files import AudioClip
from core.errors import SessionFileError

_logger = logging.getLogger(__name__)

INTERVAL_S = 5.0
"""Least time from the start of one writing to the next."""

_LOCK_SUFFIX = ".lock"
_ASIDE = "unreadable session"
_TOKEN = re.compile(r"[0-9a-f]{32}")


def recovery_folder() -> Path:
    """Where sessions are kept unless another folder is given."""
    return user_state_path("hyperganstrument", appauthor=False) / "recovery"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Kept:
    """What is to be written."""

    session: Session
    clips: Mapping[str, AudioClip]
    origin: Path | None


class Recovery:
    """A session that a crash left behind, claimed by this program."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        """A session file: read it with :func:`app.models.session_file.load_session`."""
        self.saved_at_s = path.stat().st_mtime
        """When it was last written, seconds since the epoch."""
        self._lock = lock

    def release(self) -> None:
        """Leave it to be offered at the next start."""
        self._lock.release()

    def set_aside(self) -> Path:
        """Keep the file under a name that is not offered again: it could not be read.

        Returns:
            Where it lies now. Where it cannot be renamed it stays, to be offered at the next start.
        """
        folder, kept = self.path.parent, self.path
        for number in itertools.count(1):
            aside = folder / f"{_ASIDE} {number}{SUFFIX}"
            if not aside.exists():
                break
        with contextlib.suppress(OSError):
            kept = self.path.rename(aside)
            _delete(folder, self.path.stem)
        self._lock.release()
        return kept

    def discard(self) -> None:
        """Delete it: the person refused it, or all of it is safe elsewhere."""
        _delete(self.path.parent, self.path.stem)
        self._lock.release()


def find_recovery(folder: Path | None = None) -> Recovery | None:
    """The newest session of a program that did not end in order; None when there is none.

    Args:
        folder: Where to look; :func:`recovery_folder` if None.
    """
    folder = folder or recovery_folder()
    if not folder.is_dir():
        return None
    found: list[Recovery] = []
    tokens = {match[0] for path in folder.iterdir() if (match := _TOKEN.search(path.name))}
    for token in tokens:
        lock = _lock(folder, token)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue  # of a running program, or not ours to touch
        try:
            found.append(Recovery(folder / f"{token}{SUFFIX}", lock))
        except FileNotFoundError:
            _delete(folder, token)  # it died before its first session was complete
            lock.release()
    found.sort(key=lambda recovery: recovery.saved_at_s)
    for older in found[:-1]:
        older.release()
    return found[-1] if found else None


class Autosave:
    """Keeps a session on disk from a thread of its own; callers never wait for the disk.

    Args:
        folder: Where to; :func:`recovery_folder` if None.
        interval_s: Least time between two writings: a crash loses that, and the time writing takes.
        on_failure: Called once, on the thread, with a message when writing starts to fail.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        interval_s: float = INTERVAL_S,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self._folder = folder or recovery_folder()
        self._interval_s = interval_s
        self._on_failure = on_failure
        self._token = uuid.uuid4().hex
        self._lock = _lock(self._folder, self._token)
        self._changed = threading.Condition()
        self._wanted: _Kept | None = None
        self._has_news = False
        self._is_closing = False
        self._adopted: Recovery | None = None
        self._encoded: dict[str, EncodedAudio] = {}  # of the recordings written last
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name="autosave", daemon=True)

    def start(self) -> None:
        """Take the lock and start the thread.

        Raises:
            SessionFileError: The folder cannot be used; crashes will cost what is not saved.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=5.0)
        except OSError as error:
            raise SessionFileError(
                f"Sessions cannot be kept against crashes in '{self._folder}' "
                f"({error.strerror or error}); save often, or check the folder's access rights."
            ) from error
        self._thread.start()

    def follow(self, document: Document) -> Callable[[], None]:
        """Keep a document's session whenever it is dirty; returns what ends that."""

        def changed(before: Session, after: Session) -> None:
            if document.is_dirty:
                self.keep(document.session, document.clips, document.path)
            else:
                self.drop()

        return document.subscribe(changed)

    def keep(
        self, session: Session, clips: Mapping[str, AudioClip], origin: Path | None = None
    ) -> None:
        """Have a session written soon; a newer one takes its place if it comes before.

        Args:
            session: What to keep.
            clips: Recordings by hash, at least those it uses.
            origin: Where it was saved; None if it never was.
        """
        used = {key: clips[key] for key in session.audio_hashes}
        self._want(_Kept(session=session, clips=used, origin=origin))

    def drop(self) -> None:
        """Have the kept session deleted: all of it is saved."""
        self._want(None)

    def adopt(self, recovery: Recovery) -> None:
        """Answer for a recovered session: its old file goes once the session is written anew.

        To be called after the session was given to :meth:`keep`.
        """
        with self._changed:
            self._adopted = recovery
            self._has_news = True
            self._changed.notify()

    def close(self) -> None:
        """The program ends in order: stop and leave nothing behind."""
        if not self._thread.is_alive():
            return
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()
        if self._adopted is not None:
            self._adopted.discard()
        _delete(self._folder, self._token)
        self._lock.release()

    def _want(self, kept: _Kept | None) -> None:
        with self._changed:
            self._wanted = kept
            self._has_news = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_news or self._is_closing)
                if self._is_closing:
                    return
                kept, adopted, self._has_news = self._wanted, self._adopted, False
            started_s = time.monotonic()
            is_safe = self._write(kept)
            if is_safe and adopted is not None:
                adopted.discard()
                self._adopted = None
            with self._changed:
                rest_s = self._interval_s - (time.monotonic() - started_s)
                self._changed.wait_for(lambda: self._is_closing, timeout=rest_s)

    def _write(self, kept: _Kept | None) -> bool:
        """Bring the file to what is wanted; returns whether that worked."""
        path = self._folder / f"{self._token}{SUFFIX}"
        try:
            if kept is None:
                path.unlink(missing_ok=True)
            else:
                self._encoded = {
                    key: self._encoded.get(key) or encode_clip(key, clip)
                    for key, clip in kept.clips.items()
                }
                write_session(path, kept.session, list(self._encoded.values()), kept.origin)
        except Exception as error:
            _logger.exception("The session could not be kept against crashes.")
            if not self._has_failed and self._on_failure is not None:
                self._on_failure(str(error))
            self._has_failed = True
        else:
            self._has_failed = False
        return not self._has_failed


def _lock(folder: Path, token: str) -> FileLock:
    # Not per thread: it is taken on one and released on another.
    return FileLock(folder / f"{token}{_LOCK_SUFFIX}", thread_local=False)


def _delete(folder: Path, token: str) -> None:
    """Delete all files of a token, unfinished ones included."""
    for path in folder.iterdir():
        if token in path.name:
            with contextlib.suppress(OSError):
                path.unlink()
