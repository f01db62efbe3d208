"""``export``: an instrument, or a pad of instruments, in one or more formats."""

from __future__ import annotations

import argparse

from app.cli.arguments import add_format_argument, add_render_arguments
from app.cli.console import cancellable, failing_with, step_progress, tell
from app.cli.plan import add_pad_argument, add_plan_arguments, check_pad, plan_of
from app.cli.verbs.verify import tell_verdict
from app.cli.work import checked_clips, fit, instrument_name, listen
from core.export.base import check_export
from core.inference.production import Production, produce
from core.pad import edge_places

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
        check_export(instrument_name(clips), args.formats, args.out, force=args.force)
        engine, sound = listen(args, clips)
    with failing_with(1), cancellable() as cancel:
        places = [] if args.pad is None else edge_places(len(clips)).tolist()
        order = Production(
            name=instrument_name(clips),
            sound=fit(engine, sound, args.fit, cancel),
            plan=plan,
            grid=args.pad,
            places=tuple((x, y) for x, y in places),
            formats=args.formats,
            folder=args.out,
            is_replacing=args.force,
            is_verified=args.verify,
        )
        with step_progress() as report:
            delivery = produce(order, engine, report, cancel)
    for path in delivery.opened:
        tell(str(path))
    if delivery.report is not None:
        tell_verdict(delivery.report)
