from __future__ import annotations

import errno
import os
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import core.export.files
from core.errors import ExportError, RenderCancelled
from core.export.files import (
    check_destination,
    one_line,
    point_stem,
    publish,
    safe_stem,
    write_file,
    write_zip,
)
from tests.core.export.instruments import HOSTILE_NAMES, snapshot

WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]) *(\..*)?", re.IGNORECASE)


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


def check_stem(name: str) -> None:
    stem = safe_stem(name)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,31}", stem)
    assert stem[-1] not in ". "
    assert "  " not in stem
    assert not WINDOWS_DEVICE.fullmatch(stem)
    assert safe_stem(stem) == stem
    assert len(point_stem(stem, 4, 4) + "_000_Cs-1_v127_r16.flac") <= 60


@given(st.text(max_size=80))
@example("con_")
@example("con ._")
@example("con." + 28 * "a")
@example("con." + 26 * "a" + " b")
def test_stems_suit_every_file_system(name: str) -> None:
    check_stem(name)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_stems_of_hostile_names_do_too(name: str) -> None:
    check_stem(name)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Bell", "Bell"),
        ("Bell 2.wav-x_y", "Bell 2.wav-x_y"),
        ("C#4", "Cs4"),
        ("Flügel", "Flugel"),
        ("Track #3", "Track _3"),
        ("a   b", "a b"),
        ("*star", "star"),
        ("-rf", "rf"),
        ("🎹", "instrument"),
        ("", "instrument"),
        ("CON", "xCON"),
        ("nul.wav", "xnul.wav"),
        ("COM¹", "xCOM1"),
        ("con_", "xcon"),
        ("a/b", "a_b"),
        ("x" * 200, "x" * 32),
    ],
)
def test_stems_stay_readable(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


@given(st.text(alphabet=st.characters(), max_size=60))
@example("\udcff a\u2028b\ufffe\x00")
def test_one_line_is_one_line_for_everybody(text: str) -> None:
    line = one_line(text)
    assert line.encode("utf-8").decode("utf-8").splitlines() in ([line], [])
    assert ET.fromstring(f"<x>{escape(line)}</x>").text in (line, None)
    assert one_line(line) == line


def test_one_line_keeps_what_can_be_read() -> None:
    assert one_line("  Flügel\n 日本\t🎹 ") == "Flügel 日本 🎹"


def test_archives_are_equal_for_equal_members(tmp_path: Path) -> None:
    members = [("Bell/a.wav", b"abc" * 1000), ("Bell.dspreset", b"<x/>")]
    write_zip(tmp_path / "one.zip", members)
    write_zip(tmp_path / "two.zip", iter(members))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == members
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.file_size == info.compress_size
            assert not info.flag_bits & 0x08  # sizes stand before the data, for simple readers


def test_archives_are_written_member_by_member(tmp_path: Path) -> None:
    sizes = []

    def members() -> Iterator[tuple[str, bytes]]:
        for number in range(3):
            sizes.append((tmp_path / "x.zip").stat().st_size)
            yield f"{number}", bytes(100_000)

    write_zip(tmp_path / "x.zip", members())
    assert sizes[0] == 0
    assert sizes[2] > 190_000


def two_files(folder: Path) -> None:
    write_file(folder / "Bell" / "a.wav", [b"new a", b"!"])
    write_file(folder / "Bell.sfz", [b"new sfz"])


ENTRIES = ("Bell", "Bell.sfz")


def test_files_appear_with_their_parents_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "x" / "y"
    files = publish(out, ENTRIES, two_files, force=False)
    assert files == [out / "Bell" / "a.wav", out / "Bell.sfz"]
    assert snapshot(tmp_path) == {
        "x": None,
        "x/y": None,
        "x/y/Bell": None,
        "x/y/Bell/a.wav": b"new a!",
        "x/y/Bell.sfz": b"new sfz",
    }
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
    with pytest.raises(ExportError, match=r"a\.wav exists; .*have it replaced"):
        publish(tmp_path, ENTRIES, two_files, force=False)
    assert snapshot(tmp_path) == before


def test_force_replaces_only_what_is_written(tmp_path: Path) -> None:
    old_state(tmp_path)
    publish(tmp_path, ENTRIES, two_files, force=True)
    assert snapshot(tmp_path) == {
        "Bell": None,
        "Bell/a.wav": b"new a!",
        "Bell/mine.wav": b"mine",
        "Bell.sfz": b"new sfz",
    }


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
