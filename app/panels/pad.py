"""The timbre pad: sources that are moved on it, and the cursor that goes between them.

The cursor is moved by hand, by MIDI controllers and along a recorded path.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QEvent, QTimer
from PySide6.QtWidgets import QWidget
from typing_extensions import override

from app.live.editor import Editor
from app.live.importer import Importer
from app.live.landscape import landscape
from app.live.preview import Preview
from app.live.snapshot_rendering import SnapshotRendering
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.pad import audible
from app.models.pad_path import PadPath
from app.models.session import Session
from app.panels.layout import heading, row, stack
from app.panels.path_bar import PathBar
from app.theme import theme_of
from app.widgets.gestures import Settling
from app.widgets.timbre_pad import PadSource, TimbrePad

FIELD_MS = 40
"""Between two paintings of the field while a source is dragged."""
AT_REST = "Notes of one instrument: the pad does not morph"
"""Said where the cursor would be moved."""


class PadPanel(QWidget):
    """The pad, and above it the bar that records and plays paths.

    *Thread:* GUI.
    """

    def __init__(
        self,
        editor: Editor,
        library: SourceLibrary,
        importer: Importer,
        preview: Preview,
        snapshots: SnapshotRendering,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._editor = editor
        self._library = library
        self._preview = preview
        self._snapshots = snapshots
        self.pad = TimbrePad()
        self.paths = PathBar()
        stack(self, row(heading("Timbre pad"), self.paths), self.pad)
        self._settled = Settling(self)
        self._settled.timeout.connect(editor.end_gesture)
        self._field = QTimer(self, singleShot=True, interval=FIELD_MS)
        self._field.timeout.connect(self._paint_field)
        library.changed.connect(self._field.start)
        preview.mix_changed.connect(lambda: self.pad.set_weights(preview.weights))
        preview.chosen_changed.connect(self._show_chosen)
        self._connect_pad(importer)
        self.paths.path_changed.connect(self._set_path)
        self.paths.place_changed.connect(self._play_place)
        self.paths.stopped.connect(self._stopped)
        self.paths.recording_changed.connect(lambda _is_on: self._show_path())
        editor.follow(self._show)

    @property
    def is_settled(self) -> bool:
        """Whether the field shows what there is."""
        return not self._field.isActive()

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

    def stop_path(self) -> None:
        """End playing and recording."""
        self.paths.stop()

    @override
    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_field()

    def _connect_pad(self, importer: Importer) -> None:
        pad, end = self.pad, self._editor.end_gesture
        pad.cursor_moved.connect(self._move)
        pad.cursor_released.connect(end)
        pad.source_moved.connect(self._move_source)
        pad.source_released.connect(lambda _id: end())
        pad.source_selected.connect(self._preview.choose)
        pad.source_delete_requested.connect(self._remove_source)
        pad.files_dropped.connect(lambda files, x, y: importer.add(files, (x, y)))
        pad.snapshot_dropped.connect(self._snapshots.add)

    def _show(self, before: Session | None, after: Session) -> None:
        if before is None or before.sources != after.sources:
            self._show_sources()
        if before is None or (before.x, before.y) != (after.x, after.y):
            self._show_cursor()
        if before is None or before.path != after.path:
            self.paths.set_path(after.path)
            self._show_path()
        if before is None or before.one_instrument != after.one_instrument:
            reason = AT_REST if self._is_at_rest else ""
            self.pad.set_frozen(reason)
            self.paths.set_frozen(reason)

    def _show_sources(self) -> None:
        sources = self._editor.session.sources
        heard = {source.id for source in audible(sources)}
        self.pad.set_sources(
            [
                PadSource(
                    source_id=source.id,
                    name=source.name,
                    colour=source.colour,
                    x=source.x,
                    y=source.y,
                    is_audible=source.id in heard,
                )
                for source in sources
            ]
        )
        self._show_chosen()
        self._field.start()

    def _show_chosen(self) -> None:
        self.pad.set_selected(self._preview.chosen)

    def _show_cursor(self) -> None:
        self.pad.set_cursor(*self._preview.place)

    def _show_path(self) -> None:
        self.pad.set_path(self.paths.shown_places, is_recording=self.paths.is_recording)

    def _paint_field(self) -> None:
        is_dark = theme_of(self.palette()).is_dark
        sources = self._editor.session.sources
        self.pad.set_field(landscape(sources, self._library, is_dark=is_dark))

    @property
    def _is_at_rest(self) -> bool:
        return self._editor.session.one_instrument

    def _move(self, x: float, y: float) -> None:
        self._follow(x, y)
        self._editor.edit("Move the cursor", lambda s: edits.move_cursor(s, x, y), "cursor")

    def _follow(self, x: float, y: float) -> None:
        """The cursor moves: that ends a path that plays and goes into one that is recorded."""
        self.paths.play.setChecked(False)
        self.paths.follow(x, y)
        if self.paths.is_recording:
            self._show_path()

    def _move_source(self, source_id: str, x: float, y: float) -> None:
        self._editor.edit(
            f"Move {self._name(source_id)}",
            lambda s: edits.move_source(s, source_id, x, y),
            f"place {source_id}",
        )

    def _remove_source(self, source_id: str) -> None:
        self._editor.edit(
            f"Remove {self._name(source_id)}", lambda s: edits.remove_source(s, source_id)
        )

    def _name(self, source_id: str) -> str:
        sources = self._editor.session.sources
        return next((source.name for source in sources if source.id == source_id), "")

    def _set_path(self, path: PadPath | None, what: str) -> None:
        def change(session: Session) -> Session:
            return replace(session, path=path)

        self._editor.edit(what, change, "path" if what.startswith("Change") else None)

    def _play_place(self, x: float, y: float) -> None:
        self._preview.move_live((x, y))
        self._show_cursor()

    def _stopped(self) -> None:
        self._preview.move_live(None)
        self._show_cursor()
