from __future__ import annotations

import hashlib
import logging
import queue
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.audio.files import AudioClip
from core.errors import AudioFileError, CheckpointError, ParameterError, RenderCancelled
from core.inference import service as service_module
from core.inference.service import (
    NoteFailed,
    NoteReady,
    RenderService,
    ServiceState,
    ServiceStatus,
)
from core.instrument import Instrument, Region, tile_zones
from core.progress import Progress
from core.sound import RenderRequest, Sound, Timbre, TimbreMix
from tests.helpers.blocking import blocking
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import tiny_bundle

WAIT_S = 10.0
FRAMES = 64

CLIP = AudioClip(samples=np.ones((1, 10), np.float32), sample_rate=44100, name="clip")


def timbre_of(name: str) -> Timbre:
    return Timbre(
        name=name,
        content_hash=name,
        root_pitch=60.0,
        pitch_confidence=1.0,
        features=np.zeros(4, np.float32),
        mel=np.zeros((128, 40), np.float32),
        gain=0.5,
        onset_s=0.0,
        length_s=1.0,
        loudness_db=-20.0,
    )


def settings_of(name: str, weight: float = 0.5) -> Sound:
    mix = TimbreMix(timbres=(timbre_of(name), timbre_of("other")), weights=(weight, 1 - weight))
    return Sound(mix=mix)


WARM, COLD, DARK = (settings_of(name) for name in ("warm", "cold", "dark"))


class NoiseEngine:
    """Noise that depends on the note and on everything a note depends on."""

    sample_rate = 44100
    device_name = "cpu"

    def __init__(self) -> None:
        self.rendered: list[tuple[str, tuple[int, ...]]] = []  # name of the timbre, notes
        self.before_batch: Callable[[Sequence[int]], None] = lambda notes: None
        self.before_analysis: Callable[[], None] = lambda: None

    def analyze(self, clip: AudioClip, *, root: float | None = None) -> Timbre:
        self.before_analysis()
        if not clip.samples.any():
            raise AudioFileError("There is no sound in it.")
        return replace(timbre_of(clip.name), root_pitch=60.0 if root is None else root)

    def render(
        self,
        request: RenderRequest,
        *,
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
    ) -> Instrument:
        self.before_batch(request.notes)
        self.rendered.append((request.sound.mix.timbres[0].name, request.notes))
        regions = []
        for number, (note, (low, high)) in enumerate(
            zip(request.notes, tile_zones(request.notes), strict=True), start=1
        ):
            if cancel is not None and cancel.is_set():
                raise RenderCancelled("Rendering was cancelled.")
            seed = hashlib.sha256(f"{request.sound.key} {request.is_draft} {note}".encode())
            noise = np.random.default_rng(list(seed.digest())).random((1, FRAMES), np.float32)
            regions.append(Region(root_note=note, low_key=low, high_key=high, samples=noise))
            if progress is not None:
                progress(number, len(request.notes))
        return Instrument(name="noise", sample_rate=44100, regions=tuple(regions))

    @property
    def order(self) -> list[int]:
        """All notes in the order in which they were rendered."""
        return [note for _, notes in self.rendered for note in notes]


class Halt:
    """A point at which the service's thread waits for the test."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __enter__(self) -> Halt:
        assert self.reached.wait(WAIT_S)
        return self

    def __exit__(self, *exception: object) -> None:
        self.go_on.set()


class Studio:
    """A service with its engine, and all it said."""

    def __init__(self, cache_bytes: int = 2**20) -> None:
        self.engine = NoiseEngine()
        self.notes: queue.Queue[NoteReady] = queue.Queue()
        self.failures: queue.Queue[NoteFailed] = queue.Queue()
        self.statuses: list[ServiceStatus] = []
        self.service = RenderService(
            lambda: self.engine,  # type: ignore[arg-type, return-value]
            on_note=self.notes.put,
            on_failure=self.failures.put,
            on_status=self.statuses.append,
            cache_bytes=cache_bytes,
        )

    def play(self) -> None:
        """Start, and wait until nothing is left to do."""
        self.service.start()
        self.rest()

    def rest(self) -> None:
        """Wait until everything handed over so far is done."""
        is_done = False
        while not is_done:
            is_done = not self.service._schedule.n_pending
            self.service.submit(lambda engine, progress, cancelled: None).future.result(WAIT_S)

    def delivered(self) -> list[tuple[str, int]]:
        """Settings and note of all notes that came since the last time."""
        names = {each.key: each.mix.timbres[0].name for each in (WARM, COLD, DARK)}
        ready: list[tuple[str, int]] = []
        while not self.notes.empty():
            note = self.notes.get()
            ready.append((names[note.sound_key], note.note))
        return ready

    def halt_at(self, note: int) -> Halt:
        """Stop within the first batch that holds a note."""
        halt = Halt()

        def wait(notes: Sequence[int]) -> None:
            if note in notes and not halt.go_on.is_set():
                halt.reached.set()
                assert halt.go_on.wait(WAIT_S)

        self.engine.before_batch = wait
        return halt


@pytest.fixture
def studio() -> Iterator[Studio]:
    made = Studio()
    yield made
    made.service.close()
    assert not made.service._thread.is_alive()


# Order


def test_held_keys_are_rendered_together_and_others_alone(studio: Studio) -> None:
    studio.service.set_held([44, 45, 46])
    studio.service.preview(WARM, range(40, 50))
    studio.play()
    assert [len(notes) for _, notes in studio.engine.rendered] == [3, *[1] * 7]


def test_a_held_key_is_rendered_alone(studio: Studio) -> None:
    studio.service.set_held([48])
    studio.service.preview(WARM, range(40, 60))
    studio.play()
    assert studio.engine.rendered[0] == ("warm", (48,))


def test_a_key_pressed_meanwhile_is_next(studio: Studio) -> None:
    studio.service.preview(WARM, range(40, 80))
    halt = studio.halt_at(40)
    studio.service.start()
    with halt:
        studio.service.set_held([77])
    studio.rest()
    assert studio.engine.order[:2] == [40, 77]


# The newest wins


def test_what_is_no_longer_wanted_is_neither_rendered_nor_delivered(studio: Studio) -> None:
    studio.service.preview(WARM, [60, 61, 62])
    halt = studio.halt_at(60)
    studio.service.start()
    with halt:
        studio.service.preview(DARK, [60])
        studio.service.preview(COLD, [60, 72])
    studio.rest()
    assert [name for name, _ in studio.engine.rendered] == ["warm", "cold", "cold"]
    assert studio.delivered() == [("cold", 60), ("cold", 72)]


def test_a_held_key_follows_a_pad_that_is_faster_than_rendering(studio: Studio) -> None:
    studio.service.set_held([60])
    studio.service.preview(WARM, [60, 61])
    halt = studio.halt_at(60)
    studio.service.start()
    with halt:
        studio.service.preview(DARK, [60, 61])
        studio.service.preview(COLD, [60, 61])
    studio.rest()
    draft_then_note = [("cold", 60), ("cold", 61), ("cold", 60)]
    assert studio.delivered() == [("warm", 60), *draft_then_note]


def test_a_held_key_that_changes_its_timbre_gets_a_draft_then_the_note(studio: Studio) -> None:
    studio.service.set_held([60])
    studio.service.preview(WARM, [60, 61])
    studio.play()
    studio.service.set_held([60, 72])
    studio.service.preview(COLD, [60, 61, 72])
    studio.rest()
    heard = [(note.sound_key, note.note, note.is_draft) for note in studio.notes.queue]
    assert heard[:2] == [(WARM.key, 60, False), (WARM.key, 61, False)]  # nothing to change yet
    of_60 = [is_draft for key, note, is_draft in heard[2:] if note == 60]
    assert of_60 == [True, False]
    assert {(note, is_draft) for _, note, is_draft in heard[2:] if note != 60} == {
        (61, False),  # not held
        (72, False),  # held, but nothing sounds there yet
    }
    studio.service.preview(COLD, [60, 61, 72])  # nothing is wanted that is not there
    studio.rest()
    assert len(studio.notes.queue) == len(heard)


def test_a_draft_gives_way_to_the_note_only_where_the_pad_rests(studio: Studio) -> None:
    studio.service.set_held([60])
    studio.service.preview(WARM, [60])
    studio.play()
    passed = [settings_of("warm", weight) for weight in (0.1, 0.2, 0.3, 0.4)]
    for settings in passed:
        before = studio.notes.qsize()
        studio.service.preview(settings, [60])
        while studio.notes.qsize() == before:
            time.sleep(0.001)
    studio.rest()
    heard = [(note.sound_key, note.is_draft) for note in studio.notes.queue]
    assert heard[1:-1] == [(settings.key, True) for settings in passed]
    assert heard[-1] == (passed[-1].key, False)
    studio.service.preview(passed[0], [60])  # its draft was not kept
    studio.rest()
    assert [note.is_draft for note in studio.notes.queue][-2:] == [True, False]


def test_after_nothing_is_wanted_nothing_comes(studio: Studio) -> None:
    studio.service.set_held([60])
    studio.service.preview(WARM, [60, 61])
    halt = studio.halt_at(60)
    studio.service.start()
    with halt:
        studio.service.preview(None, [])
    studio.rest()
    assert studio.delivered() == []
    assert studio.engine.order == [60]


def test_a_note_is_delivered_once_for_as_long_as_it_is_wanted(studio: Studio) -> None:
    studio.service.preview(WARM, [60])
    studio.play()
    studio.service.preview(WARM, [60, 61])
    studio.rest()
    assert studio.delivered() == [("warm", 60), ("warm", 61)]
    studio.service.preview(WARM, [61])
    studio.service.preview(WARM, [60, 61])
    studio.rest()
    assert studio.delivered() == [("warm", 60)]
    assert studio.engine.order == [60, 61]


def test_going_back_to_a_timbre_renders_nothing(studio: Studio) -> None:
    studio.service.preview(WARM, [60, 61])
    studio.play()
    studio.service.preview(COLD, [60, 61])
    studio.rest()
    before = list(studio.engine.rendered)
    studio.delivered()
    studio.service.preview(settings_of("warm"), [60, 61])
    studio.rest()
    assert studio.delivered() == [("warm", 60), ("warm", 61)]
    assert studio.engine.rendered == before


def test_what_a_pad_in_motion_passes_does_not_push_out_where_it_rested(studio: Studio) -> None:
    studio.service.set_held([60])
    studio.service.preview(WARM, [60])
    halt = studio.halt_at(60)
    studio.service.start()
    with halt:
        studio.service.preview(COLD, [60])
    studio.rest()
    studio.service.preview(WARM, [60])
    studio.rest()
    assert [name for name, _ in studio.engine.rendered] == [
        "warm",
        *("cold", "cold"),  # a draft and the note
        *("warm", "warm"),
    ]
    studio.service.preview(COLD, [60])
    studio.rest()
    assert len(studio.engine.rendered) == 5


def test_the_cache_stays_below_its_limit() -> None:
    note_bytes = FRAMES * 4
    studio = Studio(cache_bytes=3 * note_bytes)
    studio.service.preview(WARM, range(40, 60))
    studio.play()
    studio.service.close()
    assert studio.service._cache.currsize == 3 * note_bytes


# Faults


def test_a_note_that_fails_is_named_and_the_others_come(studio: Studio) -> None:
    def fail(notes: Sequence[int]) -> None:
        if 61 in notes:
            raise ParameterError("It cannot be played.")

    studio.engine.before_batch = fail
    studio.service.preview(WARM, [60, 61, 62, 63])
    studio.play()
    assert sorted(studio.delivered()) == [("warm", 60), ("warm", 62), ("warm", 63)]
    failed = studio.failures.get_nowait()
    assert failed == NoteFailed(sound_key=WARM.key, note=61, message="It cannot be played.")
    assert studio.failures.empty()
    studio.engine.before_batch = lambda notes: None
    studio.service.preview(COLD, [61])
    studio.rest()
    assert studio.delivered() == [("cold", 61)]


def test_an_error_nobody_foresaw_is_logged_and_reported(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(notes: Sequence[int]) -> None:
        raise RuntimeError("boom")

    studio.engine.before_batch = fail
    studio.service.preview(WARM, [60])
    with caplog.at_level(logging.ERROR):
        studio.play()
    assert studio.failures.get_nowait().message == (
        "Note 60 could not be rendered (RuntimeError: boom)."
    )
    assert "boom" in caplog.text


def test_a_failing_callback_does_not_stop_the_service(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(note: NoteReady) -> None:
        raise RuntimeError("the listener fell over")

    studio.service._on_note = fail
    studio.service.preview(WARM, [60, 61])
    studio.play()
    assert studio.engine.order == [60, 61]
    assert "the listener fell over" in caplog.text


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (CheckpointError("The weights are damaged."), "The weights are damaged."),
        (OSError("no"), "The synthesis engine could not be loaded (OSError: no)."),
    ],
)
def test_an_engine_that_cannot_be_loaded_is_said_to_all_who_wait(
    error: Exception, message: str
) -> None:
    def load() -> NoiseEngine:
        raise error

    statuses: list[ServiceStatus] = []
    service = RenderService(
        load,  # type: ignore[arg-type]
        on_note=lambda note: None,
        on_status=statuses.append,
    )
    timbre = service.analyze(CLIP)
    job = service.submit(lambda engine, progress, cancelled: 1)
    service.start()
    for future in (timbre, job.future, service.analyze(CLIP)):
        assert str(future.exception(WAIT_S)) == message
    service.close()
    assert [status.state for status in statuses] == [ServiceState.LOADING, ServiceState.FAILED]
    assert statuses[-1].message == message


@pytest.mark.parametrize("notes", [[128], [60, 60]])
def test_what_cannot_be_rendered_is_refused_at_once(studio: Studio, notes: list[int]) -> None:
    with pytest.raises(ParameterError):
        studio.service.preview(WARM, notes)


# Analysis and long work


def test_one_shots_are_analysed_before_notes_nobody_holds_are_rendered(studio: Studio) -> None:
    rendered_before: list[int] = []
    studio.engine.before_analysis = lambda: rendered_before.append(len(studio.engine.rendered))
    studio.service.preview(WARM, range(40, 80))
    halt = studio.halt_at(40)
    studio.service.start()
    with halt:
        timbre = studio.service.analyze(CLIP, 57.5)
    assert timbre.result(WAIT_S).root_pitch == 57.5
    assert rendered_before == [1]


def test_what_cannot_be_analysed_fails_alone(studio: Studio) -> None:
    silence = replace(CLIP, samples=np.zeros((1, 10), np.float32))
    bad, good = studio.service.analyze(silence), studio.service.analyze(CLIP)
    studio.service.start()
    assert isinstance(bad.exception(WAIT_S), AudioFileError)
    assert good.result(WAIT_S).name == "clip"


def test_held_keys_and_one_shots_do_not_wait_for_long_work(studio: Studio) -> None:
    studio.play()
    told: list[tuple[int, int]] = []
    begun, pressed = threading.Event(), threading.Event()

    def export(engine: object, progress: Progress, cancelled: threading.Event) -> list[int]:
        begun.set()
        assert pressed.wait(WAIT_S)
        orders = []
        for done in (1, 2, 3):
            progress(done, 3)
            orders.append(len(studio.engine.order))
        return orders

    job = studio.service.submit(export, progress=lambda done, total: told.append((done, total)))
    assert begun.wait(WAIT_S)
    studio.service.preview(WARM, [60, 61, 62])
    studio.service.set_held([62, 60])
    timbre = studio.service.analyze(CLIP)
    pressed.set()
    assert job.future.result(WAIT_S) == [2, 2, 2]  # 61, which nobody holds, waits
    assert timbre.done()
    assert told == [(1, 3), (2, 3), (3, 3)]
    studio.rest()
    assert sorted(studio.engine.order[:2]) == [60, 62]
    assert studio.engine.order[2:] == [61]


def test_long_work_renders_with_the_service_s_engine(studio: Studio) -> None:
    request = WARM.request([60, 64, 67])
    studio.service.start()
    job = studio.service.submit(
        lambda engine, progress, cancelled: engine.render(
            request, progress=progress, cancel=cancelled
        )
    )
    instrument = job.future.result(WAIT_S)
    expected = NoiseEngine().render(request)
    for ours, other in zip(instrument.regions, expected.regions, strict=True):
        np.testing.assert_array_equal(ours.samples, other.samples)


def test_long_work_is_cancelled_between_its_steps(studio: Studio) -> None:
    def export(engine: object, progress: Progress, cancelled: threading.Event) -> None:
        while not cancelled.is_set():
            progress(0, 1)
        raise RenderCancelled("It was cancelled.")

    job = studio.service.submit(export)
    waiting = studio.service.submit(export)
    waiting.cancel()
    studio.service.start()
    studio.service.analyze(CLIP).result(WAIT_S)
    job.cancel()
    for each in (job, waiting):
        assert isinstance(each.future.exception(WAIT_S), RenderCancelled)


def test_closing_cancels_what_runs_and_fails_what_waits(studio: Studio) -> None:
    begun = threading.Event()

    def export(engine: object, progress: Progress, cancelled: threading.Event) -> None:
        begun.set()
        assert cancelled.wait(WAIT_S)
        raise RenderCancelled("It was cancelled.")

    running = studio.service.submit(export)
    waiting = studio.service.submit(export)
    studio.service.preview(WARM, [60])
    studio.service.start()
    assert begun.wait(WAIT_S)
    timbre = studio.service.analyze(CLIP)
    studio.service.close()
    later = studio.service.analyze(CLIP)
    for future in (running.future, waiting.future, timbre, later):
        assert isinstance(future.exception(WAIT_S), RenderCancelled)
    assert studio.statuses[-1].state is ServiceState.CLOSED
    assert studio.engine.order == []


def test_a_thread_that_does_not_stop_is_logged(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    studio.service.preview(WARM, [60])
    halt = studio.halt_at(60)
    studio.service.start()
    with halt:
        studio.service.close(timeout_s=0.01)
        assert "did not stop" in caplog.text


def test_closing_before_the_start_fails_what_waits() -> None:
    studio = Studio()
    timbre = studio.service.analyze(CLIP)
    studio.service.close()
    assert isinstance(timbre.exception(WAIT_S), RenderCancelled)


# Status


def test_the_status_tells_what_is_going_on(studio: Studio) -> None:
    studio.service.preview(WARM, range(40, 43))
    studio.play()
    studio.service.close()
    states = [status.state for status in studio.statuses]
    assert states[0] is ServiceState.LOADING
    assert states[-1] is ServiceState.CLOSED
    assert ServiceState.RENDERING in states
    assert ServiceState.WORKING in states  # what rest() hands over
    pending = [s.pending for s in studio.statuses if s.state is ServiceState.RENDERING]
    assert {2, 1} <= set(pending)
    assert all(status.device_name == "cpu" for status in studio.statuses[1:])
    assert any(status.ms_per_note > 0 for status in studio.statuses)


# Serial equals concurrent


def test_the_status_names_the_device_that_the_engine_fell_back_to(studio: Studio) -> None:
    studio.engine.device_name = "cuda"

    def fall_back(notes: Sequence[int]) -> None:
        studio.engine.device_name = "cpu"

    studio.engine.before_batch = fall_back
    studio.service.preview(WARM, [60])
    studio.play()
    names = [status.device_name for status in studio.statuses if status.device_name]
    assert names[0] == "cuda"
    assert names[-1] == "cpu"


def test_many_threads_at_once_get_what_one_engine_renders_alone(studio: Studio) -> None:
    chosen = [settings_of("warm", weight) for weight in (0.2, 0.4, 0.6)]
    by_key = {settings.key: settings for settings in chosen}
    studio.service.start()

    def play(seed: int) -> None:
        source = random.Random(seed)
        for _ in range(60):
            notes = source.sample(range(50, 70), 6)
            studio.service.preview(source.choice(chosen), notes)
            studio.service.set_held(notes[: source.randrange(4)])
            studio.service.set_visible(notes[0], notes[0] + 12)
            studio.service.submit(
                lambda engine, progress, cancelled: engine.render(
                    chosen[0].request([50, 51]), progress=progress, cancel=cancelled
                )
            )

    threads = [threading.Thread(target=play, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    studio.service.preview(chosen[2], range(50, 70))
    studio.rest()
    alone = NoiseEngine()
    heard = list(studio.notes.queue)
    assert len(heard) >= 20
    newest = {note.note for note in heard if note.sound_key == chosen[2].key}
    assert newest == set(range(50, 70))
    for ready in heard:
        request = by_key[ready.sound_key].request([ready.note])
        (expected,) = alone.render(replace(request, is_draft=ready.is_draft)).regions
        np.testing.assert_array_equal(ready.region.samples, expected.samples)
        region = ready.region
        assert region.root_note == region.low_key == region.high_key == ready.note


def test_the_true_engine_renders_through_the_service_as_alone(tmp_path: Path) -> None:
    from core.inference.engine import SynthesisEngine

    bundle = tiny_bundle(tmp_path / "tiny.safetensors")
    tone = harmonic_tone(220.0, 0.4)
    clip = AudioClip(samples=tone[None], sample_rate=44100, name="tone")
    heard: queue.Queue[NoteReady] = queue.Queue()
    service = RenderService(lambda: SynthesisEngine.load(bundle, "cpu"), on_note=heard.put)
    service.start()
    timbre = service.analyze(clip).result(60)
    settings = Sound(mix=TimbreMix(timbres=(timbre,), weights=(1.0,)))
    service.preview(settings, [57, 60, 64])
    ready = {note.note: note for note in (heard.get(timeout=60) for _ in range(3))}
    service.close()
    engine = SynthesisEngine.load(bundle, "cpu")
    assert engine.analyze(clip) == timbre
    for region in engine.render(settings.request([57, 60, 64])).regions:
        ours = ready[region.root_note].region.samples
        rms = np.sqrt(np.mean((ours - region.samples) ** 2) / np.mean(region.samples**2))
        assert rms < 0.05  # other notes of a batch change a note by rounding


def test_memory_goes_back_once_for_every_rest_and_work_goes_on_after(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: queue.Queue[None] = queue.Queue()
    monkeypatch.setattr(service_module, "REST_S", 0.01)
    monkeypatch.setattr(service_module, "return_freed_memory", lambda: rests.put(None))
    studio.service.preview(WARM, [60])
    studio.service.start()
    for note in (61, 62):
        rests.get(timeout=WAIT_S)
        studio.service.preview(WARM, [note])
    rests.get(timeout=WAIT_S)
    assert {note for _, note in studio.delivered()} == {60, 61, 62}


def test_importing_the_service_does_not_load_torch() -> None:
    code = blocking("torch") + "import core.inference.service"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
