"""The cursor of the pad: moved by hand, by MIDI controllers, along a recorded path."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, QTimer

from app.live.editor import Editor
from app.live.preview import Preview
from app.models import edits
from app.models.pad_path import PadPath
from app.models.session import Session
from app.panels.path_bar import PathBar
from app.widgets.timbre_pad import TimbrePad

SETTLE_MS = 400
"""After the last MIDI controller the move of the cursor is one step."""
AT_REST = "Notes of one instrument: the pad does not morph"
"""Said where the cursor would be moved."""


class CursorControl(QObject):
    """Joins the document's cursor and path to pad and path bar.

    *Thread:* GUI.
    """

    def __init__(
        self,
        editor: Editor,
        sound: Preview,
        pad: TimbrePad,
        paths: PathBar,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._editor = editor
        self._sound = sound
        self._pad = pad
        self._paths = paths
        self._settled = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settled.timeout.connect(editor.end_gesture)
        sound.mix_changed.connect(lambda: pad.set_weights(sound.weights))
        pad.cursor_moved.connect(self._move)
        pad.cursor_released.connect(editor.end_gesture)
        paths.path_changed.connect(self._set_path)
        paths.place_changed.connect(self._play_place)
        paths.stopped.connect(self._stopped)
        paths.recording_changed.connect(lambda _is_on: self._show_path())

    def show_cursor(self) -> None:
        """Show the cursor where it is."""
        self._pad.set_cursor(*self._sound.place)

    def show_path(self) -> None:
        """Show the path as it is."""
        self._paths.set_path(self._editor.session.path)
        self._show_path()

    def show_rest(self) -> None:
        """Show whether the cursor does anything: among notes of one instrument it does not."""
        reason = AT_REST if self._is_at_rest else ""
        self._pad.set_frozen(reason)
        self._paths.set_frozen(reason)

    def centre(self) -> None:
        """Bring the cursor to the middle."""
        self._editor.edit("Centre the cursor", lambda s: edits.move_cursor(s, 0.5, 0.5))

    def move_by_controller(self, x: float | None, y: float | None) -> None:
        """A MIDI controller moves the cursor along one axis, 0–1; the other is None."""
        if self._is_at_rest:
            return
        session = self._editor.session
        place = (session.x if x is None else x, session.y if y is None else y)
        self._follow(*place)
        self._editor.edit("Move the cursor", lambda s: edits.move_cursor(s, *place), "controller")
        self._settled.start()

    @property
    def _is_at_rest(self) -> bool:
        return self._editor.session.one_instrument

    def _move(self, x: float, y: float) -> None:
        self._follow(x, y)
        self._editor.edit("Move the cursor", lambda s: edits.move_cursor(s, x, y), "cursor")

    def _follow(self, x: float, y: float) -> None:
        self._paths.play.setChecked(False)
        self._paths.follow(x, y)
        if self._paths.is_recording:
            self._show_path()

    def _set_path(self, path: PadPath | None, what: str) -> None:
        def change(session: Session) -> Session:
            return replace(session, path=path)

        self._editor.edit(what, change, "path" if what.startswith("Change") else None)

    def _play_place(self, x: float, y: float) -> None:
        self._sound.move_live((x, y))
        self.show_cursor()

    def _stopped(self) -> None:
        self._sound.move_live(None)
        self.show_cursor()

    def _show_path(self) -> None:
        self._pad.set_path(self._paths.shown_places, is_recording=self._paths.is_recording)
