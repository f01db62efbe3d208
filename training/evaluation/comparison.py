"""Notes rendered by everyone who can, and how far they are from the true ones.

The columns of the tables: the instrument a user gets, the models alone, the pitch shifters that a
designer has today, and one more true recording of the instrument as the limit.

Shape legend: P pairs, N notes, M mel bands, F frames, K FFT bins, T samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.inference.engine import SynthesisEngine
from core.mel import MelSpectrogram
from core.sound import RenderRequest, RenderSettings, Sound, Timbre, TimbreMix
from training import losses
from training.data.pairs import Indices
from training.evaluation.baselines import resample_shift, rubber_band_shift
from training.evaluation.draws import nearest_other_recording, semitones_of
from training.evaluation.measures import (
    attack_error_db,
    harmonics_to_noise_db,
    levelled,
    log_mel_rmse_db,
    movement_ratio,
    spectral_convergence,
    timbre_distance_db,
)
from training.evaluation.tuning import (
    CLEAR_CENTS,
    HIGHEST_NOTE,
    SEARCH_SEMITONES,
    tuning_error_cents,
)
from training.evaluation.workbench import Workbench, at_reference_loudness

INSTRUMENT = "the instrument"
"""Column of what a user gets: a recording in, the engine's note at default settings out."""
UNREFINED = "the instrument, refinement 0"
OTHER_MODEL = "the instrument, other model"
REFINED_MODEL = "HyperGANStrument"
"""Column of the refined generator's mels through the vocoder: no carry-over, no recording."""
PLAIN_MODEL = "GANStrument"
"""Column of the plain generator's mels through the vocoder."""
RESAMPLING = "naive resampling"
RUBBER_BAND = "Rubber Band R3"
FORMANTS_KEPT = "Rubber Band R3, formants kept"
BASELINES = (RESAMPLING, RUBBER_BAND, FORMANTS_KEPT)
OTHER_RECORDING = "nearest other recording"
"""Column of one more true recording of the instrument, repitched by Rubber Band R3: the limit."""
HEARD_DB = 60.0
"""How far below its loudest bin a mel is audible."""
LOST_CENTS = 100.0 * SEARCH_SEMITONES
"""Tuning error of a note whose pitch the tracker does not find, though the true note's is clear."""
END_FRAMES = 4
"""Notes that still sound when the window ends are cut there in the corpus and faded in an
instrument: an end that no real note has, and so not compared."""
PAIRS_AT_ONCE = 24
"""Pairs whose renderings are held in memory together."""
SHIFTERS_AT_ONCE = 2
"""Processes of Rubber Band that run beside each other."""


class Notes:
    """Somebody's renderings of some notes, at the reference loudness; measured when asked.

    Args:
        audio: Waveforms from their onset, at any level, [N, T].
        pitches: MIDI notes that they should have, [N].
        mel: Geometry of the mels.
    """

    def __init__(
        self, audio: NDArray[np.float32], pitches: NDArray[np.float32], mel: MelSpectrogram
    ) -> None:
        self.sample_rate = mel.config.sample_rate
        self.unit_db = mel.config.db_per_unit
        self.pitches = pitches
        levelled = np.stack([at_reference_loudness(wave, self.sample_rate) for wave in audio])
        kept = levelled.shape[1] - END_FRAMES * mel.config.hop_length
        self.audio = levelled[:, :kept]
        self._magnitudes = mel.magnitudes(torch.from_numpy(levelled))
        self._mel = mel

    @cached_property
    def magnitudes(self) -> Tensor:
        """STFT magnitudes, [N, K, F]."""
        return self._magnitudes[..., :-END_FRAMES]

    @cached_property
    def mels(self) -> Tensor:
        """Normalised log-mels, [N, M, F]."""
        return self._mel.from_magnitudes(self.magnitudes)

    @cached_property
    def harmonics_db(self) -> NDArray[np.float64]:
        """Harmonics-to-noise ratios, [N]."""
        each = zip(self.audio, self.pitches, strict=True)
        return np.array([harmonics_to_noise_db(a, float(p), self.sample_rate) for a, p in each])

    @cached_property
    def cents(self) -> NDArray[np.float64]:
        """Absolute tuning errors, [N]; NaN where the tracker finds no pitch near the note."""
        each = zip(self.audio, self.pitches, strict=True)
        tracked = [tuning_error_cents(a, float(p), self.sample_rate) for a, p in each]
        return np.abs(np.array(tracked, np.float64))


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One respect in which notes are compared with the true ones."""

    name: str
    values: Callable[[Notes, Notes], NDArray[np.floating]]
    """Somebody's notes and the true ones to a figure for each, [N]; NaN where the true note has
    nothing to compare with."""
    average: Callable[[NDArray[np.floating]], np.floating] = np.mean
    """Makes one figure of those of many notes."""
    within: tuple[float, float] | None = None
    """Where the average should lie; None for a distance, of which less is better."""


def _geometric_mean(ratios: NDArray[np.floating]) -> np.floating:
    """The average of ratios by which twice as much and half as much are 1 together."""
    with np.errstate(divide="ignore"):  # a note that stands still makes it 0
        mean: np.floating = np.exp(np.mean(np.log(ratios)))
    return mean


def _tuning(ours: Notes, true: Notes) -> NDArray[np.float64]:
    is_clear = (true.cents <= CLEAR_CENTS) & (true.pitches <= HIGHEST_NOTE)
    return np.where(is_clear, np.nan_to_num(ours.cents, nan=LOST_CENTS), np.nan)


def _stft(ours: Notes, true: Notes) -> NDArray[np.float64]:
    """Convergence and log-magnitude distance of each note, summed."""
    pairs = zip(
        torch.from_numpy(ours.audio)[:, None], torch.from_numpy(true.audio)[:, None], strict=True
    )
    return np.array([float(sum(losses.multi_resolution_stft(a, b))) for a, b in pairs])


LMD60 = Measure(
    name="lmd60, dB",
    values=lambda a, b: log_mel_rmse_db(
        levelled(a.mels, b.mels, HEARD_DB / a.unit_db), b.mels, a.unit_db, depth_db=HEARD_DB
    ),
)
LMD = Measure(
    name="lmd, dB",
    values=lambda a, b: log_mel_rmse_db(
        levelled(a.mels, b.mels, HEARD_DB / a.unit_db), b.mels, a.unit_db
    ),
)
TIMBRE = Measure(
    name="timbre, dB", values=lambda a, b: timbre_distance_db(a.mels, b.mels, a.unit_db)
)
CONVERGENCE = Measure(
    name="spectral convergence",
    values=lambda a, b: spectral_convergence(a.magnitudes, b.magnitudes),
)
STFT = Measure(name="multi-resolution STFT", values=_stft)
ATTACK = Measure(
    name="attack error, dB",
    values=lambda a, b: attack_error_db(a.audio, b.audio, a.sample_rate),
)
HARMONICS = Measure(
    name="harmonics-to-noise, absolute difference, dB",
    values=lambda a, b: np.abs(a.harmonics_db - b.harmonics_db),
)
SIGNED_HARMONICS = Measure(
    name="harmonics-to-noise, signed difference, dB",
    values=lambda a, b: a.harmonics_db - b.harmonics_db,
    within=(-1.5, 1.5),
)
MOVEMENT = Measure(
    name="movement ÷ true",
    values=lambda a, b: movement_ratio(a.mels, b.mels, HEARD_DB / a.unit_db),
    average=_geometric_mean,
    within=(0.7, 1.3),
)
TUNING = Measure(name="tuning error (median), cents", values=_tuning, average=np.median)
MEASURES = (
    LMD60,
    LMD,
    TIMBRE,
    CONVERGENCE,
    STFT,
    ATTACK,
    HARMONICS,
    SIGNED_HARMONICS,
    MOVEMENT,
    TUNING,
)
LEGEND = (
    "lmd: log-mel RMSE, one gain a note taken off; lmd60: over the bins within 60 dB of the loudest "
    "alone; timbre: cepstral distance; attack: level of the first 50 ms; movement: steps from frame "
    f"to frame, geometric mean; the {OTHER_RECORDING} is repitched by Rubber Band R3"
)

Values = Mapping[str, Mapping[str, NDArray[np.floating]]]
"""Figures of pairs [P] by measure and by column."""


class Comparison:
    """Renders the targets of pairs of true notes from their sources.

    Args:
        bench: Bundle and true notes.
        other_engine: An engine with another bundle, for a column of its own.
    """

    def __init__(self, bench: Workbench, other_engine: SynthesisEngine | None = None) -> None:
        self.bench, self.other_engine = bench, other_engine

    def compare_everyone(self, pairs: Indices) -> Values:
        """Every measure of every column.

        Raises:
            BaselineError: Rubber Band is missing or fails.
        """
        return self._compare(pairs, self._everyone, MEASURES)

    def compare_refinement(self, pairs: Indices, measure: Measure) -> Values:
        """One measure of the instrument at default settings and with refinement 0 alone."""
        return self._compare(pairs, self._instruments, (measure,))

    def true(self, pairs: Indices) -> Notes:
        """The targets of pairs [P, 2]."""
        return self._notes(pairs, self.bench.split.audio(pairs[:, 1]).numpy())

    def _compare(
        self,
        pairs: Indices,
        render: Callable[[Indices], dict[str, NDArray[np.float32]]],
        measures: Sequence[Measure],
    ) -> Values:
        parts: dict[str, dict[str, list[NDArray[np.floating]]]] = {}
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            part = pairs[first : first + PAIRS_AT_ONCE]
            true = self.true(part)
            for column, audio in render(part).items():
                is_there: NDArray[np.bool_] = np.all(np.isfinite(audio), axis=1)
                ours = self._notes(part, np.where(is_there[:, None], audio, np.float32(0.0)))
                for measure in measures:
                    values = np.where(is_there, measure.values(ours, true), np.nan)
                    parts.setdefault(measure.name, {}).setdefault(column, []).append(values)
        return {
            name: {column: np.concatenate(each) for column, each in columns.items()}
            for name, columns in parts.items()
        }

    def _notes(self, pairs: Indices, audio: NDArray[np.float32]) -> Notes:
        return Notes(audio, self.bench.split.midi_pitch[pairs[:, 1]], self.bench.mel)

    def _everyone(self, pairs: Indices) -> dict[str, NDArray[np.float32]]:
        """Waveforms [P, T] by column; NaN where a column has nothing to play."""
        return self._instruments(pairs) | self._models(pairs) | self._shifted(pairs)

    def _instruments(self, pairs: Indices) -> dict[str, NDArray[np.float32]]:
        """Waveforms [P, T] of the columns that are instruments as a user gets them."""
        bench = self.bench
        timbres = {source: bench.analyze(source) for source in pairs[:, 0].tolist()}
        played = {
            INSTRUMENT: self._play(bench.engine, timbres, pairs, refinement=1.0),
            UNREFINED: self._play(bench.engine, timbres, pairs, refinement=0.0),
        }
        if self.other_engine is not None:
            other = self.other_engine
            timbres = {source: bench.analyze(source, other) for source in timbres}
            played[OTHER_MODEL] = self._play(other, timbres, pairs, refinement=1.0)
        return played

    def _play(
        self,
        engine: SynthesisEngine,
        timbres: Mapping[int, Timbre],
        pairs: Indices,
        refinement: float,
    ) -> NDArray[np.float32]:
        """An engine's notes at the targets' pitches from the sources' timbres, [P, T]."""
        notes = []
        for source, target in pairs.tolist():
            # A source is as loud as it was played, whatever that was: the default velocity stands.
            request = RenderRequest(
                sound=Sound(
                    mix=TimbreMix(timbres=(timbres[source],), weights=(1.0,)),
                    settings=RenderSettings(refinement=refinement),
                ),
                notes=(round(float(self.bench.split.midi_pitch[target])),),
            )
            rendered = engine.render(request).regions[0].samples
            notes.append(self.bench.whole_note(rendered, timbres[source].onset_s))
        return np.stack(notes)

    def _models(self, pairs: Indices) -> dict[str, NDArray[np.float32]]:
        """Waveforms [P, T] of the generators alone, through the vocoder."""
        split = self.bench.split
        pitches, velocities = (
            torch.from_numpy(each[pairs[:, 1]]) for each in (split.midi_pitch, split.velocity)
        )
        plain, refined = self.bench.draw(pairs[:, 0], pitches, velocities)
        return {
            REFINED_MODEL: self.bench.vocode(refined, pitches).numpy(),
            PLAIN_MODEL: self.bench.vocode(plain, pitches).numpy(),
        }

    def _shifted(self, pairs: Indices) -> dict[str, NDArray[np.float32]]:
        """Waveforms [P, T] of the baselines, and of the nearest other recording."""
        split, rate = self.bench.split, self.bench.sample_rate
        sources = split.audio(pairs[:, 0]).numpy()
        intervals = semitones_of(split, pairs)
        with ThreadPoolExecutor(SHIFTERS_AT_ONCE) as pool:
            shifted = pool.map(
                lambda a, s: rubber_band_shift(a, float(s), rate), sources, intervals
            )
            kept = pool.map(
                lambda a, s: rubber_band_shift(a, float(s), rate, keep_formants=True),
                sources,
                intervals,
            )
            others = pool.map(self._other_recording, pairs.tolist())
            return {
                RESAMPLING: np.stack(
                    [resample_shift(a, float(s)) for a, s in zip(sources, intervals, strict=True)]
                ),
                RUBBER_BAND: np.stack(list(shifted)),
                FORMANTS_KEPT: np.stack(list(kept)),
                OTHER_RECORDING: np.stack(list(others)),
            }

    def _other_recording(self, pair: Sequence[int]) -> NDArray[np.float32]:
        """The nearest other recording at the target's pitch, [T]; NaN where there is none."""
        bench = self.bench
        source, target = pair
        other = nearest_other_recording(bench.pairs, source, target)
        if other is None:
            return np.full(bench.split.mel.n_samples, np.nan, np.float32)
        interval = float(bench.split.midi_pitch[target] - bench.split.midi_pitch[other])
        return rubber_band_shift(bench.split.audio([other])[0].numpy(), interval, bench.sample_rate)
