from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.audio.attack import attack_power
from core.audio.files import AudioClip
from core.errors import ParameterError
from core.inference.engine import SynthesisEngine
from core.inference.model import load_model
from core.inference.original import plays_recording, recording_share
from core.mel import MelConfig, MelSpectrogram, band_edges_hz
from core.sound import RenderRequest, Sound, Timbre, TimbreMix
from tests.core.requests import with_settings
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import tiny_bundle

RATE = 44100
ROOT = 57
MEL = MelConfig()

Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SynthesisEngine:
    """Networks of random weights: all that is like the recording comes from it."""
    bundle = tiny_bundle(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    return SynthesisEngine(load_model(bundle), torch.device("cpu"))


@pytest.fixture(scope="module")
def pluck(engine: SynthesisEngine) -> Timbre:
    tone = harmonic_tone(220.0, 2.0, decay_s=0.8)
    return engine.analyze(AudioClip(samples=tone[None], sample_rate=RATE, name="pluck"), root=ROOT)


def request_of(timbre: Timbre, *notes: int) -> RenderRequest:
    return RenderRequest(sound=Sound(mix=TimbreMix(timbres=(timbre,), weights=(1.0,))), notes=notes)


def sound_of(engine: SynthesisEngine, request: RenderRequest) -> Samples:
    (region,) = engine.render(request).regions
    return region.samples[0]


def mel_of(sound: Samples) -> NDArray[np.float32]:
    config = MelConfig()
    padded = np.zeros((1, config.n_samples), np.float32)
    padded[0, : len(sound)] = sound[: config.n_samples] / np.abs(sound).max()
    mel: NDArray[np.float32] = MelSpectrogram(config)(torch.from_numpy(padded))[0].numpy()
    return mel


def test_the_root_key_is_the_recording(engine: SynthesisEngine, pluck: Timbre) -> None:
    sound = sound_of(engine, request_of(pluck, ROOT))
    inner = slice(400, len(sound) - 1000)  # without the fades
    ours, theirs = sound[inner], pluck.samples[: len(sound)][inner]
    gain = float(ours @ theirs / (theirs @ theirs))
    np.testing.assert_allclose(ours, gain * theirs, atol=1e-5)


@pytest.mark.parametrize("note", [ROOT - 6, ROOT + 3, ROOT + 7])
def test_keys_near_the_root_are_the_recording_at_their_own_pitch(
    engine: SynthesisEngine, pluck: Timbre, note: int
) -> None:
    sound = sound_of(engine, request_of(pluck, note)).astype(np.float64)
    cents = np.linspace(-30, 30, 121)
    frequency_hz = 440.0 * 2.0 ** ((note - 69 + cents / 100) / 12)
    turns = np.outer(frequency_hz, np.arange(32768) / RATE)
    levels = np.abs(np.exp(-2j * np.pi * turns) @ (sound[4096:36864] * np.hanning(32768)))
    assert abs(cents[np.argmax(levels)]) <= 1.0


def test_a_carried_note_has_the_colour_that_is_drawn(
    engine: SynthesisEngine, pluck: Timbre
) -> None:
    # The model alone is brought to the drawn mel exactly; the carrier comes as near as smooth gains
    # can bring it, much nearer than the shifted recording is by itself.
    def levels(sound: Samples) -> NDArray[np.float32]:
        return mel_of(sound)[:, 20:100].mean(axis=1)

    request = request_of(pluck, ROOT + 12)
    wanted = levels(sound_of(engine, with_settings(request, original_range=0.0)))
    carried = levels(sound_of(engine, request))
    shifted = levels(sound_of(engine, with_settings(request, original_range=24.0)))
    heard = wanted > wanted.max() - 1.5
    gaps = [np.std((each - wanted)[heard]) for each in (carried, shifted)]
    assert gaps[0] < 0.5 * gaps[1]


def test_a_rendered_note_begins_as_its_recording_does(
    engine: SynthesisEngine, pluck: Timbre
) -> None:
    request = request_of(pluck, ROOT + 12)
    ours, alone = (
        sound_of(engine, each) for each in (request, with_settings(request, original_range=0.0))
    )
    wanted = attack_power(pluck.samples, RATE)

    def distance_db(sound: Samples) -> float:
        found = attack_power(sound, RATE)
        both = [10.0 * np.log10(each[:1764] / each.sum() + 1e-9) for each in (found, wanted)]
        return float(np.abs(both[0] - both[1]).mean())

    assert distance_db(ours) < 0.5 * distance_db(alone)


def test_range_nought_is_the_model_alone(engine: SynthesisEngine, pluck: Timbre) -> None:
    alone = with_settings(request_of(pluck, ROOT), original_range=0.0)
    silent = replace(pluck, samples=np.zeros(0, np.float32), content_hash="no recording")
    without = with_settings(request_of(silent, ROOT), original_range=0.0)
    np.testing.assert_array_equal(sound_of(engine, alone), sound_of(engine, without))
    assert not np.allclose(
        sound_of(engine, alone), sound_of(engine, request_of(pluck, ROOT)), atol=0.01
    )


@pytest.mark.parametrize("change", [{"velocity": 60}, {"variation": 0.5}])
def test_other_velocities_and_variations_are_rendered(
    engine: SynthesisEngine, pluck: Timbre, change: dict[str, float]
) -> None:
    request = request_of(pluck, ROOT)
    changed = with_settings(request, **change)
    assert plays_recording(request.sound, ROOT)
    assert not plays_recording(changed.sound, ROOT)
    ours = sound_of(engine, changed)
    assert np.isfinite(ours).all()
    assert 0.0 < np.abs(ours).max() <= 1.0


def test_a_mix_is_never_one_of_its_recordings(pluck: Timbre) -> None:
    other = replace(pluck, content_hash="other", name="other")
    mix = TimbreMix(timbres=(pluck, other), weights=(0.9, 0.1))
    assert not plays_recording(Sound(mix=mix), ROOT)


def test_a_mix_takes_from_each_recording_by_its_weight(
    engine: SynthesisEngine, pluck: Timbre
) -> None:
    dark = harmonic_tone(220.0, 2.0, decay_s=0.8, partials=(1.0,))
    plain = engine.analyze(AudioClip(samples=dark[None], sample_rate=RATE, name="dark"), root=ROOT)

    def distance_to(sound: Samples, timbre: Timbre) -> float:
        return float(np.sqrt(np.mean((mel_of(sound) - timbre.mel) ** 2)))

    sounds = [
        sound_of(
            engine,
            RenderRequest(
                sound=Sound(mix=TimbreMix(timbres=(pluck, plain), weights=(1 - weight, weight))),
                notes=(ROOT,),
            ),
        )
        for weight in (0.1, 0.5, 0.9)
    ]
    to_plain = [distance_to(sound, plain) for sound in sounds]
    assert to_plain == sorted(to_plain, reverse=True)


@given(st.floats(-48, 48), st.floats(0.0, 24.0))
def test_shares_are_shares_and_largest_at_the_onset_and_in_the_bass(
    semitones: float, original: float
) -> None:
    share = recording_share(semitones, original, MEL)
    assert share.shape == (MEL.n_mels, MEL.n_frames)
    assert share.min() >= 0.0
    assert share.max() <= 1.0
    assert (np.diff(share, axis=1) <= 0.0).all()
    assert (np.diff(share, axis=0) <= 1e-6).all()


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_share_falls_with_distance_without_a_jump(direction: int) -> None:
    shares = [recording_share(direction * by, 7.0, MEL) for by in np.arange(7, 49, 0.5)]
    for near, far in pairwise(shares):
        if direction < 0:  # upwards the recording's own treble moves out of the way
            assert (far <= near + 1e-6).all()
        assert np.abs(near - far).max() < 0.06
    assert shares[-1].max() == 0.0


def test_shifted_down_a_recording_has_no_say_where_it_holds_nothing() -> None:
    centres_hz = band_edges_hz(MEL)[1:-1]
    share = recording_share(-12.0, 7.0, MEL)
    assert share[centres_hz > 7_000].max() == 0.0
    assert share[centres_hz < 3_000].min() > 0.15


@pytest.mark.parametrize("semitones", [-1.0, 25.0, float("nan")])
def test_impossible_ranges_are_named(pluck: Timbre, semitones: float) -> None:
    with pytest.raises(ParameterError, match="Original range"):
        with_settings(request_of(pluck, ROOT), original_range=semitones)


# Several notes of one instrument


@pytest.fixture(scope="module")
def high_pluck(engine: SynthesisEngine) -> Timbre:
    tone = harmonic_tone(880.0, 1.0, decay_s=0.3)
    return engine.analyze(AudioClip(samples=tone[None], sample_rate=RATE, name="high"), root=81)


def instrument_request(*timbres: Timbre, notes: tuple[int, ...]) -> RenderRequest:
    mix = TimbreMix(timbres=timbres, weights=(1.0,) * len(timbres), one_instrument=True)
    return RenderRequest(sound=Sound(mix=mix), notes=notes)


def test_keys_near_each_note_of_an_instrument_are_that_recording(
    engine: SynthesisEngine, pluck: Timbre, high_pluck: Timbre
) -> None:
    for timbre, note in ((pluck, ROOT - 4), (high_pluck, 81 + 2)):
        pooled = sound_of(engine, instrument_request(pluck, high_pluck, notes=(note,)))
        np.testing.assert_array_equal(pooled, sound_of(engine, request_of(timbre, note)))


def test_keys_between_the_notes_of_an_instrument_lie_between_them(
    engine: SynthesisEngine, pluck: Timbre, high_pluck: Timbre
) -> None:
    notes = (65, 68, 71)
    request = instrument_request(pluck, high_pluck, notes=notes)
    assert not any(plays_recording(request.sound, note) for note in notes)
    lengths = [region.samples.shape[1] / RATE for region in engine.render(request).regions]
    shares = [(81 - note) / (81 - ROOT) for note in notes]
    expected = [s * pluck.length_s + (1 - s) * high_pluck.length_s for s in shares]
    assert lengths == pytest.approx(expected, abs=0.001)
    assert lengths == sorted(lengths, reverse=True)


def test_with_more_notes_an_instrument_comes_nearer_to_the_truth(
    engine: SynthesisEngine, pluck: Timbre, high_pluck: Timbre
) -> None:
    true = harmonic_tone(880.0 * 2 ** (10 / 12), 1.0, decay_s=0.3)
    clip = AudioClip(samples=true[None], sample_rate=RATE, name="true")
    truth = engine.analyze(clip, root=91).mel
    one, two = (
        float(np.sqrt(np.mean((mel_of(sound_of(engine, request)) - truth) ** 2)))
        for request in (
            request_of(pluck, 91),
            instrument_request(pluck, high_pluck, notes=(91,)),
        )
    )
    assert two < 0.8 * one


# What is heard of the law


def test_the_share_is_large_at_the_onset_and_soon_the_later_one() -> None:
    share = recording_share(5.0, 0.5, MEL)
    band = 20  # about 400 Hz: known at any shift, and far from the law's edges
    later = 0.26 + (0.12 - 0.26) * band / (MEL.n_mels - 1)
    seconds = np.arange(MEL.n_frames) * MEL.hop_length / MEL.sample_rate
    assert share[band, 0] == pytest.approx(0.36, abs=0.01)
    assert share[band, -1] == pytest.approx(later, abs=0.005)
    (after_100_ms,) = np.interp([0.1], seconds, share[band])
    assert after_100_ms == pytest.approx(later + (0.36 - later) / np.e, abs=0.01)


def test_recordings_of_a_mix_add_up_like_independent_sounds(
    engine: SynthesisEngine, pluck: Timbre, high_pluck: Timbre
) -> None:
    renderer = engine._renderer
    sound = Sound(mix=TimbreMix(timbres=(pluck, high_pluck), weights=(0.64, 0.36)))
    recipe = renderer.recipe(sound, 70)
    with torch.inference_mode():
        carrier = renderer._carriers(sound, [recipe])
        parts = [renderer._recording(timbre, 70).samples for timbre in (pluck, high_pluck)]
    assert carrier is not None
    torch.testing.assert_close(carrier[0], 0.8 * parts[0] + 0.6 * parts[1])


def test_shifted_up_a_recording_has_no_say_above_14_khz() -> None:
    centres_hz = band_edges_hz(MEL)[1:-1]
    share = recording_share(12.0, 0.5, MEL)
    assert not share[centres_hz > 14_000.0].any()
    assert share[centres_hz < 8_000.0].all()
