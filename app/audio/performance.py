"""Timed events played by a sampler, block by block: the same sound for ears and files.

Shape legend: n frames of a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.audio.midi_events import play
from app.audio.midi_file import TimedEvent
from app.audio.portaudio import CHANNELS
from core.sampler.sampler import Sampler

BLOCK_FRAMES = 512
"""Longest block."""
LONGEST_TAIL_S = 30.0
"""What still sounds so long after the last event is cut, seconds."""
_FADE_BLOCKS = 4  # more than the sampler's fades last after the last voice has been let go


def perform(sampler: Sampler, events: Sequence[TimedEvent]) -> Iterator[NDArray[np.float32]]:
    """Play events from the first frame until the last sound is over.

    Args:
        sampler: With an instrument loaded; nothing else may play it meanwhile.
        events: In order of time; each is heard from the frame nearest to its time.

    Yields:
        Blocks of [2, n], 1 to ``BLOCK_FRAMES`` frames.
    """
    frame = 0
    for timed in events:
        wanted = round(timed.time_s * sampler.sample_rate)
        while frame < wanted:
            n_frames = min(BLOCK_FRAMES, wanted - frame)
            yield _render(sampler, n_frames)
            frame += n_frames
        play(timed.event, sampler)
    sampler.release_all()
    quiet = 0
    for _ in range(round(LONGEST_TAIL_S * sampler.sample_rate / BLOCK_FRAMES)):
        yield _render(sampler, BLOCK_FRAMES)
        quiet = 0 if sampler.meters().active_voices else quiet + 1
        if quiet == _FADE_BLOCKS:
            break


def _render(sampler: Sampler, n_frames: int) -> NDArray[np.float32]:
    block = np.empty((CHANNELS, n_frames), np.float32)
    sampler.render(block)
    return block
