"""The sources on shelf, pad, piano and waveform: what gestures on them do, what they show."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog

from app.live.editor import Editor
from app.live.keys import KeyOrigin
from app.live.landscape import landscape
from app.live.source_library import fit_key
from app.models import edits
from app.models.pad import audible
from app.models.session import Session, Source
from app.studio import Studio
from app.theme import theme_of
from app.widgets.piano_keyboard import PianoKeyboard
from app.widgets.source_row import SourceView
from app.widgets.source_shelf import SourceShelf
from app.widgets.timbre_pad import PadSource, TimbrePad
from app.widgets.waveform_view import WaveformView

FIELD_MS = 40
"""Between two paintings of the pad's field while a source is dragged."""
AUDITION_VELOCITY = 110
FIT_STEPS = 5
"""Steps of a close fit, about half a second: more bring the recording nearer, and no other note."""
LONGEST_AUDITION_S = 3.0
"""How long a recording is played when it is asked for."""


class SourceControl(QObject):
    """Joins the document's sources to the widgets that show them.

    *Thread:* GUI.
    """

    def __init__(
        self,
        studio: Studio,
        editor: Editor,
        shelf: SourceShelf,
        pad: TimbrePad,
        piano: PianoKeyboard,
        wave: WaveformView,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._studio = studio
        self._editor = editor
        self._shelf = shelf
        self._pad = pad
        self._piano = piano
        self._learning: str | None = None
        self._field = QTimer(self, singleShot=True, interval=FIELD_MS)
        self._field.timeout.connect(self.paint_field)
        self._audition_end = QTimer(self, singleShot=True)
        self._audition_end.timeout.connect(self._end_audition)
        studio.book.changed.connect(self._book_changed)
        studio.book.fitting_changed.connect(lambda: shelf.update_rows(self._views()))
        studio.importer.added.connect(self.select)
        studio.keys.struck.connect(self._take_root)
        studio.document.subscribe_start(self._start_anew)
        self._connect_shelf()
        pad.source_moved.connect(self._move)
        pad.source_released.connect(lambda _id: editor.end_gesture())
        pad.source_selected.connect(self.select)
        pad.source_delete_requested.connect(self._remove)
        pad.files_dropped.connect(lambda files, x, y: studio.importer.add(files, (x, y)))
        wave.range_changed.connect(self._trim)
        wave.range_released.connect(editor.end_gesture)

    @property
    def is_settled(self) -> bool:
        """Whether the pad's field shows what there is."""
        return not self._field.isActive()

    def show_sources(self) -> None:
        """Show the sources as they are now."""
        sources = self._editor.session.sources
        if self._source(self._learning) is None:
            self._learning = None
        heard = {source.id for source in audible(sources)}
        self._shelf.set_sources(self._views())
        self._pad.set_sources(
            [
                PadSource(
                    source_id=source.id, name=source.name, colour=source.colour,
                    x=source.x, y=source.y, is_audible=source.id in heard,
                )
                for source in sources
            ]
        )  # fmt: skip
        self._show_selected()
        self._show_roots()
        self._field.start()

    def select(self, source_id: str) -> None:
        """Look at a source."""
        self._studio.sound.choose(source_id)
        self._show_selected()

    def stop_fit(self) -> None:
        """Take back the fit that is under way."""
        fitting = self._studio.book.fitting
        if fitting is None:
            return

        def take_back(session: Session) -> Session:
            for source in session.sources:
                if fit_key(source) == fitting.key:
                    session = edits.set_fit(session, source.id, 0)
            return session

        self._editor.edit(f"Take back the fit of {fitting.name}", take_back)

    def paint_field(self) -> None:
        """Paint what lies behind the sources."""
        sources = self._editor.session.sources
        is_dark = theme_of(self._pad.palette()).is_dark
        self._pad.set_field(landscape(sources, self._studio.book, is_dark=is_dark))

    def _connect_shelf(self) -> None:
        shelf, edit = self._shelf, self._editor.edit
        shelf.files_dropped.connect(self._studio.importer.add)
        shelf.selected.connect(self.select)
        shelf.name_changed.connect(
            lambda i, name: edit(f"Rename to {name}", lambda s: edits.rename_source(s, i, name))
        )
        shelf.colour_requested.connect(self._ask_colour)
        shelf.root_changed.connect(
            lambda i, root: edit("Set the root", lambda s: edits.set_root(s, i, root))
        )
        shelf.root_reset.connect(
            lambda i: edit("Detect the root", lambda s: edits.set_root(s, i, None))
        )
        shelf.root_learn_requested.connect(self._learn_root)
        shelf.octave_shifted.connect(self._shift_octave)
        shelf.fit_changed.connect(lambda i, on: self._set_fit(i, is_wanted=on))
        shelf.muted_changed.connect(
            lambda i, on: edit("Mute" if on else "Unmute", lambda s: edits.set_muted(s, i, on))
        )
        shelf.soloed_changed.connect(
            lambda i, on: edit("Solo" if on else "Unsolo", lambda s: edits.set_soloed(s, i, on))
        )
        shelf.delete_requested.connect(self._remove)
        shelf.duplicate_requested.connect(
            lambda i: edit("Duplicate", lambda s: edits.duplicate_source(s, i))
        )
        shelf.audition_requested.connect(self._audition)
        shelf.moved.connect(
            lambda i, place: edit("Reorder", lambda s: edits.reorder_source(s, i, place))
        )

    def _source(self, source_id: str | None) -> Source | None:
        return next((s for s in self._editor.session.sources if s.id == source_id), None)

    def _name(self, source_id: str) -> str:
        source = self._source(source_id)
        return "" if source is None else source.name

    def _show_selected(self) -> None:
        self._pad.set_selected(self._studio.sound.chosen)
        self._shelf.set_selected(self._studio.sound.chosen)

    def _start_anew(self) -> None:
        """Another session is there: nothing waits for a key or plays any more."""
        self._learning = None
        self._end_audition()
        self._show_selected()

    def _view(self, source: Source) -> SourceView:
        hearing = self._studio.book.hearing(source)
        root = source.root if source.root is not None or hearing is None else hearing.root_pitch
        return SourceView(
            source_id=source.id,
            name=source.name,
            colour=source.colour,
            root_pitch=root,
            confidence=1.0 if hearing is None else hearing.confidence,
            is_root_set=source.root is not None,
            thumbnail=None if hearing is None else hearing.thumbnail,
            is_muted=source.muted,
            is_soloed=source.soloed,
            is_fit_wanted=source.fit_steps > 0,
            fit_note=self._fit_note(source),
        )

    def _fit_note(self, source: Source) -> str:
        book, fitting = self._studio.book, self._studio.book.fitting
        if book.has_fit_failed(source):
            return "not fitted"
        if not book.is_fit_awaited(source):
            return ""
        if fitting is None or fitting.key != fit_key(source):
            return "fitting soon"
        return f"fitting {fitting.done / fitting.total:.0%}"

    def _views(self) -> list[SourceView]:
        return [self._view(source) for source in self._editor.session.sources]

    def _book_changed(self) -> None:
        self._shelf.set_sources(self._views())
        self._show_roots()
        self._field.start()

    def _show_roots(self) -> None:
        roots = []
        for source in audible(self._editor.session.sources):
            hearing = self._studio.book.hearing(source)
            if hearing is not None:
                roots.append((round(hearing.root_pitch), source.colour))
        self._piano.set_roots(roots)

    def _move(self, source_id: str, x: float, y: float) -> None:
        self._editor.edit(
            f"Move {self._name(source_id)}",
            lambda s: edits.move_source(s, source_id, x, y),
            f"place {source_id}",
        )

    def _remove(self, source_id: str) -> None:
        self._editor.edit(
            f"Remove {self._name(source_id)}", lambda s: edits.remove_source(s, source_id)
        )

    def _trim(self, start_s: float, end_s: float) -> None:
        source = self._studio.sound.compared
        if source is None:
            return
        length_s = self._studio.document.clips[source.audio_hash].length_s
        end = None if end_s >= length_s - 1e-4 else end_s

        def trim(session: Session) -> Session:
            return edits.trim_source(session, source.id, start_s, end)

        self._editor.edit(f"Trim {source.name}", trim, f"trim {source.id}")

    def _shift_octave(self, source_id: str, octaves: int) -> None:
        source = self._source(source_id)
        hearing = None if source is None else self._studio.book.hearing(source)
        if hearing is not None:
            self._editor.edit(
                "Root an octave up" if octaves > 0 else "Root an octave down",
                lambda s: edits.shift_octave(s, source_id, octaves, detected=hearing.root_pitch),
            )

    def _set_fit(self, source_id: str, *, is_wanted: bool) -> None:
        name = self._name(source_id)
        self._editor.edit(
            f"Fit {name} closely" if is_wanted else f"Take back the fit of {name}",
            lambda s: edits.set_fit(s, source_id, FIT_STEPS if is_wanted else 0),
        )

    def _ask_colour(self, source_id: str) -> None:
        source = self._source(source_id)
        if source is None:
            return

        def recolour(colour: QColor) -> None:
            self._editor.edit(
                "Change a colour", lambda s: edits.recolour_source(s, source_id, colour.name())
            )

        dialog = QColorDialog(QColor(source.colour), self._shelf)
        dialog.colorSelected.connect(recolour)
        dialog.open()

    def _learn_root(self, source_id: str) -> None:
        self._learning = source_id
        self._studio.messages.info(f"Play the key that is the root of '{self._name(source_id)}'.")

    def _take_root(self, note: int, _velocity: int) -> None:
        if self._learning is not None:
            learning, self._learning = self._learning, None
            self._editor.edit("Set the root", lambda s: edits.set_root(s, learning, float(note)))

    def _audition(self, source_id: str) -> None:
        source = self._source(source_id)
        hearing = None if source is None else self._studio.book.hearing(source)
        if source is None or hearing is None:
            return
        self._end_audition()
        self._studio.sound.audition(source_id)
        note = min(max(round(hearing.root_pitch), 0), 127)
        self._studio.keys.press(KeyOrigin.PROGRAM, note, AUDITION_VELOCITY)
        length_s = min(len(hearing.samples) / hearing.sample_rate, LONGEST_AUDITION_S)
        self._audition_end.start(round(1000 * length_s))

    def _end_audition(self) -> None:
        self._audition_end.stop()
        self._studio.keys.let_go(KeyOrigin.PROGRAM)
        self._studio.sound.audition(None)
