"""What a verb says and how it ends: one line on stderr, progress, exit codes, Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from app.option_text import described
from core.errors import CoreError
from core.inference.production import Step, StepProgress
from core.progress import Progress

PROGRAM = "hyperganstrument"
_SECONDS_BETWEEN_LINES = 5.0
_COUNTED = {
    Step.FITTING: "steps",
    Step.RENDERING: "notes",
    Step.WRITING: "samples",
    Step.VERIFYING: "notes",
}


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
        raise CliError(described(error), exit_code) from error


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
def progress(verb: str, unit: str) -> Iterator[Progress]:
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
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn(unit),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def step_progress() -> Iterator[StepProgress]:
    """Progress of the steps of a production, one bar after the other."""
    with ExitStack() as shown:
        reports: dict[Step, Progress] = {}

        def report(step: Step, done: int, total: int) -> None:
            if step not in reports:
                shown.close()  # the bar of the step before
                reports[step] = shown.enter_context(progress(step.capitalize(), _COUNTED[step]))
            reports[step](done, total)

        yield report
