"""A small pool for what would make the window wait: decoding, saving, writing exports."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from app.background.gui_thread import GuiThread
from core.errors import CoreError

N_THREADS = 2

ResultT = TypeVar("ResultT")
ValueT = TypeVar("ValueT")
_log = logging.getLogger(__name__)


class TaskRunner:
    """Does work elsewhere and answers on the GUI's thread.

    Args:
        gui: Where answers go.
    """

    def __init__(self, gui: GuiThread) -> None:
        self._gui = gui
        self._pool = ThreadPoolExecutor(N_THREADS, thread_name_prefix="io")
        self._is_closed = False

    def run(
        self,
        work: Callable[[], ResultT],
        on_success: Callable[[ResultT], object],
        on_failure: Callable[[Exception], object],
    ) -> None:
        """Do some work in the pool.

        Args:
            work: Called on a thread of the pool.
            on_success: Called on the GUI's thread with what it returned.
            on_failure: Called there with what it raised.
        """
        if not self._is_closed:
            self.follow(self._pool.submit(work), on_success, on_failure)

    def follow(
        self,
        future: Future[ResultT],
        on_success: Callable[[ResultT], object],
        on_failure: Callable[[Exception], object],
    ) -> None:
        """Answer on the GUI's thread once somebody else's work is done.

        Args:
            future: The work.
            on_success: Called with its result.
            on_failure: Called with what it raised.
        """
        future.add_done_callback(partial(self._answer, on_success, on_failure))

    def close(self) -> None:
        """Finish what runs, drop what waits, answer nobody any more."""
        self._is_closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(
        self,
        on_success: Callable[[ResultT], object],
        on_failure: Callable[[Exception], object],
        future: Future[ResultT],
    ) -> None:
        if self._is_closed or future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._gui.call(partial(self._deliver, on_success, future.result()))
        elif isinstance(error, Exception):
            if not isinstance(error, CoreError):
                _log.error("Work in the background failed.", exc_info=error)
            self._gui.call(partial(self._deliver, on_failure, error))

    def _deliver(self, answer: Callable[[ValueT], object], value: ValueT) -> None:
        """Answer, unless the program has closed meanwhile."""
        if not self._is_closed:
            answer(value)
