"""The piano: played by the mouse and the computer's keys, with what is exported above it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from PySide6.QtWidgets import QApplication, QWidget

from app.keyboard import HIGHEST_NOTE, LOWEST_NOTE
from app.live.editor import Editor
from app.live.keys import KeyOrigin, Keys
from app.live.preview import Preview
from app.live.settings_store import SettingsStore
from app.live.source_library import SourceLibrary
from app.models.pad import audible
from app.models.session import Session
from app.panels.layout import stack
from app.theme import GRID
from app.widgets.computer_keyboard import ComputerKeyboard
from app.widgets.piano_keyboard import PianoKeyboard
from core.plan import NoteSpan


class PianoPanel(QWidget):
    """The piano, and the letters that play it too.

    *Thread:* GUI.

    Args:
        letters: Takes the letter keys of the whole program until :meth:`stop`.
    """

    def __init__(
        self,
        editor: Editor,
        library: SourceLibrary,
        preview: Preview,
        keys: Keys,
        letters: ComputerKeyboard,
        settings: SettingsStore,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._editor = editor
        self._library = library
        self._preview = preview
        self._settings = settings
        self._letters = letters
        self.piano = PianoKeyboard()
        self.piano.setFixedHeight(13 * GRID)
        stack(self, self.piano)
        for source, origin in ((self.piano, KeyOrigin.MOUSE), (letters, KeyOrigin.LETTERS)):
            source.note_on.connect(partial(keys.press, origin))
            source.note_off.connect(partial(keys.release, origin))
        keys.changed.connect(lambda: self.piano.set_pressed(keys.held))
        preview.states_changed.connect(lambda: self.piano.set_key_states(preview.key_states()))
        library.changed.connect(self._show_roots)
        self.piano.export_range_changed.connect(self.set_range)
        self.piano.export_range_released.connect(editor.end_gesture)
        settings.changed.connect(self._show_settings)
        self._show_settings()
        editor.follow(self._show)
        _application().installEventFilter(letters)

    def set_range(self, low: int, high: int) -> None:
        """Export the keys from one note to another."""

        def change(session: Session) -> Session:
            span = replace(session.export.span, low=low, high=high)
            return replace(session, export=replace(session.export, span=span))

        self._editor.edit("Change the export range", change, "export range")

    def release_all(self) -> None:
        """Let go of all keys that mouse and letters hold."""
        self._letters.release_all()
        self.piano.release_all()

    def stop(self) -> None:
        """Leave the letter keys alone from now on."""
        _application().removeEventFilter(self._letters)

    def _show(self, before: Session | None, after: Session) -> None:
        if before is None or before.sources != after.sources:
            self._show_roots()
        if before is None or before.export != after.export:
            self._show_range(after.export.span)

    def _show_range(self, span: NoteSpan) -> None:
        low = min(max(span.low, LOWEST_NOTE), HIGHEST_NOTE)
        high = min(max(span.high, low), HIGHEST_NOTE)
        self.piano.set_export_range(low, high, span.step)

    def _show_roots(self) -> None:
        roots = []
        for source in audible(self._editor.session.sources):
            heard = self._library.first_listen(source)
            if heard is not None:
                roots.append((round(heard.root_pitch), source.colour))
        self.piano.set_roots(roots)

    def _show_settings(self) -> None:
        self.piano.set_middle_c(self._settings.value.middle_c)


def _application() -> QApplication:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    return application
