"""Decent Sampler library: preset and samples in one ZIP, the form in which libraries are passed on."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.export.decentsampler import instrument_preset, pad_preset, xml_bytes
from core.export.files import one_line, point_stem, write_zip
from core.export.wav import sample_info, sample_paths, wav_bytes
from core.instrument import Instrument, PadInstrument


@dataclass(frozen=True, slots=True)
class DecentSamplerLibraryExporter:
    """``NAME.dslibrary``: what the ``decentsampler`` format writes, in one file."""

    name: str = "dslibrary"
    summary: str = "a Decent Sampler library: preset and samples in one file"

    def entries(self, stem: str) -> tuple[str, ...]:
        """The library."""
        return (f"{stem}.dslibrary",)

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the library; see :class:`core.export.base.Exporter`."""
        paths = sample_paths(instrument, stem)
        preset = instrument_preset(instrument, paths)
        _write_library(instrument.name, preset, [instrument], [paths], stem, folder, step)

    def write_pad(
        self, pad: PadInstrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the library, a folder of samples for each point."""
        paths = [
            [f"{stem}/{path}" for path in sample_paths(point, point_stem(stem, column, row))]
            for (column, row), point in zip(pad.places, pad.points, strict=True)
        ]
        preset = pad_preset(pad, paths)
        _write_library(pad.name, preset, pad.points, paths, stem, folder, step)


def _write_library(
    name: str,
    preset: bytes,
    points: Sequence[Instrument],
    paths: Sequence[Sequence[str]],
    stem: str,
    folder: Path,
    step: Callable[[], None],
) -> None:
    def members() -> Iterator[tuple[str, bytes]]:
        yield (
            "DSLibraryInfo.xml",
            xml_bytes(ET.Element("DecentSamplerLibraryInfo", name=one_line(name))),
        )
        yield f"{stem}.dspreset", preset
        for point, point_paths in zip(points, paths, strict=True):
            for region, path in zip(point.regions, point_paths, strict=True):
                info = sample_info(point, region)
                yield path, wav_bytes(region, point.sample_rate, info)
                step()

    write_zip(folder / f"{stem}.dslibrary", members())


EXPORTER = DecentSamplerLibraryExporter()
