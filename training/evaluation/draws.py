"""Which notes of a split are measured: genuine pairs and sources, programs in turn.

Shape legend: N notes, P pairs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import CorpusSplit
from training.data.pairs import Indices, NotePairs, in_turns

WHOLE_NOTE_CENTS = 0.5
"""The engine renders whole MIDI notes: only true notes this near to one are targets."""
FAMILIES = (
    "Piano",
    "Chromatic percussion",
    "Organ",
    "Guitar",
    "Bass",
    "Strings",
    "Ensemble",
    "Brass",
    "Reed",
    "Pipe",
    "Synth lead",
    "Synth pad",
    "Synth effects",
    "Ethnic",
    "Percussive",
)
"""General MIDI families of programs, in order."""
PROGRAMS_OF_A_FAMILY = 8
_PRESET = re.compile(r".+/\d{3}-(\d{3})")
"""Identity of a soundfont's preset: font, bank, program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """Semitones from source to target that one row of a table stands for."""

    low: int
    """Fewest semitones either way, rounded."""
    high: int
    """Most semitones either way, rounded."""
    sign: int
    """1 upwards, -1 downwards, 0 the source's own note."""

    @property
    def name(self) -> str:
        """The interval as tables show it, e.g. ``-3 to -5``."""
        ends = (self.sign * self.low, self.sign * self.high)
        return f"{ends[0]:+d} to {ends[1]:+d}" if self.sign else "0"

    def holds(self, semitones: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of some intervals [P] belong to this row."""
        inside: NDArray[np.bool_] = (
            (np.sign(np.round(semitones)) == self.sign)
            & (np.abs(np.round(semitones)) >= self.low)
            & (np.abs(np.round(semitones)) <= self.high)
        )
        return inside


SAME_NOTE = Interval(low=0, high=0, sign=0)
INTERVALS = (
    SAME_NOTE,
    *(
        Interval(low=low, high=high, sign=sign)
        for low, high in ((3, 5), (6, 11), (12, 17), (18, 23), (24, 29))
        for sign in (-1, 1)
    ),
)
"""Rows of the tables of distances, in their order."""


def is_whole_note(split: CorpusSplit) -> NDArray[np.bool_]:
    """Which notes lie on a MIDI note, [N]."""
    cents = 100.0 * np.abs(split.midi_pitch - np.round(split.midi_pitch))
    whole: NDArray[np.bool_] = cents <= WHOLE_NOTE_CENTS
    return whole


def kin_of(split: CorpusSplit) -> Indices:
    """A number for each note, [N], that presets of one General MIDI program have in common.

    Soundfonts borrow recordings from each other and from bank to bank: such presets take one turn
    together, and are not told apart. Every other instrument has a number of its own.
    """
    programs = [_program_of(name) for name in split.instruments]
    keys = [
        name if program is None else program
        for name, program in zip(split.instruments, programs, strict=True)
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    of_instrument = np.array([numbers[key] for key in keys], dtype=np.int64)
    kin: Indices = of_instrument[split.instrument]
    return kin


def semitones_of(split: CorpusSplit, pairs: Indices) -> NDArray[np.float32]:
    """Semitones from source to target of pairs [P, 2], [P]."""
    semitones: NDArray[np.float32] = split.midi_pitch[pairs[:, 1]] - split.midi_pitch[pairs[:, 0]]
    return semitones


def comparable_pairs(pairs: NotePairs, *, recorded: bool) -> Indices:
    """Genuine pairs that any program could be asked for, [P, 2].

    The target is a whole note, the only ones that the engine renders, and as strongly played as the
    source, whose velocity the baselines keep.

    Args:
        pairs: Genuine pairs of a split.
        recorded: Recorded instruments, else synthesized ones.
    """
    split = pairs.split
    found = pairs.pairs(recorded=recorded)
    is_alike = split.velocity[found[:, 0]] == split.velocity[found[:, 1]]
    comparable: Indices = found[is_alike & is_whole_note(split)[found[:, 1]]]
    return comparable


def draw_by_interval(
    rng: np.random.Generator, split: CorpusSplit, pairs: Indices, count: int
) -> list[tuple[Interval, Indices]]:
    """As many pairs for every interval, programs in turn.

    Args:
        rng: Source of chance.
        split: Notes.
        pairs: Pairs to draw from, [P, 2].
        count: How many for each interval; fewer where an interval that has any has fewer.

    Returns:
        Pairs [count, 2] of every interval that has any, none twice. The pairs of the source's own
        note are sources twice, of whole notes.
    """
    semitones = semitones_of(split, pairs)
    sources = np.unique(pairs[:, 0])
    own = np.repeat(sources[is_whole_note(split)[sources], None], 2, axis=1)
    found = [
        (interval, own if interval is SAME_NOTE else pairs[interval.holds(semitones)])
        for interval in INTERVALS
    ]
    found = [(interval, inside) for interval, inside in found if len(inside)]
    share = min([count, *(len(inside) for _, inside in found)])
    return [(interval, in_turns(rng, inside, kin_of(split))[:share]) for interval, inside in found]


def draw_pairs(rng: np.random.Generator, pairs: NotePairs, count: int) -> Indices:
    """Genuine pairs at any interval and velocity, programs in turn, [count, 2] at most.

    They are of recorded instruments; of synthesized ones where the split has no others.
    """
    found = pairs.pairs(recorded=True)
    if not len(found):
        found = pairs.pairs(recorded=False)
    return in_turns(rng, found, kin_of(pairs.split))[:count]


def draw_sources(rng: np.random.Generator, pairs: NotePairs, count: int) -> Indices:
    """Different notes that are a source of genuine pairs, programs in turn, [count] at most.

    They are of recorded instruments; of synthesized ones where the split has no others.
    """
    found = pairs.pairs(recorded=True)
    if not len(found):
        found = pairs.pairs(recorded=False)
    return notes_in_turns(rng, np.unique(found[:, 0]), kin_of(pairs.split))[:count]


def notes_in_turns(rng: np.random.Generator, notes: Indices, turn_of: Indices) -> Indices:
    """Shuffle notes so that everyone has one turn before anyone has two.

    Args:
        rng: Source of chance.
        notes: Indices of notes, [P].
        turn_of: Whose turn each note of the split is, [N].

    Returns:
        [P].
    """
    return in_turns(rng, np.repeat(notes[:, None], 2, axis=1), turn_of)[:, 0]


def draw_presets(
    rng: np.random.Generator, pairs: NotePairs, presets: int, notes: int
) -> list[Indices]:
    """A few notes of each of some presets, recorded and synthesized ones.

    Args:
        rng: Source of chance.
        pairs: Genuine pairs of a split.
        presets: How many, each once; all where there are fewer.
        notes: Notes of each, at most: a source and notes that are a genuine pair with it.

    Returns:
        Indices of each preset's notes, two or more.
    """
    sources = [np.unique(pairs.pairs(recorded=kind)[:, 0]) for kind in (True, False)]
    instrument = pairs.split.instrument
    shuffled = notes_in_turns(rng, np.concatenate(sources), instrument)
    _, first = np.unique(instrument[shuffled], return_index=True)
    drawn = []
    for source in shuffled[np.sort(first)][:presets]:
        others = rng.permutation(pairs.partners(int(source)))[: notes - 1]
        drawn.append(np.concatenate([[source], others]))
    return drawn


def nearest_other_recording(pairs: NotePairs, source: int, target: int) -> int | None:
    """The note that a sampler with one more recording would play for the target.

    It is a genuine partner of the target, as strongly played, and shares no recording with the
    source; of these the nearest in pitch, and of equally near ones the least repitched.

    Args:
        pairs: Genuine pairs of a split.
        source: Index of the note that everyone else starts from.
        target: Index of the true note.

    Returns:
        Index of the note; None where there is none.
    """
    split = pairs.split
    partners = pairs.partners(target)
    is_other = [
        index != source and split.samples[index].isdisjoint(split.samples[source])
        for index in partners.tolist()
    ]
    is_alike = split.velocity[partners] == split.velocity[target]
    others = partners[np.array(is_other, dtype=bool) & is_alike]
    if not len(others):
        return None
    gaps = np.abs(split.midi_pitch[others] - split.midi_pitch[target])
    return int(others[np.lexsort((split.stretch[others], gaps))[0]])


def family_of(instrument: str) -> str | None:
    """General MIDI family of a soundfont's preset; None for other instruments and sound effects."""
    program = _program_of(instrument)
    place = len(FAMILIES) if program is None else program // PROGRAMS_OF_A_FAMILY
    return FAMILIES[place] if place < len(FAMILIES) else None


def _program_of(instrument: str) -> int | None:
    preset = _PRESET.fullmatch(instrument)
    return int(preset[1]) if preset else None


def draw_of_families(
    rng: np.random.Generator,
    split: CorpusSplit,
    pairs: Indices,
    count: int,
    intervals: Sequence[int],
    reach: int,
) -> dict[str, Indices]:
    """Pairs of each General MIDI family at some intervals, programs in turn.

    Args:
        rng: Source of chance.
        split: Notes.
        pairs: Pairs to draw from, [P, 2].
        count: How many of each family, shared equally by intervals and directions.
        intervals: Semitones, each taken up and down.
        reach: Semitones by which a pair may miss its interval.

    Returns:
        Pairs by the family's name, in General MIDI's order; families without any are left out.
    """
    names = [family_of(name) for name in split.instruments]
    families = np.array([FAMILIES.index(name) if name else -1 for name in names])
    of_pair = families[split.instrument[pairs[:, 0]]]
    semitones = semitones_of(split, pairs)
    share = max(1, count // (2 * len(intervals)))
    drawn = {}
    for number, name in enumerate(FAMILIES):
        parts = []
        for wanted in (sign * interval for interval in intervals for sign in (-1, 1)):
            near = (of_pair == number) & (np.abs(semitones - wanted) <= reach)
            parts.append(in_turns(rng, pairs[near], kin_of(split))[:share])
        found = np.concatenate(parts)
        if len(found):
            drawn[name] = found
    return drawn
