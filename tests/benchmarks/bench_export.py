"""A whole keyboard into an SFZ instrument."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from core.audio.files import read_audio
from core.errors import RenderCancelled
from core.export.base import export_instrument
from core.inference.building import build_instrument
from core.inference.engine import SynthesisEngine
from core.plan import InstrumentPlan
from core.sound import Sound, TimbreMix
from tests.benchmarks.measuring import Row, sample_paths

PIANO = tuple(range(21, 109))
"""The 88 keys of a piano."""
SOUNDS = 3
"""Instruments made; each from another sample, so that none finds its timbre refined."""

CANCELLED_AFTER_S = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8)
"""When exports are cancelled, seconds after their start."""


def measure(model: Path | None) -> Iterator[Row]:
    """Rows of the table.

    Args:
        model: A bundle; the shipped one if None.
    """
    engine = SynthesisEngine.load(model, "cpu")
    timbres = [engine.analyze(read_audio(path)) for path in sample_paths()[: SOUNDS + 1]]
    sounds = [Sound(mix=TimbreMix(timbres=(timbre,), weights=(1.0,))) for timbre in timbres]
    plan = InstrumentPlan(notes=PIANO)
    build_instrument(engine, sounds[-1], InstrumentPlan(notes=PIANO[::6]))  # warms up
    walls_s, ratios = [], []
    for sound in sounds[:-1]:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            instrument = build_instrument(engine, sound, plan)
            export_instrument(instrument, ["sfz"], Path(folder))
            walls_s.append(time.perf_counter() - start)
        frames = sum(region.samples.shape[1] for region in instrument.regions)
        ratios.append(walls_s[-1] / (frames / instrument.sample_rate))
    yield Row(
        measure="88 notes into an SFZ instrument, wall time ÷ playing time",
        value=median(ratios),
        bar=0.02,
        note=f"{median(walls_s):.1f} s, loops and levels included",
    )
    waits_ms = [_wait_ms(engine, sounds[0], after_s) for after_s in CANCELLED_AFTER_S]
    yield Row(
        measure="an export's cancel takes effect",
        value=max(waits_ms),
        bar=200.0,
        unit="ms",
        note=f"longest of {len(waits_ms)}, asked for at different moments",
    )


def _wait_ms(engine: SynthesisEngine, sound: Sound, after_s: float) -> float:
    """Time from a cancel to the end of the work, milliseconds."""
    cancel = threading.Event()
    asked_s: list[float] = []

    def ask() -> None:
        asked_s.append(time.perf_counter())
        cancel.set()

    timer = threading.Timer(after_s, ask)
    timer.start()
    try:
        build_instrument(engine, sound, InstrumentPlan(notes=PIANO), cancel=cancel)
    except RenderCancelled:
        return 1000.0 * (time.perf_counter() - asked_s[0])
    finally:
        timer.cancel()
    return 0.0
