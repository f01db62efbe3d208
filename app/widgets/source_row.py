"""One source of the shelf: its name, root note, picture and switches.

Shape legend: N columns of a thumbnail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFontMetrics,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.theme import GRID, scaled_font, theme_of, translucent
from app.waveform import waveform_polygon
from app.widgets.gestures import DragStart
from app.widgets.note_names import parse_note_label, pitch_label
from app.widgets.text_popup import TextPopup, check_name
from core.errors import ParameterError

CLEAR_PITCH = 0.5
"""From this confidence on a recording counts as pitched."""

_STRIPE = 4.0
_FIT_TIP = (
    "Fit closely: for some seconds the model learns this very recording, and is more faithful to\n"
    "it near its own pitch; press again to take it back"
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SourceView:
    """What a row shows."""

    source_id: str
    """Tells sources apart."""
    name: str
    colour: str
    """``#rrggbb``."""
    root_pitch: float | None = None
    """Fractional MIDI note; None while the recording is being listened to."""
    confidence: float = 1.0
    """Confidence of the detected root, 0 to 1."""
    root_note: str = ""
    """Where the root is known from, if it was not heard."""
    is_root_set: bool = False
    """Whether the user chose the root."""
    thumbnail: NDArray[np.float32] | None = None
    """Lowest and highest sample of each column, [N, 2]."""
    is_muted: bool = False
    is_soloed: bool = False
    is_fit_wanted: bool = False
    """Whether the model is to be fitted to the recording, or has been."""
    fit_note: str = ""
    """What is to be said of a fit that is not done."""


class WaveformThumbnail(QWidget):
    """A small picture of a recording.

    *Thread:* GUI.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._envelope: NDArray[np.float32] | None = None
        self._colour = "#808080"
        self.setFixedSize(9 * GRID, 6 * GRID)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def set_thumbnail(self, envelope: NDArray[np.float32] | None, colour: str) -> None:
        """Draw an envelope [N, 2] in a colour (``#rrggbb``)."""
        self._envelope, self._colour = envelope, colour
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = theme_of(self.palette())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.window))
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        if self._envelope is not None and len(self._envelope):
            painter.setBrush(QColor(self._colour))
            area = QRectF(self.rect()).adjusted(4, 4, -4, -4)
            painter.drawPolygon(waveform_polygon(self._envelope, area))
        painter.end()


class SourceRow(QWidget):
    """A source; all that is asked for is told with its id.

    With the focus on it: F2 renames, Ctrl+Up and Ctrl+Down move the root by an octave, Space plays
    the recording, M mutes, Shift+M solos, Ctrl+D duplicates, Delete removes, Alt+Up and Alt+Down
    reorder. The wheel over the root note moves it by a semitone.

    *Signals:* those of :class:`app.widgets.source_shelf.SourceShelf`, and
        step_requested(str, int): the row wants to move up (-1) or down (+1).
        focus_step_requested(str, int): the focus wants to.
        dragged(str, QPoint): the row is dragged; global position of the pointer.
        dropped(str, QPoint): it is let go.

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
    selected = Signal(str)
    step_requested = Signal(str, int)
    focus_step_requested = Signal(str, int)
    dragged = Signal(str, QPoint)
    dropped = Signal(str, QPoint)

    def __init__(self, view: SourceView, middle_c: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self._middle_c = middle_c
        self._is_selected = False
        self._drag_start = DragStart()
        self._is_dragging = False
        self.thumbnail = WaveformThumbnail()
        self.name = QLabel()
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.root = QToolButton()
        self.root.setToolTip(
            "Root note: click to type it, wheel moves it by a semitone,\n"
            "Ctrl+Up and Ctrl+Down by an octave"
        )
        self.certainty = QLabel()
        self.certainty.setFont(scaled_font(self.font(), 0.8))
        self.certainty.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.fit = _switch("Fit", _FIT_TIP)
        self.mute = _switch("M", "Mute (M)")
        self.solo = _switch("S", "Solo (Shift+M)")
        self.remove = QToolButton()
        self.remove.setText("×")
        self.remove.setAutoRaise(True)
        self.remove.setToolTip("Remove (Delete)")
        self._lay_out()
        self.root.clicked.connect(self.ask_root)
        self.fit.clicked.connect(self._tell_fit)
        self.mute.clicked.connect(self._tell_muted)
        self.solo.clicked.connect(self._tell_soloed)
        self.remove.clicked.connect(self._tell_delete)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_view(view)

    @property
    def source_id(self) -> str:
        """Whose row this is."""
        return self._view.source_id

    def set_view(self, view: SourceView) -> None:
        """Show the same source as it is now."""
        self._view = view
        self.thumbnail.set_thumbnail(view.thumbnail, view.colour)
        self.root.setText(self._root_text())
        self.root.setEnabled(view.root_pitch is not None)
        self.root.setAccessibleName(f"Root note of {view.name}: {self._root_text()}")
        for switch, name, is_on in (
            (self.fit, "Fit closely to", view.is_fit_wanted),
            (self.mute, "Mute", view.is_muted),
            (self.solo, "Solo", view.is_soloed),
        ):
            switch.setChecked(is_on)
            switch.setAccessibleName(f"{name} {view.name}")
        self.remove.setAccessibleName(f"Remove {view.name}")
        self.setAccessibleName(view.name)
        self.setAccessibleDescription(f"Root {self._root_text()}, {self._certainty_text()}")
        self._elide()
        self.update()

    def set_selected(self, is_selected: bool) -> None:
        """Mark the row."""
        self._is_selected = is_selected
        self.update()

    def set_middle_c(self, octave: int) -> None:
        """Name note 60 as C of this octave."""
        self._middle_c = octave
        self.set_view(self._view)

    def ask_name(self) -> None:
        """Let the user type another name."""
        popup = TextPopup(self.name, self._view.name, "Name of the source", check_name)
        popup.entered.connect(self._take_name)

    def ask_root(self) -> None:
        """Let the user type the root note."""
        if self._view.root_pitch is not None:
            popup = TextPopup(
                self.root, self._root_text(), "Note such as C4, C4 +20 or 60", self._parse_root
            )
            popup.entered.connect(self._take_root)

    def menu(self) -> QMenu:
        """All that can be done with the source."""
        menu = QMenu(self)
        has_root = self._view.root_pitch is not None
        for text, shortcut, act, is_enabled in (
            ("Play the recording", "Space", self._tell_audition, True),
            ("Rename…", "F2", self.ask_name, True),
            ("Colour…", "", lambda: self.colour_requested.emit(self.source_id), True),
            ("", "", None, True),
            ("Root an octave up", "Ctrl+Up", lambda: self._shift_octave(1), has_root),
            ("Root an octave down", "Ctrl+Down", lambda: self._shift_octave(-1), has_root),
            ("Type the root…", "", self.ask_root, has_root),
            (
                "Take the root from the next key played",
                "",
                lambda: self.root_learn_requested.emit(self.source_id),
                True,
            ),
            (
                "Use the detected root",
                "",
                lambda: self.root_reset.emit(self.source_id),
                self._view.is_root_set,
            ),
            (
                "Take back the fit" if self._view.is_fit_wanted else "Fit closely",
                "",
                self.fit.click,
                True,
            ),
            ("", "", None, True),
            ("Duplicate", "Ctrl+D", self._tell_duplicate, True),
            ("Remove", "Del", self._tell_delete, True),
        ):
            if act is None:
                menu.addSeparator()
                continue
            action = menu.addAction(text)
            action.setShortcut(QKeySequence(shortcut))
            action.setEnabled(is_enabled)
            action.triggered.connect(lambda _checked=False, act=act: act())
        return menu

    @override
    def sizeHint(self) -> QSize:
        return QSize(36 * GRID, max(7 * GRID, super().sizeHint().height()))

    @override
    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.selected.emit(self.source_id)
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._drag_start.press(event)
            self.selected.emit(self.source_id)
        else:
            super().mousePressEvent(event)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._is_dragging or self._drag_start.has_begun(event):
            self._is_dragging = True
            self.dragged.emit(self.source_id, event.globalPosition().toPoint())

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag_start.forget()
        if self._is_dragging:
            self._is_dragging = False
            self.dropped.emit(self.source_id, event.globalPosition().toPoint())

    @override
    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._drag_start.forget()
        self.ask_name()

    @override
    def wheelEvent(self, event: QWheelEvent) -> None:
        if self._view.root_pitch is None or not self._is_over_root(event):
            super().wheelEvent(event)
            return
        notches = round(event.angleDelta().y() / 120)
        self._set_root(self._view.root_pitch + notches)
        event.accept()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Arrows of the number pad count as arrows.
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        control, alt = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier
        none, shift = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
        actions: dict[tuple[int, Qt.KeyboardModifier], Callable[[], None]] = {
            (Qt.Key.Key_F2, none): self.ask_name,
            (Qt.Key.Key_Space, none): self._tell_audition,
            (Qt.Key.Key_Delete, none): self._tell_delete,
            (Qt.Key.Key_D, control): self._tell_duplicate,
            (Qt.Key.Key_M, none): self.mute.click,
            (Qt.Key.Key_M, shift): self.solo.click,
            (Qt.Key.Key_Up, control): lambda: self._shift_octave(1),
            (Qt.Key.Key_Down, control): lambda: self._shift_octave(-1),
            (Qt.Key.Key_Up, alt): lambda: self.step_requested.emit(self.source_id, -1),
            (Qt.Key.Key_Down, alt): lambda: self.step_requested.emit(self.source_id, 1),
            (Qt.Key.Key_Up, none): lambda: self.focus_step_requested.emit(self.source_id, -1),
            (Qt.Key.Key_Down, none): lambda: self.focus_step_requested.emit(self.source_id, 1),
        }
        act = actions.get((event.key(), modifiers))
        if act is None:
            super().keyPressEvent(event)
        else:
            act()

    @override
    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason):
            self.selected.emit(self.source_id)

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = theme_of(self.palette())
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setBrush(QColor(theme.raised if self._is_selected else theme.surface))
        painter.setPen(QPen(QColor(theme.accent), 1.5) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.drawRoundedRect(area, 4, 4)
        painter.setPen(Qt.PenStyle.NoPen)
        opacity = 0.35 if self._view.is_muted else 1.0
        painter.setBrush(translucent(self._view.colour, opacity))
        painter.drawRoundedRect(QRectF(3, 6, _STRIPE, self.height() - 12), 2, 2)
        painter.end()

    def _lay_out(self) -> None:
        above = QHBoxLayout()
        above.setSpacing(GRID // 2)
        above.addWidget(self.name, 1)
        for button in (self.mute, self.solo, self.remove):
            above.addWidget(button)
        below = QHBoxLayout()
        below.setSpacing(GRID)
        below.addWidget(self.root)
        below.addWidget(self.certainty, 1)
        below.addWidget(self.fit)
        words = QVBoxLayout()
        words.setSpacing(GRID // 2)
        words.addLayout(above)
        words.addLayout(below)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(GRID + 4, GRID // 2, GRID // 2, GRID // 2)
        layout.setSpacing(GRID)
        layout.addWidget(self.thumbnail)
        layout.addLayout(words, 1)

    def _root_text(self) -> str:
        if self._view.root_pitch is None:
            return "…"
        return pitch_label(self._view.root_pitch, self._middle_c)

    def _certainty_text(self) -> str:
        if self._view.root_pitch is None:
            return "listening"
        if self._view.fit_note:
            return self._view.fit_note
        if self._view.is_root_set:
            return "set by you"
        if self._view.root_note:
            return self._view.root_note
        if self._view.confidence < CLEAR_PITCH:
            return "no clear pitch"
        return f"{self._view.confidence:.0%} sure"

    def _elide(self) -> None:
        """Shorten what does not fit; the tooltips have it in full."""
        layout = self.layout()
        assert layout is not None
        layout.activate()  # the root note may have become wider
        for label, full, mode in (
            (self.name, self._view.name, Qt.TextElideMode.ElideMiddle),
            (self.certainty, self._certainty_text(), Qt.TextElideMode.ElideRight),
        ):
            text = QFontMetrics(label.font()).elidedText(full, mode, label.width())
            label.setText(text)
            label.setToolTip(full if text != full else "")

    def _is_over_root(self, event: QWheelEvent) -> bool:
        return self.root.geometry().contains(event.position().toPoint())

    def _parse_root(self, text: str) -> float:
        """Fractional MIDI note of ``C4``, ``60`` or ``C4 +20`` (cents)."""
        name, _, cents = text.partition(" ")
        note = parse_note_label(name, self._middle_c)
        try:
            return note + (int(cents) / 100 if cents.strip() else 0.0)
        except ValueError as error:
            raise ParameterError(
                f"{cents.strip()!r} are no cents; write for example C4 +20."
            ) from error

    def _take_name(self, text: str) -> None:
        if text != self._view.name:
            self.name_changed.emit(self.source_id, text)

    def _take_root(self, text: str) -> None:
        if text != self._root_text():
            self._set_root(self._parse_root(text))

    def _set_root(self, pitch: float) -> None:
        if 0.0 <= pitch <= 127.0:
            self.root_changed.emit(self.source_id, pitch)

    def _shift_octave(self, octaves: int) -> None:
        if self._view.root_pitch is not None and 0 <= self._view.root_pitch + 12 * octaves <= 127:
            self.octave_shifted.emit(self.source_id, octaves)

    def _tell_audition(self) -> None:
        self.audition_requested.emit(self.source_id)

    def _tell_delete(self) -> None:
        self.delete_requested.emit(self.source_id)

    def _tell_duplicate(self) -> None:
        self.duplicate_requested.emit(self.source_id)

    def _tell_fit(self, is_on: bool) -> None:
        self.fit_changed.emit(self.source_id, is_on)

    def _tell_muted(self, is_on: bool) -> None:
        self.muted_changed.emit(self.source_id, is_on)

    def _tell_soloed(self, is_on: bool) -> None:
        self.soloed_changed.emit(self.source_id, is_on)


def _switch(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setCheckable(True)
    button.setToolTip(tip)
    button.setMinimumWidth(3 * GRID)
    return button
