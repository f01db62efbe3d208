"""Pitch: MIDI, hertz and note names; and the root note of a recording.

The root note is found in three steps, all NumPy:

1. candidates from subharmonic summation (Hermes, JASA 83, 1988), from the peaks of a normalised
   autocorrelation (McLeod & Wyvill, *A smarter way to find pitch*, ICMC 2005) and from the strongest
   partials with their subharmonics;
2. a choice among them by a small fitted perceptron over evidence for and against each candidate
   (partials present, partials between, odd against even, autocorrelation at the period and at its
   fractions), because octave errors come from trusting any single cue;
3. a fine pitch from interpolated spectral peaks of the chosen candidate's partials, the weighted
   median over frames and partials.

No candidate lies below 25 Hz, so a wave that repeats itself more slowly is looked for apart, and
never called sure.

Deviations: the summation runs on square-rooted magnitudes averaged over the whole note; the second
step is ours.

Shape legend: T samples, N frames, K spectral bins, L lags, C candidates, H harmonics, E evidence
values, J hidden units.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from core.audio.notes import note_of
from core.audio.signal import remove_dc, resample
from core.errors import CheckpointError, ParameterError

Array = NDArray[np.float64]

SHIPPED_WEIGHTS = Path(__file__).with_name("root_weights.npz")
"""Weights of the perceptrons, fitted by ``python -m training root``."""
NOTE_GRAMMAR = "60, C4, 36,48,60, C2:C6 or C2:C6:3 (every third semitone; C4 = 60)"
"""What a note specification may look like, for messages."""

_SHARP_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_NOTE_PATTERN = re.compile(r"([A-Ga-g])([#sb]?)(-?[0-9]{1,2})")

_RATE = 22050  # Hz at which the root is sought; partials above 11 kHz tell nothing about it
_FRAME = 8192  # samples at _RATE, 0.37 s: resolves the partials of the lowest piano key
_N_FFT = 16384
_N_FRAMES = 8
_ATTACK_SAMPLES = 661  # at _RATE, 30 ms: passed over where the note is long enough
_QUIET_FRAME = 0.03  # frames this far (linear) below the loudest have decayed too much to tell
_LOWEST_MIDI = 19.5
_LOWEST_HZ = 440.0 * 2.0 ** ((_LOWEST_MIDI - 69.0) / 12.0)
_HIGHEST_MIDI = 109.5
_N_LAGS = 1400  # at _RATE; the longest period is 1,311
_PITCHED = 0.5  # least confidence of a clear pitch
_TONAL_SHARE = 0.1  # of the power in narrow peaks: noise has less, and so have some wide ensembles
_PEAK_POWER = 10.0  # a narrow peak stands out of its surroundings by this
_SURROUNDINGS = 101  # bins
_HISS_SHARE = 0.03  # of the power in narrow peaks: less is noise, ...
_SURE_IN_HISS = 0.9  # ... unless the ear is as sure as this, and not ...
_HISS_HZ = 2500.0  # ... so high up, where closed hi-hats and shakers look like notes
_HISS_CONFIDENCE = 0.3
_SLOWEST_HZ = 9.0  # repetitions are looked for down to here
_AUDIBLE_HZ = 28.0  # a wave without anything above may be a sine below the range
_BELOW_RANGE_CONFIDENCE = 0.3  # of what repeats itself more slowly than the range
_INAUDIBLE_SHARE = 1e-3  # of the power: a rest this weak above the range is no note
_REPEATS = 0.85  # normalised autocorrelation at a period below the range ...
_REPEATS_BETTER = 0.25  # ... and how far it lies above that at any period within
_HARMONICS = np.arange(1, 21)
_GRID_STEPS = 144  # candidates of the summation per octave
_SAME_OCTAVES = 0.035  # candidates closer than this (42 cents) are one
_FINE_HARMONICS = np.arange(1, 11)
_FINE_FRAME = 4096  # at _RATE: about one period of a vibrato, which it so averages out
_FINE_LOW_HZ = 70.0  # below, the fine step needs the long frame to part the partials
_PARTIAL_REACH = 0.035  # of its frequency: 60 cents
_FINE_RANGE = 0.035  # of a partial's frequency: searched for its peak


@dataclass(frozen=True, kw_only=True, slots=True)
class RootEstimate:
    """The pitch of a recording."""

    midi_pitch: float
    """Fractional MIDI note, e.g. 60.2 = C4 + 20 cents; the best guess where nothing is pitched."""
    confidence: float
    """0 (noise, no clear pitch) to 1."""
    is_noise: bool = False
    """Whether there is nothing to be heard of a pitch: no clear one, and no tones of any."""

    @property
    def is_pitched(self) -> bool:
        """Whether the recording has a clear pitch; False for noise and most drums."""
        return self.confidence >= _PITCHED

    @property
    def note(self) -> int:
        """Nearest MIDI note."""
        return int(np.floor(self.midi_pitch + 0.5))

    @property
    def cents(self) -> float:
        """Deviation from :attr:`note`, -50 to 50 cents."""
        return 100.0 * (self.midi_pitch - self.note)


def midi_to_hz(midi_pitch: float) -> float:
    """Frequency of a (fractional) MIDI note; 69 = A4 = 440 Hz."""
    return float(440.0 * 2.0 ** ((midi_pitch - 69.0) / 12.0))


def hz_to_midi(frequency_hz: float) -> float:
    """Fractional MIDI note of a frequency.

    Raises:
        ParameterError: The frequency is not above 0.
    """
    if not frequency_hz > 0:
        raise ParameterError(f"A frequency of {frequency_hz} Hz has no pitch; give one above 0.")
    return float(69.0 + 12.0 * np.log2(frequency_hz / 440.0))


def note_name(midi_note: int) -> str:
    """Name of a MIDI note with sharps, e.g. ``C4`` for 60 and ``C#4`` for 61."""
    return f"{_SHARP_NAMES[midi_note % 12]}{midi_note // 12 - 1}"


def file_note_name(midi_note: int) -> str:
    """Number and ASCII name for file names, e.g. ``060_C4`` and ``061_Cs4``."""
    return f"{midi_note:03d}_{note_name(midi_note).replace('#', 's')}"


def parse_note(text: str) -> int:
    """MIDI note of ``60``, ``C4``, ``c#4``, ``Cs4`` or ``Db4``.

    Raises:
        ParameterError: Not a note, or outside 0-127.
    """
    text = text.strip()
    named = _NOTE_PATTERN.fullmatch(text)
    if named:
        letter, accidental, octave = named.groups()
        midi_note = note_of(letter, accidental, int(octave))
    elif re.fullmatch(r"-?[0-9]{1,4}", text):
        midi_note = int(text)
    else:
        raise ParameterError(f"'{text}' is not a note; write {NOTE_GRAMMAR}.")
    if not 0 <= midi_note <= 127:
        raise ParameterError(f"Note '{text}' is outside 0-127 (C-1 to G9).")
    return midi_note


def parse_notes(spec: str) -> tuple[int, ...]:
    """MIDI notes of a specification such as ``60``, ``36,C3``, ``C2:C6:3`` or ``C2:B2,60``.

    Returns:
        The notes in the order written, each once.

    Raises:
        ParameterError: A part is no note or range.
    """
    notes: dict[int, None] = {}
    for part in spec.split(","):
        notes.update(dict.fromkeys(_parse_range(part.strip(), spec)))
    return tuple(notes)


def _parse_range(part: str, spec: str) -> range:
    ends = part.split(":")
    if len(ends) > 3 or not all(end.strip() for end in ends):
        raise ParameterError(f"'{part}' in notes '{spec}' is unclear; write {NOTE_GRAMMAR}.")
    low = parse_note(ends[0])
    if len(ends) == 1:
        return range(low, low + 1)
    high = parse_note(ends[1])
    step = ends[2].strip() if len(ends) == 3 else "1"
    if not re.fullmatch(r"0*[1-9][0-9]{0,2}", step):
        raise ParameterError(f"Step '{step}' in notes '{part}' must be a whole number above 0.")
    if high < low:
        raise ParameterError(
            f"Notes '{part}' run downwards; write the lower one first: {ends[1]}:{ends[0]}."
        )
    return range(low, high + 1, int(step))


def estimate_root(
    samples: NDArray[np.floating], sample_rate: int, weights: RootWeights | None = None
) -> RootEstimate:
    """Root note of a recording of one note.

    Args:
        samples: Mono, any level, from about the onset, [T].
        sample_rate: Hz.
        weights: Weights of the perceptrons; the shipped ones if None.

    Raises:
        ParameterError: Not one channel of finite samples.
    """
    if samples.ndim != 1 or not np.all(np.isfinite(samples)):
        raise ParameterError(
            f"A root note is sought in finite samples [T]; got shape {samples.shape}."
        )
    note = audible_part(samples, sample_rate)
    if note is None:
        return _NOTHING
    evidence = gather_evidence(note)
    if len(evidence.candidates_hz) == 0:
        return _NOTHING
    weights = _shipped_weights() if weights is None else weights
    best, about = choose_candidate(evidence, weights.choice)
    pitchedness = weights.pitched.score(about[None])[0]
    fine_hz = _fine_pitch(note, float(evidence.candidates_hz[best]))
    confidence = float(1.0 / (1.0 + np.exp(-pitchedness)))
    is_doubtful = confidence < _SURE_IN_HISS or fine_hz > _HISS_HZ
    if evidence.tonal_share < _HISS_SHARE and is_doubtful:
        confidence = min(confidence, _HISS_CONFIDENCE)
    if evidence.tonal_share < _TONAL_SHARE and confidence < _PITCHED:
        return RootEstimate(midi_pitch=hz_to_midi(fine_hz), confidence=confidence, is_noise=True)
    below_hz = None if evidence.is_periodic else _below_range(note)
    if below_hz is not None:
        return RootEstimate(
            midi_pitch=hz_to_midi(below_hz), confidence=min(confidence, _BELOW_RANGE_CONFIDENCE)
        )
    return RootEstimate(midi_pitch=hz_to_midi(fine_hz), confidence=confidence)


def partial_level_db(samples: NDArray[np.floating], sample_rate: int, midi_pitch: float) -> float:
    """How strong the partial at a pitch is, dB against the strongest of the recording.

    Args:
        samples: Mono, any level, from about the onset, [T].
        sample_rate: Hz.
        midi_pitch: Fractional MIDI note of the partial, within 60 cents.
    """
    note = audible_part(samples, sample_rate)
    if note is None:
        return -np.inf
    magnitudes = _summarise(note).magnitudes
    centre_hz = np.array([midi_to_hz(midi_pitch)])
    level = float(_partials(magnitudes, centre_hz, _PARTIAL_REACH * centre_hz)[0])
    return float(20.0 * np.log10(max(level / float(magnitudes.max()), 1e-10)))


_NOTHING = RootEstimate(midi_pitch=60.0, confidence=0.0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for each candidate."""

    candidates_hz: Array
    """[C]."""
    values: Array
    """[C, E]."""
    is_periodic: bool = False
    """Whether the note clearly repeats itself within the range."""
    tonal_share: float = 0.0
    """Share of its power in narrow peaks of its spectrum."""


@dataclass(frozen=True, slots=True)
class Perceptron:
    """tanh(values · hidden + hidden_bias) · out + out_bias, of J hidden units."""

    hidden: Array
    """[E, J]."""
    hidden_bias: Array
    """[J]."""
    out: Array
    """[J]."""
    out_bias: float

    def score(self, values: Array) -> Array:
        """Scores [C] of evidence [C, E]."""
        hidden = np.tanh(values @ self.hidden + self.hidden_bias)
        scores: Array = hidden @ self.out + self.out_bias
        return scores


@dataclass(frozen=True, slots=True)
class RootWeights:
    """The two fitted perceptrons."""

    choice: Perceptron
    """Scores candidates; the highest is the root."""
    pitched: Perceptron
    """Log-odds that the recording is pitched at all, from what :func:`choose_candidate` tells."""


def read_weights(path: Path) -> RootWeights:
    """Weights that ``python -m training root`` wrote.

    Raises:
        CheckpointError: The file is missing, damaged or something else.
    """
    try:
        # np.load leaves a file open that it was given by name and cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as table:
            choice, pitched = (
                Perceptron(
                    table[f"{name}_hidden"].astype(np.float64),
                    table[f"{name}_hidden_bias"].astype(np.float64),
                    table[f"{name}_out"].astype(np.float64),
                    float(table[f"{name}_out_bias"]),
                )
                for name in ("choice", "pitched")
            )
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} holds no root-note weights ({error}); write it with 'python -m training root'."
        ) from error
    return RootWeights(choice, pitched)


@lru_cache(maxsize=1)
def _shipped_weights() -> RootWeights:
    return read_weights(SHIPPED_WEIGHTS)


def choose_candidate(evidence: Evidence, choice: Perceptron) -> tuple[int, Array]:
    """The likeliest of at least one candidate.

    Returns:
        Its index, and what tells whether it is a pitch: its evidence and its share of the softmax
        of all scores, [E + 1].
    """
    scores = choice.score(evidence.values)
    best = int(np.argmax(scores))
    certainty = 1.0 / np.exp(scores - scores[best]).sum()
    return best, np.append(evidence.values[best], certainty)


def audible_part(samples: NDArray[np.floating], sample_rate: int) -> Array | None:
    """What :func:`gather_evidence` looks at: mono samples [T] without silence, at 22.05 kHz.

    Returns:
        [T'] of at least 2048, peak about 1, without offset; None for silence.
    """
    peak = float(np.max(np.abs(samples), initial=0.0))
    if not peak > 0:
        return None
    centred = remove_dc((samples / peak).astype(np.float32), sample_rate)
    if np.max(np.abs(centred)) < 1e-5:
        return None
    note = resample(centred, sample_rate, _RATE).astype(np.float64)
    level = np.abs(note)
    audible = np.flatnonzero(level > 0.01 * level.max())
    end = int(np.flatnonzero(level > 3e-4 * level.max())[-1])
    note = note[audible[0] : end + 1]
    return np.pad(note, (0, max(0, 2048 - len(note))))


def _frames(note: Array, length: int, n_frames: int) -> Array:
    """Frames over the sustained part, without those that have decayed, [N, length]."""
    length = min(length, len(note))
    last = len(note) - length
    count = min(n_frames, 1 + last // (length // 4))
    starts = np.linspace(min(_ATTACK_SAMPLES, last), last, count).astype(int)
    frames = np.stack([note[start : start + length] for start in starts])
    levels = np.sqrt(np.mean(frames**2, axis=1))
    kept: Array = frames[levels >= _QUIET_FRAME * levels.max()]
    return kept


@dataclass(frozen=True, slots=True)
class _Summary:
    """The note as the candidates are judged by."""

    magnitudes: Array
    """Mean over frames of unit-energy magnitude spectra, [K]."""
    autocorrelation: Array
    """Normalised square difference as in McLeod & Wyvill, mean over frames, [L]."""
    whitened: Array
    """Autocorrelation of the compressed spectrum, so that weak partials count, [L]."""


def _summarise(note: Array) -> _Summary:
    frames = _frames(note, _FRAME, _N_FRAMES)
    length = frames.shape[1]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(length + 2)[1:-1], _N_FFT))
    spectra /= np.sqrt(np.sum(spectra**2, axis=1, keepdims=True)) + 1e-12
    magnitudes = spectra.mean(axis=0)

    autocorrelation = np.mean(_normalised_autocorrelation(frames, _N_LAGS), axis=0)
    whitened = np.fft.irfft(magnitudes**0.6)[:_N_LAGS]
    return _Summary(magnitudes, autocorrelation, whitened / whitened[0])


def _normalised_autocorrelation(frames: Array, n_lags: int) -> Array:
    """Normalised square difference as in McLeod & Wyvill of frames [N, length], [N, L]."""
    length = frames.shape[1]
    products = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * _FRAME)) ** 2)[:, :n_lags]
    sums = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    lags = np.arange(n_lags)
    overlap = sums[:, length - lags] + sums[:, -1:] - sums[:, lags]
    correlations: Array = 2.0 * products / (overlap + 1e-12)
    return correlations


def _at(values: Array, positions: Array) -> Array:
    """Linear interpolation at fractional indices; 0 beyond the end."""
    inside = positions < len(values) - 1
    clipped = np.where(inside, positions, 0.0)
    index = clipped.astype(np.intp)
    fraction = clipped - index
    result: Array = np.where(
        inside, values[index] * (1.0 - fraction) + values[index + 1] * fraction, 0.0
    )
    return result


def _partials(magnitudes: Array, frequencies_hz: Array, tolerance_hz: Array) -> Array:
    """Largest magnitude within a tolerance of each frequency; shapes broadcast."""
    offsets = np.linspace(-1.0, 1.0, 9)
    frequencies = frequencies_hz[..., None] + offsets * tolerance_hz[..., None]
    found: Array = _at(magnitudes, frequencies * (_N_FFT / _RATE)).max(axis=-1)
    return found


def _peak_offset(left: float, middle: float, right: float) -> float:
    """Vertex of the parabola through three points, relative to the middle one."""
    return 0.5 * (left - right) / (left - 2.0 * middle + right - 1e-12)


def _candidates(summary: _Summary) -> Array:
    """Frequencies worth judging, Hz, [C], at most one within :data:`_SAME_OCTAVES`."""
    # Imported here: SciPy's signal package is slow to load, and --help needs none of it.
    from scipy.signal import find_peaks

    lowest, highest = midi_to_hz(_LOWEST_MIDI), midi_to_hz(_HIGHEST_MIDI)
    found: list[float] = []

    grid = lowest * 2.0 ** (
        np.arange((_HIGHEST_MIDI - _LOWEST_MIDI) / 12 * _GRID_STEPS) / _GRID_STEPS
    )
    multiples = grid[:, None] * _HARMONICS
    compressed = np.sqrt(summary.magnitudes)
    partials = _partials(compressed, multiples, np.maximum(0.006 * multiples, 1.0))
    salience = np.sum(partials * 0.86 ** (_HARMONICS - 1), axis=1)
    peaks = find_peaks(salience)[0]
    found += grid[peaks[np.argsort(-salience[peaks])[:8]]].tolist()

    for correlation in (summary.autocorrelation, summary.whitened):
        peaks = find_peaks(correlation[4:])[0] + 4
        peaks = peaks[(_RATE / peaks >= lowest) & (_RATE / peaks <= highest)]
        for lag in peaks[np.argsort(-correlation[peaks])[:6]]:
            found.append(_RATE / (lag + _peak_offset(*correlation[lag - 1 : lag + 2])))

    first_bin = int(lowest * _N_FFT / _RATE)
    peaks = find_peaks(summary.magnitudes[first_bin:])[0] + first_bin
    for peak in peaks[np.argsort(-summary.magnitudes[peaks])[:4]]:
        offset = _peak_offset(*np.log(summary.magnitudes[peak - 1 : peak + 2] + 1e-12))
        found += ((peak + offset) * _RATE / _N_FFT / np.arange(1, 5)).tolist()

    distinct: list[float] = []
    for frequency in found:
        if lowest <= frequency <= highest and all(
            abs(np.log2(frequency / other)) > _SAME_OCTAVES for other in distinct
        ):
            distinct.append(frequency)
    return np.array(distinct)


def gather_evidence(note: Array) -> Evidence:
    """Candidates of an :func:`audible_part` and what speaks for each of them.

    Public for the fitting of the weights; use :func:`estimate_root` to find a pitch.
    """
    summary = _summarise(note)
    candidates = _candidates(summary)
    if len(candidates) == 0:
        return Evidence(candidates, np.zeros((0, 0)))
    magnitudes, power = summary.magnitudes, summary.magnitudes**2
    bins_hz = np.arange(len(magnitudes)) * (_RATE / _N_FFT)
    root = candidates[:, None]
    multiples = root * _HARMONICS
    tolerance = np.minimum(np.maximum(0.012 * multiples, 2.0), 0.2 * root)

    # Partials at the multiples, half-way between them, and at the thirds between them.
    on = _partials(magnitudes, multiples, tolerance)
    halves = _partials(magnitudes, multiples - root / 2, tolerance)
    thirds = np.maximum(
        _partials(magnitudes, multiples - root / 3, tolerance),
        _partials(magnitudes, multiples - 2 * root / 3, tolerance),
    )
    falling = 0.9 ** (_HARMONICS - 1)
    on_sums = np.sqrt(on) * falling
    total = on_sums.sum(axis=1) + 1e-9
    odd, even = on_sums[:, 0::2].sum(axis=1), on_sums[:, 1::2].sum(axis=1)
    triple = on_sums[:, 2::3].sum(axis=1)
    half_share = (np.sqrt(halves) * falling).sum(axis=1) / total
    third_share = (np.sqrt(thirds) * falling).sum(axis=1) / total

    def level(partial: Array) -> Array:
        """Against the strongest partial of the note, in units of 20 dB, -3 to 0."""
        scaled: Array = np.maximum(np.log10(partial / magnitudes.max() + 1e-6), -3.0)
        return scaled

    def correlation_at(values: Array, lags: Array) -> Array:
        near = lags[:, None] * (1.0 + 0.008 * np.linspace(-1.0, 1.0, 5))
        largest: Array = _at(values, near).max(axis=1)
        return largest

    period = _RATE / candidates
    plain, white = summary.autocorrelation, summary.whitened
    distance_hz = np.abs(bins_hz - np.round(bins_hz / root) * root)
    harmonic = (distance_hz < np.minimum(8.0, 0.2 * root)) & (bins_hz > 0.7 * root)
    explained = np.where(harmonic, power, 0.0).sum(axis=1) / power.sum()
    below = np.where(bins_hz < 0.75 * root, power, 0.0).sum(axis=1) / power.sum()
    octaves = np.log2(candidates / 440.0)
    centroid_hz = float(np.sum(power * bins_hz) / power.sum())
    strongest_hz = max(20.0, float(bins_hz[magnitudes.argmax()]))
    values = [
        np.log(total),
        np.log(half_share + 0.05),
        np.log(third_share + 0.05),
        np.log((odd + 1e-6) / (even + 1e-6) + 0.05),
        np.log((total - triple) / (triple + 1e-6) + 0.05),
        *level(on[:, :6]).T,
        *level(halves[:, :2]).T,
        level(thirds[:, 0]),
        *(correlation_at(plain, period * factor) for factor in (1.0, 0.5, 2.0, 1.0 / 3.0)),
        *(correlation_at(white, period * factor) for factor in (1.0, 0.5, 2.0)),
        octaves,
        octaves**2,
        np.log2(centroid_hz / candidates),
        np.log2(strongest_hz / candidates),
        np.log(explained + 1e-3),
        np.log(below + 1e-4),
    ]
    surroundings = median_filter(power, _SURROUNDINGS, mode="nearest")
    tonal = power[power > _PEAK_POWER * surroundings].sum() / power.sum()
    return Evidence(
        candidates,
        np.stack(values, axis=1),
        is_periodic=_best_peak(plain[: int(_RATE / _LOWEST_HZ)]) >= _REPEATS,
        tonal_share=float(tonal),
    )


def _below_range(note: Array) -> float | None:
    """How often an :func:`audible_part` repeats itself, Hz, where only that is below the range."""
    frequencies_hz = np.arange(len(note) // 2 + 1) * (_RATE / len(note))
    power = np.abs(np.fft.rfft(note * np.blackman(len(note)))) ** 2
    is_low = (frequencies_hz > _SLOWEST_HZ) & (frequencies_hz < _AUDIBLE_HZ)
    if power[frequencies_hz >= _AUDIBLE_HZ].sum() < _INAUDIBLE_SHARE * power[is_low].sum():
        strongest = int(np.argmax(np.where(is_low, power, 0.0)))
        offset = _peak_offset(*np.log(power[strongest - 1 : strongest + 2] + 1e-12))
        strongest_hz = (strongest + offset) * _RATE / len(note)
        return strongest_hz if strongest_hz < _LOWEST_HZ else None
    # Rumble repeats itself too: what is below the range by more than a note in it leaks is left out.
    plain = np.fft.rfft(note)
    plain[frequencies_hz < _LOWEST_HZ - 2.0 * _RATE / len(note)] = 0.0
    frames = _frames(np.fft.irfft(plain, len(note)), _FRAME, _N_FRAMES)
    slowest = min(round(_RATE / _SLOWEST_HZ), frames.shape[1] * 2 // 3)
    first = int(_RATE / _LOWEST_HZ) + 1
    if slowest <= first:
        return None
    # Frame by frame: a note that slides repeats itself in each of them.
    correlations = _normalised_autocorrelation(frames, slowest)
    best = float(np.mean(correlations[:, first:].max(axis=1)))
    in_range = float(np.mean([_best_peak(each[: first + 1]) for each in correlations]))
    if best < _REPEATS or in_range > best - _REPEATS_BETTER:
        return None
    together = correlations.mean(axis=0)[first:]
    return float(_RATE / (first + np.argmax(together >= together.max() - 0.02)))


def _best_peak(correlation: Array) -> float:
    """The highest peak after the first crossing of zero, [L]; 0 without any."""
    crossings = np.flatnonzero(correlation < 0.0)
    if len(crossings) == 0:
        return 0.0
    rest = correlation[crossings[0] :]
    is_peak = (rest[1:-1] > rest[:-2]) & (rest[1:-1] >= rest[2:])
    return float(rest[1:-1][is_peak].max(initial=0.0))


def _fine_pitch(note: Array, about_hz: float) -> float:
    """Weighted median over frames and partials of partial frequency ÷ partial number, Hz."""
    length = _FINE_FRAME if about_hz > _FINE_LOW_HZ else _FRAME
    frames = _frames(note, length, 2 * _N_FRAMES)
    length = frames.shape[1]
    n_fft = 4 * _FINE_FRAME if length <= _FINE_FRAME else 4 * _FRAME
    spectra = np.abs(np.fft.rfft(frames * np.hanning(length + 2)[1:-1], n_fft))
    bin_hz = _RATE / n_fft
    pitches: list[Array] = []
    weights: list[Array] = []
    for harmonic in _FINE_HARMONICS:
        centre = harmonic * about_hz
        reach = max(2.0 * bin_hz, min(_FINE_RANGE * centre, 0.4 * about_hz))
        low, high = int((centre - reach) / bin_hz), int((centre + reach) / bin_hz) + 2
        if low < 1 or high >= spectra.shape[1] - 1:
            continue
        peaks = low + np.argmax(spectra[:, low:high], axis=1)
        rows = np.arange(len(spectra))
        left, middle, right = (np.log(spectra[rows, peaks + step] + 1e-12) for step in (-1, 0, 1))
        is_peak = (middle >= left) & (middle >= right)
        offset = np.clip(0.5 * (left - right) / (left - 2.0 * middle + right - 1e-12), -0.5, 0.5)
        pitches.append(((peaks + offset) * bin_hz / harmonic)[is_peak])
        strength = np.exp(middle) / (spectra.max(axis=1) * np.sqrt(harmonic))
        weights.append(strength[is_peak])
    values, shares = np.concatenate(pitches), np.concatenate(weights)
    if len(values) == 0:
        return about_hz
    order = np.argsort(values)
    cumulative = np.cumsum(shares[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2.0)])
