"""The sources: a row each, what it shows, and what is done with it there."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog, QToolButton, QWidget

from app.live.editor import Editor
from app.live.importer import Importer
from app.live.keys import KeyOrigin, Keys
from app.live.messages import Messages
from app.live.preview import Preview
from app.live.settings_store import SettingsStore
from app.live.source_library import SourceLibrary, fit_key
from app.models import edits
from app.models.document import Document
from app.models.session import Session, Source
from app.panels.layout import heading, row, stack
from app.widgets.source_row import SourceView
from app.widgets.source_shelf import SourceShelf

AUDITION_VELOCITY = 110
FIT_STEPS = 5
"""Steps of a close fit, about half a second: more bring the recording nearer, and no other note."""
LONGEST_AUDITION_S = 3.0
"""How long a recording is played when it is asked for."""


class SourcesPanel(QWidget):
    """The shelf, and the switch that takes its sources for notes of one instrument.

    *Thread:* GUI.
    """

    def __init__(
        self,
        document: Document,
        editor: Editor,
        library: SourceLibrary,
        importer: Importer,
        preview: Preview,
        keys: Keys,
        messages: Messages,
        settings: SettingsStore,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._editor = editor
        self._library = library
        self._preview = preview
        self._keys = keys
        self._messages = messages
        self._settings = settings
        self._learning: str | None = None
        self._audition_end = QTimer(self, singleShot=True)
        self._audition_end.timeout.connect(self._end_audition)
        self.shelf = SourceShelf()
        self.one_instrument = QToolButton()
        stack(self, row(heading("Sources"), self.one_instrument), self.shelf)
        self._connect_shelf(importer)
        importer.added.connect(preview.choose)
        keys.struck.connect(self._take_root)
        library.changed.connect(self._show_sources)
        library.fitting_changed.connect(lambda: self.shelf.update_rows(self._views()))
        preview.chosen_changed.connect(self._show_chosen)
        document.subscribe_start(self._start_anew)
        settings.changed.connect(self._show_settings)
        self._show_settings()
        editor.follow(self._show)

    def stop_fit(self) -> None:
        """Take back the fit that is under way."""
        fitting = self._library.fitting
        if fitting is None:
            return

        def take_back(session: Session) -> Session:
            for source in session.sources:
                if fit_key(source) == fitting.key:
                    session = edits.set_fit(session, source.id, 0)
            return session

        self._editor.edit(f"Take back the fit of {fitting.name}", take_back)

    def _show(self, before: Session | None, after: Session) -> None:
        if before is None or before.sources != after.sources:
            if self._source(self._learning) is None:
                self._learning = None
            self._show_sources()
            self._show_chosen()

    def _show_sources(self) -> None:
        self.shelf.set_sources(self._views())

    def _show_chosen(self) -> None:
        self.shelf.set_selected(self._preview.chosen)

    def _show_settings(self) -> None:
        self.shelf.set_middle_c(self._settings.value.middle_c)

    def _start_anew(self) -> None:
        """Another session is there: nothing waits for a key or plays any more."""
        self._learning = None
        self._end_audition()

    def _connect_shelf(self, importer: Importer) -> None:
        shelf, edit = self.shelf, self._editor.edit
        shelf.files_dropped.connect(importer.add)
        shelf.selected.connect(self._preview.choose)
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

    def _view(self, source: Source) -> SourceView:
        heard = self._library.first_listen(source)
        root = source.root if source.root is not None or heard is None else heard.root_pitch
        return SourceView(
            source_id=source.id,
            name=source.name,
            colour=source.colour,
            root_pitch=root,
            confidence=1.0 if heard is None else heard.confidence,
            root_note="" if heard is None or heard.is_root_heard else heard.root_origin.label,
            is_root_set=source.root is not None,
            thumbnail=None if heard is None else heard.thumbnail,
            is_muted=source.muted,
            is_soloed=source.soloed,
            is_fit_wanted=source.fit_steps > 0,
            fit_note=self._fit_note(source),
        )

    def _fit_note(self, source: Source) -> str:
        library, fitting = self._library, self._library.fitting
        if library.has_fit_failed(source):
            return "not fitted"
        if not library.is_fit_awaited(source):
            return ""
        if fitting is None or fitting.key != fit_key(source):
            return "fitting soon"
        return f"fitting {fitting.done / fitting.total:.0%}"

    def _views(self) -> list[SourceView]:
        return [self._view(source) for source in self._editor.session.sources]

    def _remove(self, source_id: str) -> None:
        self._editor.edit(
            f"Remove {self._name(source_id)}", lambda s: edits.remove_source(s, source_id)
        )

    def _shift_octave(self, source_id: str, octaves: int) -> None:
        source = self._source(source_id)
        heard = None if source is None else self._library.first_listen(source)
        if heard is not None:
            self._editor.edit(
                "Root an octave up" if octaves > 0 else "Root an octave down",
                lambda s: edits.shift_octave(s, source_id, octaves, detected=heard.root_pitch),
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

        dialog = QColorDialog(QColor(source.colour), self.shelf)
        dialog.colorSelected.connect(recolour)
        dialog.open()

    def _learn_root(self, source_id: str) -> None:
        self._learning = source_id
        self._messages.info(f"Play the key that is the root of '{self._name(source_id)}'.")

    def _take_root(self, note: int, _velocity: int) -> None:
        if self._learning is not None:
            learning, self._learning = self._learning, None
            self._editor.edit("Set the root", lambda s: edits.set_root(s, learning, float(note)))

    def _audition(self, source_id: str) -> None:
        source = self._source(source_id)
        heard = None if source is None else self._library.first_listen(source)
        if source is None or heard is None:
            return
        self._end_audition()
        self._preview.audition(source_id)
        note = min(max(round(heard.root_pitch), 0), 127)
        self._keys.press(KeyOrigin.PROGRAM, note, AUDITION_VELOCITY)
        length_s = min(len(heard.samples) / heard.sample_rate, LONGEST_AUDITION_S)
        self._audition_end.start(round(1000 * length_s))

    def _end_audition(self) -> None:
        self._audition_end.stop()
        self._keys.let_go(KeyOrigin.PROGRAM)
        self._preview.audition(None)
