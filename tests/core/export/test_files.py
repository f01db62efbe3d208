from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import core.export.files
from core.errors import ExportError, RenderCancelled
from core.export.files import check_destination, publish, safe_stem, write_file
from tests.core.export.instruments import snapshot

HOSTILE_NAMES = (
    "C#4 Bell", 'He said "hi"', "Flügelhörner", "*star", "-rf", "../../etc/passwd", "a/b\\c:d",
    "CON", "nul.wav", "com7", "🎹🎺", "🎹 piano", "x" * 200, "dots...", " spaces ", "", "\n\t", "a=b $c",
    "日本語", "%s{}", "<region>",
)  # fmt: skip


class FullDisk:
    """Stands in for ``open``: all files together hold no more than so many bytes."""

    def __init__(self, capacity: int) -> None:
        self.left = capacity

    def __call__(self, path: Path, mode: str) -> Any:
        disk = self
        file: BinaryIO = path.open(mode)  # type: ignore[assignment]

        class File:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: bytes) -> None:
                file.write(data[: disk.left])
                disk.left -= len(data)
                if disk.left < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

        return File()


@given(st.text(max_size=80))
@example("C#4")
@example("CON")
@example("x" * 200)
def test_stems_suit_every_file_system(name: str) -> None:
    stem = safe_stem(name)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,39}", stem)
    assert stem[-1] not in ". "
    assert stem.split(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}
    assert safe_stem(stem) == stem


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Bell", "Bell"), ("Bell 2.wav-x_y", "Bell 2.wav-x_y"), ("C#4", "Cs4"), ("Flügel", "Flugel"),
        ("*star", "star"), ("-rf", "rf"), ("🎹", "instrument"), ("", "instrument"), ("CON", "xCON"),
        ("nul.wav", "xnul.wav"), ("a/b", "a_b"),
    ],
)  # fmt: skip
def test_stems_stay_readable(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


def two_files(folder: Path) -> None:
    write_file(folder / "Bell" / "a.wav", [b"new a", b"!"])
    write_file(folder / "Bell.sfz", [b"new sfz"])


ENTRIES = ("Bell", "Bell.sfz")


def test_files_appear_with_their_parents_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "x" / "y"
    files = publish(out, ENTRIES, two_files, force=False)
    assert files == [out / "Bell" / "a.wav", out / "Bell.sfz"]
    assert snapshot(tmp_path) == {
        "x": None, "x/y": None, "x/y/Bell": None, "x/y/Bell/a.wav": b"new a!",
        "x/y/Bell.sfz": b"new sfz",
    }  # fmt: skip
    mode = out.stat().st_mode
    (tmp_path / "plain").mkdir()
    assert mode == (tmp_path / "plain").stat().st_mode


def test_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    publish(tmp_path, ENTRIES, two_files, force=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert sorted(snapshot(tmp_path)) == ["Bell", "Bell.sfz", "Bell/a.wav", "notes.txt"]


def old_state(out: Path) -> None:
    (out / "Bell").mkdir(parents=True)
    (out / "Bell" / "a.wav").write_bytes(b"old a")
    (out / "Bell" / "mine.wav").write_bytes(b"mine")
    (out / "Bell.sfz").write_bytes(b"old sfz")


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    old_state(tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(ExportError, match=r"a\.wav exists; .*--force"):
        publish(tmp_path, ENTRIES, two_files, force=False)
    assert snapshot(tmp_path) == before


def test_force_replaces_only_what_is_written(tmp_path: Path) -> None:
    old_state(tmp_path)
    publish(tmp_path, ENTRIES, two_files, force=True)
    assert snapshot(tmp_path) == {
        "Bell": None, "Bell/a.wav": b"new a!", "Bell/mine.wav": b"mine", "Bell.sfz": b"new sfz",
    }  # fmt: skip


@pytest.mark.parametrize("capacity", range(0, 14))
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capacity: int, existing: bool
) -> None:
    out = tmp_path / "deep" / "out"
    if existing:
        old_state(out)
    before = snapshot(tmp_path)
    monkeypatch.setattr(core.export.files, "open", FullDisk(capacity), raising=False)
    if capacity < 13:
        with pytest.raises(ExportError, match="No space left on device"):
            publish(out, ENTRIES, two_files, force=True)
        assert snapshot(tmp_path) == before
    else:
        publish(out, ENTRIES, two_files, force=True)
        assert (out / "Bell.sfz").read_bytes() == b"new sfz"


@pytest.mark.parametrize("failing", range(1, 6))
def test_a_failing_rename_puts_the_old_files_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    old_state(tmp_path)
    before = snapshot(tmp_path)
    real, calls = Path.rename, iter(range(1, 100))

    def rename(self: Path, target: Path) -> Path:
        if next(calls) == failing:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    if failing <= 4:  # two old files out, two new files in
        with pytest.raises(ExportError, match="Input/output error"):
            publish(tmp_path, ENTRIES, two_files, force=True)
        assert snapshot(tmp_path) == before
    else:
        publish(tmp_path, ENTRIES, two_files, force=True)


@pytest.mark.parametrize("error", [RenderCancelled("stop"), KeyboardInterrupt(), ValueError("bug")])
def test_whatever_stops_the_writing_is_cleaned_up(tmp_path: Path, error: BaseException) -> None:
    def write(folder: Path) -> None:
        two_files(folder)
        raise error

    with pytest.raises(type(error)):
        publish(tmp_path / "a" / "b", ENTRIES, write, force=False)
    assert snapshot(tmp_path) == {}


def test_a_folder_in_the_way_of_a_file_is_kept_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "Bell.sfz").mkdir()
    (tmp_path / "Bell.sfz" / "precious").write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(ExportError, match="in the way"):
        publish(tmp_path, ENTRIES, two_files, force=True)
    assert snapshot(tmp_path) == before


def test_an_output_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ExportError, match="is a file, not a folder"):
            check_destination(out, ENTRIES, force=True)


def test_a_folder_without_write_access_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # chmod does not stop root, so the answer of the system is replaced
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ExportError, match="may not be written to"):
        check_destination(tmp_path / "new", ENTRIES, force=False)


def test_a_name_that_the_file_system_refuses_is_an_export_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot be used|cannot be made"):
        publish(tmp_path / ("x" * 300), ENTRIES, two_files, force=False)
    assert snapshot(tmp_path) == {}


def test_an_existing_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    publish(tmp_path / "link", ENTRIES, two_files, force=False)
    assert (tmp_path / "real" / "Bell.sfz").exists()


@pytest.mark.parametrize("out", [".", "build/x"])
def test_relative_folders_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    publish(Path(out), ENTRIES, two_files, force=False)
    assert (tmp_path / out / "Bell.sfz").exists()
