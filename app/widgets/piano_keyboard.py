"""A piano of 88 keys: to play, to see what is rendered, to choose what is exported."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QHelpEvent,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget
from typing_extensions import override

from app.keyboard import (
    BLACK_NOTES,
    HIGHEST_NOTE,
    LOWEST_NOTE,
    NOTES,
    WHITE_NOTES,
    KeyLayout,
    KeyState,
    is_black,
)
from app.theme import Theme, scaled_font, theme_of, translucent
from app.widgets.note_names import note_label
from core.errors import ParameterError

KEYBOARD_VELOCITY = 100
"""Velocity of keys played with Space."""

_RANGE_HEIGHT = 16.0
_STATE_HEIGHT = 10.0
_HANDLE_WIDTH = 8.0
_MOUSE = "mouse"
_SPACE = "space"


class PianoKeyboard(QWidget):
    """Plays by mouse and keys, shows what sounds, and holds the range to export.

    Struck nearer to its front edge a key is louder; dragging over keys plays a glissando. With the
    focus on it arrows choose a key, Space plays it, Alt with arrows moves the export range.

    *Signals:*
        note_on(int, int): MIDI note and velocity 1–127; each is followed by one ``note_off``.
        note_off(int): MIDI note.
        export_range_changed(int, int): lowest and highest note, inclusive, while they are dragged.
        export_range_released(): the drag is over.

    *Thread:* GUI.
    """

    note_on = Signal(int, int)
    note_off = Signal(int)
    export_range_changed = Signal(int, int)
    export_range_released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._held: dict[str, int] = {}
        self._sustained: set[int] = set()
        self._is_sustain_down = False
        self._pressed: frozenset[int] = frozenset()
        self._states: dict[int, KeyState] = {}
        self._roots: tuple[tuple[int, str], ...] = ()
        self._middle_c = 4
        self._export_range = (36, 96)
        self._export_step = 1
        self._dragged_end: int | None = None
        self._chosen = 60
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("Piano keyboard")
        self._describe()

    def set_pressed(self, notes: Collection[int]) -> None:
        """Show the keys that sound from elsewhere: MIDI or the computer keyboard."""
        pressed = frozenset(notes)
        self._update_keys(pressed ^ self._pressed)
        self._pressed = pressed

    def set_key_states(self, states: Mapping[int, KeyState]) -> None:
        """Mark the keys whose recording is there, awaited or failed; others bear no mark."""
        if states != self._states:
            self._states = dict(states)
            self.update()

    def set_roots(self, roots: Sequence[tuple[int, str]]) -> None:
        """Mark the root notes of sources, each with its colour (``#rrggbb``)."""
        self._roots = tuple(roots)
        self.update()

    def set_middle_c(self, octave: int) -> None:
        """Name note 60 as C of this octave."""
        self._middle_c = octave
        self._describe()
        self.update()

    def set_export_range(self, low: int, high: int, step: int = 1) -> None:
        """Show the keys to export.

        Args:
            low: Lowest note, 21–108.
            high: Highest note, inclusive.
            step: A recording every so many semitones.

        Raises:
            ParameterError: No range of a piano, or a step below 1.
        """
        if not LOWEST_NOTE <= low <= high <= HIGHEST_NOTE:
            raise ParameterError(
                f"Keys {low}-{high} are no range of the piano; use notes within "
                f"{LOWEST_NOTE}-{HIGHEST_NOTE}."
            )
        if step < 1:
            raise ParameterError(f"A step of {step} semitones cannot be exported; use 1 or more.")
        self._export_range = (low, high)
        self._export_step = step
        self.update()

    def set_sustain(self, down: bool) -> None:
        """Hold (True) or let go of what is played here."""
        self._is_sustain_down = down
        if not down:
            for note in sorted(self._sustained - set(self._held.values())):
                self.note_off.emit(note)
            self._update_keys(self._sustained)
            self._sustained.clear()

    def release_all(self) -> None:
        """Let go of all keys played here, sustained ones too."""
        for player in tuple(self._held):
            self._release(player)
        self.set_sustain(False)

    @override
    def sizeHint(self) -> QSize:
        return QSize(1040, 120)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(416, 88)

    @override
    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self._tip_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
        elif self._keys().area.contains(event.position()):
            self._play_at(event.position())
        else:
            left, right = (self._range_edge(end) for end in (0, 1))
            x = event.position().x()
            self._dragged_end = 0 if abs(x - left) < abs(x - right) else 1

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged_end is not None:
            self._move_range_end(self._dragged_end, self._keys().nearest_note(event.position().x()))
        elif event.buttons() & Qt.MouseButton.LeftButton:
            self._play_at(event.position())
        else:
            is_key = self._keys().area.contains(event.position())
            shape = Qt.CursorShape.ArrowCursor if is_key else Qt.CursorShape.SizeHorCursor
            self.setCursor(shape)

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            super().mouseReleaseEvent(event)
            return
        self._release(_MOUSE)
        if self._dragged_end is not None:
            self._dragged_end = None
            self.export_range_released.emit()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        steps: dict[int, int] = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_PageDown: -12,
            Qt.Key.Key_PageUp: 12,
            Qt.Key.Key_Home: -127,
            Qt.Key.Key_End: 127,
        }
        if key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat():
                self._press(_SPACE, self._chosen, KEYBOARD_VELOCITY)
        elif key in steps and event.modifiers() & Qt.KeyboardModifier.AltModifier:
            end = int(bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
            self._move_range_end(end, self._export_range[end] + steps[key])
            self.export_range_released.emit()
        elif key in steps:
            self._choose(self._chosen + steps[key])
        else:
            super().keyPressEvent(event)

    @override
    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat():
                self._release(_SPACE)
        else:
            super().keyReleaseEvent(event)

    @override
    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._release(_SPACE)
        super().focusOutEvent(event)

    @override
    def hideEvent(self, event: QHideEvent) -> None:
        self.release_all()
        super().hideEvent(event)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = theme_of(self.palette())
        layout = self._keys()
        dirty = QRectF(event.rect())
        if dirty.top() < layout.area.top():
            self._paint_range(painter, theme, layout)
            self._paint_states(painter, theme, layout)
        for note in WHITE_NOTES + BLACK_NOTES:
            if layout.rect(note).intersects(dirty):
                self._paint_key(painter, theme, layout, note)
        self._paint_names(painter, layout)
        self._paint_roots(painter, layout)
        painter.end()

    def _keys(self) -> KeyLayout:
        top = _RANGE_HEIGHT + _STATE_HEIGHT
        margin = _HANDLE_WIDTH / 2
        return KeyLayout(
            area=QRectF(margin, top, self.width() - 2 * margin, self.height() - top - 1)
        )

    def _update_keys(self, notes: Collection[int]) -> None:
        layout = self._keys()
        for note in notes:
            if note in NOTES:
                self.update(layout.rect(note).toAlignedRect().adjusted(-2, -2, 2, 2))

    def _play_at(self, point: QPointF) -> None:
        note = self._keys().note_at(point)
        if note is None:
            self._release(_MOUSE)
        elif self._held.get(_MOUSE) != note:
            self._release(_MOUSE)
            self._choose(note)
            self._press(_MOUSE, note, self._keys().strike(note, point))

    def _press(self, player: str, note: int, velocity: int) -> None:
        self._release(player)
        if note in self._sustained or note in self._held.values():
            self._sustained.discard(note)
            self.note_off.emit(note)
        self._held[player] = note
        self._update_keys([note])
        self.note_on.emit(note, velocity)

    def _release(self, player: str) -> None:
        note = self._held.pop(player, None)
        if note is None or note in self._held.values():
            return
        if self._is_sustain_down:
            self._sustained.add(note)
        else:
            self.note_off.emit(note)
        self._update_keys([note])

    def _choose(self, note: int) -> None:
        before = self._chosen
        self._chosen = min(max(note, LOWEST_NOTE), HIGHEST_NOTE)
        self._update_keys([before, self._chosen])
        self._describe()

    def _move_range_end(self, end: int, note: int) -> None:
        low, high = self._export_range
        if end == 0:
            moved = (min(max(note, LOWEST_NOTE), high), high)
        else:
            moved = (low, max(min(note, HIGHEST_NOTE), low))
        if moved != self._export_range:
            self._export_range = moved
            self.update()
            self.export_range_changed.emit(*moved)

    def _range_edge(self, end: int) -> float:
        rect = self._keys().rect(self._export_range[end])
        return rect.left() if end == 0 else rect.right()

    def _name(self, note: int) -> str:
        return f"{note_label(note, self._middle_c)} ({note})"

    def _describe(self) -> None:
        self.setAccessibleDescription(
            f"Key {self._name(self._chosen)}. Arrows choose a key, Space plays it, Alt with arrows "
            "moves the lower end of the export range, with Shift the upper end."
        )

    def _tip_at(self, point: QPointF) -> str:
        note = self._keys().note_at(point)
        if note is None:
            low, high = self._export_range
            return (
                f"Export {self._name(low)} to {self._name(high)}: drag the ends "
                "(Alt+arrows, Alt+Shift+arrows)"
            )
        state = self._states.get(note)
        return self._name(note) + (f", {state.value}" if state is not None else "")

    def _paint_range(self, painter: QPainter, theme: Theme, layout: KeyLayout) -> None:
        left, right = self._range_edge(0), self._range_edge(1)
        track = QRectF(layout.area.left(), 6, layout.area.width(), 4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.raised))
        painter.drawRoundedRect(track, 2, 2)
        painter.setBrush(translucent(theme.accent, 0.55))
        painter.drawRoundedRect(QRectF(left, 6, right - left, 4), 2, 2)
        painter.setBrush(QColor(theme.accent))
        if self._export_step > 1:
            low, high = self._export_range
            for note in range(low, high + 1, self._export_step):
                painter.drawEllipse(QPointF(layout.rect(note).center().x(), 8.0), 2.5, 2.5)
        for edge in (left, right):
            painter.drawRoundedRect(
                QRectF(edge - _HANDLE_WIDTH / 2, 1, _HANDLE_WIDTH, _RANGE_HEIGHT - 2), 3, 3
            )

    def _paint_states(self, painter: QPainter, theme: Theme, layout: KeyLayout) -> None:
        size = min(0.4 * layout.white_width, 6.0)
        for note, state in self._states.items():
            if note not in NOTES:
                continue
            centre = QPointF(layout.rect(note).center().x(), _RANGE_HEIGHT + 4)
            mark = QRectF(centre.x() - size / 2, centre.y() - 2, size, 4)
            if state is KeyState.RENDERED:
                painter.fillRect(mark, QColor(theme.good))
            elif state is KeyState.PENDING:
                painter.setPen(QPen(QColor(theme.dim_text), 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(mark.adjusted(0.5, 0.5, -0.5, -0.5))
            else:
                painter.setPen(QPen(QColor(theme.danger), 2))
                painter.drawLine(mark.topLeft(), mark.bottomRight())
                painter.drawLine(mark.bottomLeft(), mark.topRight())

    def _paint_key(self, painter: QPainter, theme: Theme, layout: KeyLayout, note: int) -> None:
        rect = layout.rect(note)
        low, high = self._export_range
        if is_black(note):
            colour = QColor("#17191f" if low <= note <= high else "#43474f")
            gap = 0.0
        else:
            colour = QColor("#f1f2f5" if low <= note <= high else "#b4b8c0")
            gap = 0.5
        if note in self._pressed or note in self._sustained or note in self._held.values():
            colour = QColor(theme.accent)
        painter.setPen(QPen(QColor("#17191f"), 1))
        if self.hasFocus() and note == self._chosen:
            painter.setPen(QPen(QColor(theme.accent), 3))
            gap = 2.0
        painter.setBrush(colour)
        # The top corners lie beyond the keys' upper edge, so only the lower ones are seen round.
        painter.save()
        painter.setClipRect(rect.adjusted(-1, 0, 1, 1), Qt.ClipOperation.IntersectClip)
        painter.drawRoundedRect(rect.adjusted(gap, -4, -gap, -gap), 2.5, 2.5)
        painter.restore()

    def _paint_names(self, painter: QPainter, layout: KeyLayout) -> None:
        font = scaled_font(self.font(), 0.75)
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        painter.setPen(QColor("#3a3f48"))
        for note in WHITE_NOTES:
            if note % 12 == 0:
                name = note_label(note, self._middle_c)
                rect = layout.rect(note).adjusted(-2, 0, 2, -4)
                if metrics.horizontalAdvance(name) <= rect.width():
                    flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom
                    painter.drawText(rect, flags, name)

    def _paint_roots(self, painter: QPainter, layout: KeyLayout) -> None:
        radius = min(0.28 * layout.white_width, 5.0)
        stacked: dict[int, int] = {}
        for note, colour in self._roots:
            if note not in NOTES:
                continue
            above = stacked.get(note, 0)
            stacked[note] = above + 1
            rect = layout.rect(note)
            lift = 8.0 if is_black(note) else 22.0
            centre = QPointF(rect.center().x(), rect.bottom() - lift - above * (2 * radius + 2))
            painter.setPen(QPen(QColor("#17191f" if not is_black(note) else "#f1f2f5"), 1))
            painter.setBrush(QColor(colour))
            painter.drawEllipse(centre, radius, radius)
