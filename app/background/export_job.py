"""An instrument from the sound of now: built on the service's thread, written in the pool."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from app.background.task_runner import TaskRunner
from core.errors import ExportError, RenderCancelled
from core.inference.production import (
    Delivery,
    Production,
    Step,
    StepProgress,
    deliver,
    make,
)
from core.inference.service import Job, RenderService
from core.instrument import Instrument, PadInstrument
from core.progress import Progress

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine

SHARES = {
    Step.RENDERING: (0.0, 0.75),
    Step.WRITING: (0.75, 0.85),
    Step.VERIFYING: (0.85, 1.0),
}
"""Where each step begins and ends in the whole progress."""
WORDS = {
    Step.RENDERING: "Rendering note",
    Step.WRITING: "Writing sample",
    Step.VERIFYING: "Checking note",
}


class ExportJob(QObject):
    """One export, from order to files; nothing half-written is left when it fails.

    *Signals:*
        progressed(float, str): share that is done, 0–1, and of what.
        finished(list): files and folders that a person opens.
        verified(bool, Path): before that, where it was asked for: whether nothing is wrong, and the
            sheet that shows it.
        failed(Exception): ``RenderCancelled`` when it was cancelled.

    *Thread:* GUI.
    """

    progressed = Signal(float, str)
    finished = Signal(list)
    verified = Signal(bool, object)
    failed = Signal(object)

    def __init__(
        self,
        order: Production,
        service: RenderService,
        tasks: TaskRunner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._order = order
        self._service = service
        self._tasks = tasks
        self._cancelled = threading.Event()
        self._job: Job[Instrument | PadInstrument] | None = None

    @property
    def order(self) -> Production:
        """What is exported."""
        return self._order

    def start(self) -> None:
        """Begin; what would stop the export later is said at once."""
        try:
            self._order.check()
        except (ExportError, ValueError) as error:
            self.failed.emit(error)
            return
        self._job = self._service.submit(partial(build, self._order), progress=self._rendered)
        self._tasks.follow(self._job.future, self._deliver, self.failed.emit)

    def cancel(self) -> None:
        """Stop soon; ``failed`` says when."""
        self._cancelled.set()
        if self._job is not None:
            self._job.cancel()

    def _rendered(self, done: int, total: int) -> None:
        self._tell(Step.RENDERING, done, total)

    def _tell(self, step: Step, done: int, total: int) -> None:
        (begins, ends), words = SHARES[step], WORDS[step]
        share = begins + (ends - begins) * done / max(total, 1)
        self.progressed.emit(share, f"{words} {done} of {total}")

    def _deliver(self, instrument: Instrument | PadInstrument) -> None:
        work = partial(deliver_with_sheet, self._order, instrument, self._tell, self._cancelled)
        self._tasks.run(work, self._finish, self.failed.emit)

    def _finish(self, delivered: tuple[Delivery, Path | None]) -> None:
        delivery, sheet = delivered
        if delivery.report is not None:
            self.verified.emit(delivery.report.is_green, sheet)
        self.progressed.emit(1.0, "Done")
        self.finished.emit(list(delivery.opened))


def build(
    order: Production,
    engine: SynthesisEngine,
    progress: Progress,
    cancel: threading.Event,
) -> Instrument | PadInstrument:
    """Make what was ordered; on the service's thread."""
    return make(order, engine, lambda _step, done, total: progress(done, total), cancel)


def deliver_with_sheet(
    order: Production,
    instrument: Instrument | PadInstrument,
    progress: StepProgress,
    cancel: threading.Event,
) -> tuple[Delivery, Path | None]:
    """Write and verify, in the pool; the sheet for people is written where something was verified."""
    delivery = deliver(order, instrument, progress, cancel)
    if delivery.report is None:
        return delivery, None
    from core.verify.sheet import write_sheets

    sheets = write_sheets(delivery.report)
    return delivery, next((sheet for sheet in sheets if sheet.suffix == ".html"), sheets[0])


def is_cancelled(error: Exception) -> bool:
    """Whether an export ended because somebody wanted it to."""
    return isinstance(error, RenderCancelled)


def estimate_bytes(order: Production, length_s: float, sample_rate: int = 44100) -> int:
    """About how many bytes an export takes: 24-bit mono, samples counted once per format family.

    Args:
        order: What is exported.
        length_s: Length of a note, seconds.
        sample_rate: Hz.
    """
    sharing = {"wav", "sfz", "decentsampler"}  # write the same files
    formats = set(order.formats)
    families = len(formats - sharing) + bool(formats & sharing)
    return int(np.ceil(order.n_regions * length_s * sample_rate * 3 * families))
