"""Presets of installed synthesizers, and fixtures of their files made here."""

from __future__ import annotations

import gzip
import logging
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.audio.pitch import estimate_root
from core.errors import ParameterError
from training.corpus import designed_presets
from training.corpus.designed_presets import (
    SYNTHESIZERS,
    UNPITCHED,
    DesignedPreset,
    DesignedPresetJob,
    DesignedPresetSource,
    choose_notes,
    list_presets,
)
from training.corpus.plugin_host import PluginError, PluginNote
from training.corpus.source import N_SAMPLES, SAMPLE_RATE, CorpusError, NoteGrid, NoteKind
from training.corpus.splits import pseudo_program, split_of

GRID = NoteGrid(detune_probability=0.5, seed=1)


def is_installed(synthesizer: str) -> bool:
    facts = SYNTHESIZERS[synthesizer]
    share = Path("/usr/share")
    return facts.plugin.is_file() and all(any(share.glob(pattern)) for pattern in facts.banks)


each_synthesizer = pytest.mark.parametrize(
    "synthesizer",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                not is_installed(name),
                reason=f"{name} is missing: install the Debian packages {facts.packages}",
            ),
        )
        for name, facts in SYNTHESIZERS.items()
    ],
)
needs_zyn = pytest.mark.skipif(
    not is_installed("zynaddsubfx"),
    reason=f"zynaddsubfx is missing: install {SYNTHESIZERS['zynaddsubfx'].packages}",
)


def job_of(instrument: str) -> DesignedPresetJob:
    synthesizer = instrument.partition("/")[0]
    preset = next(p for p in list_presets(synthesizer) if p.instrument == instrument)
    return DesignedPresetJob(preset=preset, grid=GRID)


@each_synthesizer
def test_presets_are_listed_once_without_drums(synthesizer: str) -> None:
    presets = list_presets(synthesizer)
    instruments = [preset.instrument for preset in presets]
    assert len(instruments) == len(set(instruments)) > 500
    assert not any("drum" in instrument.lower() for instrument in instruments)


@each_synthesizer
def test_notes_are_in_tune_with_their_labels(synthesizer: str) -> None:
    source = DesignedPresetSource(synthesizer=synthesizer, grid=GRID, max_presets=6)
    rendered = [note for job in source.jobs() for note in job.render()]
    assert len(rendered) >= 8
    assert any(r.note.midi_pitch % 1.0 for r in rendered)
    for r in rendered:
        assert r.note.source == source.name
        assert r.note.instrument.startswith(f"{synthesizer}/")
        assert r.note.program == pseudo_program(r.note.instrument)
        assert r.note.split is split_of(r.note.program)
        assert (r.note.kind, r.note.samples, r.note.stretch) == (NoteKind.SYNTHESIZED, (), 0.0)
        assert GRID.note_low <= round(r.note.midi_pitch) <= GRID.note_high
        assert r.audio.shape == (N_SAMPLES,)
        assert np.abs(r.audio).max() == pytest.approx(1.0)
        found = estimate_root(r.audio, SAMPLE_RATE).midi_pitch
        assert found == pytest.approx(r.note.midi_pitch, abs=0.36)


@needs_zyn
def test_a_preset_sounds_the_same_every_time() -> None:
    # Its partials have random phases, which several threads would draw in no fixed order.
    job = job_of("zynaddsubfx/Misc/0004-Bells 3")
    first, again = list(job.render()), list(pickle.loads(pickle.dumps(job)).render())
    assert [r.note for r in first] == [r.note for r in again]
    assert first
    for one, other in zip(first, again, strict=True):
        np.testing.assert_allclose(one.audio, other.audio, atol=1e-4)


@needs_zyn
def test_presets_do_not_all_sound_alike() -> None:
    # Were a preset not loaded in time, the synthesizer's first sound would play.
    names = ("Strings/0001-Saw Strings 1", "SynthPiano/0040-BinaryPiano2")
    strings, piano = (list(job_of(f"zynaddsubfx/{name}").render()) for name in names)
    late = slice(N_SAMPLES // 2, None)
    assert np.abs(strings[-1].audio[late]).max() > 3 * np.abs(piano[-1].audio[late]).max()


@needs_zyn
def test_effects_in_time_and_space_are_off(tmp_path: Path) -> None:
    path = tmp_path / "banks" / "0001-Hall.xiz"
    path.parent.mkdir()
    effects = '<EFFECT>\n<par name="type" value="{}"/>\n<EFFECT_PARAMETERS/></EFFECT>'
    path.write_bytes(
        gzip.compress((effects.format(1) + effects.format(6) + effects.format(3)).encode())
    )
    preset = DesignedPreset(
        synthesizer="zynaddsubfx", bank="Test", slot="0001-Hall", name="Hall", path=path
    )
    (text,) = (
        text
        for name, text in SYNTHESIZERS["zynaddsubfx"].settings(preset).files
        if name.endswith(".xiz")
    )
    assert text == effects.format(0) + effects.format(6) + effects.format(0)


def test_copies_under_other_names_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "plugin.so"
    plugin.touch()
    facts = replace(SYNTHESIZERS["zynaddsubfx"], plugin=plugin)
    monkeypatch.setitem(SYNTHESIZERS, "zynaddsubfx", facts)
    for name in (
        "zynaddsubfx/banks/Choir and Voice/0001-AHH Choir 1.xiz",
        "yoshimi/banks/Choir_and_Voice/0001-ahh_choir1.xiz",
        "yoshimi/banks/Choir_and_Voice/0002-Rain on Tin.xiz",
        "yoshimi/banks/Drums/0001-Tuned.xiz",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (preset,) = list_presets("zynaddsubfx", tmp_path)
    assert preset.instrument == "zynaddsubfx/Choir and Voice/0001-AHH Choir 1"
    assert preset.name == "AHH Choir 1"


def test_a_missing_synthesizer_names_its_packages(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="yoshimi-data"):
        list_presets("zynaddsubfx", tmp_path)


def test_settings_are_checked() -> None:
    with pytest.raises(ParameterError, match="'moog' is none of zynaddsubfx"):
        DesignedPresetSource(synthesizer="moog", grid=GRID)
    with pytest.raises(ParameterError, match="max_presets = 0"):
        DesignedPresetSource(synthesizer="amsynth", grid=GRID, max_presets=0)


@pytest.mark.parametrize(
    ("name", "is_left_out"),
    [
        ("Power Drums", True),
        ("Wind in Wires", True),
        ("Reso Sweep FX", True),
        ("Kick it", True),
        ("Arpeggio 3", True),
        ("Woodwinds", False),
        ("Steel Guitar", False),
        ("Harpsichord", False),
        ("Tomita Strings", False),
    ],
)
def test_names_of_unpitched_presets(name: str, is_left_out: bool) -> None:
    assert bool(UNPITCHED.search(name)) is is_left_out


def test_keys_are_spread_and_repeatable() -> None:
    preset = DesignedPreset(
        synthesizer="amsynth", bank="b", slot="000-n", name="n", path=Path("/nowhere")
    )
    job = DesignedPresetJob(preset=preset, grid=GRID)
    loud, soft = job.draw_notes()
    keys = [note.midi_note for note in loud]
    assert keys == sorted(keys)
    assert (28 <= keys[0] < 36, 83 <= keys[-1] <= 91) == (True, True)
    assert {note.velocity for note in loud} == {100}
    assert any(note.bend for note in loud)
    assert [(n.midi_note, n.bend) for n in soft] == sorted((n.midi_note, n.bend) for n in soft)
    assert all(replace(note, velocity=100) in loud for note in soft)
    assert job.draw_notes() == (loud, soft)
    narrow = replace(job, grid=NoteGrid(note_low=60, note_high=62, velocities=(80,)))
    assert {note.midi_note for note in narrow.draw_notes()[0]} == {60, 61, 62}
    assert narrow.draw_notes()[1] == []
    above = replace(job, grid=NoteGrid(note_low=95, note_high=96))
    assert above.draw_notes() == ([], [])


def test_soft_notes_are_kept_where_they_sound_different() -> None:
    time_s = np.arange(N_SAMPLES) / SAMPLE_RATE

    def tone(key: int, slope: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        f0_hz = 440.0 * 2 ** ((key - 69) / 12)
        waves = [np.sin(2 * np.pi * k * f0_hz * time_s + k) / k**slope for k in range(1, 11)]
        return np.sum(waves, axis=0).astype(np.float32)

    loud = [PluginNote(midi_note=key, velocity=100) for key in range(36, 84, 6)]
    soft = [replace(loud[index], velocity=45) for index in (1, 4, 6)]
    sounds = [tone(note.midi_note, 1.0) for note in loud]
    same = choose_notes(loud, soft, sounds + [0.3 * tone(note.midi_note, 1.0) for note in soft])
    assert same.used == tuple(range(8))
    other = choose_notes(loud, soft, sounds + [tone(note.midi_note, 2.5) for note in soft])
    assert other.used == tuple(range(11))
    wrong = choose_notes(loud, soft, sounds + [tone(note.midi_note + 3, 2.5) for note in soft])
    assert wrong.used == tuple(range(8))
    silent = choose_notes(loud, soft, [np.zeros(N_SAMPLES, np.float32)] * 11)
    assert (silent.used, silent.reason) == ((), "it is silent")


def test_a_crash_loses_one_preset(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise PluginError("Plugin amsynth_dssi.so crashed (SIGSEGV); leave its preset out.")

    monkeypatch.setattr(designed_presets, "render_plugin", crash)
    bank = tmp_path / "a.bank"
    bank.write_text("amSynth\n<preset> <name> Brass\n<parameter> amp_attack 0.1\n")
    preset = DesignedPreset(
        synthesizer="amsynth", bank="a", slot="000-Brass", name="Brass", path=bank
    )
    with caplog.at_level(logging.WARNING):
        assert list(DesignedPresetJob(preset=preset, grid=GRID).render()) == []
    assert "amsynth/a/000-Brass is left out: Plugin amsynth_dssi.so crashed" in caplog.text
