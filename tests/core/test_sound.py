from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.parameters import label_of, parameters
from core.sound import RenderRequest, RenderSettings, Sound, Timbre, TimbreMix


def timbre(name: str = "a") -> Timbre:
    return Timbre(
        name=name,
        content_hash=f"hash of {name}",
        root_pitch=60.2,
        pitch_confidence=0.9,
        features=np.ones(4, np.float32),
        mel=np.zeros((128, 8), np.float32),
        gain=0.5,
        onset_s=0.0,
        length_s=1.0,
        loudness_db=-20.0,
    )


MIX = TimbreMix(timbres=(timbre("a"), timbre("b")), weights=(3.0, 1.0))
REQUEST = RenderRequest(sound=Sound(mix=MIX), notes=(60, 64))


def test_timbres_are_equal_when_their_content_is() -> None:
    renamed = replace(timbre(), name="another name", features=np.zeros(4, np.float32))
    assert renamed == timbre()
    assert hash(renamed) == hash(timbre())
    assert timbre("b") != timbre("a")
    assert timbre() != "a"


@given(weights=st.lists(st.floats(0.001, 1000.0), min_size=1, max_size=8))
def test_weights_sum_to_one_in_their_proportions(weights: list[float]) -> None:
    mix = TimbreMix(
        timbres=tuple(timbre(str(i)) for i in range(len(weights))), weights=tuple(weights)
    )
    assert sum(mix.weights) == pytest.approx(1.0)
    for ours, given_weight in zip(mix.weights, weights, strict=True):
        assert ours * sum(weights) == pytest.approx(given_weight)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ((1.0,), "Got 1 weights for 2 samples"),
        ((0.0, 0.0), "cannot be used"),
        ((1.0, -0.5), "cannot be used"),
        ((1.0, float("nan")), "cannot be used"),
        ((1.0, float("inf")), "cannot be used"),
    ],
)
def test_weights_that_make_no_mix_are_refused(weights: tuple[float, ...], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        TimbreMix(timbres=(timbre("a"), timbre("b")), weights=weights)


def test_an_empty_mix_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least one timbre"):
        TimbreMix(timbres=(), weights=())


def test_the_key_of_a_mix_follows_content_and_proportions() -> None:
    assert replace(MIX, weights=(6.0, 2.0)).key == MIX.key
    assert replace(MIX, weights=(2.0, 3.0)).key != MIX.key
    assert replace(MIX, timbres=(timbre("a"), timbre("c"))).key != MIX.key


def test_equal_requests_are_equal_and_hash_alike() -> None:
    again = RenderRequest(sound=Sound(mix=replace(MIX, weights=(0.75, 0.25))), notes=(60, 64))
    assert again == REQUEST
    assert hash(again) == hash(REQUEST)
    assert replace(REQUEST, notes=(60,)) != REQUEST
    assert replace(REQUEST, is_draft=True) != REQUEST


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"notes": (60, 128)}, "Note 128 is outside"),
        ({"notes": (-1,)}, "Note -1 is outside"),
        ({"notes": (60, 61, 60)}, "name a note twice"),
        ({"notes": ()}, "No notes"),
    ],
)
def test_notes_that_cannot_be_rendered_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        replace(REQUEST, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [each.name for each in fields(RenderSettings)])
def test_every_setting_is_a_parameter_and_makes_another_sound(name: str) -> None:
    declared = parameters(RenderSettings)[name]
    keys = {
        Sound(mix=MIX, settings=replace(RenderSettings(), **{name: value})).key
        for value in (declared.least, declared.most, getattr(RenderSettings(), name))
    }
    assert len(keys) == 2 + (getattr(RenderSettings(), name) not in (declared.least, declared.most))
    assert declared.about


@pytest.mark.parametrize("name", list(parameters(RenderSettings)))
def test_settings_out_of_range_are_named(name: str) -> None:
    declared = parameters(RenderSettings)[name]
    for value in (declared.least - 1, declared.most + 1, float("nan")):
        with pytest.raises(ParameterError, match=f"{label_of(name)} {value}.* is outside"):
            replace(RenderSettings(), **{name: value})


def test_the_key_of_a_sound_follows_its_mix() -> None:
    assert Sound(mix=replace(MIX, weights=(1.0, 1.0))).key != Sound(mix=MIX).key
    assert Sound(mix=replace(MIX, weights=(0.75, 0.25))).key == Sound(mix=MIX).key


def test_a_sound_gives_requests_of_itself() -> None:
    assert Sound(mix=MIX).request([60, 64]) == REQUEST
    assert Sound(mix=MIX).request([60], is_draft=True).is_draft


def note_at(root_pitch: float) -> Timbre:
    return replace(timbre(f"at {root_pitch}"), root_pitch=root_pitch)


def instrument_of(*roots: float) -> TimbreMix:
    return TimbreMix(
        timbres=tuple(note_at(root) for root in roots),
        weights=(1.0,) * len(roots),
        one_instrument=True,
    )


@pytest.mark.parametrize(
    ("pitch", "shares"),
    [
        (30, {48: 1}),
        (48, {48: 1}),
        (51, {48: 0.75, 60: 0.25}),
        (60, {60: 1}),
        (66, {60: 0.5, 72: 0.5}),
        (72, {72: 1}),
        (127, {72: 1}),
    ],
)
def test_a_key_is_a_mix_of_the_notes_next_to_it(pitch: int, shares: dict[float, float]) -> None:
    mix = instrument_of(72, 48, 60).at(pitch)
    roots = [timbre.root_pitch for timbre in mix.timbres]
    assert dict(zip(roots, mix.weights, strict=True)) == pytest.approx(shares)
    assert not mix.one_instrument


PITCHES = st.integers(0, 12700).map(lambda cents: cents / 100)


@given(roots=st.lists(PITCHES, min_size=2, max_size=6), pitch=PITCHES)
def test_every_key_of_every_instrument_is_a_mix(roots: list[float], pitch: float) -> None:
    mix = instrument_of(*roots)
    least = min(abs(root - pitch) for root in roots)
    assert abs(mix.nearest(pitch).root_pitch - pitch) == least
    assert 1 <= len(mix.at(pitch).timbres) <= 2
    assert min(abs(timbre.root_pitch - pitch) for timbre in mix.at(pitch).timbres) == least


def test_a_morph_is_the_same_at_every_key() -> None:
    assert MIX.at(20.0) is MIX


def test_notes_of_one_instrument_are_another_mix_than_a_morph() -> None:
    morph = TimbreMix(timbres=(note_at(48), note_at(60)), weights=(1.0, 1.0))
    assert instrument_of(48, 60).key != morph.key


@pytest.mark.parametrize(
    ("count", "weights", "says"),
    [(1, (1.0,), "pool two or more"), (2, (2.0, 1.0), "count alike")],
)
def test_what_is_no_instrument_is_refused(
    count: int, weights: tuple[float, ...], says: str
) -> None:
    timbres = tuple(note_at(60 + index) for index in range(count))
    with pytest.raises(ParameterError, match=says):
        TimbreMix(timbres=timbres, weights=weights, one_instrument=True)
