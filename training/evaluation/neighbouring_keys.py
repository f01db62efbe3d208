"""How smoothly instruments run from key to key: rendered ones beside true ones.

Shape legend: N notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

from core.audio.loudness import momentary_loudness_db
from core.instrument import HIGHEST_KEY
from core.sound import ORIGINAL_RANGE, RenderRequest, RenderSettings, Sound, TimbreMix
from training.data.dataset import CorpusSplit
from training.data.pairs import Indices
from training.evaluation.draws import draw_sources, is_whole_note
from training.evaluation.measures import log_mel_rmse_db
from training.evaluation.workbench import Workbench

NEIGHBOUR_SEMITONES = 3
"""Widest step between two notes of the corpus that still count as neighbouring keys."""
NEIGHBOUR_REACH = 15
"""Semitones from the root within which neighbouring keys are compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyStep:
    """How much two neighbouring keys of one rendered instrument differ."""

    mel_db: float
    """Log-mel RMSE between the two keys."""
    level_db: float
    """Difference of the loudness of the two keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """Neighbouring keys of several instruments."""

    true_db: tuple[float, ...]
    """Log-mel RMSE between true notes up to NEIGHBOUR_SEMITONES apart."""
    rendered: tuple[KeyStep, ...]
    """Steps between rendered keys, at the pitches of the true notes."""
    crossover: tuple[KeyStep, ...]
    """Steps from the last key that is the recording itself to the next, a semitone away."""


def compare_neighbours(bench: Workbench, rng: np.random.Generator, count: int) -> Neighbours:
    """Step from key to key, in rendered instruments and in true ones.

    Args:
        bench: Bundle and true notes.
        rng: Draws the sources.
        count: How many instruments.
    """
    split = bench.split
    true: list[float] = []
    rendered: list[KeyStep] = []
    crossover: list[KeyStep] = []
    for source in draw_sources(rng, bench.pairs, count):
        indices = _neighbours_of(split, int(source))
        edges = _crossover_keys(float(split.midi_pitch[source]))
        known = np.round(split.midi_pitch[indices]).astype(int).tolist()
        keyboard = _Keyboard(bench, int(source), sorted({*known, *chain(*edges)}))
        for (one, low), (other, high) in pairwise(zip(indices, known, strict=True)):
            if 0 < high - low <= NEIGHBOUR_SEMITONES:
                mels = split.mels([one, other])
                true.append(float(log_mel_rmse_db(mels[:1], mels[1:], bench.unit_db)[0]))
                rendered.append(keyboard.step(low, high))
        crossover += [keyboard.step(low, high) for low, high in edges]
    return Neighbours(true_db=tuple(true), rendered=tuple(rendered), crossover=tuple(crossover))


class _Keyboard:
    """An instrument rendered from one note of the corpus.

    Args:
        bench: Bundle and true notes.
        source: Index of the note.
        keys: Keys rendered.
    """

    def __init__(self, bench: Workbench, source: int, keys: list[int]) -> None:
        self.unit_db = bench.unit_db
        mix = TimbreMix(timbres=(bench.analyze(source),), weights=(1.0,))
        velocity = int(bench.split.velocity[source])
        request = RenderRequest(
            sound=Sound(mix=mix, settings=RenderSettings(velocity=velocity)), notes=tuple(keys)
        )
        sounds = [region.samples for region in bench.engine.render(request).regions]
        mels = bench.mels_of([bench.whole_note(sound) for sound in sounds])
        levels = [momentary_loudness_db(sound, bench.sample_rate) for sound in sounds]
        self._keys = dict(zip(keys, zip(mels, levels, strict=True), strict=True))

    def step(self, low: int, high: int) -> KeyStep:
        """Difference of two keys of the instrument."""
        (low_mel, low_level), (high_mel, high_level) = self._keys[low], self._keys[high]
        mel_db = log_mel_rmse_db(low_mel[None], high_mel[None], self.unit_db)[0]
        return KeyStep(mel_db=float(mel_db), level_db=abs(high_level - low_level))


def _neighbours_of(split: CorpusSplit, source: int) -> Indices:
    """Whole notes around a source, of its instrument and velocity, from low to high."""
    own = split.notes_of[split.instrument[source]]
    is_near = np.abs(split.midi_pitch[own] - split.midi_pitch[source]) <= NEIGHBOUR_REACH
    is_alike = split.velocity[own] == split.velocity[source]
    own = own[is_near & is_alike & is_whole_note(split)[own]]
    ordered: Indices = own[np.argsort(split.midi_pitch[own])]
    return ordered


def _crossover_keys(root: float) -> list[tuple[int, int]]:
    """The neighbouring keys where the recording itself ends, below and above the root."""
    last, first = int(np.floor(root + ORIGINAL_RANGE)), int(np.ceil(root - ORIGINAL_RANGE))
    pairs = [(first - 1, first), (last, last + 1)]
    return [(low, high) for low, high in pairs if low >= 0 and high <= HIGHEST_KEY]
