from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

import core.export
import core.export.files
from core.errors import ExportError, ParameterError, RenderCancelled
from core.export.base import (
    FORMATS,
    Exporter,
    check_export,
    choose_formats,
    export_instrument,
    find_formats,
    openable,
)
from core.instrument import Instrument, PadInstrument
from tests.core.export.instruments import (
    HOSTILE_NAMES,
    layered_instrument,
    pad_instrument,
    sine_instrument,
    snapshot,
)
from tests.core.export.test_files import FullDisk


def test_every_format_is_an_exporter_under_its_own_name() -> None:
    assert {"decentsampler", "dslibrary", "sfz", "wav"} <= set(FORMATS)
    for name, exporter in FORMATS.items():
        assert isinstance(exporter, Exporter)
        assert exporter.name == name
        assert exporter.summary


def test_a_new_file_in_the_package_is_a_new_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "newformat.py").write_text("class X:\n    name = 'new'\nEXPORTER = X()\n")
    monkeypatch.setattr(core.export, "__path__", [*core.export.__path__, str(tmp_path)])
    assert set(find_formats()) == {*FORMATS, "new"}


def test_unknown_formats_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"'sf9' is unknown; known are .*sfz.*wav"):
        choose_formats(["sfz", "sf9"])
    with pytest.raises(ParameterError, match="No format"):
        choose_formats([])


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name.strip()])
@pytest.mark.parametrize("pad", [False, True])
def test_file_names_are_safe_whatever_the_instrument_is_called(
    tmp_path: Path, name: str, pad: bool
) -> None:
    made = pad_instrument(name, 2, 1, [61]) if pad else sine_instrument(name, [61])
    files = export_instrument(made, list(FORMATS), tmp_path)
    assert sum(file.suffix == ".wav" for file in files) == (2 if pad else 1)
    for file in files:
        assert len(file.name) <= 60
        assert file.relative_to(tmp_path).as_posix().isascii()
    for entry in openable(made.name, list(FORMATS)):
        assert (tmp_path / entry).exists()


def test_formats_share_their_samples(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    files = export_instrument(
        sine_instrument(), ["wav", "sfz"], tmp_path, progress=lambda *call: calls.append(call)
    )
    assert len(files) == 4
    assert calls == [(done, 6) for done in range(1, 7)]


@pytest.mark.parametrize("name", FORMATS)
def test_pads_are_written_with_a_step_for_each_region(tmp_path: Path, name: str) -> None:
    pad = pad_instrument("Pad", 2, 3, [48, 72])
    calls: list[tuple[int, int]] = []
    files = export_instrument(pad, [name], tmp_path, progress=lambda *call: calls.append(call))
    assert calls == [(done, 12) for done in range(1, 13)]
    assert {file.relative_to(tmp_path).parts[0] for file in files} == set(
        FORMATS[name].entries("Pad")
    )


def test_what_is_in_the_way_is_found_before_rendering(tmp_path: Path) -> None:
    instrument = sine_instrument("My Bell")
    check_export(instrument.name, ["sfz"], tmp_path, force=False)
    export_instrument(instrument, ["sfz"], tmp_path)
    with pytest.raises(ExportError, match=r"My Bell.*exists.*have it replaced"):
        check_export(instrument.name, ["sfz"], tmp_path, force=False)
    check_export(instrument.name, ["sfz"], tmp_path, force=True)


def test_exporting_again_with_force_gives_the_same_files(tmp_path: Path) -> None:
    export_instrument(sine_instrument(), ["sfz"], tmp_path)
    before = snapshot(tmp_path)
    export_instrument(sine_instrument(), ["sfz"], tmp_path, force=True)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("make", [layered_instrument, pad_instrument])
def test_equal_instruments_give_equal_files(
    tmp_path: Path, name: str, make: Callable[[], Instrument | PadInstrument]
) -> None:
    for folder in ("a", "b"):
        export_instrument(make(), [name], tmp_path / folder)
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


@pytest.mark.parametrize("after", [1, 3])
def test_a_cancelled_export_leaves_nothing(tmp_path: Path, after: int) -> None:
    cancel = threading.Event()

    def progress(done: int, total: int) -> None:
        if done == after:
            cancel.set()

    with pytest.raises(RenderCancelled, match="Sine"):
        export_instrument(
            sine_instrument(), ["sfz"], tmp_path / "out", progress=progress, cancel=cancel
        )
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("force", [False, True])
def test_a_disk_that_fills_up_never_leaves_half_an_instrument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, force: bool
) -> None:
    sizes = [
        file.stat().st_size
        for file in export_instrument(sine_instrument(), ["sfz"], tmp_path / "whole")
    ]
    if force:
        export_instrument(sine_instrument(notes=[60]), ["sfz"], tmp_path / "out")
    before = snapshot(tmp_path)
    disk = FullDisk(int(sum(sizes) * share))
    monkeypatch.setattr(core.export.files, "open", disk, raising=False)
    with pytest.raises(ExportError, match="No space left on device"):
        export_instrument(sine_instrument(), ["sfz"], tmp_path / "out", force=force)
    assert snapshot(tmp_path) == before


def test_a_killed_export_leaves_the_old_instrument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state at each moment is whole: what a kill would leave is what a reader sees."""
    export_instrument(sine_instrument(notes=[60]), ["sfz"], tmp_path)
    old = snapshot(tmp_path)

    def look(done: int, total: int) -> None:
        seen = {k: v for k, v in snapshot(tmp_path).items() if not k.startswith(".")}
        assert seen == old

    export_instrument(sine_instrument(), ["sfz"], tmp_path, force=True, progress=look)
    assert len(list(tmp_path.rglob("*.wav"))) == 3
    assert all(soundfile.info(path).frames for path in tmp_path.rglob("*.wav"))


def test_exporters_are_called_with_a_step_for_each_region(tmp_path: Path) -> None:
    for exporter in FORMATS.values():
        steps: list[int] = []
        record: Callable[[], None] = lambda steps=steps: steps.append(1)  # noqa: E731
        folder = tmp_path / exporter.name
        folder.mkdir()
        exporter.write(sine_instrument(), "Sine", folder, record)
        assert len(steps) == 3
        assert {path.name for path in folder.iterdir()} == set(exporter.entries("Sine"))
