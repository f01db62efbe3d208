from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audio.file_facts import (
    MAX_LOOPS,
    FileFacts,
    FileLoop,
    RootClaim,
    RootOrigin,
    note_in_name,
    read_file_facts,
)
from core.errors import ParameterError
from tests.helpers.signals import noise_burst
from tests.helpers.sound_files import acid, aiff, chunk, inst, smpl, wav

HISS = noise_burst(0.1)


def facts_of(data: bytes, name: str = "sound") -> FileFacts:
    return read_file_facts(io.BytesIO(data), name, len(HISS))


@pytest.mark.parametrize("note", [0, 36, 61, 127])
@pytest.mark.parametrize(
    ("kind", "origin"),
    [(smpl, RootOrigin.SMPL), (inst, RootOrigin.INST), (acid, RootOrigin.ACID)],
)
def test_every_chunk_names_its_root(kind: object, origin: RootOrigin, note: int) -> None:
    root = facts_of(wav(HISS, kind(note))).root  # type: ignore[operator]
    assert root == RootClaim(midi_pitch=note, origin=origin)


def test_big_endian_files_name_theirs() -> None:
    root = facts_of(wav(HISS, smpl(41, loops=((10, 99),), order=">"), order=">"))
    assert root.root == RootClaim(midi_pitch=41.0, origin=RootOrigin.SMPL)
    assert root.loops == (FileLoop(start=10, end=100),)
    assert facts_of(aiff(HISS, root=55)).root == RootClaim(
        midi_pitch=55.0, origin=RootOrigin.AIFF_INST
    )


def test_a_tag_before_the_file_hides_nothing() -> None:
    tag = b"ID3\x03\0\0" + bytes([0, 0, 1, 2]) + bytes(130)
    assert facts_of(tag + wav(HISS, smpl(36))).root is not None


def test_fine_tunes_count_the_right_way() -> None:
    # smpl: the recording lies so much above the note. inst, INST: a player adds so much.
    for data, pitch in (
        (wav(HISS, smpl(60, fraction=1 << 30)), 60.25),
        (wav(HISS, inst(60, 20)), 59.8),
        (wav(HISS, inst(60, -50)), 60.5),
        (aiff(HISS, root=48, tune_cents=10), 47.9),
    ):
        root = facts_of(data).root
        assert root is not None
        assert root.midi_pitch == pytest.approx(pitch)


def test_what_is_out_of_range_says_nothing() -> None:
    for data in (
        wav(HISS, smpl(128)),
        wav(HISS, smpl(0xFFFFFFFF)),
        wav(HISS, inst(200)),
        wav(HISS, inst(0, 10)),
        wav(HISS, acid(36, flags=1)),
        wav(HISS, chunk(b"smpl", bytes(20))),
        wav(HISS, chunk(b"inst", b"")),
        aiff(HISS, root=-3),
        b"",
        b"RIFF",
    ):
        assert facts_of(data) == FileFacts()


def test_loops_are_read_in_frames_with_their_end_exclusive() -> None:
    loops = facts_of(wav(HISS, smpl(60, loops=((100, 899), (5, 5))))).loops
    assert loops == (FileLoop(start=100, end=900), FileLoop(start=5, end=6))
    assert facts_of(aiff(HISS, root=60, loop=(100, 900))).loops == loops[:1]


def test_loops_that_cannot_be_are_left_out() -> None:
    beyond = len(HISS)
    data = wav(HISS, smpl(60, loops=((9, 3), (0, beyond), (0, 0xFFFFFFFF), (0, beyond - 1))))
    assert facts_of(data).loops == (FileLoop(start=0, end=beyond),)
    assert facts_of(aiff(HISS, root=60, loop=(900, 100))).loops == ()
    million = chunk(b"smpl", struct.pack("<9I", 0, 0, 0, 60, 0, 0, 0, 0x7FFFFFFF, 0) + bytes(2400))
    assert len(facts_of(wav(HISS, million)).loops) == MAX_LOOPS


def test_a_root_that_editors_write_unasked_gives_way_to_one_that_somebody_set() -> None:
    def root(*chunks: bytes, name: str = "sound") -> float:
        found = facts_of(wav(HISS, *chunks), name).root
        assert found is not None
        return found.midi_pitch

    assert root(smpl(60), name="Snare_F2") == 41.0
    assert root(smpl(60), acid(38)) == 38.0
    assert root(smpl(36), inst(40), name="Snare_F2") == 36.0
    assert root(smpl(60)) == 60.0
    assert root(smpl(60), name="Chime C4") == 60.0


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("snare_F2", 41),
        ("Chime C4", 60),
        ("Take2_v127_rr1_E3", 52),
        ("Organ_888_C3", 48),
        ("bass-Eb2", 39),
        ("bass-Ab-1", 8),
        ("Pad C#4 soft", 61),
        ("060_Cs4", 61),
        ("PianoC4", 60),
        ("KickA1.final", 33),
        ("tracker C-4", 60),
        ("808 Kit 12 a1", 33),
        ("A2 take 3 of F#3", 54),
        ("chord_C4_E4_G4", 60),
        ("G10", None),
        ("Kick 808", None),
        ("v127 rr1", None),
        ("036", None),
        ("Bass2", None),
        ("C44", None),
        ("B05_noise", None),
        ("D909", None),
        ("Cafe2", None),
        ("abc4", None),
        ("", None),
    ],
)
def test_notes_in_names(name: str, note: int | None) -> None:
    assert note_in_name(name) == note


@pytest.mark.parametrize("octave", [3, 4, 5])
def test_other_conventions_for_middle_c(octave: int) -> None:
    assert note_in_name(f"Pad_C{octave}", middle_c_octave=octave) == 60
    assert note_in_name(f"Pad_A{octave - 2}", middle_c_octave=octave) == 45
    assert note_in_name("Pad_C-2", middle_c_octave=3) == 0


def test_wavetables_tell_their_wave() -> None:
    for frames in (256, 1024, 2048):
        told = chunk(b"clm ", f"<!>{frames} 10000000 wavetable".encode())
        assert facts_of(wav(HISS, told)).cycle_frames == frames
    for told in (b"<!>0 1", b"<!>9999999 1", b"<!>2048x", b"2048", b"<!>99999 0"):
        assert facts_of(wav(HISS, chunk(b"clm ", told))).cycle_frames is None


def test_a_part_of_a_recording_keeps_what_is_true_of_it() -> None:
    facts = FileFacts(
        claims=(RootClaim(midi_pitch=36.0, origin=RootOrigin.SMPL),),
        loops=(FileLoop(start=100, end=200), FileLoop(start=10, end=50)),
        cycle_frames=256,
    )
    part = facts.within(60, 200)
    assert part.claims == facts.claims
    assert part.loops == (FileLoop(start=40, end=140),)
    assert part.cycle_frames is None


def test_impossible_facts_are_refused() -> None:
    with pytest.raises(ParameterError):
        RootClaim(midi_pitch=200.0, origin=RootOrigin.SMPL)
    with pytest.raises(ParameterError):
        FileLoop(start=4, end=4)
    with pytest.raises(ParameterError):
        FileFacts(cycle_frames=1)
    with pytest.raises(ParameterError):
        FileFacts(loops=(FileLoop(start=0, end=1),) * (MAX_LOOPS + 1))


@given(st.binary(max_size=120), st.text(max_size=30))
def test_no_content_and_no_name_breaks_the_reader(content: bytes, name: str) -> None:
    names = (b"smpl", b"inst", b"acid", b"clm ")
    facts_of(wav(HISS[:40], *(chunk(each, content) for each in names)), name)
    body = b"AIFF" + b"".join(chunk(each, content, order=">") for each in (b"MARK", b"INST"))
    facts_of(b"FORM" + struct.pack(">I", len(body)) + body, name)
