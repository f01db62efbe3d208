from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.audio.files import AudioClip, read_audio
from core.errors import ExportError, ParameterError, RenderCancelled
from core.inference.production import Delivery, Production, Step, deliver, listen, make, produce
from core.instrument import PadInstrument
from core.plan import InstrumentOptions, InstrumentPlan, PadGrid
from core.sound import RenderSettings, Sound
from tests.app.fake_engine import FakeEngine
from tests.core.export.instruments import snapshot


def clip(number: int) -> AudioClip:
    samples = np.full((1, 4410), 0.1 * (number + 1), np.float32)
    return AudioClip(samples=samples, sample_rate=44100, name=f"sound {number}")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def order(engine: FakeEngine, tmp_path: Path) -> Production:
    return Production(
        name="Mine",
        sound=listen(engine, [clip(0), clip(1)], RenderSettings(seed=3)),
        plan=InstrumentPlan(notes=(60, 62), options=InstrumentOptions(round_robins=2)),
        formats=("sfz", "flac"),
        folder=tmp_path / "out",
    )


def test_recordings_become_a_sound_with_all_that_was_asked_for(engine: FakeEngine) -> None:
    settings = RenderSettings(velocity=30)
    sound = listen(engine, [clip(0), clip(1)], settings, roots=(40.0, None), weights=(3, 1))
    assert [timbre.root_pitch for timbre in sound.mix.timbres] == [40.0, 60.2]
    assert sound.mix.weights == (0.75, 0.25)
    assert sound.settings is settings
    assert not sound.mix.one_instrument


def test_one_root_is_the_root_of_all(engine: FakeEngine) -> None:
    sound = listen(engine, [clip(0), clip(1)], RenderSettings(), roots=(40.0,))
    assert [timbre.root_pitch for timbre in sound.mix.timbres] == [40.0, 40.0]
    with pytest.raises(ParameterError, match="2 root notes for 3 samples"):
        listen(engine, [clip(n) for n in range(3)], RenderSettings(), roots=(40.0, 41.0))


def test_a_single_recording_is_no_instrument_of_several(engine: FakeEngine) -> None:
    assert not listen(engine, [clip(0)], RenderSettings(), one_instrument=True).mix.one_instrument
    two = listen(engine, [clip(0), clip(1)], RenderSettings(), one_instrument=True)
    assert two.mix.one_instrument


def test_every_recording_is_fitted_where_that_is_wanted(engine: FakeEngine) -> None:
    told: list[tuple[Step, int, int]] = []
    sound = listen(
        engine,
        [clip(0), clip(1)],
        RenderSettings(),
        fit_steps=2,
        progress=lambda *state: told.append(state),
    )
    assert all(timbre.fitted for timbre in sound.mix.timbres)
    assert told == [(Step.FITTING, 1, 2), (Step.FITTING, 2, 2)] * 2


def test_what_is_made_is_written_and_told_step_by_step(
    engine: FakeEngine, order: Production
) -> None:
    told: list[tuple[Step, int, int]] = []
    delivery = produce(order, engine, lambda *state: told.append(state))
    assert list(dict.fromkeys(step for step, *_ in told)) == [
        Step.RENDERING,
        Step.WRITING,
    ]
    for step in (Step.RENDERING, Step.WRITING):
        counts = [(done, total) for each, done, total in told if each is step]
        assert counts == sorted(counts)
        assert (
            counts[-1][0]
            == counts[-1][1]
            == order.n_regions * (len(order.formats) if step is Step.WRITING else 1)
        )
    assert set(delivery.files) == {path for path in order.folder.rglob("*") if path.is_file()}
    assert all(path.exists() for path in (*delivery.opened, *order.top_level))
    assert delivery.report is None


def test_a_grid_makes_a_pad_of_the_timbres_where_they_lie(
    engine: FakeEngine, order: Production
) -> None:
    grid = PadGrid(columns=3, rows=1)
    pad = make(replace(order, grid=grid, places=((0.0, 0.5), (1.0, 0.5))), engine)
    assert isinstance(pad, PadInstrument)
    assert len(pad.points) == 3
    names = [[t.name for t in request.sound.mix.timbres] for request in engine.requests]
    assert names == [["sound 0"]] * 2 + [["sound 0", "sound 1"]] * 2 + [["sound 1"]] * 2
    assert replace(order, grid=grid).n_regions == 3 * order.n_regions


def test_what_would_stop_the_writing_is_said_before(engine: FakeEngine, order: Production) -> None:
    order.check()
    produce(order, engine)
    before = snapshot(order.folder)
    with pytest.raises(ExportError, match="exists"):
        order.check()
    with pytest.raises(ExportError, match="exists"):
        produce(order, engine)
    assert snapshot(order.folder) == before
    produce(replace(order, is_replacing=True), engine)


def test_other_samplers_are_asked_where_that_is_wanted(order: Production) -> None:
    engine = FakeEngine()
    told: list[Step] = []
    checked = replace(order, formats=("wav",), is_verified=True)
    delivery = deliver(checked, make(checked, engine), lambda step, *_: told.append(step))
    assert delivery.report is not None
    assert [file.path for file in delivery.report.files] == checked.opened
    assert told[-1] is Step.VERIFYING


@pytest.mark.parametrize("step", [Step.RENDERING, Step.WRITING])
def test_cancelled_work_leaves_nothing(engine: FakeEngine, order: Production, step: Step) -> None:
    cancel = threading.Event()

    def stop(now: Step, _done: int, _total: int) -> None:
        if now is step:
            cancel.set()

    with pytest.raises(RenderCancelled):
        produce(order, engine, stop, cancel)
    assert not order.folder.exists() or not list(order.folder.iterdir())


def test_the_same_way_for_files_of_every_format(engine: FakeEngine, order: Production) -> None:
    delivery: Delivery = produce(order, engine)
    written = [path for path in delivery.files if path.suffix == ".flac"]
    assert len(written) == order.n_regions
    assert read_audio(written[0]).sample_rate == engine.sample_rate


def test_a_production_is_a_value(order: Production) -> None:
    assert replace(order, name="Mine") == order
    sound: Sound = replace(order.sound, settings=RenderSettings(seed=4))
    assert replace(order, sound=sound) != order
