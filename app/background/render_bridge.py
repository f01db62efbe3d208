"""From the render service's thread to the window's, with a loop for every note that sustains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import QObject, Signal

from core.audio.loop import find_loop
from core.audio.pitch import midi_to_hz
from core.inference.service import NoteFailed, NoteReady, ServiceState, ServiceStatus


class RenderBridge(QObject):
    """Callbacks of a ``RenderService`` as signals.

    *Signals:*
        note_ready(NoteReady), note_failed(NoteFailed), status_changed(ServiceStatus)

    *Thread:* made on the GUI's; its methods are called on the service's, ``status`` may be read on
    any.
    """

    note_ready = Signal(object)
    note_failed = Signal(object)
    status_changed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._status = ServiceStatus(state=ServiceState.LOADING)

    @property
    def status(self) -> ServiceStatus:
        """How the service stands now."""
        return self._status

    def on_note(self, ready: NoteReady) -> None:
        """A note may be played."""
        self.note_ready.emit(looped(ready))

    def on_failure(self, failed: NoteFailed) -> None:
        """A note could not be rendered."""
        self.note_failed.emit(failed)

    def on_status(self, status: ServiceStatus) -> None:
        """The service stands otherwise."""
        self._status = status
        self.status_changed.emit(status)


def looped(ready: NoteReady) -> NoteReady:
    """The note with a sustain loop, or as it is where it does not sustain."""
    found = find_loop(ready.region.samples, ready.sample_rate, midi_to_hz(ready.note))
    if found is None:
        return ready
    samples = np.clip(found.samples, -1.0, 1.0, dtype=np.float32)
    return replace(ready, region=replace(ready.region, samples=samples, loop=found.loop))
