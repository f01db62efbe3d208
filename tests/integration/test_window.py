"""What a designer does in the window, from the first drop to the reopened session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.live.messages import Kind
from app.models.autosave import find_recovery
from core.audio.pitch import midi_to_hz
from tests.app.program import RATE, WAIT_MS, Program, level_at, pitch_hz, write_tone

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def program(qtbot: QtBot, tmp_path: Path) -> Iterator[Program]:
    program = Program(qtbot, tmp_path)
    program.start()
    yield program
    program.close()


def errors(program: Program) -> list[str]:
    return [m.text for m in program.shown if m.kind is Kind.ERROR]


def key_place(program: Program, note: int) -> QPoint:
    return program.piano._keys().rect(note).center().toPoint()


def pad_place(program: Program, x: float, y: float) -> QPoint:
    return program.pad._to_pixels(x, y).toPoint()


def test_from_the_first_drop_to_the_reopened_session(
    program: Program, qtbot: QtBot, tmp_path: Path
) -> None:
    document = program.document
    corrupt = tmp_path / "broken.wav"
    corrupt.write_bytes(b"RIFF nothing of use")
    program.drop(
        write_tone(tmp_path / "low.wav", 48), corrupt, write_tone(tmp_path / "mid.wav", 60)
    )
    assert program.names == ["low", "mid"]
    (error,) = errors(program)
    assert "broken.wav" in error
    assert "export it as WAV" in error
    program.wait_rendered()
    before = document.session

    QTest.mousePress(program.piano, Qt.MouseButton.LeftButton, pos=key_place(program, 67))
    qtbot.waitUntil(lambda: 67 in program.keys.held)
    assert pitch_hz(program.listen(), 48_000) == pytest.approx(midi_to_hz(67), rel=2e-4)
    plain = level_at(program.listen(), 48_000, 3 * midi_to_hz(67))

    source = document.session.sources[1]
    start, end = pad_place(program, 0.5, 0.5), pad_place(program, source.x, source.y)
    QTest.mousePress(program.pad, Qt.MouseButton.LeftButton, pos=start)
    for step in range(1, 6):
        QTest.mouseMove(program.pad, start + (end - start) * step / 5)
        qtbot.wait(5)
    QTest.mouseRelease(program.pad, Qt.MouseButton.LeftButton, pos=end)
    assert (document.session.x, document.session.y) == (source.x, source.y)
    with qtbot.waitSignal(program.preview.note_arrived, timeout=WAIT_MS):
        pass
    program.listen(0.1)  # the crossfade
    changed = level_at(program.listen(), 48_000, 3 * midi_to_hz(67))
    assert abs(changed - plain) > 0.2
    QTest.mouseRelease(program.piano, Qt.MouseButton.LeftButton, pos=key_place(program, 67))

    assert document.history.undo_label == "Move the cursor"
    program.actions["Undo"].trigger()
    assert document.session == before

    program.actions["Export"].trigger()
    dialog = program.exports.dialog
    assert dialog is not None
    for name, box in dialog.choices.formats.items():
        box.setChecked(name == "sfz")
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.name.setText("Mine")
    with qtbot.waitSignal(dialog.exported, timeout=WAIT_MS):
        dialog.start.click()
    assert (tmp_path / "out" / "Mine.sfz").is_file()
    wavs = list((tmp_path / "out" / "Mine").glob("*.wav"))
    assert len(wavs) == len(document.session.export.span.notes)
    assert soundfile.info(wavs[0]).samplerate == RATE
    dialog.close()

    path = tmp_path / "work.hgs"
    program.files.save_as(path)
    qtbot.waitUntil(lambda: document.path == path, timeout=WAIT_MS)
    assert not document.is_dirty
    saved = document.session
    program.files.new()
    assert program.names == []
    program.files.open_session(path)
    qtbot.waitUntil(lambda: program.names == ["low", "mid"], timeout=WAIT_MS)
    assert document.session == saved
    assert not document.is_dirty


def test_the_recording_itself_sounds_before_any_note_is_rendered(
    qtbot: QtBot, tmp_path: Path
) -> None:
    program = Program(qtbot, tmp_path)
    program.start()
    program.service.preview = lambda *_, **__: None  # type: ignore[method-assign]
    program.drop(write_tone(tmp_path / "a.wav", 57.3))
    program.keys.press(_mouse(), 60, 100)
    assert pitch_hz(program.listen(), 48_000) == pytest.approx(midi_to_hz(60), rel=2e-3)
    program.close()


def _mouse() -> object:
    from app.live.keys import KeyOrigin

    return KeyOrigin.MOUSE


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "text", "truncated", "nan", "silent", "short", "folder"]
)
def test_bad_input_gives_one_message_and_changes_nothing(
    program: Program, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "strange.wav"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("Dear sampler,\n" * 50)
    elif kind == "truncated":
        soundfile.write(path, np.full((RATE, 1), 0.5), RATE)
        path.write_bytes(path.read_bytes()[:30])
    elif kind == "nan":
        soundfile.write(path, np.full((1000, 1), np.nan), RATE, "FLOAT")
    elif kind == "silent":
        soundfile.write(path, np.zeros((RATE, 1)), RATE)
    elif kind == "short":
        soundfile.write(path, np.full((400, 1), 0.5), RATE)
    elif kind == "folder":
        path.mkdir()
    before = program.document.session
    program.drop(path)
    (error,) = errors(program)
    assert "strange.wav" in error
    assert program.document.session == before
    assert not program.document.is_dirty


@pytest.mark.parametrize(
    ("length_s", "rate", "channels"),
    [(3600, 8000, 1), (1, RATE, 8)],
    ids=["one hour", "8 channels"],
)
def test_unusual_files_become_sources(
    program: Program, tmp_path: Path, length_s: int, rate: int, channels: int
) -> None:
    path = tmp_path / "unusual.wav"
    second = 0.5 * np.sin(2 * np.pi * 220.0 * np.arange(rate) / rate)
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16") as file:
        for _ in range(length_s):
            file.write(np.repeat(second[:, None], channels, axis=1))
    program.drop(path)
    program.wait_rendered()
    assert program.names == ["unusual"]
    assert not errors(program)


def test_a_hostile_session_is_refused(program: Program, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "evil.hgs"
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    program.drop(path)
    qtbot.waitUntil(lambda: len(errors(program)) == 1, timeout=WAIT_MS)
    assert "evil.hgs" in errors(program)[0]


def test_dropping_eight_files_never_stops_the_window(
    program: Program, qtbot: QtBot, tmp_path: Path
) -> None:
    files = [write_tone(tmp_path / f"{i}.wav", 48 + 3 * i, length_s=3.0) for i in range(8)]
    beats: list[float] = []
    heart = QTimer(interval=5)
    heart.timeout.connect(lambda: beats.append(time.perf_counter()))
    heart.start()
    program.drop(*files)
    program.wait_rendered()
    heart.stop()
    assert program.names == [str(i) for i in range(8)]
    # A tenth of what a person would call hanging; the figure itself is in the benchmark.
    assert np.diff(beats).max() < 1.0


_WORKER = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
application = QApplication([])
from app.application import Application
from app.settings import AppSettings
from tests.app.audio.fake_audio_system import FakeAudioSystem
from tests.app.fake_engine import FakeEngine
from tests.app.program import NoMidi
folder, sample = Path(sys.argv[1]), Path(sys.argv[2])
program = Application(AppSettings(), lambda _say: FakeEngine(), audio=FakeAudioSystem(), midi=NoMidi(),
                      settings_folder=folder / "settings", recovery_folder=folder / "recovery")
program.start([sample])
application.exec()
"""


def test_a_killed_program_offers_its_session_back(qtbot: QtBot, tmp_path: Path) -> None:
    sample = write_tone(tmp_path / "mine.wav")
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(tmp_path), str(sample)],
        cwd=REPOSITORY,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    try:
        recovery = tmp_path / "recovery"
        qtbot.waitUntil(lambda: bool(list(recovery.glob("*.hgs"))), timeout=60_000)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    program = Program(qtbot, tmp_path)
    program.start()
    (message,) = program.shown
    assert [answer.text for answer in message.answers] == ["Restore it", "Discard it"]
    message.answers[0].act()
    qtbot.waitUntil(lambda: program.names == ["mine"], timeout=WAIT_MS)
    assert program.document.is_dirty
    program.close()
    assert find_recovery(tmp_path / "recovery") is None
