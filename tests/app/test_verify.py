"""The verb ``verify``: what it prints, writes and ends with."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.__main__ import main
from app.cli.console import CliError
from app.cli.verbs.verify import tell_verdict
from core.export.base import export_instrument
from core.instrument import Instrument
from core.verify.check import verify_files
from core.verify.report import uneven_keys
from core.verify.sheet import sheet_html
from tests.core.export.instruments import SAMPLE_RATE
from tests.core.verify.test_check import BAD, detune, steady_instrument


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """An instrument as SFZ and SoundFont."""
    export_instrument(steady_instrument(), ["sfz", "sf2"], tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """An instrument as SFZ and SoundFont with one key out of tune."""
    export_instrument(steady_instrument(detune), ["sfz", "sf2"], tmp_path / "bad")
    return tmp_path / "bad"


def test_green_ends_with_0_and_leaves_sheets(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(good)]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("green: 5 keys, tuning within") == 2
    assert "pysfizz" in captured.out
    assert "tinysoundfont" in captured.out
    assert "red" not in captured.out
    sheet = json.loads((good / "Steady.verify.json").read_text())
    assert sheet["green"] is True
    assert {file["path"] for file in sheet["files"]} == {"Steady.sfz", "Steady.sf2"}
    assert sheet["tolerances"]["tuning_cents"] == 5.0


def test_red_ends_with_1_and_names_the_key(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(bad / "Steady.sfz"), "--no-sheet"]) == 1
    captured = capsys.readouterr()
    assert (
        "red: key 64 (E4), velocity 100, in pysfizz: 30.0 cents sharp (5 allowed)." in captured.out
    )
    assert captured.err.strip().endswith("2 things wrong; see the lines marked red.")
    assert not list(bad.glob("*.verify.*"))


def test_json_tells_all(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(bad), "--json", "--no-sheet"]) == 1
    report = json.loads(capsys.readouterr().out)
    red = [key for file in report["files"] for key in file["keys"] if key["faults"]]
    assert {key["key"] for key in red} == {BAD}
    assert {key["engine"] for key in red} == {
        "libsndfile",
        "pysfizz",
        "fluidsynth",
        "tinysoundfont",
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.sfz"], "does not exist"),
        ([__file__], "is no instrument that can be verified"),
        ([], "PATH"),
        (["OUT", "--engine", "kontakt"], "Engine 'kontakt' is unknown"),
    ],
)
def test_bad_input_ends_with_2(
    good: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(good) if argument == "OUT" else argument for argument in arguments]
    assert main(["verify", *command]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert not list(good.glob("*.verify.*"))


class Outside(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "iframe", "object"):
            self.found.append(tag)
        self.found += [
            str(value)
            for name, value in attrs
            if name.startswith("on")
            or (name in ("src", "href") and not str(value).startswith("data:image/png"))
        ]


def test_the_sheet_needs_nothing_else_and_runs_nothing(tmp_path: Path) -> None:
    hostile = '<script>alert("x")</script>'
    regions = steady_instrument(detune).regions
    instrument = Instrument(name="x", sample_rate=SAMPLE_RATE, regions=regions)
    export_instrument(instrument, ["decentsampler"], tmp_path)
    preset = tmp_path / "x.dspreset"
    preset.write_text(
        preset.read_text().replace("x/x_064", "&lt;script&gt;alert(1)&lt;/script&gt;")
    )
    html = sheet_html(hostile, verify_files([preset]))
    outside = Outside()
    outside.feed(html)
    assert outside.found == []
    assert hostile not in html
    assert "<svg" in html
    assert "data:image/png;base64," in html
    assert re.search(r"is missing", html)


def test_the_verdict_on_an_export_is_told_with_a_sheet_beside_it(
    good: Path, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_verdict(verify_files([good / "Steady.sfz"]))
    assert (good / "Steady.verify.html").is_file()
    with pytest.raises(CliError, match="things wrong"):
        tell_verdict(verify_files([bad / "Steady.sfz"]))
    assert (bad / "Steady.verify.html").is_file()


def test_a_folder_that_cannot_be_written_to_is_named(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (good / "Steady.verify.json").mkdir()
    assert main(["verify", str(good / "Steady.sf2")]) == 1
    assert "could not be written" in capsys.readouterr().err
    assert not list(good.glob(".*"))


@pytest.mark.parametrize(
    ("levels", "uneven"),
    [
        ([0, 0, 0, 0], []),
        ([0, 0, 3, 0, 0], [2]),
        ([3, 0, 0, 0], [0]),
        ([0, 0, 0, 3], [3]),
        ([0, 3], [1]),
        ([0, 0, 3, 3, 3], [2]),
        ([0, 3, 0, 3, 0], [1, 2, 3]),
        ([5], []),
        ([0, 0.9, 1.8, 2.7], []),
    ],
)
def test_levels_that_stand_out_are_found(levels: list[float], uneven: list[int]) -> None:
    assert sorted(uneven_keys(levels, 1.0)) == uneven
