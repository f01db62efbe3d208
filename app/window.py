"""The window: where its panels lie, and that it closes only when nothing is lost."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QSplitter, QVBoxLayout, QWidget
from typing_extensions import override

from app.live.settings_store import SettingsStore
from app.models.document import Document
from app.models.session import Session
from app.panels.layout import WIDE_GAP, column
from app.theme import GRID
from app.widgets.dropped_data import dropped_files


class MainWindow(QMainWindow):
    """Sources, pad and pictures above sound, envelope and output; snapshots and piano below.

    *Signals:*
        files_dropped(list): paths that were let go of outside of any panel that takes them.
        close_asked(): the window is to be closed while something is not saved.
        closed(): the window was closed for good.

    *Thread:* GUI.

    Args:
        document: Its name and whether it is saved stand in the title.
        settings: Keep where the window lies on the screen.
    """

    files_dropped = Signal(list)
    close_asked = Signal()
    closed = Signal()

    def __init__(self, document: Document, settings: SettingsStore) -> None:
        super().__init__()
        self._document = document
        self._settings = settings
        self._may_lose = False
        self.setAcceptDrops(True)
        self.setMinimumSize(1024, 640)
        document.subscribe(self._show_title)
        self._show_title(document.session, document.session)

    def place(
        self,
        *,
        messages: QWidget,
        sources: QWidget,
        pad: QWidget,
        sound: QWidget,
        envelope: QWidget,
        pictures: QWidget,
        output: QWidget,
        snapshots: QWidget,
        piano: QWidget,
        status: QWidget,
    ) -> None:
        """Put every panel where it belongs."""
        upper = _sides(sources, pad, widths=(290, 490))
        upper.setStretchFactor(1, 1)
        lower = QWidget()
        strip = QHBoxLayout(lower)
        strip.setContentsMargins(0, 0, 0, 0)
        strip.setSpacing(3 * GRID)
        strip.addWidget(sound, 1)
        strip.addWidget(envelope, 1)
        lower.setFixedHeight(lower.sizeHint().height())
        sides = _sides(
            column(upper, lower, stretched=upper, gap=WIDE_GAP),
            column(pictures, output, stretched=pictures, gap=WIDE_GAP),
            widths=(780, 480),
        )
        sides.setStretchFactor(0, 3)
        sides.setStretchFactor(1, 2)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(WIDE_GAP, GRID // 2, WIDE_GAP, 0)
        layout.setSpacing(GRID)
        layout.addWidget(messages)
        layout.addWidget(sides, 1)
        for panel in (snapshots, piano, status):
            layout.addWidget(panel)
        self.setCentralWidget(content)
        self.resize(1280, 800)
        geometry = self._settings.value.window_geometry
        if geometry:
            self.restoreGeometry(QByteArray(geometry))

    def close_now(self) -> None:
        """Close although something may not be saved: the person wants it so."""
        self._may_lose = True
        self.close()

    @override
    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_files(event.mimeData()):
            event.acceptProposedAction()

    @override
    def dropEvent(self, event: QDropEvent) -> None:
        files = dropped_files(event.mimeData())
        if files:
            event.acceptProposedAction()
            self.files_dropped.emit(files)

    @override
    def closeEvent(self, event: QCloseEvent) -> None:
        if self._document.is_dirty and not self._may_lose:
            event.ignore()
            self.close_asked.emit()
            return
        geometry = bytes(self.saveGeometry().data())
        self._settings.change(replace(self._settings.value, window_geometry=geometry))
        event.accept()
        self.closed.emit()

    def _show_title(self, _before: Session, _after: Session) -> None:
        self.setWindowTitle(f"{self._document.name}[*] – HyperGANStrument")
        self.setWindowModified(self._document.is_dirty)


def _sides(left: QWidget, right: QWidget, *, widths: tuple[int, int]) -> QSplitter:
    """Two widgets and a handle between them."""
    splitter = QSplitter(Qt.Orientation.Horizontal)
    splitter.addWidget(left)
    splitter.addWidget(right)
    splitter.setSizes(list(widths))
    splitter.setChildrenCollapsible(False)
    splitter.setHandleWidth(2 * GRID)
    return splitter
