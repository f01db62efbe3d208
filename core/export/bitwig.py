"""Bitwig and Studio One: a ``.multisample``, an archive of WAVs and one XML file that maps them.

After the open specification by Bitwig and PreSonus. Positions are in frames, ends exclusive. The
format holds the mapping only: envelopes are the player's business.

A pad lies on the one axis that the format has beside key and velocity, ``select``, which the
player's Select modulation moves along: the points in a row, or in a grid boustrophedon (first row
left to right, second row right to left …), so that neighbours on the axis are neighbours on the
pad. Each point fades in from its predecessor's place and out to its successor's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from core.export.files import one_line, point_stem, write_zip
from core.export.wav import (
    SOFTWARE,
    pad_provenance_text,
    provenance_text,
    sample_info,
    sample_paths,
    wav_bytes,
)
from core.instrument import Instrument, PadInstrument, Region

MAPPING_FILE = "multisample.xml"
SELECT_END = 127
"""Last place of the select axis; the first is 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """A range with fades that lie within it."""

    low: int
    high: int
    low_fade: int = 0
    high_fade: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone:
    """One sample in the archive."""

    region: Region
    file: str
    instrument: Instrument
    select: Range
    group: int | None = None
    """Index of the group; None stands outside of all."""
    in_turn: bool = False
    """Whether it takes turns with others of the same ranges."""


def snake_order(columns: int, rows: int) -> list[tuple[int, int]]:
    """(column, row) of a grid's points in a line whose neighbours are neighbours in the grid."""
    return [
        (column if row % 2 == 0 else columns - 1 - column, row)
        for row in range(rows)
        for column in range(columns)
    ]


def select_ranges(count: int) -> list[Range]:
    """Ranges of points that share the select axis; the fades of neighbours add up to one.

    Args:
        count: Points, at least 2.

    Returns:
        For each point from 0 to 127 the range in which it sounds.
    """
    places = [round(SELECT_END * index / (count - 1)) for index in range(count)]
    before, after = [places[0], *places[:-1]], [*places[1:], places[-1]]
    return [
        Range(low=low, high=high, low_fade=place - low, high_fade=high - place)
        for low, place, high in zip(before, places, after, strict=True)
    ]


def multisample_xml(name: str, comment: str, groups: list[str], zones: list[Zone]) -> bytes:
    """The file that maps the samples, in the order of elements that the schema demands."""
    root = ElementTree.Element("multisample", {"name": one_line(name)})
    for tag, text in (
        ("generator", SOFTWARE),
        ("category", ""),
        ("creator", ""),
        ("description", comment),
    ):
        ElementTree.SubElement(root, tag).text = one_line(text)
    ElementTree.SubElement(root, "keywords")
    for group in groups:
        ElementTree.SubElement(root, "group", {"name": group})
    for zone in zones:
        _add_sample(root, zone)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, "unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _add_sample(root: ElementTree.Element, zone: Zone) -> None:
    region = zone.region
    n_frames = region.samples.shape[1]
    attributes = {
        "file": zone.file,
        "gain": "0",
        "sample-start": "0",
        "sample-stop": str(n_frames),
        "zone-logic": "round-robin" if zone.in_turn else "always-play",
    }
    if zone.group is not None:
        attributes["group"] = str(zone.group)
    sample = ElementTree.SubElement(root, "sample", attributes)
    key = _range(Range(low=region.low_key, high=region.high_key))
    tuning = {"root": str(region.root_note), "track": "1", "tune": "0"}
    velocity = _range(Range(low=region.low_velocity, high=region.high_velocity))
    loop = {"mode": "off"}
    if region.loop is not None:
        loop = {"mode": "loop", "start": str(region.loop.start), "stop": str(region.loop.end)}
    ElementTree.SubElement(sample, "key", key | tuning)
    ElementTree.SubElement(sample, "velocity", velocity)
    ElementTree.SubElement(sample, "select", _range(zone.select))
    ElementTree.SubElement(sample, "loop", loop | {"fade": "0"})


def _range(values: Range) -> dict[str, str]:
    return {
        "low": str(values.low),
        "high": str(values.high),
        "low-fade": str(values.low_fade),
        "high-fade": str(values.high_fade),
    }


def _file_names(instrument: Instrument, stem: str) -> list[str]:
    return [PurePosixPath(path).name for path in sample_paths(instrument, stem)]


def _members(
    mapping: bytes, zones: list[Zone], step: Callable[[], None]
) -> Iterator[tuple[str, bytes]]:
    """The archive's files: the mapping, then a WAV for each zone."""
    yield MAPPING_FILE, mapping
    for zone in zones:
        info = sample_info(zone.instrument, zone.region)
        yield zone.file, wav_bytes(zone.region, zone.instrument.sample_rate, info)
        step()


@dataclass(frozen=True, slots=True)
class BitwigExporter:
    """One ``NAME.multisample`` that holds its samples."""

    name: str = "bitwig"
    summary: str = (
        "a .multisample for Bitwig Studio and Studio One; no envelope, a pad becomes one line of "
        "points on the Select axis without round robin"
    )

    def entries(self, stem: str) -> tuple[str, ...]:
        """The archive."""
        return (f"{stem}.multisample",)

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the archive; see :class:`core.export.base.Exporter`."""
        zones = [
            Zone(
                region=region,
                file=file,
                instrument=instrument,
                select=Range(low=0, high=SELECT_END),
                in_turn=instrument.round_robins > 1,
            )
            for region, file in zip(instrument.regions, _file_names(instrument, stem), strict=True)
        ]
        comment = provenance_text(instrument.provenance)
        mapping = multisample_xml(instrument.name, comment, [], zones)
        write_zip(folder / f"{stem}.multisample", _members(mapping, zones, step))

    def write_pad(
        self, pad: PadInstrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the points along the select axis.

        Only the first alternative of each key is kept: players let all zones that overlap take
        turns, points that should sound together included.
        """
        order = snake_order(pad.columns, pad.rows)
        zones: list[Zone] = []
        groups: list[str] = []
        for select, (column, row) in zip(select_ranges(len(order)), order, strict=True):
            point = pad.point(column, row)
            point_name = point_stem(stem, column, row)
            files = _file_names(point, point_name)
            for region, file in zip(point.regions, files, strict=True):
                if region.round_robin > 1:
                    step()
                    continue
                zones.append(
                    Zone(
                        region=region,
                        file=file,
                        instrument=point,
                        select=select,
                        group=len(groups),
                    )
                )
            groups.append(point_name)
        mapping = multisample_xml(pad.name, pad_provenance_text(pad), groups, zones)
        write_zip(folder / f"{stem}.multisample", _members(mapping, zones, step))


EXPORTER = BitwigExporter()
