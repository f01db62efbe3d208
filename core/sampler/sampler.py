"""A polyphonic sampler whose audio side is machine code that never waits for Python.

Two sides share one record of memory (``core.sampler.layout``):

- The **control side** is one thread, usually the GUI's. It turns calls into events, decides which
  recording a key plays, owns all memory and frees it when the audio side has given it back.
- The **audio side** is whoever calls ``render`` or the callback, one at a time. It takes all events
  at the start of a block, in their order, and makes sound.

Shape legend: C channels, T samples, n frames of a block.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.instrument import HIGHEST_KEY, Envelope, Instrument, Region
from core.sampler.event_ring import Event, EventRing, valued
from core.sampler.interpolation import make_filters
from core.sampler.layout import (
    LAYOUT,
    MAX_RECORDINGS,
    MAX_VOICES,
    NOTHING_WAITS,
    PEAK_BLOCKS,
    SILENCE,
    STATE,
    EventKind,
)
from core.sampler.zones import KeyMap, Zone, lay_out

MAX_BEND_SEMITONES = 24.0
MAX_GAIN = 16.0
"""Largest master gain, linear."""
CROSSFADE_S = 0.03
"""Crossfade of held notes to another recording, unless told otherwise."""

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
)
"""PaStreamCallback."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Meters:
    """What the audio side says about itself."""

    peak_left: float
    """Largest magnitude of the left channel since the last call, 0–1."""
    peak_right: float
    """Largest magnitude of the right channel since the last call, 0–1."""
    active_voices: int
    """Notes that sound; what fades out after a steal or in a crossfade is not counted."""
    blocks: int
    """Blocks rendered since the start."""
    frames: int
    """Frames rendered since the start."""
    waiting_events: int
    """Events that the audio side has not yet taken."""
    late_events: int
    """Times that a note waited for the next block because every slot for a fade was in use."""
    underruns: int
    """Times that the device got no sound in time, as PortAudio counts them."""


class Sampler:
    """Plays an instrument: up to 64 notes, and the fades of those that gave way to others.

    Events that find the ring full wait on the control side and go in, in order, with the next
    call: nothing is lost and nothing blocks. As long as no stream runs, somebody must render a
    block now and then, or events and replaced recordings pile up.

    Making one compiles nothing.

    Args:
        sample_rate: Output rate, Hz.
        voices: Most notes at once, 1–64.

    Raises:
        ParameterError: A value outside its range.

    *Thread:* ``render`` belongs to the audio side, everything else to one control thread;
    ``compile`` may be called from any thread.
    """

    def __init__(self, sample_rate: int, *, voices: int = MAX_VOICES) -> None:
        _check("Sample rate", sample_rate, 8_000, 192_000, " Hz")
        _check("Number of voices", voices, 1, MAX_VOICES)
        self._sample_rate = sample_rate
        self._filters = make_filters()
        self._margin = self._filters[-1].shape[1] // 2
        self._memory = np.zeros(1, STATE)
        self._state = self._memory[0]
        self._ring = EventRing(self._state)
        self._recordings = self._state["recordings"]
        self._peaks = self._state["peaks"]
        self._state["layout"] = LAYOUT
        self._state["sample_rate"] = sample_rate
        self._state["max_voices"] = voices
        for band, rows in zip(self._state["bands"], self._filters, strict=True):
            band["address"] = rows.ctypes.data
            band["taps"] = rows.shape[1]
        self._state["voices"]["recording"] = SILENCE
        self._state["voices"]["next_recording"] = NOTHING_WAITS
        self._state["gain"] = self._state["gain_target"] = 1.0
        self._state["bend_ratio"] = self._state["pitch_ratio"] = 1.0
        self._frames: dict[int, NDArray[np.float32]] = {}
        self._free_recordings = list(reversed(range(MAX_RECORDINGS)))
        self._retired: set[int] = set()
        self._map = KeyMap()
        self._velocities = [0] * (HIGHEST_KEY + 1)  # of each key's last note; 0: none yet
        self._turns = [0] * (HIGHEST_KEY + 1)  # of each key's next note
        self._playing = [SILENCE] * (HIGHEST_KEY + 1)  # recording of each key's last note
        self._metered_blocks = 0
        self._callback: Callable[..., int] | None = None
        self.set_envelope(Envelope())

    @property
    def sample_rate(self) -> int:
        """Output rate, Hz."""
        return self._sample_rate

    @property
    def blocks(self) -> int:
        """Blocks rendered since the start; may be read on any thread."""
        return int(self._state["blocks"])

    @property
    def underruns(self) -> int:
        """Times that the device got no sound in time; may be read on any thread."""
        return int(self._state["underruns"])

    # --- control side ---

    def note_on(self, note: int, velocity: int) -> None:
        """Strike a key; velocity 0 lets it go, as in MIDI.

        A gain of 40·log10(velocity / 127) dB follows the velocity. A key that no recording answers
        stays silent.

        Args:
            note: 0–127.
            velocity: 0–127.

        Raises:
            ParameterError: A value outside its range.
        """
        _check("Note", note, 0, HIGHEST_KEY)
        _check("Velocity", velocity, 0, 127)
        if velocity == 0:
            self.note_off(note)
            return
        recording = self._map.choose(note, velocity, self._turns[note])
        self._velocities[note] = velocity
        self._playing[note] = recording
        self._turns[note] += 1
        if recording != SILENCE:
            gain = (velocity / 127) ** 2
            self._ring.push(Event(EventKind.NOTE_ON, note, recording, (gain, 0.0, 0.0, 0.0)))

    def note_off(self, note: int) -> None:
        """Let a key go; what the pedal or one-shot mode holds goes on.

        Raises:
            ParameterError: A note outside 0–127.
        """
        _check("Note", note, 0, HIGHEST_KEY)
        self._ring.push(Event(EventKind.NOTE_OFF, note))

    def set_sustain(self, down: bool) -> None:
        """Move the sustain pedal."""
        self._ring.push(valued(EventKind.SUSTAIN, float(down)))

    def set_pitch_bend(self, semitones: float) -> None:
        """Bend all notes.

        Raises:
            ParameterError: More than 24 semitones either way.
        """
        _check("Pitch bend", semitones, -MAX_BEND_SEMITONES, MAX_BEND_SEMITONES, " semitones")
        self._ring.push(valued(EventKind.PITCH_BEND, semitones))

    def set_mod_wheel(self, value: float) -> None:
        """Vibrato depth: 0 none, 1 half a semitone either way.

        Raises:
            ParameterError: A value outside 0–1.
        """
        _check("Mod wheel", value, 0.0, 1.0)
        self._ring.push(valued(EventKind.MOD_WHEEL, value))

    def set_envelope(self, envelope: Envelope) -> None:
        """Change how levels move; notes that sound go on from where they are."""
        rate = self._sample_rate
        self._ring.push(
            Event(
                EventKind.ENVELOPE,
                values=(
                    envelope.attack_s * rate,
                    envelope.decay_s * rate,
                    envelope.sustain,
                    envelope.release_s * rate,
                ),
            )
        )

    def set_gain(self, gain: float) -> None:
        """Master gain before the limiter, linear; reached in 10 ms.

        Raises:
            ParameterError: A gain outside 0–16.
        """
        _check("Gain", gain, 0.0, MAX_GAIN)
        self._ring.push(valued(EventKind.GAIN, gain))

    def set_one_shot(self, on: bool) -> None:
        """Let notes struck from now on play to their end whatever their key does.

        A looped recording is released when it first reaches its loop's end.
        """
        self._ring.push(valued(EventKind.ONE_SHOT, float(on)))

    def release_all(self) -> None:
        """Let all keys and the pedal go; one-shots are released too."""
        self._ring.push(Event(EventKind.RELEASE_ALL))

    def panic(self) -> None:
        """Fade everything out in 4 ms."""
        self._ring.push(Event(EventKind.PANIC))

    def load(self, instrument: Instrument | None, *, crossfade_s: float = CROSSFADE_S) -> None:
        """Play another instrument; notes that sound crossfade to it at the same time in the note.

        Keys follow the ranges of its regions. The envelope stays as ``set_envelope`` left it.

        Args:
            instrument: What to play; None for silence.
            crossfade_s: Crossfade of notes that sound, at an even level, seconds, 0–1.

        Raises:
            ParameterError: A crossfade outside its range, or more recordings than there is room for.
        """
        _check("Crossfade", crossfade_s, 0.0, 1.0, " s")
        regions = () if instrument is None else instrument.regions
        rate = self._sample_rate if instrument is None else instrument.sample_rate
        self._make_room(len(regions))
        zones = tuple(Zone.of(region, self._add_recording(region, rate)) for region in regions)
        self._change_map(KeyMap(zones=zones), crossfade_s)

    def set_zone(
        self, region: Region, sample_rate: int, *, crossfade_s: float = CROSSFADE_S
    ) -> None:
        """Add one note's recording, or replace the one that it covers.

        From now on keys go to the nearest recorded note (the lower of two), whatever the key
        ranges of the regions say; velocity ranges and round robins hold.

        Args:
            region: The recording.
            sample_rate: Rate of the samples, Hz.
            crossfade_s: Crossfade of notes that change their recording, at an even level, seconds,
                0–1.

        Raises:
            ParameterError: A value outside its range, or no room for another recording.
        """
        _check("Crossfade", crossfade_s, 0.0, 1.0, " s")
        _check("Sample rate", sample_rate, 8_000, 192_000, " Hz")
        self._make_room(1)
        new = Zone.of(region, self._add_recording(region, sample_rate))
        kept = tuple(zone for zone in self._map.zones if not zone.is_covered_by(new))
        self._change_map(KeyMap(zones=(*kept, new), is_nearest=True), crossfade_s)

    def collect(self) -> None:
        """Free recordings that the audio side gave back, and send events that found no room."""
        self._ring.flush()
        for recording in [r for r in self._retired if self._recordings["is_returned"][r]]:
            self._retired.remove(recording)
            self._free_recordings.append(recording)
            del self._frames[recording]

    def meters(self) -> Meters:
        """Peaks since the last call (of the last 256 blocks at most), and counts."""
        blocks = int(self._state["blocks"])
        new = min(blocks - self._metered_blocks, PEAK_BLOCKS)
        peaks = self._peaks[np.arange(blocks - new, blocks) % PEAK_BLOCKS].max(axis=0, initial=0.0)
        self._metered_blocks = blocks
        return Meters(
            peak_left=float(peaks[0]),
            peak_right=float(peaks[1]),
            active_voices=int(self._state["active_voices"]),
            blocks=blocks,
            frames=int(self._state["frame"]),
            waiting_events=self._ring.n_waiting,
            late_events=int(self._state["late_events"]),
            underruns=self.underruns,
        )

    def compile(self) -> None:
        """Make the machine code: seconds the first time on a machine, then a moment."""
        if self._callback is None:
            # Numba takes a while to import, and a window can be shown before.
            from core.sampler.kernel import compile_callback, compile_fence

            self._ring.fence = ctypes.CFUNCTYPE(None)(compile_fence().address)
            self._callback = _CALLBACK(compile_callback().address)

    @property
    def callback_address(self) -> int:
        """Machine code of the audio side: a PaStreamCallback for interleaved stereo float32.

        It needs no input and lasts as long as the process.
        """
        self.compile()
        return ctypes.cast(self._callback, ctypes.c_void_p).value or 0  # type: ignore[arg-type]

    @property
    def user_data_address(self) -> int:
        """What the callback takes as its user data; lasts as long as the sampler."""
        return int(self._memory.ctypes.data)

    # --- audio side ---

    def render(self, out: NDArray[np.float32]) -> None:
        """Take all events, then fill a block, as the callback does.

        Args:
            out: [2, n] of any n; with n = 0 the events are taken and no time passes.

        Raises:
            ParameterError: ``out`` has another shape or type.
        """
        if out.dtype != np.float32 or out.ndim != 2 or out.shape[0] != 2:
            raise ParameterError(
                f"A block of {out.dtype} and shape {out.shape} cannot be filled; "
                "pass float32 of shape [2, frames]."
            )
        self.compile()
        assert self._callback is not None
        block = np.empty((out.shape[1], 2), np.float32)
        self._callback(None, block.ctypes.data, len(block), None, 0, self.user_data_address)
        out[:] = block.T

    # --- inside the control side ---

    def _make_room(self, count: int) -> None:
        if count > len(self._free_recordings):
            self.collect()
        if count > len(self._free_recordings):
            raise ParameterError(
                f"{count} more recordings do not fit: {len(self._frames)} of {MAX_RECORDINGS} are "
                "loaded or not yet given back; load fewer, or let the audio run on."
            )

    def _add_recording(self, region: Region, sample_rate: int) -> int:
        layout = lay_out(region, sample_rate, self._margin)
        number = self._free_recordings.pop()
        self._frames[number] = layout.frames
        stride = layout.frames.strides[0] if layout.frames.shape[0] == 2 else 0
        self._recordings[number] = (
            layout.frames.ctypes.data + self._margin * layout.frames.itemsize,
            stride,
            layout.end,
            layout.loop_length,
            sample_rate / self._sample_rate,
            region.root_note,
            layout.starts_silent,
            0,
            0,
            0,
        )
        return number

    def _change_map(self, new: KeyMap, crossfade_s: float) -> None:
        kept = {zone.recording for zone in new.zones}
        dropped = [z.recording for z in self._map.zones if z.recording not in kept]
        self._map = new
        fade = max(1.0, crossfade_s * self._sample_rate)
        self._ring.push(*self._switches(fade))
        self._retired.update(dropped)
        for recording in dropped:
            self._ring.push(Event(EventKind.RETIRE, recording=recording))

    def _switches(self, fade_frames: float) -> Iterable[Event]:
        """Events for all keys whose last note would now be played from another recording."""
        likeness = cache(self._likeness)  # many keys may share a recording
        for key, velocity in enumerate(self._velocities):
            if velocity:
                recording = self._map.choose(key, velocity, self._turns[key] - 1)
                before = self._playing[key]
                if recording != before:
                    self._playing[key] = recording
                    values = (fade_frames, likeness(before, recording), 0.0, 0.0)
                    yield Event(EventKind.SWITCH, key, recording, values)

    def _likeness(self, one: int, other: int) -> float:
        """Correlation of two recordings at the same time since the note began, 0-1.

        0 where their times do not run alike, and for recordings that cancel each other: no gain
        makes up for that.
        """
        if SILENCE in (one, other):
            return 0.0
        ours, theirs = self._recordings[one], self._recordings[other]
        if (ours["rate"], ours["root_note"]) != (theirs["rate"], theirs["root_note"]):
            return 0.0
        heard = slice(self._margin, self._margin + int(min(ours["end"], theirs["end"])))
        first, second = (self._frames[number][:, heard].mean(axis=0) for number in (one, other))
        power = float(first @ first) * float(second @ second)
        return max(0.0, float(first @ second)) / math.sqrt(power) if power > 0.0 else 0.0


def _check(what: str, value: float, least: float, most: float, unit: str = "") -> None:
    if not least <= value <= most or not math.isfinite(value):
        raise ParameterError(f"{what} {value}{unit} is outside {least:g}-{most:g}{unit}.")
