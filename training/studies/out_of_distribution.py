"""Study `out-of-distribution`: what becomes of sounds that are no instruments, and where it fails.

The model alone renders each sound at its root and an octave either way; what unseen instruments
reach is the scale that it is read on.

Shape legend: M mel bands, F frames, T samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.audio.files import AudioClip, read_audio
from core.sound import RenderRequest, RenderSettings, Sound, Timbre, TimbreMix
from training.data.dataset import step_rng
from training.evaluation.config import EvaluateConfig
from training.evaluation.draws import draw_sources
from training.evaluation.measures import log_mel_rmse_db
from training.evaluation.tables import Table
from training.evaluation.tuning import HIGHEST_NOTE, tuning_error_cents
from training.evaluation.workbench import Workbench
from training.studies.foreign_sounds import foreign_sounds

SAMPLES = Path(__file__).resolve().parents[2] / "resources/samples"
LOWEST_NOTE = 28
OCTAVE = 12
CLEAR_PITCH = 0.5
"""Confidence under which a root note is called a guess."""
IN_TUNE_CENTS = 15.0
EXTREME_PERCENT = 5.0
"""Worse than all but this share of unseen instruments is called a failure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What became of one sound."""

    name: str
    root: float
    """Fractional MIDI note of the root, estimated where none was given."""
    confidence: float
    nearest: str
    """The training instrument whose features are nearest."""
    similarity: float
    """Cosine between the features of the sound and of that instrument, -1 to 1."""
    rmse_db: float
    """Log-mel RMSE of the model's rendering at the root to the sound itself."""
    notes_named: float
    """Share of the rendered notes that the classifier names right."""
    cents: tuple[float, ...]
    """Absolute tuning errors of the notes that the tracker could follow."""
    notes: int
    """Number of notes that were rendered."""


def study_out_of_distribution(
    bench: Workbench, config: EvaluateConfig, samples: Path = SAMPLES
) -> list[Table]:
    """Render foreign sounds, the samples of a folder, and notes of unseen instruments.

    Args:
        bench: Bundle and true notes.
        config: A sixth of its `tuning_notes` is the number of notes of unseen instruments.
        samples: Folder of the samples.
    """
    rng = step_rng(config.seed, 0, 22)
    indices = draw_sources(rng, bench.pairs, max(2, config.tuning_notes // 6))
    unseen = [_look(bench, "", bench.analyze(int(index))) for index in indices]
    findings = []
    for path in sorted(samples.glob("*.wav")):
        clip = read_audio(path)
        findings.append(_look(bench, f"sample: {path.stem}", bench.engine.analyze(clip)))
    for sound in foreign_sounds(bench.sample_rate):
        timbre = bench.engine.analyze(sound.clip, root=sound.root)
        findings.append(_look(bench, f"{sound.kind}: {sound.clip.name}", timbre))
    least_similar = float(np.percentile([f.similarity for f in unseen], EXTREME_PERCENT))
    worst_db = float(np.percentile([f.rmse_db for f in unseen], 100.0 - EXTREME_PERCENT))
    return [
        Table(
            title="Sounds far from the training data, rendered by the model alone",
            header=(
                "sound",
                "root (confidence)",
                "nearest known",
                "similarity",
                "log-mel RMSE at its own note, dB",
                "notes the classifier names",
                "tuning, cents",
                "what fails",
            ),
            lines=(
                _mean_line(unseen),
                *(_line(f, _failures(f, least_similar, worst_db)) for f in findings),
            ),
        )
    ]


def _look(bench: Workbench, name: str, timbre: Timbre) -> Finding:
    root = min(int(HIGHEST_NOTE), max(LOWEST_NOTE, round(timbre.root_pitch)))
    octaves = (root - OCTAVE, root, root + OCTAVE)
    notes = tuple(note for note in octaves if LOWEST_NOTE <= note <= HIGHEST_NOTE)
    mix = TimbreMix(timbres=(timbre,), weights=(1.0,))
    request = RenderRequest(
        sound=Sound(mix=mix, settings=RenderSettings(original_range=0.0)), notes=notes
    )
    sounds = [bench.whole_note(r.samples) for r in bench.engine.render(request).regions]
    mels = bench.mels_of(sounds)
    source = AudioClip(samples=timbre.samples[None], sample_rate=bench.sample_rate, name=name)
    own = bench.mels_of([bench.whole_note(source.samples)])
    errors = [
        tuning_error_cents(sound, note, bench.sample_rate)
        for sound, note in zip(sounds, notes, strict=True)
    ]
    heard = bench.classify_sounds(torch.from_numpy(sound)[None] for sound in sounds)
    named = heard.notes.numpy() == np.array(notes)
    nearest = bench.engine.nearest_instruments(timbre, 1)
    return Finding(
        name=name,
        root=timbre.root_pitch,
        confidence=timbre.pitch_confidence,
        nearest=nearest[0][0] if nearest else "none",
        similarity=nearest[0][1] if nearest else 0.0,
        rmse_db=float(log_mel_rmse_db(mels[[notes.index(root)]], own, bench.unit_db)[0]),
        notes_named=float(named.mean()),
        cents=tuple(abs(error) for error in errors if error is not None),
        notes=len(notes),
    )


def _failures(finding: Finding, least_similar: float, worst_db: float) -> str:
    """What goes wrong with a sound, in words."""
    found = []
    if finding.confidence < CLEAR_PITCH:
        found.append("its root is a guess")
    if finding.similarity < least_similar:
        found.append("unlike all known instruments")
    if finding.rmse_db > worst_db:
        found.append("not reproduced at its own note")
    if len(finding.cents) < finding.notes or max(finding.cents) > IN_TUNE_CENTS:
        found.append("out of tune or without a clear pitch")
    return ", ".join(found)


def _line(finding: Finding, failures: str) -> tuple[str, ...]:
    cents = f"{np.max(finding.cents):.1f}" if finding.cents else "lost"
    lost = finding.notes - len(finding.cents)
    return (
        finding.name,
        f"{finding.root:.1f} ({finding.confidence:.2f})",
        finding.nearest,
        f"{finding.similarity:.2f}",
        f"{finding.rmse_db:.1f}",
        f"{finding.notes_named:.2f}",
        f"{cents} ({lost} lost)" if lost and finding.cents else cents,
        failures,
    )


def _mean_line(unseen: Sequence[Finding]) -> tuple[str, ...]:
    cents = [error for finding in unseen for error in finding.cents]
    lost = sum(finding.notes - len(finding.cents) for finding in unseen)
    return (
        f"{len(unseen)} unseen instruments, mean",
        "known",
        "",
        f"{np.mean([f.similarity for f in unseen]):.2f}",
        f"{np.mean([f.rmse_db for f in unseen]):.1f}",
        f"{np.mean([f.notes_named for f in unseen]):.2f}",
        f"{np.mean(cents):.1f} ({lost} lost)" if cents else "lost",
        "",
    )
