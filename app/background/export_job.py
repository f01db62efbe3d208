"""An instrument from the sound of now: built on the service's thread, written in the pool."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from app.background.task_runner import TaskRunner
from app.models.pad import source_weights
from app.models.session import Source
from core.errors import ExportError, RenderCancelled
from core.export.base import check_export, entries_of, export_instrument, openable
from core.inference.service import Job, RenderService
from core.instrument import Instrument, PadInstrument
from core.plan import InstrumentPlan, PadGrid
from core.sound import Sound

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine

RENDERING_SHARE = 0.75
"""Of the progress, until all is rendered."""
WRITTEN_SHARE = 0.85
"""Until all is written; the rest is checking."""

PadWeights = Callable[[float, float], list[float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOrder:
    """What is to be exported, and where to."""

    name: str
    """Display name of the instrument."""
    folder: Path
    formats: tuple[str, ...]
    """Names from ``core.export.base.FORMATS``."""
    sound: Sound
    """What it sounds like."""
    plan: InstrumentPlan
    """What it is made of."""
    grid: PadGrid | None = None
    """Points of the pad that are exported; None exports the sound as it is."""
    sources: tuple[Source, ...] = ()
    """Sources of the mix of a pad, in the order of its timbres."""
    is_replacing: bool = False
    """Whether files that exist may be replaced."""
    is_verified: bool = False
    """Whether other samplers open what was written and play its keys."""

    @property
    def n_regions(self) -> int:
        """Recordings of the whole export in one format."""
        points = 1 if self.grid is None else len(self.grid.places)
        return self.plan.n_regions * points

    def weights(self, x: float, y: float) -> list[float]:
        """Weights of the timbres at a place of the pad."""
        return list(source_weights(self.sources, x, y).values())


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
        order: ExportOrder,
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
    def order(self) -> ExportOrder:
        """What is exported."""
        return self._order

    def start(self) -> None:
        """Begin; what would stop the export later is said at once."""
        order = self._order
        try:
            check_export(order.name, order.formats, order.folder, force=order.is_replacing)
        except (ExportError, ValueError) as error:
            self.failed.emit(error)
            return
        self._job = self._service.submit(partial(build, order), progress=self._rendered)
        self._tasks.follow(self._job.future, self._write, self.failed.emit)

    def cancel(self) -> None:
        """Stop soon; ``failed`` says when."""
        self._cancelled.set()
        if self._job is not None:
            self._job.cancel()

    def _rendered(self, done: int, total: int) -> None:
        share = RENDERING_SHARE * done / max(total, 1)
        self.progressed.emit(share, f"Rendering note {done} of {total}")

    def _write(self, instrument: Instrument | PadInstrument) -> None:
        order = self._order
        self._tasks.run(
            partial(
                export_instrument,
                instrument,
                order.formats,
                order.folder,
                force=order.is_replacing,
                progress=self._written,
                cancel=self._cancelled,
            ),
            self._check,
            self.failed.emit,
        )

    def _written(self, done: int, total: int) -> None:
        share = RENDERING_SHARE + (WRITTEN_SHARE - RENDERING_SHARE) * done / max(total, 1)
        self.progressed.emit(share, f"Writing sample {done} of {total}")

    def _check(self, _files: list[Path]) -> None:
        if self._order.is_verified:
            self._tasks.run(
                partial(verify, self.results, self._checked, self._cancelled),
                self._report,
                self.failed.emit,
            )
        else:
            self._finish()

    def _checked(self, done: int, total: int) -> None:
        share = WRITTEN_SHARE + (1.0 - WRITTEN_SHARE) * done / max(total, 1)
        self.progressed.emit(share, f"Checking note {done} of {total}")

    def _report(self, result: tuple[bool, Path]) -> None:
        self.verified.emit(*result)
        self._finish()

    def _finish(self) -> None:
        self.progressed.emit(1.0, "Done")
        self.finished.emit(self.results)

    @property
    def results(self) -> list[Path]:
        """Files and folders that a person opens."""
        order = self._order
        entries = dict.fromkeys(openable(order.name, order.formats))
        return [order.folder / entry for entry in entries]


def verify(
    paths: list[Path], progress: Callable[[int, int], None], cancel: threading.Event
) -> tuple[bool, Path]:
    """Have other samplers open and play what was written, and write the sheet.

    Returns:
        Whether nothing is wrong, and the sheet for people.
    """
    from core.verify.check import verify_files
    from core.verify.sheet import write_sheets

    report = verify_files(paths, progress=progress, cancel=cancel)
    sheets = write_sheets(report)
    readable = next((sheet for sheet in sheets if sheet.suffix == ".html"), sheets[0])
    return report.is_green, readable


def top_level(order: ExportOrder) -> list[Path]:
    """Everything that an export puts into its folder: what is dragged to another program."""
    return [order.folder / entry for entry in entries_of(order.name, order.formats)]


def build(
    order: ExportOrder,
    engine: SynthesisEngine,
    progress: Callable[[int, int], None],
    cancel: threading.Event,
) -> Instrument | PadInstrument:
    """Render, loop, layer and level what was ordered; on the service's thread.

    Raises:
        RenderCancelled: ``cancel`` was set.
        ParameterError: The order cannot be carried out.
    """
    from core.inference.building import build_instrument, build_pad

    if order.grid is None:
        return build_instrument(
            engine, order.sound, order.plan, name=order.name, progress=progress, cancel=cancel
        )
    return build_pad(
        engine,
        order.sound,
        order.plan,
        order.grid,
        order.weights,
        name=order.name,
        progress=progress,
        cancel=cancel,
    )


def is_cancelled(error: Exception) -> bool:
    """Whether an export ended because somebody wanted it to."""
    return isinstance(error, RenderCancelled)


def estimate_bytes(order: ExportOrder, length_s: float, sample_rate: int = 44100) -> int:
    """About how many bytes an export takes: 24-bit mono, samples counted once per format family.

    Args:
        order: What is exported.
        length_s: Of a note.
        sample_rate: Hz.
    """
    sharing = {"wav", "sfz", "decentsampler"}  # write the same files
    formats = set(order.formats)
    families = len(formats - sharing) + bool(formats & sharing)
    return int(np.ceil(order.n_regions * length_s * sample_rate * 3 * families))
