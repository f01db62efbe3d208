"""The export dialog: opened once, and kept at what the document says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from app.background.render_bridge import RenderBridge
from app.dialogs.export_dialog import ExportDialog
from app.live.editor import Editor
from app.live.export_orders import ExportOrders
from app.live.messages import Answer, Messages
from app.live.preview import Preview
from app.live.settings_store import SettingsStore
from app.live.source_library import SourceLibrary
from app.models.document import Document
from app.models.session import ExportSettings, Session

USUAL_LENGTH_S = 3.0
"""Length of a note, before one was rendered."""


class Exports(QObject):
    """Shows the dialog and has its orders carried out.

    *Thread:* GUI.

    Args:
        window: Parent of the dialog.
    """

    def __init__(
        self,
        document: Document,
        editor: Editor,
        orders: ExportOrders,
        library: SourceLibrary,
        preview: Preview,
        rendering: RenderBridge,
        messages: Messages,
        settings: SettingsStore,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._editor = editor
        self._orders = orders
        self._preview = preview
        self._rendering = rendering
        self._messages = messages
        self._settings = settings
        self._window = window
        self._shown = ExportSettings()  # what the document held when the dialog showed it last
        self.dialog: ExportDialog | None = None
        """The dialog while it is open."""
        library.changed.connect(self._show_possible)
        document.subscribe_start(self._start_anew)
        editor.follow(self._show)

    def show_dialog(self) -> None:
        """Ask for an export; the window stays usable meanwhile."""
        if self.dialog is not None:
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        self._shown = self._editor.session.export
        dialog = self.dialog = ExportDialog(
            self._shown,
            self._orders.instrument_name,
            self._settings.folder / "Instruments",
            self._settings.value.middle_c,
            self._orders.make,
            self._orders.job,
            pad_refusal=self._orders.pad_refusal,
            note_ms=self._rendering.status.ms_per_note,
            length_s=self._note_length_s(),
            parent=self._window,
        )
        dialog.chosen_changed.connect(self._keep_plan)
        dialog.exported.connect(self._exported)
        dialog.finished.connect(self._forget_dialog)
        dialog.show()

    def _show(self, before: Session | None, after: Session) -> None:
        """Show in the dialog what the document holds, e.g. after Undo."""
        if self.dialog is None:
            return
        if before is None or before.export != after.export:
            shown, self._shown = self._shown, after.export
            span = replace(shown.span, low=after.export.span.low, high=after.export.span.high)
            if after.export == replace(shown, span=span):
                self.dialog.choices.set_range(span.low, span.high)  # the rest chosen there stays
            else:
                self.dialog.choices.set_chosen(after.export)
                self._show_possible()
        if before is None or (before.sources, before.one_instrument) != (
            after.sources,
            after.one_instrument,
        ):
            self._show_possible()

    def _show_possible(self) -> None:
        if self.dialog is not None:
            self.dialog.set_pad_refusal(self._orders.pad_refusal)

    def _start_anew(self) -> None:
        """Another session is there: the dialog exports it under its own name."""
        if self.dialog is not None:
            self.dialog.set_name(self._orders.instrument_name)

    def _note_length_s(self) -> float:
        ready = self._preview.note(self._preview.focus)
        if ready is None:
            return USUAL_LENGTH_S
        return int(ready.region.samples.shape[1]) / ready.sample_rate

    def _forget_dialog(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _keep_plan(self, chosen: ExportSettings) -> None:
        self._editor.edit("Change the export", lambda s: replace(s, export=chosen), "export")

    def _exported(self, results: list[Path]) -> None:
        names = ", ".join(f"'{path.name}'" for path in results)
        url = QUrl.fromLocalFile(str(results[0].parent))
        self._messages.info(
            f"Exported {names}.",
            Answer(text="Show in folder", act=lambda: QDesktopServices.openUrl(url)),
        )
