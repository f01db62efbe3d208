"""The render service while somebody plays: a pad that moves, a keyboard that fills."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from app.application import load_engine
from core.inference.service import NoteReady, RenderService
from core.sound import Sound, Timbre, TimbreMix
from tests.benchmarks.measuring import Row, read_sample

MOVES_PER_S = 60.0
DRAG_S = 4.0
SINGLE_MOVES = 40
HELD = 60
KEYBOARD = range(21, 109)
OTHERS = [note for note in KEYBOARD if note != HELD]
PATIENCE_S = 60.0
P95_MS = 100.0


class Player:
    """Plays through a service and notes when what was asked for came.

    Args:
        model: A bundle; the shipped one if None.
    """

    def __init__(self, model: Path | None) -> None:
        self._ready: queue.Queue[tuple[float, NoteReady]] = queue.Queue()
        self.service = RenderService(
            lambda: load_engine("cpu", model),
            on_note=lambda note: self._ready.put((time.perf_counter(), note)),
        )
        self.service.start()
        analyses = [self.service.analyze(read_sample(name)) for name in ("pad", "bowed")]
        self._timbres: Sequence[Timbre] = [each.result(PATIENCE_S) for each in analyses]

    def at(self, position: float) -> Sound:
        """Settings of a place between the two sounds, 0 to 1."""
        mix = TimbreMix(timbres=tuple(self._timbres), weights=(position, 1.0 - position))
        return Sound(mix=mix)

    def wait(self) -> tuple[float, NoteReady]:
        """The next note, and when it came."""
        return self._ready.get(timeout=PATIENCE_S)

    def ask(self, position: float, notes: Sequence[int], others: Sequence[int] = ()) -> float:
        """Move the pad and wait for some notes, whatever the others do; seconds that it took."""
        settings = self.at(position)
        begun = time.perf_counter()
        self.service.preview(settings, [*notes, *others])
        missing = set(notes)
        while missing:
            came, note = self.wait()
            if note.sound_key == settings.key:
                missing.discard(note.note)
        return came - begun

    def drag(self) -> list[float]:
        """Move the pad without rest: for each move, seconds until a note at least as new came."""
        moved: dict[str, float] = {}
        begun = time.perf_counter()
        for number in range(round(DRAG_S * MOVES_PER_S)):
            time.sleep(max(0.0, begun + number / MOVES_PER_S - time.perf_counter()))
            settings = self.at(0.2 + 0.6 * number / (DRAG_S * MOVES_PER_S))
            moved[settings.key] = time.perf_counter()
            self.service.preview(settings, [HELD])
        last = settings.key
        waiting = list(moved.items())
        taken: list[float] = []
        while waiting:
            came, note = self.wait()
            newest = moved[note.sound_key]
            taken += [came - asked for _, asked in waiting if asked <= newest]
            waiting = [(key, asked) for key, asked in waiting if asked > newest]
        assert note.sound_key == last
        return taken


def measure(model: Path | None) -> Iterator[Row]:
    """Rows of the table.

    Args:
        model: A bundle; the shipped one if None.
    """
    player = Player(model)
    try:
        player.ask(0.5, [HELD])  # the sounds are refined once
        player.service.set_held([HELD])
        positions = np.linspace(0.1, 0.9, SINGLE_MOVES)
        single = [player.ask(float(position), [HELD]) for position in positions]
        yield _delay("pad moved once → held note rendered anew, p95", single, P95_MS)
        busy = [player.ask(float(position), [HELD], OTHERS) for position in positions + 1e-3]
        yield _delay("the same while the other keys are rendered, p95", busy)
        player.ask(0.5, [HELD])
        yield _delay("pad dragged at 60 Hz → a held note as new, p95", player.drag(), P95_MS)
        player.service.set_held([])
        keyboard_s = player.ask(0.55, KEYBOARD)
        yield Row(
            measure="88 notes of a new timbre, time per note",
            unit="ms",
            value=1000.0 * keyboard_s / len(KEYBOARD),
            note=f"{len(KEYBOARD) / keyboard_s:.0f} notes per second",
        )
        player.ask(0.6, [HELD])
        yield _delay("back to a timbre rendered before, 88 notes", [player.ask(0.55, KEYBOARD)])
    finally:
        player.service.close()


def _delay(what: str, seconds: Sequence[float], bar_ms: float | None = None) -> Row:
    middle, slow = np.percentile(1000.0 * np.asarray(seconds), [50, 95])
    return Row(measure=what, value=float(slow), bar=bar_ms, unit="ms", note=f"p50 {middle:.0f} ms")
