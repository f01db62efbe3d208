"""What the program knows about the sources on the shelf: heard at once, analysed a little later."""

from __future__ import annotations

from functools import partial
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from app.dialogs.error_text import describe
from app.models.audio_store import cut
from app.models.document import Document
from app.models.session import Session, Source
from app.views.hearing import Hearing, hear
from app.views.messages import Messages
from app.workers.task_runner import TaskRunner
from core.audio.files import AudioClip
from core.errors import RenderCancelled
from core.inference.request import Timbre
from core.inference.service import RenderService

SETTLE_MS = 150
"""A trim that is being dragged is listened to when it rests this long."""
KEPT = 96
"""Listenings kept, so that undoing a trim costs nothing."""

Recording = tuple[str, float, float | None, float | None]
KnowledgeT = TypeVar("KnowledgeT")


class _Knowledge(Generic[KnowledgeT]):
    """Facts by recording, and by source the newest of them."""

    def __init__(self) -> None:
        self.facts: dict[Recording, KnowledgeT] = {}
        self._newest: dict[str, KnowledgeT] = {}

    def learn(self, recording: Recording, fact: KnowledgeT) -> None:
        self.facts[recording] = fact
        while len(self.facts) > KEPT:
            del self.facts[next(iter(self.facts))]

    def of(self, source: Source) -> KnowledgeT | None:
        """The fact of a source; while a changed one is listened to, that from before."""
        fact = self.facts.get(source.recording)
        if fact is not None:
            self._newest[source.id] = fact
        return fact or self._newest.get(source.id)

    def forget_others(self, source_ids: set[str]) -> None:
        self._newest = {key: fact for key, fact in self._newest.items() if key in source_ids}


class SourceBook(QObject):
    """Listens to every source of a document, without networks in the pool, then with them.

    *Signals:*
        changed(): more is known about some source.

    *Thread:* GUI.
    """

    changed = Signal()

    def __init__(
        self,
        document: Document,
        tasks: TaskRunner,
        service: RenderService,
        messages: Messages,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._tasks = tasks
        self._service = service
        self._messages = messages
        self._hearings: _Knowledge[Hearing] = _Knowledge()
        self._timbres: _Knowledge[Timbre] = _Knowledge()
        self._asked: set[Recording] = set()
        self._settled = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settled.timeout.connect(self._listen)
        document.subscribe(self._document_changed)

    @property
    def is_busy(self) -> bool:
        """Whether a source is not yet analysed."""
        return self._settled.isActive() or bool(self._asked)

    def hearing(self, source: Source) -> Hearing | None:
        """What was heard; None while nothing was."""
        return self._hearings.of(source)

    def timbre(self, source: Source) -> Timbre | None:
        """What the networks found; None while they have not."""
        return self._timbres.of(source)

    def learn(self, recording: Recording, hearing: Hearing) -> None:
        """Take what was heard elsewhere."""
        self._hearings.learn(recording, hearing)

    def _document_changed(self, before: Session, after: Session) -> None:
        if before.sources == after.sources:
            return
        ids = {source.id for source in after.sources}
        self._hearings.forget_others(ids)
        self._timbres.forget_others(ids)
        if ids - {source.id for source in before.sources}:
            self._listen()
        else:
            self._settled.start()

    def _listen(self) -> None:
        for source in self._document.session.sources:
            recording = source.recording
            if recording in self._asked or recording in self._timbres.facts:
                continue
            clip = cut(self._document.clips[source.audio_hash], source)
            self._asked.add(recording)
            if recording in self._hearings.facts:
                self._analyze(recording, clip)
            else:
                self._tasks.run(
                    partial(hear, clip, source.root),
                    partial(self._heard, recording, clip),
                    partial(self._failed, recording),
                )

    def _heard(self, recording: Recording, clip: AudioClip, hearing: Hearing) -> None:
        self._hearings.learn(recording, hearing)
        self.changed.emit()
        self._analyze(recording, clip)

    def _analyze(self, recording: Recording, clip: AudioClip) -> None:
        self._tasks.follow(
            self._service.analyze(clip, recording[3]),
            partial(self._known, recording),
            partial(self._failed, recording),
        )

    def _known(self, recording: Recording, timbre: Timbre) -> None:
        self._asked.discard(recording)
        self._timbres.learn(recording, timbre)
        self.changed.emit()

    def _failed(self, recording: Recording, error: Exception) -> None:
        self._asked.discard(recording)
        if not isinstance(error, RenderCancelled):
            self._messages.error(describe(error))
        self.changed.emit()
