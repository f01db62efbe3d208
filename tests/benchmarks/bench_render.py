"""One note of 3 s beside Griffin-Lim, beside Rubber Band and beside its own arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from core.device import cpu_has_fast_bfloat16
from core.inference.engine import SynthesisEngine
from core.mel import MelConfig
from core.sound import ORIGINAL_RANGE, RenderRequest, RenderSettings, Sound, TimbreMix
from tests.benchmarks.measuring import Row, milliseconds, read_sample, time_side_by_side
from tests.core.requests import with_settings
from training.evaluation.baselines import BaselineError, griffin_lim, rubber_band_shift

ROUNDS = 7
SEMITONES = 7
MATRIX_SIZE = 2048
"""Rows and columns of the product whose rate is this machine's arithmetic."""


def measure(model: Path | None) -> Iterator[Row]:
    """Rows of the table.

    Args:
        model: A bundle; the shipped one if None.
    """
    engine = SynthesisEngine.load(model, "cpu")
    timbre = engine.analyze(read_sample("pad"))
    note = round(timbre.root_pitch) + SEMITONES
    mix = TimbreMix(timbres=(timbre,), weights=(1.0,))
    request = RenderRequest(
        sound=Sound(mix=mix, settings=RenderSettings(original_range=0.0)), notes=(note,)
    )  # the networks alone
    engine.render(request)  # refines the timbre, which is done once for all notes
    with FlopCounterMode(display=False) as counter:
        engine.render(request)
    flops = float(counter.get_total_flops())
    strengths = count(1)

    def render_refining() -> None:
        # A strength never asked for before: nothing of the refined mix is in the cache.
        engine.render(with_settings(request, refinement=1.0 - 1e-5 * next(strengths)))

    jobs: dict[str, Callable[[], object]] = {
        "note": lambda: engine.render(request),
        "carried": lambda: engine.render(with_settings(request, original_range=ORIGINAL_RANGE)),
        "refined note": render_refining,
        "griffin-lim": lambda: griffin_lim(timbre.mel, MelConfig()),
        "product": _matrix_product(),
    }
    source = read_sample("pad").samples[0]
    missing = ""
    try:
        rubber_band_shift(source, SEMITONES, engine.sample_rate)
        jobs["rubber band"] = lambda: rubber_band_shift(source, SEMITONES, engine.sample_rate)
    except BaselineError as error:
        missing = str(error)
    taken = time_side_by_side(jobs, ROUNDS)
    own = milliseconds(taken.median_s("note"))

    def beside(other: str) -> str:
        return f"{own} ÷ {milliseconds(taken.median_s(other))}"

    yield Row(
        measure="one 3 s note, features to waveform ÷ Griffin-Lim (32)",
        value=taken.ratio("note", "griffin-lim"),
        bar=1 / 20,
        note=beside("griffin-lim"),
    )
    yield Row(
        measure="the same ÷ Rubber Band R3",
        value=None if missing else taken.ratio("note", "rubber band"),
        bar=1 / 3,
        note=missing or beside("rubber band"),
    )
    product_flops = 2.0 * MATRIX_SIZE**3
    rate = product_flops / taken.median_s("product")
    yield Row(
        measure="the same ÷ its arithmetic floor",
        value=taken.ratio("note", "product") * product_flops / flops,
        bar=3.0,
        note=f"{flops / 1e9:.1f} GFLOP at {rate / 1e9:,.0f} GFLOP/s, {_dtype()}",
    )
    yield Row(
        measure="a note carried by its recording, once shifted ÷ the networks alone",
        value=taken.ratio("carried", "note"),
        note=milliseconds(taken.median_s("carried")),
    )
    yield Row(
        measure="first note of a new timbre ÷ one more note",
        value=taken.ratio("refined note", "note"),
        note=beside("refined note"),
    )


def _dtype() -> torch.dtype:
    """What the engine computes in on this CPU."""
    return torch.bfloat16 if cpu_has_fast_bfloat16() else torch.float32


def _matrix_product() -> Callable[[], object]:
    left, right = (torch.randn(MATRIX_SIZE, MATRIX_SIZE).to(_dtype()) for _ in range(2))
    return lambda: torch.mm(left, right)
