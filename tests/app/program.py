"""The whole program without networks, devices and the user's folders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.application import Application
from app.audio.midi_input import OpenPort
from app.live.messages import Message
from app.panels.message_area import MessageRow
from app.settings import AppSettings
from core.audio.pitch import midi_to_hz
from core.errors import RenderCancelled
from core.instrument import Instrument, Region, tile_zones
from core.sampler.sampler import Sampler
from core.sound import RenderRequest
from tests.app.audio.fake_audio_system import FakeAudioSystem, device
from tests.app.fake_engine import FakeEngine

RATE = 44_100
WAIT_MS = 20_000
COMPILE_MS = 240_000


class NoMidi:
    """A system without MIDI ports."""

    def ports(self) -> tuple[str, ...]:
        return ()

    def open(self, port: str, on_message: Callable[[Sequence[int]], None]) -> OpenPort:
        raise AssertionError(port)


class MixEngine(FakeEngine):
    """Renders a sine whose third partial tells how much of the last timbre is in the mix."""

    def render(
        self,
        request: RenderRequest,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Instrument:
        self.requests.append(request)
        share = request.sound.mix.weights[-1] if len(request.sound.mix.timbres) > 1 else 0.0
        time_s = np.arange(RATE) / RATE
        regions = []
        for note, (low, high) in zip(request.notes, tile_zones(request.notes), strict=True):
            self.before_note(note)
            if cancel is not None and cancel.is_set():
                raise RenderCancelled("Rendering was cancelled.")
            phase = 2 * np.pi * midi_to_hz(note) * time_s
            sound = 0.4 * (np.sin(phase) + share * np.sin(3 * phase))
            regions.append(
                Region(
                    root_note=note,
                    low_key=low,
                    high_key=high,
                    samples=sound.astype(np.float32)[None],
                )
            )
            if progress is not None:
                progress(len(regions), len(request.notes))
        return Instrument(name="mix", sample_rate=RATE, regions=tuple(regions))


class Program:
    """A running program and what a person does to it.

    Args:
        qtbot: Waits.
        folder: For settings and recovery.
        engine: In place of the networks.
    """

    def __init__(self, qtbot: QtBot, folder: Path, engine: FakeEngine | None = None) -> None:
        self.qtbot = qtbot
        self.engine = engine or MixEngine()
        self.audio = FakeAudioSystem(device("Speakers", is_default=True))
        self.application = Application(
            AppSettings(),
            self._load,  # type: ignore[arg-type]
            audio=self.audio,
            midi=NoMidi(),
            settings_folder=folder / "settings",
            recovery_folder=folder / "recovery",
            dragged_folder=folder / "dragged",
        )
        it = self.application
        self.window = it.window
        actions = self.window.findChildren(QAction)
        self.actions = {action.iconText(): action for action in actions}
        self.document, self.library, self.preview = it.document, it.library, it.preview
        self.keys, self.importer, self.service = it.keys, it.importer, it.service
        self.messages, self.message_area, self.files = it.messages, it.message_area, it.files
        self.shelf, self.one_instrument = it.sources.shelf, it.sources.one_instrument
        self.pad_panel, self.pad, self.paths = it.pad, it.pad.pad, it.pad.paths
        self.sound_panel, self.envelope = it.sound, it.envelope.envelope
        self.pictures, self.output, self.status = it.pictures, it.output, it.status
        self.snapshots, self.snapshot_bar = it.snapshots, it.snapshots.bar
        self.piano_panel, self.piano = it.piano, it.piano.piano
        self.exports = it.exports

    def _load(self, on_message: Callable[[str], None]) -> FakeEngine:
        self.engine.on_message = on_message
        return self.engine

    @property
    def names(self) -> list[str]:
        return [source.name for source in self.document.session.sources]

    @property
    def shown(self) -> list[Message]:
        """What the message area shows."""
        rows = self.message_area.findChildren(MessageRow)
        return [row.message for row in rows if not row.isHidden()]

    def close_messages(self) -> None:
        for row in self.message_area.findChildren(MessageRow):
            row.closed.emit(row)

    @property
    def sampler(self) -> Sampler:
        source = self.audio.streams[-1].source
        assert isinstance(source, Sampler)
        return source

    def start(self, *files: Path) -> None:
        self.application.start(files, shows_examples=False)
        self.qtbot.waitUntil(lambda: bool(self.audio.streams), timeout=COMPILE_MS)

    def drop(self, *files: Path, on: QWidget | None = None) -> None:
        """Let go of files over the window and wait until they are in or refused."""
        target = on or self.window
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
        arguments = (
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        place = QPointF(target.rect().center())
        target.dragEnterEvent(QDragEnterEvent(place.toPoint(), *arguments))
        with self.qtbot.waitSignal(self.importer.finished, timeout=WAIT_MS):
            target.dropEvent(QDropEvent(place, *arguments))

    def wait_rendered(self) -> None:
        self.qtbot.waitUntil(
            lambda: not self.library.is_busy and self.preview.is_complete, timeout=WAIT_MS
        )

    def listen(self, length_s: float = 0.3) -> NDArray[np.float32]:
        """What the speakers play next, mono."""
        out = np.zeros((2, round(length_s * self.sampler.sample_rate)), np.float32)
        self.sampler.render(out)
        return out[0]

    def close(self) -> None:
        self.document.mark_saved(Path("anywhere.hgs"), self.document.session)
        self.window.close()
        self.application.close()
        self.window.deleteLater()
        self.application.deleteLater()
        # PySide keeps what its connections call for as long as the process: let the sounds go.
        self.service._cache.clear()
        self.preview._ready.clear()
        self.engine.requests.clear()
        for stream in self.audio.streams:
            if isinstance(stream.source, Sampler):
                stream.source._frames.clear()
                stream.source._memory = np.zeros(0)


def write_tone(path: Path, note: float = 60.0, length_s: float = 1.0) -> Path:
    """A steady tone with partials."""
    time_s = np.arange(round(length_s * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * midi_to_hz(note) * k * time_s) / k for k in range(1, 6))
    soundfile.write(path, (0.3 * np.asarray(sound)).astype(np.float32), RATE, "PCM_24")
    return path


def pitch_hz(sound: NDArray[np.float32], rate: int) -> float:
    """Frequency of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 19))
    return float(np.argmax(spectrum)) * rate / (1 << 19)


def level_at(sound: NDArray[np.float32], rate: int, frequency_hz: float) -> float:
    """Magnitude at a frequency relative to the strongest partial."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 17))
    place = round(frequency_hz * (1 << 17) / rate)
    return float(spectrum[place - 5 : place + 6].max() / spectrum.max())
