"""Playing through a sound server without a sound card, while everything else works too."""

from __future__ import annotations

import itertools
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from app.application import load_engine
from app.audio.output_stream import OutputSettings, StreamKind, StreamState
from app.audio.player import Player
from app.audio.portaudio import BUFFERED_BLOCKS
from app.background.render_bridge import looped
from core.inference.engine import SynthesisEngine
from core.inference.service import NoteReady, RenderService
from core.instrument import Instrument, Loop, Region
from core.sampler.sampler import Meters, Sampler
from core.sound import Sound, Timbre, TimbreMix
from tests.benchmarks.measuring import Row, milliseconds, read_sample
from tests.helpers.pulse import PulseServer, missing_part, pulse_server
from tests.helpers.signals import sine

RATE = 44_100
BLOCK_FRAMES = 256
PLAY_S = 60.0
"""How long the machine-code callback plays under load, seconds."""
RIVAL_S = 15.0
"""How long the Python callback plays under load, seconds."""
VOICES = 32
LOWEST_KEY = 36
PAD_KEY = 100
"""Held while the pad moves; far from the keys that sound all the time."""
PAD_HZ = 60.0
"""Pad moves a second under load."""
KEYS_DOWN = 20
PAD_MOVES = 40
NOTES = tuple(range(21, 109))
GAP_FRAMES = 32
"""So many frames of exact silence are a gap: 32 sines are never silent for so long."""
PATIENCE_S = 120.0
"""For the machine code to be made and a state to be reached."""
SETTLE_S = 0.5
"""The recorder's start, left out of what is heard, seconds."""
_READ_FRAMES = 64
_LEVEL = 0.02  # of each voice: 32 stay below the limiter


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What became of sound under load."""

    gaps: int
    """Times that nothing came."""
    silent_blocks: float
    """Blocks' worth of silence in them."""


def measure(model: Path | None, play_s: float = PLAY_S) -> Iterator[Row]:
    """Rows of the table.

    Args:
        model: A bundle; the shipped one if None.
        play_s: How long to play under load, seconds.
    """
    missing = missing_part()
    if missing:
        yield Row(measure="playing through a sound server", value=None, note=missing)
        return
    engine = load_engine("cpu", model)
    timbres = tuple(engine.analyze(read_sample(name)) for name in ("pad", "bell"))
    with tempfile.TemporaryDirectory() as folder, pulse_server(Path(folder), RATE) as server:
        yield from _under_load(server, engine, timbres, play_s)
        yield from _answering(server, engine, timbres)
    yield _notes_per_second(engine, timbres)


def _under_load(
    server: PulseServer, engine: SynthesisEngine, timbres: Sequence[Timbre], play_s: float
) -> Iterator[Row]:
    with _playing() as player, _load(engine, timbres, player.set_zone) as notes:
        before, start_s = _meters(player), time.monotonic()
        heard = _listen(server, play_s)
        after, end_s = _meters(player), time.monotonic()
    expected = (end_s - start_s) * RATE / BLOCK_FRAMES
    lost = max(0.0, expected - (after.blocks - before.blocks) - BUFFERED_BLOCKS)
    yield Row(
        measure=f"gaps at the sink's monitor in {play_s:.0f} s",
        value=heard.gaps,
        bar=0,
        note=f"{heard.silent_blocks:.1f} blocks silent; {VOICES} voices, Python hogs the GIL, "
        f"the pad moves, {len(notes)} notes are rendered",
    )
    yield Row(
        measure="underruns that PortAudio reports meanwhile",
        bar=0,
        value=after.underruns - before.underruns,
    )
    yield Row(
        measure="blocks lost by the callback meanwhile",
        value=math.floor(lost),
        bar=0,
        note=f"of {expected:,.0f}",
    )
    rival_s = min(RIVAL_S, play_s)
    with _playing_in_python(), _load(engine, timbres, lambda region, sample_rate: None):
        rival = _listen(server, rival_s)
    yield Row(
        measure=f"rival, a callback in Python: gaps in {rival_s:.0f} s",
        value=rival.gaps,
        note=f"{rival.silent_blocks:.0f} blocks silent",
    )


def _answering(
    server: PulseServer, engine: SynthesisEngine, timbres: Sequence[Timbre]
) -> Iterator[Row]:
    with _playing(held=()) as player:
        keys_s = _keys_to_sound(server, player)
        moves_s = _pad_to_zone(player, engine, timbres)
    key_s = median(keys_s)
    yield Row(
        measure="key down to first sound at the sink's monitor",
        value=1000 * key_s,
        unit="ms",
        note=f"{milliseconds(min(keys_s))} to {milliseconds(max(keys_s))}, recorder included",
    )
    moved_s = float(np.percentile(moves_s, 95))
    yield Row(
        measure="pad moved to new timbre on a held note, p95",
        value=1000 * (moved_s + key_s),
        bar=100.0,
        unit="ms",
        note=f"rendered in {milliseconds(median(moves_s))}, p95 {milliseconds(moved_s)}; "
        f"then heard as a key is, {milliseconds(key_s)}",
    )


def _notes_per_second(engine: SynthesisEngine, timbres: Sequence[Timbre]) -> Row:
    ready, is_done = list[NoteReady](), threading.Event()

    def on_note(note: NoteReady) -> None:
        ready.append(note)
        if len(ready) == len(NOTES):
            is_done.set()

    service = RenderService(lambda: engine, on_note=on_note)
    service.start()
    start_s = time.monotonic()
    service.preview(_settings(timbres, 0.123), NOTES)
    assert is_done.wait(PATIENCE_S)
    taken_s = time.monotonic() - start_s
    service.close()
    return Row(
        measure=f"notes ready per second, of {len(NOTES)}", value=len(NOTES) / taken_s, unit="notes"
    )


@contextmanager
def _playing(
    held: Sequence[int] = tuple(range(LOWEST_KEY, LOWEST_KEY + VOICES)),
) -> Iterator[Player]:
    """A player on the default device that sustains some keys."""
    is_running = threading.Event()

    def on_state(state: StreamState) -> None:
        if state.kind is StreamKind.RUNNING:
            is_running.set()

    player = Player(on_state)
    player.load(_sustained())
    player.open(OutputSettings(block_frames=BLOCK_FRAMES, sample_rate=RATE))
    assert is_running.wait(PATIENCE_S), player.state.message
    for key in held:
        player.note_on(key, 127)
    try:
        yield player
    finally:
        player.close()


@contextmanager
def _playing_in_python() -> Iterator[None]:
    """The rival: the same sampler, called by PortAudio through Python."""
    import sounddevice

    sampler = Sampler(RATE)
    sampler.load(_sustained())
    for key in range(LOWEST_KEY, LOWEST_KEY + VOICES):
        sampler.note_on(key, 127)

    def callback(out: Any, frames: int, _time: object, _status: object) -> None:
        block = np.empty((2, frames), np.float32)
        sampler.render(block)
        out[:] = block.T

    with sounddevice.OutputStream(
        samplerate=RATE,
        blocksize=BLOCK_FRAMES,
        channels=2,
        dtype="float32",
        latency=BUFFERED_BLOCKS * BLOCK_FRAMES / RATE,
        callback=callback,
    ):
        yield


@contextmanager
def _load(
    engine: SynthesisEngine,
    timbres: Sequence[Timbre],
    on_zone: Callable[[Region, int], None],
) -> Iterator[list[NoteReady]]:
    """A GIL hogged, a pad dragged, notes rendered; yields the notes that are ready."""
    ready: list[NoteReady] = []
    stop = threading.Event()

    def on_note(note: NoteReady) -> None:
        ready.append(note)
        on_zone(note.region, note.sample_rate)

    def hog() -> None:
        while not stop.is_set():
            sum(range(100_000))

    def drag() -> None:
        for step in itertools.count():
            if stop.wait(1 / PAD_HZ):
                return
            service.preview(_settings(timbres, 0.5 + 0.5 * math.sin(step / 50)), NOTES)

    service = RenderService(lambda: engine, on_note=on_note)
    service.start()
    service.set_held([PAD_KEY])
    threads = [threading.Thread(target=work, daemon=True) for work in (hog, drag)]
    for thread in threads:
        thread.start()
    try:
        yield ready
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        service.close()


def _listen(server: PulseServer, length_s: float) -> Heard:
    """Record for some time, counting what is missing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "monitor.f32"
        with server.recording_to(path):
            threading.Event().wait(SETTLE_S + length_s)
        sound = np.fromfile(path, np.float32)
    frames = sound[: len(sound) // 2 * 2].reshape(-1, 2)[round(SETTLE_S * RATE) :]
    is_silent = ~frames.any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_silent.astype(np.int8), [0]])))
    lengths = edges[1::2] - edges[::2]
    gaps = lengths[lengths >= GAP_FRAMES]
    return Heard(gaps=len(gaps), silent_blocks=float(gaps.sum()) / BLOCK_FRAMES)


def _keys_to_sound(server: PulseServer, player: Player) -> list[float]:
    """Seconds from key down to the first frame that is not silent, some times over."""
    taken_s = []
    with server.recording() as recorder:
        recorder.read(RATE // 4)
        for _ in range(KEYS_DOWN):
            while recorder.read(RATE // 20).any():
                player.panic()
            start_s = time.monotonic()
            player.note_on(LOWEST_KEY, 127)
            while not recorder.read(_READ_FRAMES).any():
                pass
            taken_s.append(time.monotonic() - start_s)
            player.note_off(LOWEST_KEY)
    return taken_s


def _pad_to_zone(player: Player, engine: SynthesisEngine, timbres: Sequence[Timbre]) -> list[float]:
    """Seconds from a move of the pad to the held key's new recording in the sampler."""
    arrived = threading.Event()

    def on_note(note: NoteReady) -> None:
        ready = looped(note)
        player.set_zone(ready.region, ready.sample_rate)
        arrived.set()

    service = RenderService(lambda: engine, on_note=on_note)
    service.start()
    service.set_held([PAD_KEY])
    player.note_on(PAD_KEY, 127)
    taken_s = []
    for move in range(PAD_MOVES + 1):
        arrived.clear()
        start_s = time.monotonic()
        service.preview(_settings(timbres, (move + 0.5) / (PAD_MOVES + 1)), [PAD_KEY])
        assert arrived.wait(PATIENCE_S)
        taken_s.append(time.monotonic() - start_s)
        threading.Event().wait(0.05)
    service.close()
    return taken_s[1:]  # the first refines both timbres


def _settings(timbres: Sequence[Timbre], x: float) -> Sound:
    return Sound(mix=TimbreMix(timbres=tuple(timbres), weights=(1.0 - x, x)))


def _meters(player: Player) -> Meters:
    meters = player.poll()
    assert meters is not None
    return meters


def _sustained() -> Instrument:
    """A sine that sustains, for all keys."""
    samples = _LEVEL * sine(441.0, 1.0, RATE)  # whole periods of 100 frames
    region = Region(
        root_note=LOWEST_KEY + VOICES // 2,
        low_key=0,
        high_key=127,
        samples=samples[None],
        loop=Loop(start=10_000, end=40_000),
    )
    return Instrument(name="sine", sample_rate=RATE, regions=(region,))
