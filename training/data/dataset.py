"""The rendered corpus as batches: memory-mapped arrays, one split at a time.

Batches are a pure function of (seed, process, step), so that a resumed run sees what an uninterrupted
one would have seen.

Shape legend: B batch, M mel bands, F frames, T samples, N notes of the split.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.mel import MelConfig
from training.corpus.source import PCM_SCALE, CorpusError, NoteKind
from training.corpus.splits import Split, split_of


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteBatch:
    """Notes as tensors."""

    mel: Tensor
    """Normalised log-mels, [B, M, F] float32."""
    midi_pitch: Tensor
    """Fractional MIDI notes, [B]."""
    velocity: Tensor
    """MIDI velocities, [B]."""
    instrument: Tensor
    """Index of the instrument within its split, [B]."""

    def to(self, device: torch.device) -> NoteBatch:
        """A copy of the batch on another device."""
        return NoteBatch(
            mel=self.mel.to(device),
            midi_pitch=self.midi_pitch.to(device),
            velocity=self.velocity.to(device),
            instrument=self.instrument.to(device),
        )

    def part(self, chosen: Tensor) -> NoteBatch:
        """A batch of some of the notes, by their places."""
        return NoteBatch(
            mel=self.mel[chosen],
            midi_pitch=self.midi_pitch[chosen],
            velocity=self.velocity[chosen],
            instrument=self.instrument[chosen],
        )


class CorpusSplit:
    """The notes of one split.

    Args:
        folder: A corpus written by ``python -m training corpus``.
        split: The only split whose notes can be reached through this object.
        without: Names of note sources to leave out.

    Raises:
        CorpusError: No corpus there, a damaged one, or a note whose label contradicts the rule.
    """

    def __init__(self, folder: Path, split: Split, without: Sequence[str] = ()) -> None:
        index = folder / "notes.jsonl"
        if not index.is_file():
            raise CorpusError(
                f"There is no corpus in {folder} (notes.jsonl is missing); run "
                "'python -m training corpus' first."
            )
        try:
            lines = index.read_text(encoding="utf-8").splitlines()
            labels = [json.loads(line) for line in lines]
            self._mels = np.load(folder / "mels.npy", mmap_mode="r")
            self._audio = np.load(folder / "audio.npy", mmap_mode="r")
        except (OSError, ValueError) as error:
            raise CorpusError(
                f"The corpus in {folder} is damaged ({error}); render it again."
            ) from error
        if not len(labels) == len(self._mels) == len(self._audio):
            raise CorpusError(f"The corpus in {folder} is incomplete; render it again.")
        for label in labels:
            if "kind" not in label:
                raise CorpusError(
                    f"The corpus in {folder} is of an older program, which did not know what its "
                    "notes are made of; render it again."
                )
            if split_of(label["program"]) != label["split"]:
                raise CorpusError(
                    f"{label['instrument']} is labelled {label['split']} against the split rule; "
                    "render the corpus again."
                )
        rows = [
            i
            for i, label in enumerate(labels)
            if label["split"] == split and label["source"] not in without
        ]
        if not rows:
            raise CorpusError(f"The corpus in {folder} has no {split} notes; render a larger one.")
        chosen = [labels[i] for i in rows]
        self.split = split
        self.mel = MelConfig()
        """Geometry of the stored mels."""
        self.rows = np.array(rows)
        self.instruments: list[str] = sorted({label["instrument"] for label in chosen})
        numbers = {name: i for i, name in enumerate(self.instruments)}
        self.instrument: NDArray[np.int64] = np.array([numbers[n["instrument"]] for n in chosen])
        self.midi_pitch = np.array([n["midi_pitch"] for n in chosen], dtype=np.float32)
        self.velocity = np.array([n["velocity"] for n in chosen], dtype=np.float32)
        self.is_recorded: NDArray[np.bool_] = np.array(
            [n["kind"] == NoteKind.RECORDED for n in chosen]
        )
        self.samples: list[frozenset[str]] = [frozenset(n["samples"]) for n in chosen]
        """Recordings that sound in each note; none where it is synthesized."""
        self.stretch = np.array([n["stretch"] for n in chosen], dtype=np.float32)
        self._gain = np.array(
            [10.0 ** (n["gain_db"] / 20.0) / PCM_SCALE for n in chosen], np.float32
        )
        self.source: list[str] = [n["source"] for n in chosen]
        self.name: list[str] = [n["name"] for n in chosen]
        self.notes_of: list[NDArray[np.int64]] = [
            np.flatnonzero(self.instrument == i) for i in range(len(self.instruments))
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def mels(self, indices: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """Log-mels of notes by their index in this split, [B, M, F]."""
        rows = self.rows[np.asarray(indices)]
        return torch.from_numpy(np.stack([self._mels[row] for row in rows]).astype(np.float32))

    def audio(self, indices: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """Waveforms of notes at the reference loudness, as their mels are, [B, T]; peaks vary."""
        indices = np.asarray(indices)
        stacked = np.stack([self._audio[row] for row in self.rows[indices]])
        return torch.from_numpy(stacked.astype(np.float32) * self._gain[indices, None])

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> NoteBatch:
        """Notes by their index in this split."""
        indices = np.asarray(indices)
        return NoteBatch(
            mel=self.mels(indices),
            midi_pitch=torch.from_numpy(self.midi_pitch[indices]),
            velocity=torch.from_numpy(self.velocity[indices]),
            instrument=torch.from_numpy(self.instrument[indices]),
        )

    def draw(self, rng: np.random.Generator, instruments: int, notes: int) -> NDArray[np.int64]:
        """Draw notes: every instrument equally likely, several notes of each.

        Args:
            rng: Source of chance.
            instruments: How many instruments, with repetition.
            notes: Notes of each, different ones while there are enough.

        Returns:
            Indices [instruments · notes], the notes of an instrument next to each other.
        """
        drawn = []
        for number in rng.integers(len(self.instruments), size=instruments):
            own = self.notes_of[number]
            drawn.append(rng.choice(own, size=notes, replace=len(own) < notes))
        return np.concatenate(drawn)


def step_rng(seed: int, rank: int, step: int) -> np.random.Generator:
    """The generator that draws a step's batch."""
    return np.random.default_rng([seed, rank, step])
