from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from app.models.audio_store import AudioStore, audio_hash, check_audio, cut
from app.models.edits import add_source, remove_source, store_snapshot, trim_source
from app.models.session import Session
from core.audio.file_facts import FileFacts, FileLoop, RootClaim, RootOrigin
from core.errors import ParameterError
from tests.app.models.sessions import CLIPS, HASHES, make_clip


def test_hashes_name_content() -> None:
    clip = make_clip()
    assert audio_hash(clip) == audio_hash(replace(clip, name="another name"))
    assert audio_hash(clip) == audio_hash(replace(clip, samples=np.asfortranarray(clip.samples)))
    one_off = clip.samples.copy()
    one_off[0, 17] = np.nextafter(one_off[0, 17], np.float32(2.0))
    others = [
        replace(clip, samples=one_off),
        replace(clip, sample_rate=48000),
        replace(clip, samples=clip.samples[:, :-1]),
        replace(clip, samples=clip.samples.reshape(2, -1)),
    ]
    assert len({audio_hash(each) for each in [clip, *others]}) == 5


def test_both_zeros_sound_alike() -> None:
    clip = make_clip()
    zeros = np.zeros((1, 10), np.float32)
    assert audio_hash(replace(clip, samples=zeros)) == audio_hash(replace(clip, samples=-zeros))


def test_stored_recordings_cannot_be_changed() -> None:
    store, clip = AudioStore(), make_clip(7)
    store.add({audio_hash(clip): clip})
    with pytest.raises(ValueError, match="read-only"):
        store.clips[audio_hash(clip)].samples[0, 0] = 0.0


def test_unused_recordings_are_freed() -> None:
    store, clip = AudioStore(), make_clip(8)
    key, alive = audio_hash(clip), weakref.ref(clip.samples)
    store.add({key: clip, **CLIPS})
    del clip
    store.collect([key])
    assert set(store.clips) == {key}
    assert alive() is not None
    store.collect([])
    gc.collect()
    assert alive() is None


def test_a_source_uses_a_part_of_its_recording() -> None:
    session = add_source(Session(), audio_hash=HASHES[0], name="bell")
    whole = CLIPS[HASHES[0]]
    assert np.array_equal(cut(whole, session.sources[0]).samples, whole.samples)
    part = cut(whole, trim_source(session, "s1", 0.02, 0.06).sources[0])
    assert np.array_equal(part.samples, whole.samples[:, 882:2646])
    assert part.name == "bell"
    long = cut(whole, trim_source(session, "s1", 0.02, 99.0).sources[0])
    assert np.array_equal(long.samples, whole.samples[:, 882:])


def test_a_part_of_a_recording_knows_what_its_file_said() -> None:
    session = add_source(Session(), audio_hash=HASHES[0], name="bell")
    claims = (RootClaim(midi_pitch=36.0, origin=RootOrigin.NAME),)
    facts = FileFacts(claims=claims, loops=(FileLoop(start=1000, end=2000),), cycle_frames=600)
    whole = replace(CLIPS[HASHES[0]], facts=facts)
    assert cut(whole, session.sources[0]).facts == facts
    part = cut(whole, trim_source(session, "s1", 0.02, 0.06).sources[0])
    assert part.facts == FileFacts(claims=claims, loops=(FileLoop(start=118, end=1118),))


def test_sessions_that_lack_audio_are_refused() -> None:
    session = add_source(Session(), audio_hash=HASHES[0], name="bell")
    check_audio(session, CLIPS)
    with pytest.raises(ParameterError, match="'bell' is missing"):
        check_audio(session, {})
    with pytest.raises(ParameterError, match="'bell' is missing"):
        check_audio(remove_source(store_snapshot(session, 0), "s1"), {})
    with pytest.raises(ParameterError, match=r"starts at 0\.09 s of 0\.1 s"):
        check_audio(trim_source(session, "s1", 0.09, None), CLIPS)
