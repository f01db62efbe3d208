"""Which two notes of an instrument teach anything about it: the one place that decides.

A soundfont plays one recording over many keys. Two notes of the same recording differ by resampling
alone, and a network shown such a pair learns to resample. A pair is *genuine* where no recording
sounds in both notes and neither is repitched far from its own pitch: then the second is what the
instrument really does at that pitch. Notes that are synthesized anew are always genuine pairs.

Training, validation, the tables and every tuned law draw their pairs here.

Shape legend: N notes of the split, P pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from training.corpus.source import CorpusError
from training.data.dataset import CorpusSplit

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairConfig:
    """Which pairs of notes training draws."""

    max_stretch: float = 4.5
    """Semitones from its recordings' own pitch beyond which a note is left out."""
    recorded_share: float = 0.75
    """Share of the draws that are of recorded instruments, where there are both kinds."""
    same_note_share: float = 0.2
    """Share of the draws whose target is the source itself; 1 is the paper."""

    def __post_init__(self) -> None:
        for name in ("recorded_share", "same_note_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ParameterError(
                    f"pairs.{name} = {getattr(self, name)} must lie between 0 and 1."
                )
        if not self.max_stretch >= 0.0:
            raise ParameterError(
                f"pairs.max_stretch = {self.max_stretch} must be 0 semitones or more."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class PairShares:
    """What all ordered pairs of two notes of an instrument are made of, shares that sum to 1."""

    pairs: int
    """Number of ordered pairs."""
    shared: float
    """Share of pairs in whose notes one recording sounds at least."""
    stretched: float
    """Share of pairs without a common recording of which a note is repitched too far."""
    genuine: float
    """Share of genuine pairs."""


class NotePairs:
    """The genuine pairs of a split.

    Args:
        split: Notes.
        config: The rule and the shares of the draws.

    Raises:
        CorpusError: The split has no two notes that are a genuine pair.
    """

    def __init__(self, split: CorpusSplit, config: PairConfig) -> None:
        self.split, self.config = split, config
        self._is_near = is_near_its_recordings(split, config)
        self._groups, self._are_apart = _groups_of(split)
        self._usable = [own[self._is_near[own]] for own in split.notes_of]
        self._sources = [
            np.array([i for i in own if len(self.partners(int(i)))], dtype=np.int64)
            for own in self._usable
        ]
        is_recorded = np.array([bool(split.is_recorded[own[0]]) for own in split.notes_of])
        paired = np.array([len(sources) > 0 for sources in self._sources])
        if not paired.any():
            raise CorpusError(
                f"The {split.split} notes hold no two of one instrument that share no recording; "
                "render a larger corpus."
            )
        self._recorded = np.flatnonzero(paired & is_recorded)
        self._synthesized = np.flatnonzero(paired & ~is_recorded)

    def partners(self, index: int) -> Indices:
        """Notes that are a genuine pair with one note, in rising order."""
        if not self._is_near[index]:
            return np.zeros(0, np.int64)
        instrument = self.split.instrument[index]
        own = self._usable[instrument]
        apart = self._are_apart[instrument][self._groups[index], self._groups[own]]
        partners: Indices = own[apart & (own != index)]
        return partners

    def pairs(self, *, recorded: bool) -> Indices:
        """Every ordered genuine pair of recorded, or of synthesized, instruments, [P, 2]."""
        found = []
        for instrument in self._recorded if recorded else self._synthesized:
            for source in self._sources[instrument]:
                partners = self.partners(int(source))
                found.append(np.stack([np.full_like(partners, source), partners], axis=1))
        return np.concatenate(found) if found else np.zeros((0, 2), np.int64)

    def draw(self, rng: np.random.Generator, count: int) -> Indices:
        """Draw sources and targets: kind, preset, source and target each with equal chances.

        Args:
            rng: Source of chance.
            count: How many pairs.

        Returns:
            [count, 2]; where source and target are one note, both columns agree.
        """
        drawn = np.empty((count, 2), np.int64)
        for row in drawn:
            source = self._draw_source(rng)
            is_same = rng.random() < self.config.same_note_share
            row[:] = source, source if is_same else rng.choice(self.partners(source))
        return drawn

    def draw_notes(self, rng: np.random.Generator, instruments: int, notes: int) -> Indices:
        """Draw several notes of each of some presets, the first a source, the rest its partners.

        Args:
            rng: Source of chance.
            instruments: How many presets, with repetition.
            notes: Notes of each, different ones while there are enough.

        Returns:
            [instruments · notes], the notes of a preset next to each other.
        """
        drawn = []
        for _ in range(instruments):
            source = self._draw_source(rng)
            others = self.partners(source)
            more = rng.choice(others, size=notes - 1, replace=len(others) < notes - 1)
            drawn.append(np.concatenate([[source], more]))
        return np.concatenate(drawn)

    def _draw_source(self, rng: np.random.Generator) -> int:
        wants_recorded = rng.random() < self.config.recorded_share
        first, second = self._recorded, self._synthesized
        if not wants_recorded:
            first, second = second, first
        sources = self._sources[rng.choice(first if len(first) else second)]
        return int(rng.choice(sources))


def is_near_its_recordings(split: CorpusSplit, config: PairConfig) -> NDArray[np.bool_]:
    """Which notes are played near the own pitch of what sounds in them, [N]."""
    is_near: NDArray[np.bool_] = split.stretch <= config.max_stretch
    return is_near


def pair_shares(split: CorpusSplit, config: PairConfig) -> PairShares:
    """What training would be shown if any two notes of an instrument were a pair."""
    groups, are_apart = _groups_of(split)
    is_near = is_near_its_recordings(split, config)
    counts = dict.fromkeys(("shared", "stretched", "genuine"), 0)
    for own, apart_groups in zip(split.notes_of, are_apart, strict=True):
        apart = apart_groups[groups[own][:, None], groups[own][None]]
        near = is_near[own][:, None] & is_near[own][None]
        two = ~np.eye(len(own), dtype=bool)
        counts["shared"] += int(np.sum(~apart & two))
        counts["stretched"] += int(np.sum(apart & ~near & two))
        counts["genuine"] += int(np.sum(apart & near & two))
    total = sum(counts.values())
    return PairShares(
        pairs=total, **{name: count / max(1, total) for name, count in counts.items()}
    )


def in_turns(rng: np.random.Generator, pairs: Indices, instrument: Indices) -> Indices:
    """Pairs shuffled so that every instrument comes once before one comes twice, [P, 2].

    Args:
        rng: Source of chance.
        pairs: [P, 2].
        instrument: Instrument of every note of the split, [N].
    """
    shuffled = pairs[rng.permutation(len(pairs))]
    seen: Counter[int] = Counter()
    turns = []
    for number in instrument[shuffled[:, 0]].tolist():
        turns.append(seen[number])
        seen[number] += 1
    ordered: Indices = shuffled[np.argsort(turns, kind="stable")]
    return ordered


def _groups_of(split: CorpusSplit) -> tuple[Indices, list[NDArray[np.bool_]]]:
    """Notes of an instrument that the same set of recordings makes are one group.

    Returns:
        The group of each note, numbered within its instrument, [N]; for each instrument, which
        groups share no recording, [groups, groups].
    """
    groups = np.zeros(len(split), np.int64)
    are_apart = []
    for own in split.notes_of:
        numbers: dict[frozenset[str] | int, int] = {}
        for index in own.tolist():
            # A synthesized note is a group of its own.
            key = split.samples[index] or index
            groups[index] = numbers.setdefault(key, len(numbers))
        sets = [key if isinstance(key, frozenset) else frozenset() for key in numbers]
        are_apart.append(_disjoint(sets))
    return groups, are_apart


def _disjoint(sets: Sequence[frozenset[str]]) -> NDArray[np.bool_]:
    return np.array([[one.isdisjoint(other) for other in sets] for one in sets], dtype=bool)
