"""From a file to its first sound, and what comes before: networks and imports."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from core.audio.files import read_audio
from core.inference.engine import SynthesisEngine
from core.sound import RenderRequest, Sound, TimbreMix
from tests.benchmarks.measuring import Row, milliseconds, sample_paths, time_side_by_side

ROUNDS = 5


def measure(model: Path | None) -> Iterator[Row]:
    """Rows of the table.

    Args:
        model: A bundle; the shipped one if None.
    """
    engine = SynthesisEngine.load(model, "cpu")
    # Each sample once: none finds its timbre refined. The first warms up.
    taken_ms = [_first_sound_ms(engine, path) for path in sample_paths()]
    yield Row(
        measure="file read to first sound at its root key",
        value=median(taken_ms[1:]),
        bar=300.0,
        unit="ms",
        note=f"slowest of {len(taken_ms) - 1} samples: {max(taken_ms[1:]):,.0f} ms",
    )
    taken = time_side_by_side(
        {
            "networks": lambda: SynthesisEngine.load(model, "cpu"),
            "python": lambda: _run_python("pass"),
            "import": lambda: _run_python("import app.cli.main"),
        },
        ROUNDS,
    )
    yield Row(
        measure="loading the networks",
        value=1000 * taken.median_s("networks"),
        bar=1000.0,
        unit="ms",
    )
    yield Row(
        measure="starting Python with `import app.cli.main` ÷ starting Python",
        value=taken.ratio("import", "python"),
        note=f"{milliseconds(taken.median_s('import'))} ÷ {milliseconds(taken.median_s('python'))}",
    )


def _first_sound_ms(engine: SynthesisEngine, path: Path) -> float:
    start = time.perf_counter()
    timbre = engine.analyze(read_audio(path))
    mix = TimbreMix(timbres=(timbre,), weights=(1.0,))
    engine.render(RenderRequest(sound=Sound(mix=mix), notes=(round(timbre.root_pitch),)))
    return 1000 * (time.perf_counter() - start)


def _run_python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)
