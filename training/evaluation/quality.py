"""What the networks and the finder of root notes reach, one row for each measure.

Measures: reconstruction MSE, pitch accuracy and Fréchet distance as HyperGANStrument
(arXiv 2401.04558, table 1), with the plain generator beside it; tuning, the vocoder against
Griffin-Lim, what features know of the pitch, neighbouring keys, root notes.

Shape legend: N notes, P pairs, M mel bands, F frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from core.audio.pitch import estimate_root
from core.sound import RenderRequest, Sound, TimbreMix
from training import losses
from training.data.dataset import step_rng
from training.data.pairs import Indices
from training.evaluation.baselines import griffin_lim
from training.evaluation.config import EvaluateConfig
from training.evaluation.draws import (
    draw_pairs,
    draw_presets,
    draw_sources,
    kin_of,
    notes_in_turns,
)
from training.evaluation.frechet import frechet_distance
from training.evaluation.invariance import explained_pitch, within_and_between
from training.evaluation.neighbouring_keys import NEIGHBOUR_SEMITONES, compare_neighbours
from training.evaluation.tables import Table, mark
from training.evaluation.tuning import CLEAR_CENTS, HIGHEST_NOTE, tuning_error_cents
from training.evaluation.workbench import Workbench

PITCH_INTERVALS = (-24, -12, -7, -3, 0, 3, 7, 12, 24)
"""Semitones from source to target for the pitch accuracy."""
PROBED_NOTES = 6
"""Notes of each preset whose features are asked for the pitch."""
ROOT_RANGE = (36.0, 84.0)
"""MIDI notes of the recordings whose root note is estimated."""
ROOT_CENTS = 20.0
"""A root note this near to the true one is right."""
SURE = 0.7
"""Confidence from which on a root note is taken for certain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table."""

    measure: str
    value: str
    bar: str = ""
    is_met: bool | None = None
    """Whether the value meets the bar; None where there is no bar."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """Mels of one set of pairs: true targets and what the two models make of them, [P, M, F]."""

    true: Tensor
    plain: Tensor
    refined: Tensor


class Quality:
    """Takes the measures of one bundle on one split.

    Args:
        bench: Bundle, pitch classifier and true notes.
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
                self.tuning,
                self.feature_invariance,
                self.root_notes,
                self.vocoder,
                self.neighbouring_keys,
            ]
        rows: list[Row] = []
        for part in track(parts, "evaluate", console=Console(stderr=True)):
            with torch.inference_mode():
                rows += part()
        return rows

    def reconstruction_and_frechet(self) -> list[Row]:
        """Squared errors and Fréchet distances of the models without carry-over."""
        pairs = draw_pairs(step_rng(self.config.seed, 0, 0), self.bench.pairs, self.config.pairs)
        same = self._draw(pairs[:, [0, 0]])
        cross = self._draw(pairs)
        # The true mels are sounded like the others: the vocoder is measured by a row of its own.
        wanted = torch.from_numpy(self.split.midi_pitch[pairs[:, 1]])
        true = self.bench.classify_rendered(cross.true, wanted).features
        far_plain, far_refined = (
            frechet_distance(self.bench.classify_rendered(drawn, wanted).features, true)
            for drawn in (cross.plain, cross.refined)
        )
        return [
            _ratio_row(f"MSE at the source's own note ({len(pairs)})", same, 0.80),
            _ratio_row(f"MSE at another note ({len(pairs)})", cross, 0.97),
            *self._fitted(pairs, same, cross),
            Row(
                measure="Fréchet distance on sounds, HyperGANStrument ÷ GANStrument",
                value=f"{far_refined:.3f} / {far_plain:.3f} = {far_refined / far_plain:.3f}",
                bar="≤ 0.90",
                is_met=far_refined <= 0.90 * far_plain,
            ),
        ]

    def _fitted(self, pairs: Indices, same: _Drawn, cross: _Drawn) -> Iterator[Row]:
        """What fitting makes of the first pairs."""
        steps = self.config.fit_steps
        chosen = slice(self.config.fitted_sources)
        pairs = pairs[chosen]
        targets = [
            (torch.from_numpy(self.split.midi_pitch[i]), torch.from_numpy(self.split.velocity[i]))
            for i in pairs.T
        ]
        fitted = self.bench.draw_fitted(pairs[:, 0], targets, steps)
        names = ("the source's own note", "another note")
        for name, drawn, mels in zip(names, (same, cross), fitted, strict=True):
            true = drawn.true[chosen]
            plain, refined, closer = (
                _mse(each, true) for each in (drawn.plain[chosen], drawn.refined[chosen], mels)
            )
            yield Row(
                measure=f"MSE at {name}, HyperGANStrument / fitted by {steps} steps, ÷ GANStrument "
                f"({len(pairs)})",
                value=f"{refined / plain:.3f} / {closer / plain:.3f}",
            )

    def pitch_accuracy(self) -> list[Row]:
        """Whether the classifier names rendered notes, across ±24 semitones."""
        rng = step_rng(self.config.seed, 0, 1)
        sources = draw_sources(rng, self.bench.pairs, self.config.pitch_sources)
        source_rows, targets = [], []
        for index in sources.tolist():
            root = round(float(self.split.midi_pitch[index]))
            kept = [root + step for step in PITCH_INTERVALS if 24 <= root + step <= 96]
            source_rows += [index] * len(kept)
            targets += kept
        notes = torch.tensor(targets)
        plain, refined = self.bench.draw(
            np.array(source_rows), notes.float(), torch.full([len(notes)], 100.0)
        )
        plain_share, refined_share = (
            float(
                (self.bench.classify_rendered(drawn, notes.float()).notes == notes).float().mean()
            )
            for drawn in (plain, refined)
        )
        true = np.arange(0, len(self.split), max(1, len(self.split) // 1000))
        named = self.bench.classify_true(true).notes.numpy()
        limit = np.mean(named == np.round(self.split.midi_pitch[true]))
        return [
            Row(
                measure=f"pitch accuracy, HyperGANStrument, ±24 semitones ({len(notes)})",
                value=f"{refined_share:.4f}",
                bar="≥ 0.99",
                is_met=refined_share >= 0.99,
            ),
            Row(measure="pitch accuracy, GANStrument", value=f"{plain_share:.4f}"),
            Row(
                measure=f"pitch accuracy of the classifier on true notes ({len(true)})",
                value=f"{float(limit):.3f}",
            ),
        ]

    def tuning(self) -> list[Row]:
        """Instruments rendered to sound by the engine and tracked."""
        engine = self.bench.engine
        rng = step_rng(self.config.seed, 0, 2)
        errors: list[float] = []
        lost = 0
        for index in draw_sources(rng, self.bench.pairs, 4 * self.config.tuning_notes).tolist():
            audio = self.split.audio([index])[0].numpy()
            pitch = float(self.split.midi_pitch[index])
            if pitch > HIGHEST_NOTE - 12:
                continue
            own = tuning_error_cents(audio, pitch, engine.sample_rate)
            if own is None or abs(own) > CLEAR_CENTS:
                continue  # no clear pitch at its key: nothing to be in tune with
            root = round(pitch)
            wanted = tuple(sorted({max(28, root - 12), root, min(int(HIGHEST_NOTE), root + 12)}))
            # By the tracked pitch, as a user's one-shot is: recordings are not all in tune.
            timbre = self.bench.analyze(index, root=pitch + own / 100.0)
            mix = TimbreMix(timbres=(timbre,), weights=(1.0,))
            for region in engine.render(RenderRequest(sound=Sound(mix=mix), notes=wanted)).regions:
                error = tuning_error_cents(region.samples[0], region.root_note, engine.sample_rate)
                lost += error is None
                if error is not None:
                    errors.append(abs(error))
            if len(errors) >= self.config.tuning_notes:
                break
        if not errors:
            return [Row(measure="tuning of rendered audio", value="no note could be tracked")]
        median, high = (float(x) for x in np.percentile(errors, [50, 95]))
        return [
            Row(
                measure=f"tuning of rendered audio, median absolute error ({len(errors)})",
                value=f"{median:.2f} cents",
                bar="≤ 1",
                is_met=median <= 1.0,
            ),
            Row(
                measure="tuning of rendered audio, 95th percentile",
                value=f"{high:.2f} cents",
                bar="≤ 8",
                is_met=high <= 8.0,
            ),
            Row(
                measure="rendered notes whose pitch the tracker lost",
                value=f"{lost} of {lost + len(errors)}",
            ),
        ]

    def feature_invariance(self) -> list[Row]:
        """What f keeps of the pitch, on recorded and synthesized presets together."""
        rng = step_rng(self.config.seed, 0, 5)
        presets = draw_presets(rng, self.bench.pairs, self.config.probed_presets, PROBED_NOTES)
        indices = np.concatenate(presets)
        kin = kin_of(self.split)[indices]
        if len(np.unique(kin)) < 2:
            return [Row(measure="linear probe of the pitch on h", value="one instrument alone")]
        h = self.bench.features(self.split.mels(indices))
        explained = explained_pitch(h, torch.from_numpy(self.split.midi_pitch[indices]), kin)
        within, between = within_and_between(h, kin)
        return [
            Row(
                measure="linear probe of the pitch on h, share of its variance explained "
                f"({len(presets)} presets)",
                value=f"{explained:.3f}",
                bar="≤ 0.30",
                is_met=explained <= 0.30,
            ),
            Row(
                measure="distance of h within an instrument ÷ between instruments",
                value=f"{within:.2f} / {between:.2f} = {within / between:.3f}",
            ),
        ]

    def root_notes(self) -> list[Row]:
        """Root-note estimates of recorded instruments, and how sure they are."""
        low, high = ROOT_RANGE
        pitches = self.split.midi_pitch
        inside = np.flatnonzero(self.split.is_recorded & (pitches >= low) & (pitches <= high))
        if not len(inside):
            return [Row(measure="root notes", value="no recorded instruments")]
        turns = notes_in_turns(step_rng(self.config.seed, 0, 6), inside, kin_of(self.split))
        chosen = turns[: self.config.root_notes]
        rate = self.split.mel.sample_rate
        estimates = [estimate_root(self.split.audio([i])[0].numpy(), rate) for i in chosen]
        gaps = np.array([each.midi_pitch for each in estimates]) - pitches[chosen]
        sure = np.array([each.confidence > SURE for each in estimates])
        tolerance = ROOT_CENTS / 100.0
        is_right = np.abs(gaps) <= tolerance
        in_octave = np.abs(gaps - 12.0 * np.round(gaps / 12.0)) <= tolerance
        share, sure_and_wrong = float(is_right.mean()), float((sure & ~is_right).mean())
        missed = Counter(self.split.name[index] for index in chosen[~is_right])
        worst = ", ".join(f"{name} ({count})" for name, count in missed.most_common(5))
        return [
            Row(
                measure=f"root note right within ±{ROOT_CENTS:g} cents, MIDI {low:g}–{high:g} "
                f"({len(chosen)})",
                value=f"{share:.3f}",
                bar="≥ 0.95",
                is_met=share >= 0.95,
            ),
            Row(
                measure=f"root note sure (confidence > {SURE:g}) and wrong",
                value=f"{100.0 * sure_and_wrong:.1f} %",
                bar="≤ 1 %",
                is_met=sure_and_wrong <= 0.01,
            ),
            Row(
                measure="root note right if octaves are forgiven / within ±50 cents",
                value=f"{in_octave.mean():.3f} / {np.mean(np.abs(gaps) <= 0.5):.3f}",
            ),
            Row(measure="presets whose root notes are wrong most often", value=worst),
        ]

    def vocoder(self) -> list[Row]:
        """True mels to sound, harmonic and inharmonic instruments apart."""
        rng = step_rng(self.config.seed, 0, 4)
        indices = self.split.draw(rng, self.config.vocoder_notes, 1)
        true = self.split.audio(indices)
        mels = self.split.mels(indices)
        pitches = torch.from_numpy(self.split.midi_pitch[indices])
        ours = self.bench.vocode(mels, pitches)
        theirs = torch.from_numpy(np.stack([griffin_lim(m.numpy(), self.split.mel) for m in mels]))
        tracked = [
            tuning_error_cents(a.numpy(), float(p), self.split.mel.sample_rate)
            for a, p in zip(true, pitches, strict=True)
        ]
        is_harmonic = np.array(
            [error is not None and abs(error) < CLEAR_CENTS for error in tracked]
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
                    value=f"STFT {stft[0]:.3f} / {stft[1]:.3f}, "
                    f"mel {mel_db[0]:.2f} / {mel_db[1]:.2f} dB",
                    bar="below on both",
                    is_met=stft[0] < stft[1] and mel_db[0] < mel_db[1],
                )
            )
        return rows

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
                    measure=f"neighbouring keys {name}: largest difference of loudness "
                    f"({len(steps)})",
                    value=f"{level:.2f} dB",
                    bar="≤ 1",
                    is_met=level <= 1.0,
                ),
                Row(
                    measure=f"neighbouring keys {name}: log-mel RMSE ÷ true instruments'",
                    value=f"{mel:.2f} / {true:.2f} dB = {mel / true:.2f}",
                    bar="≤ 2",
                    is_met=mel <= 2.0 * true,
                ),
            ]
        return rows

    def _draw(self, pairs: Indices) -> _Drawn:
        targets = pairs[:, 1]
        plain, refined = self.bench.draw(
            pairs[:, 0],
            torch.from_numpy(self.split.midi_pitch[targets]),
            torch.from_numpy(self.split.velocity[targets]),
        )
        return _Drawn(true=self.split.mels(targets), plain=plain, refined=refined)


def quality_table(rows: list[Row], title: str) -> Table:
    """The measures and their bars."""
    return Table(
        title=title,
        header=("measure", "value", "bar", "met"),
        lines=tuple((r.measure, r.value, r.bar, mark(r.is_met)) for r in rows),
    )


def _ratio_row(measure: str, drawn: _Drawn, bar: float) -> Row:
    plain, refined = _mse(drawn.plain, drawn.true), _mse(drawn.refined, drawn.true)
    return Row(
        measure=f"{measure}, HyperGANStrument ÷ GANStrument",
        value=f"{refined:.4f} / {plain:.4f} = {refined / plain:.3f}",
        bar=f"≤ {bar:.2f}",
        is_met=refined <= bar * plain,
    )


def _mse(ours: Tensor, true: Tensor) -> float:
    return float((ours - true).square().mean())
