from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.background.task_runner import TaskRunner
from app.live.export_orders import ExportOrders
from app.live.preview import Preview
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.document import Document
from app.models.session import ExportSettings
from core.inference.service import RenderService
from core.instrument import Envelope
from core.plan import InstrumentOptions, NoteSpan, PadGrid
from tests.app.live.conftest import Shelf
from tests.app.program import WAIT_MS, MixEngine

CHOSEN = ExportSettings(
    formats=("sfz", "wav"),
    span=NoteSpan(low=60, high=64, step=2),
    options=InstrumentOptions(velocity_layers=2),
    grid=PadGrid(columns=2, rows=1),
)
ALONE = replace(CHOSEN, grid=None)


@pytest.fixture
def orders(
    document: Document,
    library: SourceLibrary,
    preview: Preview,
    service: RenderService,
    tasks: TaskRunner,
    root: QObject,
) -> ExportOrders:
    return ExportOrders(document, library, preview, service, tasks, root)


def test_the_instrument_is_called_after_the_session_or_its_sources(
    orders: ExportOrders, document: Document, shelf: Shelf
) -> None:
    assert orders.instrument_name == "Instrument"
    for n, name in enumerate("abcd"):
        shelf.add(name, 50 + n)
    assert orders.instrument_name == "a-b-c"
    document.edit("Mute", edits.set_muted(document.session, "s1", True))
    assert orders.instrument_name == "b-c-d"
    document.mark_saved(Path("Glass.hgs"), document.session)
    assert orders.instrument_name == "Glass"


def test_an_order_holds_what_is_heard_and_chosen(
    orders: ExportOrders, preview: Preview, document: Document, shelf: Shelf
) -> None:
    shelf.add("low", 48, (0.0, 0.5))
    shelf.add("high", 60, (1.0, 0.5))
    envelope = Envelope(release_s=2.0)
    document.edit("Envelope", replace(document.session, envelope=envelope, x=0.2))
    order = orders.make("Mine", Path("out"), ALONE)
    assert order is not None
    assert (order.name, order.folder, order.formats) == ("Mine", Path("out"), ("sfz", "wav"))
    assert order.sound == preview.sound
    assert order.plan.notes == (60, 62, 64)
    assert (order.plan.options, order.plan.envelope) == (CHOSEN.options, envelope)
    assert (order.grid, order.places) == (None, ())


def test_an_order_of_a_pad_holds_all_sources_and_their_places(
    orders: ExportOrders, shelf: Shelf
) -> None:
    shelf.add("low", 48, (0.0, 0.5))
    shelf.add("high", 60, (1.0, 0.25))
    assert orders.pad_refusal == ""
    order = orders.make("Mine", Path("out"), CHOSEN)
    assert order is not None
    assert order.grid == CHOSEN.grid
    assert order.places == ((0.0, 0.5), (1.0, 0.25))
    assert [timbre.name for timbre in order.sound.mix.timbres] == ["low", "high"]
    assert order.sound.mix.weights == (0.5, 0.5)


def test_a_pad_is_refused_where_nothing_morphs(
    orders: ExportOrders, document: Document, shelf: Shelf
) -> None:
    shelf.add("low", 48)
    assert "two sources" in orders.pad_refusal
    shelf.add("high", 60)
    document.edit("One", replace(document.session, one_instrument=True))
    assert "one instrument" in orders.pad_refusal
    order = orders.make("Mine", Path("out"), CHOSEN)
    assert order is not None
    assert order.grid is None
    assert order.sound.mix.one_instrument


def test_there_is_no_order_of_what_is_not_known(
    orders: ExportOrders, document: Document, library: SourceLibrary, shelf: Shelf
) -> None:
    assert orders.make("Mine", Path("out"), ALONE) is None
    shelf.add("low", 48)
    shelf.add("high", 60)
    del library._timbres.facts[document.session.sources[1].recording]
    library._timbres.forget_sources()
    assert orders.make("Mine", Path("out"), CHOSEN) is None  # one of two alone is no pad
    library._timbres.facts.clear()
    library._timbres.forget_sources()
    assert orders.make("Mine", Path("out"), ALONE) is None
    assert orders.make("Mine", Path("out"), CHOSEN) is None


def test_there_is_no_order_before_what_is_wanted_is_fitted(
    qtbot: QtBot,
    orders: ExportOrders,
    document: Document,
    library: SourceLibrary,
    shelf: Shelf,
    engine: MixEngine,
) -> None:
    source_id = shelf.add("low", 48)
    document.edit("Fit", edits.set_fit(document.session, source_id, 2))
    assert orders.make("Mine", Path("out"), ALONE) is None
    source = document.session.source(source_id)
    qtbot.waitUntil(lambda: not library.is_fit_awaited(source), timeout=WAIT_MS)
    order = orders.make("Mine", Path("out"), ALONE)
    assert order is not None
    assert order.sound.mix.timbres[0].fitted


def test_a_job_carries_the_order_out(
    qtbot: QtBot, orders: ExportOrders, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.add("low", 48)
    order = orders.make("Mine", tmp_path / "out", ALONE)
    assert order is not None
    job = orders.job(order)
    with qtbot.waitSignal(job.finished, timeout=WAIT_MS):
        job.start()
    assert (tmp_path / "out" / "Mine.sfz").exists()
