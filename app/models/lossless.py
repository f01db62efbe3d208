"""Audio in the bytes of a session file, bit for bit: FLAC where it can, else WAV of floats.

Sound files up to 24 bits decode to multiples of 2⁻²³ within [-1, 1), which FLAC holds exactly and
in half the space; MP3, OGG and float files do not.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from core.audio.files import AudioClip
from core.errors import AudioFileError

Encoding = Literal["flac", "wav"]

_MAGIC = {"flac": b"fLaC", "wav": b"RIFF"}
_SUBTYPE = {"flac": "PCM_24", "wav": "FLOAT"}
_FLAC_MAX_CHANNELS = 8
_FLAC_MAX_RATE = 655_350


def encode_audio(clip: AudioClip) -> tuple[Encoding, bytes]:
    """The bytes of a sound file that decodes to the same samples, and its kind."""
    scaled = clip.samples.astype(np.float64) * 2.0**23
    fits_flac = (
        clip.samples.shape[0] <= _FLAC_MAX_CHANNELS
        and clip.sample_rate <= _FLAC_MAX_RATE
        and bool(np.all(scaled == np.rint(scaled)))
        and bool(np.all((scaled >= -(2.0**23)) & (scaled < 2.0**23)))
    )
    encoding: Encoding = "flac" if fits_flac else "wav"
    # libsndfile takes 24-bit samples in the upper bits of 32.
    data = scaled.astype(np.int32) << 8 if fits_flac else clip.samples
    encoded = io.BytesIO()
    soundfile.write(
        encoded, data.T, clip.sample_rate, format=encoding.upper(), subtype=_SUBTYPE[encoding]
    )
    return encoding, encoded.getvalue()


def decode_audio(
    data: bytes, encoding: Encoding, *, frames: int, channels: int, sample_rate: int
) -> NDArray[np.float32]:
    """Samples [C, T] from bytes that :func:`encode_audio` made.

    Args:
        data: A whole file.
        encoding: What it must be.
        frames: How long it must be.
        channels: How many it must have.
        sample_rate: The rate it must have, Hz.

    Raises:
        AudioFileError: It is anything else, or damaged.
    """
    if not data.startswith(_MAGIC[encoding]):
        raise AudioFileError(f"the audio is not {encoding.upper()}")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            found = (sound.subtype, sound.frames, sound.channels, sound.samplerate)
            if found != (_SUBTYPE[encoding], frames, channels, sample_rate):
                raise AudioFileError("the audio has another length or format than stated")
            samples = sound.read(frames, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise AudioFileError("the audio is damaged") from error
    return np.ascontiguousarray(samples.T)
