"""What every measure of a bundle needs: networks, pitch classifier, engine and true notes.

Shape legend: N notes, B batch, M mel bands, F frames, H feature width, T samples, D width of the
classifier's features.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.audio.files import AudioClip
from core.audio.loudness import reference_gain
from core.audio.signal import PRE_ROLL_S
from core.device import cpu_has_fast_bfloat16
from core.inference.engine import SynthesisEngine
from core.inference.fitting import fit_offsets
from core.inference.folded_vocoder import FoldedVocoder
from core.inference.model import SHIPPED_MODEL, Model, load_model
from core.mel import MelSpectrogram
from core.sound import Timbre
from training.data.dataset import CorpusSplit
from training.data.pairs import NotePairs, PairConfig
from training.pitch_classifier import CLASSIFIER_FILE, PitchClassifier, load_classifier
from training.refining import refine

BATCH = 16


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Classification:
    """What the pitch classifier hears in some sounds."""

    notes: Tensor
    """MIDI notes that the sounds are taken for, [N]."""
    features: NDArray[np.float32]
    """Features that the classifier went by, [N, D]."""


class Workbench:
    """A bundle, the pitch classifier and the true notes that the bundle is measured on.

    Args:
        model: The bundle.
        classifier: The independent pitch classifier.
        split: True notes.
    """

    def __init__(self, model: Model, classifier: PitchClassifier, split: CorpusSplit) -> None:
        self.model, self.classifier, self.split = model, classifier, split
        self.mel = MelSpectrogram(split.mel)
        self.unit_db = split.mel.db_per_unit
        self.sample_rate = split.mel.sample_rate
        is_fast = cpu_has_fast_bfloat16()
        self.precision = torch.autocast("cpu", torch.bfloat16, enabled=is_fast)
        self._vocoder = FoldedVocoder(model.vocoder, torch.bfloat16 if is_fast else torch.float32)

    @cached_property
    def pairs(self) -> NotePairs:
        """The genuine pairs of the split, by one rule for every bundle."""
        return NotePairs(self.split, PairConfig())

    @cached_property
    def engine(self) -> SynthesisEngine:
        """The program's engine; it refuses bundles that only the studies can run."""
        return SynthesisEngine(self.model, torch.device("cpu"))

    @torch.inference_mode()
    def features(self, mels: Tensor) -> Tensor:
        """Timbre features h = f(x), [N, M, F] to [N, H]."""
        with self.precision:
            parts = [self.model.features(m[:, None]) for m in torch.split(mels, BATCH)]
        return torch.cat(parts).float()

    @torch.inference_mode()
    def draw(
        self, sources: NDArray[np.int64], pitches: Tensor, velocities: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Notes made from source recordings, without carry-over or original.

        Args:
            sources: Indices of the recordings, [N].
            pitches: MIDI notes wanted, [N].
            velocities: Velocities of the notes wanted, [N].

        Returns:
            Mels of the plain and of the refined generator, [N, M, F] each.
        """
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
                    self.model.features, generator, self.model.hypernetwork, source, h
                ).offsets
                refined.append(generator(z, pitches[part], velocities[part], h, offsets)[:, 0])
        return torch.cat(plain).float(), torch.cat(refined).float()

    @torch.inference_mode(False)  # fitting takes gradients
    def draw_fitted(
        self,
        sources: NDArray[np.int64],
        targets: Sequence[tuple[Tensor, Tensor]],
        steps: int,
    ) -> list[Tensor]:
        """Notes by the refined generator fitted to each recording (core/inference/fitting.py).

        Args:
            sources: Indices of the recordings, [N].
            targets: MIDI notes wanted and their velocities, [N] each; each source is fitted once.
            steps: Steps of fitting.

        Returns:
            Mels of each of the targets, [N, M, F].
        """
        generator = self.model.generator
        z = torch.zeros(1, generator.config.z_dim)
        drawn: list[list[Tensor]] = [[] for _ in targets]
        for place, index in enumerate(sources):
            source = self.split.batch(np.array([index]))
            h = self.features(source.mel).clone()
            with torch.no_grad(), self.precision:
                offsets = refine(
                    self.model.features, generator, self.model.hypernetwork, source, h
                ).offsets
            offsets = [offset.float() for offset in offsets]
            changes = fit_offsets(
                generator,
                h,
                offsets,
                source.mel[0],
                float(source.midi_pitch[0]),
                steps=steps,
                precision=lambda: self.precision,
            )
            fitted = [offset + change for offset, change in zip(offsets, changes, strict=True)]
            for mels, (pitches, velocities) in zip(drawn, targets, strict=True):
                wanted = pitches[place][None], velocities[place][None]
                with torch.no_grad(), self.precision:
                    mels.append(generator(z, *wanted, h, fitted)[:, 0].float())
        return [torch.cat(mels) for mels in drawn]

    @torch.inference_mode()
    def vocode(self, mels: Tensor, pitches: Tensor) -> Tensor:
        """Waveforms [N, T] of mels [N, M, F] at their notes [N], as the engine sounds them."""
        seeded = torch.Generator().manual_seed(0)
        noise = torch.randn(len(mels), self.split.mel.n_samples, generator=seeded)
        parts = zip(*(torch.split(x, BATCH) for x in (mels, pitches, noise)), strict=True)
        n_samples = self.split.mel.n_samples
        vocoder = self._vocoder
        sounds = [vocoder.render(m, p, vocoder.sources(p, n), n_samples) for m, p, n in parts]
        return torch.cat(sounds)

    @torch.inference_mode()
    def classify_rendered(self, mels: Tensor, pitches: Tensor) -> Classification:
        """What the classifier hears in mels [N, M, F], sounded at their notes [N]."""
        batches = zip(torch.split(mels, BATCH), torch.split(pitches, BATCH), strict=True)
        return self.classify_sounds(self.vocode(*batch) for batch in batches)

    @torch.inference_mode()
    def classify_true(self, indices: NDArray[np.int64]) -> Classification:
        """What the classifier hears in notes of the split, [N]."""
        parts = (indices[first : first + BATCH] for first in range(0, len(indices), BATCH))
        return self.classify_sounds(self.split.audio(part) for part in parts)

    @torch.inference_mode()
    def classify_sounds(self, waves: Iterable[Tensor]) -> Classification:
        """What the classifier hears in batches of waveforms, [B, T] each, N in all."""
        notes, features = [], []
        with self.precision:
            for wave in waves:
                logits, heard = self.classifier.hear(wave)
                notes.append(logits.argmax(dim=1))
                features.append(heard.float())
        return Classification(notes=torch.cat(notes), features=torch.cat(features).numpy())

    def analyze(
        self, index: int, engine: SynthesisEngine | None = None, root: float | None = None
    ) -> Timbre:
        """A note of the split as a user's one-shot whose root is known.

        Args:
            index: The note.
            engine: Who listens to it; the bundle's own engine if None.
            root: Fractional MIDI note of the root; that of the label if None.
        """
        audio = self.split.audio([index])
        clip = AudioClip(
            samples=(audio / audio.abs().max().clamp_min(1.0)).numpy(),
            sample_rate=self.sample_rate,
            name=self.split.name[index],
        )
        known = float(self.split.midi_pitch[index]) if root is None else root
        return (engine or self.engine).analyze(clip, root=known)

    def whole_note(
        self, rendered: NDArray[np.float32], onset_s: float = 0.0
    ) -> NDArray[np.float32]:
        """A rendered note [1, T] as the corpus's notes are: its onset where its source's was, [T]."""
        note = np.zeros(self.split.mel.n_samples, np.float32)
        heard = rendered[0, round(PRE_ROLL_S * self.sample_rate) :]
        onset = round(onset_s * self.sample_rate)
        length = min(len(heard), len(note) - onset)
        note[onset : onset + length] = heard[:length]
        return note

    def mels_of(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Mels [N, M, F] of waveforms, brought to the reference loudness first."""
        levelled = (at_reference_loudness(wave, self.sample_rate) for wave in waves)
        return torch.cat([self.mel(torch.from_numpy(wave)[None]) for wave in levelled])


def at_reference_loudness(wave: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """A waveform [T] at the loudness that true notes have; silence stays silence."""
    return wave * np.float32(reference_gain(wave, sample_rate))


def open_workbench(path: Path | None, split: CorpusSplit) -> Workbench:
    """A bundle with the pitch classifier beside it, and the notes to measure it on.

    Args:
        path: The bundle or the folder that holds it; the shipped one if None.
        split: True notes.

    Raises:
        CheckpointError: The bundle or the classifier is missing or damaged.
    """
    bundle = bundle_file(SHIPPED_MODEL if path is None else path)
    model = load_model(bundle)
    classifier = load_classifier(bundle.with_name(CLASSIFIER_FILE), model.mel.sample_rate)
    return Workbench(model, classifier, split)


def bundle_file(path: Path) -> Path:
    """The bundle that a path names: itself, or the one in a folder."""
    return path / SHIPPED_MODEL.name if path.is_dir() else path
