"""Sound to a device, kept alive: opened off the GUI thread, watched, reopened when it comes back.

One thread of its own makes every call to PortAudio, for any of them may take seconds. It sleeps on
an event, wakes twice a second to see whether the callback is still being called, and tells every
change of state as a frozen value with a sentence for people. Without any device everything else
keeps working.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from time import monotonic

from app.audio.portaudio import (
    AudioSystem,
    CallbackSource,
    OpenStream,
    OutputDevice,
    OutputError,
    PortAudio,
    find_device,
)
from core.errors import ParameterError

WATCH_S = 0.5
"""Between two looks at an open stream, seconds."""
STALL_S = 2.0
"""A stream whose callback was not called for so long is lost, seconds."""
RETRY_S = 1.0
"""Between two attempts to get a device back, seconds."""

SourceMaker = Callable[[int], CallbackSource]
"""Makes what is played, at a sample rate in Hz."""

_log = logging.getLogger(__name__)


class StreamKind(Enum):
    """Where the output stands."""

    CLOSED = "closed"
    """Nothing is to be played."""
    STARTING = "starting"
    """The machine code is being made, the device opened."""
    RUNNING = "running"
    """Sound reaches the device."""
    LOST = "lost"
    """The device went away while it played; playing goes on when it is back."""
    NO_DEVICE = "no device"
    """There is no device, or not the one that was asked for; playing begins when it is there."""
    REFUSED = "refused"
    """The device is there and refuses; it is asked again until it accepts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamState:
    """Where the output stands, for people and program."""

    kind: StreamKind
    message: str
    """One sentence."""
    device: OutputDevice | None = None
    """The device that plays; None unless it runs."""
    latency_s: float = 0.0
    """From the callback to the ear while it runs, as far as the system tells, seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSettings:
    """What a person chose."""

    device: str | None = None
    """Label or name of a device; None follows the system's default."""
    sample_rate: int | None = None
    """Hz, 8000–192000; None is the device's own."""
    block_frames: int = 256
    """Frames per call of the callback, 16–8192: fewer answer sooner, more are safer."""

    def __post_init__(self) -> None:
        if self.sample_rate is not None and not 8_000 <= self.sample_rate <= 192_000:
            raise ParameterError(f"Sample rate {self.sample_rate} Hz is outside 8000-192000.")
        if not 16 <= self.block_frames <= 8192:
            raise ParameterError(f"A block of {self.block_frames} frames is outside 16-8192.")


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    """What is to be played; a new one replaces the one before, whatever it says."""

    make_source: SourceMaker
    settings: OutputSettings


@dataclass(frozen=True, slots=True, eq=False)
class _Playing:
    source: CallbackSource
    stream: OpenStream


class OutputStream:
    """Plays through a device and keeps playing.

    Args:
        on_state: Told every change of state, on the stream's own thread.
        system: Where sound goes.

    Thread: all methods may be called from any thread and return at once, except ``close``.
    """

    def __init__(
        self, on_state: Callable[[StreamState], None], system: AudioSystem | None = None
    ) -> None:
        self._on_state = on_state
        self._system = PortAudio() if system is None else system
        self._wish: _Wish | None = None
        self._granted: _Wish | None = None  # whose stream is open, or was until it was lost
        self._playing: _Playing | None = None
        self._blocks = 0  # at the last look
        self._progress_s = 0.0  # when the callback was last seen to be called
        self._state = StreamState(kind=StreamKind.CLOSED, message="The output is closed.")
        self._devices: tuple[OutputDevice, ...] = ()
        self._is_unscanned = True
        self._is_closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audio output", daemon=True)
        self._thread.start()

    @property
    def state(self) -> StreamState:
        """Where the output stands now."""
        return self._state

    @property
    def devices(self) -> tuple[OutputDevice, ...]:
        """Devices found by the last scan."""
        return self._devices

    def play(self, make_source: SourceMaker, settings: OutputSettings) -> None:
        """Play through a device from now on.

        Args:
            make_source: Called on the stream's thread each time the device is opened, with its
                rate in Hz; each source is played by one stream.
            settings: Which device and how.
        """
        self._wish = _Wish(make_source, settings)
        self._wake.set()

    def close(self, timeout_s: float = 3.0) -> None:
        """End for good.

        Args:
            timeout_s: How long a system that hangs is waited for, seconds.
        """
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._wake.clear()  # before the looks at what was asked, so that nothing is missed
            if self._is_closing:
                break
            try:
                patience_s = self._step()
            except Exception as error:  # noqa: BLE001 - the thread goes on; nothing is hidden
                _log.exception("The sound output failed.")
                self._shut()
                self._tell(
                    StreamKind.REFUSED,
                    f"The sound output failed ({error}); choose the device again to retry.",
                )
                patience_s = None
            self._wake.wait(patience_s)
        self._shut()
        self._tell(StreamKind.CLOSED, "The output is closed.")

    def _step(self) -> float | None:
        """Do what is due; returns how long nothing will be, seconds, None until asked."""
        wish = self._wish
        if self._is_unscanned or wish is not self._granted:
            self._shut()
            if wish is not None:
                self._tell(StreamKind.STARTING, "The sound output is being opened.")
        self._granted = wish
        if wish is None:
            if self._is_unscanned:
                self._scan()
            self._tell(StreamKind.CLOSED, "The output is closed.")
            return None
        if self._playing is None:
            self._connect(wish)
        elif not self._is_alive(self._playing):
            self._tell(
                StreamKind.LOST,
                f"{self._name()} does not answer any more; sound comes back when it does.",
            )
            self._shut()
            return 0.0
        return RETRY_S if self._playing is None else WATCH_S

    def _scan(self) -> str:
        """Take stock of the devices; returns why there is none, if there is none."""
        self._is_unscanned = False
        try:
            self._devices = self._system.scan()
        except OutputError as error:
            self._devices = ()
            return str(error)
        return "There is no sound device; sound begins when one is connected."

    def _connect(self, wish: _Wish) -> None:
        reason = self._scan()
        device = find_device(self._devices, wish.settings.device)
        if device is None:
            if self._devices:
                reason = (
                    f"There is no sound device '{wish.settings.device}'; connect it or choose "
                    "another."
                )
            if self._state.kind is not StreamKind.LOST:
                self._tell(StreamKind.NO_DEVICE, reason)
            return
        rate_hz = wish.settings.sample_rate or device.sample_rate
        block = wish.settings.block_frames
        source = wish.make_source(rate_hz)
        source.compile()
        try:
            stream = self._system.open(device, source, block)
        except OutputError as error:
            self._tell(
                StreamKind.REFUSED,
                f"{device.name} refuses {rate_hz} Hz in blocks of {block} frames ({error}); close "
                "the program that holds it, or choose another rate or device.",
            )
            return
        self._playing = _Playing(source, stream)
        self._blocks, self._progress_s = source.blocks, monotonic()
        self._tell(
            StreamKind.RUNNING,
            f"{device.name} plays at {rate_hz} Hz in blocks of {block} frames.",
            device=device,
            latency_s=stream.latency_s,
        )

    def _is_alive(self, playing: _Playing) -> bool:
        now_s, blocks = monotonic(), playing.source.blocks
        if blocks != self._blocks:
            self._blocks, self._progress_s = blocks, now_s
        return playing.stream.is_active and now_s - self._progress_s < STALL_S

    def _name(self) -> str:
        return "The device" if self._state.device is None else self._state.device.name

    def _shut(self) -> None:
        playing, self._playing = self._playing, None
        if playing is not None:
            playing.stream.close()

    def _tell(
        self,
        kind: StreamKind,
        message: str,
        device: OutputDevice | None = None,
        latency_s: float = 0.0,
    ) -> None:
        state = StreamState(kind=kind, message=message, device=device, latency_s=latency_s)
        if state != self._state:
            self._state = state
            self._on_state(state)
