"""A small offline host of synthesizer plugins that follow DSSI (LADSPA with MIDI events).

Plugins are foreign machine code and may crash, hang or talk, so none is ever loaded into the caller:
:func:`render_plugin` starts ``python -m training.corpus.plugin_host FOLDER`` with a home folder of
its own and a time limit, and reads what it wrote.

The interfaces are those of ``ladspa.h`` 1.1, ``dssi.h`` 1.0 and ``alsa/seq_event.h``.

Shape legend: K notes, C audio outputs, T samples.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ctypes import POINTER, Structure, c_char_p, c_float, c_int, c_ubyte, c_uint, c_ulong, c_void_p
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import CoreError, ParameterError

HOME_MARK = "{home}"
"""What stands for the plugin's home folder in the values and files of a request."""
BEND_UNITS_PER_SEMITONE = 4096
"""Pitch wheel steps for a semitone at the default range of two."""

_REQUEST, _NOTES = "request.json", "notes.npy"
_BLOCK = 256  # samples per call of the plugin
_REST_S = 0.25  # silence rendered before every note
_MAX_TAIL_S = 20.0  # longest time that a note may ring on after all sounds were turned off
_SILENT = 1e-5  # peak of a block that counts as silence
_POLL_S = 0.002  # between looks at the plugin's background threads
_POLLS = 25  # looks in a row that must find them at rest
_SLEEPS = 8  # a background thread that slept so often has done what it was told
_NOTE_ON, _NOTE_OFF, _CONTROLLER, _PITCH_BEND = 6, 7, 10, 13
_ALL_SOUNDS_OFF, _ALL_NOTES_OFF = 120, 123
_INPUT, _OUTPUT, _CONTROL, _AUDIO = 1, 2, 4, 8
_HINT_SAMPLE_RATE, _HINT_LOGARITHMIC, _HINT_INTEGER, _HINT_DEFAULT = 0x8, 0x10, 0x20, 0x3C0
_LOW_SHARES = {0x80: 0.25, 0xC0: 0.5, 0x100: 0.75}  # of the way from lower to upper bound
_FIXED_DEFAULTS = {0x200: 0.0, 0x240: 1.0, 0x280: 100.0, 0x2C0: 440.0}


class PluginError(CoreError):
    """A plugin is missing, refuses its request, crashes or hangs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginNote:
    """One note, its key held through the window."""

    midi_note: int
    """MIDI note, 0 to 127."""
    velocity: int
    """MIDI velocity, 1 to 127."""
    bend: int = 0
    """Pitch wheel, -8192 to 8191 (:data:`BEND_UNITS_PER_SEMITONE`)."""

    def __post_init__(self) -> None:
        if not (
            0 <= self.midi_note <= 127 and 1 <= self.velocity <= 127 and -8192 <= self.bend <= 8191
        ):
            raise ParameterError(
                f"Note {self.midi_note}, velocity {self.velocity} and bend {self.bend} must lie in 0 to "
                "127, 1 to 127 and -8192 to 8191."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginRequest:
    """What to render with which settings of which plugin."""

    plugin: str
    """Path of the plugin's shared library."""
    notes: tuple[PluginNote, ...]
    n_samples: int
    """Length of each note, samples."""
    sample_rate: int = 44100
    """Sample rate of the notes, Hz."""
    files: tuple[tuple[str, str], ...] = ()
    """Name and text of files to lay into the plugin's home folder."""
    configure: tuple[tuple[str, str], ...] = ()
    """Keys and values of DSSI's ``configure``."""
    ports: tuple[tuple[str, float], ...] = ()
    """Control ports by name, with their values; the others are at their defaults."""
    program: tuple[int, int] | None = None
    """Bank and program to select; None leaves what is there."""
    bend_controller: int | None = None
    """Number of a controller that takes the place of the pitch wheel; None: the wheel itself."""
    seed_symbol: str | None = None
    """Name of a 32-bit variable of the library that holds the state of its random numbers."""


def render_plugin(request: PluginRequest, *, time_limit_s: float) -> NDArray[np.float32]:
    """Render the notes of a request in a process of their own.

    Args:
        request: What to render.
        time_limit_s: After so many seconds the process is ended.

    Returns:
        Mean of the outputs, not normalised, key pressed at the first sample, [K, T].

    Raises:
        PluginError: The plugin is missing, crashed, hung, refused its settings or rings on.
    """
    plugin = Path(request.plugin).name
    with tempfile.TemporaryDirectory(prefix="plugin_host_") as folder:
        home = Path(folder)
        for name, text in request.files:
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(HOME_MARK, folder), encoding="utf-8")
        (home / _REQUEST).write_text(json.dumps(asdict(request)), encoding="utf-8")
        root = str(Path(__file__).parents[2])
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "LC_ALL": "C.UTF-8",
            "HOME": folder,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        }
        try:
            child = subprocess.run(
                [sys.executable, "-m", __name__, folder],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=time_limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PluginError(
                f"Plugin {plugin} did not end within {time_limit_s:g} s; leave its preset out."
            ) from error
        if child.returncode < 0:
            name = signal.Signals(-child.returncode).name
            raise PluginError(f"Plugin {plugin} crashed ({name}); leave its preset out.")
        if child.returncode != 0:
            said = child.stderr.decode(errors="replace").strip().splitlines()
            raise PluginError(said[-1] if said else f"Plugin {plugin} failed without a word.")
        notes: NDArray[np.float32] = np.load(home / _NOTES)
        return notes


class _RangeHint(Structure):
    _fields_ = (("hint", c_int), ("lower", c_float), ("upper", c_float))


class _Ladspa(Structure):
    _fields_ = (
        ("unique_id", c_ulong),
        ("label", c_char_p),
        ("properties", c_int),
        ("name", c_char_p),
        ("maker", c_char_p),
        ("copyright", c_char_p),
        ("port_count", c_ulong),
        ("port_descriptors", POINTER(c_int)),
        ("port_names", POINTER(c_char_p)),
        ("port_range_hints", POINTER(_RangeHint)),
        ("implementation_data", c_void_p),
        ("instantiate", ctypes.CFUNCTYPE(c_void_p, c_void_p, c_ulong)),
        ("connect_port", ctypes.CFUNCTYPE(None, c_void_p, c_ulong, c_void_p)),
        ("activate", ctypes.CFUNCTYPE(None, c_void_p)),
        ("run", c_void_p),
        ("run_adding", c_void_p),
        ("set_run_adding_gain", c_void_p),
        ("deactivate", c_void_p),
        ("cleanup", c_void_p),
    )


class _Dssi(Structure):
    _fields_ = (
        ("api_version", c_int),
        ("ladspa", POINTER(_Ladspa)),
        ("configure", ctypes.CFUNCTYPE(c_char_p, c_void_p, c_char_p, c_char_p)),
        ("get_program", c_void_p),
        ("select_program", ctypes.CFUNCTYPE(None, c_void_p, c_ulong, c_ulong)),
        ("get_midi_controller_for_port", c_void_p),
        ("run_synth", ctypes.CFUNCTYPE(None, c_void_p, c_ulong, c_void_p, c_ulong)),
        ("run_synth_adding", c_void_p),
        ("run_multiple_synths", c_void_p),
        ("run_multiple_synths_adding", c_void_p),
    )


class _NoteData(Structure):
    _fields_ = (
        ("channel", c_ubyte),
        ("note", c_ubyte),
        ("velocity", c_ubyte),
        ("off_velocity", c_ubyte),
        ("duration", c_uint),
    )


class _ControlData(Structure):
    _fields_ = (
        ("channel", c_ubyte),
        ("unused", c_ubyte * 3),
        ("param", c_uint),
        ("value", c_int),
    )


class _EventData(ctypes.Union):
    _fields_ = (("note", _NoteData), ("control", _ControlData))


class _Event(Structure):
    _fields_ = (
        ("type", c_ubyte),
        ("flags", c_ubyte),
        ("tag", c_ubyte),
        ("queue", c_ubyte),
        ("time", c_uint * 2),
        ("source", c_ubyte * 2),
        ("dest", c_ubyte * 2),
        ("data", _EventData),
    )


def _control(param: int, value: int, kind: int = _CONTROLLER) -> _Event:
    return _Event(type=kind, data=_EventData(control=_ControlData(param=param, value=value)))


def _default(hint: _RangeHint, sample_rate: int) -> float:
    """Default value of a control port (LADSPA_HINT_DEFAULT_…); 0 where it has none."""
    scale = sample_rate if hint.hint & _HINT_SAMPLE_RATE else 1.0
    lower, upper = hint.lower * scale, hint.upper * scale
    match hint.hint & _HINT_DEFAULT:
        case 0x40:
            value = lower
        case 0x140:
            value = upper
        case where if where in _LOW_SHARES:
            share = _LOW_SHARES[where]
            if hint.hint & _HINT_LOGARITHMIC and lower > 0.0:
                value = lower ** (1.0 - share) * upper**share
            else:
                value = lower + (upper - lower) * share
        case fixed:
            value = _FIXED_DEFAULTS.get(fixed, 0.0)
    return float(round(value)) if hint.hint & _HINT_INTEGER else value


_one_processor = ctypes.CFUNCTYPE(c_uint)(lambda: 1)


def _pretend_one_processor(path: str) -> None:
    """Let a loaded library believe in a single processor, so that it starts no thread for others.

    Threads that share work draw random numbers in no fixed order. The C++ library's
    ``std::thread::hardware_concurrency`` knows no override, so the library's table of imported
    functions (ELF's global offset table, bound when loaded) is pointed at a function of ours.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    standard = ctypes.CDLL("libstdc++.so.6")
    theirs = ctypes.cast(standard._ZNSt6thread20hardware_concurrencyEv, c_void_p).value or 0
    ours = ctypes.cast(_one_processor, c_void_p).value or 0
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        region, access, *_, file = line.split(maxsplit=5)
        if Path(file) != Path(path).resolve() or not access.startswith("r") or "x" in access:
            continue
        start, end = (int(address, 16) for address in region.split("-"))
        imports = np.ctypeslib.as_array(
            (ctypes.c_uint64 * ((end - start) // 8)).from_address(start)
        )
        found = np.flatnonzero(imports == theirs)
        if len(found) and libc.mprotect(c_void_p(start), c_ulong(end - start), 3) == 0:
            imports[found] = ours


class _Plugin:
    """One running instance of a DSSI plugin."""

    def __init__(self, path: str, sample_rate: int, ports: dict[str, float]) -> None:
        try:
            self._library = ctypes.CDLL(path)
            find = self._library.dssi_descriptor
        except (OSError, AttributeError) as error:
            raise PluginError(
                f"{path} is no DSSI plugin ({error}); install its package."
            ) from error
        _pretend_one_processor(path)
        find.restype = POINTER(_Dssi)
        find.argtypes = [c_ulong]
        self._dssi = find(0).contents
        ladspa = self._dssi.ladspa.contents
        self._handle = ladspa.instantiate(self._dssi.ladspa, sample_rate)
        if not self._handle:
            raise PluginError(f"Plugin {path} cannot be started at {sample_rate} Hz.")
        kinds = ladspa.port_descriptors[: ladspa.port_count]
        names = [name.decode(errors="replace") for name in ladspa.port_names[: ladspa.port_count]]
        unknown = ports.keys() - set(names)
        if unknown:
            raise PluginError(f"Plugin {path} has no port '{unknown.pop()}' but {names}.")
        outputs = [i for i, kind in enumerate(kinds) if kind & _AUDIO and kind & _OUTPUT]
        self._out = np.zeros((len(outputs), _BLOCK), np.float32)
        self._unused = np.zeros((len(kinds), _BLOCK), np.float32)
        for index, kind in enumerate(kinds):
            buffer = self._unused[index]
            if index in outputs:
                buffer = self._out[outputs.index(index)]
            elif kind & _CONTROL and kind & _INPUT:
                hint = ladspa.port_range_hints[index]
                buffer[0] = ports.get(names[index], _default(hint, sample_rate))
            ladspa.connect_port(self._handle, index, buffer.ctypes.data)
        if ladspa.activate:
            ladspa.activate(self._handle)

    def configure(self, key: str, value: str) -> None:
        """Hand over a setting; what the plugin answers is a complaint."""
        answer = self._dssi.configure(self._handle, key.encode(), value.encode())
        if answer:
            raise PluginError(f"Plugin refuses {key}: {answer.decode(errors='replace').strip()}.")

    def select_program(self, bank: int, program: int) -> None:
        """Select a preset."""
        self._dssi.select_program(self._handle, bank, program)

    def seed(self, symbol: str) -> None:
        """Set the plugin's random numbers back to their start."""
        c_uint.in_dll(self._library, symbol).value = 1

    def run(self, n_samples: int, *events: _Event) -> NDArray[np.float32]:
        """Play on, with events at the first sample; mean of the outputs [T]."""
        blocks = []
        for start in range(0, n_samples, _BLOCK):
            now = events if start == 0 else ()
            self._dssi.run_synth(self._handle, _BLOCK, (_Event * len(now))(*now), len(now))
            blocks.append(self._out.mean(axis=0))
        return np.concatenate(blocks)[:n_samples]


def _background_threads() -> dict[str, tuple[bool, int]]:
    """Whether each thread but this one sleeps, and how often it has gone to sleep (Linux)."""
    threads = {}
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != os.getpid():
            try:
                status = (task / "status").read_text(encoding="ascii", errors="replace")
            except OSError:  # it has just ended
                continue
            fields = dict(line.split(":", 1) for line in status.splitlines())
            threads[task.name] = (
                fields["State"].split()[0] == "S",
                int(fields["voluntary_ctxt_switches"]),
            )
    return threads


def _wait_for_background_threads() -> None:
    """Return when none of the plugin's threads has anything left to do.

    A plugin may load a preset in threads that come and go. None has come or gone, and each of them
    either sleeps all the while or, where it wakes now and then to look, has slept several times.
    Time alone would tell nothing on a busy machine.
    """
    before, polls = _background_threads(), 0
    while polls < _POLLS:
        time.sleep(_POLL_S)
        now = _background_threads()
        polls += 1
        if now.keys() != before.keys() or any(
            not sleeps and slept < before[thread][1] + _SLEEPS
            for thread, (sleeps, slept) in now.items()
        ):
            before, polls = now, 0


def _play(request: PluginRequest) -> Iterator[NDArray[np.float32]]:
    """The notes of a request, each after silence."""
    plugin = _Plugin(request.plugin, request.sample_rate, dict(request.ports))
    if request.seed_symbol is not None:
        plugin.seed(request.seed_symbol)
    for key, value in request.configure:
        plugin.configure(key, value.replace(HOME_MARK, os.environ["HOME"]))
    if request.program is not None:
        plugin.select_program(*request.program)
    rest = round(_REST_S * request.sample_rate)
    for _ in range(2):  # what was loaded in the background is taken over while playing
        _wait_for_background_threads()
        plugin.run(rest)
    for note in request.notes:
        if request.bend_controller is None:
            bend = _control(0, note.bend, _PITCH_BEND)
        else:
            bend = _control(request.bend_controller, note.bend)
        plugin.run(rest, bend)
        if request.seed_symbol is not None:
            plugin.seed(request.seed_symbol)
        played = _NoteData(note=note.midi_note, velocity=note.velocity)
        yield plugin.run(request.n_samples, _Event(type=_NOTE_ON, data=_EventData(note=played)))
        released = _NoteData(note=note.midi_note, off_velocity=64)
        plugin.run(
            _BLOCK,
            _Event(type=_NOTE_OFF, data=_EventData(note=released)),
            _control(_ALL_NOTES_OFF, 0),
            _control(_ALL_SOUNDS_OFF, 0),
        )
        deadline = round(_MAX_TAIL_S * request.sample_rate)
        while np.abs(plugin.run(rest)).max() > _SILENT:
            deadline -= rest
            if deadline < 0:
                raise PluginError(f"A note rings on for {_MAX_TAIL_S:g} s; leave the preset out.")


def _read_request(path: Path) -> PluginRequest:
    fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    notes = tuple(PluginNote(**note) for note in fields.pop("notes"))
    return PluginRequest(notes=notes, **fields)


def main(folder: Path) -> int:
    """Render the request in a folder and write the notes beside it; the exit status."""
    request = _read_request(folder / _REQUEST)
    try:
        notes = list(_play(request))
    except PluginError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        return 1
    np.save(folder / _NOTES, np.stack(notes))
    return 0


if __name__ == "__main__":
    # Threads of the plugin would outlive the interpreter's end and crash there.
    os._exit(main(Path(sys.argv[1])))
