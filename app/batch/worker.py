"""One instrument of a batch, made in whatever process or host the order reaches.

Everything here travels by pickle between processes of the same program. Sources and destination
must be reachable by the same paths wherever workers are.
"""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from app.option_text import described
from core.audio.files import read_audio
from core.errors import CoreError, RenderCancelled
from core.inference.production import Production, listen, produce
from core.plan import InstrumentPlan
from core.sound import RenderSettings

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What every instrument of a batch is made like."""

    formats: tuple[str, ...]
    plan: InstrumentPlan
    settings: RenderSettings = field(default_factory=RenderSettings)
    fit_steps: int = 0
    """Steps of fitting the model to each sound; 0 is none."""
    model: Path | None = None
    device: str = "auto"
    """See ``SynthesisEngine.load``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One instrument to be made."""

    name: str
    sources: tuple[Path, ...]
    """A recording, or several notes of one instrument."""
    out: Path
    """Folder of the instrument."""
    recipe: Recipe
    force: bool
    """Replace files that exist."""
    n_threads: int
    """That the networks may use."""
    stop_file: Path
    """The work stops when it exists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an order ended."""

    order: Order
    files: tuple[Path, ...] = ()
    """Written; none where it failed."""
    error: str | None = None
    """Why it failed."""
    is_cancelled: bool = False
    """Stopped before its end; nothing was written."""
    seconds: float = 0.0
    """Time it took."""


class StopFile(threading.Event):
    """An event that is set when a file exists, so that it reaches every process and host.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def is_set(self) -> bool:
        """Whether the file exists."""
        return self._path.exists()


def make_instrument(order: Order) -> Outcome:
    """Listen, render and export; errors of the core are an outcome."""
    start_s = time.monotonic()
    cancel = StopFile(order.stop_file)
    try:
        files = _make(order, cancel)
    except RenderCancelled:
        return Outcome(order=order, is_cancelled=True)
    except CoreError as error:
        return Outcome(order=order, error=described(error), seconds=time.monotonic() - start_s)
    return Outcome(order=order, files=files, seconds=time.monotonic() - start_s)


def _make(order: Order, cancel: threading.Event) -> tuple[Path, ...]:
    recipe = order.recipe
    clips = [read_audio(path) for path in order.sources]
    engine = _engine(recipe.model, recipe.device, order.n_threads, threading.get_ident())
    production = Production(
        name=order.name,
        sound=listen(
            engine,
            clips,
            recipe.settings,
            one_instrument=True,
            fit_steps=recipe.fit_steps,
            cancel=cancel,
        ),
        plan=recipe.plan,
        formats=recipe.formats,
        folder=order.out,
        is_replacing=order.force,
    )
    return produce(production, engine, cancel=cancel).files


@lru_cache(maxsize=4)
def _engine(model: Path | None, device: str, n_threads: int, _thread: int) -> SynthesisEngine:
    """The engine of this process and thread, loaded once."""
    import torch

    from core.inference.engine import SynthesisEngine

    torch.set_num_threads(n_threads)
    return SynthesisEngine.load(model, device)


def ignore_interrupts() -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that gives orders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
