from __future__ import annotations

import sys
from pathlib import Path

import librosa
import numpy as np
import pytest

from training.corpus.soundfonts import (
    FontPlayer,
    Preset,
    PresetJob,
    SoundFontSource,
    Zone,
    list_presets,
)
from training.corpus.source import N_SAMPLES, CorpusError, NoteGrid
from training.corpus.splits import Split, split_of

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")


def has_fluidsynth() -> bool:
    try:
        import fluidsynth  # noqa: F401
    except ImportError:
        return False
    return True


needs_font = pytest.mark.skipif(
    not FONT.is_file(), reason=f"{FONT} is missing: install the Debian package fluid-soundfont-gm"
)
needs_fluidsynth = pytest.mark.skipif(
    not has_fluidsynth(), reason="FluidSynth is missing: install the Debian package libfluidsynth3"
)
GRID = NoteGrid(note_low=48, note_high=72, note_step=12, velocities=(100,), detune_probability=0.5)


def test_zones_decide_which_keys_sound() -> None:
    zones = (Zone(0, 60, 1, 64), Zone(0, 127, 65, 127).intersect(Zone(20, 40, 0, 127)))
    preset = Preset(bank=0, program=0, name="test", zones=zones)
    assert preset.sounds_at(60, 64)
    assert not preset.sounds_at(61, 64)
    assert preset.sounds_at(40, 65)
    assert not preset.sounds_at(41, 65)


def test_presets_whose_keys_are_no_semitones_apart_do_not_play_their_keys() -> None:
    tuned, drum = Zone(0, 127, 1, 127), Zone(0, 127, 1, 127, cents_per_key=50)

    def preset(*zones: Zone) -> Preset:
        return Preset(bank=0, program=0, name="test", zones=zones)

    assert preset(tuned).plays_its_keys
    assert preset(tuned, tuned, drum).plays_its_keys  # an effect on top
    assert not preset(drum).plays_its_keys
    assert not preset(tuned, drum).plays_its_keys


@needs_font
@needs_fluidsynth
def test_a_preset_that_is_left_out_does_not_follow_its_keys() -> None:
    # The judge is the sound: three octaves of keys on Melodic Tom are half as many in pitch.
    tom = Preset(bank=0, program=117, name="Melodic Tom", zones=(Zone(0, 127, 0, 127),))
    grid = NoteGrid(
        note_low=36, note_high=84, note_step=12, velocities=(100,), detune_probability=0.0
    )
    notes = list(PresetJob(path=FONT, preset=tom, grid=grid).render())
    spectra = [np.abs(np.fft.rfft(n.audio[2205:24255] * np.hanning(22050))) for n in notes]
    low, *_, high = (float(np.argmax(spectrum[:400])) for spectrum in spectra)
    keys = notes[-1].note.midi_pitch - notes[0].note.midi_pitch
    assert 12.0 * np.log2(high / low) == pytest.approx(0.5 * keys, abs=1.0)


def test_missing_font_names_its_package() -> None:
    with pytest.raises(CorpusError, match="fluid-soundfont-gm"):
        list_presets(Path("/nowhere/FluidR3_GM.sf2"))


def test_foreign_file_is_no_soundfont(tmp_path: Path) -> None:
    path = tmp_path / "text.sf2"
    path.write_text("this is no soundfont at all, whatever its name says")
    with pytest.raises(CorpusError, match=r"text\.sf2"):
        list_presets(path)


def test_missing_fluidsynth_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(CorpusError, match="libfluidsynth3"):
        FontPlayer(FONT)


@needs_font
def test_presets_are_melodic_and_complete() -> None:
    presets = list_presets(FONT)
    assert all(preset.bank != 128 and preset.program < 120 for preset in presets)
    assert {preset.program for preset in presets if preset.bank == 0} == set(range(115))
    assert presets[0].name == "Yamaha Grand Piano"


@needs_font
def test_presets_per_split() -> None:
    jobs = SoundFontSource(path=FONT, grid=GRID, presets_per_split=2).jobs()
    splits = [split_of(job.preset.program) for job in jobs]
    assert all(splits.count(split) == 2 for split in Split)


@needs_font
@needs_fluidsynth
def test_notes_are_in_tune_with_their_labels_and_carry_their_split() -> None:
    jobs = [
        PresetJob(path=FONT, preset=preset, grid=GRID)
        for preset in list_presets(FONT)
        if preset.bank == 0 and preset.program in (56, 68, 73, 80)
    ]
    rendered = [note for job in jobs for note in job.render()]
    assert len(rendered) >= 8
    assert any(r.note.midi_pitch % 1.0 for r in rendered)
    errors = []
    for r in rendered:
        assert r.audio.shape == (N_SAMPLES,)
        assert np.abs(r.audio).max() == pytest.approx(1.0)
        assert np.argmax(np.abs(r.audio) > 0.02) < 0.1 * 44100
        assert r.note.split is split_of(r.note.program)
        f0_hz = librosa.midi_to_hz(r.note.midi_pitch)
        tracked = librosa.yin(
            r.audio[8000:60000], fmin=f0_hz / 1.5, fmax=f0_hz * 1.5, sr=44100, frame_length=4096
        )
        errors.append(abs(1200 * np.log2(np.median(tracked) / f0_hz)))
    assert np.median(errors) < 6.0
    assert max(errors) < 20.0


@needs_font
@needs_fluidsynth
def test_held_notes_keep_sounding() -> None:
    player = FontPlayer(FONT)
    organ = player.play(0, 16, 60, 100)
    player.close()
    assert np.abs(organ[-4410:]).max() > 0.3 * np.abs(organ).max()


@needs_font
@needs_fluidsynth
def test_no_note_rings_into_the_next() -> None:
    player = FontPlayer(FONT)
    player.play(0, 48, 60, 127)  # strings with a long release
    after_strings = player.play(0, 13, 84, 40)
    player.play(0, 13, 84, 40)
    after_itself = player.play(0, 13, 84, 40)
    player.close()
    difference = np.abs(after_strings - after_itself).max() / np.abs(after_itself).max()
    assert difference < 0.01


@needs_font
@needs_fluidsynth
def test_a_preset_sounds_the_same_whatever_was_played_before() -> None:
    presets = {preset.program: preset for preset in list_presets(FONT) if preset.bank == 0}
    first = list(PresetJob(path=FONT, preset=presets[0], grid=GRID).render())
    list(PresetJob(path=FONT, preset=presets[48], grid=GRID).render())
    again = list(PresetJob(path=FONT, preset=presets[0], grid=GRID).render())
    assert [r.note for r in first] == [r.note for r in again]
    assert all(np.array_equal(a.audio, b.audio) for a, b in zip(first, again, strict=True))
