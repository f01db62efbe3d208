"""FLAC files of 24 bits: the same samples as in the WAVs, in less space.

FLAC knows no root note, ranges or loop; they stand in the file's comment, for people to read.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import soundfile

from core.export.files import one_line
from core.export.wav import quantize_24_bit, write_pad_samples, write_samples
from core.instrument import Instrument, PadInstrument, Region

_COMMENTS = {"INAM": "title", "ISFT": "software", "ICMT": "comment"}  # soundfile's names
_UNUSED_BITS = 8  # libsndfile takes 24-bit samples in the upper bits of 32


def flac_bytes(region: Region, sample_rate: int, info: Mapping[str, str]) -> bytes:
    """A complete FLAC file.

    Args:
        region: Audio, root note, ranges and loop.
        sample_rate: Hz.
        info: INFO texts as of a WAV (``INAM``, ``ISFT``, ``ICMT``), written as VORBIS comments.

    Returns:
        The file's contents.
    """
    texts = {**info, "ICMT": "; ".join([_mapping(region), *filter(None, [info.get("ICMT")])])}
    encoded = io.BytesIO()
    with soundfile.SoundFile(
        encoded, "w", sample_rate, region.samples.shape[0], format="FLAC", subtype="PCM_24"
    ) as file:
        for name, text in texts.items():
            setattr(file, _COMMENTS[name], one_line(text))
        file.write(quantize_24_bit(region) << _UNUSED_BITS)
    return encoded.getvalue()


def _mapping(region: Region) -> str:
    loop = "none"
    if region.loop is not None:
        loop = f"frames {region.loop.start} to {region.loop.end - 1}"
    return (
        f"root note: {region.root_note}; keys: {region.low_key}-{region.high_key}; "
        f"velocities: {region.low_velocity}-{region.high_velocity}; loop: {loop}"
    )


@dataclass(frozen=True, slots=True)
class FlacExporter:
    """One FLAC per note in a folder named after the instrument."""

    name: str = "flac"
    summary: str = "a folder of 24-bit FLACs; root note, ranges and loop only in their comments"

    def entries(self, stem: str) -> tuple[str, ...]:
        """The folder of samples."""
        return (stem,)

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the samples; see :class:`core.export.base.Exporter`."""
        write_samples(instrument, stem, folder, step, ending="flac", encode=flac_bytes)

    def write_pad(
        self, pad: PadInstrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the samples, a folder for each point."""
        write_pad_samples(pad, stem, folder, step, ending="flac", encode=flac_bytes)


EXPORTER = FlacExporter()
