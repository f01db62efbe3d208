"""What a render is asked for, and what analysis found: frozen values that travel between threads.

Shape legend: T samples, M mel bands, F frames, H timbre-feature width, O/I channels of a layer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

SOURCE_VELOCITY = 100
"""MIDI velocity at which every source is taken to be played."""
ORIGINAL_RANGE = 0.5
"""Semitones around its root in which a recording is left as it is, but for its pitch: from the first
key beside it on, the model's colour is nearer to the true note (training/README.md)."""
MAX_ORIGINAL_RANGE = 24.0
MAX_FIT_STEPS = 200
"""Most steps of fitting the model to a recording."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Timbre:
    """One analysed one-shot: all that rendering needs to know about a source sound.

    Two timbres are equal when their audio, root note and model are (``content_hash``).
    """

    name: str
    """Display name, usually the file's stem."""
    content_hash: str
    """SHA-256 (hex) of the analysed audio, root pitch, model hash and what was fitted."""
    root_pitch: float
    """Fractional MIDI note of the recording, e.g. 60.2 = C4 + 20 cents."""
    pitch_confidence: float
    """0 (noise, no clear pitch) to 1."""
    features: NDArray[np.float32]
    """Timbre features h = f(x), [H]."""
    mel: NDArray[np.float32]
    """Normalised log-mel of the trimmed, peak-normalised source, [M, F]."""
    gain: float
    """Peak of the source before normalisation (linear)."""
    onset_s: float
    """Where the note starts in the file, seconds."""
    length_s: float
    """Length of the note from its onset, seconds; at most one mel window is rendered."""
    loudness_db: float
    """Loudness of its loudest 400 ms at a peak of -1 dBFS (core.audio.loudness)."""
    samples: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """The note itself from its onset, peak-normalised, [T]; empty where there is none to play."""
    fitted: tuple[NDArray[np.float32], ...] = ()
    """Weight offsets beyond the hypernetwork's, [O, I] for each modulated layer of the generator;
    empty where none were fitted (core/inference/fitting.py)."""
    fit_steps: int = 0
    """Steps that it took to fit them."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timbre) and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)


@dataclass(frozen=True, kw_only=True, slots=True)
class TimbreMix:
    """A weighted mix of timbres; weights are non-negative and normalised to sum 1."""

    timbres: tuple[Timbre, ...]
    weights: tuple[float, ...]
    one_instrument: bool = False
    """The timbres are notes of one instrument, of equal weight: every key is made of the notes next
    to it, see :meth:`at`."""

    def __post_init__(self) -> None:
        if not self.timbres:
            raise ParameterError("A mix needs at least one timbre; none was given.")
        if len(self.weights) != len(self.timbres):
            raise ParameterError(
                f"Got {len(self.weights)} weights for {len(self.timbres)} samples; "
                "give one weight for each sample."
            )
        total = float(sum(self.weights))
        if not (np.isfinite(total) and total > 0 and min(self.weights) >= 0):
            raise ParameterError(
                f"Weights {self.weights} cannot be used; give numbers of 0 or more, "
                "at least one above 0."
            )
        if self.one_instrument and len(self.timbres) < 2:
            raise ParameterError("Only one note of an instrument was given; pool two or more.")
        if self.one_instrument and len(set(self.weights)) > 1:
            raise ParameterError(
                f"Weights {self.weights} were given for notes of one instrument, which count alike; "
                "leave them out, or do not pool."
            )
        object.__setattr__(self, "weights", tuple(float(w) / total for w in self.weights))

    def at(self, pitch: float) -> TimbreMix:
        """What a key is a mix of: of one instrument the two notes around it, by their nearness.

        Below the lowest note it is that one alone, above the highest likewise. A mix that is no
        instrument is the same at every key.

        Args:
            pitch: Fractional MIDI note.
        """
        if not self.one_instrument:
            return self
        timbres = sorted(self.timbres, key=lambda timbre: timbre.root_pitch)
        places = range(len(timbres))
        place = float(np.interp(pitch, [timbre.root_pitch for timbre in timbres], places))
        shares = [(timbre, 1.0 - abs(place - i)) for i, timbre in enumerate(timbres)]
        heard = [(timbre, share) for timbre, share in shares if share > 0.0]
        return TimbreMix(timbres=tuple(t for t, _ in heard), weights=tuple(w for _, w in heard))

    def nearest(self, pitch: float) -> Timbre:
        """The timbre whose root lies nearest to a fractional MIDI note."""
        return min(self.timbres, key=lambda timbre: abs(timbre.root_pitch - pitch))

    @property
    def key(self) -> str:
        """Content hash of the mix: equal mixes have equal keys."""
        parts = [
            f"{timbre.content_hash}:{weight:.9f}"
            for timbre, weight in zip(self.timbres, self.weights, strict=True)
        ]
        if self.one_instrument:
            parts.append("one instrument")
        return hashlib.sha256("|".join(parts).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderSettings:
    """How notes are rendered, whatever they are rendered from."""

    velocity: int = SOURCE_VELOCITY
    """MIDI velocity 1–127."""
    seed: int = 0
    """Seed of z and of the vocoder's noise, 0 or more."""
    variation: float = 0.0
    """Scale of z, 0–2: 0 renders the mean of the model, 1 draws z ~ N(0, 1)."""
    refinement: float = 1.0
    """Strength of the hypernetwork's offsets, 0–2: 0 plain generator, 1 fully refined."""
    carry_over: float = 1.0
    """How much of what the model missed in the source is added back, 0–2."""
    original_range: float = ORIGINAL_RANGE
    """Semitones around the root, 0–24, in which keys of a single source, or of the nearest note of
    one instrument, are the recording itself, shifted; beyond them it is brought to the colour that
    the model draws. 0 is the model alone."""

    def __post_init__(self) -> None:
        if not 1 <= self.velocity <= 127:
            raise ParameterError(f"Velocity {self.velocity} is outside 1-127.")
        for name in ("variation", "refinement", "carry_over"):
            value = getattr(self, name)
            if not 0.0 <= value <= 2.0:
                raise ParameterError(f"{name} = {value} is outside 0-2.")
        if not 0.0 <= self.original_range <= MAX_ORIGINAL_RANGE:
            raise ParameterError(
                f"original_range = {self.original_range} is outside 0-{MAX_ORIGINAL_RANGE:g} semitones."
            )
        if self.seed < 0:
            raise ParameterError(f"Seed {self.seed} is negative; use 0 or more.")


def render_settings_of(holder: object) -> dict[str, Any]:
    """What something (parsed arguments, other settings) says of :class:`RenderSettings`, by name."""
    return {each.name: getattr(holder, each.name) for each in fields(RenderSettings)}


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderRequest(RenderSettings):
    """Notes to render from a mix. Equal requests give equal audio on the same machine."""

    mix: TimbreMix
    notes: tuple[int, ...]
    """MIDI notes, 0–127, in the order wanted."""
    is_draft: bool = False
    """Whether to save an eighth of the time: notes come less near to their mels (1 dB instead of
    0.6), with the same phases. For a timbre on its way to another."""

    def __post_init__(self) -> None:
        RenderSettings.__post_init__(self)
        bad = [note for note in self.notes if not 0 <= note <= 127]
        if bad:
            raise ParameterError(f"Note {bad[0]} is outside the MIDI range 0-127.")
        if len(set(self.notes)) != len(self.notes):
            raise ParameterError(f"Notes {self.notes} name a note twice; name each once.")
        if not self.notes:
            raise ParameterError("No notes were asked for; give at least one MIDI note.")
