from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.models import autosave as autosave_module
from app.models.autosave import INTERVAL_S, Autosave, find_recovery, recovery_folder
from app.models.document import Document
from app.models.edits import add_source, move_cursor
from app.models.session import Session
from app.models.session_file import load_session
from core.errors import SessionFileError
from tests.app.models.sessions import CLIPS, HASHES, leave_behind

REPOSITORY = Path(__file__).resolve().parents[3]
BELL = add_source(Session(), audio_hash=HASHES[0], name="bell")

# Moves the cursor every 20 ms and says so, until it is killed.
PROGRAM = """
import sys, time
from pathlib import Path
from app.models.autosave import Autosave
from app.models.document import Document
from app.models.edits import add_source, move_cursor
from tests.app.models.sessions import CLIPS, HASHES
document = Document()
autosave = Autosave(Path(sys.argv[1]), interval_s=0.3)
autosave.start()
autosave.follow(document)
session = add_source(document.session, audio_hash=HASHES[0], name="bell")
document.edit("Import", session, clips=CLIPS)
for step in range(100_000):
    document.edit("Move", move_cursor(document.session, step / 100_000, 0.5), merge_key="cursor")
    print(step, flush=True)
    time.sleep(0.02)
"""


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def sessions_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.hgs"))


@pytest.fixture
def autosave(tmp_path: Path) -> Iterator[Autosave]:
    made = Autosave(tmp_path, interval_s=0.05)
    made.start()
    yield made
    made.close()


def test_a_killed_program_loses_no_more_than_two_intervals(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert program.stdout is not None
    for line in program.stdout:
        if int(line) == 60:
            assert find_recovery(tmp_path) is None  # it runs
            program.send_signal(signal.SIGKILL)
            break
    last = max([60, *(int(line) for line in program.stdout if line.endswith("\n"))])
    program.stdout.close()
    assert program.wait() == -signal.SIGKILL

    recovery = find_recovery(tmp_path)
    assert recovery is not None
    contents = load_session(recovery.path)
    assert contents.session.sources[0].name == "bell"
    assert contents.clips.keys() == {HASHES[0]}
    lost_s = (last - contents.session.x * 100_000) * 0.02
    assert lost_s <= 2 * 0.3 + 0.4  # and what a busy machine adds
    assert 2 * INTERVAL_S <= 10.0
    recovery.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_dirty_document_is_kept_and_a_saved_one_dropped(
    tmp_path: Path, autosave: Autosave
) -> None:
    document = Document()
    end = autosave.follow(document)
    document.edit("Import", BELL, clips=CLIPS)
    wait_for(lambda: sessions_in(tmp_path))
    document.mark_saved(tmp_path / "mine", document.session)
    wait_for(lambda: not sessions_in(tmp_path))
    document.edit("Move", move_cursor(document.session, 0.25, 0.5))
    wait_for(lambda: sessions_in(tmp_path))
    kept = load_session(sessions_in(tmp_path)[0])
    assert (kept.session, kept.origin) == (document.session, tmp_path / "mine")
    document.undo()
    wait_for(lambda: not sessions_in(tmp_path))
    end()
    document.redo()
    autosave.keep(BELL, CLIPS)  # written after, were there anything to write
    wait_for(lambda: sessions_in(tmp_path))
    assert load_session(sessions_in(tmp_path)[0]).session == BELL


def test_a_burst_is_written_twice_at_most_and_the_newest_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[float] = []
    write = autosave_module.write_session

    def record(path: Path, session: Session, *rest: Any) -> None:
        write(path, session, *rest)
        written.append(session.x)

    monkeypatch.setattr(autosave_module, "write_session", record)
    autosave = Autosave(tmp_path, interval_s=0.2)
    autosave.start()
    for step in range(100):
        autosave.keep(move_cursor(BELL, step / 100, 0.5), CLIPS)
    wait_for(lambda: 0.99 in written)
    autosave.close()
    assert len(written) <= 2


def test_callers_never_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(*arguments: object) -> None:
        started.set()
        assert go_on.wait(10.0)

    monkeypatch.setattr(autosave_module, "write_session", slow)
    autosave = Autosave(tmp_path, interval_s=0.0)
    autosave.start()
    autosave.keep(BELL, CLIPS)
    assert started.wait(10.0)
    begun_s = time.perf_counter()
    for _ in range(100):
        autosave.keep(BELL, CLIPS)
        autosave.drop()
    assert time.perf_counter() - begun_s < 1.0
    go_on.set()
    autosave.close()


def test_recordings_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode = autosave_module.encode_clip
    monkeypatch.setattr(
        autosave_module,
        "encode_clip",
        lambda key, clip: (encoded.append(key), encode(key, clip))[1],
    )
    autosave = Autosave(tmp_path, interval_s=0.0)
    autosave.start()
    autosave.keep(BELL, CLIPS)
    wait_for(lambda: sessions_in(tmp_path))
    moved = move_cursor(BELL, 0.75, 0.5)
    autosave.keep(moved, CLIPS)
    wait_for(lambda: load_session(sessions_in(tmp_path)[0]).session == moved)
    autosave.close()
    assert encoded == [HASHES[0]]


def test_a_clean_exit_leaves_nothing(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path / "new folder")
    autosave.start()
    autosave.keep(BELL, CLIPS)
    wait_for(lambda: sessions_in(tmp_path / "new folder"))
    autosave.close()
    autosave.close()
    assert list((tmp_path / "new folder").iterdir()) == []


def test_the_newest_of_several_is_offered_and_the_others_wait(tmp_path: Path) -> None:
    older = leave_behind(tmp_path, BELL)
    newer = leave_behind(tmp_path, BELL)
    os.utime(older, (1.0, 1.0))
    first = find_recovery(tmp_path)
    assert first is not None
    assert first.path == newer
    second = find_recovery(tmp_path)  # the newer is claimed
    assert second is not None
    assert (second.path, second.saved_at_s) == (older, 1.0)
    assert find_recovery(tmp_path) is None
    first.release()
    again = find_recovery(tmp_path)
    assert again is not None
    assert again.path == newer
    again.discard()
    second.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    for number in (1, 2):
        left = leave_behind(tmp_path, BELL)
        left.write_bytes(b"damaged")
        recovery = find_recovery(tmp_path)
        assert recovery is not None
        aside = recovery.set_aside()
        assert aside == tmp_path / f"unreadable session {number}.hgs"
        assert aside.read_bytes() == b"damaged"
        assert find_recovery(tmp_path) is None
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_set_aside_stays_and_is_offered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave_behind(tmp_path, BELL)
    recovery = find_recovery(tmp_path)
    assert recovery is not None

    def refuse(*arguments: object) -> Path:
        raise PermissionError

    monkeypatch.setattr(Path, "rename", refuse)
    assert recovery.set_aside() == left
    assert left.exists()
    again = find_recovery(tmp_path)
    assert again is not None
    again.release()


def test_a_running_program_is_not_offered(tmp_path: Path, autosave: Autosave) -> None:
    autosave.keep(BELL, CLIPS)
    wait_for(lambda: sessions_in(tmp_path))
    assert find_recovery(tmp_path) is None
    assert sessions_in(tmp_path)


def test_there_is_nothing_to_recover_at_first(tmp_path: Path) -> None:
    assert find_recovery(tmp_path) is None
    assert find_recovery(tmp_path / "no folder") is None


def test_the_rests_of_a_program_that_died_while_writing_are_cleared(tmp_path: Path) -> None:
    token = uuid.uuid4().hex
    (tmp_path / f"{token}.lock").touch()
    (tmp_path / f".{token}.hgs-partial-0123abcd").write_bytes(b"half")
    (tmp_path / "notes.txt").touch()
    assert find_recovery(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_adopted_session_is_kept_until_it_is_written_anew(tmp_path: Path) -> None:
    left = leave_behind(tmp_path, BELL, origin=tmp_path / "mine.hgs")
    recovery = find_recovery(tmp_path)
    assert recovery is not None
    autosave, document = Autosave(tmp_path, interval_s=0.0), Document()
    autosave.start()
    autosave.follow(document)
    document.recover(load_session(recovery.path))
    assert document.path == tmp_path / "mine.hgs"
    autosave.adopt(recovery)
    wait_for(lambda: not left.exists())
    (kept,) = sessions_in(tmp_path)
    assert load_session(kept).session == BELL
    autosave.close()
    assert list(tmp_path.iterdir()) == []


def test_failures_are_told_once_and_writing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    messages: list[str] = []
    attempts: list[int] = []

    def full(*arguments: object) -> None:
        attempts.append(1)
        raise SessionFileError("The drive is full.")

    write = autosave_module.write_session
    monkeypatch.setattr(autosave_module, "write_session", full)
    autosave = Autosave(tmp_path, interval_s=0.0, on_failure=messages.append)
    autosave.start()
    for count in (1, 2):
        autosave.keep(BELL, CLIPS)
        wait_for(lambda count=count: len(attempts) == count)
    monkeypatch.setattr(autosave_module, "write_session", write)
    autosave.keep(BELL, CLIPS)
    wait_for(lambda: sessions_in(tmp_path))
    autosave.close()
    assert messages == ["The drive is full."]
    assert "could not be kept" in caplog.text


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    autosave = Autosave(tmp_path / "file" / "recovery")
    with pytest.raises(SessionFileError, match="save often"):
        autosave.start()
    autosave.close()


def test_the_folder_is_the_persons_own() -> None:
    assert recovery_folder().is_absolute()
    assert recovery_folder().name == "recovery"
