"""``play``: a MIDI file, or a scale, through a sound device or into a file; the same samples."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import numpy as np

from app.audio.midi_file import TimedEvent, notes_of, read_midi_file, scale
from app.audio.performance import perform
from app.audio.portaudio import (
    SAMPLE_RATES,
    BlockingOutput,
    OutputDevice,
    OutputError,
    PortAudio,
    find_device,
)
from app.cli.arguments import add_sound_arguments, integer
from app.cli.console import cancellable, failing_with, progress, tell
from app.cli.work import checked_clips, fit, instrument_name, listen
from core.audio.files import write_audio
from core.errors import ParameterError
from core.export.files import check_destination, publish
from core.inference.building import build_instrument
from core.plan import InstrumentPlan
from core.progress import stop_if
from core.sampler.sampler import Sampler

SUMMARY = "play a MIDI file, or a scale, with the instrument"
DEFAULT_RATE = SAMPLE_RATES[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add = parser.add_argument
    add("--midi", metavar="FILE", type=Path, help="a MIDI file; a scale without one")
    add("--out", metavar="FILE.wav", type=Path, help="write what would be heard; no device is used")
    add("--force", action="store_true", help="replace FILE.wav where it exists")
    add("--audio-device", metavar="NAME", help="device to play through, or part of its name")
    add(
        "--rate",
        metavar="HZ",
        type=integer(8000, 192000),
        default=DEFAULT_RATE,
        help="sample rate of device or file (default: %(default)s)",
    )
    add_sound_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Render the notes needed and play; see the module."""
    with failing_with(2):
        events = scale(args.velocity) if args.midi is None else read_midi_file(args.midi)
        clips = checked_clips(args)
        device = None if args.out is not None else _device(args.audio_device)
        if args.out is not None:
            _check_target(args.out, force=args.force)
        engine, sound = listen(args, clips)
    with failing_with(1), cancellable() as cancel:
        sound = fit(engine, sound, args.fit, cancel)
        plan = InstrumentPlan(notes=notes_of(events))
        with progress("Rendering", "notes") as report:
            name = instrument_name(clips)
            instrument = build_instrument(
                engine, sound, plan, name=name, progress=report, cancel=cancel
            )
        sampler = Sampler(args.rate)
        sampler.set_envelope(instrument.envelope)
        sampler.load(instrument)
        if device is None:
            _write(sampler, events, args.out, cancel, force=args.force)
            tell(str(args.out))
        else:
            _play(sampler, events, device, cancel)


def _device(name: str | None) -> OutputDevice:
    devices = PortAudio().scan()
    device = find_device(devices, name)
    if device is None:
        known = ", ".join(d.label for d in devices)
        what = (
            f"--audio-device {name!r} is none of {known}" if known else "There is no sound device"
        )
        raise OutputError(f"{what}; choose another, or write a file with --out.")
    return device


def _check_target(out: Path, *, force: bool) -> None:
    if out.suffix.lower() != ".wav":
        raise ParameterError(f"--out '{out}' is no WAV file; give a name that ends in .wav.")
    check_destination(out.parent, [out.name], force=force)


def _play(
    sampler: Sampler, events: Sequence[TimedEvent], device: OutputDevice, cancel: Event
) -> None:
    output = BlockingOutput(device, sampler.sample_rate)
    try:
        for block in perform(sampler, events):
            output.write(block)
            if cancel.is_set():
                break
    finally:
        output.close(play_out=not cancel.is_set())


def _write(
    sampler: Sampler, events: Sequence[TimedEvent], out: Path, cancel: Event, *, force: bool
) -> None:
    blocks = []
    for block in perform(sampler, events):
        blocks.append(block)
        stop_if(cancel, "Cancelled; nothing was written.")
    sound = np.concatenate(blocks, axis=1)
    publish(
        out.parent,
        [out.name],
        lambda folder: write_audio(folder / out.name, sound, sampler.sample_rate),
        force=force,
    )
