from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from core.audio.file_facts import FileLoop
from core.audio.files import AudioClip, read_audio, write_audio
from core.errors import AudioFileError, ExportError, ParameterError
from tests.helpers.signals import harmonic_tone
from tests.helpers.sound_files import smpl, wav

RATE = 44100
TONE = harmonic_tone(220.0, 0.5)


@pytest.mark.parametrize(
    ("ending", "subtype", "tolerance"),
    [
        ("wav", "PCM_U8", 2 / 2**8),
        ("wav", "PCM_16", 2 / 2**16),
        ("wav", "PCM_24", 2 / 2**24),
        ("wav", "FLOAT", 0),
        ("wav", "DOUBLE", 0),
        ("aiff", "PCM_16", 2 / 2**16),
        ("flac", "PCM_24", 2 / 2**24),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_reads_as_written(
    tmp_path: Path, ending: str, subtype: str, tolerance: float, channels: int
) -> None:
    path = tmp_path / f"Töne 1.{ending}"
    sound = np.stack([TONE, -0.5 * TONE][:channels])
    soundfile.write(path, sound.T, RATE, subtype=subtype)
    clip = read_audio(path)
    assert clip.samples.dtype == np.float32
    assert clip.samples.shape == sound.shape
    assert (clip.sample_rate, clip.name) == (RATE, "Töne 1")
    assert np.max(np.abs(clip.samples - sound)) <= tolerance


@pytest.mark.parametrize("ending", ["ogg", "mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_read_nearly_as_written(tmp_path: Path, ending: str, channels: int) -> None:
    path = tmp_path / f"a.{ending}"
    sound = np.stack([TONE, -0.5 * TONE][:channels])
    soundfile.write(path, sound.T, RATE)
    clip = read_audio(path)
    assert clip.samples.shape == sound.shape
    error = (clip.samples - sound)[:, 2000:-2000]  # encoders blur the hard ends
    assert np.sqrt(np.mean(error**2)) < 0.05


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (192000, 2), (44100, 8), (96000, 6)])
def test_any_rate_and_channel_count(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.tile(TONE[:, None], (1, channels)), rate, "PCM_24")
    clip = read_audio(path)
    assert clip.samples.shape == (channels, len(TONE))
    assert clip.sample_rate == rate
    assert clip.length_s == pytest.approx(len(TONE) / rate)


def test_the_content_counts_not_the_ending(tmp_path: Path) -> None:
    for ending in ("wav", "raw", "txt"):
        path = tmp_path / f"a.{ending}"
        soundfile.write(path, TONE, RATE, format="FLAC")
        assert read_audio(path).samples.shape == (1, len(TONE))


def test_a_clip_knows_what_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "Hit_C3.wav"
    path.write_bytes(wav(TONE, smpl(36, loops=((10, 99),))))
    facts = read_audio(path).facts
    assert [(claim.midi_pitch, str(claim.origin)) for claim in facts.claims] == [
        (36.0, "smpl"),
        (48.0, "name"),
    ]
    assert facts.loops == (FileLoop(start=10, end=100),)
    assert read_audio(path, middle_c_octave=3).facts.claims[1].midi_pitch == 60.0
    assert read_audio(path, max_length_s=0.001).facts.loops == ()


def test_only_the_start_of_a_long_file_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
        for _ in range(60):
            file.write(np.tile(TONE[:8000], 60))
    assert read_audio(path).samples.shape == (1, 30 * 8000)
    assert read_audio(path, max_length_s=0.1).samples.shape == (1, 800)


@pytest.mark.parametrize("ending", ["wav", "aiff", "flac", "mp3"])
def test_a_file_that_lost_its_end_gives_its_start(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, np.tile(TONE, 4), RATE)
    whole = read_audio(path).samples
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    part = read_audio(path).samples
    assert whole.shape[1] / 2 < part.shape[1] < whole.shape[1]
    compared = whole.shape[1] // 2
    np.testing.assert_allclose(part[:, :compared], whole[:, :compared], atol=1e-3)


def _silent(path: Path) -> None:
    soundfile.write(path, np.zeros(RATE), RATE)


def _nearly_silent(path: Path) -> None:
    soundfile.write(path, TONE * 5e-5, RATE, "FLOAT")


def _no_samples(path: Path) -> None:
    soundfile.write(path, TONE[:0], RATE)


def _not_a_number(path: Path) -> None:
    soundfile.write(path, np.where(np.arange(len(TONE)) == 900, np.nan, TONE), RATE, "FLOAT")


def _infinite(path: Path) -> None:
    soundfile.write(path, np.where(np.arange(len(TONE)) == 900, -np.inf, TONE), RATE, "FLOAT")


def _absurd_rate(path: Path) -> None:
    soundfile.write(path, TONE, 1)


def _rate_of_zero(path: Path) -> None:
    soundfile.write(path, TONE, RATE)
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", 0)
    path.write_bytes(data)


def _truncated_header(path: Path) -> None:
    soundfile.write(path, TONE, RATE)
    path.write_bytes(path.read_bytes()[:30])


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("Not a sound.\n" * 200)


def _random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(20000))


def _missing(path: Path) -> None:
    pass


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "says", "remedy"),
    [
        (_missing, "does not exist", "check the path"),
        (_folder, "is a folder", "choose one sound file"),
        (_empty, "0 bytes", "export it"),
        (_text, "damaged or no sound file", "export it as WAV"),
        (_random_bytes, "damaged or no sound file", "export it as WAV"),
        (_truncated_header, "damaged or no sound file", "export it"),
        (_rate_of_zero, "damaged or no sound file", "export it"),
        (_no_samples, "no samples", "export it"),
        (_not_a_number, "NaN", "export it"),
        (_infinite, "infinite", "export it"),
        (_silent, "all samples are 0", "raise the level"),
        (_nearly_silent, "peak -87 dBFS", "raise the level"),
        (_absurd_rate, "1 Hz", "export it"),
    ],
)
def test_bad_files_are_named_with_a_remedy(
    tmp_path: Path, make: Callable[[Path], None], says: str, remedy: str
) -> None:
    path = tmp_path / "strange one.wav"
    make(path)
    with pytest.raises(AudioFileError) as caught:
        read_audio(path)
    message = str(caught.value)
    assert "strange one.wav" in message
    assert says in message
    assert remedy in message
    assert message.endswith(".")
    assert "\n" not in message


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.wav"
    soundfile.write(path, TONE, RATE)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything

        def deny(*_arguments: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(AudioFileError, match=r"locked\.wav.*permission denied.*access rights"):
        read_audio(path)


def test_a_device_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioFileError, match=r"pipe\.wav' is not a regular file"):
        read_audio(tmp_path / "pipe.wav")


def test_a_length_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"max_length_s = 0"):
        read_audio(tmp_path / "a.wav", max_length_s=0)


@given(data=st.binary(max_size=2000))
def test_any_bytes_are_a_clip_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.wav"
    path.write_bytes(data)
    with pytest.raises(AudioFileError, match=r"any\.wav"):
        read_audio(path)


@given(place=st.integers(0, 60), value=st.integers(0, 255))
def test_a_damaged_header_is_a_clip_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    whole = io.BytesIO()
    soundfile.write(whole, TONE[:500], RATE, format="WAV")
    data = bytearray(whole.getvalue())
    data[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(data)
    try:
        clip = read_audio(path)
    except AudioFileError:
        return
    assert np.isfinite(clip.samples).all()


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_written_files_read_back_to_24_bits(tmp_path: Path, channels: int) -> None:
    sound = np.stack([TONE * gain for gain in np.linspace(1, -1, channels)])
    sound[0, :2] = 1.0, -1.0
    write_audio(tmp_path / "a.wav", sound, 48000)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.format, info.subtype, info.samplerate) == ("WAV", "PCM_24", 48000)
    assert np.max(np.abs(read_audio(tmp_path / "a.wav").samples - sound)) <= 2 / 2**24


def test_the_header_is_the_plain_one(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", TONE[None], RATE)
    head = (tmp_path / "a.wav").read_bytes()[:44]
    assert head[12:20] == b"fmt " + struct.pack("<I", 16)
    assert struct.unpack("<HH", head[20:24]) == (1, 1)
    assert head[36:40] == b"data"


def test_an_open_file_gets_the_same_bytes(tmp_path: Path) -> None:
    stream = io.BytesIO()
    write_audio(stream, TONE[None], RATE)
    write_audio(tmp_path / "a.wav", TONE[None], RATE)
    assert stream.getvalue() == (tmp_path / "a.wav").read_bytes()


@pytest.mark.parametrize(
    ("sound", "rate", "says"),
    [
        (TONE, RATE, r"\[channels, samples\]"),
        (TONE[None, :0], RATE, "not empty"),
        (np.full((1, 9), np.nan), RATE, "peak of nan"),
        (np.full((1, 9), -np.inf), RATE, "peak of inf"),
        (TONE[None] * 1.2, RATE, r"peak of 1\.08, but full scale is 1"),
        (TONE[None], 0, "Sample rate 0 Hz"),
    ],
)
def test_unwritable_audio_is_refused(
    tmp_path: Path, sound: np.ndarray, rate: int, says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        write_audio(tmp_path / "a.wav", sound, rate)
    assert not (tmp_path / "a.wav").exists()


def test_a_full_disk_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(ExportError, match=r"full\.wav.*No space left.*free some space"):
        write_audio(tmp_path / "full.wav", TONE[None], RATE)
    assert not (tmp_path / "full.wav").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"none.a\.wav.*No such file"):
        write_audio(tmp_path / "none" / "a.wav", TONE[None], RATE)


def test_a_clip_is_frozen() -> None:
    clip = AudioClip(samples=TONE[None], sample_rate=RATE, name="a")
    with pytest.raises(AttributeError):
        clip.sample_rate = 1  # type: ignore[misc]
