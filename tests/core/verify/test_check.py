"""Verification can fail: every fault is planted, in every format, and must be named."""

from __future__ import annotations

import shutil
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.errors import AudioFileError, ParameterError, RenderCancelled
from core.export.base import FORMATS, export_instrument, openable
from core.export.wav import wav_bytes
from core.instrument import Instrument, Loop, PadInstrument, Region, tile_zones
from core.verify.check import find_instruments, verify_files
from core.verify.report import FileReport
from tests.core.export.instruments import (
    SAMPLE_RATE,
    layered_instrument,
    pad_instrument,
    sine_instrument,
    sine_region,
)

NOTES = (60, 62, 64, 66, 68)
BAD = 64
Fault = Callable[[Region], Region]


def steady_instrument(fault: Fault | None = None) -> Instrument:
    """Five even notes, that of :data:`BAD` as the fault leaves it."""
    regions = [
        sine_region(note, low, high)
        for note, (low, high) in zip(NOTES, tile_zones(NOTES), strict=True)
    ]
    if fault is not None:
        regions = [fault(r) if r.root_note == BAD else r for r in regions]
    return Instrument(name="Steady", sample_rate=SAMPLE_RATE, regions=tuple(regions))


def export(instrument: Instrument | PadInstrument, kind: str, out: Path) -> Path:
    export_instrument(instrument, [kind], out)
    return out / openable(instrument.name, [kind])[0]


def verify(path: Path) -> FileReport:
    (report,) = verify_files([path]).files
    return report


def detune(region: Region) -> Region:
    other = sine_region(BAD + 0.3, 0, 127)  # type: ignore[arg-type]
    return replace(region, samples=other.samples, loop=other.loop)


def shift_an_octave_less_a_semitone(region: Region) -> Region:
    other = sine_region(BAD - 11, 0, 127)
    return replace(region, samples=other.samples, loop=other.loop)


def silence(region: Region) -> Region:
    return replace(region, samples=region.samples * np.float32(1e-4))


def clip(region: Region) -> Region:
    return replace(region, samples=np.clip(4 * region.samples, -1, 1))


def click(region: Region) -> Region:
    assert region.loop is not None
    period = SAMPLE_RATE / (440 * 2 ** ((BAD - 69) / 12))
    loop = Loop(start=region.loop.start, end=region.loop.end + round(period / 2))
    return replace(region, loop=loop)


def amplify(region: Region) -> Region:
    return replace(region, samples=region.samples * np.float32(1.34))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sound_instrument_is_green(tmp_path: Path, kind: str) -> None:
    report = verify(export(steady_instrument(), kind, tmp_path))
    assert report.red == ()
    assert {row.key for row in report.rows} == set(NOTES)
    assert all(row.cents is not None and abs(row.cents) < 0.5 for row in report.rows)
    assert report.opened_by[0] == "libsndfile"
    players = {"sfz": {"pysfizz"}, "sf2": {"fluidsynth", "tinysoundfont"}}.get(kind, set())
    assert players <= {row.engine for row in report.rows}
    if kind in ("bitwig", "decentsampler", "dslibrary"):
        assert "nothing was played" in report.notes[0]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (detune, "30.0 cents sharp (5 allowed)"),
        (shift_an_octave_less_a_semitone, "cents flat"),
        (silence, "silent"),
        (clip, "clipped"),
        (click, "clicks at the loop"),
        (amplify, "2.5 dB from its neighbours (1 allowed)"),
    ],
)
def test_a_planted_fault_is_named_with_its_key(
    tmp_path: Path, kind: str, fault: Fault, says: str
) -> None:
    report = verify(export(steady_instrument(fault), kind, tmp_path))
    named = [row for row in report.rows if row.faults]
    assert {row.key for row in named} == {BAD}
    assert any(says in sentence for sentence in report.red), report.red
    assert not report.is_green
    if fault is not clip and fault is not click:
        assert {row.engine for row in named} == {row.engine for row in report.rows}


def test_layers_turns_and_pads_are_verified_whole(tmp_path: Path) -> None:
    notes = (60, 62)
    layers = verify(export(layered_instrument(notes=notes, layers=3), "sfz", tmp_path / "a"))
    assert len([row for row in layers.rows if row.engine == "libsndfile"]) == 12
    assert {row.velocity for row in layers.rows} == {42, 85, 100}
    assert layers.faults == ()
    for kind in ("sfz", "sf2", "bitwig", "dslibrary", "wav"):
        pad = verify(export(pad_instrument(notes=notes), kind, tmp_path / kind))
        assert pad.faults == ()
        assert len({row.place for row in pad.rows}) == 4
        heard = {
            row.place: row.cents for row in pad.rows if row.key == 60 and row.engine != "libsndfile"
        }
        for cents in heard.values():  # the partial tells the point; its octave is no fault
            assert cents is not None


def test_a_missing_sample_is_named(tmp_path: Path) -> None:
    for kind in ("sfz", "decentsampler"):
        path = export(steady_instrument(), kind, tmp_path / kind)
        sample = next(path.parent.rglob("*_064_*.wav"))
        sample.unlink()
        assert f"'Steady/{sample.name}' is missing." in verify(path).faults


def test_a_path_in_the_wrong_case_is_named(tmp_path: Path) -> None:
    for kind in ("sfz", "decentsampler"):
        path = export(steady_instrument(), kind, tmp_path / kind)
        (path.parent / "Steady").rename(path.parent / "steady")
        assert any("is called 'steady' on the disk" in fault for fault in verify(path).faults)


@pytest.mark.parametrize("kind", ["sf2", "bitwig", "dslibrary"])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.99])
def test_a_cut_off_file_is_named(tmp_path: Path, kind: str, share: float) -> None:
    path = export(steady_instrument(), kind, tmp_path)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(share * len(contents))])
    report = verify(path)
    assert report.rows == ()
    assert "cut off" in report.faults[0] or "is no" in report.faults[0]


def test_a_cut_off_sample_is_named(tmp_path: Path) -> None:
    for kind in ("sfz", "wav", "flac"):
        path = export(steady_instrument(), kind, tmp_path / kind)
        sample = next(p for p in (tmp_path / kind).rglob("*_064_*") if p.is_file())
        sample.write_bytes(sample.read_bytes()[: sample.stat().st_size // 2])
        faults = verify(path).faults
        assert any(sample.name in fault for fault in faults), faults


def test_values_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    path = export(steady_instrument(), "sfz", tmp_path)
    sample = next(tmp_path.rglob("*_064_*.wav"))
    samples, rate = soundfile.read(sample, dtype="float32")
    samples[100] = np.nan
    soundfile.write(sample, samples, rate, "FLOAT")
    assert any("no numbers" in sentence and "key 64" in sentence for sentence in verify(path).red)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("hikey=65", "hikey=64", "Keys 65 are answered by no recording."),
        ("hikey=65", "hikey=66", "Keys 66 are answered by several recordings at once."),
        ("hikey=65", "hikey=200", "outside 0-127"),
        ("pitch_keycenter=64", "pitch_keycenter=63", "cents sharp"),
        ("pitch_keycenter=64", "pitch_keycenter=64 tune=20", "cents sharp"),
        ("sample=Steady/Steady_064_E4.wav", "sample=../Steady_064_E4.wav", "leads out of"),
        ("sample=Steady/Steady_064_E4.wav", "sample=/etc/passwd", "leads out of"),
        ("lokey=64", '\n#include "x.sfz" lokey=64', "not followed"),
    ],
)
def test_a_wrong_map_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = export(steady_instrument(), "sfz", tmp_path)
    before, found, after = path.read_text().partition("sample=Steady/Steady_064_E4.wav")
    region, newline, rest = f"{found}{after}".partition("\n")
    assert old in region
    path.write_text(f"{before}{region.replace(old, new)}{newline}{rest}")
    red = verify(path).red
    assert any(says in sentence for sentence in red), red


def test_softer_harder_touches_are_named(tmp_path: Path) -> None:
    soft, loud = (
        replace(sine_region(60, 0, 127, low_velocity=low, high_velocity=high, peak=peak))
        for low, high, peak in ((1, 64, 0.9), (65, 127, 0.1))
    )
    instrument = Instrument(name="Wrong", sample_rate=SAMPLE_RATE, regions=(soft, loud))
    for kind in ("sfz", "sf2"):
        faults = verify(export(instrument, kind, tmp_path / kind)).faults
        assert any("quieter at velocity 65 than at 64" in fault for fault in faults), faults


def test_a_schema_that_is_broken_is_named(tmp_path: Path) -> None:
    path = export(steady_instrument(), "bitwig", tmp_path)
    broken = path.with_name("broken.multisample")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(broken, "w") as new:
        for member in old.infolist():
            data = old.read(member).replace(b'mode="loop"', b'mode="round"')
            new.writestr(member.filename, data)
    assert any("breaks the schema" in fault for fault in verify(broken).faults)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<DecentSampler>&b;</DecentSampler>"
)


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("a.multisample", {"multisample.xml": BOMB}),
        ("a.dslibrary", {"a.dspreset": BOMB}),
        ("a.multisample", {"../../evil.wav": ""}),
        ("a.multisample", {"/etc/evil.wav": ""}),
        ("a.dslibrary", {"nothing.txt": ""}),
        (
            "a.multisample",
            {"multisample.xml": "<multisample name='x'><sample file='a.wav'/></multisample>"},
        ),
        (
            "a.multisample",
            {
                "multisample.xml": "<multisample name='x'><sample file='a.wav'>"
                "<key root='nan'/></sample></multisample>"
            },
        ),
        (
            "a.dslibrary",
            {
                "a.dspreset": "<DecentSampler><groups><group>"
                "<sample path='../a.wav' rootNote='x'/></group></groups></DecentSampler>"
            },
        ),
    ],
)
def test_hostile_archives_are_refused(tmp_path: Path, name: str, members: dict[str, str]) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    report = verify(tmp_path / name)
    assert report.rows == ()
    assert len(report.faults) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_damaged_soundfonts_never_raise(tmp_path: Path) -> None:
    """Random bytes in the tables give a report, whatever it says."""
    path = export(steady_instrument(), "sf2", tmp_path)
    contents = bytearray(path.read_bytes())
    tables = contents.rindex(b"pdta")
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(contents)
        for place in rng.integers(tables, len(contents), 4):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        verify_files([path], engines=[])


def test_missing_engines_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(steady_instrument(), "sfz", tmp_path)
    monkeypatch.setitem(sys.modules, "pysfizz", None)
    report = verify(path)
    assert report.is_green
    assert any(
        "pysfizz is not installed" in note and "pip install" in note for note in report.notes
    )
    assert {row.engine for row in report.rows} == {"libsndfile"}


def test_engines_can_be_chosen(tmp_path: Path) -> None:
    path = export(steady_instrument(), "sf2", tmp_path)
    (report,) = verify_files([path], engines=["tinysoundfont"]).files
    assert {row.engine for row in report.rows} == {"libsndfile", "tinysoundfont"}
    with pytest.raises(ParameterError, match="unknown"):
        verify_files([path], engines=["nosuch"])


def test_folders_stand_for_what_they_hold(tmp_path: Path) -> None:
    export_instrument(steady_instrument(), list(FORMATS), tmp_path)
    found = [path.suffix for path in find_instruments(tmp_path)]
    assert found == [".dslibrary", ".dspreset", ".multisample", ".sf2", ".sfz"]
    assert find_instruments(tmp_path / "Steady") == [tmp_path / "Steady"]
    (tmp_path / "none").mkdir()
    for path in (tmp_path / "none", tmp_path / "missing.sfz", Path(__file__)):
        with pytest.raises(AudioFileError):
            find_instruments(path)


def test_wavs_are_told_by_their_chunks_or_names(tmp_path: Path) -> None:
    for region in steady_instrument().regions:
        (tmp_path / f"x{region.root_note}.wav").write_bytes(wav_bytes(region, SAMPLE_RATE, {}))
        soundfile.write(tmp_path / f"plain_{region.root_note}.wav", region.samples.T, SAMPLE_RATE)
    soundfile.write(tmp_path / "nameless.wav", np.zeros(100), SAMPLE_RATE)
    report = verify(tmp_path)
    assert "'nameless.wav' tells no root note" in report.notes[0]
    assert len(report.rows) == 10


def test_progress_and_cancel(tmp_path: Path) -> None:
    path = export(steady_instrument(), "sf2", tmp_path)
    seen: list[tuple[int, int]] = []
    verify_files([path], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n + 1, 15) for n in range(15)]
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(RenderCancelled):
        verify_files([path], cancel=cancel)


def test_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    path = export(sine_instrument(), "sfz", tmp_path)
    before = sorted(tmp_path.rglob("*"))
    verify_files([path])
    assert sorted(tmp_path.rglob("*")) == before
    shutil.rmtree(tmp_path)
