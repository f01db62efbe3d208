from __future__ import annotations

import logging
import queue
import threading

import pytest

from app.audio import output_stream
from app.audio.output_stream import OutputSettings, OutputStream, StreamKind, StreamState
from app.audio.portaudio import OutputError, find_device
from core.errors import ParameterError
from tests.app.audio.fake_audio_system import FakeAudioSystem, FakeSource, device

PATIENCE_S = 5.0
SPEAKERS = device("Speakers", is_default=True)
PHONES = device("Headphones", index=1)


class Bench:
    """An output on a fake system, and the states it told."""

    def __init__(self, system: FakeAudioSystem) -> None:
        self.states: queue.SimpleQueue[StreamState] = queue.SimpleQueue()
        self.output = OutputStream(self.states.put, system)

    def play(self, settings: OutputSettings | None = None) -> None:
        self.output.play(FakeSource, settings or OutputSettings())
        assert self.next_state().kind is StreamKind.STARTING

    def next_state(self) -> StreamState:
        return self.states.get(timeout=PATIENCE_S)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_stream, "WATCH_S", 0.005)
    monkeypatch.setattr(output_stream, "RETRY_S", 0.005)


def test_it_plays_at_the_rate_of_the_default_device() -> None:
    system = FakeAudioSystem(PHONES, SPEAKERS)
    bench = Bench(system)
    bench.play(OutputSettings(block_frames=128))
    state = bench.next_state()
    assert (state.kind, state.device, state.latency_s) == (StreamKind.RUNNING, SPEAKERS, 0.01)
    assert state.message == "Speakers plays at 48000 Hz in blocks of 128 frames."
    (stream,) = system.streams
    assert (stream.source.sample_rate, stream.block_frames) == (48_000, 128)
    assert isinstance(stream.source, FakeSource)
    assert stream.source.is_compiled
    bench.output.close()
    assert stream.is_closed
    assert bench.next_state().kind is StreamKind.CLOSED


def test_device_and_rate_can_be_chosen_while_it_plays() -> None:
    system = FakeAudioSystem(SPEAKERS, PHONES)
    bench = Bench(system)
    bench.play()
    assert bench.next_state().device == SPEAKERS
    bench.play(OutputSettings(device="Headphones (Fake)", sample_rate=96_000))
    assert bench.next_state().device == PHONES
    assert [stream.is_closed for stream in system.streams] == [True, False]
    assert system.streams[1].source.sample_rate == 96_000
    bench.output.close()


def test_a_device_that_goes_is_lost_and_played_again_when_it_is_back() -> None:
    system = FakeAudioSystem(SPEAKERS)
    bench = Bench(system)
    bench.play()
    assert bench.next_state().kind is StreamKind.RUNNING
    system.devices = ()
    system.streams[0].is_active = False
    lost = bench.next_state()
    assert lost.kind is StreamKind.LOST
    assert "Speakers" in lost.message
    system.devices = (SPEAKERS,)
    assert bench.next_state().kind is StreamKind.RUNNING  # and no other state in between
    assert [stream.is_closed for stream in system.streams] == [True, False]
    assert system.streams[0].source is not system.streams[1].source
    bench.output.close()


def test_a_stream_that_hangs_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    asked = threading.Condition()

    def clock() -> float:
        with asked:
            asked.notify_all()
        return now_s

    monkeypatch.setattr(output_stream, "monotonic", clock)
    system = FakeAudioSystem(SPEAKERS)
    bench = Bench(system)
    bench.play()
    assert bench.next_state().kind is StreamKind.RUNNING
    for step in range(1, 20):  # time goes on and so does the sound
        with asked:
            source = system.streams[0].source
            assert isinstance(source, FakeSource)
            source.blocks += 1
            now_s = step * output_stream.STALL_S / 2
            assert asked.wait(PATIENCE_S)
            assert asked.wait(PATIENCE_S)
    assert bench.output.state.kind is StreamKind.RUNNING
    now_s += output_stream.STALL_S  # time goes on alone
    assert bench.next_state().kind is StreamKind.LOST
    assert bench.next_state().kind is StreamKind.RUNNING
    bench.output.close()


def test_without_a_device_it_waits_for_one() -> None:
    system = FakeAudioSystem()
    bench = Bench(system)
    bench.play()
    assert bench.next_state().kind is StreamKind.NO_DEVICE
    system.devices = (SPEAKERS,)
    assert bench.next_state().kind is StreamKind.RUNNING
    bench.output.close()


def test_a_chosen_device_is_waited_for_by_name() -> None:
    system = FakeAudioSystem(SPEAKERS)
    bench = Bench(system)
    bench.play(OutputSettings(device="Headphones"))
    state = bench.next_state()
    assert state.kind is StreamKind.NO_DEVICE
    assert "'Headphones'" in state.message
    system.devices = (SPEAKERS, PHONES)
    assert bench.next_state().device == PHONES
    bench.output.close()


def test_a_refusal_says_why_and_is_asked_again() -> None:
    system = FakeAudioSystem(SPEAKERS)
    system.refusal = OutputError("Device unavailable")
    bench = Bench(system)
    bench.play(OutputSettings(sample_rate=44_100))
    state = bench.next_state()
    assert state.kind is StreamKind.REFUSED
    assert "Speakers refuses 44100 Hz" in state.message
    assert "Device unavailable" in state.message
    system.refusal = None
    assert bench.next_state().kind is StreamKind.RUNNING
    bench.output.close()


def test_a_system_that_does_not_start_is_no_device() -> None:
    class Broken(FakeAudioSystem):
        def scan(self) -> tuple[()]:
            raise OutputError("PortAudio is missing.")

    bench = Bench(Broken())
    bench.play()
    state = bench.next_state()
    assert (state.kind, state.message) == (StreamKind.NO_DEVICE, "PortAudio is missing.")
    bench.output.close()


def test_the_unexpected_is_logged_once_and_ends_with_another_choice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    system = FakeAudioSystem(SPEAKERS)
    system.refusal = ZeroDivisionError("planted")
    bench = Bench(system)
    with caplog.at_level(logging.ERROR):
        bench.play()
        assert bench.next_state().kind is StreamKind.REFUSED
    assert len(caplog.records) == 1
    system.refusal = None
    bench.play()
    assert bench.next_state().kind is StreamKind.RUNNING
    bench.output.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, SPEAKERS),
        ("Headphones", PHONES),
        ("Headphones (Fake)", PHONES),
        ("head", PHONES),
        ("fake", SPEAKERS),
        ("Loudspeakers", None),
    ],
)
def test_devices_are_found_by_name(wanted: str | None, found: object) -> None:
    assert find_device((SPEAKERS, PHONES), wanted) == found


def test_without_a_default_the_first_device_plays() -> None:
    assert find_device((PHONES,), None) == PHONES
    assert find_device((), None) is None


@pytest.mark.parametrize("values", [{"block_frames": 15}, {"sample_rate": 7999}])
def test_settings_are_checked(values: dict[str, int]) -> None:
    with pytest.raises(ParameterError):
        OutputSettings(**values)  # type: ignore[arg-type]
