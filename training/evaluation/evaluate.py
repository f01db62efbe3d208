"""Stage `evaluate`: the quality table of a bundle, on instruments nothing was trained or tuned on.

Measures: reconstruction MSE, pitch accuracy and Fréchet distance as HyperGANStrument
(arXiv 2401.04558, table 1), with the plain generator beside it; then what a designer hears:
distance to the true note at every interval against pitch-shifters, tuning, the vocoder against
Griffin-Lim, the root note.

Shape legend: B batch, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from core.audio.pitch import estimate_root
from core.checkpoint import load_checkpoint, load_network
from core.inference.model import SHIPPED_MODEL, load_model
from core.inference.request import RenderRequest, TimbreMix
from training import losses
from training.data.dataset import CorpusSplit, step_rng
from training.metrics.frechet import frechet_distance
from training.metrics.pitch_judge import PitchJudge, PitchJudgeConfig
from training.metrics.rivals import griffin_lim
from training.metrics.tuning import HIGHEST_NOTE, tuning_error_cents
from training.stages.contest import (
    ATTACK,
    INSTRUMENT,
    LOG_MEL,
    MODEL,
    NEIGHBOUR_SEMITONES,
    RESAMPLING,
    RUBBER_BAND,
    STFT,
    TUNING,
    Contest,
    Measure,
    compare_neighbours,
    recordings_of_one_preset,
)
from training.tables import Table, publish_tables
from training.workbench import Workbench

JUDGE_FILE = "pitch_judge.safetensors"
"""The independent judge, beside the bundle."""
INTERVALS = (-24, -12, -7, -3, 0, 3, 7, 12, 24)
"""Semitones from source to target for the pitch accuracy."""
DISTANCE_BINS = ((0, 2), (3, 5), (6, 11), (12, 17), (18, 23), (24, 29), (30, 96))
"""Semitones between source and target, both ends inclusive, of the distance table."""
DIRECTION_MEASURES = (LOG_MEL, STFT, TUNING, ATTACK)
"""Measures that are shown up and down apart, at INTERVALS."""
DIRECTION_REACH = 2
"""Pairs this many semitones from an interval count as its own: most notes of the corpus lie three
apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """How much is measured."""

    pairs: int = 1000
    """Source and target notes for MSE and Fréchet distance."""
    fitted_sources: int = 60
    """Of those, sources that the model is also fitted to."""
    fit_steps: int = 5
    """Steps of fitting."""
    pitch_sources: int = 120
    """Sources rendered at every interval for the pitch accuracy."""
    rival_pairs: int = 280
    """Pairs for the distances beside pitch-shifters, shared equally by all intervals."""
    tuning_notes: int = 120
    """Notes rendered to sound and tracked."""
    vocoder_notes: int = 64
    """Notes through the vocoder and Griffin-Lim."""
    root_notes: int = 1000
    """Recordings whose root note is estimated."""
    twins: int = 200
    """Notes that two soundfonts recorded of one preset, each for itself: the limit to aim for."""
    synthesized: tuple[str, ...] = ("OPL-3_FM_128M",)
    """Soundfonts whose notes are no recordings, and no such limit."""
    neighbour_instruments: int = 24
    """Instruments whose neighbouring keys are compared."""
    seed: int = 1
    """Seed of what is drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table."""

    measure: str
    value: str
    bar: str = ""
    is_met: bool | None = None
    """None where there is no bar."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DistanceRow:
    """One line of a table of distances to the true note."""

    measure: str
    """What is measured; less is better."""
    interval: str
    """Semitones between source and target."""
    pairs: int
    """How many it is a mean of."""
    values: dict[str, float]
    """By contestant."""
    bar: str = ""
    """Of the model with carry-over."""
    is_met: bool | None = None
    """None where there is no bar."""
    instrument_is_met: bool | None = None
    """Whether the instrument a user gets is as near as both rivals, to a tenth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """Mels of one set of pairs: true targets and what the two models make of them, [N, M, F]."""

    true: Tensor
    plain: Tensor
    refined: Tensor


class Evaluation:
    """Takes the measures of one bundle on one split.

    Args:
        bench: Bundle, judge and true notes.
        config: How much.
    """

    def __init__(self, bench: Workbench, config: EvaluateConfig) -> None:
        self.bench, self.config = bench, config
        self.split, self.mel, self.unit_db = bench.split, bench.mel, bench.unit_db

    def rows(self) -> list[Row]:
        """Every measure in the table's order; the paper's alone where the engine refuses H."""
        parts: list[Callable[[], list[Row]]] = [
            self.reconstruction_and_frechet,
            self.pitch_accuracy,
        ]
        if not self.bench.model.hypernetwork.config.reads_mels:
            parts += [
                self.tuning, self.vocoder, self.feature_invariance, self.neighbouring_keys,
                self.another_recording, self.root_notes,
            ]  # fmt: skip
        rows: list[Row] = []
        for part in track(parts, "evaluate", console=Console(stderr=True)):
            with torch.inference_mode():
                rows += part()
        return rows

    def reconstruction_and_frechet(self) -> list[Row]:
        """Rows 1 and 3 of the design's table."""
        rng = step_rng(self.config.seed, 0, 0)
        indices = self.split.draw(rng, self.config.pairs, 2).reshape(-1, 2)
        same = self._draw(indices[:, 0], indices[:, 0])
        plain, refined = (_mse(drawn, same.true) for drawn in (same.plain, same.refined))
        cross = self._draw(indices[:, 0], indices[:, 1])
        # The true mels are sounded like the others: the vocoder is measured by a row of its own.
        wanted = torch.from_numpy(self.split.midi_pitch[indices[:, 1]])
        true = self.bench.judge_rendered(cross.true, wanted).features
        far_plain, far_refined = (
            frechet_distance(self.bench.judge_rendered(drawn, wanted).features, true)
            for drawn in (cross.plain, cross.refined)
        )
        cross_plain, cross_refined = (_mse(d, cross.true) for d in (cross.plain, cross.refined))
        ratio, far_ratio = refined / plain, far_refined / far_plain
        return [
            Row(measure="reconstruction MSE, GANStrument", value=f"{plain:.4f}"),
            Row(measure="reconstruction MSE, HyperGANStrument", value=f"{refined:.4f}"),
            Row(
                measure="reconstruction MSE, HyperGANStrument ÷ GANStrument",
                value=f"{ratio:.3f}", bar="≤ 0.70", is_met=ratio <= 0.70,
            ),
            Row(
                measure="MSE to the true note at another pitch, GANStrument / HyperGANStrument",
                value=f"{cross_plain:.4f} / {cross_refined:.4f}",
            ),
            *self._fitted(indices, same, cross),
            Row(
                measure="Fréchet distance, GANStrument / HyperGANStrument",
                value=f"{far_plain:.3f} / {far_refined:.3f}",
            ),
            Row(
                measure="Fréchet distance, HyperGANStrument ÷ GANStrument",
                value=f"{far_ratio:.3f}", bar="≤ 0.65", is_met=far_ratio <= 0.65,
            ),
        ]  # fmt: skip

    def _fitted(self, indices: NDArray[np.int64], same: _Drawn, cross: _Drawn) -> Iterator[Row]:
        """What fitting makes of the first pairs."""
        steps = self.config.fit_steps
        chosen = slice(self.config.fitted_sources)
        pairs = indices[chosen]
        targets = [
            (torch.from_numpy(self.split.midi_pitch[i]), torch.from_numpy(self.split.velocity[i]))
            for i in pairs.T
        ]
        fitted = self.bench.draw_fitted(pairs[:, 0], targets, steps)
        names = ("reconstruction", "at another pitch")
        for name, drawn, mels in zip(names, (same, cross), fitted, strict=True):
            true = drawn.true[chosen]
            plain, refined, closer = (
                _mse(each, true) for each in (drawn.plain[chosen], drawn.refined[chosen], mels)
            )
            yield Row(
                measure=f"MSE, {name}, ÷ GANStrument's: HyperGANStrument / fitted by {steps} steps "
                f"({len(pairs)})",
                value=f"{refined / plain:.3f} / {closer / plain:.3f}",
            )

    def pitch_accuracy(self) -> list[Row]:
        """Row 2: the judge on rendered notes, across ±24 semitones."""
        rng = step_rng(self.config.seed, 0, 1)
        sources = self.split.draw(rng, self.config.pitch_sources, 1)
        roots = self.split.midi_pitch[sources]
        source_rows, targets = [], []
        for index, root in zip(sources, roots, strict=True):
            wanted = [round(float(root)) + interval for interval in INTERVALS]
            kept = [note for note in wanted if 24 <= note <= 96]
            source_rows += [index] * len(kept)
            targets += kept
        notes = torch.tensor(targets)
        plain, refined = self.bench.draw(
            np.array(source_rows), notes.float(), torch.full([len(notes)], 100.0)
        )
        heard = [
            float((self.bench.judge_rendered(drawn, notes.float()).notes == notes).float().mean())
            for drawn in (plain, refined)
        ]
        true = np.arange(0, len(self.split), max(1, len(self.split) // 1000))
        named = self.bench.judge_true(true).notes.numpy()
        limit = np.mean(named == np.round(self.split.midi_pitch[true]))
        return [
            Row(measure="pitch accuracy, GANStrument", value=f"{heard[0]:.4f}"),
            Row(
                measure="pitch accuracy, HyperGANStrument", value=f"{heard[1]:.4f}",
                bar="≥ 0.97, above GANStrument's", is_met=heard[1] >= 0.97 and heard[1] > heard[0],
            ),
            Row(measure="pitch accuracy of the judge on true notes", value=f"{float(limit):.3f}"),
        ]  # fmt: skip

    def tuning(self) -> list[Row]:
        """Row 4: instruments rendered to sound by the engine and tracked."""
        engine = self.bench.engine
        rng = step_rng(self.config.seed, 0, 2)
        errors: list[float] = []
        lost = 0
        for index in self.split.draw(rng, 4 * self.config.tuning_notes, 1):
            audio = self.split.audio([index])[0].numpy()
            pitch = float(self.split.midi_pitch[index])
            if pitch > HIGHEST_NOTE - 12:
                continue
            own = tuning_error_cents(audio, pitch, engine.sample_rate)
            if own is None or abs(own) > 10.0:
                continue  # no clear pitch at its key: nothing to be in tune with
            root = round(pitch)
            wanted = tuple(sorted({max(28, root - 12), root, min(int(HIGHEST_NOTE), root + 12)}))
            mix = TimbreMix(timbres=(self.bench.analyze(int(index)),), weights=(1.0,))
            for region in engine.render(RenderRequest(mix=mix, notes=wanted)).regions:
                error = tuning_error_cents(region.samples[0], region.root_note, engine.sample_rate)
                lost += error is None
                if error is not None:
                    errors.append(abs(error))
            if len(errors) >= self.config.tuning_notes:
                break
        if not errors:
            return [Row(measure="tuning of rendered audio", value="no note could be tracked")]
        median, high = np.percentile(errors, [50, 95])
        return [
            Row(
                measure="tuning of rendered audio, median absolute error",
                value=f"{median:.2f} cents", bar="≤ 3", is_met=bool(median <= 3.0),
            ),
            Row(
                measure="tuning of rendered audio, 95th percentile",
                value=f"{high:.2f} cents", bar="≤ 15", is_met=bool(high <= 15.0),
            ),
            Row(
                measure="rendered notes whose pitch the tracker lost",
                value=f"{lost} of {lost + len(errors)}",
            ),
        ]  # fmt: skip

    @torch.inference_mode()
    def distances(self) -> tuple[list[DistanceRow], list[DistanceRow]]:
        """Rows 5 and 6: distances to the true note beside pitch-shifters.

        Returns:
            Every measure by interval; the most telling ones with up and down apart.
        """
        contest = Contest(self.bench)
        rng = step_rng(self.config.seed, 0, 3)
        pairs = contest.draw_pairs(rng, self.config.rival_pairs, DISTANCE_BINS)
        true, notes = contest.true(pairs[:, 1]), contest.contestants(pairs)
        pitches = self.split.midi_pitch
        semitones = np.round(pitches[pairs[:, 1]] - pitches[pairs[:, 0]]).astype(int)
        rows, directions = [], []
        for name, measure in contest.measures(pitches[pairs[:, 1]]).items():
            values = {who: measure.distances(played, true) for who, played in notes.items()}
            is_known = np.isfinite(values[INSTRUMENT])
            for low, high in DISTANCE_BINS:
                inside = is_known & (np.abs(semitones) >= low) & (np.abs(semitones) <= high)
                if inside.any():
                    means = _averages(measure, values, inside)
                    rows.append(distance_row(name, (low, high), int(inside.sum()), means))
            for interval in INTERVALS if name in DIRECTION_MEASURES else ():
                near = is_known & (np.abs(semitones - interval) <= DIRECTION_REACH)
                if near.any():
                    directions.append(
                        DistanceRow(
                            measure=name, interval=f"{interval:+d}" if interval else "0",
                            pairs=int(near.sum()), values=_averages(measure, values, near),
                        )
                    )  # fmt: skip
        return rows, directions

    def neighbouring_keys(self) -> list[Row]:
        """How smoothly rendered instruments run from key to key."""
        rng = step_rng(self.config.seed, 0, 7)
        neighbours = compare_neighbours(self.bench, rng, self.config.neighbour_instruments)
        if not neighbours.true_db:
            return [Row(measure="neighbouring keys", value="no two in the corpus")]
        true = float(np.mean(neighbours.true_db))
        rows = []
        for name, steps in (
            (f"up to {NEIGHBOUR_SEMITONES} semitones apart", neighbours.rendered),
            ("where the recording itself ends", neighbours.crossover),
        ):
            level = max(step.level_db for step in steps)
            mel = float(np.mean([step.mel_db for step in steps]))
            rows += [
                Row(
                    measure=f"neighbouring keys {name}: largest difference of loudness ({len(steps)} pairs)",
                    value=f"{level:.2f} dB", bar="≤ 1", is_met=level <= 1.0,
                ),
                Row(
                    measure=f"neighbouring keys {name}: log-mel RMSE ÷ true instruments'",
                    value=f"{mel:.2f} / {true:.2f} dB = {mel / true:.2f}", bar="≤ 2",
                    is_met=mel <= 2.0 * true,
                ),
            ]  # fmt: skip
        return rows

    def another_recording(self) -> list[Row]:
        """The limit to aim for: another soundfont's recording of the same preset and note."""
        contest = Contest(self.bench)
        pairs = recordings_of_one_preset(self.split, self.config.synthesized)
        rng = step_rng(self.config.seed, 0, 8)
        pairs = pairs[rng.permutation(len(pairs))[: self.config.twins]]
        if not len(pairs):
            return [Row(measure="another real recording", value="none in the corpus")]
        one, other = contest.true(pairs[:, 0]), contest.true(pairs[:, 1])
        rows = []
        for name, measure in contest.measures(self.split.midi_pitch[pairs[:, 1]]).items():
            values = measure.distances(one, other)
            known = values[np.isfinite(values)]
            rows.append(
                Row(
                    measure=f"another real recording of the instrument, same note: {name} ({len(known)})",
                    value=f"{float(measure.average(known)):.2f}" if len(known) else "none",
                )
            )
        return rows

    def vocoder(self) -> list[Row]:
        """Row 7: true mels to sound, harmonic and inharmonic instruments apart."""
        rng = step_rng(self.config.seed, 0, 4)
        indices = self.split.draw(rng, self.config.vocoder_notes, 1)
        true = self.split.audio(indices)
        mels = self.split.mels(indices)
        pitches = torch.from_numpy(self.split.midi_pitch[indices])
        ours = self.bench.vocode(mels, pitches)
        theirs = torch.from_numpy(np.stack([griffin_lim(m.numpy(), self.split.mel) for m in mels]))
        is_harmonic = np.array(
            [
                (error := tuning_error_cents(a.numpy(), float(p), self.split.mel.sample_rate))
                is not None
                and abs(error) < 10.0
                for a, p in zip(true, pitches, strict=True)
            ]
        )
        rows = []
        for name, chosen in (("harmonic", is_harmonic), ("inharmonic", ~is_harmonic)):
            if not chosen.any():
                continue
            stft = [
                float(sum(losses.multi_resolution_stft(x[chosen], true[chosen])))
                for x in (ours, theirs)
            ]
            mel_db = [
                float((self.mel(x[chosen]).float() - mels[chosen]).abs().mean()) * self.unit_db
                for x in (ours, theirs)
            ]
            rows.append(
                Row(
                    measure=f"vocoder / Griffin-Lim from true mels, {name} ({int(chosen.sum())})",
                    value=f"STFT {stft[0]:.3f} / {stft[1]:.3f}, mel {mel_db[0]:.2f} / {mel_db[1]:.2f} dB",
                    bar="below on both", is_met=stft[0] < stft[1] and mel_db[0] < mel_db[1],
                )
            )  # fmt: skip
        return rows

    def feature_invariance(self) -> list[Row]:
        """Row 8: distances of f within and between instruments, and a linear pitch probe on h."""
        rng = step_rng(self.config.seed, 0, 5)
        notes = 6
        indices = self.split.draw(rng, 150, notes)
        h = self.bench.features(self.split.mels(indices))
        grouped = h.reshape(-1, notes, h.shape[1])
        gaps = torch.cdist(grouped, grouped)
        within = float(gaps.sum() / (len(grouped) * notes * (notes - 1)))
        names = self.split.instrument[indices].reshape(-1, notes)[:, 0]
        centers = torch.cdist(grouped[:, 0], grouped[:, 0])
        apart = torch.from_numpy(names[:, None] != names[None])
        between = float(centers[apart].mean())
        pitches = torch.from_numpy(self.split.midi_pitch[indices])
        return [
            Row(
                measure="f: distance within an instrument ÷ between instruments",
                value=f"{within:.2f} / {between:.2f} = {within / between:.3f}",
            ),
            Row(
                measure="linear probe of the pitch on h: share of its variance explained",
                value=f"{explained_pitch(h, pitches, notes):.3f}",
            ),
        ]

    def root_notes(self) -> list[Row]:
        """Root-note estimates (±50 cents) of the split's notes from MIDI 36 to 84."""
        inside = np.flatnonzero((self.split.midi_pitch >= 36) & (self.split.midi_pitch <= 84))
        rng = step_rng(self.config.seed, 0, 6)
        chosen = rng.permutation(inside)[: self.config.root_notes]
        rate = self.split.mel.sample_rate
        gaps = np.array(
            [
                estimate_root(self.split.audio([i])[0].numpy(), rate).midi_pitch
                - self.split.midi_pitch[i]
                for i in chosen
            ]
        )
        right = np.abs(gaps) <= 0.5
        octaves = np.abs(gaps - 12.0 * np.round(gaps / 12.0)) <= 0.5
        missed: dict[str, int] = {}
        for index in chosen[~right]:
            missed[self.split.name[index]] = missed.get(self.split.name[index], 0) + 1
        worst = sorted(missed.items(), key=lambda item: -item[1])[:5]
        return [
            Row(
                measure=f"root note right within ±50 cents, MIDI 36–84 ({len(chosen)} notes)",
                value=f"{right.mean():.3f}", bar="≥ 0.95", is_met=bool(right.mean() >= 0.95),
            ),
            Row(
                measure="the same, octaves forgiven; worst presets",
                value=f"{octaves.mean():.3f}; " + ", ".join(f"{n} ({c})" for n, c in worst),
            ),
        ]  # fmt: skip

    def _draw(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> _Drawn:
        plain, refined = self.bench.draw(
            sources,
            torch.from_numpy(self.split.midi_pitch[targets]),
            torch.from_numpy(self.split.velocity[targets]),
        )
        return _Drawn(true=self.split.mels(targets), plain=plain, refined=refined)


def evaluate(bench: Workbench, config: EvaluateConfig, out: Path) -> None:
    """Take and print the tables, and keep them.

    Of a bundle that the engine refuses because its hypernetwork reads mels, only the paper's
    measures are taken.

    Args:
        bench: Bundle, judge and test notes.
        config: How much to measure.
        out: Folder for ``table.md`` and ``metrics.json``.

    Raises:
        CoreError: A rival is not installed.
    """
    evaluation = Evaluation(bench, config)
    rows = evaluation.rows()
    tables = [measures_table(rows)]
    metrics: dict[str, Any] = {
        "model": bench.model.content_hash,
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    if not bench.model.hypernetwork.config.reads_mels:
        distances, directions = evaluation.distances()
        tables += [
            distances_table(distances), directions_table(directions), likeness_table(distances)
        ]  # fmt: skip
        metrics["distances"] = [dataclasses.asdict(row) for row in distances]
        metrics["directions"] = [dataclasses.asdict(row) for row in directions]
    publish_tables(tables, out / "table.md")
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def measures_table(rows: Sequence[Row]) -> Table:
    """The measures and their bars."""
    return Table(
        title="Quality on the test split",
        header=("measure", "value", "bar", "met"),
        lines=tuple((r.measure, r.value, r.bar, _mark(r.is_met)) for r in rows),
    )


def distances_table(rows: Sequence[DistanceRow]) -> Table:
    """Log-mel distances by interval, dB."""
    chosen = [row for row in rows if row.measure == LOG_MEL]
    return Table(
        title=(
            f"Distance to the true note: {LOG_MEL} (both rivals: {RESAMPLING}, {RUBBER_BAND})"
        ),
        header=(
            "semitones", "pairs", *chosen[0].values, "bar for carry-over", "met",
            f"{INSTRUMENT} ≤ both rivals",
        ),
        lines=tuple(
            (
                row.interval, str(row.pairs), *(f"{v:.1f}" for v in row.values.values()), row.bar,
                _mark(row.is_met), _mark(row.instrument_is_met),
            )
            for row in chosen
        ),
    )  # fmt: skip


def directions_table(rows: Sequence[DistanceRow]) -> Table:
    """The most telling distances, up and down apart."""
    return Table(
        title=(
            "Distance to the true note, up and down apart (pairs within "
            f"{DIRECTION_REACH} semitones of each interval)"
        ),
        header=("measure", "semitones", "pairs", *(rows[0].values if rows else ())),
        lines=_distance_lines(rows),
    )


def likeness_table(rows: Sequence[DistanceRow]) -> Table:
    """The other distances by interval."""
    chosen = [row for row in rows if row.measure != LOG_MEL]
    return Table(
        title="Distance to the true note in other respects (less is better)",
        header=("measure", "semitones", "pairs", *chosen[0].values),
        lines=_distance_lines(chosen),
    )


def open_workbench(path: Path | None, split: CorpusSplit) -> Workbench:
    """A bundle with the judge beside it, and the notes to measure it on.

    Args:
        path: The bundle or the folder that holds it; the shipped one if None.
        split: True notes.

    Raises:
        CheckpointError: The bundle or the judge is missing or damaged.
    """
    path = SHIPPED_MODEL if path is None else path
    if path.is_dir():
        path = path / SHIPPED_MODEL.name
    model = load_model(path)
    return Workbench(model, load_judge(path.with_name(JUDGE_FILE), model.mel.sample_rate), split)


def load_judge(path: Path, sample_rate: int) -> PitchJudge:
    """Read the independent pitch judge.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    checkpoint = load_checkpoint(path, kind="judge")
    judge = PitchJudge(PitchJudgeConfig(**checkpoint.header["config"]), sample_rate)
    load_network(judge, checkpoint, "judge")
    return judge.eval().requires_grad_(False)


def _mark(is_met: bool | None) -> str:
    return "" if is_met is None else "yes" if is_met else "no"


def _distance_lines(rows: Sequence[DistanceRow]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (row.measure, row.interval, str(row.pairs), *(f"{v:.2f}" for v in row.values.values()))
        for row in rows
    )


def _averages(
    measure: Measure, values: Mapping[str, NDArray[np.floating]], chosen: NDArray[np.bool_]
) -> dict[str, float]:
    return {who: float(measure.average(each[chosen])) for who, each in values.items()}


def _mse(ours: Tensor, true: Tensor) -> float:
    return float((ours - true).square().mean())


def distance_row(
    measure: str, interval: tuple[int, int], pairs: int, means: dict[str, float]
) -> DistanceRow:
    """Means of one interval beside the design's bars for the log-mel."""
    low, high = interval
    name = f"{low}–{high}"
    if measure != LOG_MEL:
        return DistanceRow(measure=measure, interval=name, pairs=pairs, values=means)
    naive, best_rival = means[RESAMPLING], min(means[RESAMPLING], means[RUBBER_BAND])
    bar, is_met = "", None
    if low >= 12:
        bar, is_met = "below both rivals", means[MODEL] < best_rival
    elif low >= 3:
        bar, is_met = "below naive", means[MODEL] < naive
    return DistanceRow(
        measure=measure, interval=name, pairs=pairs, values=means, bar=bar, is_met=is_met,
        instrument_is_met=round(means[INSTRUMENT], 1) <= round(best_rival, 1),
    )  # fmt: skip


def explained_pitch(h: Tensor, pitches: Tensor, notes: int) -> float:
    """R² of a ridge regression from h to the pitch, on instruments it was not fitted to."""
    half = len(h) // 2 // notes * notes
    x = torch.cat([h, torch.ones(len(h), 1)], dim=1).double()
    y = pitches.double()
    gram = x[:half].T @ x[:half] + torch.eye(x.shape[1], dtype=torch.float64) * 10.0
    solved = torch.linalg.solve(gram, x[:half].T @ y[:half])
    left = (y[half:] - x[half:] @ solved).square().sum()
    return float(1.0 - left / (y[half:] - y[half:].mean()).square().sum())
