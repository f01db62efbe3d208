"""The instrument under the fingers: a sampler on a stream, for any thread, with or without a device.

A sampler lives as long as one stream: whenever a device is opened, at its own rate, a new sampler
is given what was loaded and set before, so that no forgotten note sounds when a device comes back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.audio.output_stream import OutputSettings, OutputStream, StreamKind, StreamState
from app.audio.portaudio import AudioSystem, OutputDevice
from core.instrument import Envelope, Instrument, Region
from core.sampler.sampler import CROSSFADE_S, Meters, Sampler

_Place = tuple[int, int, int, int]  # root note, lowest and highest velocity, round robin


class Player:
    """Plays an instrument through a device and keeps it playing.

    Keys played while there is no device are not heard and forgotten; what is loaded and set is kept.

    Args:
        on_state: Told every change of the output, on the output's thread.
        system: Where sound goes.

    Thread: all methods may be called from any thread; only ``close`` waits.
    """

    def __init__(
        self, on_state: Callable[[StreamState], None], system: AudioSystem | None = None
    ) -> None:
        self._on_state = on_state
        self._lock = threading.Lock()  # makes one control side of all threads
        self._sampler: Sampler | None = None  # that of the stream that runs
        self._next: Sampler | None = None  # that of the stream that is being opened
        self._instrument: Instrument | None = None
        self._zones: dict[_Place, tuple[Region, int]] = {}  # set since the instrument was loaded
        self._envelope = Envelope()
        self._gain = 1.0
        self._stream = OutputStream(self._stream_changed, system)

    @property
    def state(self) -> StreamState:
        """Where the output stands."""
        return self._stream.state

    @property
    def devices(self) -> tuple[OutputDevice, ...]:
        """Devices found by the last scan."""
        return self._stream.devices

    def open(self, settings: OutputSettings) -> None:
        """Play through a device from now on; replaces the one before."""
        self._stream.play(self._make_sampler, settings)

    def close(self) -> None:
        """End for good."""
        self._stream.close()

    def load(self, instrument: Instrument | None, *, crossfade_s: float = CROSSFADE_S) -> None:
        """Play another instrument; held notes cross over to it. The envelope stays."""
        with self._lock:
            self._instrument = instrument
            self._zones.clear()
            if self._sampler is not None:
                self._sampler.load(instrument, crossfade_s=crossfade_s)

    def set_zone(
        self, region: Region, sample_rate: int, *, crossfade_s: float = CROSSFADE_S
    ) -> None:
        """Add or replace one note's recording."""
        place = (region.root_note, region.low_velocity, region.high_velocity, region.round_robin)
        with self._lock:
            self._zones[place] = (region, sample_rate)
            if self._sampler is not None:
                self._sampler.set_zone(region, sample_rate, crossfade_s=crossfade_s)

    def set_envelope(self, envelope: Envelope) -> None:
        """Change the envelope, of held notes too."""
        self._envelope = envelope
        self._tell(lambda sampler: sampler.set_envelope(envelope))

    def set_gain(self, gain: float) -> None:
        """Change the master's linear gain."""
        self._gain = gain
        self._tell(lambda sampler: sampler.set_gain(gain))

    def note_on(self, note: int, velocity: int) -> None:
        """Strike a key."""
        self._tell(lambda sampler: sampler.note_on(note, velocity))

    def note_off(self, note: int) -> None:
        """Let a key go."""
        self._tell(lambda sampler: sampler.note_off(note))

    def set_sustain(self, down: bool) -> None:
        """Move the pedal."""
        self._tell(lambda sampler: sampler.set_sustain(down))

    def set_pitch_bend(self, semitones: float) -> None:
        """Bend all notes."""
        self._tell(lambda sampler: sampler.set_pitch_bend(semitones))

    def set_mod_wheel(self, value: float) -> None:
        """Move the modulation wheel, 0–1."""
        self._tell(lambda sampler: sampler.set_mod_wheel(value))

    def release_all(self) -> None:
        """Let all keys and the pedal go."""
        self._tell(lambda sampler: sampler.release_all())

    def panic(self) -> None:
        """End all sound now."""
        self._tell(lambda sampler: sampler.panic())

    def poll(self) -> Meters | None:
        """Meters for the display, None without sound; call it some 30 times a second.

        Recordings that are no longer played are freed here too.
        """
        with self._lock:
            if self._sampler is None:
                return None
            self._sampler.collect()
            return self._sampler.meters()

    def _tell(self, action: Callable[[Sampler], None]) -> None:
        with self._lock:
            if self._sampler is not None:
                action(self._sampler)

    def _make_sampler(self, sample_rate: int) -> Sampler:
        self._next = Sampler(sample_rate)
        return self._next

    def _stream_changed(self, state: StreamState) -> None:
        with self._lock:
            self._sampler = self._next if state.kind is StreamKind.RUNNING else None
            if self._sampler is not None:
                self._set_up(self._sampler)
        self._on_state(state)

    def _set_up(self, sampler: Sampler) -> None:
        sampler.set_envelope(self._envelope)
        sampler.set_gain(self._gain)
        sampler.load(self._instrument)
        for region, sample_rate in self._zones.values():
            sampler.set_zone(region, sample_rate)
