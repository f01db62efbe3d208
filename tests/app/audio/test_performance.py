from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from app.audio import performance
from app.audio.midi_events import NoteOff, NoteOn, PitchBend
from app.audio.midi_file import TimedEvent, scale
from app.audio.performance import perform
from core.instrument import Instrument, Region, tile_zones
from core.sampler.sampler import Sampler
from tests.helpers.signals import harmonic_tone

RATE = 44_100
NOTES = (48, 60, 72)


def loaded_sampler() -> Sampler:
    tones = [0.1 * harmonic_tone(440 * 2 ** ((n - 69) / 12), 2.0, RATE) for n in NOTES]
    regions = tuple(
        Region(root_note=note, low_key=low, high_key=high, samples=tone[None])
        for note, (low, high), tone in zip(NOTES, tile_zones(NOTES), tones, strict=True)
    )
    sampler = Sampler(RATE)
    sampler.load(Instrument(name="tones", sample_rate=RATE, regions=regions))
    return sampler


def sound_of(events: Sequence[TimedEvent]) -> NDArray[np.float32]:
    return np.concatenate(list(perform(loaded_sampler(), events)), axis=1)


def at(time_s: float, event: NoteOn | NoteOff | PitchBend) -> TimedEvent:
    return TimedEvent(time_s=time_s, event=event)


def test_a_performance_is_the_sum_of_its_notes() -> None:
    notes = [(0.1, 0.6, 48, 127), (0.1, 0.9, 65, 80), (0.45, 0.5, 72, 33), (0.7, 1.2, 60, 101)]
    single = [
        [at(start_s, NoteOn(note, velocity)), at(end_s, NoteOff(note))]
        for start_s, end_s, note, velocity in notes
    ]
    together = sound_of(sorted(itertools.chain(*single), key=lambda timed: timed.time_s))
    alone = [sound_of(events) for events in single]
    total = np.zeros_like(together)
    for sound in alone:
        n_frames = min(sound.shape[1], total.shape[1])
        assert not sound[:, n_frames:].any()  # what is cut is silence
        total[:, :n_frames] += sound[:, :n_frames]
    assert np.max(np.abs(together)) > 0.1
    np.testing.assert_allclose(together, total, atol=1e-6)


def test_events_are_heard_at_their_frame() -> None:
    sampler, expected = loaded_sampler(), np.empty((2, 4096), np.float32)
    sampler.note_on(60, 127)
    sampler.render(expected)
    for wanted in (0, 1, 511, 512, 513, 10_007):
        sound = sound_of([at(wanted / RATE, NoteOn(60, 127)), at(0.5, NoteOff(60))])
        assert not sound[:, :wanted].any()
        np.testing.assert_allclose(sound[:, wanted : wanted + 4096], expected, atol=1e-6)


def test_the_length_of_blocks_does_not_change_the_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [*scale(100)[:4], at(1.0, PitchBend(1.0)), at(1.01, NoteOn(50, 90))]
    usual = sound_of(events)
    monkeypatch.setattr(performance, "BLOCK_FRAMES", 77)
    other = sound_of(events)
    n_frames = min(usual.shape[1], other.shape[1])
    np.testing.assert_allclose(usual[:, :n_frames], other[:, :n_frames], atol=1e-6)


def test_it_ends_when_the_last_sound_is_over() -> None:
    sound = sound_of([at(0.0, NoteOn(60, 127))])  # the file forgot to let the key go
    assert sound.shape[1] < 2.5 * RATE
    assert not sound[:, -performance.BLOCK_FRAMES :].any()
