"""MIDI keyboards, plugged in at any time: every port there is, or those a person chose, is heard.

A thread looks for ports once a second. Messages arrive on the MIDI library's thread and are
delivered from there, so a handler must return at once and be safe against other threads.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from app.audio.midi_events import MidiHandler, deliver, parse_message
from core.errors import CoreError

SCAN_S = 1.0
"""Between two looks for ports, seconds."""
CLIENT_NAME = "HyperGANStrument"
"""What other programs see."""

_ALSA_SEQUENCER = Path("/dev/snd/seq")
_log = logging.getLogger(__name__)


class MidiError(CoreError):
    """The system has no MIDI, or a port cannot be opened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MidiState:
    """Which ports there are, for people and program."""

    message: str
    """One sentence."""
    ports: tuple[str, ...] = ()
    """All ports there are."""
    open_ports: tuple[str, ...] = ()
    """Labels of the ports that are heard."""


class OpenPort(Protocol):
    """A port that is heard until it is closed."""

    def close(self) -> None:
        """Hear it no more."""


class MidiSystem(Protocol):
    """Where ports are; ``RtMidi`` outside of tests."""

    def ports(self) -> tuple[str, ...]:
        """Names of all input ports; raises ``MidiError`` where the system has no MIDI."""

    def open(self, port: str, on_message: Callable[[Sequence[int]], None]) -> OpenPort:
        """Hear a port; raises ``MidiError`` where it refuses."""


class MidiInput:
    """Hears MIDI ports and tells a handler what is played.

    Args:
        handler: Told what is played, on the MIDI library's thread.
        on_state: Told which ports come and go, on the scanning thread.
        system: Where ports are.
    """

    def __init__(
        self,
        handler: MidiHandler,
        on_state: Callable[[MidiState], None],
        system: MidiSystem | None = None,
    ) -> None:
        self._handler = handler
        self._on_state = on_state
        self._system = RtMidi() if system is None else system
        self._chosen: frozenset[str] | None = None
        self._open: dict[str, OpenPort] = {}
        self._state = MidiState(message="MIDI ports are being looked for.")
        self._is_closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="MIDI ports", daemon=True)
        self._thread.start()

    @property
    def state(self) -> MidiState:
        """Which ports there are."""
        return self._state

    def choose(self, labels: Collection[str] | None) -> None:
        """Hear only some ports from now on.

        Args:
            labels: Labels of the ports (``port_label``), whether they are there yet or not; None hears
                every port.
        """
        self._chosen = None if labels is None else frozenset(labels)
        self._wake.set()

    def close(self, timeout_s: float = 3.0) -> None:
        """Hear nothing more; returns when the ports are free."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._wake.clear()  # before the looks at what was asked, so that nothing is missed
            if self._is_closing:
                break
            try:
                self._scan()
            except Exception:  # noqa: BLE001 - the thread goes on and looks again
                _log.exception("Looking for MIDI ports failed.")
            self._wake.wait(SCAN_S)
        self._keep(())

    def _scan(self) -> None:
        try:
            ports = self._system.ports()
        except MidiError as error:
            self._keep(())
            self._tell(MidiState(message=str(error)))
            return
        chosen = self._chosen
        wanted = [port for port in ports if chosen is None or port_label(port) in chosen]
        self._keep(wanted)
        refusals = [self._hear(port) for port in wanted if port not in self._open]
        message = next(filter(None, refusals), "")
        if not message:
            labels = ", ".join(port_label(port) for port in self._open)
            message = (
                f"MIDI is heard from {labels}." if labels else "No MIDI keyboard is connected."
            )
        self._tell(MidiState(message=message, ports=ports, open_ports=tuple(self._open)))

    def _hear(self, port: str) -> str:
        """Open a port; returns why it cannot be, if so."""
        try:
            self._open[port] = self._system.open(port, self._on_message)
        except MidiError as error:
            return str(error)
        return ""

    def _keep(self, wanted: Collection[str]) -> None:
        """Close all other ports; keys held on them are let go."""
        gone = [port for port in self._open if port not in wanted]
        for port in gone:
            self._open.pop(port).close()
        if gone:
            self._handler.release_all()

    def _on_message(self, message: Sequence[int]) -> None:
        event = parse_message(message)
        if event is not None:
            deliver(event, self._handler)

    def _tell(self, state: MidiState) -> None:
        if state != self._state:
            self._state = state
            self._on_state(state)


class RtMidi:
    """The system's MIDI ports through python-rtmidi."""

    def __init__(self) -> None:
        self._probe: Any = None

    def ports(self) -> tuple[str, ...]:
        """Names of all input ports.

        Raises:
            MidiError: The system has no MIDI.
        """
        if sys.platform == "linux" and not _ALSA_SEQUENCER.exists():
            raise MidiError(
                "This system has no MIDI; load the kernel module snd-seq to use a keyboard."
            )
        import rtmidi

        try:
            if self._probe is None:
                self._probe = rtmidi.MidiIn(name=CLIENT_NAME)
            return tuple(self._probe.get_ports())
        except rtmidi.RtMidiError as error:
            self._probe = None
            raise MidiError(f"MIDI does not start: {error}") from error

    def open(self, port: str, on_message: Callable[[Sequence[int]], None]) -> OpenPort:
        """Hear a port.

        Raises:
            MidiError: It is gone or held by another program.
        """
        import rtmidi

        try:
            opened = rtmidi.MidiIn(name=CLIENT_NAME)
            opened.set_callback(partial(_forward, on_message))
            opened.open_port(opened.get_ports().index(port))
        except (rtmidi.RtMidiError, ValueError) as error:
            raise MidiError(
                f"{port_label(port)} cannot be heard ({error}); close the program that holds it."
            ) from error
        return _RtMidiPort(opened)


class _RtMidiPort:
    def __init__(self, opened: Any) -> None:
        self._opened = opened

    def close(self) -> None:
        self._opened.close_port()
        self._opened.delete()


def _forward(
    on_message: Callable[[Sequence[int]], None], arrived: tuple[list[int], float], _data: object
) -> None:
    on_message(arrived[0])


def port_label(port: str) -> str:
    """A port's name without the numbers that ALSA gives it anew each time it is plugged in."""
    return re.sub(r" \d+:\d+$", "", port)
