"""What a verb says and how it ends: one line on stderr, progress, exit codes, Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from core.errors import CoreError

PROGRAM = "hyperganstrument"
_SECONDS_BETWEEN_LINES = 5.0


class CliError(Exception):
    """Ends the program with one line on stderr.

    Args:
        message: What went wrong, the value, the remedy.
        exit_code: 1 the work failed, 2 bad arguments or input.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


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
