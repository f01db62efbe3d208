"""Eight places to keep a sound and come back to it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDrag,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHBoxLayout,
    QMenu,
    QSizePolicy,
    QWidget,
)
from typing_extensions import override

from app.theme import GRID, scaled_font, theme_of, translucent
from app.widgets.dropped_data import snapshot_mime
from app.widgets.gestures import DragStart
from app.widgets.text_popup import TextPopup, check_name
from core.errors import ParameterError

N_SLOTS = 8


class SnapshotSlot(QAbstractButton):
    """One place: a click recalls what it holds or stores into it while it is empty.

    *Signals:* those of :class:`SnapshotBar`.

    *Thread:* GUI.
    """

    store_requested = Signal(int)
    recall_requested = Signal(int)
    clear_requested = Signal(int)
    rename_requested = Signal(int, str)

    def __init__(self, slot: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slot = slot
        self._name: str | None = None
        self._is_active = False
        self._drag_start = DragStart()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.clicked.connect(self._click)
        self.set_name(None)

    def set_name(self, name: str | None) -> None:
        """Name what the slot holds; None for nothing."""
        self._name = name
        if name is None:
            self.setToolTip("Empty: click to keep the sound of now")
            self.setAccessibleName(f"Snapshot {self._slot + 1}, empty")
        else:
            self.setToolTip(
                f"{name}\nClick recalls, Shift+click replaces, drag it onto the pad as a source"
            )
            self.setAccessibleName(f"Snapshot {self._slot + 1}: {name}")
        self.update()

    def set_active(self, is_active: bool) -> None:
        """Mark the slot whose sound is heard."""
        self._is_active = is_active
        self.update()

    def ask_name(self) -> None:
        """Let the user type another name."""
        popup = TextPopup(self, self._name or "", "Name of the snapshot", check_name)
        popup.entered.connect(self._take_name)

    def menu(self) -> QMenu:
        """All that can be done with the slot."""
        menu = QMenu(self)
        is_filled = self._name is not None
        for text, act, is_enabled in (
            ("Recall", lambda: self.recall_requested.emit(self._slot), is_filled),
            (
                "Replace" if is_filled else "Store",
                lambda: self.store_requested.emit(self._slot),
                True,
            ),
            ("Rename…", self.ask_name, is_filled),
            ("Clear", lambda: self.clear_requested.emit(self._slot), is_filled),
        ):
            action = menu.addAction(text)
            action.setEnabled(is_enabled)
            action.triggered.connect(lambda _checked=False, act=act: act())
        return menu

    @override
    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self.font())
        return QSize(12 * GRID, max(4 * GRID, round(metrics.height()) + 2 * GRID))

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(4 * GRID, self.sizeHint().height())

    @override
    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._drag_start.press(event)
        super().mousePressEvent(event)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._name is not None and self._drag_start.has_begun(event):
            self._drag_start.forget()
            self.setDown(False)
            self._drag()
            return
        super().mouseMoveEvent(event)

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag_start.forget()
        super().mouseReleaseEvent(event)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        elif event.key() == Qt.Key.Key_Delete and self._name is not None:
            self.clear_requested.emit(self._slot)
        elif event.key() == Qt.Key.Key_F2 and self._name is not None:
            self.ask_name()
        else:
            super().keyPressEvent(event)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = theme_of(self.palette())
        area = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        is_filled = self._name is not None
        pen = QPen(QColor(theme.line), 1)
        if not is_filled:
            pen.setStyle(Qt.PenStyle.DashLine)
        if self.hasFocus() or self._is_active:
            pen = QPen(QColor(theme.accent), 1.5)
        ground = QColor(theme.raised if is_filled else theme.window)
        if self._is_active:
            ground = translucent(theme.accent, 0.25)
        if self.isDown() or (self.underMouse() and is_filled):
            ground = QColor(theme.line)
        painter.setPen(pen)
        painter.setBrush(ground)
        painter.drawRoundedRect(area, 4, 4)
        painter.setFont(scaled_font(self.font(), 0.9))
        metrics = QFontMetricsF(painter.font())
        number = str(self._slot + 1)
        inner = area.adjusted(GRID - 2, 0, -GRID // 2, 0)
        painter.setPen(QColor(theme.dim_text))
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, number)
        if self._name is not None:
            inner.setLeft(inner.left() + metrics.horizontalAdvance(number) + GRID - 2)
            painter.setPen(QColor(theme.text))
            text = metrics.elidedText(self._name, Qt.TextElideMode.ElideRight, inner.width())
            painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()

    def _click(self) -> None:
        modifiers = QApplication.keyboardModifiers()
        if self._name is None or modifiers & Qt.KeyboardModifier.ShiftModifier:
            self.store_requested.emit(self._slot)
        else:
            self.recall_requested.emit(self._slot)

    def _take_name(self, name: str) -> None:
        if name != self._name:
            self.rename_requested.emit(self._slot, name)

    def _drag(self) -> None:
        drag = QDrag(self)
        drag.setMimeData(snapshot_mime(self._slot))
        drag.setPixmap(self.grab())
        drag.exec(Qt.DropAction.CopyAction)


class SnapshotBar(QWidget):
    """Eight slots in a row.

    *Signals:* the first value is always the slot, 0–7.
        store_requested(int): keep the sound of now there.
        recall_requested(int)
        clear_requested(int)
        rename_requested(int, str): new name.

    *Thread:* GUI.
    """

    store_requested = Signal(int)
    recall_requested = Signal(int)
    clear_requested = Signal(int)
    rename_requested = Signal(int, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slots = tuple(SnapshotSlot(index) for index in range(N_SLOTS))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID // 2)
        for slot in self.slots:
            layout.addWidget(slot)
            slot.store_requested.connect(self.store_requested)
            slot.recall_requested.connect(self.recall_requested)
            slot.clear_requested.connect(self.clear_requested)
            slot.rename_requested.connect(self.rename_requested)
        self.setAccessibleName("Snapshots")

    def set_names(self, names: Sequence[str | None]) -> None:
        """Name what the eight slots hold; None for an empty one.

        Raises:
            ParameterError: Not eight names.
        """
        if len(names) != N_SLOTS:
            raise ParameterError(f"Got {len(names)} names for {N_SLOTS} snapshots.")
        for slot, name in zip(self.slots, names, strict=True):
            slot.set_name(name)

    def set_active(self, active: int | None) -> None:
        """Mark the slot whose sound is heard."""
        for index, slot in enumerate(self.slots):
            slot.set_active(index == active)
