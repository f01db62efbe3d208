"""Tables of how far rendered notes are from the true ones, by interval and by family.

Shape legend: P pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.pairs import Indices, NotePairs
from training.evaluation.comparison import (
    BASELINES,
    INSTRUMENT,
    LEGEND,
    LMD,
    LMD60,
    MEASURES,
    OTHER_MODEL,
    OTHER_RECORDING,
    TIMBRE,
    UNREFINED,
    Comparison,
    Measure,
    Values,
)
from training.evaluation.config import EvaluateConfig
from training.evaluation.draws import (
    SAME_NOTE,
    Interval,
    comparable_pairs,
    draw_by_interval,
    draw_of_families,
    semitones_of,
)
from training.evaluation.tables import Table, mark

LIMITED_BY_RECORDING = (LMD60, TIMBRE)
"""Measures in which the instrument is held against one more true recording."""
WITHIN_REACH = 17
"""Semitones up to which the instrument should be at or below one more true recording."""
FAR_ALLOWANCE = 1.1
"""How far above one more true recording the instrument may be beyond WITHIN_REACH."""
DECIMALS = 2
"""Decimals of the figures: they are compared as they are printed."""
OCTAVES = (12, 24)
"""Intervals of the tables by family and beside another model, semitones."""
OCTAVE_REACH = 2
"""Semitones by which a pair may miss one of OCTAVES."""
WORSE_DB = 0.1
"""Rise of lmd60 by the hypernetwork that is flagged."""
EVERY_INTERVAL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class DistanceRow:
    """One measure at one interval."""

    measure: str
    interval: str
    """Semitones from source to target."""
    pairs: int
    """Pairs that the instrument's figure is an average of."""
    values: dict[str, float | None]
    """Averages by column; None where nothing could be compared."""
    is_at_or_below_baselines: bool | None = None
    """Whether the instrument is as near as every pitch shifter; None for what is no distance, and
    at the source's own note, where they have nothing to do."""
    is_near_recording: bool | None = None
    """Whether the instrument is as near as one more true recording, or within the allowance."""
    is_in_range: bool | None = None
    """Whether the instrument lies where it should; None for distances."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyRow:
    """What the hypernetwork is worth to one General MIDI family."""

    family: str
    pairs: int
    default_db: float
    """Mean lmd60 of the instrument at default settings."""
    unrefined_db: float
    """Mean lmd60 of the instrument with refinement 0."""

    @property
    def is_worse(self) -> bool:
        """Whether the family would be better off without the hypernetwork."""
        return self.default_db - self.unrefined_db > WORSE_DB


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDifference:
    """One measure of the instrument beside that of another model, on the same pairs."""

    measure: str
    semitones: int
    """Interval up or down, give or take OCTAVE_REACH."""
    pairs: int
    ours: float
    other: float
    margin: float
    """Half the 95 % interval of the mean difference."""


class Distances:
    """Compares the instrument with everyone else on drawn pairs.

    Args:
        comparison: Who renders.
        pairs: Genuine pairs of the split.
        config: How many.
    """

    def __init__(self, comparison: Comparison, pairs: NotePairs, config: EvaluateConfig) -> None:
        self.comparison, self.pairs, self.config = comparison, pairs, config

    def rows(self, *, recorded: bool) -> tuple[list[DistanceRow], list[ModelDifference]]:
        """Every measure at every interval, and what differs from the other model.

        Args:
            recorded: Recorded instruments, else synthesized ones.

        Returns:
            Rows, none where the split has no such pairs; differences where there is another model.
        """
        config, split = self.config, self.pairs.split
        found = comparable_pairs(self.pairs, recorded=recorded)
        if not len(found):
            return [], []
        rng = np.random.default_rng([config.seed, 3, int(recorded)])
        count = config.pairs_per_bin if recorded else config.synthesized_pairs_per_bin
        drawn = draw_by_interval(rng, split, found, count)
        pairs = np.concatenate([part for _, part in drawn])
        interval = np.repeat(np.arange(len(drawn)), [len(part) for _, part in drawn])
        values = self.comparison.compare_everyone(pairs)
        rows = []
        for measure in MEASURES:
            figures = values[measure.name]
            rows += [
                distance_row(measure, each, {c: v[interval == i] for c, v in figures.items()})
                for i, (each, _) in enumerate(drawn)
            ]
            moved = np.isin(interval, [i for i, (each, _) in enumerate(drawn) if each.sign])
            rows.append(distance_row(measure, None, {c: v[moved] for c, v in figures.items()}))
        return rows, self._differences(values, pairs)

    def families(self) -> list[FamilyRow]:
        """lmd60 by family, an octave and two from the source; the last row has all of them."""
        split = self.pairs.split
        found = comparable_pairs(self.pairs, recorded=True)
        rng = np.random.default_rng([self.config.seed, 4])
        drawn = draw_of_families(rng, split, found, self.config.family_pairs, OCTAVES, OCTAVE_REACH)
        if not drawn:
            return []
        values = self.comparison.compare_refinement(np.concatenate(list(drawn.values())), LMD60)
        figures = values[LMD60.name]
        family = np.repeat(list(drawn), [len(part) for part in drawn.values()])
        return [family_row(name, figures, family == name) for name in drawn] + [
            family_row(EVERY_INTERVAL, figures, np.ones(len(family), dtype=bool))
        ]

    def _differences(self, values: Values, pairs: Indices) -> list[ModelDifference]:
        if OTHER_MODEL not in values[LMD60.name]:
            return []
        apart = np.abs(semitones_of(self.pairs.split, pairs))
        differences = []
        for measure in (LMD60, TIMBRE, LMD):
            figures = values[measure.name]
            for octave in OCTAVES:
                near = np.abs(apart - octave) <= OCTAVE_REACH
                if near.sum() >= 2:
                    differences.append(
                        model_difference(
                            measure.name,
                            octave,
                            figures[INSTRUMENT][near],
                            figures[OTHER_MODEL][near],
                        )
                    )
        return differences


def distance_row(
    measure: Measure, interval: Interval | None, figures: Mapping[str, NDArray[np.floating]]
) -> DistanceRow:
    """Averages of one measure at one interval, held against the bars.

    Args:
        measure: What is measured.
        interval: Semitones; None for all pairs but those of the source's own note.
        figures: By column, one for each pair, [P]; NaN where there is nothing to compare.
    """
    values = {column: _average(measure, each) for column, each in figures.items()}
    ours = values[INSTRUMENT]
    name = EVERY_INTERVAL if interval is None else interval.name
    pairs = int(np.isfinite(figures[INSTRUMENT]).sum())
    if ours is None or measure.within is not None:
        is_in_range = None
        if ours is not None and measure.within is not None:
            is_in_range = measure.within[0] <= ours <= measure.within[1]
        return DistanceRow(
            measure=measure.name, interval=name, pairs=pairs, values=values, is_in_range=is_in_range
        )
    is_lowest = None
    if interval != SAME_NOTE:
        others = [values[column] for column in BASELINES]
        is_lowest = all(each is None or _is_at_most(ours, each) for each in others)
    return DistanceRow(
        measure=measure.name,
        interval=name,
        pairs=pairs,
        values=values,
        is_at_or_below_baselines=is_lowest,
        is_near_recording=_is_near_recording(measure, interval, figures),
    )


def _is_near_recording(
    measure: Measure, interval: Interval | None, figures: Mapping[str, NDArray[np.floating]]
) -> bool | None:
    """Whether the instrument keeps to the limit, on the pairs that have another recording."""
    if interval is None or interval == SAME_NOTE or measure not in LIMITED_BY_RECORDING:
        return None
    has_other = np.isfinite(figures[OTHER_RECORDING])
    ours = _average(measure, figures[INSTRUMENT][has_other])
    other = _average(measure, figures[OTHER_RECORDING][has_other])
    if ours is None or other is None:
        return None
    allowance = 1.0 if interval.high <= WITHIN_REACH else FAR_ALLOWANCE
    return _is_at_most(ours, allowance * other)


def family_row(
    family: str, figures: Mapping[str, NDArray[np.floating]], chosen: NDArray[np.bool_]
) -> FamilyRow:
    """Mean lmd60 of a family's pairs, with the hypernetwork and without.

    Args:
        family: Name of the family.
        figures: lmd60 by column, [P].
        chosen: Which pairs are the family's, [P].
    """
    return FamilyRow(
        family=family,
        pairs=int(chosen.sum()),
        default_db=float(figures[INSTRUMENT][chosen].mean()),
        unrefined_db=float(figures[UNREFINED][chosen].mean()),
    )


def model_difference(
    measure: str, semitones: int, ours: NDArray[np.floating], other: NDArray[np.floating]
) -> ModelDifference:
    """How two models differ in one measure on the same pairs.

    Args:
        measure: Name of the measure.
        semitones: The interval.
        ours: Figures of the model measured, one for each of two pairs or more, [P].
        other: Figures of the other model, [P].
    """
    return ModelDifference(
        measure=measure,
        semitones=semitones,
        pairs=len(ours),
        ours=float(ours.mean()),
        other=float(other.mean()),
        margin=float(1.96 * np.std(ours - other, ddof=1) / len(ours) ** 0.5),
    )


def distances_tables(title: str, rows: Sequence[DistanceRow]) -> list[Table]:
    """All columns by measure, with the bars as yes and no: over all intervals, and by interval.

    Args:
        title: Which instruments they are.
        rows: Rows of every measure, those over all intervals among them.
    """
    parts = [
        [row for row in rows if (row.interval == EVERY_INTERVAL) == is_whole]
        for is_whole in (True, False)
    ]
    lowest = [row.is_at_or_below_baselines for row in parts[1]]
    near = [row.is_near_recording for row in parts[1]]
    return [
        _distances_table(f"{title}, all intervals but the source's own note. {LEGEND}", parts[0]),
        _distances_table(
            f"{title}, by interval: {lowest.count(True)} of {len(lowest) - lowest.count(None)} "
            f"cells at or below all baselines, {near.count(True)} of {len(near) - near.count(None)} "
            f"within reach of the {OTHER_RECORDING}",
            parts[1],
        ),
    ]


def _distances_table(title: str, rows: Sequence[DistanceRow]) -> Table:
    return Table(
        title=title,
        header=(
            "measure",
            "semitones",
            "pairs",
            *rows[0].values,
            "≤ all baselines",
            f"near {OTHER_RECORDING}",
            "in range",
        ),
        lines=tuple(
            (
                row.measure,
                row.interval,
                str(row.pairs),
                *("" if v is None else f"{v:.{DECIMALS}f}" for v in row.values.values()),
                mark(row.is_at_or_below_baselines),
                mark(row.is_near_recording),
                mark(row.is_in_range),
            )
            for row in rows
        ),
    )


def families_table(rows: Sequence[FamilyRow]) -> Table:
    """What the hypernetwork is worth by family."""
    intervals = " and ".join(f"±{octave}" for octave in OCTAVES)
    return Table(
        title=(
            f"Recorded instruments by General MIDI family, {LMD60.name}, pairs at {intervals} "
            f"(± {OCTAVE_REACH}) semitones; worse: by more than {WORSE_DB:g} dB"
        ),
        header=("family", "pairs", INSTRUMENT, UNREFINED, "difference", "worse"),
        lines=tuple(
            (
                row.family,
                str(row.pairs),
                f"{row.default_db:.2f}",
                f"{row.unrefined_db:.2f}",
                f"{row.default_db - row.unrefined_db:+.2f}",
                "worse" if row.is_worse else "",
            )
            for row in rows
        ),
    )


def differences_table(rows: Sequence[ModelDifference], other: str) -> Table:
    """The instrument beside that of another model: a line for each measure.

    Args:
        rows: Differences by measure and interval.
        other: What the other model is called.
    """
    names = list(dict.fromkeys(row.measure for row in rows))
    octaves = sorted({row.semitones for row in rows})
    found = {(row.measure, row.semitones): row for row in rows}
    return Table(
        title=(
            f"{INSTRUMENT}, and that of {other}, on the same pairs (± {OCTAVE_REACH} semitones); "
            "below 0: nearer to the true notes than the other model"
        ),
        header=("measure", *(f"±{octave}" for octave in octaves)),
        lines=tuple(
            (name, *(_difference_text(found[name, octave]) for octave in octaves)) for name in names
        ),
    )


def _difference_text(row: ModelDifference) -> str:
    return (
        f"{row.ours:.2f} against {row.other:.2f}: {row.ours - row.other:+.2f} ± {row.margin:.2f} "
        f"({row.pairs})"
    )


def _average(measure: Measure, values: NDArray[np.floating]) -> float | None:
    known = values[np.isfinite(values)]
    return float(measure.average(known)) if len(known) else None


def _is_at_most(ours: float, other: float) -> bool:
    return round(ours, DECIMALS) <= round(other, DECIMALS)
