from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import psutil
import pytest

from app.audio.output_stream import OutputSettings, StreamKind, StreamState
from app.audio.player import Player
from core.audio.files import AudioClip
from core.inference.engine import SynthesisEngine
from core.inference.service import NoteReady, RenderService
from core.instrument import Envelope, Instrument, Loop, Region, tile_zones
from core.sound import Sound, TimbreMix
from tests.app.fake_engine import FakeEngine
from tests.helpers.pulse import PulseServer
from tests.helpers.signals import harmonic_tone

RATE = 44_100
PATIENCE_S = 120.0
KEYS = range(36, 85)
STEP_S = 0.01
WARM_UP_SHARE = 0.2
MOST_GROWTH = 24 << 20
"""Bytes that the process may have grown by after the warm-up."""

pytestmark = pytest.mark.audio_device


def instrument(roots: tuple[int, ...], seed: int) -> Instrument:
    generator = np.random.default_rng(seed)
    regions = []
    for root, (low, high) in zip(roots, tile_zones(roots), strict=True):
        partials = tuple(generator.uniform(0.0, 1.0, 6))
        tone = 0.2 * harmonic_tone(440 * 2 ** ((root - 69) / 12), 1.5, RATE, partials=partials)
        loop = Loop(start=22_050, end=44_100) if generator.random() < 0.5 else None
        regions.append(
            Region(root_note=root, low_key=low, high_key=high, samples=tone[None], loop=loop)
        )
    return Instrument(name=f"tones {seed}", sample_rate=RATE, regions=tuple(regions))


@pytest.mark.parametrize(
    "length_s",
    [pytest.param(4.0, id="short"), pytest.param(600.0, id="long", marks=pytest.mark.slow)],
)
def test_wild_playing_neither_breaks_nor_grows(pulse: PulseServer, length_s: float) -> None:
    is_running = threading.Event()

    def on_state(state: StreamState) -> None:
        if state.kind is StreamKind.RUNNING:
            is_running.set()

    player = Player(on_state)
    engine = FakeEngine()
    silence = np.zeros((1, RATE), np.float32)
    timbres = tuple(
        engine.analyze(AudioClip(name=name, samples=silence, sample_rate=RATE), root=root)
        for name, root in (("one", 60.0), ("two", 61.0))
    )

    def on_note(note: NoteReady) -> None:
        player.set_zone(note.region, note.sample_rate)

    service = RenderService(
        lambda: cast(SynthesisEngine, engine), on_note=on_note, cache_bytes=1 << 20
    )
    service.start()
    chance = random.Random(4)
    instruments = [instrument((40, 60, 80), 1), instrument((48, 72), 2), None]

    def move_pad() -> None:
        x = chance.random()
        mix = TimbreMix(timbres=timbres, weights=(1.0 - x, x))
        service.preview(Sound(mix=mix), [60, 67])

    actions: list[tuple[float, Callable[[], None]]] = [
        (30.0, lambda: player.note_on(chance.choice(KEYS), chance.randint(1, 127))),
        (25.0, lambda: player.note_off(chance.choice(KEYS))),
        (10.0, lambda: player.set_pitch_bend(chance.uniform(-2.0, 2.0))),
        (10.0, lambda: player.set_mod_wheel(chance.random())),
        (5.0, lambda: player.set_sustain(chance.random() < 0.3)),
        (5.0, move_pad),
        (1.0, lambda: player.load(chance.choice(instruments))),
        (1.0, lambda: player.set_envelope(Envelope(release_s=chance.uniform(0.001, 1.0)))),
        (0.3, player.panic),
    ]
    weights, calls = zip(*actions, strict=True)
    process = psutil.Process()
    player.load(instruments[0])
    player.open(OutputSettings())
    assert is_running.wait(PATIENCE_S), player.state.message
    pause = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "monitor.f32"
        with pulse.recording_to(path):
            start_s, settled = time.monotonic(), 0
            while (now_s := time.monotonic() - start_s) < length_s:
                chance.choices(calls, weights)[0]()
                meters = player.poll()
                assert meters is not None, player.state.message
                assert meters.active_voices <= 64
                if now_s < WARM_UP_SHARE * length_s:
                    settled = process.memory_info().rss
                pause.wait(STEP_S)
            grown = process.memory_info().rss - settled
        player.close()
        service.close()
        size = path.stat().st_size // 8
        sound = np.memmap(path, np.float32, mode="r", shape=(size, 2))
        loudest = max(float(np.max(np.abs(sound[i : i + RATE]))) for i in range(0, size, RATE))
    assert meters.waiting_events < 64
    assert size > 0.8 * length_s * RATE
    assert 0.05 < loudest <= 1.0  # also false for NaN
    if length_s >= 60.0:  # a short run has no quiet time to settle in
        assert grown < MOST_GROWTH
        assert meters.underruns == 0
