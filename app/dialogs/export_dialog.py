"""The export: what, how much of it, where to; its progress and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QLocale, Qt, QUrl, Signal
from PySide6.QtGui import QCloseEvent, QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.background.export_job import ExportJob, estimate_bytes, is_cancelled
from app.dialogs.export_choices import ExportChoices
from app.error_text import describe
from app.models.session import MAX_NAME_LENGTH, ExportSettings
from app.theme import GRID
from core.inference.production import Production

USUAL_NOTE_MS = 60.0
"""Time that rendering a note is taken to need before one was rendered here, ms."""

OrderMaker = Callable[[str, Path, ExportSettings], Production | None]
"""Makes an order of a name, folder and settings; None: there is no sound yet."""


class ExportDialog(QDialog):
    """Asks for an export and follows it; the window stays usable meanwhile.

    *Signals:*
        chosen_changed(ExportSettings): an export with other settings begins.
        exported(list): files and folders that a person opens.

    *Thread:* GUI.

    Args:
        chosen: Settings to begin with.
        name: Name to begin with.
        folder: Folder to begin with.
        middle_c: Octave that note 60 is called by.
        make_order: Makes the order of what is chosen.
        make_job: Makes the job of an order.
        pad_refusal: Why no pad can be exported; empty where one can.
        note_ms: Time that rendering a note takes here; 0 where it is not known.
        length_s: Length of a note of the present sound, seconds.
    """

    REPLACE = "Replace files that exist"

    chosen_changed = Signal(object)
    exported = Signal(list)

    def __init__(
        self,
        chosen: ExportSettings,
        name: str,
        folder: Path,
        middle_c: int,
        make_order: OrderMaker,
        make_job: Callable[[Production], ExportJob],
        *,
        pad_refusal: str,
        note_ms: float,
        length_s: float,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self._make_order = make_order
        self._make_job = make_job
        self._note_ms = note_ms or USUAL_NOTE_MS
        self._length_s = length_s
        self._job: ExportJob | None = None
        self._results: list[Path] = []
        self._verdict = ""
        self.name = QLineEdit(name)
        self.name.setMaxLength(MAX_NAME_LENGTH)
        self.name.setAccessibleName("Name of the instrument")
        self.folder = QLineEdit(str(folder))
        self.folder.setAccessibleName("Folder")
        browse = QPushButton("Browse…")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._browse)
        self.choices = ExportChoices(chosen, middle_c, length_s)
        self.replace_files = QCheckBox(self.REPLACE)
        self.verify = QCheckBox("Check the result")
        self.verify.setToolTip(
            "Other samplers open what was written and play its keys; tuning, levels and loops are\n"
            "shown in a sheet beside it"
        )
        self.preview = QLabel()
        self.estimate = QLabel()
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the export")
        self.status = QLabel()
        self.start = QPushButton("Export")
        self.start.setDefault(True)
        self.cancel = QPushButton("Close")
        self.reveal = QPushButton("Show in folder")
        self.reveal.setToolTip("Open the folder with what was written")
        self._lay_out(browse)
        self._connect()
        self.set_pad_refusal(pad_refusal)

    def set_name(self, name: str) -> None:
        """Take another name for the instrument."""
        self.name.setText(name)

    def set_pad_refusal(self, reason: str) -> None:
        """Offer no pad.

        Args:
            reason: Why; empty offers one.
        """
        self.choices.set_pad_refusal(reason)
        self.refresh()

    @override
    def closeEvent(self, event: QCloseEvent) -> None:
        if self._job is not None:
            self._job.cancel()
        super().closeEvent(event)

    @override
    def reject(self) -> None:
        if self._job is not None:
            self._job.cancel()
        else:
            super().reject()

    def run(self) -> None:
        """Start the export that is chosen."""
        order = self._order()
        if order is None or self._job is not None:
            return
        self.chosen_changed.emit(self.choices.chosen)
        self._job = self._make_job(order)
        self._job.progressed.connect(self._progress)
        self._job.verified.connect(self._take_verdict)
        self._job.finished.connect(self._finish)
        self._job.failed.connect(self._fail)
        self._results, self._verdict = [], ""
        self.refresh()
        self._job.start()

    def _lay_out(self, browse: QPushButton) -> None:
        where = QHBoxLayout()
        where.addWidget(self.folder, 1)
        where.addWidget(browse)
        top = QFormLayout()
        top.addRow("Name", self.name)
        top.addRow("Folder", where)
        for label in (self.preview, self.estimate, self.status):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.preview.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        buttons = QHBoxLayout()
        buttons.addWidget(self.replace_files)
        buttons.addWidget(self.verify)
        buttons.addStretch(1)
        for button in (self.reveal, self.cancel, self.start):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setSpacing(GRID + GRID // 2)
        layout.addLayout(top)
        layout.addWidget(self.choices)
        layout.addWidget(self.preview)
        layout.addWidget(self.estimate)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addLayout(buttons)
        self.setMinimumWidth(88 * GRID)

    def _connect(self) -> None:
        self.choices.changed.connect(self.refresh)
        for check in (self.replace_files, self.verify):
            check.toggled.connect(self.refresh)
        self.name.textChanged.connect(self.refresh)
        self.folder.textChanged.connect(self.refresh)
        self.start.clicked.connect(self.run)
        self.cancel.clicked.connect(self.reject)
        self.reveal.clicked.connect(self._reveal)

    def _order(self) -> Production | None:
        name = " ".join(self.name.text().split())
        if not name or not self.folder.text().strip() or not self.choices.chosen.formats:
            return None
        folder = Path(self.folder.text().strip()).expanduser()
        order = self._make_order(name, folder, self.choices.chosen)
        if order is None:
            return None
        return replace(
            order,
            is_replacing=self.replace_files.isChecked(),
            is_verified=self.verify.isChecked(),
        )

    def refresh(self) -> None:
        """Show what would be exported now."""
        order = self._order()
        is_running = self._job is not None
        self.start.setEnabled(order is not None and not is_running)
        self.cancel.setText("Cancel" if is_running else "Close")
        self.bar.setVisible(is_running)
        self.reveal.setVisible(bool(self._results))
        self.status.setVisible(bool(self.status.text()))
        if order is None:
            self.preview.setText("")
            self.estimate.setText(self._what_is_missing())
            return
        self.preview.setText("Writes " + ", ".join(path.name for path in order.top_level))
        length_s = order.plan.options.length_s or self._length_s
        size = QLocale().formattedDataSize(estimate_bytes(order, min(length_s, self._length_s)), 0)
        seconds = order.n_regions * self._note_ms / 1000
        time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
        self.estimate.setText(
            f"{order.n_regions} recordings, about {size}, ready in about {time}"
            if seconds >= 1
            else f"{order.n_regions} recordings, about {size}, ready in a moment"
        )

    def _what_is_missing(self) -> str:
        if not self.choices.chosen.formats:
            return "Choose a format."
        if not self.name.text().strip():
            return "Give the instrument a name."
        if not self.folder.text().strip():
            return "Choose a folder."
        return (
            "There is no sound to export yet: drop a sample and wait until it was listened to, "
            "and fitted where you asked for that."
        )

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Export into", self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _progress(self, share: float, what: str) -> None:
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(1000 * share))
        self._say(what)

    def _take_verdict(self, is_green: bool, sheet: Path) -> None:
        verdict = (
            "every key is as it should be" if is_green else "some keys are not as they should be"
        )
        self._verdict = f" Checked: {verdict}, see {sheet.name}."

    def _finish(self, results: list[Path]) -> None:
        self._job = None
        self._results = results
        self._say("Written: " + ", ".join(path.name for path in results) + "." + self._verdict)
        self.refresh()
        self.exported.emit(results)

    def _fail(self, error: Exception) -> None:
        self._job = None
        self._say("Cancelled; nothing was written." if is_cancelled(error) else describe(error))
        self.refresh()

    def _say(self, text: str) -> None:
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def _reveal(self) -> None:
        if self._results:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._results[0].parent)))
