"""Dropped files become sources: decoded and heard in the pool, added in the order of the drop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.background.task_runner import TaskRunner
from app.error_text import describe
from app.live.first_listen import FirstListen, hear
from app.live.messages import Messages
from app.live.source_library import SourceLibrary
from app.models.audio_store import audio_hash
from app.models.document import Document
from app.models.edits import add_source, display_name
from app.models.session import MAX_SOURCES, Session
from app.models.session_file import SUFFIX
from core.audio.files import SOUND_SUFFIXES, AudioClip, read_audio
from core.errors import CoreError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Import:
    """A file that can be used."""

    clip: AudioClip
    key: str
    """Its hash."""
    heard: FirstListen


def read_sound(path: Path) -> Import:
    """Decode a file and listen to it.

    Raises:
        AudioFileError: It cannot be used.
    """
    clip = read_audio(path)
    return Import(clip=clip, key=audio_hash(clip), heard=hear(clip, None))


def sound_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and of folders the sound files within, in the order of their names."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob("*"), key=lambda file: str(file).lower())
            found += [
                file
                for file in inside
                if file.suffix.lower() in SOUND_SUFFIXES and not file.name.startswith(".")
            ]
        else:
            found.append(path)
    return found


class Importer(QObject):
    """Adds dropped files to the document; bad ones are named with their reason.

    *Signals:*
        session_dropped(Path): a session file was among them.
        added(str): id of the first source of a drop.
        finished(): all files of a drop are in or refused.

    *Thread:* GUI.
    """

    session_dropped = Signal(object)
    added = Signal(str)
    finished = Signal()

    def __init__(
        self,
        document: Document,
        library: SourceLibrary,
        tasks: TaskRunner,
        messages: Messages,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._library = library
        self._tasks = tasks
        self._messages = messages
        self._numbers = count()
        self._under_way = 0
        self.examples: frozenset[str] = frozenset()
        """Hashes of the bundled samples: a shelf of nothing else gives way to the first drop."""

    @property
    def is_busy(self) -> bool:
        """Whether files are being read."""
        return self._under_way > 0

    def add(self, paths: Sequence[Path], place: tuple[float, float] | None = None) -> None:
        """Add files and folders; all of a drop is one step to undo.

        Args:
            paths: Files, folders or a session.
            place: Where on the pad the first one goes; None takes empty spots.
        """
        self._under_way += 1
        self._tasks.run(
            partial(sound_files, paths), partial(self._read, tuple(paths), place), self._give_up
        )

    def _read(
        self, paths: Sequence[Path], place: tuple[float, float] | None, files: list[Path]
    ) -> None:
        sessions = [file for file in files if file.suffix.lower() == SUFFIX]
        sounds = [file for file in files if file.suffix.lower() != SUFFIX]
        if sessions:
            self.session_dropped.emit(sessions[0])
        elif not sounds:
            names = ", ".join(f"'{path.name}'" for path in paths)
            self._messages.error(f"There is no sound file in {names}; drop WAV, AIFF, FLAC or MP3.")
        if len(sounds) > MAX_SOURCES:
            self._messages.warn(
                f"{len(sounds)} files are too many; the first {MAX_SOURCES} are taken."
            )
        _Drop(
            sounds[:MAX_SOURCES],
            partial(self._take, f"import {next(self._numbers)}", place),
            self._refuse,
            self._finish,
        ).start(self._tasks)

    def _take(
        self, merge_key: str, place: tuple[float, float] | None, index: int, sound: Import
    ) -> None:
        session = self._document.session
        try:
            after = add_source(
                Session() if self._has_only_examples(session) else session,
                audio_hash=sound.key,
                name=display_name(sound.clip.name),
                place=place if index == 0 else None,
            )
        except CoreError as error:
            self._messages.error(describe(error))
            return
        new = after.sources[-1]
        self._library.learn(new.recording, sound.heard)
        clips = {sound.key: sound.clip}
        self._document.edit(f"Add {new.name}", after, clips=clips, merge_key=merge_key)
        if new.muted:
            self._messages.info(f"'{new.name}' is muted: the pad mixes eight sounds at once.")
        if index == 0:
            self.added.emit(new.id)

    def _has_only_examples(self, session: Session) -> bool:
        present = {source.audio_hash for source in session.sources}
        return bool(self.examples) and present == self.examples

    def _refuse(self, path: Path, error: Exception) -> None:
        self._messages.error(describe(error, path))

    def _finish(self) -> None:
        self._under_way -= 1
        self._document.end_gesture()
        self.finished.emit()

    def _give_up(self, error: Exception) -> None:
        self._under_way -= 1
        self._messages.error(describe(error))
        self.finished.emit()


class _Drop:
    """Files read by several threads and handed on in their order.

    Args:
        paths: What to read.
        take: Gets the place and content of a good one.
        refuse: Gets the path of a bad one and why.
        finish: Called after the last.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        take: Callable[[int, Import], object],
        refuse: Callable[[Path, Exception], object],
        finish: Callable[[], object],
    ) -> None:
        self._paths = paths
        self._take = take
        self._refuse = refuse
        self._finish = finish
        self._read: dict[int, Import | Exception] = {}
        self._next = 0

    def start(self, tasks: TaskRunner) -> None:
        """Read all files."""
        for index, path in enumerate(self._paths):
            put = partial(self._put, index)
            tasks.run(partial(read_sound, path), put, put)
        if not self._paths:
            self._finish()

    def _put(self, index: int, result: Import | Exception) -> None:
        self._read[index] = result
        while self._next in self._read:
            ready = self._read.pop(self._next)
            if isinstance(ready, Import):
                self._take(self._next, ready)
            else:
                self._refuse(self._paths[self._next], ready)
            self._next += 1
            if self._next == len(self._paths):
                self._finish()
