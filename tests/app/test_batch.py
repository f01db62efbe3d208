"""Folders of sounds into folders of instruments, with a fake engine, with processes and with Dask."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from app.__main__ import main
from app.batch import queue, worker
from app.batch.items import find_items
from app.batch.manifest import FILE_NAME
from app.cli.verbs import batch
from app.live.importer import sound_files
from core.audio.files import SOUND_SUFFIXES, write_audio
from core.errors import AudioFileError
from core.export.files import safe_stem
from tests.app.fake_engine import FakeEngine
from tests.core.export.instruments import HOSTILE_NAMES
from tests.helpers.tiny_models import tiny_bundle


def write_tone(path: Path, hz: float = 261.6, length_s: float = 0.5) -> None:
    time_s = np.arange(round(44100 * length_s)) / 44100
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, (0.5 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)[None], 44100)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two one-shots, a sub-folder of three notes, and things that are no sounds."""
    folder = tmp_path / "sounds"
    write_tone(folder / "bell.wav")
    write_tone(folder / "drum.wav", 100.0)
    for index in range(3):
        write_tone(folder / "cello" / f"note {index}.wav", 200.0 + index)
    (folder / "readme.txt").write_text("no sound")
    (folder / "empty").mkdir()
    (folder / ".hidden.wav").write_bytes(b"")
    return folder


@pytest.fixture
def in_process(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Orders are carried out one by one in this process, by the fake engine."""
    worker._engine.cache_clear()

    @contextmanager
    def open_executor() -> Iterator[tuple[Executor, int]]:
        with ThreadPoolExecutor(1) as executor:
            yield executor, 1

    monkeypatch.setattr(batch, "local_processes", lambda workers: open_executor)
    monkeypatch.setattr(batch, "_shared_digest", lambda recipe: f"weights {recipe}")
    yield engine
    worker._engine.cache_clear()


def run(sounds: Path, out: Path, *options: str) -> int:
    command = ["batch", str(sounds), "--format", "sfz", "--notes", "60,64", "--out", str(out)]
    return main([*command, *options])


def made(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.sfz"))


ALL = ["bell/bell.sfz", "cello/cello.sfz", "drum/drum.sfz"]


def test_each_file_and_each_folder_becomes_an_instrument(
    in_process: FakeEngine, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(sounds, tmp_path / "out", "--json") == 0
    assert made(tmp_path / "out") == ALL
    report = json.loads(capsys.readouterr().out)
    assert [(line["name"], line["status"], len(line["sources"])) for line in report] == [
        ("bell", "made", 1),
        ("cello", "made", 3),
        ("drum", "made", 1),
    ]
    assert all((tmp_path / "out" / file).is_file() for line in report for file in line["files"])
    mixes = {
        request.sound.mix.timbres[0].name: request.sound.mix.weights
        for request in in_process.requests
    }
    assert mixes["note 0"] == pytest.approx((1 / 3,) * 3)
    pooled = {
        request.sound.mix.timbres[0].name: request.sound.mix.one_instrument
        for request in in_process.requests
    }
    assert pooled == {"bell": False, "note 0": True, "drum": False}
    assert len(in_process.loaded) == 1


def test_what_is_done_is_not_done_again(
    in_process: FakeEngine, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(sounds, out) == 0
    in_process.requests.clear()
    assert run(sounds, out) == 0
    assert in_process.requests == []
    assert capsys.readouterr().out.count("there already") == 3
    write_tone(sounds / "bell.wav", 300.0)  # another sound of the same name
    (out / "drum" / "drum.sfz").unlink()
    assert run(sounds, out) == 0
    assert sorted(r.sound.mix.timbres[0].name for r in in_process.requests) == ["bell", "drum"]
    in_process.requests.clear()
    assert run(sounds, out, "--seed", "3") == 0
    assert len(in_process.requests) == 3
    assert in_process.fits == []
    assert run(sounds, out, "--seed", "3", "--fit", "9") == 0
    assert in_process.fits == [9] * 5


def test_a_bad_sound_does_not_stop_the_others(
    in_process: FakeEngine, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sounds / "broken.wav").write_bytes(b"RIFF no sound")
    out = tmp_path / "out"
    assert run(sounds, out) == 1
    assert made(out) == ALL
    captured = capsys.readouterr()
    assert "broken" in captured.out
    assert "'" + str(sounds / "broken.wav") + "' is damaged" in captured.err
    assert "1 of 4 instruments failed" in captured.err
    in_process.requests.clear()
    write_tone(sounds / "broken.wav")
    assert run(sounds, out) == 0
    assert len(in_process.requests) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_whole_instruments_and_the_same_command_goes_on(
    in_process: FakeEngine,
    sounds: Path,
    tmp_path: Path,
    number: signal.Signals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    noticed = threading.Event()

    def interrupt(note: int) -> None:
        if len(in_process.requests) == 2 and note == 64:
            os.kill(os.getpid(), number)
            stopped = threading.Event()
            while not list(out.glob(".stop-*")):  # the queue passes the interrupt on
                stopped.wait(0.01)
            noticed.set()

    in_process.before_note = interrupt
    assert run(sounds, out) == 1
    assert noticed.is_set()
    assert made(out) == ALL[:1]
    assert sorted(path.name for path in out.iterdir()) == [FILE_NAME, "bell"]
    assert "Cancelled" in capsys.readouterr().err
    in_process.before_note = lambda note: None
    assert run(sounds, out) == 0
    assert made(out) == ALL


def test_files_of_others_are_not_replaced_without_force(
    in_process: FakeEngine, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "bell").mkdir(parents=True)
    (out / "bell" / "bell.sfz").write_text("mine")
    assert run(sounds, out) == 1
    assert (out / "bell" / "bell.sfz").read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert run(sounds, out, "--force") == 0
    assert (out / "bell" / "bell.sfz").read_text() != "mine"


def test_names_are_unique_and_safe(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "a.aif", "A.flac"):
        write_tone(folder / name)
    hostile = [n for n in HOSTILE_NAMES if not set("/\0\udcff") & set(n) and len(n) < 100]
    for name in hostile:
        if not name.startswith("."):
            (folder / f"{name}.wav").write_bytes(b"x")
    items = find_items(folder, tmp_path / "out")
    folders = [item.folder.lower() for item in items]
    assert len(folders) == len(set(folders)) == len(list(folder.iterdir()))
    assert all(safe_stem(item.folder) == item.folder for item in items)


@pytest.mark.parametrize("ending", sorted(SOUND_SUFFIXES))
def test_sounds_in_folders_are_told_by_their_endings(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    sounds = [folder / f"field{ending.upper()}", folder / "sub" / f"a{ending}"]
    for path in (*sounds, folder / "notes.txt", folder / f".hidden{ending}"):
        path.write_bytes(b"x")
    items = find_items(folder, tmp_path / "out")
    assert sorted(source for item in items for source in item.sources) == sorted(sounds)
    assert sorted(sound_files([folder])) == sorted(sounds)


def test_a_destination_within_the_folder_is_no_source(in_process: FakeEngine, sounds: Path) -> None:
    for _ in range(2):
        assert run(sounds, sounds / "out") == 0
        assert made(sounds / "out") == ALL


@pytest.mark.parametrize(
    ("name", "says"),
    [("missing", "cannot be read"), ("file.txt", "is no folder"), ("bare", "no sound files")],
)
def test_folders_without_sounds_are_refused(
    tmp_path: Path, name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "file.txt").write_text("")
    assert run(tmp_path / name, tmp_path / "out") == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(AudioFileError):
        find_items(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be understood"),
        ("[]", "cannot be understood"),
        ('{"format_version": 9}', "is of format 9, expected 1"),
        ('{"format_version": 1}', "cannot be understood"),
        (
            '{"format_version": 1, "instruments": {"bell": {"digest": 3}}}',
            "bell.digest is 3, expected text",
        ),
    ],
)
def test_a_damaged_manifest_is_named(
    in_process: FakeEngine,
    sounds: Path,
    tmp_path: Path,
    text: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE_NAME).write_text(text)
    assert run(sounds, tmp_path / "out") == 2
    message = capsys.readouterr().err
    assert FILE_NAME in message
    assert says in message
    assert (tmp_path / "out" / FILE_NAME).read_text() == text


def test_processes_make_the_instruments(sounds: Path, tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "model.safetensors")
    assert run(sounds, tmp_path / "out", "--workers", "2", "--model", str(model)) == 0
    assert made(tmp_path / "out") == ALL


def test_a_dask_cluster_makes_the_instruments(sounds: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    model = tiny_bundle(tmp_path / "model.safetensors")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        options = ("--distributed", cluster.scheduler_address, "--model", str(model))
        assert run(sounds, tmp_path / "out", *options) == 0
    assert made(tmp_path / "out") == ALL


def test_a_cluster_that_is_not_there_is_named(
    sounds: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(batch, "_shared_digest", lambda recipe: "weights")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run(sounds, tmp_path / "out", "--distributed", "tcp://127.0.0.1:9") == 2
    assert "pip install" in capsys.readouterr().err


def end_process(order: worker.Order) -> worker.Outcome:
    """A worker that dies of one order."""
    if order.name == "bad":
        os._exit(1)
    return worker.Outcome(order=order)


def test_an_order_that_kills_its_process_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "make_instrument", end_process)

    @contextmanager
    def open_executor() -> Iterator[tuple[Executor, int]]:
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            yield executor, 1

    recipe = worker.Recipe(formats=("sfz",), plan=worker.InstrumentPlan(notes=(60,)))
    orders = [
        worker.Order(
            name=name,
            sources=(),
            out=tmp_path / name,
            recipe=recipe,
            force=False,
            n_threads=1,
            stop_file=tmp_path / "stop",
        )
        for name in ("good", "bad", "better")
    ]
    outcomes = list(queue.run_orders(orders, open_executor, threading.Event()))
    assert [outcome.order.name for outcome in outcomes] == ["good", "bad", "better"]
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
