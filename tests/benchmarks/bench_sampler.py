"""The audio callback: its share of a block while notes sound, and how soon it is ready."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.instrument import Instrument, Loop, Region
from core.sampler.sampler import Sampler
from tests.benchmarks.measuring import Row

RATE = 44100
BLOCK = 256
BLOCKS = 2000
"""Blocks timed for each number of voices: 12 s of music."""
BAR_VOICES = 32
ROOT = 60


def measure(_model: Path | None) -> Iterator[Row]:
    """Rows of the table; no networks are needed.

    Time is that of the thread on its processor: what other programs take is not the callback's.
    """
    for voices in (1, 8, BAR_VOICES, 64):
        shares = _shares(voices)
        p50, p99 = np.quantile(shares, (0.5, 0.99))
        yield Row(
            measure=f"callback at {voices} voices, p99 share of a {BLOCK}-frame block",
            value=float(p99),
            bar=0.20 if voices == BAR_VOICES else None,
            note=f"p50 {100 * p50:.2f} %, most {100 * shares.max():.2f} %",
        )
    code = (
        "import time; start = time.perf_counter(); from core.sampler.sampler import Sampler; "
        f"Sampler({RATE}).compile(); print(time.perf_counter() - start)"
    )
    ready_s = min(_run_python(code) for _ in range(3))
    yield Row(
        measure="importing, making and readying a sampler, cached", value=1000 * ready_s, unit="ms"
    )


def _shares(voices: int) -> NDArray[np.float64]:
    """Shares of their block that callbacks took: held notes between frames, with vibrato."""
    sampler = Sampler(RATE)
    sampler.load(_instrument())
    sampler.set_mod_wheel(1.0)
    for voice in range(voices):
        # From the root outwards: half of the notes are lower, half higher.
        sampler.note_on(ROOT + (voice + 1) // 2 * (-1) ** voice, 100)
    out = np.zeros((2, BLOCK), np.float32)
    for _ in range(50):
        sampler.render(out)
    shares = np.empty(BLOCKS)
    for block in range(BLOCKS):
        start = time.thread_time_ns()
        sampler.render(out)
        shares[block] = (time.thread_time_ns() - start) / 1e9 / (BLOCK / RATE)
    assert sampler.meters().active_voices == voices
    return shares


def _instrument() -> Instrument:
    """One looped sawtooth for all keys."""
    period, turns = 168, 500
    saw = np.tile(np.linspace(-0.1, 0.1, period, dtype=np.float32), turns + 2)[None]
    loop = Loop(start=period, end=period * (turns + 1))
    region = Region(root_note=ROOT, low_key=0, high_key=127, samples=saw, loop=loop)
    return Instrument(name="saw", sample_rate=RATE, regions=(region,))


def _run_python(code: str) -> float:
    """The number that some code prints."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)
