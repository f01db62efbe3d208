"""Frequency axes for pictures whose rows are mel bands.

Along such an axis band m has its centre at m and reaches from m - ½ to m + ½.

Shape legend: M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from typing_extensions import override

from app.widgets.note_names import note_label
from core.audio.pitch import hz_to_midi, midi_to_hz

if TYPE_CHECKING:
    from core.mel import MelConfig

_LABEL_SPACING = 16.0  # pixels between the middles of two labels
_FREQUENCIES_HZ = (
    1000,
    10000,
    100,
    5000,
    2000,
    500,
    200,
    20000,
    300,
    700,
    1500,
    3000,
    7000,
    15000,
    400,
    600,
    800,
    900,
    4000,
    6000,
    8000,
    9000,
    12000,
)
"""Where labels may stand, the most welcome first."""
_CS = (60, 84, 108, 72, 96, 48, 120, 36, 24)
_OTHER_NOTES = tuple(note for note in range(24, 128) if note % 12)
_ENOUGH_LABELS = 3
"""Where so many notes are labelled already, the others are not."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MelScale:
    """Frequencies of mel bands."""

    edges_hz: NDArray[np.float64]
    """Lower edge of the first band, all centres, upper edge of the last, [M + 2]."""

    @classmethod
    def of(cls, config: MelConfig) -> MelScale:
        """The scale of all mels made with a configuration."""
        from core.mel import band_edges_hz  # brings torch, for which no window waits

        return cls(edges_hz=band_edges_hz(config))

    @property
    def n_bands(self) -> int:
        """M."""
        return len(self.edges_hz) - 2

    def band_of(self, frequency_hz: float) -> float:
        """Place of a frequency along the axis."""
        return float(np.interp(frequency_hz, self.edges_hz, np.arange(self.n_bands + 2))) - 1.0

    def hz_of(self, band: float) -> float:
        """Frequency at a place along the axis."""
        return float(np.interp(band + 1.0, np.arange(self.n_bands + 2), self.edges_hz))


def frequency_label(frequency_hz: float) -> str:
    """Short text of a frequency: ``200`` or ``1.5k``."""
    if frequency_hz >= 1000:
        return f"{frequency_hz / 1000:g}k"
    return f"{frequency_hz:g}"


class _MelAxis(pg.AxisItem):  # type: ignore[misc]
    """Chooses as many labels as fit, the most welcome first."""

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        self._labels: dict[float, str] = {}
        self._spare: frozenset[float] = frozenset()

    def place(self, labels: dict[float, str], spare: dict[float, str]) -> None:
        """Offer labels by their band; spare ones serve where there are few of the others."""
        self._labels = {**labels, **spare}
        self._spare = frozenset(spare)
        self.picture = None
        self.update()

    @override
    def tickValues(
        self, minVal: float, maxVal: float, size: float
    ) -> list[tuple[None, list[float]]]:
        spacing = _LABEL_SPACING * (maxVal - minVal) / max(size, 1.0)
        chosen: list[float] = []
        for place in self._labels:
            if place in self._spare and len(chosen) >= _ENOUGH_LABELS:
                break
            is_seen = minVal <= place <= maxVal
            if is_seen and all(abs(place - other) >= spacing for other in chosen):
                chosen.append(place)
        return [(None, chosen)]

    @override
    def tickStrings(self, values: list[float], scale: float, spacing: float | None) -> list[str]:
        return [self._labels[value] for value in values]


class FrequencyAxis(_MelAxis):
    """Hertz along mel bands."""

    def set_scale(self, scale: MelScale) -> None:
        """Label the bands of a scale."""
        top_hz = scale.edges_hz[-1]
        labels = {scale.band_of(hz): frequency_label(hz) for hz in _FREQUENCIES_HZ if hz < top_hz}
        self.place(labels, {})


class NoteAxis(_MelAxis):
    """Notes along mel bands."""

    def set_scale(self, scale: MelScale, middle_c: int) -> None:
        """Label the bands of a scale, note 60 being C of octave ``middle_c``."""
        labels, spare = (
            {scale.band_of(midi_to_hz(note)): note_label(note, middle_c) for note in notes}
            for notes in (_CS, _OTHER_NOTES)
        )
        self.place(labels, spare)


class TimeAxis(pg.AxisItem):  # type: ignore[misc]
    """Seconds, each with its unit."""

    @override
    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        return [f"{value:.10g} s" for value in values]


def nearest_note(frequency_hz: float, middle_c: int) -> str:
    """Name of the note nearest to a frequency; empty below the lowest MIDI note."""
    if frequency_hz < midi_to_hz(0):
        return ""
    return note_label(round(hz_to_midi(frequency_hz)), middle_c)
