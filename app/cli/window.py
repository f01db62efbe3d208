"""Arguments of a start without a verb, and whether a window can be opened at all."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from app.cli.console import PROGRAM, CliError
from app.cli.main import VERBS

DEFAULT_SIZE = (1280, 800)
MAX_SIDE = 16384


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowArguments:
    """What the window is opened with."""

    files: tuple[Path, ...]
    """Sounds, folders or a session."""
    screenshot: Path | None
    """Where a picture of the window goes; the program ends then."""
    size: tuple[int, int]
    """Size of the picture, device-independent pixels."""
    theme: str | None
    """``dark`` or ``light`` for this start; None as the settings say."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CliError(f"{message} (see {PROGRAM} --help).", 2)


def parse_window_arguments(arguments: Sequence[str]) -> WindowArguments:
    """Understand the arguments.

    Raises:
        CliError: An option that there is not, or a file that does not exist.
    """
    parser = _Parser(prog=PROGRAM, allow_abbrev=False, add_help=False)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--screenshot", type=Path)
    parser.add_argument("--size", type=_size, default=DEFAULT_SIZE)
    parser.add_argument("--theme", choices=("dark", "light"))
    args = parser.parse_args(arguments)
    missing = [file for file in args.files if not file.exists()]
    if missing:
        raise CliError(
            f"'{missing[0]}' is neither a file nor a verb ({', '.join(VERBS)}); check the path.", 2
        )
    return WindowArguments(
        files=tuple(args.files), screenshot=args.screenshot, size=args.size, theme=args.theme
    )


def has_display(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a window can be opened, on a screen or as Qt was asked to without one.

    Args:
        environment: Variables of the process.
        platform: As ``sys.platform``.
    """
    if environment.get("QT_QPA_PLATFORM") or not platform.startswith("linux"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and 0 < int(side) <= MAX_SIDE for side in sides):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write width x height: 1280x800")
    return int(sides[0]), int(sides[1])
