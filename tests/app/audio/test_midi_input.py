from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app.audio import midi_input
from app.audio.midi_input import MidiError, MidiInput, MidiState, RtMidi, port_label
from tests.app.audio.test_midi_events import Listener

PATIENCE_S = 5.0


class FakePort:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class FakeMidi:
    """Ports that come and go."""

    def __init__(self, *ports: str) -> None:
        self.names: tuple[str, ...] | None = ports
        self.held: set[str] = set()
        self.opened: dict[str, FakePort] = {}
        self.say: dict[str, Callable[[Sequence[int]], None]] = {}

    def ports(self) -> tuple[str, ...]:
        if self.names is None:
            raise MidiError("This system has no MIDI.")
        return self.names

    def open(self, port: str, on_message: Callable[[Sequence[int]], None]) -> FakePort:
        if port in self.held:
            raise MidiError(f"{port} cannot be heard.")
        self.say[port] = on_message
        self.opened[port] = FakePort()
        return self.opened[port]


class Bench:
    """An input that looks for ports quickly, and what it told."""

    def __init__(self, system: FakeMidi) -> None:
        self.listener = Listener()
        self.states: queue.SimpleQueue[MidiState] = queue.SimpleQueue()
        self.input = MidiInput(self.listener, self.states.put, system)

    def next_state(self) -> MidiState:
        return self.states.get(timeout=PATIENCE_S)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_input, "SCAN_S", 0.01)


def test_keyboards_come_and_go_while_it_runs() -> None:
    system = FakeMidi()
    bench = Bench(system)
    assert bench.next_state() == MidiState(message="No MIDI keyboard is connected.")
    system.names = ("Keys 24:0",)
    assert bench.next_state() == MidiState(
        message="MIDI is heard from Keys.", ports=("Keys 24:0",), open_ports=("Keys 24:0",)
    )
    system.say["Keys 24:0"]([0x90, 60, 100])
    system.names = ()
    assert bench.next_state().open_ports == ()
    assert system.opened["Keys 24:0"].is_closed
    assert bench.listener.told == [("note_on", 60, 100), ("release",)]  # no note hangs
    bench.input.close()


def test_only_chosen_ports_are_heard() -> None:
    system = FakeMidi("Keys 24:0", "Pads 28:0")
    bench = Bench(system)
    assert bench.next_state().open_ports == ("Keys 24:0", "Pads 28:0")
    bench.input.choose(["Pads"])
    assert bench.next_state().open_ports == ("Pads 28:0",)
    assert system.opened["Keys 24:0"].is_closed
    system.names = ("Keys 24:0", "Pads 30:0")  # plugged in elsewhere
    assert bench.next_state().open_ports == ("Pads 30:0",)
    bench.input.choose(None)
    assert set(bench.next_state().open_ports) == {"Keys 24:0", "Pads 30:0"}
    bench.input.close()
    assert all(port.is_closed for port in system.opened.values())


def test_a_port_that_refuses_is_named_and_asked_again() -> None:
    system = FakeMidi("Keys 24:0", "Pads 28:0")
    system.held.add("Pads 28:0")
    bench = Bench(system)
    state = bench.next_state()
    assert (state.message, state.open_ports) == ("Pads 28:0 cannot be heard.", ("Keys 24:0",))
    system.held.clear()
    assert bench.next_state().open_ports == ("Keys 24:0", "Pads 28:0")
    bench.input.close()


def test_without_midi_there_is_a_sentence_and_no_crash() -> None:
    system = FakeMidi("Keys 24:0")
    system.names = None
    bench = Bench(system)
    assert bench.next_state() == MidiState(message="This system has no MIDI.")
    system.names = ("Keys 24:0",)
    assert bench.next_state().open_ports == ("Keys 24:0",)
    bench.input.close()


def test_the_real_system_answers_or_says_that_it_has_no_midi() -> None:
    with contextlib.suppress(MidiError):  # no other error may leave
        assert all(isinstance(port, str) for port in RtMidi().ports())


@pytest.mark.skipif(not Path("/dev/snd/seq").exists(), reason="the system has no ALSA sequencer")
def test_a_virtual_keyboard_is_heard() -> None:
    rtmidi = pytest.importorskip("rtmidi")
    keyboard = rtmidi.MidiOut()
    keyboard.open_virtual_port("keyboard under test")
    heard = threading.Event()

    class Handler(Listener):
        def note_on(self, note: int, velocity: int) -> None:
            super().note_on(note, velocity)
            heard.set()

    handler, opened = Handler(), threading.Event()

    def on_state(state: MidiState) -> None:
        if any("keyboard under test" in port for port in state.open_ports):
            opened.set()

    midi = MidiInput(handler, on_state)
    assert opened.wait(PATIENCE_S)
    keyboard.send_message([0x90, 64, 80])
    assert heard.wait(PATIENCE_S)
    midi.close()
    keyboard.delete()
    assert ("note_on", 64, 80) in handler.told


@pytest.mark.parametrize(
    ("port", "label"),
    [("Keys:Keys MIDI 1 24:0", "Keys:Keys MIDI 1"), ("IAC Driver Bus 1", "IAC Driver Bus 1")],
)
def test_labels_leave_out_changing_numbers(port: str, label: str) -> None:
    assert port_label(port) == label
