"""Study `interpolation`: are mixes of two sounds in tune, and as lifelike as their ends?

Paper: HyperGANStrument (arXiv 2401.04558, section 4.4) and GANStrument (arXiv 2211.05385).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from core.sound import RenderRequest, RenderSettings, Sound, TimbreMix
from training.data.dataset import step_rng
from training.evaluation.config import EvaluateConfig
from training.evaluation.draws import draw_sources
from training.evaluation.frechet import frechet_distance
from training.evaluation.tables import Table
from training.evaluation.tuning import tuning_error_cents
from training.evaluation.workbench import Workbench

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Weights of the second sound of a mix."""
NOTES = (48, 60, 72)


def study_interpolation(bench: Workbench, config: EvaluateConfig, out: Path) -> list[Table]:
    """Mix `pitch_sources` ÷ 2 pairs of sounds; the picture goes into `out`.

    The Fréchet distance is taken to true notes of recorded instruments from the same MIDI range.
    """
    split = bench.split
    rng = step_rng(config.seed, 0, 21)
    sounds = draw_sources(rng, bench.pairs, 2 * max(1, config.pitch_sources // 2))
    sounds = sounds[: len(sounds) // 2 * 2].reshape(-1, 2)
    known = draw_sources(rng, bench.pairs, len(split))
    is_near = (split.midi_pitch[known] >= NOTES[0]) & (split.midi_pitch[known] <= NOTES[-1])
    true = bench.classify_true(known[is_near][: config.pairs]).features
    timbres = [(bench.analyze(int(one)), bench.analyze(int(other))) for one, other in sounds]
    accuracies, distances, lines = [], [], []
    for weight in WEIGHTS:
        heard = []
        for pair in timbres:
            mix = TimbreMix(timbres=pair, weights=(1.0 - weight, weight))
            request = RenderRequest(
                sound=Sound(mix=mix, settings=RenderSettings(original_range=0.0)), notes=NOTES
            )
            regions = bench.engine.render(request).regions
            heard += [bench.whole_note(region.samples) for region in regions]
        found = bench.classify_sounds(torch.from_numpy(sound)[None] for sound in heard)
        wanted = NOTES * len(timbres)
        is_right = found.notes == torch.tensor(wanted)
        errors = [
            tuning_error_cents(sound, note, bench.sample_rate)
            for sound, note in zip(heard, wanted, strict=True)
        ]
        tracked = [abs(error) for error in errors if error is not None]
        accuracies.append(float(is_right.float().mean()))
        distances.append(frechet_distance(found.features, true))
        tuning = f"{np.median(tracked):.2f}" if tracked else "none"
        lines.append(
            (
                f"{weight:g}",
                str(len(heard)),
                f"{accuracies[-1]:.3f}",
                f"{distances[-1]:.1f}",
                tuning,
                str(len(errors) - len(tracked)),
            )
        )
    _draw(accuracies, distances, out / "interpolation.png")
    return [
        Table(
            title="Along mixes of two sounds, the model alone",
            header=(
                "weight of the second",
                "notes",
                "pitch accuracy",
                "Fréchet distance",
                "median tuning error, cents",
                "notes the tracker lost",
            ),
            lines=tuple(lines),
        )
    ]


def _draw(accuracies: list[float], distances: list[float], path: Path) -> None:
    figure = Figure(figsize=(9.0, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(WEIGHTS, accuracies, marker="o")
    left.set(xlabel="weight of the second sound", ylabel="pitch accuracy", ylim=(0.0, 1.0))
    right.plot(WEIGHTS, distances, marker="o")
    right.set(xlabel="weight of the second sound", ylabel="Fréchet distance", ylim=(0.0, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
