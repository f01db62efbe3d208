"""Steps that verbs share: reading samples, loading the engine, listening, making an instrument."""

from __future__ import annotations

import argparse
import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.arguments import parameters_of
from app.cli.console import progress, say, step_progress
from core.audio.files import AudioClip, read_audio
from core.errors import ParameterError
from core.inference import production
from core.instrument import Instrument
from core.sound import RenderRequest, RenderSettings, Sound

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
    engine = load_engine(args.model, args.device)
    sound = production.listen(
        engine,
        clips,
        parameters_of(args, RenderSettings),
        roots=args.root or (None,),
        weights=args.weights,
        one_instrument=args.pool,
    )
    return engine, sound


def fit(engine: SynthesisEngine, sound: Sound, steps: int, cancel: threading.Event) -> Sound:
    """Fit the model to every sample with progress on stderr; 0 steps leave it as it is."""
    with step_progress() as report:
        return production.fit(engine, sound, steps, progress=report, cancel=cancel)


def render(
    engine: SynthesisEngine, request: RenderRequest, name: str, cancel: threading.Event
) -> Instrument:
    """Render a request with progress on stderr and give the result its name."""
    with progress("Rendering", "notes") as report:
        instrument = engine.render(request, progress=report, cancel=cancel)
    return dataclasses.replace(instrument, name=name)
