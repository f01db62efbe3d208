"""Sound files in and out: the only reader of users' files, by way of soundfile.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from core.audio.chunks import mended_wav
from core.audio.cycle import cycle_frames
from core.audio.file_facts import MIDDLE_C_OCTAVE, FileFacts, read_file_facts
from core.errors import AudioFileError, ExportError, ParameterError

SOUND_SUFFIXES = frozenset(
    {".wav", ".wave", ".bwf", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3",
     ".caf", ".au", ".snd", ".w64", ".rf64"}
)  # fmt: skip
"""Endings, in small letters, of what is taken for a sound in a folder; a file that is named itself is
judged by its content."""
SILENCE_PEAK_DB = -80.0
"""A recording whose peak stays below this level (dBFS) counts as silent."""
MIN_SAMPLE_RATE = 4_000
MAX_SAMPLE_RATE = 768_000

_FORMATS_HINT = "export it as WAV, AIFF, FLAC, OGG or MP3"
_SALVAGED_FRAMES = 4096  # of a damaged file are read at a time
_MAX_VALUES = 1 << 27  # 512 MB of float32: bounds memory for files with hundreds of channels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AudioClip:
    """What was read from a sound file."""

    samples: NDArray[np.float32]
    """Finite samples, full scale at ±1 (float and MP3 files may pass it slightly), [C, T]."""
    sample_rate: int
    """Hz."""
    name: str
    """The file's stem, for display."""
    facts: FileFacts = field(default_factory=FileFacts)
    """What the file says of itself."""

    @property
    def length_s(self) -> float:
        """Length of the clip in seconds."""
        return int(self.samples.shape[1]) / self.sample_rate


def read_audio(
    path: Path, *, max_length_s: float = 30.0, middle_c_octave: int = MIDDLE_C_OCTAVE
) -> AudioClip:
    """Read the start of a sound file of any libsndfile format, rate and channel count.

    A file whose end is missing or damaged gives the part before the damage; a WAV file whose chunks
    are in disorder gives what it holds (:mod:`core.audio.chunks`).

    Args:
        path: The file.
        max_length_s: At most this many seconds are decoded, whatever the file's length.
        middle_c_octave: Octave that notes in names of files give to middle C (MIDI note 60).

    Raises:
        AudioFileError: The file cannot be read, or holds no usable sound.
        ParameterError: ``max_length_s`` is not positive.
    """
    if not max_length_s > 0:
        raise ParameterError(f"max_length_s = {max_length_s} must be above 0 seconds.")
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise AudioFileError(f"'{path}' is {kind}; choose one sound file.")
        with path.open("rb") as stream:
            if path.stat().st_size == 0:
                raise AudioFileError(f"'{path}' is empty (0 bytes); {_FORMATS_HINT} again.")
            samples, rate = _read(path, stream, max_length_s)
            facts = read_file_facts(
                stream, path.stem, samples.shape[1], middle_c_octave=middle_c_octave
            )
    except FileNotFoundError as error:
        raise AudioFileError(f"'{path}' does not exist; check the path.") from error
    except PermissionError as error:
        raise AudioFileError(
            f"'{path}' may not be read (permission denied); change its access rights."
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise AudioFileError(f"'{path}' cannot be read ({reason}); check the drive.") from error
    except soundfile.SoundFileError as error:
        raise AudioFileError(f"'{path}' is damaged or no sound file; {_FORMATS_HINT}.") from error
    _check_samples(path, samples, max_length_s)
    facts = replace(facts, cycle_frames=cycle_frames(samples, facts))
    return AudioClip(samples=samples, sample_rate=rate, name=path.stem, facts=facts)


def write_audio(target: Path | BinaryIO, samples: NDArray[np.floating], sample_rate: int) -> None:
    """Write a 24-bit PCM WAV file with a plain header.

    The 24-bit step lies at -144 dBFS, below any converter's noise, so no dither is added.

    Args:
        target: A path, replaced when it exists, or a binary file opened for writing.
        samples: Finite samples in [-1, 1], [C, T].
        sample_rate: Hz.

    Raises:
        ParameterError: Wrong shape, rate or sample values.
        ExportError: The file could not be written; a path is then left without a file.
    """
    if samples.ndim != 2 or 0 in samples.shape:
        raise ParameterError(
            f"Audio to write must be [channels, samples] and not empty; got shape {samples.shape}."
        )
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise ParameterError(
            f"Sample rate {sample_rate} Hz is outside {MIN_SAMPLE_RATE}-{MAX_SAMPLE_RATE} Hz."
        )
    peak = float(np.max(np.abs(samples)))
    if not peak <= 1.0:
        raise ParameterError(
            f"Audio to write has a peak of {peak:g}, but full scale is 1; scale it before writing."
        )
    encoded = io.BytesIO()
    soundfile.write(encoded, samples.T, sample_rate, format="WAV", subtype="PCM_24")
    name = target if isinstance(target, Path) else getattr(target, "name", "the open file")
    try:
        if isinstance(target, Path):
            target.write_bytes(encoded.getbuffer())
        else:
            target.write(encoded.getbuffer())
    except OSError as error:
        if isinstance(target, Path) and target.is_file():
            target.unlink()
        raise ExportError(
            f"'{name}' could not be written ({error.strerror or error}); "
            "free some space or choose another folder."
        ) from error


def _read(path: Path, stream: BinaryIO, max_length_s: float) -> tuple[NDArray[np.float32], int]:
    """Samples [C, T] and their rate, mended where libsndfile finds none."""
    try:
        # By descriptor: libsndfile then judges the content alone, not the name's ending.
        samples, rate = _open_and_decode(path, stream.fileno(), max_length_s)
    except soundfile.SoundFileError:
        mended = mended_wav(stream, max_length_s)
        if mended is None:
            raise
        return _open_and_decode(path, io.BytesIO(mended), max_length_s)
    if samples.shape[1] == 0 and (mended := mended_wav(stream, max_length_s)) is not None:
        return _open_and_decode(path, io.BytesIO(mended), max_length_s)
    return samples, rate


def _open_and_decode(
    path: Path, source: int | BinaryIO, max_length_s: float
) -> tuple[NDArray[np.float32], int]:
    with soundfile.SoundFile(source, closefd=False) as sound:
        _check_rate(path, sound.samplerate)
        return _decode(sound, round(max_length_s * sound.samplerate)), sound.samplerate


def _check_rate(path: Path, rate: int) -> None:
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise AudioFileError(
            f"'{path}' claims a sample rate of {rate} Hz, outside "
            f"{MIN_SAMPLE_RATE}-{MAX_SAMPLE_RATE} Hz; {_FORMATS_HINT} at 44100 Hz."
        )


def _decode(sound: soundfile.SoundFile, max_frames: int) -> NDArray[np.float32]:
    """Up to ``max_frames`` of the file, [C, T]; the part before the damage where there is some."""
    max_frames = min(max_frames, _MAX_VALUES // sound.channels)
    # In one piece: soundfile seeks after each read, and seeking within MP3 is not exact.
    try:
        samples = sound.read(max_frames, dtype="float32", always_2d=True)
    except soundfile.SoundFileError:
        sound.seek(0)
        samples = _salvage(sound, max_frames)
    return np.ascontiguousarray(samples.T)


def _salvage(sound: soundfile.SoundFile, max_frames: int) -> NDArray[np.float32]:
    """Whole blocks up to the first that cannot be decoded, [T, C]."""
    blocks: list[NDArray[np.float32]] = []
    while len(blocks) * _SALVAGED_FRAMES < max_frames:
        try:
            block = sound.read(_SALVAGED_FRAMES, dtype="float32", always_2d=True)
        except soundfile.SoundFileError:
            if not blocks:
                raise
            break
        blocks.append(block)
        if len(block) < _SALVAGED_FRAMES:
            break
    return np.concatenate(blocks)[:max_frames]


def _check_samples(path: Path, samples: NDArray[np.float32], max_length_s: float) -> None:
    if samples.shape[1] == 0:
        raise AudioFileError(f"'{path}' holds no samples; {_FORMATS_HINT} again.")
    peak = float(np.max(np.abs(samples)))
    if not np.isfinite(peak):
        raise AudioFileError(
            f"'{path}' holds values that are no numbers (NaN or infinite); {_FORMATS_HINT} again."
        )
    peak_db = 20.0 * np.log10(max(peak, 1e-10))
    if peak_db < SILENCE_PEAK_DB:
        level = f"peak {peak_db:.0f} dBFS" if peak > 0 else "all samples are 0"
        raise AudioFileError(
            f"'{path}' is silent in its first {max_length_s:g} s ({level}, "
            f"{SILENCE_PEAK_DB:.0f} dBFS is the least); cut leading silence off or raise the level."
        )
