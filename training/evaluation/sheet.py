"""The sheet of spectrograms: true notes above rendered ones, for people to look at.

Shape legend: P pairs, M mel bands, F frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from core.audio.pitch import note_name
from core.sound import RenderRequest, RenderSettings, Sound, TimbreMix
from training.data.dataset import step_rng
from training.data.pairs import Indices, NotePairs
from training.evaluation.draws import comparable_pairs, semitones_of
from training.evaluation.workbench import Workbench

PAIRS = 24
COLUMNS = 6
INTERVAL = 12
"""Semitones from the source to the notes shown, up and down in turn."""
COLOURS = 128
"""Colours of the picture: a palette keeps the file small."""
SOURCE_RANGE = (48.0, 72.0)
"""MIDI notes of the sources, where an instrument has one there."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShownPair:
    """A true note and what was made of another one of its instrument."""

    title: str
    true: NDArray[np.float32]
    """Normalised log-mel, [M, F]."""
    rendered: NDArray[np.float32]
    """Normalised log-mel of the rendering, [M, F]."""


def draw_spectrogram_sheet(bench: Workbench, path: Path) -> None:
    """Draw PAIRS pairs of different instruments where the split has as many.

    Args:
        bench: Bundle and true notes.
        path: PNG file.
    """
    pairs = [render_pair(bench, source, target) for source, target in choose_pairs(bench.pairs)]
    rows = -(-len(pairs) // COLUMNS)
    figure = Figure(figsize=(3.0 * COLUMNS, 3.3 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(2 * rows, COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, pair in enumerate(pairs):
        row, column = 2 * (index // COLUMNS), index % COLUMNS
        axes[row, column].set_title(pair.title, fontsize=8)
        for offset, mel in enumerate((pair.true, pair.rendered)):
            axes[row + offset, column].imshow(
                mel, origin="lower", aspect="auto", vmin=-1.0, vmax=1.0, cmap="magma"
            )
    figure.suptitle(
        f"True note above, rendered below ({bench.split.mel.floor_db:g} to 0 dB, "
        f"{bench.split.mel.n_samples / bench.sample_rate:.1f} s, mel scale to "
        f"{bench.split.mel.f_max_hz / 1000:g} kHz)",
        fontsize=10,
    )
    drawn = BytesIO()
    figure.savefig(drawn)
    picture = Image.open(drawn).convert("RGB").quantize(COLOURS)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)


def choose_pairs(pairs: NotePairs) -> list[tuple[int, int]]:
    """Genuine pairs INTERVAL apart, up and down in turn, every instrument once at most.

    Recorded instruments come first.
    """
    split, rng = pairs.split, step_rng(0, 0, 0)
    chosen: list[tuple[int, int]] = []
    for recorded in (True, False):
        found = comparable_pairs(pairs, recorded=recorded)
        numbers = np.unique(split.instrument[found[:, 0]])
        for number in _in_turn([split.instruments[i] for i in numbers], rng):
            own = found[split.instrument[found[:, 0]] == numbers[number]]
            way = INTERVAL if len(chosen) % 2 == 0 else -INTERVAL
            pair = _pair_of(pairs, own, way)
            if pair is not None and len(chosen) < PAIRS:
                chosen.append(pair)
    return chosen


def render_pair(bench: Workbench, source: int, target: int) -> ShownPair:
    """Render the target's note from the source as a user gets it."""
    split = bench.split
    note = round(float(split.midi_pitch[target]))
    mix = TimbreMix(timbres=(bench.analyze(source),), weights=(1.0,))
    request = RenderRequest(
        sound=Sound(mix=mix, settings=RenderSettings(velocity=int(split.velocity[target]))),
        notes=(note,),
    )
    sound = bench.whole_note(bench.engine.render(request).regions[0].samples)
    root = round(float(split.midi_pitch[source]))
    return ShownPair(
        title=f"{split.name[target]}, {note_name(root)} → {note_name(note)}",
        true=split.mels([target])[0].numpy(),
        rendered=bench.mels_of([sound])[0].numpy(),
    )


def _in_turn(instruments: Sequence[str], rng: np.random.Generator) -> list[int]:
    """Places of instruments in random order, one of each source of notes after the other."""
    counts: Counter[str] = Counter()
    ranked = []
    for number in rng.permutation(len(instruments)):
        source = instruments[number].partition("/")[0]
        counts[source] += 1
        ranked.append((counts[source], source, int(number)))
    return [number for _, _, number in sorted(ranked)]


def _pair_of(pairs: NotePairs, own: Indices, way: int) -> tuple[int, int] | None:
    """The first of an instrument's pairs [P, 2] from the middle of the keyboard, that far apart."""
    pitch = pairs.split.midi_pitch[own[:, 0]]
    low, high = SOURCE_RANGE
    is_middle = (pitch >= low) & (pitch <= high)
    is_there = np.abs(semitones_of(pairs.split, own) - way) < 0.5
    for source, target in own[is_middle & is_there].tolist():
        return source, target
    return None
