"""``render``: one WAV per note."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.arguments import add_render_arguments
from app.cli.console import cancellable, failing_with, tell
from app.cli.work import checked_clips, fit, instrument_name, listen, render
from core.audio.pitch import note_name
from core.export.files import check_destination, publish, write_file
from core.export.wav import wav_bytes
from core.progress import stop_if

SUMMARY = "write one WAV per note: DIR/<midi>.wav"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_render_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Render and write; see the module."""
    entries = [f"{note}.wav" for note in args.notes]
    with failing_with(2):
        clips = checked_clips(args)
        check_destination(args.out, entries, force=args.force)
        engine, sound = listen(args, clips)
    with failing_with(1), cancellable() as cancel:
        request = fit(engine, sound, args.fit, cancel).request(args.notes)
        instrument = render(engine, request, instrument_name(clips), cancel)

        def write(folder: Path) -> None:
            for entry, region in zip(entries, instrument.regions, strict=True):
                title = {"INAM": f"{instrument.name} {note_name(region.root_note)}"}
                write_file(folder / entry, (wav_bytes(region, instrument.sample_rate, title),))
                stop_if(cancel, "Cancelled; nothing was written.")

        publish(args.out, entries, write, force=args.force)
    for entry in entries:
        tell(str(args.out / entry))
