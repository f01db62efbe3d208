"""Multisamples against the format's schema and with readers of ZIP, XML and WAV that are not ours.

Nothing here plays them: there is no player of this format without a window.
"""

from __future__ import annotations

import io
import re
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from core.export.base import export_instrument
from core.export.bitwig import select_ranges, snake_order
from core.instrument import Instrument, PadInstrument
from core.verify.multisample import SCHEMA
from tests.core.export.instruments import (
    HOSTILE_NAMES,
    SAMPLE_RATE,
    layered_instrument,
    pad_instrument,
    sine_instrument,
)


def export(instrument: Instrument | PadInstrument, out: Path) -> Path:
    (path,) = export_instrument(instrument, ["bitwig"], out)
    return path


def read_mapping(path: Path) -> Any:
    """The mapping, valid by the schema, as lxml reads it."""
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed")
    with zipfile.ZipFile(path) as archive:
        text = archive.read("multisample.xml")
    root = etree.fromstring(text)
    etree.XMLSchema(etree.parse(str(SCHEMA))).assertValid(root)
    return root


def numbers(element: Any, *names: str) -> tuple[float, ...]:
    return tuple(float(element.get(name)) for name in names)


def instruments() -> list[Instrument | PadInstrument]:
    return [
        sine_instrument(),
        sine_instrument(looped=False, channels=2),
        layered_instrument(),
        pad_instrument(),
        pad_instrument(columns=5, rows=3),
    ]


@pytest.mark.parametrize("instrument", instruments(), ids=lambda instrument: instrument.name)
def test_the_mapping_is_valid_and_names_every_file(
    tmp_path: Path, instrument: Instrument | PadInstrument
) -> None:
    path = export(instrument, tmp_path)
    mapping = read_mapping(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[0] == "multisample.xml"
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert names[1:] == [sample.get("file") for sample in mapping.iter("sample")]
        assert len(set(names)) == len(names)
        for sample in mapping.iter("sample"):
            sound = soundfile.info(io.BytesIO(archive.read(sample.get("file"))))
            assert sound.samplerate == SAMPLE_RATE
            assert numbers(sample, "sample-start", "sample-stop") == (0, sound.frames)
            assert re.fullmatch(r"[A-Za-z0-9._ -]{1,60}", sample.get("file"))


@pytest.mark.parametrize("looped", [True, False])
def test_keys_velocities_and_loops_are_those_of_the_instrument(
    tmp_path: Path, looped: bool
) -> None:
    instrument = sine_instrument(notes=[40, 50, 61], looped=looped)
    samples = list(read_mapping(export(instrument, tmp_path)).iter("sample"))
    for sample, region in zip(samples, instrument.regions, strict=True):
        key, velocity, loop = (sample.find(name) for name in ("key", "velocity", "loop"))
        assert numbers(key, "low", "high", "root") == (
            region.low_key,
            region.high_key,
            region.root_note,
        )
        assert numbers(key, "track", "tune", "low-fade", "high-fade") == (1, 0, 0, 0)
        assert numbers(velocity, "low", "high") == (region.low_velocity, region.high_velocity)
        assert numbers(sample.find("select"), "low", "high") == (0, 127)
        if region.loop is None:
            assert loop.get("mode") == "off"
        else:
            assert loop.get("mode") == "loop"
            assert numbers(loop, "start", "stop", "fade") == (region.loop.start, region.loop.end, 0)


def test_samples_hold_their_regions_audio(tmp_path: Path) -> None:
    instrument = layered_instrument()
    path = export(instrument, tmp_path)
    mapping = read_mapping(path)
    with zipfile.ZipFile(path) as archive:
        for sample, region in zip(mapping.iter("sample"), instrument.regions, strict=True):
            heard, _ = soundfile.read(io.BytesIO(archive.read(sample.get("file"))), always_2d=True)
            np.testing.assert_allclose(heard.T, region.samples, atol=1e-6)


def test_every_key_and_velocity_answers_once_in_each_turn(tmp_path: Path) -> None:
    mapping = read_mapping(export(layered_instrument(layers=3, round_robins=4), tmp_path))
    answers = np.zeros((128, 128), int)
    for sample in mapping.iter("sample"):
        assert sample.get("zone-logic") == "round-robin"
        low_key, high_key = map(int, numbers(sample.find("key"), "low", "high"))
        low, high = map(int, numbers(sample.find("velocity"), "low", "high"))
        answers[low_key : high_key + 1, low : high + 1] += 1
    assert (answers[:, 1:] == 4).all()
    assert (answers[:, 0] == 0).all()


@pytest.mark.parametrize(("columns", "rows"), [(2, 1), (1, 3), (2, 2), (3, 2), (5, 5)])
def test_neighbours_on_the_line_are_neighbours_on_the_pad(columns: int, rows: int) -> None:
    order = snake_order(columns, rows)
    assert sorted(order) == sorted((c, r) for c in range(columns) for r in range(rows))
    for (column, row), (next_column, next_row) in pairwise(order):
        assert abs(column - next_column) + abs(row - next_row) == 1


@pytest.mark.parametrize("count", [2, 3, 4, 9, 25])
def test_gains_along_the_select_axis_add_up_to_one(count: int) -> None:
    places = np.arange(128)
    total, sounding = np.zeros(128), np.zeros(128, int)
    for select in select_ranges(count):
        full_from, full_to = select.low + select.low_fade, select.high - select.high_fade
        gain = np.interp(places, [select.low, full_from, full_to, select.high], [0, 1, 1, 0])
        if select.low_fade == 0:
            gain[places <= full_to] = 1
        if select.high_fade == 0:
            gain[places >= full_from] = 1
        gain[(places < select.low) | (places > select.high)] = 0
        total += gain
        sounding += gain > 0
    np.testing.assert_allclose(total, 1)
    assert sounding.max() == 2


def test_a_pads_points_lie_in_a_line_of_groups(tmp_path: Path) -> None:
    pad = pad_instrument("Pad", 3, 2, [48, 60])
    mapping = read_mapping(export(pad, tmp_path))
    groups = [group.get("name") for group in mapping.iter("group")]
    assert groups == [f"Pad_{p}" for p in ("x1y1", "x2y1", "x3y1", "x3y2", "x2y2", "x1y2")]
    for sample in mapping.iter("sample"):
        group = int(sample.get("group"))
        assert sample.get("file").startswith(groups[group])
        place = 127 * group / 5
        low, high, fade_in, fade_out = numbers(
            sample.find("select"), "low", "high", "low-fade", "high-fade"
        )
        assert low + fade_in == pytest.approx(place, abs=0.51)
        assert high - fade_out == pytest.approx(place, abs=0.51)
        assert sample.get("zone-logic") == "always-play"


def test_a_pad_keeps_the_first_alternative_of_each_key(tmp_path: Path) -> None:
    point = layered_instrument("P", [60], layers=2, round_robins=3)
    pad = PadInstrument(name="Pad", columns=2, rows=1, points=(point, point))
    calls: list[int] = []
    (path,) = export_instrument(
        pad, ["bitwig"], tmp_path, progress=lambda done, total: calls.append(total)
    )
    assert calls == [12] * 12
    files = [sample.get("file") for sample in read_mapping(path).iter("sample")]
    assert files == [
        "Pad_x1y1_060_C4_v064_r01.wav",
        "Pad_x1y1_060_C4_v127_r01.wav",
        "Pad_x2y1_060_C4_v064_r01.wav",
        "Pad_x2y1_060_C4_v127_r01.wav",
    ]


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name.strip()])
def test_hostile_names_stay_valid(tmp_path: Path, name: str) -> None:
    mapping = read_mapping(export(sine_instrument(name, [60]), tmp_path))
    printable = "".join(c if c.isprintable() else " " for c in name)
    assert mapping.get("name") == " ".join(printable.split())


def test_provenance_is_in_the_description(tmp_path: Path) -> None:
    mapping = read_mapping(export(pad_instrument(columns=2, rows=1), tmp_path))
    assert mapping.findtext("generator") == "HyperGANStrument"
    assert mapping.findtext("description") == (
        "model: toy; seed: 7 | x1y1: weights: point 0 | x2y1: weights: point 1"
    )


def test_equal_instruments_give_equal_bytes(tmp_path: Path) -> None:
    first = export(pad_instrument(), tmp_path / "a").read_bytes()
    assert export(pad_instrument(), tmp_path / "b").read_bytes() == first


def test_a_truncated_copy_is_noticed(tmp_path: Path) -> None:
    path = export(sine_instrument(), tmp_path)
    cut = tmp_path / "cut.multisample"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(cut)


@pytest.mark.parametrize(
    ("whole", "broken"),
    [(b"<select", b"<selekt"), (b'low="0"', b'low="-1"'), (b'mode="loop"', b'mode="on"')],
)
def test_the_schema_notices_faults(tmp_path: Path, whole: bytes, broken: bytes) -> None:
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed")
    with zipfile.ZipFile(export(sine_instrument(), tmp_path)) as archive:
        text = archive.read("multisample.xml")
    assert whole in text
    schema = etree.XMLSchema(etree.parse(str(SCHEMA)))
    assert schema.validate(etree.fromstring(text))
    assert not schema.validate(etree.fromstring(text.replace(whole, broken, 1)))
