"""Entry point: a verb of the command line, or the window, or what the window would have opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from app import demo
from app.cli.console import CliError, say
from app.cli.main import VERBS
from app.cli.main import run as run_verb
from app.cli.window import has_display, parse_window_arguments

_GENERAL_OPTIONS = ("-h", "--help", "--version")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        argv: Arguments without the program's name; None takes the process's own.

    Returns:
        Exit code: 0 done, 1 the work failed or was cancelled, 2 bad arguments or input.
    """
    # torch's threads would else spin between its operations, against the window and the sampler.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        exit_code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our results has left; that is its right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return exit_code


def _run(arguments: list[str]) -> int:
    """Carry out the arguments; returns the exit code."""
    try:
        if arguments and (arguments[0] in VERBS or arguments[0] in _GENERAL_OPTIONS):
            run_verb(arguments)
            return 0
        return _open_window(arguments)
    except CliError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("Cancelled; nothing was written.")
        return 1
    except SystemExit as end:  # argparse, after --help and --version
        return int(end.code or 0)


def _open_window(arguments: list[str]) -> int:
    window = parse_window_arguments(arguments)
    if not has_display():
        say(f"There is no display to open the window on; exporting to {demo.DEMO_FOLDER} instead.")
        demo.run(window.files)
        return 0
    from app import application  # brings Qt

    return application.run(window)


if __name__ == "__main__":
    sys.exit(main())
