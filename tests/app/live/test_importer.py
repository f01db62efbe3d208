from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.background.task_runner import TaskRunner
from app.live import importer as importer_module
from app.live.importer import Import, Importer, sound_files
from app.live.messages import Kind, Message, Messages
from app.live.source_library import SourceLibrary
from app.models.document import Document
from app.models.session import MAX_AUDIBLE, MAX_SOURCES
from tests.app.program import WAIT_MS, write_tone


@pytest.fixture
def importer(
    document: Document,
    library: SourceLibrary,
    tasks: TaskRunner,
    messages: Messages,
    root: QObject,
) -> Importer:
    return Importer(document, library, tasks, messages, root)


def add(
    qtbot: QtBot,
    importer: Importer,
    paths: Sequence[Path],
    place: tuple[float, float] | None = None,
) -> None:
    with qtbot.waitSignal(importer.finished, timeout=WAIT_MS):
        importer.add(paths, place)


def names(document: Document) -> list[str]:
    return [source.name for source in document.session.sources]


def tones(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [write_tone(folder / f"{n:02}.wav", 40 + n, 0.1) for n in range(count)]


def test_folders_give_their_sounds_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("B.WAV", "a.flac", "c.txt", ".hidden.wav", "deep/d.aiff"):
        path = tmp_path / "kit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = sound_files([tmp_path / "z.bin", tmp_path / "kit"])
    assert [path.name for path in found] == ["z.bin", "a.flac", "B.WAV", "d.aiff"]


def test_sounds_come_in_the_order_of_the_drop_whichever_is_read_first(
    qtbot: QtBot,
    importer: Importer,
    document: Document,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, second_is_read = importer_module.read_sound, threading.Event()

    def slowly(path: Path) -> Import:
        if path.stem == "00":
            assert second_is_read.wait(WAIT_MS / 1000)
        result = read(path)
        if path.stem == "01":
            second_is_read.set()
        return result

    monkeypatch.setattr(importer_module, "read_sound", slowly)
    added: list[str] = []
    importer.added.connect(added.append)
    add(qtbot, importer, tones(tmp_path / "t", 3), (0.9, 0.1))
    assert names(document) == ["00", "01", "02"]
    first = document.session.sources[0]
    assert (first.x, first.y) == (0.9, 0.1)
    assert added == [first.id]
    document.undo()
    assert names(document) == []


def test_bad_files_are_named_and_the_others_are_taken(
    qtbot: QtBot, importer: Importer, document: Document, said: list[Message], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    add(qtbot, importer, [bad, *tones(tmp_path / "t", 1)])
    assert names(document) == ["00"]
    assert [each.kind for each in said] == [Kind.ERROR]
    assert "'bad.wav'" in said[0].text
    assert str(tmp_path) not in said[0].text
    assert not importer.is_busy


def test_a_drop_without_sounds_is_said(
    qtbot: QtBot, importer: Importer, said: list[Message], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    add(qtbot, importer, [tmp_path / "empty"])
    assert [each.text for each in said] == [
        "There is no sound file in 'empty'; drop WAV, AIFF, FLAC or MP3."
    ]


def test_a_session_in_a_drop_is_opened_instead(
    qtbot: QtBot, importer: Importer, document: Document, tmp_path: Path
) -> None:
    path = tmp_path / "work.HGS"
    path.touch()
    with qtbot.waitSignal(importer.session_dropped, timeout=WAIT_MS) as dropped:
        importer.add([path])
    assert dropped.args == [path]
    assert names(document) == []


def test_the_ninth_sound_is_muted_and_the_shelf_is_full_at_last(
    qtbot: QtBot, importer: Importer, document: Document, said: list[Message], tmp_path: Path
) -> None:
    add(qtbot, importer, tones(tmp_path / "t", MAX_AUDIBLE + 1))
    assert [source.muted for source in document.session.sources][-2:] == [False, True]
    assert [each.text for each in said] == ["'08' is muted: the pad mixes eight sounds at once."]
    said.clear()
    add(qtbot, importer, tones(tmp_path / "more", MAX_SOURCES + 1))
    assert len(names(document)) == MAX_SOURCES
    texts = [each.text for each in said]
    assert texts[0] == f"{MAX_SOURCES + 1} files are too many; the first {MAX_SOURCES} are taken."
    assert any(each.kind is Kind.ERROR for each in said)


def test_own_sounds_take_the_place_of_the_examples_alone(
    qtbot: QtBot, importer: Importer, document: Document, tmp_path: Path
) -> None:
    add(qtbot, importer, tones(tmp_path / "t", 2))
    importer.examples = document.session.audio_hashes
    mine = write_tone(tmp_path / "mine.wav", 70, 0.1)
    add(qtbot, importer, [mine])
    assert names(document) == ["mine"]
    add(qtbot, importer, tones(tmp_path / "t", 1))
    assert names(document) == ["mine", "00"]
