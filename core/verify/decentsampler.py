"""What a Decent Sampler preset says, beside its samples or in a library."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from core.errors import AudioFileError
from core.verify.contents import Contents, Place, Zone, range_faults
from core.verify.sources import SampleArchive, SampleFolder, Samples, read_text
from core.verify.xml import parse_xml


def read_preset(path: Path) -> Contents:
    """The key map of a ``.dspreset`` beside its samples.

    Raises:
        AudioFileError: It is no well-formed XML.
    """
    return _contents(parse_xml(read_text(path), path.name), SampleFolder(path.parent), path.name)


def read_library(path: Path) -> Contents:
    """The key map of the preset in a ``.dslibrary``.

    Raises:
        AudioFileError: It is no archive, or its preset is missing or damaged.
    """
    archive = SampleArchive(path)
    presets = [n for n in sorted(archive.names) if PurePosixPath(n).suffix == ".dspreset"]
    if not presets:
        raise AudioFileError(f"'{path.name}' has no .dspreset in it.")
    preset = presets[0]
    contents = _contents(parse_xml(archive.read_bytes(preset), preset), archive, preset)
    mapped = {zone.sample for zone in contents.zones}
    unused = sorted(n for n in archive.names - mapped if n.endswith((".wav", ".flac")))
    faults = (f"'{name}' is in '{path.name}' but not mapped." for name in unused[:3])
    return Contents(zones=contents.zones, faults=(*contents.faults, *faults))


def _contents(root: ET.Element, samples: Samples, name: str) -> Contents:
    if root.tag != "DecentSampler":
        raise AudioFileError(f"'{name}' is no Decent Sampler preset but <{root.tag}>.")
    is_pad = root.find(".//xyPad") is not None
    zones: list[Zone] = []
    faults: list[str] = []
    for groups in root.findall("groups"):
        for index, group in enumerate(groups.findall("group")):
            label = f"group {index + 1} ({group.get('name', '')})"
            place = Place(name=label) if is_pad else Place()
            for sample in group.findall("sample"):
                merged = {**groups.attrib, **group.attrib, **sample.attrib}
                try:
                    zone = _zone(merged, place, samples)
                except ValueError as error:
                    faults.append(f"'{merged.get('path', '')}' cannot be understood: {error}.")
                    continue
                problem = samples.problem(zone.sample)
                wrong = range_faults(zone) + ([f"'{zone.sample}' {problem}."] if problem else [])
                faults += wrong
                if not wrong:
                    zones.append(zone)
    if not zones and not faults:
        faults.append(f"'{name}' has no samples.")
    return Contents(zones=tuple(zones), faults=tuple(faults))


def _zone(merged: Mapping[str, str], place: Place, samples: Samples) -> Zone:
    name = merged.get("path", "")
    if "rootNote" not in merged:
        raise ValueError("it has no rootNote")
    loop = None
    if merged.get("loopEnabled") == "true" and "loopEnd" in merged:
        loop = (int(merged.get("loopStart", 0)), int(merged["loopEnd"]) + 1)
    return Zone(
        sample=name,
        root_note=int(merged["rootNote"]),
        low_key=int(merged.get("loNote", 0)),
        high_key=int(merged.get("hiNote", 127)),
        low_velocity=int(merged.get("loVel", 0)),
        high_velocity=int(merged.get("hiVel", 127)),
        round_robin=int(merged.get("seqPosition", 1)),
        tune_cents=100 * float(merged.get("tuning", 0)),
        loop=loop,
        place=place,
        read=partial(samples.read, name),
    )
