from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from core.audio.file_facts import FileFacts, RootClaim, RootOrigin
from core.audio.files import AudioClip
from core.audio.pitch import RootEstimate, midi_to_hz
from core.audio.root import Root, find_root
from core.audio.signal import Samples, isolate_note
from tests.helpers.signals import bell, harmonic_tone, noise_burst, sine

RATE = 44100
CHUNKS = (RootOrigin.SMPL, RootOrigin.INST, RootOrigin.ACID, RootOrigin.AIFF_INST)


def told(midi_pitch: float, origin: RootOrigin = RootOrigin.SMPL) -> FileFacts:
    return FileFacts(claims=(RootClaim(midi_pitch=midi_pitch, origin=origin),))


def root_of(samples: Samples, facts: FileFacts, given: float | None = None) -> Root:
    clip = AudioClip(samples=samples[None], sample_rate=RATE, name="sound", facts=facts)
    return find_root(isolate_note(clip), clip.facts, given)


def strike(midi_pitch: float, ratios: Sequence[float] = (2.0, 3.0, 4.17, 5.43, 6.8)) -> Samples:
    """A bell's partials around a strike note that does not sound."""
    time_s = np.arange(RATE) / RATE
    tone = np.zeros_like(time_s)
    for ratio in ratios:
        wave = np.sin(2 * np.pi * midi_to_hz(midi_pitch) * ratio * time_s)
        tone += wave * np.exp(-(1.5 + ratio) * time_s)
    return (0.8 * tone / np.max(np.abs(tone))).astype(np.float32)


@pytest.mark.parametrize("origin", [*CHUNKS, RootOrigin.NAME])
@pytest.mark.parametrize(
    ("decay_s", "seed", "note"), [(0.07, 7, 36), (np.inf, 1, 60), (0.3, 2, 41)]
)
def test_noise_takes_the_root_that_its_file_names(
    origin: RootOrigin, decay_s: float, seed: int, note: int
) -> None:
    noise = noise_burst(0.5, decay_s=decay_s, seed=seed)
    root = root_of(noise, told(note, origin))
    assert (root.midi_pitch, root.origin) == (note, origin)
    assert root.confidence < 0.5, "it has no pitch for that"


@pytest.mark.parametrize("note", [60, 55, 67, 58])
@pytest.mark.parametrize("origin", [RootOrigin.SMPL, RootOrigin.NAME])
def test_a_bell_takes_its_strike_note_from_its_file(note: int, origin: RootOrigin) -> None:
    root = root_of(strike(note), told(note, origin))
    assert root.midi_pitch == pytest.approx(note, abs=0.15)


@pytest.mark.parametrize("origin", [*CHUNKS, RootOrigin.NAME])
@pytest.mark.parametrize("heard", [45.0, 57.3, 48.0])
@pytest.mark.parametrize("note", [60, 63])
def test_a_clear_hearing_wins(origin: RootOrigin, heard: float, note: int) -> None:
    if note - heard == 12 and origin is RootOrigin.NAME:
        return  # an octave above what is heard and sounding: see below
    tone = harmonic_tone(midi_to_hz(heard), 0.6)
    root = root_of(tone, told(note, origin))
    assert root.origin is RootOrigin.HEARD
    assert root.midi_pitch == pytest.approx(heard, abs=0.05)


@pytest.mark.parametrize("named", [48, 55, 62])
def test_an_organ_with_a_16_foot_stop_is_named_by_its_key(named: int) -> None:
    time_s = np.arange(round(0.8 * RATE)) / RATE
    waves = [np.sin(2 * np.pi * midi_to_hz(named) * p * time_s) for p in (0.5, 1.5, 1.0)]
    organ = (0.25 * sum(waves)).astype(np.float32)
    for origin in (RootOrigin.NAME, RootOrigin.SMPL):
        root = root_of(organ, told(named, origin))
        assert root.midi_pitch == pytest.approx(named, abs=0.05)
        assert root.origin is origin
    assert root_of(organ, FileFacts()).midi_pitch == pytest.approx(named - 12, abs=0.05)


@pytest.mark.parametrize("heard", [40.0, 52.0, 60.0])
def test_an_octave_that_does_not_sound_is_not_believed(heard: float) -> None:
    hollow = harmonic_tone(midi_to_hz(heard), 0.6, partials=(1, 0.06, 0.4, 0.03, 0.2, 0, 0.1))
    for named in (heard + 12, heard - 12):  # the latter by who calls middle C "C3"
        root = root_of(hollow, told(named, RootOrigin.NAME))
        assert root.midi_pitch == pytest.approx(heard, abs=0.05)


@pytest.mark.parametrize("cents", [-41, 20, 55])
def test_a_note_out_of_tune_keeps_its_cents(cents: int) -> None:
    tone = harmonic_tone(midi_to_hz(52 + cents / 100), 0.7)
    for origin in (RootOrigin.NAME, RootOrigin.SMPL):
        root = root_of(tone, told(52, origin))
        assert root.origin is RootOrigin.HEARD
        assert root.midi_pitch == pytest.approx(52 + cents / 100, abs=0.03)


@pytest.mark.parametrize(
    ("confidence", "claim", "root"),
    [
        (0.95, told(36), 57.2),
        (0.85, told(36), 36.0),
        (0.8, told(60), 57.2),  # what editors write unasked is less than what sounds
        (0.7, told(60), 60.0),
        (0.8, told(60, RootOrigin.NAME), 60.0),
        (0.7, told(45), 45.2),  # the file's octave, the ear's cents
        (0.4, told(45), 45.0),
        (0.7, told(57), 57.2),
        (0.4, told(57), 57.0),
    ],
)
def test_the_less_sure_the_ear_the_more_the_file_counts(
    monkeypatch: pytest.MonkeyPatch, confidence: float, claim: FileFacts, root: float
) -> None:
    heard = RootEstimate(midi_pitch=57.2, confidence=confidence)
    monkeypatch.setattr("core.audio.root.estimate_root", lambda samples, rate: heard)
    found = root_of(harmonic_tone(midi_to_hz(57.2), 0.3), claim)
    assert found.midi_pitch == pytest.approx(root)
    assert found.confidence == confidence
    is_heard = root == 57.2
    assert (found.origin is RootOrigin.HEARD) == is_heard


def test_the_user_knows_best() -> None:
    tone = sine(440.0)
    for facts in (FileFacts(), told(36)):
        assert root_of(tone, facts, 45.5) == Root(
            midi_pitch=45.5, confidence=1.0, origin=RootOrigin.GIVEN
        )


def test_without_a_word_of_the_file_the_ear_decides() -> None:
    root = root_of(sine(440.0), FileFacts())
    assert root.origin is RootOrigin.HEARD
    assert root.midi_pitch == pytest.approx(69.0, abs=0.02)


def filtered(kind: str, corners_hz: tuple[float, ...], length_s: float, seed: int) -> Samples:
    corners = corners_hz if len(corners_hz) > 1 else corners_hz[0]
    sections = butter(3, corners, kind, fs=RATE, output="sos")
    noise = noise_burst(length_s, decay_s=length_s / 4, seed=seed)
    return sosfilt(sections, noise).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("kind", "corners_hz", "length_s"),
    [
        ("low", (200.0,), 0.6),
        ("low", (400.0,), 0.6),
        ("low", (3000.0,), 0.3),
        ("high", (6000.0,), 0.3),
        ("high", (8000.0,), 0.12),
        ("bandpass", (800.0, 3000.0), 0.5),
    ],
)
def test_noise_of_which_nobody_says_a_root_has_a_fixed_one(
    kind: str, corners_hz: tuple[float, ...], length_s: float, seed: int
) -> None:
    noise = filtered(kind, corners_hz, length_s, seed)
    root = root_of(noise, FileFacts())
    assert (root.midi_pitch, root.origin) == (60.0, RootOrigin.FIXED)
    assert root.is_noise
    assert root_of(noise, told(36)).is_noise
    given = root_of(noise, FileFacts(), 43.0)
    assert (given.midi_pitch, given.origin) == (43.0, RootOrigin.GIVEN)
    assert given.is_noise, "a root makes no pitch"


@pytest.mark.parametrize("seed", range(6))
def test_hi_hats_are_no_notes(seed: int) -> None:
    """The steep spectra that look like notes of the top octave."""
    hat = sosfilt(
        butter(4, 6000.0, "high", fs=RATE, output="sos"),
        noise_burst(0.3, decay_s=0.05, seed=seed),
    )
    assert root_of(hat.astype(np.float32), FileFacts()).is_noise


@pytest.mark.parametrize(
    "sound",
    [
        strike(60),
        sum(harmonic_tone(midi_to_hz(note), 1.0) for note in (57, 60, 64)) / 3,
        harmonic_tone(1046.0, 0.8, partials=(1, 0.25)) + 0.35 * noise_burst(0.8, seed=1),
        0.4 * harmonic_tone(180.0, 0.4, decay_s=0.1) + 0.3 * noise_burst(0.4, decay_s=0.08),
        harmonic_tone(440.0, 1.2, vibrato_cents=80.0),
        bell(440.0),
    ],
    ids=["strike", "chord", "breath", "snare with a tone", "vibrato", "bell"],
)
def test_where_tones_sound_there_is_no_noise(sound: Samples) -> None:
    root = root_of(sound.astype(np.float32), FileFacts())
    assert not root.is_noise
    assert root.origin is RootOrigin.HEARD
