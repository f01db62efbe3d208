"""``export``: an instrument in one or more formats."""

from __future__ import annotations

import argparse

from app.cli.arguments import add_format_argument, add_render_arguments
from app.cli.console import cancellable, failing_with
from app.cli.work import checked_clips, export, instrument_name, prepare, render
from core.export.base import check_export

SUMMARY = "write an instrument for samplers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_format_argument(parser)
    add_render_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Render and export; see the module."""
    with failing_with(2):
        clips = checked_clips(args)
        check_export(instrument_name(clips), args.formats, args.out, force=args.force)
        engine, request = prepare(args, clips)
    with failing_with(1), cancellable() as cancel:
        instrument = render(engine, request, instrument_name(clips), cancel)
        export(instrument, args.formats, args.out, force=args.force, cancel=cancel)
