"""Study `pooling`: what a second and a third note of one instrument are worth.

Some notes of each recorded instrument are given in an order drawn by chance, others are true notes to
compare with, of which no recording was given: so more notes help by lying nearer, and by standing on
both sides. The first table has
what a user hears; the second the model with carry-over alone, in which no recording sounds.

Shape legend: N notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.sound import (
    ORIGINAL_RANGE,
    SOURCE_VELOCITY,
    RenderRequest,
    RenderSettings,
    Sound,
    Timbre,
    TimbreMix,
)
from training.data.dataset import step_rng
from training.data.pairs import Indices
from training.evaluation.config import EvaluateConfig
from training.evaluation.draws import comparable_pairs, is_whole_note
from training.evaluation.measures import log_mel_rmse_db, timbre_distance_db
from training.evaluation.tables import Table
from training.evaluation.workbench import Workbench

GIVEN = (1, 2, 3)
"""Numbers of notes that are given."""
TARGETS = 8
"""Most true notes of an instrument that are compared with."""
LEAST_TARGETS = 4
"""Fewest true notes of an instrument that are compared with."""
BINS = ((0, 5), (6, 11), (12, 17), (18, 29), (30, 127))
"""Semitones to the nearest note given, both ends included."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Case:
    """One instrument, some of its notes to give and others to compare with."""

    timbres: tuple[Timbre, ...]
    """Notes to give, in this order."""
    targets: Indices
    """Notes to compare with: indices into the split, [N]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Heard:
    """Rendered notes beside the true ones."""

    semitones: NDArray[np.float64]
    """Semitones to the nearest note given, [N]."""
    rmse_db: NDArray[np.float32]
    """Log-mel RMSE to the true notes, [N]."""
    timbre_db: NDArray[np.float64]
    """Distance of the spectral envelopes to those of the true notes, [N]."""


def study_pooling(bench: Workbench, config: EvaluateConfig) -> list[Table]:
    """Give one to three notes of `neighbour_instruments` × 2 instruments, render the others."""
    rng = step_rng(config.seed, 0, 23)
    cases = draw_cases(bench, rng, 2 * config.neighbour_instruments)
    return [
        _table(title, {count: _hear(bench, cases, count, original) for count in GIVEN})
        for title, original in (
            ("The instrument a user gets", ORIGINAL_RANGE),
            ("The model with carry-over alone", 0.0),
        )
    ]


def draw_cases(bench: Workbench, rng: np.random.Generator, count: int) -> list[Case]:
    """Draw instruments that have enough notes, each at most once.

    Args:
        bench: True notes, and the engine that listens to those given.
        rng: Draws instruments and notes.
        count: Most instruments.
    """
    split = bench.split
    found = comparable_pairs(bench.pairs, recorded=True)
    if not len(found):
        found = comparable_pairs(bench.pairs, recorded=False)
    sources = np.unique(found[:, 0])
    is_usable = is_whole_note(split) & (split.velocity == SOURCE_VELOCITY)
    sources = sources[is_usable[sources]]
    cases: list[Case] = []
    for number in rng.permutation(np.unique(split.instrument[sources])):
        given, targets = _give(bench, rng.permutation(sources[split.instrument[sources] == number]))
        if len(given) == max(GIVEN) and len(targets) >= LEAST_TARGETS and len(cases) < count:
            timbres = tuple(bench.analyze(index) for index in given)
            cases.append(Case(timbres=timbres, targets=targets[:TARGETS]))
    return cases


def _give(bench: Workbench, notes: Indices) -> tuple[list[int], Indices]:
    """Notes to give and notes to compare with, no two of either sharing a recording with a given one.

    Args:
        bench: True notes.
        notes: Notes of one instrument in random order.

    Returns:
        The first notes that are genuine pairs with each other, at most as many as are ever given;
        one note at every pitch that is a genuine pair with each of them.
    """
    given: list[int] = []
    left = notes
    while len(left) and len(given) < max(GIVEN):
        given.append(int(left[0]))
        left = left[np.isin(left, bench.pairs.partners(given[-1]))]
    _, first = np.unique(np.round(bench.split.midi_pitch[left]), return_index=True)
    return given, left[np.sort(first)]


def _hear(bench: Workbench, cases: Sequence[Case], count: int, original_range: float) -> Heard:
    """Render the notes to compare with from the first notes given of each instrument."""
    pitches = bench.split.midi_pitch
    semitones, sounds = [], []
    for case in cases:
        timbres = case.timbres[:count]
        mix = TimbreMix(timbres=timbres, weights=(1.0,) * count, one_instrument=count > 1)
        notes = tuple(int(note) for note in np.round(pitches[case.targets]))
        request = RenderRequest(
            sound=Sound(mix=mix, settings=RenderSettings(original_range=original_range)),
            notes=notes,
        )
        sounds += [bench.whole_note(r.samples) for r in bench.engine.render(request).regions]
        roots = np.array([timbre.root_pitch for timbre in timbres])
        semitones.append(np.abs(pitches[case.targets][:, None] - roots).min(axis=1))
    ours = bench.mels_of(sounds)
    true = bench.split.mels(np.concatenate([case.targets for case in cases]))
    return Heard(
        semitones=np.concatenate(semitones),
        rmse_db=log_mel_rmse_db(ours, true, bench.unit_db),
        timbre_db=timbre_distance_db(ours, true, bench.unit_db),
    )


def _table(title: str, heard: dict[int, Heard]) -> Table:
    lines = []
    for low, high in (*BINS, (0, BINS[-1][1])):
        cells = []
        for notes in heard.values():
            inside = (notes.semitones > low - 0.5) & (notes.semitones < high + 0.5)
            found = int(inside.sum())
            rmse, timbre = notes.rmse_db[inside], notes.timbre_db[inside]
            cells.append(
                f"{rmse.mean():.2f} / {timbre.mean():.2f} ({found})" if found else "none there"
            )
        name = "any" if (low, high) == (0, BINS[-1][1]) else f"{low}-{high}"
        lines.append((name, *cells))
    return Table(
        title=f"{title}: log-mel RMSE / timbre distance to the true note, dB (notes)",
        header=(
            "semitones to the nearest note given",
            *(f"{count} given" if count > 1 else "1 note given" for count in heard),
        ),
        lines=tuple(lines),
    )
