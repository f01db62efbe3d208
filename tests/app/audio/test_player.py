from __future__ import annotations

import ctypes
import queue

import numpy as np
import pytest
from numpy.typing import NDArray

from app.audio import output_stream
from app.audio.output_stream import OutputSettings, StreamKind, StreamState
from app.audio.player import Player
from app.audio.portaudio import AudioSystem
from core.instrument import Envelope, Instrument, Region
from tests.app.audio.fake_audio_system import FakeAudioSystem, device
from tests.helpers.pulse import PulseServer
from tests.helpers.signals import sine

RATE = 44_100
ROOT = 69
PATIENCE_S = 60.0  # the machine code may have to be made first


def region(note: int, level: float = 0.5) -> Region:
    frequency_hz = 440.0 * 2.0 ** ((note - 69) / 12)
    samples = level * sine(frequency_hz, 5.0, RATE)
    return Region(root_note=note, low_key=note, high_key=note, samples=samples[None])


def instrument(*notes: int) -> Instrument:
    return Instrument(name="sines", sample_rate=RATE, regions=tuple(region(note) for note in notes))


class Bench:
    """A player and the states it told."""

    def __init__(self, system: AudioSystem | None = None) -> None:
        self.states: queue.SimpleQueue[StreamState] = queue.SimpleQueue()
        self.player = Player(self.states.put, system)

    def wait_for(self, kind: StreamKind) -> StreamState:
        while (state := self.states.get(timeout=PATIENCE_S)).kind is not kind:
            pass
        return state


class Pulled:
    """Pulls blocks from the last stream of a fake system, as PortAudio would."""

    def __init__(self, system: FakeAudioSystem) -> None:
        source = system.streams[-1].source
        signature = ctypes.CFUNCTYPE(
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_ulong,
            ctypes.c_void_p,
            ctypes.c_ulong,
            ctypes.c_void_p,
        )
        self._callback = signature(source.callback_address)
        self._user_data = source.user_data_address

    def pull(self, n_frames: int) -> NDArray[np.float32]:
        out = np.empty((n_frames, 2), np.float32)
        assert self._callback(None, out.ctypes.data, n_frames, None, 0, self._user_data) == 0
        return out.T


def frequency_hz(sound: NDArray[np.float32], sample_rate: int = RATE) -> float:
    """Frequency of the strongest partial of a mono sound."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    return float(np.argmax(spectrum)) * sample_rate / (8 * len(sound))


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_stream, "WATCH_S", 0.005)
    monkeypatch.setattr(output_stream, "RETRY_S", 0.005)
    monkeypatch.setattr(output_stream, "STALL_S", PATIENCE_S)  # blocks come when a test pulls them


@pytest.mark.usefixtures("_quick")
def test_what_was_set_outlives_the_device_and_forgotten_keys_stay_silent() -> None:
    system = FakeAudioSystem()
    bench = Bench(system)
    player = bench.player
    player.load(instrument(60))
    player.set_zone(region(72), RATE)
    player.set_gain(0.5)
    player.set_envelope(Envelope(attack_s=0.0, release_s=0.001))
    player.open(OutputSettings(sample_rate=RATE))
    bench.wait_for(StreamKind.NO_DEVICE)
    player.note_on(60, 127)  # nobody hears it
    assert player.poll() is None
    for _ in range(2):
        system.devices = (device("Speakers", is_default=True),)
        bench.wait_for(StreamKind.RUNNING)
        pulled = Pulled(system)
        assert not pulled.pull(4096).any()
        player.note_on(72, 127)
        sound = pulled.pull(2 * RATE)[:, RATE:]
        assert frequency_hz(sound[0]) == pytest.approx(523.25, abs=0.1)
        assert np.max(np.abs(sound)) == pytest.approx(0.25, abs=0.001)
        meters = player.poll()
        assert meters is not None
        assert meters.active_voices == 1
        system.devices = ()
        system.streams[-1].is_active = False
        bench.wait_for(StreamKind.LOST)
        assert player.poll() is None
        player.note_on(60, 127)
    player.close()


@pytest.mark.usefixtures("_quick")
def test_every_rate_plays_in_tune() -> None:
    system = FakeAudioSystem(device("Speakers", is_default=True))
    bench = Bench(system)
    bench.player.load(instrument(ROOT))
    for rate in (44_100, 48_000, 96_000):
        bench.player.open(OutputSettings(sample_rate=rate))
        bench.wait_for(StreamKind.RUNNING)
        bench.player.note_on(ROOT, 127)
        sound = Pulled(system).pull(rate)
        assert frequency_hz(sound[0], rate) == pytest.approx(440.0, abs=0.1)
    bench.player.close()


@pytest.mark.audio_device
def test_a_server_that_dies_is_lost_and_heard_again_when_it_is_back(pulse: PulseServer) -> None:
    bench = Bench()
    player = bench.player
    player.load(instrument(ROOT, 81))
    player.open(OutputSettings())
    state = bench.wait_for(StreamKind.RUNNING)
    assert state.device is not None
    assert state.device.is_default
    with pulse.recording() as recorder:
        player.note_on(ROOT, 127)
        recorder.read(RATE // 2)
        sound = recorder.read(RATE // 2)
    assert frequency_hz(sound[0]) == pytest.approx(440.0, abs=0.2)
    assert np.max(np.abs(sound)) == pytest.approx(0.5, abs=0.01)
    pulse.kill()
    lost = bench.wait_for(StreamKind.LOST)
    assert "comes back" in lost.message
    player.note_on(ROOT, 127)  # the process is alive and forgets it
    pulse.start()
    assert bench.wait_for(StreamKind.RUNNING)
    with pulse.recording() as recorder:
        player.note_on(81, 127)
        recorder.read(RATE // 2)
        sound = recorder.read(RATE // 2)
    assert frequency_hz(sound[0]) == pytest.approx(880.0, abs=0.2)
    player.close()


@pytest.mark.audio_device
def test_without_a_server_there_is_no_device_until_one_starts(pulse: PulseServer) -> None:
    pulse.kill()
    bench = Bench()
    bench.player.load(instrument(ROOT))
    bench.player.open(OutputSettings())
    bench.wait_for(StreamKind.NO_DEVICE)
    pulse.start()
    bench.wait_for(StreamKind.RUNNING)
    bench.player.close()
