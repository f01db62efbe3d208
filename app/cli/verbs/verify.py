"""``verify``: open instruments again with other engines and judge what they play."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Sequence
from pathlib import Path

from app.cli.console import CliError, cancellable, failing_with, progress, say, tell
from core.verify.check import find_instruments, verify_files
from core.verify.engines import ENGINES, choose_engines
from core.verify.report import VerificationReport
from core.verify.sheet import write_sheets

SUMMARY = "check written instruments with other engines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        metavar="PATH",
        type=Path,
        help="an instrument, a folder of some, or a folder of WAVs or FLACs",
    )
    add(
        "--engine",
        metavar="NAME",
        dest="engines",
        action="append",
        help="use this engine alone; may be repeated: " + ", ".join(e.name for e in ENGINES),
    )
    add(
        "--sheet",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether NAME.verify.html and NAME.verify.json are written beside the instrument "
        "(default: --sheet)",
    )
    add("--json", action="store_true", help="machine-readable output")


def run(args: argparse.Namespace) -> None:
    """Verify and tell; see the module."""
    with failing_with(2):
        choose_engines(args.engines)
        for path in args.paths:
            find_instruments(path)
    with failing_with(1), cancellable() as cancel:
        report = _verify(args.paths, args.engines, cancel)
    if args.json:
        tell(json.dumps(report.as_json(), indent=2))
    else:
        _tell_report(report)
    if args.sheet:
        _write(report)
    _fail_if_red(report)


def tell_verdict(report: VerificationReport) -> None:
    """Tell what was found in files just written and write sheets beside them.

    Raises:
        CliError: Something is red, or a sheet cannot be written.
    """
    _tell_report(report)
    _write(report)
    _fail_if_red(report)


def _verify(
    paths: Sequence[Path], engines: Sequence[str] | None, cancel: threading.Event
) -> VerificationReport:
    with progress("Verifying", "notes") as report:
        return verify_files(paths, engines=engines, progress=report, cancel=cancel)


def _tell_report(report: VerificationReport) -> None:
    for file in report.files:
        tell(f"{file.path}: {file.summary}")
        for sentence in file.red:
            tell(f"  red: {sentence}")
        for sentence in file.notes:
            tell(f"  note: {sentence}")


def _write(report: VerificationReport) -> None:
    with failing_with(1):
        for path in write_sheets(report):
            say(f"Wrote {path}.")


def _fail_if_red(report: VerificationReport) -> None:
    n_red = sum(len(file.red) for file in report.files)
    if n_red:
        raise CliError(f"Verification found {n_red} things wrong; see the lines marked red.", 1)
