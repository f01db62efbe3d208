from __future__ import annotations

import sys
import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from core.export.sf2 import Sf2Exporter
from core.instrument import Instrument, Region
from training.corpus.soundfonts import (
    FontPlayer,
    Preset,
    PresetJob,
    SoundFontSource,
    Zone,
    list_presets,
)
from training.corpus.source import N_SAMPLES, CorpusError, NoteGrid, NoteKind
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
GRID = NoteGrid(
    note_low=48,
    note_high=72,
    note_step=4,
    velocities=(100,),
    detune_probability=0.5,
    max_stretch=6.0,
)


def test_zones_decide_which_keys_sound() -> None:
    soft = Zone(high_key=60, low_velocity=1, high_velocity=64, sample="soft")
    loud = Zone(low_key=20, high_key=40, low_velocity=65, sample="loud")
    preset = Preset(bank=0, program=0, name="test", zones=(soft, loud))
    assert preset.sounding(60, 64) == [soft]
    assert preset.sounding(61, 64) == []
    assert preset.sounding(40, 65) == [loud]
    assert preset.sounding(41, 65) == []


def test_presets_whose_keys_are_no_semitones_apart_do_not_play_their_keys() -> None:
    tuned, drum = Zone(), Zone(cents_per_key=50)

    def preset(*zones: Zone) -> Preset:
        return Preset(bank=0, program=0, name="test", zones=zones)

    assert preset(tuned).plays_its_keys
    assert preset(tuned, tuned, drum).plays_its_keys  # an effect on top
    assert not preset(drum).plays_its_keys
    assert not preset(tuned, drum).plays_its_keys


def test_stretch_is_how_far_a_recording_is_repitched() -> None:
    assert Zone(unshifted_key=60.5).stretch(58) == pytest.approx(2.5)
    assert Zone(unshifted_key=60.0).stretch(65) == pytest.approx(5.0)
    assert Zone(unshifted_key=60.0, cents_per_key=50).stretch(65) == pytest.approx(2.5)


def tone(midi_pitch: int, seed: int) -> NDArray[np.float32]:
    time_s = np.arange(44100) / 44100
    partials = np.random.default_rng(seed).uniform(0.1, 1.0, 6)
    orders = np.arange(1, 7)[:, None]
    sound = partials @ np.sin(2 * np.pi * librosa.midi_to_hz(midi_pitch) * orders * time_s)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)[None]


@pytest.fixture(scope="module")
def small_font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys 36-60 play a recording of 48, 61-80 one of 72 in two layers of velocity."""
    folder = tmp_path_factory.mktemp("fonts")
    low, soft, loud = tone(48, 0), tone(72, 1), tone(72, 2)
    instrument = Instrument(
        name="small",
        sample_rate=44100,
        regions=(
            Region(root_note=48, low_key=36, high_key=60, samples=low),
            Region(root_note=72, low_key=61, high_key=80, high_velocity=80, samples=soft),
            Region(root_note=72, low_key=61, high_key=80, low_velocity=81, samples=loud),
        ),
    )
    Sf2Exporter().write(instrument, "small", folder, lambda: None)
    return folder / "small.sf2"


def test_keys_of_one_recording_are_known_to_share_it(small_font: Path) -> None:
    (preset,) = list_presets(small_font)
    (low,) = preset.sounding(40, 100)
    (high,) = preset.sounding(60, 20)
    (layer,) = preset.sounding(72, 80)
    (other,) = preset.sounding(72, 81)
    assert low.sample == high.sample
    assert len({low.sample, layer.sample, other.sample}) == 3
    assert low.unshifted_key == pytest.approx(48.0, abs=0.01)
    assert other.unshifted_key == pytest.approx(72.0, abs=0.01)


@needs_fluidsynth
def test_only_keys_near_a_recording_are_played_and_velocities_where_others_sound(
    small_font: Path,
) -> None:
    (preset,) = list_presets(small_font)
    grid = NoteGrid(
        note_low=36,
        note_high=80,
        note_step=1,
        velocities=(100, 45, 120),
        max_stretch=5.0,
        detune_probability=0.0,
    )
    notes = [each.note for each in PresetJob(path=small_font, preset=preset, grid=grid).render()]
    keys = {(note.midi_pitch, note.velocity) for note in notes}
    near_low = {(float(key), 100) for key in range(43, 54)}
    near_high = {(float(key), velocity) for key in range(67, 78) for velocity in (100, 45)}
    assert keys == near_low | near_high
    assert all(note.kind is NoteKind.RECORDED for note in notes)
    far = next(note for note in notes if note.midi_pitch == 53.0)
    assert far.stretch == pytest.approx(5.0, abs=0.01)
    assert len({note.samples for note in notes}) == 3


def tracked_midi(audio: NDArray[np.float32], sample_rate: int, near: float) -> float:
    low_hz, high_hz = librosa.midi_to_hz(near - 8.0), librosa.midi_to_hz(near + 8.0)
    f0_hz = librosa.yin(audio, fmin=low_hz, fmax=high_hz, sr=sample_rate, frame_length=4096)
    return float(librosa.hz_to_midi(np.median(f0_hz)))


@needs_font
@needs_fluidsynth
def test_at_its_unshifted_key_a_real_recording_is_heard_at_its_own_pitch() -> None:
    flute = next(p for p in list_presets(FONT) if (p.bank, p.program) == (0, 73))
    with warnings.catch_warnings():  # it reads RIFF with a deprecated module of the library
        warnings.simplefilter("ignore", DeprecationWarning)
        from sf2utils.sf2parse import Sf2File
    with FONT.open("rb") as file:
        headers = {f"{h.start}-{h.end}": h for h in Sf2File(file).samples if h.name != "EOS"}
    player = FontPlayer(FONT)
    for zone in flute.zones:
        header = headers[zone.sample]
        stored = np.fromfile(
            FONT, "<i2", header.end - header.start, offset=header.smpl_offset + 2 * header.start
        )
        key = round(zone.unshifted_key)
        heard = tracked_midi(player.play(0, 73, key, 100)[4000:40000], 44100, key)
        own = tracked_midi(stored[2000:].astype(np.float32) / 32768, header.sample_rate, key)
        assert heard - own == pytest.approx(key - zone.unshifted_key, abs=0.15)
    player.close()


@needs_font
@needs_fluidsynth
def test_a_preset_that_is_left_out_does_not_follow_its_keys() -> None:
    # The judge is the sound: three octaves of keys on Melodic Tom are half as many in pitch.
    tom = Preset(bank=0, program=117, name="Melodic Tom", zones=(Zone(),))
    grid = NoteGrid(
        note_low=36,
        note_high=84,
        note_step=12,
        velocities=(100,),
        detune_probability=0.0,
        max_stretch=127.0,
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
