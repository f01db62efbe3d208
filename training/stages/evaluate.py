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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from core.audio.files import AudioClip
from core.audio.pitch import estimate_root
from core.checkpoint import load_checkpoint, load_network
from core.device import cpu_has_fast_bfloat16
from core.inference.engine import SynthesisEngine, carry_over_of, carry_over_share
from core.inference.model import SHIPPED_MODEL, Model, load_model
from core.inference.request import RenderRequest, TimbreMix
from core.mel import MelConfig, MelSpectrogram
from training import losses
from training.corpus.splits import Split
from training.data.dataset import CorpusSplit, step_rng
from training.metrics.frechet import frechet_distance
from training.metrics.pitch_judge import PitchJudge, PitchJudgeConfig
from training.metrics.rivals import griffin_lim, resample_shift, rubber_band_shift
from training.metrics.tuning import HIGHEST_NOTE, tuning_error_cents
from training.stages.hypernetwork import refine

JUDGE_FILE = "pitch_judge.safetensors"
"""The independent judge, beside the bundle."""
INTERVALS = (-24, -12, -7, -3, 0, 3, 7, 12, 24)
"""Semitones from source to target for the pitch accuracy."""
DISTANCE_BINS = ((0, 2), (3, 5), (6, 11), (12, 17), (18, 23), (24, 29), (30, 96))
"""Semitones between source and target, both ends inclusive, of the distance table."""
BATCH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """How much is measured."""

    pairs: int = 1000
    """Source and target notes for MSE and Fréchet distance."""
    pitch_sources: int = 120
    """Sources rendered at every interval for the pitch accuracy."""
    rival_pairs: int = 280
    """Pairs for the distances beside pitch-shifters."""
    tuning_notes: int = 120
    """Notes rendered to sound and tracked."""
    vocoder_notes: int = 64
    """Notes through the vocoder and Griffin-Lim."""
    root_notes: int = 1000
    """Recordings whose root note is estimated."""
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
    """One line of the table of distances to the true note."""

    interval: str
    """Semitones between source and target."""
    pairs: int
    """How many it is a mean of."""
    rmse_db: dict[str, float]
    """RMSE of the log-mel by contestant."""
    bar: str = ""
    is_met: bool | None = None
    """None where there is no bar."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """Mels of one set of pairs: true targets and what the two models make of them, [N, M, F]."""

    true: Tensor
    plain: Tensor
    refined: Tensor


class Evaluation:
    """Takes the measures of one bundle on one split.

    Args:
        model: The bundle.
        judge: The independent pitch judge.
        split: Notes to measure on.
        config: How much.
    """

    def __init__(
        self, model: Model, judge: PitchJudge, split: CorpusSplit, config: EvaluateConfig
    ) -> None:
        self.model, self.judge, self.split, self.config = model, judge, split, config
        self.unit_db = split.mel.db_per_unit
        self.mel = MelSpectrogram(split.mel)
        self.precision = torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_fast_bfloat16())

    def rows(self) -> list[Row]:
        """Every measure in the table's order."""
        parts: Sequence[Callable[[], list[Row]]] = (
            self.reconstruction_and_frechet,
            self.pitch_accuracy,
            self.tuning,
            self.vocoder,
            self.feature_invariance,
            self.root_notes,
        )
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
        true_features = self._judge_features(cross.true)
        far_plain, far_refined = (
            frechet_distance(self._judge_features(drawn), true_features)
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
            Row(
                measure="Fréchet distance, GANStrument / HyperGANStrument",
                value=f"{far_plain:.3f} / {far_refined:.3f}",
            ),
            Row(
                measure="Fréchet distance, HyperGANStrument ÷ GANStrument",
                value=f"{far_ratio:.3f}", bar="≤ 0.65", is_met=far_ratio <= 0.65,
            ),
        ]  # fmt: skip

    def pitch_accuracy(self) -> list[Row]:
        """Row 2: the judge on rendered mels, across ±24 semitones."""
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
        plain, refined = self._render(
            np.array(source_rows), notes.float(), torch.full([len(notes)], 100.0)
        )
        heard = [
            float((self._judge_notes(drawn) == notes).float().mean()) for drawn in (plain, refined)
        ]
        true = self.split.batch(np.arange(0, len(self.split), max(1, len(self.split) // 1000)))
        limit = (self._judge_notes(true.mel) == true.midi_pitch.round()).float().mean()
        return [
            Row(measure="pitch accuracy, GANStrument", value=f"{heard[0]:.3f}"),
            Row(
                measure="pitch accuracy, HyperGANStrument", value=f"{heard[1]:.3f}",
                bar="≥ 0.97, above GANStrument's", is_met=heard[1] >= 0.97 and heard[1] > heard[0],
            ),
            Row(measure="pitch accuracy of the judge on true notes", value=f"{float(limit):.3f}"),
        ]  # fmt: skip

    def tuning(self) -> list[Row]:
        """Row 4: instruments rendered to sound by the engine and tracked."""
        engine = SynthesisEngine(self.model, torch.device("cpu"))
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
            clip = AudioClip(samples=audio[None], sample_rate=engine.sample_rate, name="source")
            timbre = engine.analyze(clip, root=pitch)
            root = round(pitch)
            wanted = tuple(sorted({max(28, root - 12), root, min(int(HIGHEST_NOTE), root + 12)}))
            mix = TimbreMix(timbres=(timbre,), weights=(1.0,))
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
    def distances(self) -> list[DistanceRow]:
        """Row 5: RMSE to the true note by interval, beside pitch-shifters."""
        rng = step_rng(self.config.seed, 0, 3)
        pairs = self._pairs_of_one_velocity(rng)
        true = self.split.mels(pairs[:, 1])
        plain, refined = self._render(
            pairs[:, 0],
            torch.from_numpy(self.split.midi_pitch[pairs[:, 1]]),
            torch.from_numpy(self.split.velocity[pairs[:, 1]]),
        )
        _, own = self._render(
            pairs[:, 0],
            torch.from_numpy(self.split.midi_pitch[pairs[:, 0]]),
            torch.from_numpy(self.split.velocity[pairs[:, 0]]),
        )
        sources = self.split.mels(pairs[:, 0])
        interval = self.split.midi_pitch[pairs[:, 1]] - self.split.midi_pitch[pairs[:, 0]]
        carried = torch.stack(
            [
                carry_over_of(s.float(), o.float()) * carry_over_share(float(i))
                for s, o, i in zip(sources, own, interval, strict=True)
            ]
        )
        audio = self.split.audio(pairs[:, 0]).numpy()
        rate = self.split.mel.sample_rate
        naive = [resample_shift(a, float(i)) for a, i in zip(audio, interval, strict=True)]
        rubber = [
            rubber_band_shift(a, float(i), rate) for a, i in zip(audio, interval, strict=True)
        ]
        errors = {
            "GANStrument": _rmse_db(plain, true, self.unit_db),
            "HyperGANStrument": _rmse_db(refined, true, self.unit_db),
            "HyperGANStrument + carry-over": _rmse_db(
                (refined + carried).clamp_min(-1.0), true, self.unit_db
            ),
            "naive resampling": _rmse_db(self._mels_of(naive), true, self.unit_db),
            "Rubber Band R3": _rmse_db(self._mels_of(rubber), true, self.unit_db),
        }
        ours = errors["HyperGANStrument + carry-over"]
        rows = []
        distance = np.abs(np.round(interval)).astype(int)
        for low, high in DISTANCE_BINS:
            inside = (distance >= low) & (distance <= high)
            if not inside.any():
                continue
            means = {name: float(values[inside].mean()) for name, values in errors.items()}
            mine = float(ours[inside].mean())
            beats_naive = mine < means["naive resampling"]
            beats_both = beats_naive and mine < means["Rubber Band R3"]
            met = beats_both if low >= 12 else beats_naive if low >= 3 else None
            bar = "below both rivals" if low >= 12 else "below naive" if low >= 3 else ""
            rows.append(
                DistanceRow(
                    interval=f"{low}–{high}", pairs=int(inside.sum()), rmse_db=means, bar=bar,
                    is_met=met,
                )
            )  # fmt: skip
        return rows

    def vocoder(self) -> list[Row]:
        """Row 7: true mels to sound, harmonic and inharmonic instruments apart."""
        rng = step_rng(self.config.seed, 0, 4)
        indices = self.split.draw(rng, self.config.vocoder_notes, 1)
        true = self.split.audio(indices)
        mels = self.split.mels(indices)
        pitches = torch.from_numpy(self.split.midi_pitch[indices])
        noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
        batches = zip(
            *(torch.split(tensor, BATCH) for tensor in (mels, pitches, noise)), strict=True
        )
        with self.precision:
            ours = torch.cat([self.model.vocoder(*batch).float() for batch in batches])
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
        with self.precision:
            parts = torch.split(self.split.mels(indices), BATCH)
            h = torch.cat([self.model.features(mels[:, None]) for mels in parts])
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
                value=f"{_probe(h.float(), pitches, notes):.3f}",
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

    def _pairs_of_one_velocity(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Source and target notes of one instrument at one velocity (rivals keep the velocity)."""
        pairs: list[NDArray[np.int64]] = []
        while len(pairs) < self.config.rival_pairs:
            source, target = self.split.draw(rng, 1, 2)
            if self.split.velocity[source] == self.split.velocity[target]:
                pairs.append(np.array([source, target]))
        return np.array(pairs)

    def _draw(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> _Drawn:
        plain, refined = self._render(
            sources,
            torch.from_numpy(self.split.midi_pitch[targets]),
            torch.from_numpy(self.split.velocity[targets]),
        )
        return _Drawn(true=self.split.mels(targets), plain=plain, refined=refined)

    def _render(
        self, sources: NDArray[np.int64], pitches: Tensor, velocities: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mels of notes made from source recordings, by the plain and the refined generator."""
        plain, refined = [], []
        generator, z_dim = self.model.generator, self.model.generator.config.z_dim
        with self.precision:
            for first in range(0, len(sources), BATCH):
                part = slice(first, first + BATCH)
                source = self.split.batch(sources[part])
                h = self.model.features(source.mel[:, None])
                z = torch.zeros(len(h), z_dim)
                plain.append(generator(z, pitches[part], velocities[part], h)[:, 0])
                offsets = refine(
                    self.model.features, generator, self.model.hypernetwork, h,
                    source.midi_pitch, source.velocity,
                )  # fmt: skip
                refined.append(generator(z, pitches[part], velocities[part], h, offsets)[:, 0])
        return torch.cat(plain).float(), torch.cat(refined).float()

    def _judge_features(self, mels: Tensor) -> NDArray[np.float32]:
        with self.precision:
            parts = [self.judge.features(m[:, None]) for m in torch.split(mels, BATCH)]
        return torch.cat(parts).float().numpy()

    def _judge_notes(self, mels: Tensor) -> Tensor:
        with self.precision:
            parts = [self.judge(m[:, None]).argmax(dim=1) for m in torch.split(mels, BATCH)]
        return torch.cat(parts)

    def _mels_of(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Mels of peak-normalised waveforms."""
        normalised = [w / max(float(np.max(np.abs(w))), 1e-6) for w in waves]
        return torch.cat([self.mel(torch.from_numpy(w)[None]) for w in normalised]).float()


def evaluate(model_path: Path | None, corpus: Path, config: EvaluateConfig, out: Path) -> None:
    """Take and print the tables, and keep them.

    Args:
        model_path: A bundle or the folder that holds it; the shipped one if None.
        corpus: A corpus with test notes.
        config: How much to measure.
        out: Folder for ``table.md`` and ``metrics.json``.

    Raises:
        CoreError: The bundle, the judge or the corpus is missing, or a rival is not installed.
    """
    path = SHIPPED_MODEL if model_path is None else model_path
    if path.is_dir():
        path = path / SHIPPED_MODEL.name
    model = load_model(path)
    judge = load_judge(path.with_name(JUDGE_FILE), model.mel)
    evaluation = Evaluation(model, judge, CorpusSplit(corpus, Split.TEST), config)
    rows, distances = evaluation.rows(), evaluation.distances()
    tables = (measures_table(rows), distances_table(distances))
    console = Console()
    for header, lines in tables:
        table = Table(*header)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(markdown(header, lines) for header, lines in tables)
    (out / "table.md").write_text(text, encoding="utf-8")
    metrics = {
        "model": model.content_hash,
        "rows": [dataclasses.asdict(row) for row in rows],
        "distances": [dataclasses.asdict(row) for row in distances],
    }
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


_Lines = list[tuple[str, ...]]


def measures_table(rows: Sequence[Row]) -> tuple[tuple[str, ...], _Lines]:
    """Header and lines of the measures."""
    lines: _Lines = [(r.measure, r.value, r.bar, _mark(r.is_met)) for r in rows]
    return ("measure", "value", "bar", "met"), lines


def distances_table(rows: Sequence[DistanceRow]) -> tuple[tuple[str, ...], _Lines]:
    """Header and lines of the distances by interval, dB."""
    names = tuple(rows[0].rmse_db) if rows else ()
    lines: _Lines = [
        (
            r.interval,
            str(r.pairs),
            *(f"{r.rmse_db[name]:.1f}" for name in names),
            r.bar,
            _mark(r.is_met),
        )
        for r in rows
    ]
    return ("semitones", "pairs", *names, "bar for carry-over", "met"), lines


def markdown(header: tuple[str, ...], lines: _Lines) -> str:
    """A table for a model card."""
    cells = [header, ("---",) * len(header), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def load_judge(path: Path, mel: MelConfig) -> PitchJudge:
    """Read the independent pitch judge.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    checkpoint = load_checkpoint(path, kind="judge")
    sizes = checkpoint.header["config"]
    judge = PitchJudge(
        PitchJudgeConfig(channels=tuple(sizes["channels"]), feature_dim=sizes["feature_dim"]), mel
    )
    load_network(judge, checkpoint, "judge")
    return judge.eval().requires_grad_(False)


def _mark(is_met: bool | None) -> str:
    return "" if is_met is None else "yes" if is_met else "no"


def _mse(ours: Tensor, true: Tensor) -> float:
    return float((ours - true).square().mean())


def _rmse_db(ours: Tensor, true: Tensor, unit_db: float) -> NDArray[np.float32]:
    """Per note, [N]."""
    error = (ours - true).square().mean(dim=(1, 2)).sqrt() * unit_db
    return error.numpy()


def _probe(h: Tensor, pitches: Tensor, notes: int) -> float:
    """R² of a ridge regression from h to the pitch, on instruments it was not fitted to."""
    half = len(h) // 2 // notes * notes
    x = torch.cat([h, torch.ones(len(h), 1)], dim=1).double()
    y = pitches.double()
    gram = x[:half].T @ x[:half] + torch.eye(x.shape[1], dtype=torch.float64) * 10.0
    solved = torch.linalg.solve(gram, x[:half].T @ y[:half])
    left = (y[half:] - x[half:] @ solved).square().sum()
    return float(1.0 - left / (y[half:] - y[half:].mean()).square().sum())
