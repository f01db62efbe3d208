"""The export dialog, and files that are dragged to other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from app.background.export_job import ExportJob
from app.dialogs.export_dialog import ExportDialog
from app.live.editor import Editor
from app.live.messages import Answer
from app.live.preview import sound_of_mix
from app.models import edits
from app.models.pad import audible
from app.models.session import ExportSettings, Session
from app.studio import Studio
from core.audio.files import write_audio
from core.audio.pitch import file_note_name
from core.errors import CoreError
from core.export.files import safe_stem
from core.inference.production import Production
from core.inference.service import NoteReady
from core.plan import InstrumentPlan


class ExportControl(QObject):
    """Makes orders of the sound of now and follows them.

    *Thread:* GUI.

    Args:
        studio: Everything behind the window.
        editor: Keeps the settings of the export.
        window: Parent of the dialog.
        folder: Gives the folder that the dialog begins with.
    """

    def __init__(
        self, studio: Studio, editor: Editor, window: QWidget, folder: Callable[[], Path]
    ) -> None:
        super().__init__(window)
        self._studio = studio
        self._editor = editor
        self._window = window
        self._folder = folder
        self._order: Production | None = None  # of what is or will be ready to be dragged
        self._job: ExportJob | None = None
        self._files: list[Path] = []
        self._is_dragged = False  # whether those files were given to another program
        self._note: tuple[NoteReady, Path] | None = None  # the note dragged last
        self._shown = ExportSettings()  # what the document held when the dialog showed it last
        self.dialog: ExportDialog | None = None
        """The dialog while it is open."""
        studio.book.changed.connect(self.show_possible)
        studio.document.subscribe_start(self._start_anew)

    def show_dialog(self, middle_c: int, note_ms: float) -> None:
        """Ask for an export; the window stays usable meanwhile.

        Args:
            middle_c: Octave that note 60 is called by.
            note_ms: Time that rendering a note takes; 0 where it is not known.
        """
        if self.dialog is not None:
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        session = self._editor.session
        self._shown = session.export
        dialog = self.dialog = ExportDialog(
            session.export,
            self.instrument_name,
            self._folder() / "Instruments",
            middle_c,
            self._make_order,
            self._make_job,
            pad_refusal=self._pad_refusal,
            note_ms=note_ms,
            length_s=self._note_length_s(),
            parent=self._window,
        )
        dialog.chosen_changed.connect(self._keep_plan)
        dialog.exported.connect(self._exported)
        dialog.finished.connect(self._forget_dialog)
        dialog.show()

    @property
    def instrument_name(self) -> str:
        """What the instrument is called unless told otherwise."""
        path = self._studio.document.path
        if path is not None:
            return path.stem
        names = [source.name for source in audible(self._editor.session.sources)]
        return edits.display_name("-".join(names[:3])) if names else "Instrument"

    def set_range(self, low: int, high: int) -> None:
        """The range on the piano was dragged."""

        def change(session: Session) -> Session:
            span = replace(session.export.span, low=low, high=high)
            return replace(session, export=replace(session.export, span=span))

        self._editor.edit("Change the export range", change, "export range")

    def show_chosen(self, chosen: ExportSettings) -> None:
        """Show in the dialog what the document holds, e.g. after Undo."""
        if self.dialog is None:
            return
        before, self._shown = self._shown, chosen
        span = replace(before.span, low=chosen.span.low, high=chosen.span.high)
        if chosen == replace(before, span=span):
            self.dialog.set_range(span.low, span.high)  # what else is chosen there stays
        else:
            self.dialog.set_chosen(chosen)
            self.dialog.set_pad_refusal(self._pad_refusal)

    def show_possible(self) -> None:
        """Show in the dialog what can be exported now."""
        if self.dialog is not None:
            self.dialog.set_pad_refusal(self._pad_refusal)

    def note_files(self) -> list[Path]:
        """The note looked at as a WAV file; none while it is not rendered."""
        ready = self._studio.sound.note(self._studio.sound.focus)
        if ready is None or ready.is_draft:
            self._studio.messages.info("That note is not rendered yet; drag it in a moment.")
            return []
        name = f"{safe_stem(self.instrument_name)}_{file_note_name(ready.note)}.wav"
        if self._note is not None:
            note, path = self._note
            if note is ready and path.name == name and path.exists():
                return [path]
        try:
            path = self._studio.dragged.new_folder() / name
            write_audio(path, ready.region.samples, ready.sample_rate)
        except CoreError as error:
            self._editor.complain(error)
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
            self._studio.messages.info(
                "There is nothing to drag yet: drop a sample, or wait until it is fitted."
            )
            return
        if order == self._order and (self._files or self._job is not None):
            return
        if self._job is not None:
            self._job.cancel()
        elif self._files and not self._is_dragged:
            self._studio.dragged.forget(self._files[0].parent)
        try:
            folder = self._studio.dragged.new_folder()
        except CoreError as error:
            self._editor.complain(error)
            return
        self._order, self._files, self._is_dragged = order, [], False
        job = self._job = self._make_job(replace(order, folder=folder))
        job.finished.connect(lambda _opened: self._prepared(job))
        job.failed.connect(lambda error: self._not_prepared(job, error))
        self._studio.messages.info("The instrument is being rendered; drag it when it is ready.")
        job.start()

    def _prepared(self, job: ExportJob) -> None:
        if job is self._job:
            self._job = None
            self._files = job.order.top_level
            self._studio.messages.info("The instrument is ready: drag it out now.")

    def _not_prepared(self, job: ExportJob, error: Exception) -> None:
        self._studio.dragged.forget(job.order.folder)
        if job is self._job:
            self._job, self._order = None, None
            self._editor.complain(error)

    def _order_now(self) -> Production | None:
        """Order of the instrument of now; where it goes is decided when it is rendered."""
        return self._make_order(self.instrument_name, Path(), self._editor.session.export)

    def _make_job(self, order: Production) -> ExportJob:
        return ExportJob(order, self._studio.service, self._studio.tasks, self)

    def _make_order(self, name: str, folder: Path, chosen: ExportSettings) -> Production | None:
        session, book = self._editor.session, self._studio.book
        sources = audible(session.sources)
        known = [timbre for source in sources if (timbre := book.timbre(source)) is not None]
        if any(book.is_fit_awaited(source) for source in sources):
            return None
        grid = None if self._pad_refusal else chosen.grid
        if grid is not None:
            # The points of the pad bring weights of their own.
            is_known = 1 < len(known) == len(sources)
            sound = sound_of_mix([(each, 1.0) for each in known], session) if is_known else None
        else:
            sound = self._studio.sound.sound_of(session, session.x, session.y)
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

    @property
    def _pad_refusal(self) -> str:
        """Why no pad can be exported now; empty where one can."""
        session = self._editor.session
        if session.one_instrument:
            return "Notes of one instrument are exported as one sound: there is nothing to morph"
        if len(audible(session.sources)) < 2:
            return "A pad needs two sources that sound"
        return ""

    def _start_anew(self) -> None:
        """Another session is there: the dialog exports it under its own name."""
        if self.dialog is not None:
            self.dialog.set_name(self.instrument_name)

    def _note_length_s(self) -> float:
        ready = self._studio.sound.note(self._studio.sound.focus)
        return 3.0 if ready is None else ready.region.samples.shape[1] / ready.sample_rate

    def _forget_dialog(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _keep_plan(self, chosen: ExportSettings) -> None:
        self._editor.edit("Change the export", lambda s: replace(s, export=chosen), "export")

    def _exported(self, results: list[Path]) -> None:
        names = ", ".join(f"'{path.name}'" for path in results)
        url = QUrl.fromLocalFile(str(results[0].parent))
        self._studio.messages.info(
            f"Exported {names}.",
            Answer(text="Show in folder", act=lambda: QDesktopServices.openUrl(url)),
        )
