"""WAV files that know their note: 24-bit PCM with ``smpl``, ``inst`` and ``LIST``/``INFO`` chunks.

Chunk layouts follow Microsoft's *Multiple Channel Audio Data and WAVE Files* and the *RIFF MCI*
specification of 1994. ``inst``, the one chunk of odd size, comes last: a widespread reader forgets
its padding byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.audio.pitch import file_note_name
from core.export.files import one_line, point_stem, write_file
from core.instrument import Instrument, PadInstrument, Region

SOFTWARE = "HyperGANStrument"
_BYTES_PER_SAMPLE = 3
_FULL_SCALE = 2**23 - 1

Encoder = Callable[[Region, int, Mapping[str, str]], bytes]
"""Makes a sound file of a region, a sample rate in Hz and INFO texts."""


def chunk(name: bytes, data: bytes) -> bytes:
    """A RIFF chunk, padded to an even length (the padding is not counted in its size)."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def wav_bytes(region: Region, sample_rate: int, info: Mapping[str, str]) -> bytes:
    """A complete WAV file.

    Args:
        region: Audio, root note, ranges and loop.
        sample_rate: Hz.
        info: Four-letter INFO identifiers (``INAM``, ``ICMT`` …) and their texts; characters
            outside ASCII are replaced.

    Returns:
        The file's contents.
    """
    n_channels = region.samples.shape[0]
    frame_bytes = n_channels * _BYTES_PER_SAMPLE
    fmt = struct.pack(
        "<HHIIHH",
        1,  # PCM
        n_channels,
        sample_rate,
        sample_rate * frame_bytes,
        frame_bytes,
        8 * _BYTES_PER_SAMPLE,
    )
    body = b"WAVE" + b"".join(
        (
            chunk(b"fmt ", fmt),
            chunk(b"smpl", _smpl(region, sample_rate)),
            chunk(b"LIST", _info(info)),
            chunk(b"data", _pcm24(region)),
            chunk(b"inst", _inst(region)),
        )
    )
    return chunk(b"RIFF", body)


def _smpl(region: Region, sample_rate: int) -> bytes:
    head = struct.pack(
        "<9I",
        0,  # manufacturer
        0,  # product
        round(1e9 / sample_rate),
        region.root_note,
        0,  # pitch fraction: readers disagree about its sign
        0,  # SMPTE format
        0,  # SMPTE offset
        0 if region.loop is None else 1,
        0,  # sampler data after the loops
    )
    if region.loop is None:
        return head
    # cue id, forward, start, last frame (inclusive), no fraction, endless
    return head + struct.pack("<6I", 0, 0, region.loop.start, region.loop.end - 1, 0, 0)


def _inst(region: Region) -> bytes:
    return struct.pack(
        "<BbbBBBB",
        region.root_note,
        0,  # cents
        0,  # dB
        region.low_key,
        region.high_key,
        region.low_velocity,
        region.high_velocity,
    )


def _info(info: Mapping[str, str]) -> bytes:
    texts = (
        chunk(name.encode("ascii"), one_line(text).encode("ascii", "replace") + b"\0")
        for name, text in info.items()
    )
    return b"INFO" + b"".join(texts)


def quantize_24_bit(region: Region) -> NDArray[np.int32]:
    """A region's samples as integers of ±(2²³ - 1), [T, C], in little-endian order."""
    return np.rint(region.samples.T.astype(np.float64) * _FULL_SCALE).astype("<i4")


def _pcm24(region: Region) -> bytes:
    values = quantize_24_bit(region)
    return values[..., None].view(np.uint8)[..., :_BYTES_PER_SAMPLE].tobytes()


def sample_paths(instrument: Instrument, stem: str, *, ending: str = "wav") -> list[str]:
    """Relative path of each region's sound file, e.g. ``Bell/Bell_060_C4.wav``.

    The highest velocity a region answers is added where there are several layers, the place in the
    round robin where there are several alternatives: ``Bell/Bell_060_C4_v127_r02.wav``.
    """
    layered = len(instrument.velocity_layers) > 1
    alternating = instrument.round_robins > 1
    return [
        f"{stem}/{stem}_{file_note_name(region.root_note)}"
        f"{f'_v{region.high_velocity:03d}' if layered else ''}"
        f"{f'_r{region.round_robin:02d}' if alternating else ''}.{ending}"
        for region in instrument.regions
    ]


def provenance_text(provenance: Mapping[str, str]) -> str:
    """Where an instrument comes from, in one line."""
    return one_line("; ".join(f"{key}: {value}" for key, value in provenance.items()))


def pad_provenance_text(pad: PadInstrument) -> str:
    """Where a pad comes from, in one line: what its points share, then what each has of its own."""
    parts = [provenance_text(pad.provenance)]
    for index, (column, row) in enumerate(pad.places):
        own = provenance_text(pad.own_provenance(index))
        parts.append(f"x{column + 1}y{row + 1}: {own}" if own else "")
    return " | ".join(filter(None, parts))


def sample_info(instrument: Instrument, region: Region) -> dict[str, str]:
    """INFO texts of a region's sound file: title, program and where the sound comes from."""
    comment = provenance_text(instrument.provenance)
    title = f"{instrument.name} {file_note_name(region.root_note)}"
    return {"INAM": title, "ISFT": SOFTWARE} | ({"ICMT": comment} if comment else {})


def write_samples(
    instrument: Instrument,
    stem: str,
    folder: Path,
    step: Callable[[], None],
    *,
    ending: str = "wav",
    encode: Encoder = wav_bytes,
) -> list[str]:
    """Write one sound file per region below ``folder``, unless another format has done so already.

    Args:
        instrument: What to write.
        stem: Safe file stem; also the name of the sub-folder.
        folder: An existing folder.
        step: Called after each region.
        ending: Ending of the files' names.
        encode: Makes their contents.

    Returns:
        Paths relative to ``folder``, forward slashes, in the order of the regions.
    """
    paths = sample_paths(instrument, stem, ending=ending)
    for region, path in zip(instrument.regions, paths, strict=True):
        if not (folder / path).exists():
            info = sample_info(instrument, region)
            write_file(folder / path, (encode(region, instrument.sample_rate, info),))
        step()
    return paths


def write_pad_samples(
    pad: PadInstrument,
    stem: str,
    folder: Path,
    step: Callable[[], None],
    *,
    ending: str = "wav",
    encode: Encoder = wav_bytes,
) -> list[list[str]]:
    """Write the samples of every point of a pad, e.g. ``Bell/Bell_x1y2/Bell_x1y2_060_C4.wav``.

    Args:
        pad: What to write.
        stem: Safe file stem; also the name of the folder of the points' folders.
        folder: An existing folder.
        step: Called after each region of each point.
        ending: Ending of the files' names.
        encode: Makes their contents.

    Returns:
        For each point in the pad's order what :func:`write_samples` returns, relative to ``folder``.
    """
    paths = []
    for (column, row), point in zip(pad.places, pad.points, strict=True):
        name = point_stem(stem, column, row)
        written = write_samples(point, name, folder / stem, step, ending=ending, encode=encode)
        paths.append([f"{stem}/{path}" for path in written])
    return paths


@dataclass(frozen=True, slots=True)
class WavExporter:
    """One WAV per note in a folder named after the instrument."""

    name: str = "wav"
    summary: str = "a folder of 24-bit WAVs that carry root note, ranges and loop"

    def entries(self, stem: str) -> tuple[str, ...]:
        """The folder of samples."""
        return (stem,)

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the samples; see :class:`core.export.base.Exporter`."""
        write_samples(instrument, stem, folder, step)

    def write_pad(
        self, pad: PadInstrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the samples, a folder for each point."""
        write_pad_samples(pad, stem, folder, step)


EXPORTER = WavExporter()
