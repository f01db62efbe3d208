from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.background.export_job import ExportJob, estimate_bytes, is_cancelled
from app.background.gui_thread import GuiThread
from app.background.task_runner import TaskRunner
from app.models.edits import add_source
from app.models.session import ExportSettings, Session
from core.audio.files import AudioClip
from core.errors import ExportError
from core.inference.production import Production
from core.inference.service import RenderService
from core.instrument import Envelope
from core.plan import InstrumentPlan, NoteSpan, PadGrid
from core.sound import Sound, TimbreMix
from tests.app.fake_engine import FakeEngine

PLAN = ExportSettings(formats=("sfz",), span=NoteSpan(low=48, high=72, step=12))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def tasks(qtbot: QtBot) -> Iterator[TaskRunner]:
    tasks = TaskRunner(GuiThread())
    yield tasks
    tasks.close()


@pytest.fixture
def service(engine: FakeEngine) -> Iterator[RenderService]:
    service = RenderService(lambda: engine, on_note=lambda _: None)  # type: ignore[arg-type,return-value]
    service.start()
    yield service
    service.close()


def order(engine: FakeEngine, folder: Path, plan: ExportSettings = PLAN) -> Production:
    session = Session()
    timbres = []
    for index, name in enumerate(("one", "two")):
        samples = np.full((1, 100), 0.1 * (index + 1), np.float32)
        timbres.append(engine.analyze(AudioClip(samples=samples, sample_rate=44100, name=name)))
        session = add_source(
            session, audio_hash=f"{index}" * 64, name=name, place=(float(index), 0.5)
        )
    return Production(
        name="Mine",
        folder=folder,
        formats=plan.formats,
        sound=Sound(mix=TimbreMix(timbres=tuple(timbres), weights=(1.0, 1.0))),
        places=tuple((each.x, each.y) for each in session.sources) if plan.grid else (),
        plan=InstrumentPlan(
            notes=plan.span.notes, options=plan.options, envelope=Envelope(release_s=0.5)
        ),
        grid=plan.grid,
    )


def test_files_are_written_and_progress_never_falls(
    qtbot: QtBot, engine: FakeEngine, service: RenderService, tasks: TaskRunner, tmp_path: Path
) -> None:
    job = ExportJob(order(engine, tmp_path / "out"), service, tasks)
    shares: list[float] = []
    job.progressed.connect(lambda share, _what: shares.append(share))
    with qtbot.waitSignal(job.finished, timeout=20_000) as finished:
        job.start()
    assert finished.args == [[tmp_path / "out" / "Mine.sfz"]]
    assert "ampeg_release=0.5" in (tmp_path / "out" / "Mine.sfz").read_text()
    assert {path.name for path in job.order.top_level} == {"Mine", "Mine.sfz"}
    assert all(path.exists() for path in job.order.top_level)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_what_was_written_is_checked_where_asked_for(
    qtbot: QtBot, engine: FakeEngine, service: RenderService, tasks: TaskRunner, tmp_path: Path
) -> None:
    job = ExportJob(replace(order(engine, tmp_path / "out"), is_verified=True), service, tasks)
    sheets: list[Path] = []
    job.verified.connect(lambda _is_green, sheet: sheets.append(sheet))
    with qtbot.waitSignal(job.finished, timeout=60_000):
        job.start()
    (sheet,) = sheets
    assert sheet.suffix == ".html"
    assert "Mine" in sheet.read_text()


def test_a_pad_is_morphed_between_its_sources(
    qtbot: QtBot, engine: FakeEngine, service: RenderService, tasks: TaskRunner, tmp_path: Path
) -> None:
    plan = ExportSettings(
        formats=("sfz",), span=NoteSpan(low=60, high=60), grid=PadGrid(columns=3, rows=1)
    )
    job = ExportJob(order(engine, tmp_path / "out", plan), service, tasks)
    with qtbot.waitSignal(job.finished, timeout=20_000):
        job.start()
    mixes = [
        {t.name: w for t, w in zip(r.sound.mix.timbres, r.sound.mix.weights, strict=True)}
        for r in engine.requests
    ]
    assert mixes[0] == {"one": 1.0}
    assert mixes[1] == pytest.approx({"one": 0.5, "two": 0.5})
    assert mixes[2] == {"two": 1.0}


def test_files_that_exist_are_not_replaced_unasked(
    qtbot: QtBot, engine: FakeEngine, service: RenderService, tasks: TaskRunner, tmp_path: Path
) -> None:
    (tmp_path / "Mine.sfz").write_text("mine")
    job = ExportJob(order(engine, tmp_path), service, tasks)
    with qtbot.waitSignal(job.failed) as failed:
        job.start()
    assert isinstance(failed.args[0], ExportError)
    assert engine.requests == []
    assert (tmp_path / "Mine.sfz").read_text() == "mine"


def test_a_cancelled_export_leaves_nothing(
    qtbot: QtBot, engine: FakeEngine, service: RenderService, tasks: TaskRunner, tmp_path: Path
) -> None:
    job = ExportJob(order(engine, tmp_path / "out"), service, tasks)
    engine.before_note = lambda _note: job.cancel()
    with qtbot.waitSignal(job.failed, timeout=20_000) as failed:
        job.start()
    assert is_cancelled(failed.args[0])
    assert not (tmp_path / "out").exists()


def test_the_estimate_counts_shared_samples_once(engine: FakeEngine, tmp_path: Path) -> None:
    def estimate(*formats: str) -> int:
        plan = ExportSettings(formats=formats, span=NoteSpan(low=48, high=72, step=12))
        return estimate_bytes(order(engine, tmp_path, plan), 2.0, 1000)

    assert estimate("sfz") == 3 * 2 * 1000 * 3
    assert estimate("sfz", "wav", "decentsampler") == estimate("sfz")
    assert estimate("sfz", "sf2") == 2 * estimate("sfz")
