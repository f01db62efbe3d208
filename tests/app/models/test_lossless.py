from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.lossless import decode_audio, encode_audio
from core.audio.files import AudioClip
from core.errors import AudioFileError
from tests.app.models.sessions import make_clip


def round_trip(clip: AudioClip) -> tuple[str, np.ndarray]:
    encoding, data = encode_audio(clip)
    channels, frames = clip.samples.shape
    samples = decode_audio(
        data, encoding, frames=frames, channels=channels, sample_rate=clip.sample_rate
    )
    return encoding, samples


@given(
    st.sampled_from([8, 16, 24, None]),
    st.integers(1, 3000),
    st.sampled_from([1, 2, 8, 9]),
    st.sampled_from([4_000, 11_025, 44_100, 192_000, 655_350, 768_000]),
)
def test_every_bit_comes_back(bits: int | None, frames: int, channels: int, rate: int) -> None:
    clip = replace(make_clip(frames, frames=frames, channels=channels, bits=bits), sample_rate=rate)
    encoding, samples = round_trip(clip)
    assert samples.dtype == np.float32
    assert np.array_equal(samples, clip.samples)
    assert encoding == ("flac" if bits and channels <= 8 and rate <= 655_350 else "wav")


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        ([-1.0, 1.0 - 2.0**-23, 2.0**-23], "flac"),
        ([1.0], "wav"),
        ([-1.0 - 2.0**-23], "wav"),
        ([2.0**-24], "wav"),
        ([1e-40, 3.5], "wav"),
    ],
)
def test_flac_is_taken_only_where_it_is_exact(values: list[float], encoding: str) -> None:
    clip = AudioClip(samples=np.array([values], np.float32), sample_rate=44100, name="edge")
    found, samples = round_trip(clip)
    assert found == encoding
    assert np.array_equal(samples, clip.samples)


def test_other_audio_than_stated_is_refused() -> None:
    clip = make_clip(frames=1000)
    encoding, data = encode_audio(clip)
    stated = {"frames": 1000, "channels": 1, "sample_rate": 44100}
    for changes in ({"frames": 999}, {"channels": 2}, {"sample_rate": 48000}):
        with pytest.raises(AudioFileError, match="than stated"):
            decode_audio(data, encoding, **(stated | changes))
    with pytest.raises(AudioFileError, match="not WAV"):
        decode_audio(data, "wav", **stated)
    with pytest.raises(AudioFileError, match=r"damaged|than stated"):
        decode_audio(data[: len(data) // 2], encoding, **stated)
    with pytest.raises(AudioFileError, match="damaged"):
        decode_audio(b"fLaC" + bytes(100), encoding, **stated)
