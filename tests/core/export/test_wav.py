from __future__ import annotations

import io
import re
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from core.export.base import export_instrument
from core.export.wav import sample_paths, wav_bytes
from core.instrument import Instrument, Loop, PadInstrument, Region
from tests.core.export.instruments import layered_instrument, sine_instrument, sine_region


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Chunks of a RIFF file, walked by the book."""
    riff, size, kind = struct.unpack("<4sI4s", data[:12])
    assert (riff, size, kind) == (b"RIFF", len(data) - 8, b"WAVE")
    found, position = [], 12
    while position < len(data):
        name, size = struct.unpack("<4sI", data[position : position + 8])
        found.append((name, data[position + 8 : position + 8 + size]))
        position += 8 + size + size % 2
    assert position == len(data)
    return found


def test_chunks_and_their_order() -> None:
    region = sine_region(61, 60, 62)
    found = chunks(wav_bytes(region, 44100, {"INAM": "odd"}))
    assert [name for name, _ in found] == [b"fmt ", b"smpl", b"LIST", b"data", b"inst"]
    parts = dict(found)
    assert struct.unpack("<HHIIHH", parts[b"fmt "]) == (1, 1, 44100, 132300, 3, 24)
    loop = region.loop
    assert struct.unpack("<15I", parts[b"smpl"]) == (
        0, 0, 22676, 61, 0, 0, 0, 1, 0, 0, 0, loop.start, loop.end - 1, 0, 0,
    )  # fmt: skip
    assert struct.unpack("<BbbBBBB", parts[b"inst"]) == (61, 0, 0, 60, 62, 1, 127)
    assert parts[b"LIST"] == b"INFO" + b"INAM" + struct.pack("<I", 4) + b"odd\0"


def test_without_a_loop_the_sampler_chunk_says_so() -> None:
    region = sine_region(60, 0, 127, looped=False)
    smpl = dict(chunks(wav_bytes(region, 48000, {})))[b"smpl"]
    assert struct.unpack("<9I", smpl) == (0, 0, 20833, 60, 0, 0, 0, 0, 0)


@given(
    st.integers(1, 2),
    st.integers(1, 300),
    st.integers(0, 2**32 - 1),
    st.sampled_from([44100, 48000]),
)
def test_audio_is_exact_to_24_bits_for_two_independent_readers(
    channels: int, frames: int, seed: int, rate: int
) -> None:
    noise = np.random.default_rng(seed).uniform(-1, 1, (channels, frames)).astype(np.float32)
    noise.flat[0] = 1.0
    noise.flat[-1] = -1.0
    region = Region(root_note=60, low_key=0, high_key=127, samples=noise)
    data = wav_bytes(region, rate, {"INAM": "noise", "ICMT": "x"})
    heard, heard_rate = soundfile.read(io.BytesIO(data), always_2d=True)
    assert heard_rate == rate
    np.testing.assert_allclose(heard.T, noise, atol=1.5 / 2**23)
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (channels, 3, rate, frames)


def test_libsndfile_reads_note_loop_and_texts() -> None:
    region = sine_region(61, 60, 62)
    info = {"INAM": "Bell 061_Cs4", "ISFT": "HyperGANStrument", "ICMT": "seed: 7"}
    with soundfile.SoundFile(io.BytesIO(wav_bytes(region, 44100, info))) as file:
        log = file.extra_info
        texts = file.copy_metadata()
    assert re.search(r"Midi Note\s*: 61", log)
    assert re.search(r"Loop Count\s*: 1", log)
    loop_line = re.search(r"Start :\s*(\d+)\s+End :\s*(\d+)", log)
    assert loop_line is not None
    assert (int(loop_line[1]), int(loop_line[2])) == (region.loop.start, region.loop.end - 1)
    assert texts["title"] == "Bell 061_Cs4"
    assert texts["software"].startswith("HyperGANStrument")
    assert texts["comment"] == "seed: 7"
    assert not re.search(r"(?i)error|unknown|should", log)


def test_texts_are_one_line_of_ascii() -> None:
    data = wav_bytes(sine_region(60, 0, 127), 44100, {"ICMT": "Flügel\n🎹 x\0y"})
    (comment,) = [part for name, part in chunks(data) if name == b"LIST"]
    assert comment.isascii()
    assert b"\n" not in comment


def test_files_are_numbered_and_layers_told_apart(tmp_path: Path) -> None:
    files = export_instrument(sine_instrument("Bell", [61, 0]), ["wav"], tmp_path)
    assert [file.name for file in files] == ["Bell_000_C-1.wav", "Bell_061_Cs4.wav"]
    samples = np.zeros((1, 100), np.float32)
    soft = Region(root_note=60, low_key=0, high_key=127, high_velocity=80, samples=samples)
    loud = Region(root_note=60, low_key=0, high_key=127, low_velocity=81, samples=samples)
    layered = Instrument(name="Bell", sample_rate=44100, regions=(soft, loud))
    assert sample_paths(layered, "Bell") == [
        "Bell/Bell_060_C4_v080.wav",
        "Bell/Bell_060_C4_v127.wav",
    ]


def test_alternatives_and_points_are_told_apart(tmp_path: Path) -> None:
    name = "A name of more than thirty-two characters"
    point = layered_instrument(name, [1], layers=2, round_robins=2)
    pad = PadInstrument(name=name, columns=2, rows=2, points=(point,) * 4)
    files = export_instrument(pad, ["wav"], tmp_path)
    stem = "A name of more than thirty-two c"
    assert [file.relative_to(tmp_path).as_posix() for file in files] == [
        f"{stem}/{stem}_x{x}y{y}/{stem}_x{x}y{y}_001_Cs-1_{layer}_{turn}.wav"
        for x in (1, 2)
        for y in (1, 2)
        for layer in ("v064", "v127")
        for turn in ("r01", "r02")
    ]
    assert max(len(file.name) for file in files) <= 60
    for file in files:
        with soundfile.SoundFile(file) as sound:
            assert sound.copy_metadata()["title"] == f"{name} 001_Cs-1"


def test_provenance_is_kept_in_the_file(tmp_path: Path) -> None:
    (file,) = export_instrument(sine_instrument("Bell", [60]), ["wav"], tmp_path)
    with soundfile.SoundFile(file) as sound:
        assert sound.copy_metadata()["comment"] == "model: toy; seed: 7"


@pytest.mark.parametrize("channels", [1, 2])
def test_channels_are_kept(tmp_path: Path, channels: int) -> None:
    (file,) = export_instrument(sine_instrument("Bell", [60], channels=channels), ["wav"], tmp_path)
    assert soundfile.info(file).channels == channels
    assert soundfile.info(file).subtype == "PCM_24"


def test_loops_at_the_limits_are_written() -> None:
    samples = np.zeros((1, 104), np.float32)
    region = Region(
        root_note=60, low_key=0, high_key=127, samples=samples, loop=Loop(start=64, end=96)
    )
    smpl = dict(chunks(wav_bytes(region, 44100, {})))[b"smpl"]
    assert struct.unpack("<2I", smpl[44:52]) == (64, 95)
