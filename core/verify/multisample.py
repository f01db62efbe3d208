"""What a ``.multisample`` (Bitwig, Studio One) says, and whether its XML follows the schema."""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

from core.errors import AudioFileError
from core.verify.contents import Contents, Place, Zone, range_faults
from core.verify.sources import SampleArchive
from core.verify.xml import attribute, parse_xml

MAPPING_FILE = "multisample.xml"
SCHEMA = Path(__file__).with_name("multisample.xsd")


def read_multisample(path: Path) -> Contents:
    """The key map of a multisample.

    Raises:
        AudioFileError: It is no archive, or its XML is missing or damaged.
    """
    archive = SampleArchive(path)
    root = parse_xml(archive.read_bytes(MAPPING_FILE), f"{path.name}/{MAPPING_FILE}")
    samples = root.findall("sample")
    is_pad = any(_select(sample) != (0, 127, 0) for sample in samples)
    zones: list[Zone] = []
    faults: list[str] = []
    turns: Counter[tuple[Place, int, int, int]] = Counter()
    for sample in samples:
        zone = _zone(sample, archive, is_pad=is_pad)
        if sample.get("zone-logic") == "round-robin":
            ranges = (zone.place, zone.low_key, zone.high_key, zone.low_velocity)
            turns[ranges] += 1
            zone = replace(zone, round_robin=turns[ranges])
        problem = archive.problem(zone.sample)
        wrong = range_faults(zone) + ([f"'{zone.sample}' {problem}."] if problem else [])
        faults += wrong
        if not wrong:
            zones.append(zone)
    if archive.is_compressed:
        faults.append(f"'{path.name}' is compressed; samplers read stored archives only.")
    unused = sorted(archive.names - {s.get("file", "") for s in samples} - {MAPPING_FILE})
    faults += [f"'{name}' is in '{path.name}' but not mapped." for name in unused[:3]]
    if not samples:
        faults.append(f"'{path.name}' maps no samples.")
    return Contents(zones=tuple(zones), faults=tuple(faults))


def schema_faults(path: Path) -> list[str]:
    """What lxml finds wrong with the XML by Bitwig's schema.

    Raises:
        AudioFileError: There is no XML to be judged.
        ImportError: lxml is not installed.
    """
    etree = importlib.import_module("lxml.etree")
    text = SampleArchive(path).read_bytes(MAPPING_FILE)
    parse_xml(text, f"{path.name}/{MAPPING_FILE}")  # refuses entities and the like
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    schema = etree.XMLSchema(etree.parse(str(SCHEMA), parser))
    schema.validate(etree.fromstring(text, parser))
    return [
        f"{MAPPING_FILE} line {error.line} breaks the schema: {error.message}"
        for error in schema.error_log
    ]


def _select(sample: ET.Element) -> tuple[float, float, float]:
    select = sample.find("select")
    if select is None:
        return 0, 127, 0
    low, high, fade = (
        attribute(select, name, default)
        for name, default in (("low", 0.0), ("high", 127.0), ("low-fade", 0.0))
    )
    return low, high, fade


def _zone(sample: ET.Element, archive: SampleArchive, *, is_pad: bool) -> Zone:
    name = sample.get("file", "")
    key, velocity, loop = (sample.find(tag) for tag in ("key", "velocity", "loop"))
    if key is None:
        raise AudioFileError(f"'{name}' has no keys in {MAPPING_FILE}.")
    if velocity is None:
        velocity = ET.Element("velocity")
    low, _, fade = _select(sample)
    frames = None
    if loop is not None and loop.get("mode", "off") != "off":
        frames = (int(attribute(loop, "start", 0)), int(attribute(loop, "stop", 0)))
    return Zone(
        sample=name,
        root_note=int(attribute(key, "root", 60)),
        low_key=int(attribute(key, "low", 0)),
        high_key=int(attribute(key, "high", 127)),
        low_velocity=int(attribute(velocity, "low", 1)),
        high_velocity=int(attribute(velocity, "high", 127)),
        tune_cents=100 * attribute(key, "tune", 0),
        loop=frames,
        place=Place(name=f"select {low + fade:g}") if is_pad else Place(),
        read=partial(archive.read, name),
    )
