"""The command line: render, export, analyze, info.

Nothing here imports Qt, and torch is only imported once arguments and files have been checked, so
help and mistakes are answered at once. Exit codes: 0 done, 1 the work failed or was cancelled,
2 bad arguments or input. Results go to stdout, progress and the one line of an error to stderr.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import math
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from app import __version__
from core.audio.files import AudioClip, read_audio
from core.audio.pitch import RootEstimate, note_name, parse_note, parse_notes
from core.errors import CoreError, ParameterError, RenderCancelled
from core.export.base import FORMATS, check_export, choose_formats, export_instrument, openable
from core.export.files import check_destination, publish, write_file
from core.export.wav import wav_bytes
from core.inference.request import RenderRequest, Timbre, TimbreMix
from core.instrument import Instrument

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine

PROGRAM = "hyperganstrument"
DEVICES = ("auto", "cpu", "cuda", "mps")
_SECONDS_BETWEEN_LINES = 5.0

T = TypeVar("T")


class CliError(Exception):
    """Ends the program with one line on stderr.

    Args:
        message: What went wrong, the value, the remedy.
        exit_code: 1 the work failed, 2 bad arguments or input.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CliError(f"{message} (see {self.prog} --help).", 2)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [FILES ...]\n       {PROGRAM} VERB ...",
        description="One-shot samples in, playable multisampled instruments out. "
        "Without a verb the window opens with FILES.",
        epilog=f"{PROGRAM} VERB --help shows the options of a verb.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    render = _verb(verbs, "render", run_render, "write one WAV per note: DIR/<midi>.wav")
    _add_render_arguments(render)

    export = _verb(verbs, "export", run_export, "write an instrument for samplers")
    export.add_argument(
        "--format", required=True, metavar="FORMATS", dest="formats", type=_formats,
        help="comma separated: " + "; ".join(f"{name} = {x.summary}" for name, x in FORMATS.items()),
    )  # fmt: skip
    _add_render_arguments(export)

    analyze = _verb(verbs, "analyze", run_analyze, "tell root note, tuning, onset, length, kin")
    analyze.add_argument("samples", nargs="+", metavar="SAMPLE", type=Path, help="a sound file")
    analyze.add_argument("--json", action="store_true", help="machine-readable output")
    _add_engine_arguments(analyze)

    info = _verb(verbs, "info", run_info, "tell versions, devices and the model's card")
    info.add_argument("--json", action="store_true", help="machine-readable output")
    _add_engine_arguments(info)
    return parser


def _verb(
    verbs: argparse._SubParsersAction[_Parser],
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def _add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: %(default)s")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="weights to use in place of the bundled ones"
    )


def _add_render_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("samples", nargs="+", metavar="SAMPLE", type=Path, help="one-shot; several are morphed")
    add("--notes", required=True, metavar="SPEC", type=_converter(parse_notes),
        help="60 | C4 | 36,48,60 | C2:C6 | C2:C6:3 (every third semitone); C4 = 60")  # fmt: skip
    add("--out", required=True, metavar="DIR", type=Path, help="folder to write into")
    add("--force", action="store_true", help="replace files that exist")
    add("--weights", metavar="W,...", type=_weights, help="share of each SAMPLE, e.g. 0.7,0.3")
    add("--root", metavar="NOTE,...", type=_roots, action="extend",
        help="root note of each SAMPLE: C4, 60, 60.2 or auto; one for all or one each")  # fmt: skip
    add("--velocity", metavar="1-127", type=_integer(1, 127), default=100,
        help="how hard the notes are played (default: %(default)s)")  # fmt: skip
    add("--seed", metavar="N", type=_integer(0, 2**31 - 1), default=0,
        help="the same seed gives the same sound (default: %(default)s)")  # fmt: skip
    add("--variation", metavar="0-2", type=_number(0.0, 2.0), default=0.0,
        help="how far from the mean sound the seed may lead (default: %(default)s)")  # fmt: skip
    add("--refinement", metavar="0-2", type=_number(0.0, 2.0), default=1.0,
        help="strength of the hypernetwork (default: %(default)s)")  # fmt: skip
    add("--carry-over", metavar="0-1", type=_number(0.0, 1.0), default=1.0,
        help="how much of the recording's own body is kept (default: %(default)s)")  # fmt: skip
    _add_engine_arguments(parser)


def _converter(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show a ParameterError's own sentence in place of 'invalid value'."""

    def convert(text: str) -> T:
        try:
            return parse(text)
        except ParameterError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


@_converter
def _formats(text: str) -> tuple[str, ...]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    return tuple(exporter.name for exporter in choose_formats(names))


def _number(low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {low:g} to {high:g}")
        return value

    return convert


def _integer(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return convert


def _weights(text: str) -> tuple[float, ...]:
    weights = tuple(_number(0.0, 1e6)(part.strip()) for part in text.split(","))
    if sum(weights) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} has no weight above 0")
    return weights


@_converter
def _roots(text: str) -> list[float | None]:
    return [_root(part.strip()) for part in text.split(",")]


def _root(text: str) -> float | None:
    if text.lower() == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        return float(parse_note(text))
    if not 0.0 <= value <= 127.0:
        raise ParameterError(f"root note {text!r} is outside 0-127; give a MIDI note")
    return value


@contextmanager
def failing_with(exit_code: int) -> Iterator[None]:
    """Turn errors of the core into the program's end with this exit code."""
    try:
        yield
    except CoreError as error:
        raise CliError(str(error), exit_code) from error


def say(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{PROGRAM}: {message}\n")
    sys.stderr.flush()


def tell(line: str) -> None:
    """One line of results on stdout; what its encoding cannot say is escaped."""
    encoding = sys.stdout.encoding
    sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


@contextmanager
def cancellable() -> Iterator[threading.Event]:
    """An event that Ctrl-C and a polite kill set; a second Ctrl-C ends the program at once."""
    cancel = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        cancel.set()
        restore()

    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return
    for number in signals:
        signal.signal(number, on_signal)
    try:
        yield cancel
    finally:
        restore()


@contextmanager
def progress(verb: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress callback: a bar on a terminal, elsewhere a line every few seconds at most."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def print_line(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                say(f"{verb} {unit} {done} of {total}.")

        yield print_line
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn(unit), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def load_engine(model: Path | None, device: str) -> SynthesisEngine:
    """Import torch and load the networks."""
    from core.inference.engine import SynthesisEngine

    return SynthesisEngine.load(model, device, on_message=say)


def read_clips(paths: Sequence[Path]) -> list[AudioClip]:
    """Read every file, so that a bad one is named before anything slow begins."""
    return [read_audio(path) for path in paths]


def instrument_name(clips: Sequence[AudioClip]) -> str:
    """The display name of an instrument made from these clips."""
    return "-".join(clip.name for clip in clips)


def render(
    engine: SynthesisEngine, request: RenderRequest, name: str, cancel: threading.Event
) -> Instrument:
    """Render a request with progress on stderr and give the result its name."""
    with progress("Rendering", "notes") as report:
        instrument = engine.render(request, progress=report, cancel=cancel)
    return dataclasses.replace(instrument, name=name)


def export(
    instrument: Instrument,
    formats: Sequence[str],
    out: Path,
    *,
    force: bool,
    cancel: threading.Event,
) -> None:
    """Export with progress on stderr; tells what to open on stdout."""
    with progress("Writing", "samples") as report:
        export_instrument(instrument, formats, out, force=force, progress=report, cancel=cancel)
    for entry in dict.fromkeys(openable(instrument.name, formats)):
        tell(str(out / entry))


def run_render(args: argparse.Namespace) -> None:
    """``render``: one WAV per note."""
    entries = [f"{note}.wav" for note in args.notes]
    with failing_with(2):
        clips = _checked_clips(args)
        check_destination(args.out, entries, force=args.force)
        engine, request = _prepare(args, clips)
    with failing_with(1), cancellable() as cancel:
        instrument = render(engine, request, instrument_name(clips), cancel)

        def write(folder: Path) -> None:
            for entry, region in zip(entries, instrument.regions, strict=True):
                title = {"INAM": f"{instrument.name} {note_name(region.root_note)}"}
                write_file(folder / entry, (wav_bytes(region, instrument.sample_rate, title),))
                if cancel.is_set():
                    raise RenderCancelled("Cancelled; nothing was written.")

        publish(args.out, entries, write, force=args.force)
    for entry in entries:
        tell(str(args.out / entry))


def run_export(args: argparse.Namespace) -> None:
    """``export``: an instrument in one or more formats."""
    with failing_with(2):
        clips = _checked_clips(args)
        check_export(instrument_name(clips), args.formats, args.out, force=args.force)
        engine, request = _prepare(args, clips)
    with failing_with(1), cancellable() as cancel:
        instrument = render(engine, request, instrument_name(clips), cancel)
        export(instrument, args.formats, args.out, force=args.force, cancel=cancel)


def _checked_clips(args: argparse.Namespace) -> list[AudioClip]:
    """The samples, once the lists that go with them are known to fit."""
    n_samples = len(args.samples)
    if args.weights is not None and len(args.weights) != n_samples:
        raise ParameterError(
            f"--weights has {len(args.weights)} values for {n_samples} samples; give one for each."
        )
    if args.root is not None and len(args.root) not in (1, n_samples):
        raise ParameterError(
            f"--root has {len(args.root)} notes for {n_samples} samples; "
            "give one for all or one for each."
        )
    return read_clips(args.samples)


def _prepare(
    args: argparse.Namespace, clips: Sequence[AudioClip]
) -> tuple[SynthesisEngine, RenderRequest]:
    """Load the model, listen to the samples, state what is wanted."""
    roots = args.root or [None]
    roots = roots * len(clips) if len(roots) == 1 else roots
    engine = load_engine(args.model, args.device)
    timbres = [engine.analyze(clip, root=root) for clip, root in zip(clips, roots, strict=True)]
    mix = TimbreMix(timbres=tuple(timbres), weights=args.weights or (1.0,) * len(clips))
    return engine, RenderRequest(
        mix=mix,
        notes=args.notes,
        velocity=args.velocity,
        seed=args.seed,
        variation=args.variation,
        refinement=args.refinement,
        carry_over=args.carry_over,
    )


def run_analyze(args: argparse.Namespace) -> None:
    """``analyze``: what the program hears in each sample."""
    with failing_with(2):
        clips = read_clips(args.samples)
        engine = load_engine(args.model, args.device)
        timbres = [engine.analyze(clip) for clip in clips]
    reports = [
        _report(engine, path, clip, timbre)
        for path, clip, timbre in zip(args.samples, clips, timbres, strict=True)
    ]
    if args.json:
        tell(json.dumps(reports, indent=2))
        return
    for report in reports:
        kin = ", ".join(f"{x['name']} ({x['similarity']:.2f})" for x in report["nearest"])
        tell(f"{report['file']}")
        tell(
            f"  root note   {report['root_name']} ({report['root_note']}), "
            f"{round(report['tuning_cents']):+d} cents"
            f"{'' if report['pitched'] else ' - no clear pitch, a guess: set it with --root'}"
        )
        tell(f"  confidence  {report['pitch_confidence']:.2f}")
        tell(f"  onset       {report['onset_s']:.3f} s")
        tell(f"  length      {report['length_s']:.2f} s")
        tell(f"  peak        {report['peak_db']:.1f} dBFS")
        tell(f"  resembles   {kin}")


def _report(engine: SynthesisEngine, path: Path, clip: AudioClip, timbre: Timbre) -> dict[str, Any]:
    root = RootEstimate(midi_pitch=timbre.root_pitch, confidence=timbre.pitch_confidence)
    return {
        "file": str(path),
        "sample_rate": clip.sample_rate,
        "channels": clip.samples.shape[0],
        "root_note": root.note,
        "root_name": note_name(root.note),
        "tuning_cents": round(root.cents, 1),
        "pitch_confidence": round(root.confidence, 3),
        "pitched": root.is_pitched,
        "onset_s": round(timbre.onset_s, 4),
        "length_s": round(timbre.length_s, 4),
        "peak_db": round(20.0 * math.log10(max(timbre.gain, 1e-10)), 1),
        "nearest": [
            {"name": name, "similarity": round(similarity, 3)}
            for name, similarity in engine.nearest_instruments(timbre)
        ],
    }


def run_info(args: argparse.Namespace) -> None:
    """``info``: versions, devices, the model's card."""
    from core.device import available_devices

    with failing_with(2):
        engine = load_engine(args.model, args.device)
    libraries = ("numpy", "scipy", "torch", "safetensors", "soundfile", "soxr")
    facts: dict[str, object] = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: importlib.metadata.version(name) for name in libraries},
        "devices": available_devices(),
        "device": engine.device_name,
        "sample_rate": engine.sample_rate,
        "formats": list(FORMATS),
        "model": engine.model_info,
    }
    if args.json:
        tell(json.dumps(facts, indent=2))
    else:
        _tell_tree(facts)


def _tell_tree(facts: Mapping[str, object], depth: int = 0) -> None:
    """Nested facts as indented lines."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            tell(f"{'  ' * depth}{key}:")
            _tell_tree(value, depth + 1)
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            tell(f"{'  ' * depth}{key}: {text}")


def run(argv: Sequence[str]) -> None:
    """Carry out a verb with its arguments.

    Raises:
        CliError: With the exit code.
        SystemExit: After ``--help`` and ``--version``.
    """
    args = build_parser().parse_args(argv)
    args.run(args)
