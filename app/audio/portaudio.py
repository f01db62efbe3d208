"""PortAudio behind two calls: which devices there are, and play through one.

sounddevice probes every device when it is imported, so it is imported with the first call, which
belongs off the GUI thread. PortAudio sees new devices only when it starts afresh, and then drops
every open stream: ``scan`` needs all streams closed.

Shape legend: n frames of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import CoreError

CHANNELS = 2
BUFFERED_BLOCKS = 4
"""Blocks that the device is asked to hold: three to play while the next one is late."""
SAMPLE_RATES = (44_100, 48_000, 96_000)
"""Rates to offer, Hz; a device may refuse one."""


class OutputError(CoreError):
    """A sound device is missing, refuses or went away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputDevice:
    """A device that plays stereo."""

    name: str
    """As the system calls it."""
    host_api: str
    """The system's sound interface it is reached through; one device may be listed for several."""
    sample_rate: int
    """Rate the device runs at unless asked otherwise, Hz."""
    is_default: bool
    """Whether the system plays through it unless asked otherwise."""
    index: int
    """PortAudio's number for it, good until the next scan."""

    @property
    def label(self) -> str:
        """Name and interface: tells all devices apart."""
        return f"{self.name} ({self.host_api})"


class CallbackSource(Protocol):
    """Sound made by machine code that PortAudio calls; ``core.sampler.Sampler`` is one."""

    @property
    def sample_rate(self) -> int:
        """Rate of the sound, Hz."""

    @property
    def callback_address(self) -> int:
        """Address of a ``PaStreamCallback`` that writes interleaved stereo float32."""

    @property
    def user_data_address(self) -> int:
        """Address that the callback wants as its user data."""

    @property
    def blocks(self) -> int:
        """Calls of the callback so far."""

    def compile(self) -> None:
        """Make the machine code; slow the first time."""


class OpenStream(Protocol):
    """A stream that plays until it is closed or its device goes."""

    @property
    def latency_s(self) -> float:
        """From the callback to the ear, as far as the system tells, seconds."""

    @property
    def is_active(self) -> bool:
        """Whether the system still wants sound."""

    def close(self) -> None:
        """Drop what is not yet played and free the device; never fails."""


class AudioSystem(Protocol):
    """Where sound can go; ``PortAudio`` outside of tests."""

    def scan(self) -> tuple[OutputDevice, ...]:
        """All stereo devices there are now; every stream must be closed."""

    def open(self, device: OutputDevice, source: CallbackSource, block_frames: int) -> OpenStream:
        """Play a compiled source; raises ``OutputError`` with the reason of a refusal."""


class PortAudio:
    """The system's sound devices."""

    def scan(self) -> tuple[OutputDevice, ...]:
        """All stereo devices there are now.

        Raises:
            OutputError: PortAudio is not installed or does not start.
        """
        library = _library()
        try:
            library._terminate()
            library._initialize()
            interfaces = library.query_hostapis()
            default = library.default.device[1]
            devices = list(library.query_devices())
        except library.PortAudioError as error:
            raise OutputError(f"The sound system does not start: {error}.") from error
        if default < 0:
            default = next((i["default_output_device"] for i in interfaces if i["devices"]), -1)
        return tuple(
            OutputDevice(
                name=device["name"],
                host_api=interfaces[device["hostapi"]]["name"],
                sample_rate=round(device["default_samplerate"]),
                is_default=device["index"] == default,
                index=device["index"],
            )
            for device in devices
            if device["max_output_channels"] >= CHANNELS
        )

    def open(self, device: OutputDevice, source: CallbackSource, block_frames: int) -> OpenStream:
        """Play a source.

        Args:
            device: From the last scan.
            source: Compiled; must live until the stream is closed.
            block_frames: Frames per call of the callback.

        Raises:
            OutputError: The device refuses.
        """
        library = _library()
        try:
            return _PortAudioStream(library, device, source, block_frames)
        except (library.PortAudioError, ValueError) as error:
            raise OutputError(str(error)) from error


class BlockingOutput:
    """A device that takes finished blocks and makes the giver wait; for sound known beforehand.

    Args:
        device: From the last scan.
        sample_rate: Hz.

    Raises:
        OutputError: The device refuses, here, or goes away, later.
    """

    def __init__(self, device: OutputDevice, sample_rate: int) -> None:
        library = _library()
        self._device = device
        self._error: type[Exception] = library.PortAudioError
        try:
            self._stream: Any = library.OutputStream(
                samplerate=sample_rate,
                device=device.index,
                channels=CHANNELS,
                dtype="float32",
                latency="high",
            )
            self._stream.start()
        except (library.PortAudioError, ValueError) as error:
            raise OutputError(f"{device.name} refuses {sample_rate} Hz: {error}") from error

    def write(self, block: NDArray[np.float32]) -> None:
        """Play a block, [2, n], after those before; waits until there is room for it."""
        try:
            self._stream.write(np.ascontiguousarray(block.T))
        except self._error as error:
            raise OutputError(f"{self._device.name} went away while it played: {error}") from error

    def close(self, *, play_out: bool) -> None:
        """Free the device.

        Args:
            play_out: Whether to wait for the sound that it still holds.
        """
        if play_out:
            self._stream.stop(ignore_errors=True)
        self._stream.close(ignore_errors=True)


class _PortAudioStream:
    def __init__(
        self, library: Any, device: OutputDevice, source: CallbackSource, block_frames: int
    ) -> None:
        self._error: type[Exception] = library.PortAudioError
        self._source = source  # the callback works in its memory
        is_wasapi = device.host_api == "Windows WASAPI"
        # The callback is machine code given by its address: it never waits for the GIL.
        self._stream: Any = library._StreamBase(
            kind="output",
            samplerate=source.sample_rate,
            blocksize=block_frames,
            device=device.index,
            channels=CHANNELS,
            dtype="float32",
            latency=BUFFERED_BLOCKS * block_frames / source.sample_rate,
            extra_settings=library.WasapiSettings(auto_convert=True) if is_wasapi else None,
            callback=library._ffi.cast("void *", source.callback_address),
            userdata=library._ffi.cast("void *", source.user_data_address),
            wrap_callback=None,
        )
        try:
            self._stream.start()
        except library.PortAudioError:
            self.close()
            raise

    @property
    def latency_s(self) -> float:
        return float(self._stream.latency)

    @property
    def is_active(self) -> bool:
        try:
            return bool(self._stream.active)
        except self._error:
            return False

    def close(self) -> None:
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)


def find_device(devices: Sequence[OutputDevice], wanted: str | None) -> OutputDevice | None:
    """The device a person means.

    Args:
        devices: Devices found by the last scan.
        wanted: A label, a name, or part of one in any case; None for the system's default.

    Returns:
        The first that fits best; None if none does.
    """
    if wanted is None:
        return next((d for d in devices if d.is_default), devices[0] if devices else None)
    exact = [d for d in devices if wanted in (d.label, d.name)]
    partly = [d for d in devices if wanted.lower() in d.label.lower()]
    return next(iter(exact + partly), None)


def _library() -> Any:
    """The sounddevice module.

    Raises:
        OutputError: PortAudio is not installed or does not start.
    """
    try:
        import sounddevice
    except (OSError, ImportError) as error:
        raise OutputError(
            f"PortAudio is missing ({error}); install it (Debian: libportaudio2) to hear sound."
        ) from error
    except Exception as error:  # its own class cannot be named before it is imported
        raise OutputError(f"The sound system does not start: {error}.") from error
    return sounddevice
