from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from core.audio.files import AudioClip
from core.audio.loudness import momentary_loudness_db
from core.audio.pitch import midi_to_hz
from core.errors import ParameterError, RenderCancelled
from core.inference import building
from core.inference.building import ALTERNATIVE_VARIATION, build_instrument, build_pad
from core.inference.engine import SynthesisEngine
from core.inference.leveling import LAYER_STEP_DB
from core.instrument import Envelope, Instrument, Region, tile_zones
from core.plan import InstrumentOptions, InstrumentPlan, PadGrid
from core.sound import RenderRequest, RenderSettings, Sound, Timbre, TimbreMix
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import tiny_bundle

RATE = 44100
LENGTH_S = 1.2

Samples = NDArray[np.float32]


def timbre(name: str) -> Timbre:
    return Timbre(
        name=name,
        content_hash=name,
        root_pitch=60.0,
        pitch_confidence=1.0,
        features=np.zeros(4, np.float32),
        mel=np.zeros((128, 8), np.float32),
        gain=1.0,
        onset_s=0.0,
        length_s=LENGTH_S,
        loudness_db=-12.0,
    )


BELL, HORN = timbre("bell"), timbre("horn")
SETTINGS = Sound(mix=TimbreMix(timbres=(BELL,), weights=(1.0,)), settings=RenderSettings(seed=5))


class Synth:
    """Renders harmonic tones whose level wanders over the keys, and remembers what was asked."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.requests: list[RenderRequest] = []
        self.decay_s: Callable[[int], float] = lambda note: np.inf
        self.partials: Callable[[int], int] = lambda velocity: 1 + velocity // 10
        self.before_note: Callable[[int], None] = lambda note: None

    def render(
        self,
        request: RenderRequest,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Instrument:
        self.requests.append(request)
        regions = []
        zones = tile_zones(request.notes)
        for note, (low, high) in zip(request.notes, zones, strict=True):
            if cancel is not None and cancel.is_set():
                raise RenderCancelled("Stopped in the engine.")
            self.before_note(note)
            samples = self.note(request, note)
            regions.append(
                Region(root_note=note, low_key=low, high_key=high, samples=samples[None])
            )
            if progress is not None:
                progress(len(regions), len(request.notes))
        return Instrument(
            name="made", sample_rate=RATE, regions=tuple(regions), provenance={"model": "abc"}
        )

    def note(self, request: RenderRequest, note: int) -> Samples:
        draw = np.random.default_rng([request.sound.settings.seed, note])
        partials = np.ones(self.partials(request.sound.settings.velocity)) / 2
        partials[0] = 1.0
        partials[1:] *= 1 + request.sound.settings.variation * draw.uniform(
            -0.5, 0.5, len(partials) - 1
        )
        level = 0.2 + 0.7 * draw.random()
        tone = harmonic_tone(
            midi_to_hz(note), LENGTH_S, partials=tuple(partials), decay_s=self.decay_s(note)
        )
        return (level * tone).astype(np.float32)


def loudness_db(region: Region) -> float:
    return momentary_loudness_db(region.samples, RATE)


def true_peak_db(region: Region) -> float:
    oversampled = resample_poly(region.samples.astype(np.float64), 8, 1, axis=-1)
    return float(20 * np.log10(np.abs(oversampled).max()))


def brightness_hz(region: Region) -> float:
    power = np.abs(np.fft.rfft(region.samples[0].astype(np.float64))) ** 2
    return float(
        np.sum(power * np.arange(len(power))) / np.sum(power) * RATE / region.samples.shape[1]
    )


# Instruments


def test_every_key_velocity_and_turn_is_answered() -> None:
    plan = InstrumentPlan(
        notes=(48, 60),
        envelope=Envelope(release_s=1.0),
        options=InstrumentOptions(low_key=40, high_key=70, velocity_layers=3, round_robins=2),
    )
    instrument = build_instrument(Synth(), SETTINGS, plan, name="Horns")
    assert len(instrument.regions) == plan.n_regions == 12
    assert instrument.name == "Horns"
    assert instrument.round_robins == 2
    assert instrument.velocity_layers == plan.options.velocity_ranges
    assert instrument.envelope.release_s == 1.0
    assert {r.low_key for r in instrument.regions} == {40, 55}
    assert {r.high_key for r in instrument.regions} == {54, 70}


def test_levels_are_even_and_no_peak_passes_the_limit() -> None:
    plan = InstrumentPlan(notes=tuple(range(84, 30, -3)))
    regions = build_instrument(Synth(), SETTINGS, plan).regions
    levels = [loudness_db(region) for region in regions]
    assert max(abs(one - other) for one, other in pairwise(levels)) < 0.55
    assert max(true_peak_db(region) for region in regions) == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("wanted", [-30.0, -23.0])
def test_a_loudness_asked_for_is_reached(wanted: float) -> None:
    plan = InstrumentPlan(notes=(36, 60, 84), options=InstrumentOptions(loudness_lufs=wanted))
    instrument = build_instrument(Synth(), SETTINGS, plan)
    assert [loudness_db(r) for r in instrument.regions] == pytest.approx([wanted] * 3, abs=0.05)
    assert f"{wanted:.1f} LUFS" in instrument.provenance["loudness"]


def test_a_loudness_beyond_the_peaks_is_not_reached_by_clipping() -> None:
    regions = build_instrument(
        Synth(),
        SETTINGS,
        InstrumentPlan(notes=(36, 60, 84), options=InstrumentOptions(loudness_lufs=-1.0)),
    ).regions
    assert max(true_peak_db(region) for region in regions) < -0.9


def test_a_silent_note_stays_silent() -> None:
    class Mute(Synth):
        def note(self, request: RenderRequest, note: int) -> Samples:
            return super().note(request, note) * np.float32(note != 60)

    silent, heard = build_instrument(Mute(), SETTINGS, InstrumentPlan(notes=(60, 62))).regions
    assert not silent.samples.any()
    assert true_peak_db(heard) == pytest.approx(-1.0, abs=0.1)


# Layers and alternatives


@pytest.mark.parametrize("brighter", ["louder", "softer"])
def test_softer_layers_are_quieter_and_no_brighter(brighter: str) -> None:
    synth = Synth()
    if brighter == "softer":
        synth.partials = lambda velocity: 14 - velocity // 10
    plan = InstrumentPlan(notes=(48, 60), options=InstrumentOptions(velocity_layers=4))
    instrument = build_instrument(synth, SETTINGS, plan)
    assert [request.sound.settings.velocity for request in synth.requests] == [100, 82, 63, 45]
    for note in plan.notes:
        layers = [region for region in instrument.regions if region.root_note == note]
        assert [layer.low_velocity for layer in layers] == [1, 33, 65, 96]
        steps = np.diff([loudness_db(layer) for layer in layers])
        assert steps == pytest.approx([LAYER_STEP_DB] * 3, abs=0.05)
        assert (np.diff([brightness_hz(layer) for layer in layers]) > 0).all()
    filtered = "2 of 2 filtered" in instrument.provenance["velocity_layers"]
    assert filtered == (brighter == "softer")


def test_alternatives_differ_in_sound_and_not_in_level() -> None:
    synth = Synth()
    plan = InstrumentPlan(notes=(48, 60), options=InstrumentOptions(round_robins=3))
    instrument = build_instrument(synth, SETTINGS, plan)
    asked = [
        (request.sound.settings.seed, request.sound.settings.variation)
        for request in synth.requests
    ]
    assert asked == [(5, 0.0), (6, ALTERNATIVE_VARIATION), (7, ALTERNATIVE_VARIATION)]
    assert "seeds 5-7" in instrument.provenance["round_robins"]
    for note in plan.notes:
        turns = [region for region in instrument.regions if region.root_note == note]
        assert [turn.round_robin for turn in turns] == [1, 2, 3]
        assert np.ptp([loudness_db(turn) for turn in turns]) < 0.1
        for one, other in pairwise(turns):
            assert np.abs(one.samples - other.samples).max() > 0.01


def test_more_variation_than_an_alternative_needs_is_kept() -> None:
    synth = Synth()
    plan = InstrumentPlan(notes=(60,), options=InstrumentOptions(round_robins=2))
    build_instrument(
        synth, replace(SETTINGS, settings=replace(SETTINGS.settings, variation=0.8)), plan
    )
    assert [request.sound.settings.variation for request in synth.requests] == [0.8, 0.8]


# Loops


def test_an_instrument_sustains_or_decays_as_a_whole() -> None:
    synth, plan = Synth(), InstrumentPlan(notes=(40, 50, 60, 70))
    looped = build_instrument(synth, SETTINGS, plan)
    assert all(region.loop for region in looped.regions)
    assert looped.provenance["loops"] == "4 of 4 notes"
    synth.decay_s = lambda note: 1.5 if note == 70 else np.inf  # 5.8 dB/s, among steady ones
    assert all(region.loop for region in build_instrument(synth, SETTINGS, plan).regions)
    synth.decay_s = lambda note: np.inf if note == 70 else 0.3
    decaying = build_instrument(synth, SETTINGS, plan)
    assert not any(region.loop for region in decaying.regions)
    assert "the note decays by 29 dB/s" in decaying.provenance["loops"]


def test_without_loops_notes_fade_out() -> None:
    synth = Synth()
    plan = InstrumentPlan(
        notes=(60,), options=InstrumentOptions(loop=False, fade_out_s=0.2, length_s=0.8)
    )
    instrument = build_instrument(synth, SETTINGS, plan)
    (region,) = instrument.regions
    assert region.loop is None
    assert instrument.provenance["loops"] == "not asked for"
    assert region.samples.shape[1] == round(0.8 * RATE)
    blocks = np.sqrt(np.mean(region.samples[0, -8800:].reshape(-1, 880) ** 2, axis=1))
    assert (np.diff(blocks) < 0).all()
    assert blocks[-1] < 0.02 * blocks[0]


# Work


def test_progress_runs_over_all_regions() -> None:
    seen: list[tuple[int, int]] = []
    plan = InstrumentPlan(
        notes=(48, 60), options=InstrumentOptions(velocity_layers=2, round_robins=2)
    )
    build_instrument(
        Synth(), SETTINGS, plan, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(done, 8) for done in range(1, 9)]


def test_cancelling_stops_between_notes_and_keeps_nothing() -> None:
    for stop_at in range(1, 9):
        cancel, synth = threading.Event(), Synth()
        plan = InstrumentPlan(
            notes=(48, 60), options=InstrumentOptions(velocity_layers=2, round_robins=2)
        )
        n_notes = 0

        def stop(note: int, cancel: threading.Event = cancel, stop_at: int = stop_at) -> None:
            nonlocal n_notes
            n_notes += 1
            if n_notes == stop_at:
                cancel.set()

        synth.before_note = stop
        with pytest.raises(RenderCancelled):
            build_instrument(synth, SETTINGS, plan, cancel=cancel)
        assert n_notes == stop_at


def test_the_same_input_gives_the_same_instrument() -> None:
    plan = InstrumentPlan(
        notes=(48, 60), options=InstrumentOptions(velocity_layers=2, round_robins=2)
    )
    first, second = (build_instrument(Synth(), SETTINGS, plan) for _ in range(2))
    assert first.provenance == second.provenance
    assert first.provenance["model"] == "abc"
    for one, other in zip(first.regions, second.regions, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert one.loop == other.loop


# Pads


ENDS = ((0.0, 0.5), (1.0, 0.5))
"""Where two timbres lie on the pad."""


BOTH = replace(SETTINGS, mix=TimbreMix(timbres=(BELL, HORN), weights=(1.0, 1.0)))


def test_a_pad_mixes_by_distance_and_is_pure_where_a_timbre_lies() -> None:
    synth = Synth()
    grid, plan = PadGrid(columns=3, rows=1), InstrumentPlan(notes=(48, 60))
    pad = build_pad(synth, BOTH, plan, grid, ENDS)
    assert (pad.columns, pad.rows, pad.name) == (3, 1, "bell-horn")
    mixes = [request.sound.mix for request in synth.requests]
    assert [mix.timbres for mix in mixes] == [(BELL,), (BELL, HORN), (HORN,)]
    assert mixes[1].weights == (0.5, 0.5)
    assert [point.provenance["pad"] for point in pad.points[:2]] == ["x 0, y 0.5", "x 0.5, y 0.5"]


def test_points_of_a_pad_have_one_level_that_suits_the_peaks_of_all() -> None:
    class Spiky(Synth):
        def note(self, request: RenderRequest, note: int) -> Samples:
            samples = 0.1 * super().note(request, note)
            if HORN in request.sound.mix.timbres:
                samples[RATE // 2] = 0.9
            return samples

    grid, plan = PadGrid(columns=2, rows=1), InstrumentPlan(notes=(48, 60))
    left, right = build_pad(Spiky(), BOTH, plan, grid, ENDS).points
    for one, other in zip(left.regions, right.regions, strict=True):
        assert loudness_db(one) == pytest.approx(loudness_db(other), abs=0.05)
    assert max(true_peak_db(region) for region in right.regions) == pytest.approx(-1.0, abs=0.5)


def test_a_pad_counts_and_stops_over_all_points() -> None:
    seen: list[int] = []
    cancel = threading.Event()

    def report(done: int, total: int) -> None:
        seen.append(done)
        assert total == 8
        if done == 5:
            cancel.set()

    grid, plan = PadGrid(columns=2, rows=2), InstrumentPlan(notes=(48, 60))
    with pytest.raises(RenderCancelled):
        build_pad(Synth(), BOTH, plan, grid, ENDS, progress=report, cancel=cancel)
    assert seen == [1, 2, 3, 4, 5]


def test_a_pad_needs_a_place_for_each_timbre() -> None:
    grid, plan = PadGrid(columns=2, rows=1), InstrumentPlan(notes=(60,))
    with pytest.raises(ParameterError, match="3 places on the pad for 2 samples"):
        build_pad(Synth(), BOTH, plan, grid, (*ENDS, (0.5, 0.5)))


def test_networks_build_an_instrument_too(tmp_path: Path) -> None:
    engine = SynthesisEngine.load(tiny_bundle(tmp_path / "tiny.safetensors"), "cpu")
    clip = AudioClip(samples=harmonic_tone(220.0, 1.0)[None], sample_rate=RATE, name="tone")
    settings = Sound(mix=TimbreMix(timbres=(engine.analyze(clip),), weights=(1.0,)))
    plan = InstrumentPlan(
        notes=(48, 60), options=InstrumentOptions(velocity_layers=2, round_robins=2)
    )
    instrument = build_instrument(engine, settings, plan)
    assert len(instrument.regions) == 8
    assert instrument.name == "tone"
    assert {"model", "sources", "seed", "loops", "loudness"} <= set(instrument.provenance)
    assert max(true_peak_db(region) for region in instrument.regions) < -0.3  # noise, read at 8x


def test_a_softer_layer_made_of_the_louder_one_is_clearly_darker() -> None:
    bright = (0.5 * harmonic_tone(200.0, 1.0, partials=(1.0,) * 20)[None]).astype(np.float32)
    brighter = (0.5 * harmonic_tone(200.0, 1.0, partials=(1.0,) * 40)[None]).astype(np.float32)
    darkened, is_darkened = building._no_brighter(brighter, bright, RATE)
    assert is_darkened
    ratio = building._centroid_hz(darkened, RATE) / building._centroid_hz(bright, RATE)
    assert 0.3 < ratio < 0.95
    kept, is_darkened = building._no_brighter(bright, brighter, RATE)
    assert not is_darkened
    assert kept is bright


def test_in_a_sound_that_sustains_a_note_that_dies_soon_has_no_loop() -> None:
    synth = Synth()
    synth.decay_s = lambda note: {62: 0.25, 64: 2.0}.get(note, np.inf)  # 35 and 4.3 dB/s
    plan = InstrumentPlan(notes=(48, 55, 60, 62, 64, 67))
    looped = {
        region.root_note: region.loop is not None
        for region in build_instrument(synth, SETTINGS, plan).regions
    }
    assert looped == {48: True, 55: True, 60: True, 62: False, 64: True, 67: True}
