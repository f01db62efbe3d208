"""Level of the output, what is compared, and what can be dragged out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.live.drag_out import DragOut
from app.live.editor import Editor
from app.live.meters import OutputMeters
from app.live.preview import Preview
from app.models.document import Document
from app.models.session import MAX_GAIN_DB, Session
from app.theme import GRID
from app.widgets.gestures import DragStart
from app.widgets.level_meter import LevelMeter
from app.widgets.parameter_slider import ParameterSlider

LOWEST_GAIN_DB = -36


class DragHandle(QPushButton):
    """A button that is dragged to another program; a click says what it does.

    *Thread:* GUI.

    Args:
        text: What is dragged.
        tip: What it does.
        files: Gives what is dragged now, files that exist; none where there is nothing yet.
    """

    def __init__(
        self,
        text: str,
        tip: str,
        files: Callable[[], list[Path]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(f"⠿ {text}", parent)
        self._files = files
        self._drag_start = DragStart()
        self.setToolTip(tip)
        self.setAccessibleName(f"Drag the {text.lower()} out")
        self.setCursor(Qt.CursorShape.OpenHandCursor)

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._drag_start.press(event)
        super().mousePressEvent(event)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag_start.has_begun(event):
            self._drag_start.forget()
            self.setDown(False)
            mime = self.mime()
            if mime is not None:
                drag = QDrag(self)
                drag.setMimeData(mime)
                drag.exec(Qt.DropAction.CopyAction)

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag_start.forget()
        super().mouseReleaseEvent(event)

    def mime(self) -> QMimeData | None:
        """What is dragged; None where there is nothing yet."""
        files = self._files()
        if not files:
            return None
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
        return mime


class OutputPanel(QWidget):
    """Gain, meter, A/B and the handles.

    *Thread:* GUI.
    """

    def __init__(
        self,
        document: Document,
        editor: Editor,
        preview: Preview,
        meters: OutputMeters,
        dragging: DragOut,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._editor = editor
        self._preview = preview
        self.meter = LevelMeter()
        self.gain = ParameterSlider(
            "Output",
            ("quiet", "loud"),
            LOWEST_GAIN_DB,
            round(MAX_GAIN_DB),
            "Level of what you hear; exports have a level of their own",
            lambda db: f"{db:+d} dB",
        )
        self.original = QPushButton("A Source")
        self.result = QPushButton("B Result")
        compare = QButtonGroup(self)
        for button, tip in (
            (
                self.original,
                "Hear the source as a plain sampler plays it, at the same loudness (B)",
            ),
            (self.result, "Hear the result (B)"),
        ):
            button.setCheckable(True)
            button.setToolTip(tip)
            compare.addButton(button)
        self.result.setChecked(True)
        self.note_handle = DragHandle(
            "Note",
            "Drag the note played last into another program as a WAV file",
            dragging.note_files,
        )
        self.instrument_handle = DragHandle(
            "Instrument",
            "Drag the whole instrument into another program, in the formats last exported;\n"
            "click to render it beforehand",
            dragging.instrument_files,
        )
        sides = QHBoxLayout()
        sides.setSpacing(0)
        sides.addWidget(self.original)
        sides.addWidget(self.result)
        handles = QHBoxLayout()
        handles.setSpacing(GRID // 2)
        handles.addWidget(self.note_handle)
        handles.addWidget(self.instrument_handle)
        words = QGridLayout()
        words.setHorizontalSpacing(2 * GRID)
        words.setVerticalSpacing(GRID)
        words.addWidget(self.gain, 0, 0, 1, 2)
        words.addLayout(sides, 1, 0)
        words.addLayout(handles, 1, 1)
        column = QVBoxLayout()
        column.addStretch(1)
        column.addLayout(words)
        column.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID)
        layout.addLayout(column, 1)
        layout.addWidget(self.meter)
        self.setFixedHeight(max(self.meter.minimumSizeHint().height(), column.sizeHint().height()))
        self.setAccessibleName("Output")
        meters.peaks_changed.connect(self.meter.set_peaks)
        self.original.toggled.connect(self._compare)
        self.gain.value_changed.connect(self._set_gain)
        self.gain.released.connect(editor.end_gesture)
        self.instrument_handle.clicked.connect(dragging.prepare_instrument)
        preview.compared_changed.connect(self._compared_changed)
        document.subscribe_start(self._hear_result)
        editor.follow(self._show)

    def toggle_original(self) -> None:
        """Swap what is heard."""
        (self.result if self.original.isChecked() else self.original).setChecked(True)

    def _show(self, before: Session | None, after: Session) -> None:
        if before is None or before.gain_db != after.gain_db:
            self.gain.set_value(round(after.gain_db))

    def _set_gain(self, gain_db: int) -> None:
        self._editor.edit("Change the level", lambda s: replace(s, gain_db=float(gain_db)), "gain")

    def _compare(self, is_original: bool) -> None:
        if is_original and self._preview.compared is None:
            self._hear_result()
        else:
            self._preview.play_original(is_original)

    def _compared_changed(self) -> None:
        if self._preview.compared is None:
            self._hear_result()

    def _hear_result(self) -> None:
        self.result.setChecked(True)
