"""``export``: an instrument, or a pad of instruments, in one or more formats."""

from __future__ import annotations

import argparse

from app.cli.arguments import add_format_argument, add_render_arguments
from app.cli.console import cancellable, failing_with
from app.cli.plan import add_pad_argument, add_plan_arguments, check_pad, plan_of
from app.cli.verbs.verify import verify_written
from app.cli.work import build, build_morph, checked_clips, export, fit, instrument_name, listen
from core.export.base import check_export, openable

SUMMARY = "write an instrument for samplers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_format_argument(parser)
    add_render_arguments(parser)
    add_plan_arguments(parser)
    add_pad_argument(parser)
    parser.add_argument(
        "--verify", action="store_true", help="re-open what was written with other samplers"
    )


def run(args: argparse.Namespace) -> None:
    """Render and export; see the module."""
    with failing_with(2):
        plan = plan_of(args)
        check_pad(args)
        clips = checked_clips(args)
        name = instrument_name(clips)
        check_export(name, args.formats, args.out, force=args.force)
        engine, sound = listen(args, clips)
    with failing_with(1), cancellable() as cancel:
        sound = fit(engine, sound, args.fit, cancel)
        instrument = (
            build(engine, sound, plan, name, cancel)
            if args.pad is None
            else build_morph(engine, sound, plan, args.pad, name, cancel)
        )
        export(instrument, args.formats, args.out, force=args.force, cancel=cancel)
        if args.verify:
            opened = openable(name, args.formats)
            verify_written([args.out / entry for entry in opened], cancel)
