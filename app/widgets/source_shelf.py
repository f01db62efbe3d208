"""The shelf: all sources, one row each."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget
from typing_extensions import override

from app.theme import GRID, theme_of
from app.widgets.dropped_data import dropped_files
from app.widgets.source_row import SourceRow, SourceView


class SourceShelf(QWidget):
    """Rows that are edited, reordered by dragging and taken from dropped files.

    *Signals:* the first value is always the source's id.
        name_changed(str, str): new name.
        colour_requested(str): another colour is wanted.
        root_changed(str, float): fractional MIDI note chosen by the user.
        root_reset(str): back to the detected root.
        root_learn_requested(str): the next key played is the root.
        octave_shifted(str, int): the root is an octave higher (+1) or lower (-1).
        fit_changed(str, bool): the model shall be fitted to the recording, or no more.
        muted_changed(str, bool), soloed_changed(str, bool)
        delete_requested(str), duplicate_requested(str)
        audition_requested(str): the recording shall be heard.
        moved(str, int): place in the list it shall have, from 0, counted without itself.
        selected(str)
        files_dropped(list): paths of dropped files and folders.

    *Thread:* GUI.
    """

    name_changed = Signal(str, str)
    colour_requested = Signal(str)
    root_changed = Signal(str, float)
    root_reset = Signal(str)
    root_learn_requested = Signal(str)
    octave_shifted = Signal(str, int)
    fit_changed = Signal(str, bool)
    muted_changed = Signal(str, bool)
    soloed_changed = Signal(str, bool)
    delete_requested = Signal(str)
    duplicate_requested = Signal(str)
    audition_requested = Signal(str)
    moved = Signal(str, int)
    selected = Signal(str)
    files_dropped = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: dict[str, SourceRow] = {}
        self._selected: str | None = None
        self._middle_c = 4
        self._hint = QLabel("Drop files or folders here")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setWordWrap(True)
        self._hint.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        self._list = QWidget()
        self._column = QVBoxLayout(self._list)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(GRID // 2)
        self._column.addStretch(1)
        self._gap = QFrame(self._list)
        self._gap.setFixedHeight(3)
        self._gap.hide()
        self._scroll = QScrollArea()
        self._scroll.setWidget(self._list)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._hint, 1)
        layout.addWidget(self._scroll, 1)
        self._scroll.hide()
        self.setAcceptDrops(True)
        self.setAccessibleName("Sources")

    def set_sources(self, sources: Sequence[SourceView]) -> None:
        """Show these sources in this order; rows that stay keep their focus."""
        views = {view.source_id: view for view in sources}
        for source_id in [known for known in self._rows if known not in views]:
            row = self._rows.pop(source_id)
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        for index, view in enumerate(sources):
            row = self._rows.get(view.source_id) or self._new_row(view)
            row.set_view(view)
            if self._column.indexOf(row) != index:
                self._column.removeWidget(row)
                self._column.insertWidget(index, row)
        self._rows = {source_id: self._rows[source_id] for source_id in views}
        for before, after in zip(self._ordered(), self._ordered()[1:], strict=False):
            self.setTabOrder(before, after)
        self._hint.setVisible(not views)
        self._scroll.setVisible(bool(views))
        self.set_selected(self._selected if self._selected in views else None)

    def update_rows(self, sources: Sequence[SourceView]) -> None:
        """Show what goes on in these sources, as far as they have rows; nothing moves."""
        for view in sources:
            if view.source_id in self._rows:
                self._rows[view.source_id].set_view(view)

    def set_selected(self, source_id: str | None) -> None:
        """Mark a row and bring it into view."""
        self._selected = source_id
        for row in self._rows.values():
            row.set_selected(row.source_id == source_id)
        if source_id in self._rows:
            self._scroll.ensureWidgetVisible(self._rows[source_id], 0, 0)

    def set_middle_c(self, octave: int) -> None:
        """Name note 60 as C of this octave."""
        self._middle_c = octave
        for row in self._rows.values():
            row.set_middle_c(octave)

    def row(self, source_id: str) -> SourceRow:
        """The row of a source shown."""
        return self._rows[source_id]

    @override
    def sizeHint(self) -> QSize:
        return QSize(38 * GRID, 30 * GRID)

    @override
    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_files(event.mimeData()):
            event.acceptProposedAction()
            self._hint.setText("Let go to add")

    @override
    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._hint.setText("Drop files or folders here")

    @override
    def dropEvent(self, event: QDropEvent) -> None:
        self._hint.setText("Drop files or folders here")
        files = dropped_files(event.mimeData())
        if files:
            event.acceptProposedAction()
            self.files_dropped.emit(files)

    def _ordered(self) -> list[SourceRow]:
        return list(self._rows.values())

    def _new_row(self, view: SourceView) -> SourceRow:
        row = SourceRow(view, self._middle_c)
        self._rows[view.source_id] = row
        row.name_changed.connect(self.name_changed)
        row.colour_requested.connect(self.colour_requested)
        row.root_changed.connect(self.root_changed)
        row.root_reset.connect(self.root_reset)
        row.root_learn_requested.connect(self.root_learn_requested)
        row.octave_shifted.connect(self.octave_shifted)
        row.fit_changed.connect(self.fit_changed)
        row.muted_changed.connect(self.muted_changed)
        row.soloed_changed.connect(self.soloed_changed)
        row.delete_requested.connect(self.delete_requested)
        row.duplicate_requested.connect(self.duplicate_requested)
        row.audition_requested.connect(self.audition_requested)
        row.selected.connect(self._select)
        row.step_requested.connect(self._step)
        row.focus_step_requested.connect(self._step_focus)
        row.dragged.connect(self._show_gap)
        row.dropped.connect(self._drop_row)
        return row

    def _select(self, source_id: str) -> None:
        if source_id != self._selected:
            self.set_selected(source_id)
            self.selected.emit(source_id)

    def _step(self, source_id: str, step: int) -> None:
        index = list(self._rows).index(source_id) + step
        if 0 <= index < len(self._rows):
            self.moved.emit(source_id, index)

    def _step_focus(self, source_id: str, step: int) -> None:
        ids = list(self._rows)
        index = ids.index(source_id) + step
        if 0 <= index < len(ids):
            self._rows[ids[index]].setFocus()
            self._select(ids[index])

    def _place_at(self, at: QPoint) -> int:
        """Rows whose middle lies above a global position."""
        y = self._list.mapFromGlobal(at).y()
        return sum(row.geometry().center().y() < y for row in self._ordered())

    def _show_gap(self, source_id: str, at: QPoint) -> None:
        rows, place = self._ordered(), self._place_at(at)
        top = rows[place].y() - 3 if place < len(rows) else rows[-1].geometry().bottom()
        self._gap.setStyleSheet(f"background: {theme_of(self.palette()).accent};")
        self._gap.setGeometry(0, max(top, 0), self._list.width(), 3)
        self._gap.show()
        self._gap.raise_()

    def _drop_row(self, source_id: str, at: QPoint) -> None:
        self._gap.hide()
        before = list(self._rows).index(source_id)
        place = self._place_at(at)
        index = place - 1 if place > before else place
        if index != before:
            self.moved.emit(source_id, index)
