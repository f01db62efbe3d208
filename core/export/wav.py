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

from core.audio.pitch import file_note_name
from core.export.files import write_file
from core.instrument import Instrument, Region

SOFTWARE = "HyperGANStrument"
_BYTES_PER_SAMPLE = 3
_FULL_SCALE = 2**23 - 1


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
        chunk(name.encode("ascii"), " ".join(text.split()).encode("ascii", "replace") + b"\0")
        for name, text in info.items()
    )
    return b"INFO" + b"".join(texts)


def _pcm24(region: Region) -> bytes:
    scaled = np.rint(region.samples.T.astype(np.float64) * _FULL_SCALE).astype("<i4")
    return scaled[..., None].view(np.uint8)[..., :_BYTES_PER_SAMPLE].tobytes()


def sample_paths(instrument: Instrument, stem: str) -> list[str]:
    """Relative path of each region's WAV, e.g. ``Bell/Bell_060_C4.wav``.

    The highest velocity a region answers is added where there are several layers.
    """
    several = len(instrument.velocity_layers) > 1
    return [
        f"{stem}/{stem}_{file_note_name(region.root_note)}"
        f"{f'_v{region.high_velocity:03d}' if several else ''}.wav"
        for region in instrument.regions
    ]


def write_samples(
    instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
) -> list[str]:
    """Write one WAV per region below ``folder``, unless another format has done so already.

    Args:
        instrument: What to write.
        stem: Safe file stem; also the name of the sub-folder.
        folder: An existing folder.
        step: Called after each region.

    Returns:
        Paths relative to ``folder``, forward slashes, in the order of the regions.
    """
    paths = sample_paths(instrument, stem)
    comment = "; ".join(f"{key}: {value}" for key, value in instrument.provenance.items())
    for region, path in zip(instrument.regions, paths, strict=True):
        if not (folder / path).exists():
            title = f"{instrument.name} {file_note_name(region.root_note)}"
            info = {"INAM": title, "ISFT": SOFTWARE} | ({"ICMT": comment} if comment else {})
            write_file(folder / path, (wav_bytes(region, instrument.sample_rate, info),))
        step()
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


EXPORTER = WavExporter()
