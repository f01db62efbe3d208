"""What is known of a recording without the networks: its note, root and picture.

Shape legend: C channels, T samples, N columns of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.waveform import waveform_envelope
from core.audio.file_facts import RootOrigin
from core.audio.files import AudioClip
from core.audio.loudness import HEADROOM_DB
from core.audio.root import find_root
from core.audio.signal import isolate_note
from core.instrument import HIGHEST_KEY, Instrument, Region

THUMBNAIL_COLUMNS = 64
_PEAK = 10.0 ** ((-1.0 - HEADROOM_DB) / 20.0)  # of a recording that is played: as loud as its keys


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FirstListen:
    """One listening to the used part of a recording."""

    name: str
    samples: NDArray[np.float32]
    """The note alone, peak 1, [T]."""
    sample_rate: int
    """Hz."""
    root_pitch: float
    """Fractional MIDI note: the user's, the detected one, or what the file says."""
    root_origin: RootOrigin = RootOrigin.HEARD
    """Where it is known from."""
    confidence: float
    """How clearly a pitch is heard, 0 to 1; 1 where the user set the root."""
    onset_s: float
    """Where the note starts, seconds from the start of the used part."""
    thumbnail: NDArray[np.float32]
    """Lowest and highest sample of each column of the used part, [N, 2]."""

    @property
    def is_root_heard(self) -> bool:
        """Whether the root is what was heard."""
        return self.root_origin is RootOrigin.HEARD

    def instrument(self, gain: float = 1.0) -> Instrument:
        """The recording itself over the whole keyboard, resampled as samplers do.

        Args:
            gain: 0–1, beside the loudness of rendered keys.
        """
        note = min(max(round(self.root_pitch), 0), HIGHEST_KEY)
        # A region has no fine tuning: a recording that is a little sharp is said to be slower.
        rate = round(self.sample_rate * 2.0 ** ((note - self.root_pitch) / 12.0))
        region = Region(
            root_note=note,
            low_key=0,
            high_key=HIGHEST_KEY,
            samples=self.samples[None] * np.float32(_PEAK * gain),
        )
        return Instrument(name=self.name, sample_rate=rate, regions=(region,))


def hear(clip: AudioClip, root: float | None) -> FirstListen:
    """Listen to a recording: some 30 ms of work.

    Args:
        clip: The used part.
        root: Its fractional MIDI note where the user knows better.

    Raises:
        AudioFileError: There is too little sound in it.
    """
    note = isolate_note(clip)
    found = find_root(note, clip.facts, root)
    return FirstListen(
        name=clip.name,
        samples=note.samples,
        sample_rate=note.sample_rate,
        root_pitch=found.midi_pitch,
        root_origin=found.origin,
        confidence=found.confidence,
        onset_s=note.onset_s,
        thumbnail=thumbnail(clip.samples),
    )


def thumbnail(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lowest and highest sample of each column at full height, [C, T] to [N, 2]."""
    envelope = waveform_envelope(samples, THUMBNAIL_COLUMNS)
    peak = max(float(np.abs(envelope).max(initial=0.0)), 1e-9)
    return (envelope / peak).astype(np.float32)
