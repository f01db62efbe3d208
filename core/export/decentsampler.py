"""Decent Sampler: an XML preset that maps a folder of WAVs onto keys, with knobs and a pad.

Written after the *DecentSampler Developer's Guide* 1.23. Loop ends are inclusive; tuning, level and
the loop's crossfade are in the audio. There are no crossfades by controller, so a pad is made of
bindings: x sets the volume of each point's group, y the volume of each row's tag; volumes of groups
and tags are taken to multiply.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.export.files import one_line, write_file
from core.export.wav import SOFTWARE, write_pad_samples, write_samples
from core.instrument import PAD_CONTROLLERS, Envelope, Instrument, PadInstrument

OLDEST_VERSION = "1.0.0"
"""Least version of the player that knows all that an instrument needs."""
OLDEST_PAD_VERSION = "1.11.12"
"""The first with ``<xyPad>``; older ones ask for an update."""
LONGEST_ATTACK_S = 10.0
"""Most that the player's attack can be set to."""
LONGEST_RELEASE_S = 25.0
"""Most that the player's decay and release can be set to."""

_BEYOND_RANGE = 1.0001  # ends tables, as in the guide's examples, so that they hold 1
_BACKGROUND = "FF1E2126"  # alpha, red, green, blue
_FOREGROUND = "FFE8EAED"
_ACCENT = "FF4FB3BF"


def instrument_preset(instrument: Instrument, sample_paths: Sequence[str]) -> bytes:
    """The contents of an instrument's .dspreset file.

    Args:
        instrument: What to describe.
        sample_paths: Path of each region's WAV, relative to the preset.

    Returns:
        UTF-8 text with a newline at its end.
    """
    root = _preset(instrument.name, instrument.provenance, OLDEST_VERSION)
    tab = _tab(root)
    _add_knobs(tab, instrument.envelope, left=226, top=120)
    _add_group(_add_groups(root, instrument), instrument, sample_paths)
    return xml_bytes(root)


def pad_preset(pad: PadInstrument, sample_paths: Sequence[Sequence[str]]) -> bytes:
    """The contents of a pad's .dspreset file.

    Args:
        pad: What to describe.
        sample_paths: For each point the path of each region's WAV, relative to the preset.

    Returns:
        UTF-8 text with a newline at its end.
    """
    root = _preset(pad.name, pad.provenance, OLDEST_PAD_VERSION)
    tab = _tab(root)
    _add_xy_pad(tab, pad)
    _add_knobs(tab, pad.points[0].envelope, left=400, top=120)
    groups = _add_groups(root, pad.points[0])
    for index, (column, row) in enumerate(pad.places):
        group = _add_group(groups, pad.points[index], sample_paths[index])
        group.set("tags", _row_tag(row))
        group.set("volume", f"{_share(pad.x, column, pad.columns):.6g}")
        _add_notes(group, pad.own_provenance(index))
    midi = ET.SubElement(root, "midi")
    for controller, parameter in zip(PAD_CONTROLLERS, ("X_VALUE", "Y_VALUE"), strict=True):
        _bind(
            ET.SubElement(midi, "cc", number=str(controller)),
            {"type": "control", "level": "ui", "position": "0", "parameter": parameter},
            {"translation": "linear", "translationOutputMin": "0", "translationOutputMax": "1"},
        )
    tags = ET.SubElement(root, "tags")
    for row in range(pad.rows):
        volume = f"{_share(pad.y, row, pad.rows):.6g}"
        ET.SubElement(tags, "tag", name=_row_tag(row), enabled="true", volume=volume)
    return xml_bytes(root)


def xml_bytes(root: ET.Element) -> bytes:
    """A document as UTF-8 with declaration, indents and a newline at its end."""
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _preset(name: str, provenance: Mapping[str, str], min_version: str) -> ET.Element:
    root = ET.Element("DecentSampler", minVersion=min_version)
    _add_notes(root, {"name": name, "made by": SOFTWARE, **provenance})
    return root


def _add_notes(element: ET.Element, notes: Mapping[str, str]) -> None:
    """Comments, in which XML allows no two hyphens in a row."""
    for key, value in notes.items():
        note = re.sub(r"-(?=-)", "- ", one_line(f"{key}: {value}"))
        element.append(ET.Comment(f" {note} "))


def _tab(root: ET.Element) -> ET.Element:
    ui = ET.SubElement(root, "ui", width="812", height="375", bgColor=_BACKGROUND)
    return ET.SubElement(ui, "tab", name="main")


def _knob_values(envelope: Envelope) -> dict[str, tuple[float, float]]:
    """(value, highest value) of each stage, within what the player takes."""
    return {
        "attack": (min(envelope.attack_s, LONGEST_ATTACK_S), LONGEST_ATTACK_S),
        "decay": (min(envelope.decay_s, LONGEST_RELEASE_S), LONGEST_RELEASE_S),
        "sustain": (envelope.sustain, 1.0),
        "release": (min(envelope.release_s, LONGEST_RELEASE_S), LONGEST_RELEASE_S),
    }


def _add_knobs(tab: ET.Element, envelope: Envelope, *, left: int, top: int) -> None:
    """Four knobs for the envelope; a knob's value overrides the preset's, so both are equal."""
    for index, (stage, (value, highest)) in enumerate(_knob_values(envelope).items()):
        knob = ET.SubElement(
            tab,
            "labeled-knob",
            x=str(left + 90 * index),
            y=str(top),
            width="90",
            height="110",
            label=stage.capitalize(),
            type="float",
            minValue="0",
            maxValue=f"{highest:g}",
            value=f"{value:g}",
            textColor=_FOREGROUND,
            trackForegroundColor=_ACCENT,
        )
        _bind(
            knob,
            {"type": "amp", "level": "instrument", "position": "0"},
            {"parameter": f"ENV_{stage.upper()}"},
        )


def _add_groups(root: ET.Element, instrument: Instrument) -> ET.Element:
    """The element that holds all groups, with what they share."""
    groups = ET.SubElement(root, "groups", ampVelTrack="1")
    for stage, (value, _) in _knob_values(instrument.envelope).items():
        groups.set(stage, f"{value:g}")
    if instrument.round_robins > 1:
        groups.set("seqMode", "round_robin")
        groups.set("seqLength", str(instrument.round_robins))
    return groups


def _add_group(
    groups: ET.Element, instrument: Instrument, sample_paths: Sequence[str]
) -> ET.Element:
    group = ET.SubElement(groups, "group", name=one_line(instrument.name))
    for region, path in zip(instrument.regions, sample_paths, strict=True):
        sample = ET.SubElement(
            group,
            "sample",
            path=path,
            rootNote=str(region.root_note),
            loNote=str(region.low_key),
            hiNote=str(region.high_key),
            loVel=str(region.low_velocity),
            hiVel=str(region.high_velocity),
            loopEnabled="false" if region.loop is None else "true",
        )
        if region.loop is not None:
            sample.set("loopStart", str(region.loop.start))
            sample.set("loopEnd", str(region.loop.end - 1))
        if instrument.round_robins > 1:
            sample.set("seqPosition", str(region.round_robin))
    return group


def _add_xy_pad(tab: ET.Element, pad: PadInstrument) -> None:
    """The pad; as the tab's first control it is number 0, to which MIDI is bound."""
    xy_pad = ET.SubElement(
        tab,
        "xyPad",
        x="30",
        y="30",
        width="315",
        height="315",
        parameterName="Pad",
        xValue=f"{pad.x:.6g}",
        yValue=f"{pad.y:.6g}",
        markerFillColor=_ACCENT,
        outlineColor=_FOREGROUND,
    )
    x_axis, y_axis = ET.SubElement(xy_pad, "x"), ET.SubElement(xy_pad, "y")
    for index, (column, _) in enumerate(pad.places):
        _bind(
            x_axis,
            {"type": "amp", "level": "group", "groupIndex": str(index), "parameter": "AMP_VOLUME"},
            _table(column, pad.columns),
        )
    for row in range(pad.rows):
        _bind(
            y_axis,
            {"type": "amp", "level": "tag", "identifier": _row_tag(row), "parameter": "TAG_VOLUME"},
            _table(row, pad.rows),
        )


def _bind(source: ET.Element, target: Mapping[str, str], translation: Mapping[str, str]) -> None:
    ET.SubElement(source, "binding", {**target, **translation})


def _row_tag(row: int) -> str:
    return f"row{row + 1}"


def _share(position: float, index: int, count: int) -> float:
    """Gain at a position 0–1 of one of ``count`` places along an axis, linear between neighbours."""
    return max(0.0, 1.0 - abs(position * (count - 1) - index))


def _table(index: int, count: int) -> dict[str, str]:
    """Translation of an axis into the gain of one of its places: pairs of position and gain."""
    positions = [place / max(count - 1, 1) for place in range(max(count, 2))]
    pairs = [(position, _share(position, index, count)) for position in positions]
    pairs.append((_BEYOND_RANGE, pairs[-1][1]))
    table = ";".join(f"{position:.6g},{gain:.6g}" for position, gain in pairs)
    return {"translation": "table", "translationTable": table}


@dataclass(frozen=True, slots=True)
class DecentSamplerExporter:
    """``NAME.dspreset`` beside a folder ``NAME`` of WAVs."""

    name: str = "decentsampler"
    summary: str = (
        "a Decent Sampler preset beside a folder of WAVs, with knobs; a pad keeps its pad"
    )

    def entries(self, stem: str) -> tuple[str, ...]:
        """The samples' folder, then the preset that names them."""
        return stem, f"{stem}.dspreset"

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write samples and preset; see :class:`core.export.base.Exporter`."""
        paths = write_samples(instrument, stem, folder, step)
        write_file(folder / f"{stem}.dspreset", (instrument_preset(instrument, paths),))

    def write_pad(
        self, pad: PadInstrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the samples of all points and one preset."""
        paths = write_pad_samples(pad, stem, folder, step)
        write_file(folder / f"{stem}.dspreset", (pad_preset(pad, paths),))


EXPORTER = DecentSamplerExporter()
