"""From the threads of sound device and MIDI ports to the window's."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.audio.midi_input import MidiState
from app.audio.output_stream import StreamState


class DeviceBridge(QObject):
    """States of the devices as signals; connect them queued.

    *Signals:*
        stream_changed(StreamState), midi_changed(MidiState)

    *Thread:* made on the GUI's; its methods are called on the devices'.
    """

    stream_changed = Signal(object)
    midi_changed = Signal(object)

    def on_stream(self, state: StreamState) -> None:
        """The sound output stands otherwise."""
        self.stream_changed.emit(state)

    def on_midi(self, state: MidiState) -> None:
        """MIDI ports came or went."""
        self.midi_changed.emit(state)
