"""How long work says how far it is and learns that nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

from core.errors import RenderCancelled

Progress = Callable[[int, int], None]
"""Told how much is done and of how much, on the thread that works."""


def stop_if(cancel: threading.Event | None, message: str) -> None:
    """End the work where its event is set.

    Args:
        cancel: The event; None never stops.
        message: One sentence that says what becomes of the work so far.

    Raises:
        RenderCancelled: The event is set.
    """
    if cancel is not None and cancel.is_set():
        raise RenderCancelled(message)
