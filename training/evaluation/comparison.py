"""Notes rendered by everyone who can: the models, the instrument a user gets, and its rivals.

Also the two limits: how far another real recording of the instrument is, and how much real
neighbouring keys differ.

Shape legend: N notes, M mel bands, F frames, T samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor

from core.audio.loudness import momentary_loudness_db
from core.inference.carry_over import carry_over_of
from core.inference.request import ORIGINAL_RANGE, RenderRequest, TimbreMix
from core.instrument import HIGHEST_KEY
from training import losses
from training.data.dataset import CorpusSplit
from training.metrics.note_distance import (
    attack_error_db,
    harmonics_to_noise_db,
    log_mel_rmse_db,
    spectral_convergence,
    timbre_distance_db,
)
from training.metrics.rivals import phase_vocoder_shift, resample_shift, rubber_band_shift
from training.metrics.tuning import CLEAR_CENTS, HIGHEST_NOTE, SEARCH_SEMITONES, tuning_error_cents
from training.workbench import Workbench

MODEL = "HyperGANStrument + carry-over"
INSTRUMENT = "the instrument"
"""What a user gets: original near the root, model far from it, through the engine."""
RESAMPLING = "naive resampling"
RUBBER_BAND = "Rubber Band R3"
PHASE_VOCODER = "phase vocoder"
LOG_MEL = "log-mel RMSE, dB"
STFT = "multi-resolution STFT distance"
ATTACK = "attack error (50 ms), dB"
TUNING = "tuning error (median), cents"
LOST_CENTS = 100.0 * SEARCH_SEMITONES
"""Tuning error of a note whose pitch the tracker does not find, though the true note's is clear."""
WHOLE_NOTE_CENTS = 0.5
"""The engine renders whole MIDI notes: only true notes this near to one are targets."""
END_FRAMES = 4
"""Notes that still sound when the window ends are cut there in the corpus and faded in an
instrument: an end that no real note has, and so not compared."""
SAME_RECORDING = 0.95
"""Peak of the normalised cross-correlation above which two notes are one recording."""
NEIGHBOUR_SEMITONES = 3
"""Widest step between two notes of the corpus that still count as neighbouring keys."""
NEIGHBOUR_REACH = 15
"""Semitones from the root within which neighbouring keys are compared."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Notes:
    """Somebody's renderings of the same notes."""

    mels: Tensor
    """Normalised log-mels, [N, M, F]."""
    audio: NDArray[np.float32]
    """Waveforms from their onset, [N, T]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One respect in which notes differ from the true ones; less is better."""

    distances: Callable[[Notes, Notes], NDArray[np.floating]]
    """Somebody's notes and the true ones to a figure for each, [N]; NaN where the true note has
    nothing to compare with."""
    average: Callable[[NDArray[np.floating]], np.floating] = np.mean
    """What stands for many notes."""


class Contest:
    """Draws pairs of true notes and renders the second from the first.

    Args:
        bench: Bundle and true notes.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.is_whole = is_whole_note(bench.split)

    def draw_pairs(
        self, rng: np.random.Generator, count: int, bins: Sequence[tuple[int, int]]
    ) -> NDArray[np.int64]:
        """Sources and targets of one instrument at one velocity (rivals keep it).

        Every bin gets the same share, half of it downwards, as far as it has pairs. Within, every
        instrument has its turn before one has a second.

        Args:
            rng: Source of chance.
            count: How many pairs in all, about.
            bins: Semitones from source to target either way, rounded, both ends inclusive.

        Returns:
            Pairs, none twice, [N, 2].
        """
        split = self.bench.split
        pairs = self._possible_pairs()
        instruments = split.instrument[pairs[:, 0]]
        semitones = split.midi_pitch[pairs[:, 1]] - split.midi_pitch[pairs[:, 0]]
        distance = np.abs(np.round(semitones))
        share = max(1, count // (2 * len(bins)))
        drawn = []
        for low, high in bins:
            for is_side in (semitones < 0.0, semitones >= 0.0):
                inside = np.flatnonzero(is_side & (distance >= low) & (distance <= high))
                drawn.append(pairs[_in_turns(rng, inside, instruments)[:share]])
        return np.concatenate(drawn)

    def true(self, indices: NDArray[np.int64]) -> Notes:
        """Notes of the corpus."""
        split = self.bench.split
        return _without_end(split.mels(indices), split.audio(indices).numpy())

    def contestants(self, pairs: NDArray[np.int64]) -> dict[str, Notes]:
        """Everyone's rendering of the targets, by the contestant's name.

        Raises:
            RivalError: Rubber Band is missing or fails.
        """
        split = self.bench.split
        plain, refined, carried = self._models(pairs)
        targets = torch.from_numpy(split.midi_pitch[pairs[:, 1]])
        played = {
            INSTRUMENT: [self._play(int(source), int(target)) for source, target in pairs],
            RESAMPLING: [],
            PHASE_VOCODER: [],
            RUBBER_BAND: [],
        }
        semitones = split.midi_pitch[pairs[:, 1]] - split.midi_pitch[pairs[:, 0]]
        rate = self.bench.sample_rate
        for source, interval in zip(pairs[:, 0], semitones, strict=True):
            audio = split.audio([source])[0].numpy()
            played[RESAMPLING].append(resample_shift(audio, float(interval)))
            played[PHASE_VOCODER].append(phase_vocoder_shift(audio, float(interval), rate))
            played[RUBBER_BAND].append(rubber_band_shift(audio, float(interval), rate))
        drawn = {"GANStrument": plain, "HyperGANStrument": refined, MODEL: carried}
        return {
            name: _without_end(mels, self.bench.vocode(mels, targets).numpy())
            for name, mels in drawn.items()
        } | {
            name: _without_end(self.bench.mels_of(waves), np.stack(waves))
            for name, waves in played.items()
        }

    def measures(self, pitches: NDArray[np.float32]) -> Mapping[str, Measure]:
        """Measures for true notes of these pitches [N], by name."""
        bench = self.bench

        def noise(notes: Notes) -> NDArray[np.float64]:
            each = zip(notes.audio, pitches, strict=True)
            return np.array(
                [harmonics_to_noise_db(a, float(p), bench.sample_rate) for a, p in each]
            )

        def magnitudes(notes: Notes) -> Tensor:
            return bench.mel.magnitudes(torch.from_numpy(at_full_peak(notes.audio)))

        def cents(notes: Notes) -> NDArray[np.float64]:
            each = zip(notes.audio, pitches, strict=True)
            tracked = [tuning_error_cents(a, float(p), bench.sample_rate) for a, p in each]
            return np.abs(np.array(tracked, np.float64))  # None becomes NaN

        def tuning(ours: Notes, true: Notes) -> NDArray[np.float64]:
            is_clear = (cents(true) <= CLEAR_CENTS) & (pitches <= HIGHEST_NOTE)
            return np.where(is_clear, np.nan_to_num(cents(ours), nan=LOST_CENTS), np.nan)

        return {
            LOG_MEL: Measure(distances=lambda a, b: log_mel_rmse_db(a.mels, b.mels, bench.unit_db)),
            "timbre (cepstral) distance, dB": Measure(
                distances=lambda a, b: timbre_distance_db(a.mels, b.mels, bench.unit_db)
            ),
            STFT: Measure(
                distances=lambda a, b: _stft_distances(at_full_peak(a.audio), at_full_peak(b.audio))
            ),
            "spectral convergence": Measure(
                distances=lambda a, b: spectral_convergence(magnitudes(a), magnitudes(b))
            ),
            ATTACK: Measure(
                distances=lambda a, b: attack_error_db(
                    at_full_peak(a.audio), at_full_peak(b.audio), bench.sample_rate
                )
            ),
            "harmonics-to-noise difference, dB": Measure(
                distances=lambda a, b: np.abs(noise(a) - noise(b))
            ),
            TUNING: Measure(distances=tuning, average=np.median),
        }

    def _possible_pairs(self) -> NDArray[np.int64]:
        """Every two notes of an instrument at one velocity whose second is a whole note, [N, 2]."""
        split = self.bench.split
        found = []
        for own in split.notes_of:
            source, target = (each.ravel() for each in np.meshgrid(own, own))
            is_alike = split.velocity[source] == split.velocity[target]
            kept = (source != target) & is_alike & self.is_whole[target]
            found.append(np.stack([source[kept], target[kept]], axis=1))
        return np.concatenate(found)

    def _models(self, pairs: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Mels of the plain generator, the refined one, and that with carry-over, [N, M, F]."""
        split = self.bench.split
        pitch, velocity = torch.from_numpy(split.midi_pitch), torch.from_numpy(split.velocity)
        sources, targets = pairs[:, 0], pairs[:, 1]
        plain, refined = self.bench.draw(sources, pitch[targets], velocity[targets])
        _, own = self.bench.draw(sources, pitch[sources], velocity[sources])
        carried = [
            carry_over_of(source, drawn).at(float(semitones), split.mel)
            for source, drawn, semitones in zip(
                split.mels(sources), own, pitch[targets] - pitch[sources], strict=True
            )
        ]
        return plain, refined, (refined + torch.stack(carried)).clamp_min(-1.0)

    def _play(self, source: int, target: int) -> NDArray[np.float32]:
        """The engine's note [T] at the target's pitch, from the source's recording."""
        bench = self.bench
        timbre = bench.analyze(source)
        # A source is as loud as it was played, whatever that was: its own velocity is the default.
        request = RenderRequest(
            mix=TimbreMix(timbres=(timbre,), weights=(1.0,)),
            notes=(round(float(bench.split.midi_pitch[target])),),
        )
        rendered = bench.engine.render(request).regions[0].samples
        return bench.whole_note(rendered, timbre.onset_s)


def _without_end(mels: Tensor, audio: NDArray[np.float32]) -> Notes:
    """Notes [N, M, F] and [N, T] without the frames in which the window ends."""
    end_samples = END_FRAMES * audio.shape[1] // mels.shape[2]
    return Notes(mels=mels[..., :-END_FRAMES], audio=audio[:, :-end_samples])


def _in_turns(
    rng: np.random.Generator, chosen: NDArray[np.int64], instruments: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Shuffled so that every instrument comes once before one comes twice, [N] to [N]."""
    shuffled = rng.permutation(chosen)
    seen: Counter[int] = Counter()
    turns = []
    for instrument in instruments[shuffled].tolist():
        turns.append(seen[instrument])
        seen[instrument] += 1
    ordered: NDArray[np.int64] = shuffled[np.argsort(turns, kind="stable")]
    return ordered


def _stft_distances(ours: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.float64]:
    """Convergence and log-magnitude distance of each note, summed, [N, T] to [N]."""
    pairs = zip(torch.from_numpy(ours)[:, None], torch.from_numpy(true)[:, None], strict=True)
    return np.array([float(sum(losses.multi_resolution_stft(a, b))) for a, b in pairs])


def is_whole_note(split: CorpusSplit) -> NDArray[np.bool_]:
    """Which notes lie on a MIDI note, [N]."""
    cents = 100.0 * np.abs(split.midi_pitch - np.round(split.midi_pitch))
    whole: NDArray[np.bool_] = cents <= WHOLE_NOTE_CENTS
    return whole


def at_full_peak(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Waveforms [N, T] at a peak of 1 each; silence stays silence."""
    peaks = np.max(np.abs(audio), axis=1, keepdims=True)
    normalised: NDArray[np.float32] = audio / np.maximum(peaks, 1e-6)
    return normalised


def recordings_of_one_preset(
    split: CorpusSplit, synthesized: Sequence[str] = ()
) -> NDArray[np.int64]:
    """Pairs of notes [N, 2] that two soundfonts hold of one preset, note and velocity.

    Where both use the same recording, the pair is left out.

    Args:
        split: Notes.
        synthesized: Soundfonts that are left out.
    """
    first: dict[tuple[str, int, float], int] = {}
    pairs = []
    for index in np.flatnonzero(is_whole_note(split)):
        font, _, preset = split.instruments[split.instrument[index]].partition("/")
        if font in synthesized:
            continue
        key = (preset, round(float(split.midi_pitch[index])), float(split.velocity[index]))
        other = first.setdefault(key, int(index))
        is_other_font = not split.instruments[split.instrument[other]].startswith(f"{font}/")
        if is_other_font and not _are_one_recording(*split.audio([other, int(index)]).numpy()):
            pairs.append((other, int(index)))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _are_one_recording(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two notes [T] are the same waveform, up to delay and level."""
    product = signal.correlate(one, other, method="fft")
    energy = float(np.sum(np.square(one)) * np.sum(np.square(other)))
    return bool(np.max(np.abs(product)) > SAME_RECORDING * energy**0.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyStep:
    """How much two neighbouring keys of one rendered instrument differ."""

    mel_db: float
    """Log-mel RMSE."""
    level_db: float
    """Difference of loudness."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """Neighbouring keys of several instruments."""

    true_db: tuple[float, ...]
    """Log-mel RMSE between true notes up to NEIGHBOUR_SEMITONES apart."""
    rendered: tuple[KeyStep, ...]
    """The same keys, rendered."""
    crossover: tuple[KeyStep, ...]
    """The last key that is the recording itself and the next, a semitone apart."""


def compare_neighbours(bench: Workbench, rng: np.random.Generator, count: int) -> Neighbours:
    """Step from key to key, in rendered instruments and in true ones.

    Args:
        bench: Bundle and true notes.
        rng: Draws the sources.
        count: How many instruments.
    """
    split = bench.split
    true: list[float] = []
    rendered: list[KeyStep] = []
    crossover: list[KeyStep] = []
    for source in split.draw(rng, count, 1):
        indices = _neighbours_of(split, int(source))
        edges = _crossover_keys(float(split.midi_pitch[source]))
        known = np.round(split.midi_pitch[indices]).astype(int).tolist()
        keyboard = _Keyboard(bench, int(source), sorted({*known, *chain(*edges)}))
        for (one, low), (other, high) in pairwise(zip(indices, known, strict=True)):
            if 0 < high - low <= NEIGHBOUR_SEMITONES:
                mels = split.mels([one, other])
                true.append(float(log_mel_rmse_db(mels[:1], mels[1:], bench.unit_db)[0]))
                rendered.append(keyboard.step(low, high))
        crossover += [keyboard.step(low, high) for low, high in edges]
    return Neighbours(true_db=tuple(true), rendered=tuple(rendered), crossover=tuple(crossover))


class _Keyboard:
    """An instrument rendered from one note of the corpus.

    Args:
        bench: Bundle and true notes.
        source: Index of the note.
        keys: Keys rendered.
    """

    def __init__(self, bench: Workbench, source: int, keys: list[int]) -> None:
        self.unit_db = bench.unit_db
        mix = TimbreMix(timbres=(bench.analyze(source),), weights=(1.0,))
        velocity = int(bench.split.velocity[source])
        request = RenderRequest(mix=mix, notes=tuple(keys), velocity=velocity)
        sounds = [region.samples for region in bench.engine.render(request).regions]
        mels = bench.mels_of([bench.whole_note(sound) for sound in sounds])
        levels = [momentary_loudness_db(sound, bench.sample_rate) for sound in sounds]
        self._keys = dict(zip(keys, zip(mels, levels, strict=True), strict=True))

    def step(self, low: int, high: int) -> KeyStep:
        """Difference of two of its keys."""
        (low_mel, low_level), (high_mel, high_level) = self._keys[low], self._keys[high]
        mel_db = log_mel_rmse_db(low_mel[None], high_mel[None], self.unit_db)[0]
        return KeyStep(mel_db=float(mel_db), level_db=abs(high_level - low_level))


def _neighbours_of(split: CorpusSplit, source: int) -> NDArray[np.int64]:
    """Whole notes around a source, of its instrument and velocity, from low to high."""
    own = split.notes_of[split.instrument[source]]
    is_near = np.abs(split.midi_pitch[own] - split.midi_pitch[source]) <= NEIGHBOUR_REACH
    is_alike = split.velocity[own] == split.velocity[source]
    own = own[is_near & is_alike & is_whole_note(split)[own]]
    ordered: NDArray[np.int64] = own[np.argsort(split.midi_pitch[own])]
    return ordered


def _crossover_keys(root: float) -> list[tuple[int, int]]:
    """The neighbouring keys where the recording itself ends, below and above the root."""
    last, first = int(np.floor(root + ORIGINAL_RANGE)), int(np.ceil(root - ORIGINAL_RANGE))
    pairs = [(first - 1, first), (last, last + 1)]
    return [(low, high) for low, high in pairs if low >= 0 and high <= HIGHEST_KEY]
