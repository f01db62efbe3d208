"""No fault while files are written leaves half an instrument: for every format, at every file."""

from __future__ import annotations

import errno
import os
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

import core.export.files
from core.errors import ExportError, RenderCancelled
from core.export.base import FORMATS, export_instrument
from core.instrument import Envelope, Instrument, PadInstrument, Region
from tests.core.export.instruments import SAMPLE_RATE, snapshot

NAME = "Bell"


class Disk:
    """Stands in for ``open``: all files together take so many bytes, then writing fails.

    Args:
        capacity: Bytes; None for a disk without end.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.written = 0
        self.starts: list[int] = []
        """Bytes written before each file was opened."""

    def __call__(self, path: Path, mode: str) -> Any:
        self.starts.append(self.written)
        return FileOnDisk(self, path.open(mode))  # type: ignore[arg-type]


class FileOnDisk:
    def __init__(self, disk: Disk, file: BinaryIO) -> None:
        self._disk = disk
        self._file = file

    def __enter__(self) -> FileOnDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> int:
        disk = self._disk
        if disk.capacity is not None and disk.written + len(data) > disk.capacity:
            self._file.write(data[: max(0, disk.capacity - disk.written)])
            disk.written = disk.capacity
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        disk.written += len(data)
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def small_instrument(level: float) -> Instrument:
    """One key with two alternatives, a few frames each."""
    regions = tuple(
        Region(
            root_note=60,
            low_key=0,
            high_key=127,
            round_robin=turn,
            samples=np.full((1, 60), level, np.float32),
        )
        for turn in (1, 2)
    )
    return Instrument(
        name=NAME,
        sample_rate=SAMPLE_RATE,
        regions=regions,
        envelope=Envelope(attack_s=0.1),
        provenance={"level": f"{level:g}"},
    )


def small_pad(level: float) -> PadInstrument:
    points = (small_instrument(level), small_instrument(0.8 * level))
    return PadInstrument(name=NAME, columns=2, rows=1, points=points)


CASES = [*(([name], True) for name in FORMATS), (list(FORMATS), True), (list(FORMATS), False)]
each_case = pytest.mark.parametrize(
    ("formats", "replacing"),
    CASES,
    ids=[f"{'+'.join(names)}-{'replacing' if again else 'new'}" for names, again in CASES],
)


@pytest.fixture(autouse=True)
def quick_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk proves nothing here and takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(params=[small_instrument, small_pad], ids=["instrument", "pad"])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def prepared(out: Path, make: Any, formats: list[str], replacing: bool) -> dict[str, bytes | None]:
    """The state before: nothing, or an older instrument with somebody's notes beside it."""
    if replacing:
        export_instrument(make(0.25), formats, out)
        (out / "notes.txt").write_text("mine")
    return snapshot(out.parent)


@each_case
def test_a_write_that_fails_at_any_byte_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formats: list[str], make: Any, replacing: bool
) -> None:
    endless = Disk()
    monkeypatch.setattr(core.export.files, "open", endless, raising=False)
    export_instrument(make(0.5), formats, tmp_path / "whole")
    whole, n_bytes, starts = snapshot(tmp_path / "whole"), endless.written, endless.starts[:]

    out = tmp_path / "somewhere" / "out"
    out.parent.mkdir()
    before = prepared(out, make, formats, replacing)
    capacities = set()
    for start, end in pairwise([*starts, n_bytes]):
        capacities |= {start, start + 1, (start + end) // 2, end - 1}
    for capacity in sorted(capacities):
        disk = Disk(capacity)
        monkeypatch.setattr(core.export.files, "open", disk)
        with pytest.raises(ExportError, match="No space left on device"):
            export_instrument(make(0.5), formats, out, force=replacing)
        assert disk.written == capacity
        assert snapshot(out.parent) == before, f"after {capacity} bytes"

    monkeypatch.setattr(core.export.files, "open", Disk(n_bytes))
    export_instrument(make(0.5), formats, out, force=replacing)
    after = snapshot(out)
    assert after.pop("notes.txt", None) == (b"mine" if replacing else None)
    assert after == whole


@each_case
def test_a_cancel_at_any_step_leaves_the_old_state(
    tmp_path: Path, formats: list[str], make: Any, replacing: bool
) -> None:
    out = tmp_path / "out"
    before = prepared(out, make, formats, replacing)
    n_steps = len(formats) * {small_instrument: 2, small_pad: 4}[make]
    for last in range(1, n_steps + 1):
        cancel = threading.Event()
        seen: list[tuple[int, int]] = []

        def progress(*call: int, cancel: Any = cancel, seen: Any = seen, last: int = last) -> None:
            seen.append(call)
            if len(seen) == last:
                cancel.set()

        with pytest.raises(RenderCancelled, match=NAME):
            export_instrument(
                make(0.5), formats, out, force=replacing, progress=progress, cancel=cancel
            )
        assert seen == [(done, n_steps) for done in range(1, last + 1)]
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", FORMATS)
def test_a_disk_that_loses_what_it_took_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Any
) -> None:
    out = tmp_path / "out"
    before = prepared(out, make, [name], replacing=True)
    count = 0

    def fail_at(number: int) -> None:
        def fsync(descriptor: int) -> None:
            nonlocal count
            count += 1
            if count == number:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fsync", fsync)

    fail_at(0)
    export_instrument(make(0.5), [name], tmp_path / "whole")
    n_files = count
    assert n_files == sum(path.is_file() for path in (tmp_path / "whole").rglob("*"))
    for number in range(1, n_files + 1):
        count = 0
        fail_at(number)
        with pytest.raises(ExportError, match="Input/output error"):
            export_instrument(make(0.5), [name], out, force=True)
        assert {key: value for key, value in snapshot(tmp_path).items() if "whole" not in key} == (
            before
        )
