"""No player of this format runs here: its files are parsed, and read as its guide says."""

from __future__ import annotations

import io
import os
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import soundfile

from core.export.base import export_instrument
from core.instrument import Envelope, Instrument, PadInstrument
from tests.core.export.instruments import (
    HOSTILE_NAMES,
    layered_instrument,
    pad_instrument,
    sine_instrument,
)


def export(instrument: Instrument | PadInstrument, out: Path) -> ET.Element:
    """The preset, after the checks that the player's own validation makes."""
    files = export_instrument(instrument, ["decentsampler"], out)
    (preset,) = [file for file in files if file.suffix == ".dspreset"]
    text = preset.read_bytes()
    assert text.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<DecentSampler ')
    assert text.endswith(b"</DecentSampler>\n")
    assert b"\r" not in text
    root = ET.fromstring(text)
    assert [root.tag, len(root.findall("groups"))] == ["DecentSampler", 1]
    paths = [sample.attrib["path"] for sample in root.iter("sample")]
    assert sorted(paths) == sorted(
        file.relative_to(out).as_posix() for file in files if file != preset
    )
    for sample in root.iter("sample"):
        check_sample(sample, out)
    return root


def check_sample(sample: ET.Element, out: Path) -> None:
    """The file is there under exactly this name and long enough for its loop."""
    folder = out
    for part in PurePosixPath(sample.attrib["path"]).parts:
        assert part in os.listdir(folder)
        folder /= part
    frames = soundfile.info(folder).frames
    if sample.attrib["loopEnabled"] == "true":
        assert 0 < int(sample.attrib["loopStart"]) < int(sample.attrib["loopEnd"]) < frames


def gain(xy_pad: ET.Element, group: int, tag: str, x: float, y: float) -> float:
    """What a pad's bindings make of a group's volume times its tag's."""
    product = 1.0
    for axis, value in (("x", x), ("y", y)):
        (binding,) = [
            binding
            for binding in xy_pad.findall(f"{axis}/binding")
            if binding.get("groupIndex") == str(group) or binding.get("identifier") == tag
        ]
        assert (binding.get("type"), binding.get("translation")) == ("amp", "table")
        assert (binding.get("level"), binding.get("parameter")) == (
            ("group", "AMP_VOLUME") if axis == "x" else ("tag", "TAG_VOLUME")
        )
        table = binding.attrib["translationTable"].split(";")
        inputs, outputs = np.array([pair.split(",") for pair in table], float).T
        assert inputs[0] == 0
        assert inputs[-1] > 1
        assert (np.diff(inputs) > 0).all()
        product *= float(np.interp(value, inputs, outputs))
    return product


@pytest.mark.parametrize("round_robins", [1, 3])
def test_every_key_velocity_and_turn_has_one_sample(tmp_path: Path, round_robins: int) -> None:
    root = export(layered_instrument(layers=3, round_robins=round_robins), tmp_path)
    answers = np.zeros((round_robins, 128, 128), int)
    for sample in root.iter("sample"):
        number = {name: int(value) for name, value in sample.attrib.items() if value.isdigit()}
        answers[
            number.get("seqPosition", 1) - 1,
            number["loNote"] : number["hiNote"] + 1,
            number["loVel"] : number["hiVel"] + 1,
        ] += 1
        assert f"_{number['rootNote']:03d}_" in sample.attrib["path"]
        assert number["loNote"] <= number["rootNote"] <= number["hiNote"]
    assert (answers[:, :, 1:] == 1).all()
    groups = root.find("groups")
    assert groups is not None
    expected = (None, None) if round_robins == 1 else ("round_robin", "3")
    assert (groups.get("seqMode"), groups.get("seqLength")) == expected


def test_loops_end_inclusively_and_are_switched_off_where_there_are_none(tmp_path: Path) -> None:
    looped = sine_instrument(notes=[60])
    (sample,) = export(looped, tmp_path / "a").iter("sample")
    loop = looped.regions[0].loop
    assert loop is not None
    assert sample.attrib["loopEnabled"] == "true"
    assert (sample.attrib["loopStart"], sample.attrib["loopEnd"]) == (
        str(loop.start),
        str(loop.end - 1),
    )
    (sample,) = export(sine_instrument(notes=[60], looped=False), tmp_path / "b").iter("sample")
    assert sample.attrib["loopEnabled"] == "false"
    assert "loopStart" not in sample.attrib


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize(
    ("envelope", "values"),
    [
        (Envelope(), [0, 0, 1, 0.2]),
        (Envelope(attack_s=0.25, decay_s=3, sustain=0.4, release_s=0.001), [0.25, 3, 0.4, 0.001]),
        (Envelope(attack_s=20, decay_s=20, sustain=0, release_s=20), [10, 20, 0, 20]),
    ],
)
def test_knobs_stand_where_the_preset_says(
    tmp_path: Path, pad: bool, envelope: Envelope, values: list[float]
) -> None:
    made = sine_instrument(notes=[60], envelope=envelope)
    root = export(
        PadInstrument(name="P", columns=2, rows=1, points=(made, made)) if pad else made, tmp_path
    )
    groups = root.find("groups")
    assert groups is not None
    stages = ["attack", "decay", "sustain", "release"]
    assert [float(groups.attrib[stage]) for stage in stages] == values
    knobs = list(root.iter("labeled-knob"))
    assert [float(knob.attrib["value"]) for knob in knobs] == values
    for knob, stage in zip(knobs, stages, strict=True):
        (binding,) = knob
        assert binding.attrib["parameter"] == f"ENV_{stage.upper()}"
        assert binding.attrib["level"] == "instrument"
        low, high = float(knob.attrib["minValue"]), float(knob.attrib["maxValue"])
        assert low <= float(knob.attrib["value"]) <= high


@pytest.mark.parametrize(("columns", "rows"), [(2, 2), (3, 3), (5, 2), (4, 1), (1, 3)])
@pytest.mark.parametrize(("x", "y"), [(0, 0), (1, 1), (0.5, 0.5), (0.2, 0.85)])
def test_the_pad_is_bilinear(tmp_path: Path, columns: int, rows: int, x: float, y: float) -> None:
    pad = pad_instrument(columns=columns, rows=rows, x=x, y=y)
    root = export(pad, tmp_path)
    (xy_pad,) = root.iter("xyPad")
    groups = list(root.iter("group"))
    gains = [gain(xy_pad, i, group.attrib["tags"], x, y) for i, group in enumerate(groups)]
    along = [
        [np.interp(at, np.linspace(0, 1, n), unit) for unit in np.eye(n)] if n > 1 else [1.0]
        for at, n in ((x, columns), (y, rows))
    ]
    np.testing.assert_allclose(gains, np.outer(along[1], along[0]).ravel(), atol=1e-5)
    for index, group in enumerate(groups):
        (path,) = {PurePosixPath(sample.attrib["path"]).parent.name for sample in group}
        assert path == f"Pad_x{index % columns + 1}y{index // columns + 1}"


def test_a_pad_starts_as_its_bindings_would_set_it(tmp_path: Path) -> None:
    root = export(pad_instrument(columns=3, rows=2, x=0.3, y=0.6), tmp_path)
    (xy_pad,) = root.iter("xyPad")
    x, y = float(xy_pad.attrib["xValue"]), float(xy_pad.attrib["yValue"])
    assert (x, y) == (0.3, 0.6)
    tags = {tag.attrib["name"]: float(tag.attrib["volume"]) for tag in root.iter("tag")}
    for index, group in enumerate(root.iter("group")):
        tag = group.attrib["tags"]
        at_start = float(group.attrib["volume"]) * tags[tag]
        assert at_start == pytest.approx(gain(xy_pad, index, tag, x, y), abs=1e-5)


def test_midi_moves_the_pad(tmp_path: Path) -> None:
    root = export(pad_instrument(), tmp_path)
    controls = root.find("ui/tab")
    assert controls is not None
    found = {}
    for cc in root.iter("cc"):
        (binding,) = cc
        assert controls[int(binding.attrib["position"])].tag == "xyPad"
        assert (binding.get("type"), binding.get("level")) == ("control", "ui")
        found[cc.attrib["number"]] = binding.attrib["parameter"]
    assert found == {"16": "X_VALUE", "17": "Y_VALUE"}


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name.strip()])
@pytest.mark.parametrize("pad", [False, True])
def test_hostile_names_give_whole_presets(tmp_path: Path, name: str, pad: bool) -> None:
    made = pad_instrument(name, 2, 1, [60]) if pad else sine_instrument(name, [60])
    export(made, tmp_path)
    files = export_instrument(made, ["dslibrary"], tmp_path)
    with zipfile.ZipFile(files[0]) as library:
        ET.fromstring(library.read("DSLibraryInfo.xml"))


def test_where_it_comes_from_is_kept_as_comments(tmp_path: Path) -> None:
    made = sine_instrument(notes=[60])
    hostile = Instrument(
        name="Bell --> <x/>",
        sample_rate=made.sample_rate,
        regions=made.regions,
        provenance={"model": "toy", "sources": "a--b---\n-->", "\x00": "\udcff"},
    )
    export(hostile, tmp_path)
    text = next(tmp_path.glob("*.dspreset")).read_text("utf-8")
    assert "<!-- model: toy -->" in text
    assert "<!-- sources: a- -b- - - - -> -->" in text
    export(pad_instrument("Other"), tmp_path)
    text = (tmp_path / "Other.dspreset").read_text("utf-8")
    assert text.count("<!-- model: toy -->") == 1
    assert all(f"<!-- weights: point {index} -->" in text for index in range(4))


@pytest.mark.parametrize("pad", [False, True])
def test_a_library_holds_what_the_folder_holds(tmp_path: Path, pad: bool) -> None:
    made = pad_instrument("Bell", 3, 2) if pad else layered_instrument("Bell")
    folder = tmp_path / "folder"
    export(made, folder)
    (library,) = export_instrument(made, ["dslibrary"], tmp_path / "library")
    assert library.name == "Bell.dslibrary"
    with zipfile.ZipFile(library) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        members = {name: archive.read(name) for name in archive.namelist()}
    info = ET.fromstring(members.pop("DSLibraryInfo.xml"))
    assert (info.tag, info.get("name")) == ("DecentSamplerLibraryInfo", "Bell")
    assert members == {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    for name, data in members.items():
        if name.endswith(".wav"):
            assert soundfile.info(io.BytesIO(data)).subtype == "PCM_24"
    (again,) = export_instrument(made, ["dslibrary"], tmp_path / "again")
    assert again.read_bytes() == library.read_bytes()


def test_a_wrong_case_is_noticed_by_these_tests(tmp_path: Path) -> None:
    root = export(sine_instrument(notes=[60]), tmp_path)
    (sample,) = root.iter("sample")
    sample.set("path", sample.attrib["path"].upper())
    with pytest.raises(AssertionError):
        check_sample(sample, tmp_path)
