"""Orders for exports: made of the sound of now."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from app.background.export_job import ExportJob
from app.background.task_runner import TaskRunner
from app.live.preview import Preview, sound_of_mix
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.document import Document
from app.models.pad import audible
from app.models.session import ExportSettings
from core.inference.production import Production
from core.inference.service import RenderService
from core.plan import InstrumentPlan


class ExportOrders(QObject):
    """Makes orders of what the document holds and what is known of its sources.

    *Thread:* GUI.
    """

    def __init__(
        self,
        document: Document,
        library: SourceLibrary,
        preview: Preview,
        service: RenderService,
        tasks: TaskRunner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._service = service
        self._tasks = tasks
        self._document = document
        self._library = library
        self._preview = preview

    @property
    def instrument_name(self) -> str:
        """What the instrument is called unless told otherwise."""
        path = self._document.path
        if path is not None:
            return path.stem
        names = [source.name for source in audible(self._document.session.sources)]
        return edits.display_name("-".join(names[:3])) if names else "Instrument"

    @property
    def pad_refusal(self) -> str:
        """Why no pad can be exported now; empty where one can."""
        session = self._document.session
        if session.one_instrument:
            return "Notes of one instrument are exported as one sound: there is nothing to morph"
        if len(audible(session.sources)) < 2:
            return "A pad needs two sources that sound"
        return ""

    def make(self, name: str, folder: Path, chosen: ExportSettings) -> Production | None:
        """An order of the sound of now; None while it is not known or still to be fitted.

        Args:
            name: Display name of the instrument.
            folder: Where it goes.
            chosen: What it is made of, and in which formats.
        """
        session, library = self._document.session, self._library
        sources = audible(session.sources)
        known = [timbre for source in sources if (timbre := library.timbre(source)) is not None]
        if any(library.is_fit_awaited(source) for source in sources):
            return None
        grid = None if self.pad_refusal else chosen.grid
        if grid is not None:
            # The points of the pad bring weights of their own.
            is_known = 1 < len(known) == len(sources)
            sound = sound_of_mix([(each, 1.0) for each in known], session) if is_known else None
        else:
            sound = self._preview.sound_of(session, session.x, session.y)
        if sound is None:
            return None
        return Production(
            name=name,
            folder=folder,
            formats=chosen.formats,
            sound=sound,
            plan=InstrumentPlan(
                notes=chosen.span.notes, options=chosen.options, envelope=session.envelope
            ),
            grid=grid,
            places=() if grid is None else tuple((each.x, each.y) for each in sources),
        )

    def job(self, order: Production) -> ExportJob:
        """The job that carries out an order, once it is started."""
        return ExportJob(order, self._service, self._tasks, self)
