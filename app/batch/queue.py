"""Orders through an executor: a few at once, one after the other, whatever happens to one.

Any ``concurrent.futures.Executor`` will do: local processes, or Dask's for many hosts.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager, contextmanager
from threading import Event

from app.batch.worker import Order, Outcome, ignore_interrupts, make_instrument
from core.errors import ParameterError

POLL_S = 0.1
"""How often Ctrl-C is looked at."""

ExecutorSource = Callable[[], AbstractContextManager[tuple[Executor, int]]]
"""Opens an executor and tells how many orders it can work on at once."""


def run_orders(
    orders: Sequence[Order], open_executor: ExecutorSource, cancel: Event
) -> Iterator[Outcome]:
    """Outcomes as they come; those of orders that were never begun do not come.

    When a worker process dies, the orders it may have died of fail and the others go on in new
    processes. Setting ``cancel`` makes the stop file of the orders, which workers look at between
    notes.

    Args:
        orders: To be carried out.
        open_executor: Called again after an executor broke.
        cancel: Stops the work.
    """
    waiting = deque(orders)
    while waiting and not cancel.is_set():
        with open_executor() as (executor, at_once):
            yield from _until_broken(waiting, executor, at_once, cancel)


def _until_broken(
    waiting: deque[Order], executor: Executor, at_once: int, cancel: Event
) -> Iterator[Outcome]:
    running: dict[Future[Outcome], Order] = {}
    while True:
        while waiting and len(running) < at_once and not cancel.is_set():
            order = waiting.popleft()
            running[executor.submit(make_instrument, order)] = order
        if not running:
            return
        done, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
        if cancel.is_set():
            next(iter(running.values())).stop_file.touch()
        broken = any(isinstance(future.exception(), BrokenExecutor) for future in done)
        for future in tuple(running) if broken else done:
            yield _outcome(future, running.pop(future))
        if broken:
            return


def _outcome(future: Future[Outcome], order: Order) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenExecutor):
        reason = "Its process ended unexpectedly, perhaps for want of memory; use fewer --workers."
    else:
        reason = f"Unexpected {type(error).__name__}: {error}"
    return Outcome(order=order, error=reason)


def local_processes(workers: int) -> ExecutorSource:
    """Spawned processes on this machine."""

    @contextmanager
    def open_executor() -> Iterator[tuple[Executor, int]]:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=ignore_interrupts
        ) as executor:
            yield executor, workers

    return open_executor


def dask_cluster(address: str) -> ExecutorSource:
    """The workers of a Dask scheduler.

    They must have this program, and see sources and destination under the same paths.

    Args:
        address: Address of the scheduler, e.g. ``tcp://host:8786``.

    Raises:
        ParameterError: The package is missing; or, when opened, nobody answers there.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ParameterError(
            "--distributed needs the package 'distributed'; install it with "
            "pip install 'hyperganstrument[distributed]'."
        ) from error

    @contextmanager
    def open_executor() -> Iterator[tuple[Executor, int]]:
        try:
            client = distributed.Client(address, timeout=10)
        except (OSError, ValueError, TimeoutError) as error:
            raise ParameterError(
                f"No Dask scheduler answers at '{address}' ({error}); check the address."
            ) from error
        with client:
            n_threads = sum(client.nthreads().values())
            if not n_threads:
                raise ParameterError(f"The scheduler at '{address}' has no workers; start some.")
            yield client.get_executor(pure=False), n_threads

    return open_executor
