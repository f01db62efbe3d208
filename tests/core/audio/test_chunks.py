from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from core.audio.chunks import MAX_CHUNKS, find_chunks, mended_wav
from core.audio.files import read_audio
from core.errors import AudioFileError
from tests.helpers.signals import harmonic_tone
from tests.helpers.sound_files import chunk, pcm16, riff, wav, wav_format

TONE = harmonic_tone(220.0, 0.2)
EXACT = np.frombuffer(pcm16(TONE), "<i2").astype(np.float32) / 32768


def _read(folder: Path, data: bytes) -> np.ndarray:
    path = folder / "a.wav"
    path.write_bytes(data)
    return read_audio(path).samples


def _encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, TONE, 44100, format=kind)
    return stream.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("trailing", [b"", b"\0" * 7])
def test_a_sound_whose_size_was_never_written_is_read(
    tmp_path: Path, order: str, trailing: bytes
) -> None:
    data = chunk(b"data", pcm16(TONE, order) + trailing, order=order, size=0)
    read = _read(tmp_path, riff(wav_format(order=order), data, order=order, size=0))
    np.testing.assert_array_equal(read[0, : len(EXACT)], EXACT)


@pytest.mark.parametrize("content", [b"abc", b"INFOINAM\x03\0\0\0abc", b"<?xml?>"])
@pytest.mark.parametrize("name", [b"LIST", b"iXML", b"xyz1"])
@pytest.mark.parametrize("is_before_the_format", [False, True])
def test_a_missing_padding_byte_loses_nothing(
    tmp_path: Path, content: bytes, name: bytes, is_before_the_format: bool
) -> None:
    odd = chunk(name, content, is_padded=False)
    form, data = wav_format(), chunk(b"data", pcm16(TONE))
    parts = (odd, form, data) if is_before_the_format else (form, odd, data)
    np.testing.assert_array_equal(_read(tmp_path, riff(*parts))[0], EXACT)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("short", [b"", pcm16(TONE[:4])])
def test_the_longest_data_chunk_is_the_sound(tmp_path: Path, count: int, short: bytes) -> None:
    # libsndfile reads a first chunk that holds anything: what works stays as it is.
    empty = chunk(b"data", short)
    read = _read(tmp_path, riff(wav_format(), *[empty] * count, chunk(b"data", pcm16(TONE))))
    assert read.shape[1] in ((len(TONE),) if not short else (4, len(TONE)))


@pytest.mark.parametrize(("kind", "tag"), [("OGG", 0x674F), ("OGG", 0x6771), ("FLAC", 0xF1AC)])
def test_another_formats_stream_in_a_wav_is_read(tmp_path: Path, kind: str, tag: int) -> None:
    read = _read(tmp_path, riff(wav_format(tag=tag), chunk(b"data", _encoded(kind))))
    assert abs(read.shape[1] - len(TONE)) < 100
    assert np.sqrt(np.mean((read[0, 2000:8000] - TONE[2000:8000]) ** 2)) < 0.05


def test_a_wav_without_samples_is_still_refused(tmp_path: Path) -> None:
    for data in (
        riff(wav_format(), chunk(b"data", b"")),
        riff(wav_format(), chunk(b"data", b"", size=0), chunk(b"LIST", b"INFO")),
        riff(wav_format()),
        riff(chunk(b"data", pcm16(TONE))),
    ):
        with pytest.raises(AudioFileError):
            _read(tmp_path, data)


def test_no_more_of_a_broken_file_is_taken_than_is_wanted() -> None:
    sound = wav(np.tile(TONE, 40), chunk(b"LIST", b"INFO"))
    mended = mended_wav(io.BytesIO(sound), 0.01)
    assert mended is not None
    assert len(mended) < len(sound) / 4


def test_hostile_sizes_and_counts_are_bounded() -> None:
    many = riff(*[chunk(b"JUNK", b"")] * (3 * MAX_CHUNKS))
    container = find_chunks(io.BytesIO(many))
    assert container is not None
    assert len(container.chunks) == MAX_CHUNKS
    lying = riff(wav_format(), chunk(b"data", b"1234", size=0x7FFFFFFF))
    container = find_chunks(io.BytesIO(lying))
    assert container is not None
    assert container.chunks[-1].size == 4


def test_a_long_file_tells_its_size_apart() -> None:
    sizes = struct.pack("<QQQI", 0, 6, 3, 0)
    parts = chunk(b"ds64", sizes) + wav_format()
    body = parts + chunk(b"data", b"123456", size=0xFFFFFFFF) + chunk(b"smpl", bytes(36))
    container = find_chunks(io.BytesIO(b"RF64\xff\xff\xff\xffWAVE" + body))
    assert container is not None
    assert [(each.name, each.size) for each in container.chunks[-2:]] == [
        (b"data", 6),
        (b"smpl", 36),
    ]


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=6))
def test_damage_never_breaks_the_reader(noise: bytes, at: int, patch: bytes) -> None:
    sound = wav(TONE[:50], chunk(b"LIST", noise), chunk(b"smpl", noise))
    broken = sound[:at] + patch + sound[at + len(patch) :]
    for data in (broken, b"RIFF" + noise, b"FORM" + noise, noise):
        container = find_chunks(io.BytesIO(data))
        if container is not None:
            assert all(each.at + each.size <= len(data) for each in container.chunks)
        mended_wav(io.BytesIO(data), 1.0)
