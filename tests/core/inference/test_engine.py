from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.audio.file_facts import FileFacts, RootClaim, RootOrigin
from core.audio.files import AudioClip
from core.audio.loudness import HEADROOM_DB, momentary_loudness_db
from core.audio.pitch import hz_to_midi
from core.audio.shift import shift_cycle
from core.device import resolve_device
from core.errors import DeviceError, ParameterError, RenderCancelled
from core.inference.engine import NOTES_PER_BATCH, SynthesisEngine
from core.inference.folded_generator import FoldedGenerator
from core.inference.model import Model, load_model
from core.inference.original import recording_at
from core.inference.refining import sum_weighted
from core.inference.rendering import PEAK
from core.instrument import Instrument
from core.sound import RenderRequest, RenderSettings, Sound, Timbre, TimbreMix
from tests.core.requests import with_settings
from tests.helpers.signals import harmonic_tone, noise_burst
from tests.helpers.tiny_models import tiny_bundle

RATE = 44100
BFLOAT16_TOLERANCE = 0.05
"""Relative RMS by which other notes of a batch may change a note where a CPU computes in bf16."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Studio:
    """An engine with its networks and three analysed sounds."""

    engine: SynthesisEngine
    model: Model
    pluck: Timbre
    pad: Timbre
    hiss: Timbre


def clip(samples: Samples, name: str = "sound", rate: int = RATE) -> AudioClip:
    return AudioClip(samples=samples[None], sample_rate=rate, name=name)


PLUCK = clip(harmonic_tone(220.0, 0.9, decay_s=0.25), "pluck")
PAD = clip(0.3 * harmonic_tone(392.0, 1.6, attack_s=0.1, partials=(1, 0.2, 0.4)), "pad")
HISS = clip(noise_burst(0.3, decay_s=0.1), "hiss")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    model = load_model(tiny_bundle(tmp_path_factory.mktemp("model") / "tiny.safetensors"))
    engine = SynthesisEngine(model, torch.device("cpu"))
    sounds = [engine.analyze(sound) for sound in (PLUCK, PAD, HISS)]
    return Studio(engine, model, *sounds)


@pytest.fixture
def fresh(studio: Studio) -> Iterator[Studio]:
    """The studio with nothing cached, put back on the CPU afterwards."""
    studio.engine._place(torch.device("cpu"))
    yield studio
    studio.engine._place(torch.device("cpu"))


def mix_of(*parts: tuple[Timbre, float]) -> TimbreMix:
    return TimbreMix(timbres=tuple(p[0] for p in parts), weights=tuple(p[1] for p in parts))


def request_of(timbre: Timbre, *notes: int) -> RenderRequest:
    """A request that the networks alone answer; for the recording see test_original.py."""
    return RenderRequest(
        sound=Sound(mix=mix_of((timbre, 1.0)), settings=RenderSettings(original_range=0.0)),
        notes=notes or (60,),
    )


def sounds_of(instrument: Instrument) -> list[Samples]:
    return [region.samples[0] for region in instrument.regions]


def difference(ours: Samples, expected: Samples) -> float:
    """RMS of the difference relative to what was expected."""
    assert ours.shape == expected.shape
    return float(np.sqrt(np.mean((ours - expected) ** 2) / np.mean(expected**2)))


def cents_off(sound: Samples, midi_note: int) -> float:
    """Where the spectrum peaks within 60 cents of a note, cents."""
    middle = sound[4096:28672].astype(np.float64)
    cents = np.linspace(-60, 60, 121)
    frequency_hz = 440.0 * 2.0 ** ((midi_note - 69 + cents / 100) / 12)
    turns = np.outer(frequency_hz, np.arange(len(middle)) / RATE)
    levels = np.abs(np.exp(-2j * np.pi * turns) @ (middle * np.hanning(len(middle))))
    return float(cents[np.argmax(levels)])


class Spy:
    """Counts the calls of a method and keeps what it returned."""

    def __init__(self, owner: object, method: str) -> None:
        self.outputs: list[torch.Tensor] = []
        called = getattr(owner, method)

        def spied(*inputs: object) -> torch.Tensor:
            self.outputs.append(called(*inputs))
            return self.outputs[-1]

        self._patch = patch.object(owner, method, spied)

    def __enter__(self) -> Spy:
        self._patch.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._patch.stop()

    @property
    def calls(self) -> int:
        return len(self.outputs)


# Analysis


def test_analysis_hears_root_length_and_level(studio: Studio) -> None:
    pluck = studio.pluck
    assert pluck.name == "pluck"
    assert pluck.root_pitch == pytest.approx(57.0, abs=0.1)
    assert pluck.pitch_confidence > 0.5
    assert pluck.length_s == pytest.approx(0.9, abs=0.05)
    assert pluck.gain == pytest.approx(0.9, abs=0.02)
    assert studio.pad.gain == pytest.approx(0.27, abs=0.02)
    assert pluck.mel.shape == (128, 256)
    assert np.mean(pluck.features**2) == pytest.approx(1.0, abs=0.01)
    assert studio.hiss.pitch_confidence < pluck.pitch_confidence


def test_a_root_given_by_the_user_wins(studio: Studio) -> None:
    told = studio.engine.analyze(PLUCK, root=45.5)
    assert (told.root_pitch, told.pitch_confidence) == (45.5, 1.0)
    assert told != studio.pluck
    np.testing.assert_array_equal(told.features, studio.pluck.features)


def test_a_root_that_the_file_names_is_taken_where_none_is_heard(studio: Studio) -> None:
    claim = RootClaim(midi_pitch=36.0, origin=RootOrigin.ACID)
    named = studio.engine.analyze(replace(HISS, facts=FileFacts(claims=(claim,))))
    assert (named.root_pitch, named.root_origin) == (36.0, RootOrigin.ACID)
    assert not named.is_pitched
    assert studio.pluck.root_origin is RootOrigin.HEARD
    assert studio.engine.analyze(HISS, root=40.0).root_origin is RootOrigin.GIVEN


@pytest.mark.parametrize("frames", [256, 600, 2048])
@pytest.mark.parametrize("given", [None, 60.0])
def test_a_single_cycle_is_an_oscillator(studio: Studio, frames: int, given: float | None) -> None:
    saw = np.linspace(-0.9, 0.9, frames, endpoint=False, dtype=np.float32)
    wave = replace(clip(saw), facts=FileFacts(cycle_frames=frames))
    timbre = studio.engine.analyze(wave, root=given)
    assert timbre.cycle_frames == frames
    assert timbre.is_pitched
    assert timbre.length_s > 2.9
    if given is None:
        assert timbre.root_origin is RootOrigin.CYCLE
        assert timbre.root_pitch == pytest.approx(hz_to_midi(RATE / frames))
    note = round(timbre.root_pitch) + 19
    expected = shift_cycle(timbre.samples, RATE, note - timbre.root_pitch, frames)
    expected /= np.max(np.abs(expected))
    np.testing.assert_allclose(recording_at(timbre, note, RATE), expected, atol=1e-6)


@pytest.mark.parametrize("root", [-0.1, 127.5, float("nan")])
def test_a_root_off_the_keyboard_is_refused(studio: Studio, root: float) -> None:
    with pytest.raises(ParameterError, match="Root note"):
        studio.engine.analyze(PLUCK, root=root)


def test_level_and_silence_before_the_note_are_not_timbre(studio: Studio) -> None:
    late = np.pad(0.25 * PLUCK.samples[0], (8820, 0))
    heard = studio.engine.analyze(clip(late))
    assert heard.onset_s == pytest.approx(studio.pluck.onset_s + 0.2, abs=0.002)
    assert heard.gain == pytest.approx(0.25 * studio.pluck.gain, rel=1e-3)
    np.testing.assert_allclose(heard.features, studio.pluck.features, atol=0.1)
    assert heard.loudness_db == pytest.approx(studio.pluck.loudness_db, abs=0.1)


def test_the_same_recording_is_the_same_timbre(studio: Studio, tmp_path: Path) -> None:
    assert studio.engine.analyze(replace(PLUCK, name="renamed")) == studio.pluck
    other = SynthesisEngine(
        load_model(tiny_bundle(tmp_path / "other.safetensors", seed=1)), torch.device("cpu")
    )
    assert other.analyze(PLUCK) != studio.pluck  # features of one model mean nothing to another


def test_nearest_instruments_are_named_once_and_in_order(studio: Studio) -> None:
    violin = replace(studio.pluck, features=np.eye(16, dtype=np.float32)[1])
    assert studio.engine.nearest_instruments(violin) == [("Violin", 1.0), ("Vibraphone", 0.0)]
    assert studio.engine.nearest_instruments(violin, 1) == [("Violin", 1.0)]
    several = replace(
        studio.model,
        known_names=("Oboe", "Flute", "Oboe"),
        known_features=torch.eye(3, 16) + torch.eye(3, 16)[[2, 1, 0]],
    )
    found = SynthesisEngine(several, torch.device("cpu")).nearest_instruments(
        replace(violin, features=np.eye(16, dtype=np.float32)[0])
    )
    assert [name for name, _ in found] == ["Oboe", "Flute"]
    alone = replace(studio.model, known_names=(), known_features=torch.zeros(0, 1))
    assert SynthesisEngine(alone, torch.device("cpu")).nearest_instruments(violin) == []


def test_model_info_is_the_header_without_its_long_lists(studio: Studio) -> None:
    info = studio.engine.model_info
    assert info["licence"] == "none"
    assert info["sha256"] == studio.model.content_hash
    assert "known_instruments" not in info
    assert studio.engine.sample_rate == RATE


# Rendering


def test_an_instrument_has_its_notes_in_order_and_covers_the_keyboard(studio: Studio) -> None:
    instrument = studio.engine.render(request_of(studio.pluck, 72, 48, 60))
    assert [region.root_note for region in instrument.regions] == [72, 48, 60]
    keys = sorted(k for r in instrument.regions for k in range(r.low_key, r.high_key + 1))
    assert keys == list(range(128))
    assert instrument.name == "pluck"
    assert instrument.provenance["model"] == studio.model.content_hash[:12]
    assert "pluck" in instrument.provenance["sources"]


@pytest.mark.parametrize("changes", [{}, {"variation": 1.0}, {"velocity": 20, "carry_over": 0.0}])
def test_the_same_request_gives_the_same_samples(fresh: Studio, changes: dict[str, float]) -> None:
    request = with_settings(request_of(fresh.pluck, 50, 62), **changes)
    first = sounds_of(fresh.engine.render(request))
    cached = sounds_of(fresh.engine.render(request))
    anew = SynthesisEngine(fresh.model, torch.device("cpu"))
    from_a_new_engine = sounds_of(
        anew.render(
            replace(request, sound=replace(request.sound, mix=mix_of((anew.analyze(PLUCK), 1))))
        )
    )
    for again in (cached, from_a_new_engine):
        for ours, expected in zip(again, first, strict=True):
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("variation", [0.0, 1.0])
def test_another_seed_changes_the_sound_and_not_its_pitch(studio: Studio, variation: float) -> None:
    request = with_settings(request_of(studio.pad, 57, 72), variation=variation)
    rendered = [sounds_of(studio.engine.render(with_settings(request, seed=s))) for s in (0, 7)]
    for note, one, other in zip(request.notes, *rendered, strict=True):
        assert not np.array_equal(one, other)
        assert abs(cents_off(one, note)) <= 2
        assert abs(cents_off(other, note)) <= 2


def test_without_variation_the_seed_reaches_the_noise_only(studio: Studio) -> None:
    drawn: dict[float, list[torch.Tensor]] = {}
    for variation in (0.0, 1.0):
        request = with_settings(request_of(studio.pad), variation=variation)
        studio.engine.render(request)  # the refined mix is now cached
        with Spy(studio.engine._networks.generator, "draw") as spy:
            for seed in (1, 2):
                studio.engine.render(with_settings(request, seed=seed))
        drawn[variation] = spy.outputs
    assert torch.equal(drawn[0.0][0], drawn[0.0][1])
    assert not torch.equal(drawn[1.0][0], drawn[1.0][1])


def test_huge_seeds_are_seeds(studio: Studio) -> None:
    request = with_settings(request_of(studio.pluck), seed=2**63 - 1, variation=1.0)
    assert studio.engine.render(request).regions


@pytest.mark.parametrize("name", ["carry_over", "refinement"])
def test_its_strengths_are_heard(studio: Studio, name: str) -> None:
    request = with_settings(request_of(studio.pluck), variation=0.0)
    (without,) = sounds_of(studio.engine.render(with_settings(request, **{name: 0.0})))
    (half,) = sounds_of(studio.engine.render(with_settings(request, **{name: 0.5})))
    (full,) = sounds_of(studio.engine.render(with_settings(request, **{name: 1.0})))
    assert difference(without, full) > 0.02
    assert difference(half, full) > 0.005


def test_with_its_carry_over_the_root_note_is_nearer_to_the_source(studio: Studio) -> None:
    # The networks are random: all that is like the source was carried over.
    root = round(studio.pluck.root_pitch)
    distances = {}
    for strength in (0.0, 1.0):
        request = with_settings(request_of(studio.pluck, root), carry_over=strength)
        (sound,) = sounds_of(studio.engine.render(request))
        heard = studio.engine.analyze(clip(sound), root=root).mel
        distances[strength] = float(np.sqrt(np.mean((heard - studio.pluck.mel) ** 2)))
    assert distances[1.0] < 0.85 * distances[0.0]


def test_a_mix_of_one_sound_alone_is_that_sound(studio: Studio) -> None:
    (alone,) = sounds_of(studio.engine.render(request_of(studio.pluck)))
    mix = mix_of((studio.pluck, 1.0), (studio.pad, 0.0))
    (mixed,) = sounds_of(
        studio.engine.render(
            RenderRequest(
                sound=Sound(mix=mix, settings=RenderSettings(original_range=0.0)), notes=(60,)
            )
        )
    )
    assert difference(mixed, alone) < BFLOAT16_TOLERANCE


def test_a_draft_has_the_phases_of_its_note(studio: Studio) -> None:
    """So that a crossfade from one to the other is not heard."""
    request = request_of(studio.pad, round(studio.pad.root_pitch))
    note, draft = (
        studio.engine.render(each).regions[0].samples[0]
        for each in (request, replace(request, is_draft=True))
    )
    assert len(draft) == len(note)
    assert not np.array_equal(draft, note)
    assert np.corrcoef(draft, note)[0, 1] > 0.9


def test_the_order_of_a_mix_does_not_count(studio: Studio) -> None:
    one = mix_of((studio.pluck, 0.3), (studio.pad, 0.7))
    other = mix_of((studio.pad, 0.7), (studio.pluck, 0.3))
    (first,), (second,) = (
        sounds_of(
            studio.engine.render(
                RenderRequest(
                    sound=Sound(mix=mix, settings=RenderSettings(original_range=0.0)), notes=(60,)
                )
            )
        )
        for mix in (one, other)
    )
    assert difference(second, first) < BFLOAT16_TOLERANCE


def test_a_mix_is_neither_of_its_sounds(studio: Studio) -> None:
    mixed = studio.engine.render(
        RenderRequest(
            sound=Sound(
                mix=mix_of((studio.pluck, 1.0), (studio.pad, 1.0)),
                settings=RenderSettings(original_range=0.0),
            ),
            notes=(60,),
        )
    )
    assert mixed.name == "pluck-pad"
    (sound,) = sounds_of(mixed)
    seconds = (studio.pluck.length_s + studio.pad.length_s) / 2
    assert len(sound) == round(seconds * RATE)
    for timbre in (studio.pluck, studio.pad):
        (alone,) = sounds_of(studio.engine.render(request_of(timbre)))
        shortest = min(len(alone), len(sound))
        assert difference(sound[:shortest], alone[:shortest]) > 0.1


@pytest.mark.parametrize("in_bfloat16", [True, False])
def test_notes_of_a_batch_equal_notes_alone(
    fresh: Studio, in_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.inference.networks.cpu_has_fast_bfloat16", lambda: in_bfloat16)
    fresh.engine._place(torch.device("cpu"))
    notes = tuple(range(50, 50 + NOTES_PER_BATCH + 2))
    together = sounds_of(fresh.engine.render(request_of(fresh.pluck, *notes)))
    for note, ours in list(zip(notes, together, strict=True))[::3]:
        (alone,) = sounds_of(fresh.engine.render(request_of(fresh.pluck, note)))
        assert difference(ours, alone) < (BFLOAT16_TOLERANCE if in_bfloat16 else 1e-3)


@pytest.mark.parametrize("sound", ["pluck", "pad", "hiss"])
def test_keys_are_in_tune_even_finite_and_below_the_peak(studio: Studio, sound: str) -> None:
    timbre: Timbre = getattr(studio, sound)
    notes = (0, 36, 48, 60, 72, 84, 127)
    instrument = studio.engine.render(request_of(timbre, *notes))
    for note, samples in zip(notes, sounds_of(instrument), strict=True):
        assert np.isfinite(samples).all()
        peak = float(np.max(np.abs(samples)))
        assert 0.01 < peak <= PEAK + 1e-6
        loudness_db = momentary_loudness_db(samples[None], RATE)
        limited = peak > PEAK - 1e-4
        assert loudness_db <= timbre.loudness_db - HEADROOM_DB + 0.01
        assert limited or loudness_db == pytest.approx(timbre.loudness_db - HEADROOM_DB, abs=1.0)
        if sound != "hiss" and 36 <= note <= 84:
            assert abs(cents_off(samples, note)) <= 3


@pytest.mark.parametrize("length_s", [0.05, 0.5, 5.0])
def test_notes_are_as_long_as_the_source_up_to_one_window(studio: Studio, length_s: float) -> None:
    timbre = studio.engine.analyze(clip(harmonic_tone(330.0, length_s)), root=64.0)
    (sound,) = sounds_of(studio.engine.render(request_of(timbre)))
    longest = studio.model.mel.n_samples
    assert len(sound) == min(longest, round(timbre.length_s * RATE))
    assert len(sound) == pytest.approx(min(longest, length_s * RATE), abs=0.01 * RATE)
    assert abs(sound[-1]) < 1e-3  # faded out


# Progress, cancelling, cache


def test_progress_counts_every_batch(studio: Studio) -> None:
    told: list[tuple[int, int]] = []
    notes = tuple(range(40, 40 + 2 * NOTES_PER_BATCH + 1))
    studio.engine.render(
        request_of(studio.hiss, *notes), progress=lambda done, total: told.append((done, total))
    )
    total = len(notes)
    assert told == [(NOTES_PER_BATCH, total), (2 * NOTES_PER_BATCH, total), (total, total)]


def test_cancelling_before_the_start_renders_nothing(studio: Studio) -> None:
    cancel = threading.Event()
    cancel.set()
    with Spy(studio.engine._networks.vocoder, "render") as spy, pytest.raises(RenderCancelled):
        studio.engine.render(request_of(studio.hiss), cancel=cancel)
    assert spy.calls == 0


def test_cancelling_between_batches_stops_there(studio: Studio) -> None:
    cancel = threading.Event()
    notes = tuple(range(40, 40 + 3 * NOTES_PER_BATCH))
    with (
        Spy(studio.engine._networks.vocoder, "render") as spy,
        pytest.raises(RenderCancelled, match="cancelled"),
    ):
        studio.engine.render(
            request_of(studio.hiss, *notes),
            progress=lambda done, total: cancel.set(),
            cancel=cancel,
        )
    assert spy.calls == 1
    assert studio.engine.render(request_of(studio.hiss)).regions  # the engine lives on


def test_a_mix_is_refined_once_for_many_notes(fresh: Studio) -> None:
    mix = mix_of((fresh.pluck, 0.5), (fresh.hiss, 0.5))
    notes = tuple(range(40, 40 + NOTES_PER_BATCH + 1))
    with Spy(fresh.model.hypernetwork, "forward") as spy:
        fresh.engine.render(
            RenderRequest(
                sound=Sound(mix=mix, settings=RenderSettings(original_range=0.0)), notes=notes
            )
        )
        assert spy.calls == 2  # the mix takes what its sounds have
        for changes in ({"velocity": 30}, {"seed": 3}, {"variation": 1.0}, {"carry_over": 0.5}):
            request = RenderRequest(
                sound=Sound(mix=mix, settings=RenderSettings(original_range=0.0)), notes=(90,)
            )
            fresh.engine.render(with_settings(request, **changes))
        assert spy.calls == 2
        fresh.engine.render(
            RenderRequest(
                sound=Sound(mix=mix, settings=RenderSettings(refinement=0.5, original_range=0.0)),
                notes=(90,),
            )
        )
        assert spy.calls == 4


def test_a_mix_has_the_weighted_offsets_of_its_sounds(studio: Studio) -> None:
    mixed = studio.engine._refiner.refined(mix_of((studio.pluck, 3.0), (studio.pad, 1.0)), 1.0)
    pluck, pad = (
        studio.engine._refiner.refined(mix_of((t, 1.0)), 1.0) for t in (studio.pluck, studio.pad)
    )
    for offsets, ours, theirs in zip(
        mixed.weight_offsets, pluck.weight_offsets, pad.weight_offsets, strict=True
    ):
        wanted = 0.75 * ours.double() + 0.25 * theirs.double()
        assert float((offsets - wanted).abs().max()) <= 0.01 * float(wanted.abs().max())


def test_the_cache_forgets_the_mix_not_used_for_longest(
    fresh: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.inference.refining.REFINED_KEPT", 2)
    fresh.engine._place(torch.device("cpu"))
    pluck, pad, hiss = (request_of(t) for t in (fresh.pluck, fresh.pad, fresh.hiss))
    for request in (pluck, pad, pluck, hiss):
        fresh.engine.render(request)
    with Spy(fresh.model.hypernetwork, "forward") as spy:
        fresh.engine.render(pluck)
        assert spy.calls == 0
        fresh.engine.render(pad)
        assert spy.calls > 0


# Devices


@pytest.fixture
def small_gpu(fresh: Studio, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretends that the engine computes on a device; returns the messages it gives."""
    messages: list[str] = []
    monkeypatch.setattr(fresh.engine, "_say", messages.append)
    monkeypatch.setattr(fresh.engine._networks, "device", torch.device("meta"))
    monkeypatch.setattr(fresh.engine._networks, "_autocast_dtype", None)
    return messages


def failing_on(device: str, forward: Callable[..., object]) -> Callable[..., object]:
    """A network's method whose memory runs out on one device."""

    def call(*inputs: object) -> object:
        if any(isinstance(x, torch.Tensor) and x.device.type == device for x in inputs):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(*inputs)

    return call


def test_where_memory_runs_out_the_cpu_goes_on(
    fresh: Studio, small_gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FoldedGenerator, "draw", failing_on("meta", FoldedGenerator.draw))
    notes = tuple(range(50, 50 + NOTES_PER_BATCH + 1))
    told: list[int] = []
    rendered = fresh.engine.render(
        request_of(fresh.pluck, *notes), progress=lambda done, total: told.append(done)
    )
    assert small_gpu == ["The memory of 'meta' ran out; going on with the CPU."]
    assert told == [NOTES_PER_BATCH, len(notes)]
    assert fresh.engine.device_name == "cpu"
    expected = SynthesisEngine(fresh.model, torch.device("cpu")).render(
        request_of(fresh.pluck, *notes)
    )
    for ours, other in zip(sounds_of(rendered), sounds_of(expected), strict=True):
        np.testing.assert_array_equal(ours, other)


def test_analysis_falls_back_too(
    fresh: Studio, small_gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    features = fresh.model.features
    monkeypatch.setattr(features, "forward", failing_on("meta", features.forward))
    heard = fresh.engine.analyze(PLUCK)
    np.testing.assert_array_equal(heard.features, fresh.pluck.features)
    assert len(small_gpu) == 1


def run_out(*inputs: object) -> object:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def test_memory_that_runs_out_on_the_cpu_too_is_an_error(
    fresh: Studio, small_gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FoldedGenerator, "draw", run_out)
    with pytest.raises(DeviceError, match="close other programs or render fewer notes"):
        fresh.engine.render(request_of(fresh.pluck))
    assert len(small_gpu) == 1
    with pytest.raises(DeviceError):
        fresh.engine.render(request_of(fresh.pluck))  # now on the CPU from the start
    assert len(small_gpu) == 1


def test_other_errors_are_not_taken_for_lack_of_memory(
    fresh: Studio, small_gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*inputs: object) -> object:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(FoldedGenerator, "draw", fail)
    with pytest.raises(RuntimeError, match="multiplied"):
        fresh.engine.render(request_of(fresh.pluck))
    assert small_gpu == []


def test_loading_names_the_device(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny.safetensors")
    assert SynthesisEngine.load(bundle, "cpu").device_name == "cpu"
    with pytest.raises(DeviceError, match="Unknown device 'abacus'"):
        SynthesisEngine.load(bundle, "abacus")


@pytest.mark.gpu
def test_a_gpu_renders_what_the_cpu_renders(studio: Studio) -> None:
    device = resolve_device("auto")
    if device.type == "cpu":
        pytest.skip("no accelerator here")
    (expected,) = sounds_of(studio.engine.render(request_of(studio.pluck)))
    # A copy, because networks move with their engine.
    engine = SynthesisEngine(copy.deepcopy(studio.model), device)
    (ours,) = sounds_of(engine.render(request_of(studio.pluck)))
    assert difference(ours, expected) < 2 * BFLOAT16_TOLERANCE


def test_sums_are_weighted() -> None:
    parts = [torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])]
    torch.testing.assert_close(sum_weighted(parts, [0.25, 0.5]), torch.tensor([5.25, 10.5]))


def test_a_note_starts_and_ends_at_zero_without_a_click(studio: Studio) -> None:
    for region in studio.engine.render(request_of(studio.pluck, 40, 60, 80)).regions:
        samples = region.samples[0]
        assert abs(float(samples[0])) < 1e-4
        assert abs(float(samples[-1])) < 1e-3
