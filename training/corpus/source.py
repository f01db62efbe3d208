"""What every source of training notes offers: jobs that render labelled notes in any process."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import CoreError, ParameterError
from core.mel import MelConfig
from training.corpus.splits import Split

SAMPLE_RATE = MelConfig().sample_rate
"""Sample rate of every note, Hz."""
N_SAMPLES = MelConfig().n_samples
"""Length of every note window, samples."""
PCM_SCALE = 32767.0
"""int16 value of a full-scale sample."""
SILENCE_PEAK = 1e-4
"""Notes that stay below this peak before normalisation are dropped."""


class CorpusError(CoreError):
    """A note source is missing, unreadable or holds nothing to train on."""


class NoteKind(StrEnum):
    """How an instrument makes its notes; tables show the two apart."""

    RECORDED = "recorded"
    """The instrument plays recordings, most of them at several pitches."""
    SYNTHESIZED = "synthesized"
    """The instrument computes every note anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Label of one note of the corpus."""

    instrument: str
    """Identity of the instrument, unique in the corpus, e.g. ``FluidR3_GM/000-011``."""
    source: str
    """Name of the note source: a soundfont's stem, ``synth``, ``nsynth`` or a folder's name."""
    name: str
    """Name of the instrument for people, e.g. ``Vibraphone``."""
    program: int
    """General MIDI program (0 to 127), patch number or pseudo program; decides the split."""
    split: Split
    """Split of the instrument: ``split_of(program)``."""
    midi_pitch: float
    """True pitch including detuning, MIDI (60.0 = C4 = 261.63 Hz)."""
    velocity: int
    """MIDI velocity, 1 to 127."""
    kind: NoteKind
    """Whether the note was recorded or synthesized."""
    samples: tuple[str, ...] = ()
    """Names of the recordings that sound, sorted, unique within the source; none where the note is
    synthesized."""
    stretch: float = 0.0
    """Semitones by which the most repitched recording of the note is played off its own pitch."""
    gain_db: float = 0.0
    """Gain that brings the stored audio, peak 1, to the loudness that mels are taken at."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RenderedNote:
    """A label and its sound."""

    note: Note
    audio: NDArray[np.float32]
    """Mono, 44.1 kHz, [N_SAMPLES], onset at the start, peak 1, key held through the window."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteGrid:
    """Which keys, velocities and detunings to render of an instrument that can play any."""

    note_low: int = 24
    """Lowest MIDI key."""
    note_high: int = 96
    """Highest MIDI key."""
    note_step: int = 3
    """Semitones between keys; the first key is up to a step above note_low, by chance."""
    max_stretch: float = 5.0
    """Keys of a soundfont whose recordings are repitched by more semitones are left out."""
    velocities: tuple[int, ...] = (100, 45)
    """Velocities of each key, 1 to 127."""
    detune_probability: float = 0.3
    """Share of the notes that are detuned, 0 to 1."""
    detune_cents: float = 50.0
    """Largest detuning, uniform to both sides."""
    seed: int = 0
    """Seed of all random choices."""

    def __post_init__(self) -> None:
        if not 0 <= self.note_low <= self.note_high <= 127:
            raise ParameterError(
                f"note_low = {self.note_low} and note_high = {self.note_high} must be MIDI keys "
                "in rising order, 0 to 127."
            )
        if self.note_step < 1:
            raise ParameterError(f"note_step = {self.note_step} must be at least 1 semitone.")
        if not self.max_stretch >= 0.0:
            raise ParameterError(f"max_stretch = {self.max_stretch} must be 0 semitones or more.")
        if not self.velocities or not all(1 <= velocity <= 127 for velocity in self.velocities):
            raise ParameterError(f"velocities = {self.velocities} must be one or more of 1 to 127.")
        if not 0.0 <= self.detune_probability <= 1.0:
            raise ParameterError(
                f"detune_probability = {self.detune_probability} must lie between 0 and 1."
            )
        if not 0.0 <= self.detune_cents <= 100.0:
            raise ParameterError(f"detune_cents = {self.detune_cents} must lie between 0 and 100.")

    def rng(self, instrument: str) -> np.random.Generator:
        """The random generator of one instrument, independent of all others."""
        return np.random.default_rng([self.seed, zlib.crc32(instrument.encode())])

    def draw_keys(self, rng: np.random.Generator) -> range:
        """Every note_step-th key, from a random first one."""
        first = self.note_low + int(rng.integers(self.note_step))
        return range(first, self.note_high + 1, self.note_step)

    def draw_detune(self, rng: np.random.Generator) -> float:
        """Detuning of the next note, semitones; draws the same amount of chance for each note."""
        is_detuned = rng.random() < self.detune_probability
        shift = rng.uniform(-self.detune_cents, self.detune_cents) / 100.0
        return shift if is_detuned else 0.0


class NoteJob(Protocol):
    """Notes of one instrument; picklable, so that a worker process can render them."""

    @property
    def program(self) -> int:
        """General MIDI program, patch number or pseudo program: what the split goes by."""

    @property
    def instrument(self) -> str:
        """Identity of the instrument, equal to ``Note.instrument``."""

    def render(self) -> Iterator[RenderedNote]:
        """Render the notes in a fixed order; silent ones are left out."""


class NoteSource(Protocol):
    """A soundfont, the synthesizer, a data set or a folder of sounds."""

    @property
    def name(self) -> str:
        """Short name, equal to ``Note.source``."""

    @property
    def licence(self) -> str:
        """Licence of the sounds, or ``unknown``."""

    def sha256(self) -> str:
        """Hash (hex) of what the notes are made from."""

    def jobs(self) -> Sequence[NoteJob]:
        """One job for each instrument, in a fixed order.

        Raises:
            CorpusError: The source is missing or unreadable.
        """


def prepare_note(audio: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """Cut or zero-pad mono audio [T] to the window and normalise its peak to 1.

    Returns:
        [N_SAMPLES], or None where the note is silent.

    Raises:
        ParameterError: The audio is not mono or not finite.
    """
    if audio.ndim != 1:
        raise ParameterError(f"A note must be mono [samples]; got shape {audio.shape}.")
    window = np.zeros(N_SAMPLES, np.float32)
    length = min(N_SAMPLES, audio.shape[0])
    window[:length] = audio[:length]
    peak = float(np.abs(window).max())
    if not np.isfinite(peak):
        raise ParameterError("A note holds NaN or infinite samples; check the source's files.")
    if peak < SILENCE_PEAK:
        return None
    window /= peak
    return window


def find_onset(
    audio: NDArray[np.floating], *, threshold_db: float = -50.0, lead_samples: int = 32
) -> int:
    """First sample [T] above threshold_db re the peak, less a short lead; 0 for silence."""
    level = np.abs(audio)
    peak = float(level.max(initial=0.0))
    if peak <= 0.0:
        return 0
    first = int(np.argmax(level > peak * 10.0 ** (threshold_db / 20.0)))
    return max(0, first - lead_samples)


def hash_file(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
