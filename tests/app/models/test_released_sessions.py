"""Sessions that released versions of the program wrote are read as they were meant.

A file of a release is never written again: a migration of ``session_file`` must read it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.models.audio_store import audio_hash
from app.models.pad_path import PadPath, PathPoint
from app.models.session import (
    ExportSettings,
    Session,
    Snapshot,
    Source,
)
from app.models.session_file import SessionContents, load_session, save_session
from core.audio.files import AudioClip, read_audio
from core.instrument import Envelope
from core.plan import InstrumentOptions, NoteSpan, PadGrid
from core.sound import RenderSettings

SAMPLES = Path(__file__).resolve().parents[3] / "resources" / "samples"
FIXTURES = Path(__file__).with_name("fixtures")


def recording(name: str, length_s: float, gain: float = 1.0) -> AudioClip:
    """The beginning of a bundled sample; with a gain no file of integers holds it."""
    clip = read_audio(SAMPLES / f"{name}.wav")
    samples = clip.samples[:, : round(length_s * clip.sample_rate)] * np.float32(gain)
    return AudioClip(samples=samples, sample_rate=clip.sample_rate, name=name)


BELL = recording("bell", 0.5)
PLUCK = recording("pluck", 0.4, gain=0.7)
CLIPS = {audio_hash(clip): clip for clip in (BELL, PLUCK)}
BELL_HASH, PLUCK_HASH = CLIPS

_SOURCES = (
    Source(
        id="s1",
        name="bell",
        colour="#e69f00",
        audio_hash=BELL_HASH,
        start_s=0.02,
        end_s=0.4,
        root=72.25,
        fit_steps=5,
        soloed=True,
        x=0.2,
        y=0.6,
    ),
    Source(id="s2", name="pluck, far", colour="#56b4e9", audio_hash=PLUCK_HASH, x=0.9, y=0.1),
    Source(
        id="s3",
        name="bell copy",
        colour="#123456",
        audio_hash=BELL_HASH,
        muted=True,
        x=0.26,
        y=0.61,
    ),
)
SESSION_0_1_0 = Session(
    sources=_SOURCES,
    x=0.35,
    y=0.72,
    settings=RenderSettings(
        velocity=87,
        seed=1234567890123,
        variation=0.35,
        refinement=1.4,
        carry_over=0.6,
        original_range=5.5,
    ),
    one_instrument=True,
    envelope=Envelope(attack_s=0.03, decay_s=1.5, sustain=0.6, release_s=0.9),
    gain_db=-4.0,
    snapshots=(
        None,
        Snapshot(
            name="bright",
            sources=_SOURCES[:2],
            x=0.8,
            y=0.3,
            settings=RenderSettings(
                velocity=120,
                seed=7,
                variation=0.1,
                refinement=0.2,
                carry_over=0.9,
                original_range=0.0,
            ),
            one_instrument=False,
            envelope=Envelope(attack_s=0.2, decay_s=0.4, sustain=0.1, release_s=2.5),
        ),
        None,
        None,
        Snapshot(
            name="alone",
            sources=_SOURCES[1:2],
            x=0.5,
            y=0.5,
            settings=RenderSettings(),
            one_instrument=False,
            envelope=Envelope(),
        ),
        None,
        None,
        None,
    ),
    path=PadPath(
        points=(
            PathPoint(time_s=0.0, x=0.1, y=0.2),
            PathPoint(time_s=0.75, x=0.5, y=0.9),
            PathPoint(time_s=2.5, x=1.0, y=0.0),
        ),
        mode="ping-pong",
        speed=1.75,
    ),
    export=ExportSettings(
        formats=("sfz", "sf2", "wav"),
        span=NoteSpan(low=40, high=76, step=4),
        options=InstrumentOptions(length_s=2.5, loop=False, velocity_layers=3, round_robins=2),
        grid=PadGrid(columns=3, rows=2),
    ),
)


def assert_same_recordings(contents: SessionContents) -> None:
    assert contents.clips.keys() == CLIPS.keys()
    for key, clip in contents.clips.items():
        np.testing.assert_array_equal(clip.samples, CLIPS[key].samples)
        assert (clip.sample_rate, clip.name) == (CLIPS[key].sample_rate, CLIPS[key].name)


def test_a_session_of_0_1_0_holds_every_value() -> None:
    path = FIXTURES / "session_0.1.0.hgs"
    assert path.stat().st_size < 300_000
    contents = load_session(path)
    assert contents.session == SESSION_0_1_0
    assert_same_recordings(contents)


def test_it_is_written_again_without_loss(tmp_path: Path) -> None:
    contents = load_session(FIXTURES / "session_0.1.0.hgs")
    save_session(tmp_path / "again.hgs", contents.session, contents.clips)
    again = load_session(tmp_path / "again.hgs")
    assert again.session == contents.session
    assert_same_recordings(again)
