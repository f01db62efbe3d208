"""The render service: one thread that owns the engine and always works on what matters most.

Notes of the newest sound are rendered in the order of :mod:`core.inference.schedule`. After each batch
everything is looked at anew, so nothing queues up behind a pad that is being dragged. Long work (an
export) runs on the same thread and lets the held keys go first each time it reports progress.

No torch is imported here: the engine's loader does it, on the service's own thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cachetools import LRUCache

from core.audio.files import AudioClip
from core.errors import CoreError, RenderCancelled
from core.inference.memory import return_freed_memory
from core.inference.schedule import Batch, Schedule
from core.instrument import Region
from core.progress import Progress
from core.sound import Sound, Timbre

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine


REST_S = 10.0
"""Without work for so long, the service gives freed memory back, seconds."""
CACHE_BYTES = 256 * 2**20
"""Rendered notes kept: about five timbres of 88 notes of 3 s."""

ResultT = TypeVar("ResultT")
ValueT = TypeVar("ValueT")
Work = Callable[["SynthesisEngine", Progress, threading.Event], ResultT]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NoteReady:
    """A note that may be played."""

    sound_key: str
    """``Sound.key`` of what it was rendered from."""
    note: int
    """MIDI note."""
    region: Region
    """Its audio, mono; root, lowest and highest key are the note."""
    sample_rate: int
    """Hz."""
    is_draft: bool = False
    """Whether the note itself follows, once its timbre has come to rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteFailed:
    """A note that could not be rendered; it is tried again once other settings were asked for."""

    sound_key: str
    """``Sound.key`` of what it was to be rendered from."""
    note: int
    """MIDI note."""
    message: str
    """What went wrong, one sentence."""


class ServiceState(StrEnum):
    """What the service's thread is doing."""

    LOADING = "loading"
    IDLE = "idle"
    RENDERING = "rendering"
    WORKING = "working"
    """Submitted work runs."""
    FAILED = "failed"
    """The engine could not be loaded; nothing will ever be rendered."""
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceStatus:
    """How the service stands; sent when the state changes and after every batch."""

    state: ServiceState
    device_name: str = ""
    """Where the networks compute."""
    pending: int = 0
    """Wanted notes that are still to be rendered."""
    ms_per_note: float = 0.0
    """Time of the last batch divided by its notes, milliseconds."""
    message: str = ""
    """Why it failed, one sentence."""


class Job(Generic[ResultT]):
    """Long work handed to the service.

    Args:
        work: What to do; gets the engine, a progress to call often and an event to look at.
        progress: Told (done, total), on the service's thread.
    """

    def __init__(self, work: Work[ResultT], progress: Progress | None = None) -> None:
        self._work = work
        self._progress = progress
        self._cancelled = threading.Event()
        self.future: Future[ResultT] = Future()
        """Its result; holds ``RenderCancelled`` when it was cancelled, else what the work raised."""

    def cancel(self) -> None:
        """Ask the work to stop; the future says when it has."""
        self._cancelled.set()

    def refuse(self, reason: CoreError) -> None:
        """Let it fail without doing it."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(reason)

    def run(self, engine: SynthesisEngine, between: Callable[[], None]) -> None:
        """Do the work.

        Args:
            engine: What it works with.
            between: Called at every progress: the others' turn.
        """
        if self._cancelled.is_set():
            self.refuse(RenderCancelled("The work was cancelled before it began."))
        elif self.future.set_running_or_notify_cancel():

            def step(done: int, total: int) -> None:
                if self._progress is not None:
                    self._progress(done, total)
                between()

            try:
                result = self._work(engine, step, self._cancelled)
            except Exception as error:  # noqa: BLE001 - whoever waits for the future gets it
                if not isinstance(error, CoreError):
                    _log.exception("Work handed to the render service failed.")
                self.future.set_exception(error)
            else:
                self.future.set_result(result)


class RenderService:
    """Renders on a thread of its own what is held, played lately, seen, wanted: in this order.

    All methods may be called from any thread and return at once. All callbacks come on the
    service's thread and should be short.

    A note is delivered once for as long as it stays wanted with the same settings, a draft of it not
    counted. Held keys also get what was finished for settings that are no longer the newest, in the
    order in which they were asked for: so a held note follows a pad that never rests.

    Args:
        load: Makes the engine; called on the service's thread.
        on_note: Told about every note that may be played.
        on_failure: Told about every note that could not be rendered.
        on_status: Told how the service stands.
        cache_bytes: Most bytes of rendered notes kept.
    """

    def __init__(
        self,
        load: Callable[[], SynthesisEngine],
        *,
        on_note: Callable[[NoteReady], None],
        on_failure: Callable[[NoteFailed], None] | None = None,
        on_status: Callable[[ServiceStatus], None] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._load = load
        self._on_note = on_note
        self._on_failure = on_failure
        self._on_status = on_status
        self._thread = threading.Thread(target=self._run, name="render-service", daemon=True)

        # Guarded by _changed.
        self._changed = threading.Condition()
        self._analyses: deque[Job[Any]] = deque()
        self._jobs: deque[Job[Any]] = deque()
        self._running: Job[Any] | None = None
        self._schedule = Schedule(time.monotonic)
        self._refusal: CoreError | None = None  # why no more work is taken

        # The service's thread alone.
        self._sample_rate = 0
        self._cache: LRUCache[tuple[str, int], Region] = LRUCache(cache_bytes, _bytes_of)
        self._status = ServiceStatus(state=ServiceState.LOADING)

    def start(self) -> None:
        """Start the thread, which loads the engine first; work may be handed over before."""
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop after the batch under way; what has not been done fails with RenderCancelled.

        Args:
            timeout_s: How long to wait for the thread; if it is not enough, that is logged.
        """
        self._refuse(RenderCancelled("Rendering has stopped because the program is closing."))
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                _log.warning("Rendering did not stop within %.1f s.", timeout_s)

    def analyze(self, clip: AudioClip, root: float | None = None) -> Future[Timbre]:
        """Listen to a one-shot; takes turns with held keys and goes before all other rendering.

        Args:
            clip: The recording.
            root: Its fractional MIDI note where the user knows better; None estimates it.

        Returns:
            The timbre, or what ``SynthesisEngine.analyze`` raised.
        """
        job = Job(lambda engine, *_: engine.analyze(clip, root=root))
        self._hand_over(job, self._analyses)
        return job.future

    def preview(
        self,
        sound: Sound | None,
        notes: Sequence[int],
        urgent: Collection[int] | None = None,
    ) -> None:
        """Say what is wanted from now on; what was wanted before and is not yet done is dropped.

        Args:
            sound: What notes sound like; None wants nothing.
            notes: MIDI notes in the order wanted, where nothing else tells them apart.
            urgent: Notes that, like held ones, do not wait for the sound to come to rest; None is
                all of them.

        Raises:
            ParameterError: A note is out of range or named twice.
        """
        if sound is not None and notes:
            sound.request(notes)  # checks them
        with self._changed:
            self._schedule.want(sound, notes, urgent)
            self._changed.notify()

    def set_held(self, notes: Iterable[int]) -> None:
        """The keys that are down now; wanted ones are rendered before everything else."""
        with self._changed:
            self._schedule.hold(notes)
            self._changed.notify()

    def set_visible(self, low: int, high: int) -> None:
        """The keys on the screen, both ends included."""
        with self._changed:
            self._schedule.show(low, high)

    def submit(self, work: Work[ResultT], *, progress: Progress | None = None) -> Job[ResultT]:
        """Hand over long work, done in the order handed over.

        One-shots are analysed and held keys rendered each time the work calls its progress, which
        ``SynthesisEngine.render`` does after every batch.

        Args:
            work: Gets the engine, a progress(done, total) and an event that says stop.
            progress: Told (done, total), on the service's thread.
        """
        job = Job(work, progress)
        self._hand_over(job, self._jobs)
        return job

    def _hand_over(self, job: Job[Any], queue: deque[Job[Any]]) -> None:
        with self._changed:
            refusal = self._refusal
            if refusal is None:
                queue.append(job)
                self._changed.notify()
        if refusal is not None:
            job.refuse(refusal)

    def _refuse(self, reason: CoreError) -> None:
        """Take no more work, fail what waits and cancel what runs."""
        with self._changed:
            self._refusal = reason
            self._schedule.want(None, ())
            waiting = [*self._analyses, *self._jobs]
            self._analyses.clear()
            self._jobs.clear()
            if self._running is not None:
                self._running.cancel()
            self._changed.notify()
        for job in waiting:
            job.refuse(reason)

    # From here on: the service's thread.

    def _run(self) -> None:
        if self._on_status is not None:
            _call(self._on_status, self._status)
        try:
            engine = self._load()
        except Exception as error:  # noqa: BLE001 - logged or said, and the thread ends
            reason = _as_core_error("The synthesis engine could not be loaded", error)
            self._refuse(reason)
            self._say(replace(self._status, state=ServiceState.FAILED, message=str(reason)))
            return
        self._sample_rate = engine.sample_rate
        self._status = replace(self._status, device_name=engine.device_name)
        while self._wait_for_work():
            self._analyze_next(engine)
            self._render_next(engine, held_only=bool(self._jobs))
            self._work_next(engine)
        self._say(replace(self._status, state=ServiceState.CLOSED, pending=0))

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when the service closes."""
        with self._changed:
            is_idle = not self._has_work() and self._schedule.rests_in_s is None
        if is_idle:
            self._say(replace(self._status, state=ServiceState.IDLE, pending=0))

        def is_called() -> bool:
            return self._has_work() or self._refusal is not None

        with self._changed:
            rests_in_s = self._schedule.rests_in_s
            if rests_in_s is not None and not is_called():
                self._changed.wait_for(is_called, max(0.0, rests_in_s))
                return self._refusal is None
            if self._changed.wait_for(is_called, REST_S):
                return self._refusal is None
        return_freed_memory()
        with self._changed:
            self._changed.wait_for(is_called)
            return self._refusal is None

    def _has_work(self) -> bool:
        return bool(self._analyses or self._jobs or self._schedule.due())

    def _analyze_next(self, engine: SynthesisEngine) -> None:
        with self._changed:
            job = self._analyses.popleft() if self._analyses else None
        if job is not None:
            job.run(engine, between=lambda: None)

    def _work_next(self, engine: SynthesisEngine) -> None:
        """Do the job whose turn it is; at each of its steps what cannot wait goes first."""

        def between() -> None:
            self._analyze_next(engine)
            self._render_next(engine, held_only=True)

        with self._changed:
            self._running = job = self._jobs.popleft() if self._jobs else None
        if job is not None:
            self._say(replace(self._status, state=ServiceState.WORKING))
            job.run(engine, between)
            with self._changed:
                self._running = None

    def _render_next(self, engine: SynthesisEngine, *, held_only: bool) -> None:
        """Deliver what is kept already, then render the batch that matters most."""
        self._deliver_kept()
        with self._changed:
            batch = self._schedule.next_batch(held_only=held_only)
        if batch is not None:
            self._render(engine, batch)

    def _deliver_kept(self) -> None:
        with self._changed:
            sound, notes = self._schedule.wanted, self._schedule.due()
        if sound is not None:
            for note in notes:
                region = self._cache.get((sound.key, note))
                if region is not None:
                    self._deliver(sound.key, note, region)

    def _render(self, engine: SynthesisEngine, batch: Batch) -> None:
        if self._running is None:
            self._say(replace(self._status, state=ServiceState.RENDERING))
        begun = time.perf_counter()
        try:
            request = batch.sound.request(batch.notes, is_draft=batch.is_draft)
            instrument = engine.render(request)
        except Exception as error:  # noqa: BLE001 - reported for each note; the others go on
            if len(batch.notes) == 1:
                self._fail(batch, error)
            else:  # one of them may be at fault
                for note in batch.notes:
                    self._render(engine, replace(batch, notes=(note,)))
            return
        taken_s = time.perf_counter() - begun
        for region in instrument.regions:
            note = region.root_note
            alone = replace(region, low_key=note, high_key=note)
            self._keep(batch, note, alone)
            self._deliver(batch.key, note, alone, is_draft=batch.is_draft)
        with self._changed:
            pending = self._schedule.n_pending
        self._say(
            replace(
                self._status,
                device_name=engine.device_name,  # the CPU, once a GPU's memory has run out
                pending=pending,
                ms_per_note=1000.0 * taken_s / len(batch.notes),
            )
        )

    def _keep(self, batch: Batch, note: int, region: Region) -> None:
        """Cache a note; what a pad in motion passes is not worth keeping."""
        with self._changed:
            is_wanted = self._schedule.is_wanted(batch.key)
        if is_wanted and not batch.is_draft and _bytes_of(region) <= self._cache.maxsize:
            self._cache[batch.key, note] = region

    def _deliver(self, key: str, note: int, region: Region, *, is_draft: bool = False) -> None:
        """Hand a note out, unless nobody waits for it any more."""
        with self._changed:
            is_awaited = self._schedule.deliver(key, note, is_draft=is_draft)
        if is_awaited:
            ready = NoteReady(
                sound_key=key,
                note=note,
                region=region,
                sample_rate=self._sample_rate,
                is_draft=is_draft,
            )
            _call(self._on_note, ready)

    def _fail(self, batch: Batch, error: Exception) -> None:
        (note,) = batch.notes
        reason = _as_core_error(f"Note {note} could not be rendered", error)
        with self._changed:
            is_awaited = self._schedule.deliver(batch.key, note)
        if is_awaited and self._on_failure is not None:
            failed = NoteFailed(sound_key=batch.key, note=note, message=str(reason))
            _call(self._on_failure, failed)

    def _say(self, status: ServiceStatus) -> None:
        changed = status != self._status
        self._status = status
        if changed and self._on_status is not None:
            _call(self._on_status, status)


def _bytes_of(region: Region) -> int:
    return region.samples.nbytes


def _call(callback: Callable[[ValueT], None], value: ValueT) -> None:
    """Call somebody else's code; its mistakes do not stop the service."""
    try:
        callback(value)
    except Exception:  # noqa: BLE001 - logged
        _log.exception("A callback of the render service failed.")


def _as_core_error(what: str, error: Exception) -> CoreError:
    """The error itself, or one a person can read for one nobody foresaw, which is logged."""
    if isinstance(error, CoreError):
        return error
    _log.error("%s.", what, exc_info=error)
    return CoreError(f"{what} ({type(error).__name__}: {error}).")
