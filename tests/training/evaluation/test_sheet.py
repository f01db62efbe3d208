from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from training.evaluation.sheet import choose_pairs, draw_spectrogram_sheet, render_pair
from training.evaluation.workbench import Workbench


def test_pairs_lie_an_octave_apart_up_and_down_in_turn(bench: Workbench) -> None:
    split = bench.split
    pairs = choose_pairs(bench.pairs)
    gaps = [float(split.midi_pitch[target] - split.midi_pitch[source]) for source, target in pairs]
    assert gaps == [12.0, -12.0, 12.0]
    instruments = [split.instrument[source] for source, _ in pairs]
    assert len(set(instruments)) == len(pairs)
    assert all(target in bench.pairs.partners(source) for source, target in pairs)
    assert instruments == [split.instrument[target] for _, target in pairs]


def test_the_true_note_is_shown_above_the_rendered_one(bench: Workbench) -> None:
    source, target = choose_pairs(bench.pairs)[0]
    pair = render_pair(bench, source, target)
    assert np.array_equal(pair.true, bench.split.mels([target])[0].numpy())
    assert pair.rendered.shape == pair.true.shape
    assert pair.title.startswith(bench.split.name[target])


def test_the_sheet_is_a_small_picture(bench: Workbench, tmp_path: Path) -> None:
    path = tmp_path / "new" / "sheet.png"
    draw_spectrogram_sheet(bench, path)
    with Image.open(path) as picture:
        assert picture.width > 1000
    assert path.stat().st_size < 1_500_000
