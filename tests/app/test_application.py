"""Starting, leaving, recovering and picturing the program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtWidgets import QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.application import SAMPLES_FOLDER, load_engine, read_examples
from app.cli.console import CliError
from app.cli.window import has_display, parse_window_arguments
from app.dialogs.export_dialog import ExportDialog
from app.error_text import describe
from app.live.messages import Kind
from app.models.autosave import find_recovery
from app.models.edits import add_source
from app.models.session import Session
from app.panels.message_area import MessageRow
from app.screenshot import Screenshot
from app.settings import AppSettings, load_settings
from core.errors import (
    AudioFileError,
    CheckpointError,
    DestinationError,
    DeviceError,
    FileExistsAlreadyError,
)
from tests.app.answers import press
from tests.app.models.sessions import HASHES, leave_behind
from tests.app.program import WAIT_MS, Program, write_tone

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_window_is_there_without_torch() -> None:
    code = (
        "import sys, app.application\n"
        "assert 'torch' not in sys.modules and 'numba' not in sys.modules\n"
        "assert 'sounddevice' not in sys.modules and 'rtmidi' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_window_needs_a_display(
    environment: Mapping[str, str], platform: str, expected: bool
) -> None:
    assert has_display(environment, platform) is expected


def test_arguments_of_the_window(tmp_path: Path) -> None:
    sample = write_tone(tmp_path / "a.wav", length_s=0.1)
    args = parse_window_arguments(
        [str(sample), "--screenshot", "x.png", "--size", "800x600", "--theme", "light"]
    )
    assert args.files == (sample,)
    assert (args.screenshot, args.size, args.theme) == (Path("x.png"), (800, 600), "light")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--size", "huge"], "is no size; write width x height"),
        (["--size", "0x10"], "is no size"),
        (["--theme", "pink"], "invalid choice"),
        (["nothing.wav"], "neither a file nor a verb"),
        (["--what"], "unrecognized"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(CliError, match=says) as refused:
        parse_window_arguments(arguments)
    assert refused.value.exit_code == 2


def test_examples_fill_the_pad() -> None:
    contents = read_examples(SAMPLES_FOLDER)
    assert len(contents.session.sources) == 8
    assert not any(source.muted for source in contents.session.sources)
    assert contents.session.audio_hashes == set(contents.clips)
    first = contents.session.sources[0]
    assert (contents.session.x, contents.session.y) == (first.x, first.y)


def test_settings_are_kept_and_applied(qtbot: QtBot, tmp_path: Path) -> None:
    program = Program(qtbot, tmp_path)
    program.start()
    program.application.settings.change(replace(AppSettings(), middle_c=3, block_size=512))
    qtbot.waitUntil(lambda: len(program.audio.streams) == 2, timeout=WAIT_MS)
    assert program.audio.streams[-1].block_frames == 512
    program.close()
    kept, complaint = load_settings(tmp_path / "settings")
    assert complaint is None
    assert (kept.middle_c, kept.block_size) == (3, 512)
    assert kept.window_geometry


def test_an_orderly_end_leaves_nothing_to_recover(qtbot: QtBot, tmp_path: Path) -> None:
    program = Program(qtbot, tmp_path)
    program.start(write_tone(tmp_path / "a.wav"))
    qtbot.waitUntil(lambda: program.names == ["a"], timeout=WAIT_MS)
    program.close()
    assert find_recovery(tmp_path / "recovery") is None


def answers(program: Program) -> list[str]:
    rows = program.message_area.findChildren(MessageRow)
    return [answer.text for row in rows for answer in row.message.answers]


def click(program: Program, text: str) -> None:
    """Press a button of a message."""
    buttons = program.message_area.findChildren(QPushButton)
    (button,) = (button for button in buttons if button.text() == text)
    button.click()


def crashed(folder: Path) -> Path:
    """A session of which the program died."""
    session = add_source(Session(), audio_hash=HASHES[0], name="bell")
    return leave_behind(folder / "recovery", session)


def test_a_session_that_a_crash_left_is_restored(qtbot: QtBot, tmp_path: Path) -> None:
    kept = crashed(tmp_path)
    program = Program(qtbot, tmp_path)
    program.start()
    qtbot.waitUntil(lambda: answers(program) == ["Restore it", "Discard it"], timeout=WAIT_MS)
    click(program, "Restore it")
    qtbot.waitUntil(lambda: program.names == ["bell"], timeout=WAIT_MS)
    assert program.document.is_dirty
    qtbot.waitUntil(lambda: not kept.exists(), timeout=WAIT_MS)  # it was written anew
    program.close()


def test_restoring_asks_about_what_was_made_meanwhile(qtbot: QtBot, tmp_path: Path) -> None:
    kept = crashed(tmp_path)
    program = Program(qtbot, tmp_path)
    program.start()
    program.drop(write_tone(tmp_path / "new.wav"))
    click(program, "Restore it")
    press(qtbot, program.window, QMessageBox.StandardButton.Cancel)
    assert program.names == ["new"]
    program.close()
    assert kept.exists()  # it is offered at the next start
    recovery = find_recovery(tmp_path / "recovery")
    assert recovery is not None
    assert recovery.path == kept
    recovery.release()


def test_a_session_that_cannot_be_restored_is_kept_and_offered_once(
    qtbot: QtBot, tmp_path: Path
) -> None:
    kept = crashed(tmp_path)
    damaged = kept.read_bytes()[:-40]
    kept.write_bytes(damaged)
    program = Program(qtbot, tmp_path)
    program.start()
    qtbot.waitUntil(lambda: bool(answers(program)), timeout=WAIT_MS)
    click(program, "Restore it")
    aside = tmp_path / "recovery" / "unreadable session 1.hgs"
    qtbot.waitUntil(
        lambda: (
            [message.text for message in program.shown]
            == [f"The session of last time cannot be read; it is kept as '{aside}'."]
        ),
        timeout=WAIT_MS,
    )
    assert aside.read_bytes() == damaged
    program.close()
    assert aside.read_bytes() == damaged
    assert find_recovery(tmp_path / "recovery") is None


def test_networks_that_cannot_be_loaded_are_named_and_the_window_stays(
    qtbot: QtBot, tmp_path: Path
) -> None:
    program = Program(qtbot, tmp_path)
    program.service._load = _refuse  # type: ignore[assignment]
    program.start()
    qtbot.waitUntil(lambda: bool(program.shown), timeout=WAIT_MS)
    assert "no such device" in program.shown[0].text
    program.drop(write_tone(tmp_path / "a.wav"))
    assert program.names == ["a"]
    program.close()


def test_a_fallback_to_the_cpu_is_said_and_shown(qtbot: QtBot, tmp_path: Path) -> None:
    program = Program(qtbot, tmp_path)
    engine = program.engine
    engine.device_name = "cuda"
    program.start(write_tone(tmp_path / "a.wav"))
    program.wait_rendered()
    qtbot.waitUntil(lambda: program.status.engine.text().startswith("Ready on GPU"))

    def run_out(_note: int) -> None:
        if engine.device_name == "cuda":
            engine.on_message("The memory of 'cuda' ran out; going on with the CPU.")
            engine.device_name = "cpu"

    engine.before_note = run_out
    program.sound_panel.roll()
    program.wait_rendered()
    qtbot.waitUntil(lambda: program.status.engine.text().startswith("Ready on CPU"))
    (message,) = program.shown
    assert (message.text, message.kind) == (
        "The memory of 'cuda' ran out; going on with the CPU.",
        Kind.WARNING,
    )
    program.close()


def test_the_networks_tell_the_program_about_fallbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.inference.engine import SynthesisEngine

    told: list[str] = []
    given: list[object] = []
    monkeypatch.setattr(SynthesisEngine, "load", lambda *arguments: given.append(arguments))
    monkeypatch.setattr("torch.set_num_threads", lambda _count: None)
    load_engine("cpu", on_message=told.append)
    assert given == [(None, "cpu", told.append)]


def _refuse() -> object:
    raise DeviceError("There is no such device 'cuda'; choose another.")


def test_a_picture_is_taken_once_all_is_rendered(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(qtbot, tmp_path)
    ends: list[int] = []
    monkeypatch.setattr("app.screenshot.QApplication.exit", ends.append)
    path = tmp_path / "pictures" / "window.png"
    picture = Screenshot(program.window, lambda: program.application.is_settled, path, (1100, 700))
    picture.start()
    program.start(write_tone(tmp_path / "a.wav"), write_tone(tmp_path / "b.wav", 48))
    qtbot.waitUntil(lambda: ends == [0], timeout=60_000)
    assert program.preview.is_complete
    assert program.application.is_settled
    with Image.open(path) as image:
        assert image.size == (1100, 700)
        assert len(set(image.convert("P").get_flattened_data())) > 30
    program.close()


def test_errors_are_told_by_class() -> None:
    path = Path("/somewhere/long/bell.wav")
    assert describe(AudioFileError(f"'{path}' is empty."), path) == "'bell.wav' is empty."
    assert "settings" in describe(DeviceError("No such device."))
    exists = describe(FileExistsAlreadyError("a.sfz exists; choose another folder."))
    assert f"Tick '{ExportDialog.REPLACE}'" in exists
    assert "folder" in describe(DestinationError("Folder out is a file; choose another folder."))
    for kind in (CheckpointError, DeviceError, DestinationError, FileExistsAlreadyError):
        assert "--" not in describe(kind("It failed."))  # options are the command line's
    assert "goes on" in describe(KeyError("x"))
