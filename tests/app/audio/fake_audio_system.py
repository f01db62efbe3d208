"""Sound devices that come, go and refuse as a test wants; their clock is the test's."""

from __future__ import annotations

from dataclasses import dataclass

from app.audio.portaudio import CallbackSource, OutputDevice


def device(name: str, *, is_default: bool = False, index: int = 0) -> OutputDevice:
    return OutputDevice(
        name=name, host_api="Fake", sample_rate=48_000, is_default=is_default, index=index
    )


class FakeSource:
    """Counts blocks when told to."""

    user_data_address = 0
    callback_address = 0

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.blocks = 0
        self.is_compiled = False

    def compile(self) -> None:
        self.is_compiled = True


@dataclass(eq=False)
class FakeStream:
    source: CallbackSource
    device: OutputDevice
    block_frames: int
    latency_s: float = 0.01
    is_active: bool = True
    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True


class FakeAudioSystem:
    """Has the face of ``PortAudio``."""

    def __init__(self, *devices: OutputDevice) -> None:
        self.devices = devices
        self.refusal: Exception | None = None
        self.streams: list[FakeStream] = []

    def scan(self) -> tuple[OutputDevice, ...]:
        assert all(stream.is_closed for stream in self.streams), "a scan would kill open streams"
        return self.devices

    def open(self, device: OutputDevice, source: CallbackSource, block_frames: int) -> FakeStream:
        if self.refusal is not None:
            raise self.refusal
        self.streams.append(FakeStream(source, device, block_frames))
        return self.streams[-1]
