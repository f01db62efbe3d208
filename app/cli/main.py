"""The command line: one module in ``app.cli.verbs`` per verb.

Nothing here imports Qt, and torch is only imported once arguments and files have been checked, so
help and mistakes are answered at once. Exit codes: 0 done, 1 the work failed or was cancelled,
2 bad arguments or input. Results go to stdout, progress and the one line of an error to stderr.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import NoReturn

from app import __version__
from app.cli.console import PROGRAM, CliError

VERBS = ("render", "export", "batch", "verify", "play", "analyze", "info")
"""Modules of ``app.cli.verbs``, each with SUMMARY, add_arguments(parser) and run(arguments)."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CliError(f"{message.rstrip('.')} (see {self.prog} --help).", 2)


def build_parser(verbs: Sequence[str] = VERBS) -> argparse.ArgumentParser:
    """The parser of some verbs; a start with one verb imports that one alone."""
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [FILES ...]\n       {PROGRAM} VERB ...",
        description="One-shot samples in, playable multisampled instruments out. "
        "Without a verb the window opens with FILES.",
        epilog=f"{PROGRAM} VERB --help shows the options of a verb.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers = parser.add_subparsers(
        title="verbs", dest="verb", metavar="VERB", required=True, prog=PROGRAM
    )
    for name in verbs:
        verb = importlib.import_module(f"app.cli.verbs.{name}")
        subparser = subparsers.add_parser(
            name, help=verb.SUMMARY, description=verb.SUMMARY, allow_abbrev=False
        )
        verb.add_arguments(subparser)
        subparser.set_defaults(run=verb.run)
    return parser


def run(argv: Sequence[str]) -> None:
    """Carry out a verb with its arguments.

    Raises:
        CliError: With the exit code.
        SystemExit: After ``--help`` and ``--version``.
    """
    verbs = argv[:1] if argv and argv[0] in VERBS else VERBS
    args, unknown = build_parser(verbs).parse_known_args(argv)
    if unknown:
        raise CliError(
            f"unrecognized arguments: {' '.join(unknown)} (see {PROGRAM} {args.verb} --help).", 2
        )
    args.run(args)
