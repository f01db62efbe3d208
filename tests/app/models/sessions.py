"""Sessions, clips and edits by the dozen, for tests of laws."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from app.models import edits
from app.models.audio_store import audio_hash
from app.models.pad_path import PadPath, PathPoint
from app.models.session import (
    SNAPSHOT_SLOTS,
    ExportSettings,
    Session,
    Snapshot,
    Source,
)
from app.models.session_file import encode_clip, write_session
from core.audio.files import AudioClip
from core.errors import ParameterError
from core.instrument import Envelope
from core.plan import InstrumentOptions, NoteSpan, PadGrid
from core.sound import RenderSettings


def make_clip(
    seed: int = 0, *, frames: int = 4410, channels: int = 1, bits: int | None = 16
) -> AudioClip:
    """Noise as a file of some bits would hold it; None is floats."""
    samples = np.random.default_rng(seed).uniform(-1.0, 1.0, (channels, frames))
    if bits is not None:
        samples = np.floor(samples * 2 ** (bits - 1)) / 2 ** (bits - 1)
    return AudioClip(samples=samples.astype(np.float32), sample_rate=44100, name=f"clip {seed}")


CLIPS = {audio_hash(clip): clip for clip in map(make_clip, range(3))}
HASHES = sorted(CLIPS)


def leave_behind(folder: Path, session: Session, origin: Path | None = None) -> Path:
    """What a program that died leaves: its file, and a lock that nobody holds."""
    token = uuid.uuid4().hex
    folder.mkdir(exist_ok=True)
    (folder / f"{token}.lock").touch()
    encoded = [encode_clip(key, CLIPS[key]) for key in session.audio_hashes]
    write_session(folder / f"{token}.hgs", session, encoded, origin)
    return folder / f"{token}.hgs"


UNIT = st.floats(0.0, 1.0)
NAMES = st.text(min_size=1, max_size=30).map(edits.display_name)

SOURCES = st.builds(
    Source,
    id=st.uuids().map(str),
    name=NAMES,
    colour=st.sampled_from(edits.COLOURS),
    audio_hash=st.sampled_from(HASHES),
    start_s=st.floats(0.0, 0.05),
    end_s=st.none() | st.floats(0.09, 3.0),
    root=st.none() | st.floats(0.0, 127.0),
    fit_steps=st.integers(0, 200),
    muted=st.booleans(),
    soloed=st.booleans(),
    x=UNIT,
    y=UNIT,
)
SHELVES = st.lists(SOURCES, max_size=5, unique_by=lambda source: source.id).map(tuple)
SETTINGS = st.builds(
    RenderSettings,
    variation=UNIT,
    seed=st.integers(0, 2**63 - 1),
    refinement=st.floats(0.0, 2.0),
    carry_over=UNIT,
    original_range=st.floats(0.0, 24.0),
    velocity=st.integers(1, 127),
)
ENVELOPES = st.builds(
    Envelope,
    attack_s=st.floats(0.0, 20.0),
    decay_s=st.floats(0.0, 20.0),
    sustain=UNIT,
    release_s=st.floats(0.001, 20.0),
)
SNAPSHOTS = st.builds(
    Snapshot,
    name=NAMES,
    sources=SHELVES,
    x=UNIT,
    y=UNIT,
    settings=SETTINGS,
    one_instrument=st.booleans(),
    envelope=ENVELOPES,
)


@st.composite
def point_lists(draw: st.DrawFn) -> tuple[PathPoint, ...]:
    steps = draw(st.lists(st.floats(0.001, 5.0), max_size=12))
    times = np.cumsum([0.0, *steps])
    return tuple(PathPoint(time_s=float(t), x=draw(UNIT), y=draw(UNIT)) for t in times)


PATHS = st.builds(
    PadPath,
    points=point_lists(),
    mode=st.sampled_from(["loop", "ping-pong", "once"]),
    speed=st.floats(0.05, 20.0),
)
EXPORTS = st.builds(
    ExportSettings,
    formats=st.lists(st.sampled_from(["sfz", "sf2", "wav"]), unique=True).map(tuple),
    span=st.builds(
        NoteSpan, low=st.integers(0, 60), high=st.integers(60, 127), step=st.integers(1, 12)
    ),
    options=st.builds(
        InstrumentOptions,
        low_key=st.integers(0, 60),
        high_key=st.integers(60, 127),
        loop=st.booleans(),
        velocity_layers=st.integers(1, 8),
        round_robins=st.integers(1, 16),
        loudness_lufs=st.none() | st.floats(-60.0, 0.0),
        length_s=st.none() | st.floats(0.1, 60.0),
        fade_out_s=st.floats(0.0, 10.0),
    ),
    grid=st.none() | st.builds(PadGrid, columns=st.integers(2, 5), rows=st.integers(1, 5)),
)
SESSIONS = st.builds(
    Session,
    sources=SHELVES,
    x=UNIT,
    y=UNIT,
    settings=SETTINGS,
    one_instrument=st.booleans(),
    envelope=ENVELOPES,
    gain_db=st.floats(-60.0, 12.0),
    snapshots=st.lists(st.none() | SNAPSHOTS, max_size=3).map(
        lambda first: (*first, *(None,) * (SNAPSHOT_SLOTS - len(first)))
    ),
    path=st.none() | PATHS,
    export=EXPORTS,
)

Edit = Callable[[Session], Session]


def _on_a_source(edit: Callable[[Session, str], Session], index: int) -> Edit:
    """The edit of one of the sources, whichever there are then."""

    def apply(session: Session) -> Session:
        if not session.sources:
            return session
        return edit(session, session.sources[index % len(session.sources)].id)

    return apply


@st.composite
def _edits(draw: st.DrawFn) -> Edit:
    index, x, y = draw(st.integers(0, 40)), draw(UNIT), draw(UNIT)
    slot, flag = index % SNAPSHOT_SLOTS, draw(st.booleans())
    apply = draw(
        st.sampled_from(
            [
                lambda s: edits.add_source(s, audio_hash=HASHES[index % 3], name=f"sound {index}"),
                _on_a_source(edits.remove_source, index),
                _on_a_source(edits.duplicate_source, index),
                _on_a_source(lambda s, i: edits.reorder_source(s, i, index), index),
                _on_a_source(lambda s, i: edits.rename_source(s, i, f"name {index}"), index),
                _on_a_source(lambda s, i: edits.recolour_source(s, i, "#123456"), index),
                _on_a_source(lambda s, i: edits.move_source(s, i, x, y), index),
                _on_a_source(lambda s, i: edits.set_root(s, i, 127 * x), index),
                _on_a_source(lambda s, i: edits.set_fit(s, i, index), index),
                _on_a_source(lambda s, i: edits.shift_octave(s, i, 1, detected=60.0), index),
                _on_a_source(lambda s, i: edits.trim_source(s, i, 0.01, 0.05), index),
                _on_a_source(lambda s, i: edits.set_muted(s, i, flag), index),
                _on_a_source(lambda s, i: edits.set_soloed(s, i, flag), index),
                lambda s: edits.move_cursor(s, x, y),
                lambda s: edits.store_snapshot(s, slot),
                lambda s: edits.recall_snapshot(s, slot),
                lambda s: edits.clear_snapshot(s, slot),
                lambda s: replace(s, gain_db=-60.0 * x),
            ]
        )
    )

    def attempt(session: Session) -> Session:
        try:
            return apply(session)
        except ParameterError:
            return session

    return attempt


EDITS = _edits()
