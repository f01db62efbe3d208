"""The computer keyboard as a piano: A is C, W is C sharp, and so on along two rows."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QKeySequenceEdit,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
)
from typing_extensions import override

LOWEST_OCTAVE = 0
"""Octave whose C is MIDI note 0."""
HIGHEST_OCTAVE = 9
VELOCITY_STEP = 16

_KEYS: tuple[tuple[int, Qt.Key], ...] = (
    (30, Qt.Key.Key_A),
    (17, Qt.Key.Key_W),
    (31, Qt.Key.Key_S),
    (18, Qt.Key.Key_E),
    (32, Qt.Key.Key_D),
    (33, Qt.Key.Key_F),
    (20, Qt.Key.Key_T),
    (34, Qt.Key.Key_G),
    (21, Qt.Key.Key_Y),
    (35, Qt.Key.Key_H),
    (22, Qt.Key.Key_U),
    (36, Qt.Key.Key_J),
    (37, Qt.Key.Key_K),
    (24, Qt.Key.Key_O),
    (38, Qt.Key.Key_L),
    (25, Qt.Key.Key_P),
    (39, Qt.Key.Key_Semicolon),
    (40, Qt.Key.Key_Apostrophe),
)
"""Scan code (set 1, as evdev has it) and US letter of each piano key, from C upwards."""
_OCTAVE_DOWN, _OCTAVE_UP, _SOFTER, _LOUDER = "octave-", "octave+", "velocity-", "velocity+"
_CONTROLS: tuple[tuple[int, Qt.Key, str], ...] = (
    (44, Qt.Key.Key_Z, _OCTAVE_DOWN),
    (45, Qt.Key.Key_X, _OCTAVE_UP),
    (46, Qt.Key.Key_C, _SOFTER),
    (47, Qt.Key.Key_V, _LOUDER),
)
_BY_SCAN_CODE: dict[int, int | str] = {
    **{scan: semitone for semitone, (scan, _) in enumerate(_KEYS)},
    **{scan: control for scan, _, control in _CONTROLS},
}
_BY_LETTER: dict[int, int | str] = {
    **{letter.value: semitone for semitone, (_, letter) in enumerate(_KEYS)},
    **{letter.value: control for _, letter, control in _CONTROLS},
}
_SCAN_CODE_OFFSETS = {"xcb": 8, "wayland": 8, "windows": 0}
"""What a platform adds to the codes of set 1; on others the letters decide."""
_TYPING_WIDGETS = (
    QLineEdit,
    QTextEdit,
    QPlainTextEdit,
    QAbstractSpinBox,
    QComboBox,
    QKeySequenceEdit,
)
_MODIFIERS = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
    | Qt.KeyboardModifier.ShiftModifier
)


class ComputerKeyboard(QObject):
    """An event filter for the application that turns letter keys into notes.

    Keys are taken by their place, whatever the layout, where the platform tells it. Text fields,
    menus, dialogs and shortcuts keep their keys. Install with
    ``application.installEventFilter(keyboard)``.

    *Signals:*
        note_on(int, int): MIDI note and velocity 1–127; each is followed by one ``note_off``.
        note_off(int): MIDI note.
        octave_changed(int): octave of the A key, 0–9; its C is MIDI note 12 times that.
        velocity_changed(int): 1–127.

    *Thread:* GUI.
    """

    note_on = Signal(int, int)
    note_off = Signal(int)
    octave_changed = Signal(int)
    velocity_changed = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._octave = 5
        self._velocity = 100
        self._scan_code_offset = _SCAN_CODE_OFFSETS.get(QGuiApplication.platformName())
        self._held: dict[int, int] = {}  # semitone of the piano key → note it started

    @property
    def octave(self) -> int:
        """Octave of the A key, 0–9; 5 starts at MIDI note 60."""
        return self._octave

    @property
    def velocity(self) -> int:
        """Velocity of the notes played, 1–127."""
        return self._velocity

    def set_octave(self, octave: int) -> None:
        """Move the keys to another octave; notes that sound stay."""
        octave = min(max(octave, LOWEST_OCTAVE), HIGHEST_OCTAVE)
        if octave != self._octave:
            self._octave = octave
            self.octave_changed.emit(octave)

    def set_velocity(self, velocity: int) -> None:
        """Play the next notes softer or louder."""
        velocity = min(max(velocity, 1), 127)
        if velocity != self._velocity:
            self._velocity = velocity
            self.velocity_changed.emit(velocity)

    def release_all(self) -> None:
        """Let go of every key."""
        held, self._held = self._held, {}
        for note in sorted(set(held.values())):
            self.note_off.emit(note)

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind in (QEvent.Type.WindowDeactivate, QEvent.Type.ApplicationDeactivate):
            self.release_all()
        elif isinstance(event, QKeyEvent):
            if kind == QEvent.Type.KeyRelease:
                return self._release(event)
            if self._is_free(event):
                if kind == QEvent.Type.KeyPress:
                    return self._press(event)
                if kind == QEvent.Type.ShortcutOverride and self._meaning(event) is not None:
                    event.accept()
                    return True
        return False

    def _is_free(self, event: QKeyEvent) -> bool:
        """Whether nobody else has a claim on a key press."""
        return (
            not event.modifiers() & _MODIFIERS
            and QApplication.activePopupWidget() is None
            and QApplication.activeModalWidget() is None
            and not isinstance(QApplication.focusWidget(), _TYPING_WIDGETS)
        )

    def _meaning(self, event: QKeyEvent) -> int | str | None:
        """Semitone above the octave's C, or a control, or None for other keys."""
        scan_code = event.nativeScanCode()
        if self._scan_code_offset is not None and scan_code > 1:
            return _BY_SCAN_CODE.get(scan_code - self._scan_code_offset)
        return _BY_LETTER.get(event.key())

    def _press(self, event: QKeyEvent) -> bool:
        meaning = self._meaning(event)
        if meaning is None:
            return False
        if event.isAutoRepeat():
            return True
        if isinstance(meaning, int):
            note = 12 * self._octave + meaning
            if meaning not in self._held and note <= 127:
                if note in self._held.values():  # struck from another octave
                    self.note_off.emit(note)
                self._held[meaning] = note
                self.note_on.emit(note, self._velocity)
        elif meaning == _OCTAVE_DOWN:
            self.set_octave(self._octave - 1)
        elif meaning == _OCTAVE_UP:
            self.set_octave(self._octave + 1)
        elif meaning == _SOFTER:
            self.set_velocity(self._velocity - VELOCITY_STEP)
        else:
            self.set_velocity(self._velocity + VELOCITY_STEP)
        return True

    def _release(self, event: QKeyEvent) -> bool:
        meaning = self._meaning(event)
        if not isinstance(meaning, int) or meaning not in self._held:
            return False
        if not event.isAutoRepeat():
            note = self._held.pop(meaning)
            if note not in self._held.values():
                self.note_off.emit(note)
        return True
