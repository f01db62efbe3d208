from __future__ import annotations

import numpy as np

from training.evaluation.measures import log_mel_rmse_db
from training.evaluation.neighbouring_keys import compare_neighbours
from training.evaluation.workbench import Workbench


def test_neighbouring_keys_are_those_of_the_corpus_and_those_around_the_crossover(
    bench: Workbench,
) -> None:
    neighbours = compare_neighbours(bench, np.random.default_rng(1), 2)
    assert len(neighbours.true_db) == len(neighbours.rendered) > 0
    assert len(neighbours.crossover) == 4
    steps = (*neighbours.rendered, *neighbours.crossover)
    assert all(np.isfinite([step.mel_db, step.level_db]).all() for step in steps)
    split = bench.split
    possible = {
        round(float(log_mel_rmse_db(*split.mels([a, b])[:, None], bench.unit_db)[0]), 3)
        for notes in split.notes_of
        for a in notes
        for b in notes
        if 0.9 < split.midi_pitch[b] - split.midi_pitch[a] < 3.1
    }
    assert {round(db, 3) for db in neighbours.true_db} <= possible
