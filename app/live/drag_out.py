"""What is dragged to other programs: the note looked at, and the whole instrument."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.background.export_job import ExportJob
from app.error_text import describe
from app.live.dragged_files import DraggedFiles
from app.live.export_orders import ExportOrders
from app.live.messages import Messages
from app.live.preview import Preview
from app.models.document import Document
from core.audio.files import write_audio
from core.audio.pitch import file_note_name
from core.errors import CoreError
from core.export.files import safe_stem
from core.inference.production import Production
from core.inference.service import NoteReady


class DragOut:
    """Has the files ready that a person drags out.

    *Thread:* GUI.
    """

    def __init__(
        self,
        document: Document,
        orders: ExportOrders,
        preview: Preview,
        messages: Messages,
        dragged: DraggedFiles,
    ) -> None:
        self._document = document
        self._orders = orders
        self._preview = preview
        self._messages = messages
        self._dragged = dragged
        self._order: Production | None = None  # of what is or will be ready to be dragged
        self._job: ExportJob | None = None
        self._files: list[Path] = []
        self._is_dragged = False  # whether those files were given to another program
        self._note: tuple[NoteReady, Path] | None = None  # the note dragged last

    def note_files(self) -> list[Path]:
        """The note looked at as a WAV file; none while it is not rendered."""
        ready = self._preview.note(self._preview.focus)
        if ready is None or ready.is_draft:
            self._messages.info("That note is not rendered yet; drag it in a moment.")
            return []
        name = f"{safe_stem(self._orders.instrument_name)}_{file_note_name(ready.note)}.wav"
        if self._note is not None:
            note, path = self._note
            if note is ready and path.name == name and path.exists():
                return [path]
        try:
            path = self._dragged.new_folder() / name
            write_audio(path, ready.region.samples, ready.sample_rate)
        except CoreError as error:
            self._messages.error(describe(error))
            return []
        self._note = ready, path
        return [path]

    def instrument_files(self) -> list[Path]:
        """The files of the whole instrument if those of the present sound are ready."""
        order = self._order_now()
        if order is not None and order == self._order and self._files:
            self._is_dragged = True
            return self._files
        self.prepare_instrument()
        return []

    def prepare_instrument(self) -> None:
        """Render the instrument so that it can be dragged."""
        order = self._order_now()
        if order is None:
            self._messages.info(
                "There is nothing to drag yet: drop a sample, or wait until it is fitted."
            )
            return
        if order == self._order and (self._files or self._job is not None):
            return
        if self._job is not None:
            self._job.cancel()
        elif self._files and not self._is_dragged:
            self._dragged.forget(self._files[0].parent)
        try:
            folder = self._dragged.new_folder()
        except CoreError as error:
            self._messages.error(describe(error))
            return
        self._order, self._files, self._is_dragged = order, [], False
        job = self._job = self._orders.job(replace(order, folder=folder))
        job.finished.connect(lambda _opened: self._prepared(job))
        job.failed.connect(lambda error: self._not_prepared(job, error))
        self._messages.info("The instrument is being rendered; drag it when it is ready.")
        job.start()

    def _prepared(self, job: ExportJob) -> None:
        if job is self._job:
            self._job = None
            self._files = job.order.top_level
            self._messages.info("The instrument is ready: drag it out now.")

    def _not_prepared(self, job: ExportJob, error: Exception) -> None:
        self._dragged.forget(job.order.folder)
        if job is self._job:
            self._job, self._order = None, None
            self._messages.error(describe(error))

    def _order_now(self) -> Production | None:
        """Order of the instrument of now; where it goes is decided when it is rendered."""
        return self._orders.make(
            self._orders.instrument_name, Path(), self._document.session.export
        )
