"""What the program knows about the sources on the shelf: heard at once, analysed a little later.

Sources that the session wants fitted are fitted one after the other, and play unfitted until then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from app.background.task_runner import TaskRunner
from app.error_text import describe
from app.live.first_listen import FirstListen, hear
from app.live.messages import Messages
from app.models.audio_store import cut
from app.models.document import Document
from app.models.session import MAX_SOURCES, Session, Source
from core.audio.files import AudioClip
from core.errors import RenderCancelled
from core.inference.service import Job, RenderService
from core.sound import Timbre

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine

SETTLE_MS = 150
"""A trim that is being dragged is listened to when it rests this long."""
KEPT = 96
"""Listenings kept, so that undoing a trim costs nothing."""
FITS_KEPT = MAX_SOURCES
"""Fitted timbres kept (about 2 MB each)."""

Recording = tuple[str, float, float | None, float | None]
FitKey = tuple[Recording, int]
KnowledgeT = TypeVar("KnowledgeT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitting:
    """How far the fit is that is under way."""

    key: FitKey
    """Key of the sources that are fitted."""
    name: str
    """Name of the first of these sources."""
    done: int = 0
    """Steps done."""
    total: int = 1
    """Steps in all."""


class _Knowledge(Generic[KnowledgeT]):
    """Facts by recording, and by source the newest of them."""

    def __init__(self) -> None:
        self.facts: dict[Recording, KnowledgeT] = {}
        self._newest: dict[str, KnowledgeT] = {}  # by id of the source

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

    def forget_sources(self) -> None:
        """Another session has other sources by the same ids; facts about recordings stay true."""
        self._newest.clear()


class SourceLibrary(QObject):
    """Listens to every source of a document, without networks in the pool, then with them.

    *Signals:*
        changed(): more is known about some source.
        fitting_changed(): a fit has begun, got on or ended.

    *Thread:* GUI.
    """

    changed = Signal()
    fitting_changed = Signal()
    _fit_stepped = Signal(int, int)  # on the render service's thread

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
        self._first_listens: _Knowledge[FirstListen] = _Knowledge()
        self._timbres: _Knowledge[Timbre] = _Knowledge()
        self._asked: set[Recording] = set()
        self._fits: dict[FitKey, Timbre] = {}
        self._failed_fits: set[FitKey] = set()
        self._fit_job: Job[Timbre] | None = None
        self._fitting: Fitting | None = None
        self._fit_stepped.connect(self._fit_got_on)
        self._settled = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settled.timeout.connect(self._listen)
        document.subscribe_start(self._first_listens.forget_sources)
        document.subscribe_start(self._timbres.forget_sources)
        document.subscribe(self._document_changed)

    @property
    def is_busy(self) -> bool:
        """Whether a source is not yet analysed, or to be fitted."""
        return self._settled.isActive() or bool(self._asked) or self._fit_job is not None

    @property
    def fitting(self) -> Fitting | None:
        """The fit that is under way."""
        return self._fitting

    def is_fit_awaited(self, source: Source) -> bool:
        """Whether the source is still to be fitted."""
        key = fit_key(source)
        return source.fit_steps > 0 and key not in self._fits and key not in self._failed_fits

    def has_fit_failed(self, source: Source) -> bool:
        """Whether the source could not be fitted."""
        return fit_key(source) in self._failed_fits

    def first_listen(self, source: Source) -> FirstListen | None:
        """What was heard; None while nothing was."""
        return self._first_listens.of(source)

    def timbre(self, source: Source) -> Timbre | None:
        """What the networks found, fitted where that is wanted and done; None while they have not."""
        timbre = self._timbres.of(source)
        return self._fits.get(fit_key(source), timbre)

    def learn(self, recording: Recording, heard: FirstListen) -> None:
        """Take what was heard elsewhere."""
        self._first_listens.learn(recording, heard)

    def _document_changed(self, before: Session, after: Session) -> None:
        if before.sources == after.sources:
            return
        ids = {source.id for source in after.sources}
        self._first_listens.forget_others(ids)
        self._timbres.forget_others(ids)
        self._fit_next()
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
            if recording in self._first_listens.facts:
                self._analyze(recording, clip)
            else:
                self._tasks.run(
                    partial(hear, clip, source.root),
                    partial(self._heard, recording, clip),
                    partial(self._failed, recording),
                )

    def _heard(self, recording: Recording, clip: AudioClip, heard: FirstListen) -> None:
        self._first_listens.learn(recording, heard)
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
        self._fit_next()
        self.changed.emit()

    def _fit_next(self) -> None:
        """Bring about what the session wants: end a fit it does not want, begin one it does."""
        sources = [source for source in self._document.session.sources if source.fit_steps]
        wanted = {fit_key(source) for source in sources}
        self._failed_fits &= wanted
        if self._fit_job is not None:
            if self._fitting is not None and self._fitting.key not in wanted:
                self._fit_job.cancel()
            return
        for source in sources:
            timbre = self._timbres.facts.get(source.recording)
            if timbre is not None and self.is_fit_awaited(source):
                self._fit(source, timbre)
                return

    def _fit(self, source: Source, timbre: Timbre) -> None:
        key, steps = fit_key(source), source.fit_steps

        def work(
            engine: SynthesisEngine, progress: Callable[[int, int], None], cancel: threading.Event
        ) -> Timbre:
            return engine.fit(timbre, steps=steps, progress=progress, cancel=cancel)

        self._fitting = Fitting(key=key, name=source.name, total=steps)
        self._fit_job = self._service.submit(work, progress=self._fit_stepped.emit)
        self._tasks.follow(
            self._fit_job.future, partial(self._fitted, key), partial(self._not_fitted, key)
        )
        self.fitting_changed.emit()

    def _fit_got_on(self, done: int, total: int) -> None:
        if self._fitting is not None:
            self._fitting = replace(self._fitting, done=done, total=total)
            self.fitting_changed.emit()

    def _fitted(self, key: FitKey, timbre: Timbre) -> None:
        self._fits[key] = timbre
        while len(self._fits) > FITS_KEPT:
            del self._fits[next(iter(self._fits))]
        self._end_fit()

    def _not_fitted(self, key: FitKey, error: Exception) -> None:
        if not isinstance(error, RenderCancelled):
            self._failed_fits.add(key)
            self._messages.error(describe(error))
        self._end_fit()

    def _end_fit(self) -> None:
        self._fit_job, self._fitting = None, None
        self._fit_next()
        self.fitting_changed.emit()
        self.changed.emit()

    def _failed(self, recording: Recording, error: Exception) -> None:
        self._asked.discard(recording)
        if not isinstance(error, RenderCancelled):
            self._messages.error(describe(error))
        self.changed.emit()


def fit_key(source: Source) -> FitKey:
    """All that a fit depends on."""
    return source.recording, source.fit_steps
