"""The window: how soon it is there, how soon it sounds, whether it ever stops, what it weighs.

Each run is a process of its own, as a person starts it, on Qt's platform without a screen and with
a sound device that takes nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.inference.service import REST_S
from tests.benchmarks.measuring import Row, sample_paths

if TYPE_CHECKING:
    from app.application import Application

ROUNDS = 3
LONGEST_S = 300.0
PHASES = ("dropping 8 files", "rendering 88 notes", "exporting", "dragging the cursor")


class Pause(NamedTuple):
    """How long the window did not answer, ms."""

    longest_ms: float
    own_ms: float
    """The longest that its own work took: what is more was waiting for a processor or for Python."""


Wait = Callable[[Callable[[], bool]], Pause]
_WINDOW_SCRIPT = """
import os, time
from app.cli.window import parse_window_arguments
from PySide6.QtWidgets import QApplication
import app.application as application
application.Application.start_ = application.Application.start
def start(self, *arguments, **options):
    self.start_(*arguments, **options)
    QApplication.processEvents()
    print(time.time(), flush=True)
    os._exit(0)
application.Application.start = start
application.run(parse_window_arguments([]))
"""


def measure(model: Path | None) -> Iterator[Row]:
    """Rows of the table.

    Args:
        model: A bundle; the shipped one if None.
    """
    shown_ms = [_shown_ms() for _ in range(ROUNDS)]
    yield Row(
        measure="window shown after start",
        value=min(shown_ms),
        bar=1500.0,
        unit="ms",
        note=f"slowest of {ROUNDS}: {max(shown_ms):,.0f} ms",
    )
    arguments = [sys.executable, "-m", __name__, "" if model is None else str(model)]
    with tempfile.TemporaryDirectory() as home:
        output = subprocess.run(
            arguments, check=True, capture_output=True, text=True, env=_environment(home)
        ).stdout
    figures = json.loads(output.splitlines()[-1])
    yield Row(
        measure="file dropped on the window to first sound at its root key",
        value=figures["first_sound_ms"],
        bar=300.0,
        unit="ms",
    )
    for phase in PHASES:
        longest_ms, own_ms = figures[phase]
        yield Row(
            measure=f"longest the window did not answer while {phase}",
            value=longest_ms,
            bar=50.0,
            unit="ms",
            note=f"its own work: {own_ms:.0f} ms",
        )
    yield Row(
        measure="memory with 8 sources, all keys rendered",
        value=figures["memory_mb"],
        bar=1024.0,
        unit="MB",
        note="at rest",
    )


def _environment(home: str) -> dict[str, str]:
    return {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": home,
        "XDG_CONFIG_HOME": home,
        "XDG_STATE_HOME": home,
    }


def _shown_ms() -> float:
    with tempfile.TemporaryDirectory() as home:
        begun = time.time()
        output = subprocess.run(
            [sys.executable, "-c", _WINDOW_SCRIPT],
            check=True,
            capture_output=True,
            text=True,
            env=_environment(home),
        ).stdout
    return 1000 * (float(output.splitlines()[0]) - begun)


def _work(model: Path | None) -> dict[str, Any]:
    """Everything that needs a running program, in this process."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from app.application import HANDOVER_S, Application, load_engine
    from app.settings import AppSettings
    from tests.app.audio.fake_audio_system import FakeAudioSystem, device
    from tests.app.program import NoMidi

    qt = QApplication([])
    audio = FakeAudioSystem(device("Nothing", is_default=True))
    folder = Path(os.environ["HOME"])
    program = Application(
        AppSettings(),
        lambda say: load_engine("cpu", model, say),
        audio=audio,
        midi=NoMidi(),
        settings_folder=folder / "settings",
        recovery_folder=folder / "recovery",
    )
    sys.setswitchinterval(HANDOVER_S)
    block = np.zeros((2, 256), np.float32)
    beats: list[tuple[float, float]] = []  # of the clock and of this thread's work
    heart = QTimer(interval=2)
    heart.timeout.connect(lambda: beats.append((time.perf_counter(), time.thread_time())))

    def wait(condition: Callable[[], bool]) -> Pause:
        """Run until something is so; the longest pause of the window meanwhile."""
        beats.clear()
        heart.start()
        until_s = time.perf_counter() + LONGEST_S
        while not condition() and time.perf_counter() < until_s:
            qt.processEvents()
            if audio.streams:
                audio.streams[-1].source.render(block)  # type: ignore[attr-defined]
            time.sleep(0.001)
        heart.stop()
        steps = np.diff(np.array(beats), axis=0) if len(beats) > 1 else np.zeros((1, 2))
        longest, own = (1000.0 * float(value) for value in steps.max(axis=0))
        return Pause(longest, own)

    program.start([], shows_examples=False)
    wait(lambda: bool(audio.streams) and program.service._sample_rate > 0)
    figures: dict[str, Any] = {"first_sound_ms": _first_sound_ms(program, audio, wait)}
    wait(lambda: program.preview.is_complete)
    program.document.new()
    program.importer.add(sample_paths())
    figures["dropping 8 files"] = wait(
        lambda: len(program.document.session.sources) == 8 and not program.library.is_busy
    )
    figures["rendering 88 notes"] = wait(lambda: program.preview.is_complete)
    rested_s = time.monotonic() + REST_S + 1.0
    wait(lambda: time.monotonic() > rested_s)
    figures["memory_mb"] = _memory_mb()
    figures["exporting"] = _export(program, folder, wait)
    figures["dragging the cursor"] = _drag(program, wait)
    program.document.mark_saved(folder / "x.hgs", program.document.session)
    program.window.close()
    program.close()
    return figures


def _first_sound_ms(program: Application, audio: object, wait: Wait) -> float:
    """From the drop to the first block that is not silent, the root key being struck at once."""
    from app.live.keys import KeyOrigin

    block = np.zeros((2, 256), np.float32)
    sampler = audio.streams[-1].source  # type: ignore[attr-defined]
    begun = time.perf_counter()
    program.importer.add(sample_paths()[:1])

    def sounds() -> bool:
        compared = program.preview.compared
        heard = None if compared is None else program.library.first_listen(compared)
        if heard is None:
            return False
        program.keys.press(KeyOrigin.PROGRAM, round(heard.root_pitch), 100)
        sampler.render(block)
        return bool(np.abs(block).max() > 1e-4)

    wait(sounds)
    taken_ms = 1000 * (time.perf_counter() - begun)
    program.keys.let_go(KeyOrigin.PROGRAM)
    return taken_ms


def _export(program: Application, folder: Path, wait: Wait) -> Pause:
    program.exports.show_dialog()
    dialog = program.exports.dialog
    assert dialog is not None
    dialog.folder.setText(str(folder / "out"))
    dialog.run()
    pause = wait(lambda: dialog._job is None)
    dialog.close()
    return pause


def _drag(program: Application, wait: Wait) -> Pause:
    from app.live.keys import KeyOrigin

    program.keys.press(KeyOrigin.PROGRAM, 60, 100)
    begun = time.perf_counter()

    def is_over() -> bool:
        elapsed_s = time.perf_counter() - begun
        program.pad.pad.cursor_moved.emit(0.5 + 0.4 * (elapsed_s % 1.0 - 0.5), 0.4)
        return elapsed_s > 3.0

    pause = wait(is_over)
    program.keys.let_go(KeyOrigin.PROGRAM)
    return pause


def _memory_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 2**20


if __name__ == "__main__":
    path = sys.argv[1]
    sys.stdout.write(json.dumps(_work(Path(path) if path else None)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # libraries may still be at work on threads
