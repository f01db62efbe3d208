"""Steps that verbs share: reading samples, loading the engine, rendering, exporting."""

from __future__ import annotations

import argparse
import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.cli.arguments import parameters_of
from app.cli.console import progress, say, tell
from app.cli.plan import pad_places
from app.models.pad import weights_at
from core.audio.files import AudioClip, read_audio
from core.errors import ParameterError
from core.export.base import export_instrument, openable
from core.inference.building import build_instrument, build_pad
from core.instrument import Instrument, PadInstrument
from core.plan import InstrumentPlan, PadGrid
from core.sound import RenderRequest, RenderSettings, Sound, TimbreMix

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine


def load_engine(model: Path | None, device: str) -> SynthesisEngine:
    """Import torch and load the networks."""
    from core.inference.engine import SynthesisEngine

    return SynthesisEngine.load(model, device, on_message=say)


def read_clips(paths: Sequence[Path]) -> list[AudioClip]:
    """Read every file, so that a bad one is named before anything slow begins."""
    return [read_audio(path) for path in paths]


def instrument_name(clips: Sequence[AudioClip]) -> str:
    """The display name of an instrument made from these clips."""
    return "-".join(clip.name for clip in clips)


def render(
    engine: SynthesisEngine, request: RenderRequest, name: str, cancel: threading.Event
) -> Instrument:
    """Render a request with progress on stderr and give the result its name."""
    with progress("Rendering", "notes") as report:
        instrument = engine.render(request, progress=report, cancel=cancel)
    return dataclasses.replace(instrument, name=name)


def build(
    engine: SynthesisEngine,
    sound: Sound,
    plan: InstrumentPlan,
    name: str,
    cancel: threading.Event,
) -> Instrument:
    """Build an instrument with progress on stderr."""
    with progress("Rendering", "notes") as report:
        return build_instrument(engine, sound, plan, name=name, progress=report, cancel=cancel)


def build_morph(
    engine: SynthesisEngine,
    sound: Sound,
    plan: InstrumentPlan,
    grid: PadGrid,
    name: str,
    cancel: threading.Event,
) -> PadInstrument:
    """Build a pad between the samples with progress on stderr."""
    places = pad_places(len(sound.mix.timbres))

    def weights(x: float, y: float) -> list[float]:
        return [float(weight) for weight in weights_at(np.array([[x, y]]), places)[0]]

    with progress("Rendering", "notes") as report:
        return build_pad(
            engine, sound, plan, grid, weights, name=name, progress=report, cancel=cancel
        )


def export(
    instrument: Instrument | PadInstrument,
    formats: Sequence[str],
    out: Path,
    *,
    force: bool,
    cancel: threading.Event,
) -> None:
    """Export with progress on stderr; tells what to open on stdout."""
    with progress("Writing", "samples") as report:
        export_instrument(instrument, formats, out, force=force, progress=report, cancel=cancel)
    for entry in dict.fromkeys(openable(instrument.name, formats)):
        tell(str(out / entry))


def checked_clips(args: argparse.Namespace) -> list[AudioClip]:
    """The samples, once the lists that go with them are known to fit."""
    n_samples = len(args.samples)
    if args.weights is not None and len(args.weights) != n_samples:
        raise ParameterError(
            f"--weights has {len(args.weights)} values for {n_samples} samples; give one for each."
        )
    if args.pool and n_samples < 2:
        raise ParameterError(
            f"--pool joins notes of one instrument; got {n_samples} sample, so give two or more."
        )
    if args.pool and args.weights is not None:
        raise ParameterError(
            "--weights and --pool exclude each other: notes of one instrument count alike."
        )
    if args.root is not None and len(args.root) not in (1, n_samples):
        raise ParameterError(
            f"--root has {len(args.root)} notes for {n_samples} samples; "
            "give one for all or one for each."
        )
    return read_clips(args.samples)


def listen(args: argparse.Namespace, clips: Sequence[AudioClip]) -> tuple[SynthesisEngine, Sound]:
    """Load the model, listen to the samples, state what notes are to sound like."""
    roots = args.root or [None]
    roots = roots * len(clips) if len(roots) == 1 else roots
    engine = load_engine(args.model, args.device)
    timbres = [engine.analyze(clip, root=root) for clip, root in zip(clips, roots, strict=True)]
    mix = TimbreMix(
        timbres=tuple(timbres),
        weights=args.weights or (1.0,) * len(clips),
        one_instrument=args.pool,
    )
    return engine, Sound(mix=mix, settings=parameters_of(args, RenderSettings))


def fit(engine: SynthesisEngine, sound: Sound, steps: int, cancel: threading.Event) -> Sound:
    """Fit the model to every sample with progress on stderr; 0 steps leave it as it is."""
    if not steps:
        return sound
    fitted = []
    for timbre in sound.mix.timbres:
        with progress("Fitting", "steps") as report:
            fitted.append(engine.fit(timbre, steps=steps, progress=report, cancel=cancel))
    mix = dataclasses.replace(sound.mix, timbres=tuple(fitted))
    return dataclasses.replace(sound, mix=mix)
