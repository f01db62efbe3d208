"""What a note sounds like: frozen values that travel between threads.

``Timbre`` (what analysis found in a recording) → ``TimbreMix`` (weighted timbres) → ``Sound`` (a mix
and how it is rendered) → ``RenderRequest`` (a sound and the notes wanted of it).

Shape legend: T samples, M mel bands, F frames, H timbre-feature width, O/I channels of a layer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from core.audio.file_facts import RootOrigin
from core.errors import ParameterError
from core.parameters import check_parameters, parameter

SOURCE_VELOCITY = 100
"""MIDI velocity at which every source is taken to be played."""
ORIGINAL_RANGE = 0.5
"""Semitones around its root in which a recording is left as it is, but for its pitch: from the first
key beside it on, the model's colour is nearer to the true note (training/README.md)."""
CLEAR_PITCH = 0.5
"""From this confidence on a recording counts as pitched."""
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
    """How clearly a pitch is heard, 0 (noise) to 1, whatever the root was taken from; 1 where the
    user gave it."""
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
    root_origin: RootOrigin = RootOrigin.HEARD
    """Where the root is known from."""
    samples: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """The note itself from its onset, peak-normalised, [T]; empty where there is none to play."""
    is_noise: bool = False
    """Whether there is nothing to be heard of a pitch: no key adds a tone to it."""
    cycle_frames: float | None = None
    """Frames of one period where the recording is a single cycle that was made to sound on."""
    fitted: tuple[NDArray[np.float32], ...] = ()
    """Weight offsets beyond the hypernetwork's, [O, I] for each modulated layer of the generator;
    empty where none were fitted (core/inference/fitting.py)."""
    fit_steps: int = 0
    """Steps that it took to fit them."""

    @property
    def is_pitched(self) -> bool:
        """Whether a pitch is heard; False for noise and most drums, whatever their root."""
        return self.pitch_confidence >= CLEAR_PITCH

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

    seed: int = field(
        default=0, metadata=parameter(0, 2**63 - 1, about="the same seed gives the same sound")
    )
    """Seed of z and of the vocoder's noise."""
    variation: float = field(
        default=0.0,
        metadata=parameter(0.0, 1.0, about="how far from the mean sound the seed may lead"),
    )
    """Scale of z: 0 renders the mean of the model, 1 draws z ~ N(0, 1)."""
    refinement: float = field(
        default=1.0, metadata=parameter(0.0, 2.0, about="strength of the hypernetwork")
    )
    """Strength of the hypernetwork's offsets and gates: 0 plain generator, 1 fully refined."""
    carry_over: float = field(
        default=1.0,
        metadata=parameter(0.0, 1.0, about="how much of the recording's own body is kept"),
    )
    """How much of what the model missed in the source is added back."""
    original_range: float = field(
        default=ORIGINAL_RANGE,
        metadata=parameter(
            0.0,
            24.0,
            "semitones",
            about="semitones around the root that are the recording itself, shifted; 0 is the "
            "model alone",
        ),
    )
    """Semitones around the root in which keys of a single source, or of the nearest note of one
    instrument, are the recording itself, shifted; beyond them it is brought to the colour that the
    model draws. 0 is the model alone."""
    velocity: int = field(
        default=SOURCE_VELOCITY,
        metadata=parameter(1, 127, about="how hard the notes are played (MIDI velocity)"),
    )
    """MIDI velocity 1–127."""

    def __post_init__(self) -> None:
        check_parameters(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """A mix of timbres and how it is rendered: all that a note depends on but the note itself."""

    mix: TimbreMix
    settings: RenderSettings = field(default_factory=RenderSettings)

    @property
    def key(self) -> str:
        """Content hash over the mix and every field of the settings: equal sounds, equal keys."""
        values = [
            f"{each.name}={getattr(self.settings, each.name)!r}" for each in fields(self.settings)
        ]
        return hashlib.sha256("|".join([self.mix.key, *values]).encode()).hexdigest()

    def request(self, notes: Sequence[int], *, is_draft: bool = False) -> RenderRequest:
        """The request that renders some notes of this sound.

        Args:
            notes: MIDI notes in the order wanted.
            is_draft: See :class:`RenderRequest`.

        Raises:
            ParameterError: A note is out of range or named twice, or there is none.
        """
        return RenderRequest(sound=self, notes=tuple(notes), is_draft=is_draft)


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderRequest:
    """Notes to render of a sound. Equal requests give equal audio on the same machine."""

    sound: Sound
    notes: tuple[int, ...]
    """MIDI notes, 0–127, in the order wanted."""
    is_draft: bool = False
    """Whether to save an eighth of the time: notes come less near to their mels (1 dB instead of
    0.6), with the same phases. For a timbre on its way to another."""

    def __post_init__(self) -> None:
        bad = [note for note in self.notes if not 0 <= note <= 127]
        if bad:
            raise ParameterError(f"Note {bad[0]} is outside the MIDI range 0-127.")
        if len(set(self.notes)) != len(self.notes):
            raise ParameterError(f"Notes {self.notes} name a note twice; name each once.")
        if not self.notes:
            raise ParameterError("No notes were asked for; give at least one MIDI note.")
