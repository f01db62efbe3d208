"""Recordings and a plan in, a written and verified instrument out: the one pipeline of the program.

Recordings → :func:`listen` → ``Sound`` → :class:`Production` → :func:`make` → ``Instrument`` →
:func:`deliver` → files, read back by other samplers where that is wanted. The command line, batches,
the window and the demo all go this way; each keeps only its manners: how it shows progress, and on
which thread it takes each step.

Torch is imported by the engine given, never here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.audio.files import AudioClip
from core.errors import ParameterError
from core.export.base import check_export, entries_of, export_instrument, openable
from core.inference.building import Renderer, build_instrument, build_pad
from core.instrument import Instrument, PadInstrument
from core.plan import InstrumentPlan, PadGrid
from core.progress import Progress
from core.sound import RenderSettings, Sound, Timbre, TimbreMix

if TYPE_CHECKING:
    from core.verify.report import VerificationReport


class Step(StrEnum):
    """What a production is doing."""

    FITTING = "fitting"
    RENDERING = "rendering"
    WRITING = "writing"
    VERIFYING = "verifying"


StepProgress = Callable[[Step, int, int], None]
"""Told of a step, how much of it is done, and of how much."""


class Listener(Renderer, Protocol):
    """What is needed of a ``SynthesisEngine`` that hears and fits too."""

    def analyze(self, clip: AudioClip, *, root: float | None = None) -> Timbre:
        """Listen to a one-shot."""

    def fit(
        self,
        timbre: Timbre,
        *,
        steps: int,
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
    ) -> Timbre:
        """Bring the model nearer to a recording."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Production:
    """An instrument to be made, and where it goes."""

    name: str
    """Display name of the instrument."""
    sound: Sound
    """What it sounds like."""
    plan: InstrumentPlan
    """What it is made of."""
    grid: PadGrid | None = None
    """Points of a pad between the timbres; None makes one instrument of the mix."""
    places: tuple[tuple[float, float], ...] = ()
    """Where the timbres lie on the pad, x and y in 0–1 from the bottom left; none without a grid."""
    formats: tuple[str, ...]
    """Names from ``core.export.base.FORMATS``."""
    folder: Path
    """Where the files go."""
    is_replacing: bool = False
    """Whether files that exist may be replaced."""
    is_verified: bool = False
    """Whether other samplers open what was written and play its keys."""

    @property
    def n_regions(self) -> int:
        """Recordings of the whole instrument in one format."""
        return self.plan.n_regions * (1 if self.grid is None else len(self.grid.places))

    @property
    def opened(self) -> list[Path]:
        """Files and folders that a person opens, each once."""
        names = dict.fromkeys(openable(self.name, self.formats))
        return [self.folder / name for name in names]

    @property
    def top_level(self) -> list[Path]:
        """Everything that is put into the folder: what is dragged to another program."""
        return [self.folder / name for name in entries_of(self.name, self.formats)]

    def check(self) -> None:
        """Say before anything is rendered what would stop the writing later.

        Raises:
            ParameterError: An unknown format.
            ExportError: The folder cannot be used or holds files that would be overwritten.
        """
        check_export(self.name, self.formats, self.folder, force=self.is_replacing)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What a production left on the disk."""

    files: tuple[Path, ...]
    """All files written, sorted."""
    opened: tuple[Path, ...]
    """Files and folders that a person opens."""
    report: VerificationReport | None = None
    """What other samplers found; None where they were not asked."""


def listen(
    engine: Listener,
    clips: Sequence[AudioClip],
    settings: RenderSettings,
    *,
    roots: Sequence[float | None] = (None,),
    weights: Sequence[float] | None = None,
    one_instrument: bool = False,
    fit_steps: int = 0,
    progress: StepProgress | None = None,
    cancel: threading.Event | None = None,
) -> Sound:
    """The sound of some recordings.

    Args:
        engine: Hears them.
        clips: The recordings, one or more.
        settings: How they are to be rendered.
        roots: Root note of each where it is known, fractional MIDI; one stands for all.
        weights: Share of each; None shares evenly.
        one_instrument: Whether they are notes of one instrument; of a single one it says nothing.
        fit_steps: Steps in which the model is fitted to each, 0–200.
        progress: Told of fitting, for each recording anew.
        cancel: Looked at while fitting.

    Raises:
        AudioFileError: A recording holds too little sound.
        ParameterError: Roots or weights do not fit the recordings, or a number is out of range.
        RenderCancelled: ``cancel`` was set.
    """
    each_root = list(roots) * len(clips) if len(roots) == 1 else list(roots)
    if len(each_root) != len(clips):
        raise ParameterError(f"Got {len(each_root)} root notes for {len(clips)} samples.")
    timbres = [engine.analyze(clip, root=root) for clip, root in zip(clips, each_root, strict=True)]
    mix = TimbreMix(
        timbres=tuple(timbres),
        weights=tuple(weights or (1.0,) * len(clips)),
        one_instrument=one_instrument and len(clips) > 1,
    )
    sound = Sound(mix=mix, settings=settings)
    return fit(engine, sound, fit_steps, progress=progress, cancel=cancel)


def fit(
    engine: Listener,
    sound: Sound,
    steps: int,
    *,
    progress: StepProgress | None = None,
    cancel: threading.Event | None = None,
) -> Sound:
    """The sound with the model fitted to every recording of it; 0 steps leave it as it is.

    Raises:
        ParameterError: ``steps`` is out of range.
        RenderCancelled: ``cancel`` was set.
    """
    if not steps:
        return sound
    fitted = tuple(
        engine.fit(timbre, steps=steps, progress=_of(progress, Step.FITTING), cancel=cancel)
        for timbre in sound.mix.timbres
    )
    return replace(sound, mix=replace(sound.mix, timbres=fitted))


def make(
    production: Production,
    engine: Renderer,
    progress: StepProgress | None = None,
    cancel: threading.Event | None = None,
) -> Instrument | PadInstrument:
    """Render, loop, layer and level what is to be made.

    Raises:
        RenderCancelled: ``cancel`` was set; nothing is kept.
        ParameterError: The production cannot be carried out.
        DeviceError: Memory ran out.
    """
    told = _of(progress, Step.RENDERING)
    sound, plan, name = production.sound, production.plan, production.name
    if production.grid is None:
        return build_instrument(engine, sound, plan, name=name, progress=told, cancel=cancel)
    return build_pad(
        engine,
        sound,
        plan,
        production.grid,
        production.places,
        name=name,
        progress=told,
        cancel=cancel,
    )


def deliver(
    production: Production,
    instrument: Instrument | PadInstrument,
    progress: StepProgress | None = None,
    cancel: threading.Event | None = None,
) -> Delivery:
    """Write what was made, all of it or nothing, and have it verified where that is wanted.

    Raises:
        ParameterError: An unknown format.
        ExportError: Something would be overwritten, or writing failed; nothing was changed.
        RenderCancelled: ``cancel`` was set; during the verification what was written stays.
    """
    files = export_instrument(
        instrument,
        production.formats,
        production.folder,
        force=production.is_replacing,
        progress=_of(progress, Step.WRITING),
        cancel=cancel,
    )
    report = None
    if production.is_verified:
        from core.verify.check import verify_files  # loads other samplers

        told = _of(progress, Step.VERIFYING)
        report = verify_files(production.opened, progress=told, cancel=cancel)
    return Delivery(files=tuple(files), opened=tuple(production.opened), report=report)


def produce(
    production: Production,
    engine: Renderer,
    progress: StepProgress | None = None,
    cancel: threading.Event | None = None,
) -> Delivery:
    """Make and deliver on one thread; see :func:`make` and :func:`deliver`."""
    return deliver(production, make(production, engine, progress, cancel), progress, cancel)


def _of(progress: StepProgress | None, step: Step) -> Progress | None:
    """A plain progress of one step."""
    if progress is None:
        return None
    return lambda done, total: progress(step, done, total)
