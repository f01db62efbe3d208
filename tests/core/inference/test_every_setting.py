"""Every setting does something: two values give two sounds, near both ends of its range.

The tables iterate over the fields, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.audio.files import AudioClip
from core.inference.building import build_instrument
from core.inference.engine import SynthesisEngine
from core.inference.model import load_model
from core.instrument import Envelope, Instrument
from core.parameters import parameters
from core.plan import InstrumentOptions, InstrumentPlan
from core.sound import RenderSettings, Sound, TimbreMix
from tests.core.inference.test_building import SETTINGS, Synth
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import tiny_bundle

RATE = 44100
NOTE = 66
"""Nine semitones above the root: the networks render it, and a recording may reach it."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SynthesisEngine:
    bundle: Path = tiny_bundle(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    return SynthesisEngine(load_model(bundle), torch.device("cpu"))


@pytest.fixture(scope="module")
def sound(engine: SynthesisEngine) -> Sound:
    tone = harmonic_tone(220.0, 0.6, decay_s=0.3)
    clip = AudioClip(samples=tone[None], sample_rate=RATE, name="pluck")
    return Sound(mix=TimbreMix(timbres=(engine.analyze(clip, root=57.0),), weights=(1.0,)))


ENDS: dict[str, tuple[tuple[float, float], ...]] = {
    "velocity": ((1, 10), (118, 127)),
    "seed": ((0, 1), (2**63 - 2, 2**63 - 1)),
    "variation": ((0.0, 0.1), (0.9, 1.0)),
    "refinement": ((0.0, 0.2), (1.8, 2.0)),
    "carry_over": ((0.0, 0.1), (0.9, 1.0)),
    "original_range": ((0.0, 0.5), (23.0, 24.0)),
}


def test_the_table_has_every_setting_up_to_both_ends_of_its_range() -> None:
    assert set(ENDS) == {each.name for each in fields(RenderSettings)}
    for name, declared in parameters(RenderSettings).items():
        assert (ENDS[name][0][0], ENDS[name][1][1]) == (declared.least, declared.most)


@pytest.mark.parametrize("name", [each.name for each in fields(RenderSettings)])
@pytest.mark.parametrize("end", [0, 1])
def test_every_setting_is_heard_near_both_ends(
    engine: SynthesisEngine, sound: Sound, name: str, end: int
) -> None:
    base = RenderSettings(original_range=0.0, variation=1.0 if name == "seed" else 0.0)
    if name == "original_range":
        base = RenderSettings()
    note = NOTE if name != "original_range" or not end else 57 + 30
    keys, audio = set(), []
    for value in ENDS[name][end]:
        changed = replace(sound, settings=replace(base, **{name: value}))
        keys.add(changed.key)
        (region,) = engine.render(changed.request([note])).regions
        audio.append(region.samples[0])
    assert len(keys) == 2
    if name == "original_range" and end:
        return  # beyond its reach a recording has no share; its law is tested in test_original.py
    shortest = min(map(len, audio))
    difference = np.abs(audio[0][:shortest] - audio[1][:shortest]).max()
    assert difference > 1e-3 * np.abs(audio[0]).max()


def made(plan: InstrumentPlan) -> tuple[object, ...]:
    """All that an instrument consists of, to be compared."""
    synth = Synth()
    synth.decay_s = lambda note: 20.0
    instrument: Instrument = build_instrument(synth, SETTINGS, plan)
    return (
        instrument.envelope,
        tuple(
            (
                region.root_note,
                region.low_key,
                region.high_key,
                region.low_velocity,
                region.high_velocity,
                region.round_robin,
                region.loop,
                region.samples.tobytes(),
            )
            for region in instrument.regions
        ),
    )


OPTIONS: dict[str, tuple[tuple[object, object], ...]] = {
    "low_key": ((0, 1), (59, 60)),
    "high_key": ((60, 61), (126, 127)),
    "loop": ((False, True),),
    "velocity_layers": ((1, 2), (7, 8)),
    "round_robins": ((1, 2), (15, 16)),
    "loudness_lufs": ((None, -60.0), (-60.0, -59.0), (-30.0, -29.0)),
    "length_s": ((None, 0.1), (0.1, 0.2), (0.9, 1.0)),
    "fade_out_s": ((0.0, 0.1), (0.4, 0.5)),
}


def test_the_table_has_every_option() -> None:
    assert set(OPTIONS) == {each.name for each in fields(InstrumentOptions)}
    assert {each.name for each in fields(InstrumentPlan)} == {"notes", "options", "envelope"}


@pytest.mark.parametrize(
    ("name", "pair"), [(name, pair) for name, pairs in OPTIONS.items() for pair in pairs]
)
def test_every_option_makes_another_instrument(name: str, pair: tuple[object, object]) -> None:
    base = InstrumentOptions(loop=False) if name in ("fade_out_s", "length_s") else None
    plans = [
        InstrumentPlan(notes=(60,), options=replace(base or InstrumentOptions(), **{name: value}))  # type: ignore[arg-type]
        for value in pair
    ]
    assert plans[0] != plans[1]
    assert made(plans[0]) != made(plans[1])


def test_notes_and_envelope_make_another_instrument() -> None:
    plain = InstrumentPlan(notes=(60,))
    assert made(InstrumentPlan(notes=(61,))) != made(plain)
    for each in fields(Envelope):
        changed = replace(Envelope(), **{each.name: 0.5})
        assert made(InstrumentPlan(notes=(60,), envelope=changed)) != made(plain)
