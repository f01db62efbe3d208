"""A whole keyboard into an SFZ instrument."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from core.audio.files import read_audio
from core.export.base import export_instrument
from core.inference.engine import SynthesisEngine
from core.inference.request import RenderRequest, TimbreMix
from tests.benchmarks.measuring import Row, sample_paths

PIANO = tuple(range(21, 109))
"""The 88 keys of a piano."""
SOUNDS = 3
"""Instruments made; each from another sample, so that none finds its timbre refined."""


def measure(model: Path | None) -> Iterator[Row]:
    """Rows of the table.

    Args:
        model: A bundle; the shipped one if None.
    """
    engine = SynthesisEngine.load(model, "cpu")
    timbres = [engine.analyze(read_audio(path)) for path in sample_paths()[: SOUNDS + 1]]
    requests = [
        RenderRequest(mix=TimbreMix(timbres=(timbre,), weights=(1.0,)), notes=PIANO)
        for timbre in timbres
    ]
    warm_up = RenderRequest(mix=requests[-1].mix, notes=PIANO[:16])
    walls_s, ratios = [], []
    for request in (warm_up, *requests[:-1]):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            instrument = engine.render(request)
            export_instrument(instrument, ["sfz"], Path(folder))
            walls_s.append(time.perf_counter() - start)
        frames = sum(region.samples.shape[1] for region in instrument.regions)
        ratios.append(walls_s[-1] / (frames / instrument.sample_rate))
    yield Row(
        measure="88 notes into an SFZ instrument, wall time ÷ playing time",
        value=median(ratios[1:]), bar=0.02, note=f"{median(walls_s[1:]):.1f} s",
    )  # fmt: skip
