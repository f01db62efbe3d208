from __future__ import annotations

import numpy as np

from app.background.render_bridge import looped
from core.audio.pitch import midi_to_hz
from core.inference.service import NoteReady
from core.instrument import Region


def note(decay_per_s: float) -> NoteReady:
    time_s = np.arange(2 * 44100) / 44100
    sound = 0.5 * np.sin(2 * np.pi * midi_to_hz(60) * time_s) * np.exp(-decay_per_s * time_s)
    region = Region(root_note=60, low_key=60, high_key=60, samples=sound.astype(np.float32)[None])
    return NoteReady(sound_key="a", note=60, region=region, sample_rate=44100)


def test_a_note_that_sustains_gets_a_loop() -> None:
    ready = looped(note(0.0))
    loop = ready.region.loop
    assert loop is not None
    turns = loop.length * midi_to_hz(60) / 44100
    assert abs(turns - round(turns)) < 0.02
    assert (ready.note, ready.sound_key, ready.sample_rate) == (60, "a", 44100)


def test_a_note_that_decays_stays_as_it_is() -> None:
    ready = note(6.0)
    assert looped(ready) is ready
