"""What goes in and what comes out: spectrograms and waveforms of the note looked at.

Shape legend: M mel bands, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QElapsedTimer, QTimer
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.background.task_runner import TaskRunner
from app.live.editor import Editor
from app.live.keys import Keys
from app.live.preview import Preview
from app.live.settings_store import SettingsStore
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.document import Document
from app.models.session import Session
from app.theme import GRID, scaled_font
from app.widgets.note_names import note_label
from app.widgets.spectrogram_view import SpectrogramView
from app.widgets.waveform_view import WaveformView
from core.inference.service import NoteReady

if TYPE_CHECKING:
    from app.note_mel import NoteMel
    from core.mel import MelConfig

LEAST_MS = 80
"""Between two pictures while the sound moves."""
PLAYHEAD_MS = 33
"""Between two places of the playhead."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Picture:
    """The spectrogram of a note."""

    ready: NoteReady
    mel: NDArray[np.float32]  # [M, F]
    config: MelConfig


class MelPainter:
    """Makes spectrograms on whatever thread; keeps the transform of the rate used last."""

    def __init__(self) -> None:
        self._mel: NoteMel | None = None

    def __call__(self, ready: NoteReady) -> _Picture:
        """Draw a rendered note."""
        from app.note_mel import NoteMel  # torch was loaded long before: a note was rendered

        if self._mel is None or self._mel.config.sample_rate != ready.sample_rate:
            self._mel = NoteMel(ready.sample_rate)
        mel = self._mel(ready.region.samples)
        return _Picture(ready=ready, mel=mel, config=self._mel.config)


class PicturesPanel(QWidget):
    """Spectrograms of source, result and difference; below them both waveforms.

    *Thread:* GUI.
    """

    def __init__(
        self,
        document: Document,
        editor: Editor,
        library: SourceLibrary,
        preview: Preview,
        keys: Keys,
        tasks: TaskRunner,
        settings: SettingsStore,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._editor = editor
        self._library = library
        self._preview = preview
        self._keys = keys
        self._tasks = tasks
        self._settings = settings
        self._paint = MelPainter()
        self._shown_clip: tuple[str, str] | None = None
        self._has_axes = False
        self._result: _Picture | None = None
        self._wanted: NoteReady | None = None
        self._is_painting = False
        self._clock = QElapsedTimer()  # since the last key was struck
        self._struck: int | None = None
        self._playhead = QTimer(self, interval=PLAYHEAD_MS)
        self._playhead.timeout.connect(self._move_playhead)
        self._late = QTimer(self, singleShot=True, interval=LEAST_MS)
        self._late.timeout.connect(self._draw)
        self.spectrograms = SpectrogramView()
        self.source_wave = WaveformView()
        self.source_wave.setAccessibleName("Waveform of the source")
        self.result_wave = WaveformView(can_trim=False)
        self.result_wave.setAccessibleName("Waveform of the result")
        self.result_wave.setToolTip("The note looked at, with its loop; wheel zooms")
        self.result_wave.set_hint("No note rendered yet")
        self._source_title = _title("Source")
        self._result_title = _title("Result")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID // 2)
        layout.addWidget(self.spectrograms, 1)
        for title, wave in (
            (self._source_title, self.source_wave),
            (self._result_title, self.result_wave),
        ):
            wave.setFixedHeight(5 * GRID)
            layout.addWidget(title)
            layout.addWidget(wave)
        preview.note_arrived.connect(self._note_arrived)
        preview.mix_changed.connect(self._late.start)
        preview.compared_changed.connect(self._late.start)
        library.changed.connect(self._late.start)
        keys.struck.connect(self._strike)
        self.source_wave.range_changed.connect(self._trim)
        self.source_wave.range_released.connect(editor.end_gesture)
        document.subscribe_start(self._clear)
        settings.changed.connect(self._show_settings)
        self._show_settings()

    @property
    def is_current(self) -> bool:
        """Whether the pictures show the note looked at."""
        shown = None if self._result is None else self._result.ready
        return shown is not None and shown is self._preview.note(self._preview.focus)

    def _strike(self, note: int, _velocity: int) -> None:
        """A key was played: its note is looked at, shown, and the playhead starts."""
        self._struck = note
        self._preview.strike(note)
        self._clock.start()
        self._playhead.start()
        self._draw()

    def _move_playhead(self) -> None:
        position_s = self._position_s()
        if position_s is None:
            self._playhead.stop()
        self.spectrograms.set_playhead(position_s)
        self.result_wave.set_playhead(position_s)

    def _position_s(self) -> float | None:
        """Where in the note playing is, seconds; None when it is over."""
        elapsed_s = self._clock.elapsed() / 1000
        if self._result is None or self._struck not in self._keys.held:
            return None
        ready = self._result.ready
        loop = ready.region.loop
        length_s = ready.region.samples.shape[1] / ready.sample_rate
        if loop is not None and elapsed_s * ready.sample_rate >= loop.end:
            return (
                loop.start + (elapsed_s * ready.sample_rate - loop.end) % loop.length
            ) / ready.sample_rate
        return elapsed_s if elapsed_s < length_s else None

    def _clear(self) -> None:
        """Another session is there: no picture of the one before stays."""
        self._result = self._wanted = self._shown_clip = None
        self._clear_result()
        self._draw()

    def _clear_result(self) -> None:
        self.result_wave.set_samples(None, 44100)
        self._result_title.setText("Result")

    def _show_settings(self) -> None:
        self.spectrograms.set_middle_c(self._middle_c)
        self._draw()

    @property
    def _middle_c(self) -> int:
        return self._settings.value.middle_c

    def _trim(self, start_s: float, end_s: float) -> None:
        source = self._preview.compared
        if source is None:
            return
        length_s = self._document.clips[source.audio_hash].length_s
        end = None if end_s >= length_s - 1e-4 else end_s

        def trim(session: Session) -> Session:
            return edits.trim_source(session, source.id, start_s, end)

        self._editor.edit(f"Trim {source.name}", trim, f"trim {source.id}")

    def _note_arrived(self, note: int) -> None:
        if note == self._preview.focus and not self._late.isActive():
            self._late.start()

    def _draw(self) -> None:
        self._show_source()
        ready = self._preview.note(self._preview.focus)
        if ready is None or (self._result is not None and self._result.ready is ready):
            self._show_mels()
        else:
            self._wanted = ready
            self._paint_next()

    def _paint_next(self) -> None:
        if self._wanted is not None and not self._is_painting:
            ready, self._wanted = self._wanted, None
            self._is_painting = True
            self._tasks.run(partial(self._paint, ready), self._painted, self._not_painted)

    def _painted(self, picture: _Picture) -> None:
        self._is_painting = False
        self._result = picture
        if not self._has_axes:
            self.spectrograms.set_mel_config(picture.config)
            self._has_axes = True
        region = picture.ready.region
        self.result_wave.set_samples(region.samples, picture.ready.sample_rate)
        if region.loop is not None:
            rate = picture.ready.sample_rate
            self.result_wave.set_loop((region.loop.start / rate, region.loop.end / rate))
        loop = "looped" if region.loop is not None else "no loop: it decays"
        name = note_label(picture.ready.note, self._middle_c)
        self._result_title.setText(f"Result   {name} ({picture.ready.note}), {loop}")
        self._show_mels()
        self._paint_next()

    def _not_painted(self, _error: Exception) -> None:
        self._is_painting = False

    def _show_source(self) -> None:
        source = self._preview.compared
        if source is None:
            self.source_wave.set_samples(None, 44100)
            self._source_title.setText("Source")
            self._shown_clip = None
            return
        clip = self._document.clips[source.audio_hash]
        if self._shown_clip != (source.id, source.audio_hash):
            self.source_wave.set_samples(clip.samples, clip.sample_rate)
            self._shown_clip = (source.id, source.audio_hash)
        self.source_wave.set_colour(source.colour)
        self.source_wave.set_range(source.start_s, source.end_s)
        heard = self._library.first_listen(source)
        onset_s = None if heard is None else source.start_s + heard.onset_s
        self.source_wave.set_onset(onset_s)
        self._source_title.setText(f"Source   {source.name}")

    def _show_mels(self) -> None:
        if not self._has_axes:
            return
        source = self._preview.compared
        timbre = None if source is None else self._library.timbre(source)
        is_silent = self._preview.sound is None
        result = None if self._result is None or is_silent else self._result
        self.spectrograms.set_mels(
            None if timbre is None else timbre.mel, None if result is None else result.mel
        )
        name = "Result"
        if result is not None:
            name = f"Result: {note_label(result.ready.note, self._middle_c)}"
        self.spectrograms.set_titles("Source" if source is None else source.name, name)
        if is_silent:
            self._result = None
            self._clear_result()


def _title(text: str) -> QLabel:
    label = QLabel(text)
    label.setFont(scaled_font(label.font(), 0.85))
    label.setForegroundRole(label.palette().ColorRole.PlaceholderText)
    return label
