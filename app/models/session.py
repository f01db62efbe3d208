"""The whole session as one frozen value.

Whoever edits makes a new value (:mod:`app.models.edits`), undo swaps values, saving writes one.
Recordings are named by the hash of their audio; the audio lies in the
:class:`~app.models.audio_store.AudioStore`. Everything is checked on construction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from app.models.pad_path import PadPath
from core.errors import ParameterError
from core.instrument import HIGHEST_KEY, Envelope
from core.plan import InstrumentOptions, NoteSpan, PadGrid
from core.sound import MAX_FIT_STEPS, RenderSettings

MAX_SOURCES = 32
"""Most sources on the shelf of a session."""
MAX_AUDIBLE = 8
"""Most of them that are not muted: the pad mixes at most eight."""
SNAPSHOT_SLOTS = 8
MAX_NAME_LENGTH = 120
"""Characters of a name."""
MIN_SOURCE_S = 0.03
"""Least length of a trimmed source, seconds."""
MIN_GAIN_DB = -60.0
MAX_GAIN_DB = 12.0

_HASH = re.compile(r"[0-9a-f]{64}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One dropped sound: what of its audio is used and where it lies on the pad."""

    id: str
    """Names it within the session; stays when all else changes."""
    name: str
    """Display name."""
    colour: str
    """``#rrggbb``, lower case."""
    audio_hash: str
    """SHA-256 (hex) of the whole recording: see :func:`app.models.audio_store.audio_hash`."""
    start_s: float = 0.0
    """Where the used part starts, seconds from the start of the recording."""
    end_s: float | None = None
    """Where it ends; None is the end of the recording."""
    root: float | None = None
    """Root note set by the user, fractional MIDI 0–127; None takes the detected one."""
    fit_steps: int = 0
    """Steps in which the model is fitted to the recording, 0–200; 0 leaves it as it is."""
    muted: bool = False
    soloed: bool = False
    """While any unmuted source is soloed, only soloed ones sound."""
    x: float = 0.5
    """Place on the pad, 0 (left) to 1 (right)."""
    y: float = 0.5
    """Place on the pad, 0 (bottom) to 1 (top)."""

    def __post_init__(self) -> None:
        if not self.id or len(self.id) > MAX_NAME_LENGTH or not self.id.isprintable():
            raise ParameterError(f"Source id {self.id[:20]!r} is no short printable text.")
        check_name(self.name)
        if not _COLOUR.fullmatch(self.colour):
            raise ParameterError(f"Colour {self.colour[:20]!r} is not of the form #rrggbb.")
        if not _HASH.fullmatch(self.audio_hash):
            raise ParameterError(
                f"Audio hash {self.audio_hash[:20]!r} of {self.name!r} is not 64 hex digits."
            )
        if not 0.0 <= self.start_s < float("inf"):
            raise ParameterError(f"Start {self.start_s} s of {self.name!r} lies before the sound.")
        if self.end_s is not None and not MIN_SOURCE_S <= self.end_s - self.start_s < float("inf"):
            raise ParameterError(
                f"{self.name!r} is trimmed to {self.start_s:g}-{self.end_s:g} s; "
                f"leave at least {MIN_SOURCE_S:g} s."
            )
        if self.root is not None:
            check_range("Root note", self.root, 0.0, HIGHEST_KEY)
        check_range("Steps of fitting", self.fit_steps, 0, MAX_FIT_STEPS)
        check_range("Source position x =", self.x, 0.0, 1.0)
        check_range("Source position y =", self.y, 0.0, 1.0)

    @property
    def recording(self) -> tuple[str, float, float | None, float | None]:
        """All that analysis depends on: sources with equal recordings have the same timbre."""
        return self.audio_hash, self.start_s, self.end_s, self.root


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """All that makes the sound at one moment, kept to come back to."""

    name: str
    sources: tuple[Source, ...]
    """As they were: places, trims, roots and mutes give the weights."""
    x: float
    """The cursor, 0–1."""
    y: float
    """The cursor, 0–1."""
    settings: RenderSettings
    one_instrument: bool
    """See :class:`Session`."""
    envelope: Envelope

    def __post_init__(self) -> None:
        check_name(self.name)
        check_sources(self.sources)
        check_range("Snapshot position x =", self.x, 0.0, 1.0)
        check_range("Snapshot position y =", self.y, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportSettings:
    """What the export dialog was last set to."""

    formats: tuple[str, ...] = ("sfz",)
    """Names from ``core.export.base.FORMATS``; the exporter says which it does not know."""
    span: NoteSpan = field(default_factory=NoteSpan)
    """Notes that are rendered."""
    options: InstrumentOptions = field(default_factory=InstrumentOptions)
    grid: PadGrid | None = None
    """Points of an exported pad; None exports the sound under the cursor."""

    def __post_init__(self) -> None:
        for name in self.formats:
            check_name(name)
        if len(set(self.formats)) != len(self.formats):
            raise ParameterError(f"Formats {', '.join(self.formats)} name one twice.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Everything a designer has made; nothing of how the window looks."""

    sources: tuple[Source, ...] = ()
    """In the order of the shelf, at most :data:`MAX_SOURCES`."""
    x: float = 0.5
    """The cursor, 0 (left) to 1 (right)."""
    y: float = 0.5
    """The cursor, 0 (bottom) to 1 (top)."""
    settings: RenderSettings = field(default_factory=RenderSettings)
    """How the mix is rendered."""
    one_instrument: bool = False
    """Whether the sources are notes of one instrument: all count alike, wherever they lie on the
    pad, and every key takes after the notes next to it."""
    envelope: Envelope = field(default_factory=Envelope)
    gain_db: float = 0.0
    """Output level, dB, -60 to 12."""
    snapshots: tuple[Snapshot | None, ...] = (None,) * SNAPSHOT_SLOTS
    """Eight slots."""
    path: PadPath | None = None
    """The recorded movement of the cursor."""
    export: ExportSettings = field(default_factory=ExportSettings)

    def __post_init__(self) -> None:
        check_sources(self.sources)
        check_range("Cursor position x =", self.x, 0.0, 1.0)
        check_range("Cursor position y =", self.y, 0.0, 1.0)
        check_range("Gain (dB)", self.gain_db, MIN_GAIN_DB, MAX_GAIN_DB)
        if len(self.snapshots) != SNAPSHOT_SLOTS:
            raise ParameterError(
                f"A session has {SNAPSHOT_SLOTS} snapshot slots, not {len(self.snapshots)}."
            )

    def source(self, source_id: str) -> Source:
        """The source of an id.

        Raises:
            ParameterError: There is none.
        """
        for source in self.sources:
            if source.id == source_id:
                return source
        raise ParameterError(f"Source {source_id!r} is not in the session; it was removed.")

    @property
    def all_sources(self) -> tuple[Source, ...]:
        """The sources of the shelf, then those that snapshots keep."""
        kept = (source for snapshot in self.snapshots if snapshot for source in snapshot.sources)
        return (*self.sources, *kept)

    @property
    def audio_hashes(self) -> frozenset[str]:
        """The recordings that this session cannot do without."""
        return frozenset(source.audio_hash for source in self.all_sources)


def check_range(what: str, value: float, least: float, most: float) -> None:
    """Refuse a number outside least–most, NaN included.

    Raises:
        ParameterError: It is outside.
    """
    if not least <= value <= most:
        raise ParameterError(f"{what} {value} is outside {least:g}-{most:g}.")


def check_name(name: str) -> None:
    """Refuse a name that cannot be shown on one line.

    Raises:
        ParameterError: Empty, over :data:`MAX_NAME_LENGTH` characters, or with control characters.
    """
    if not name.strip() or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise ParameterError(
            f"Name {name[:20]!r} cannot be used; give 1-{MAX_NAME_LENGTH} printable characters."
        )


def check_sources(sources: tuple[Source, ...]) -> None:
    """Refuse sources that cannot lie on one shelf.

    Raises:
        ParameterError: Too many, too many unmuted, or an id twice.
    """
    if len(sources) > MAX_SOURCES:
        raise ParameterError(
            f"{len(sources)} sources are too many; a session holds {MAX_SOURCES}, "
            "so remove some first."
        )
    if len({source.id for source in sources}) != len(sources):
        raise ParameterError("Two sources have the same id; give each its own.")
    unmuted = sum(not source.muted for source in sources)
    if unmuted > MAX_AUDIBLE:
        raise ParameterError(
            f"{unmuted} sources would sound; the pad mixes {MAX_AUDIBLE}, so mute another first."
        )
