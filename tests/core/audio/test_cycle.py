from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.audio.cycle import cycle_frames, oscillation, periods
from core.audio.file_facts import FileFacts, RootOrigin
from core.audio.files import read_audio
from core.audio.loop import find_loop
from core.audio.pitch import hz_to_midi, midi_to_hz
from core.audio.root import find_root
from core.audio.shift import shift_cycle
from core.audio.signal import PRE_ROLL_S, Samples, isolate_note
from core.errors import AudioFileError
from tests.helpers.signals import harmonic_tone, noise_burst
from tests.helpers.sound_files import chunk, wav

RATE = 44100


def phase(frames: int) -> np.ndarray:
    return np.arange(frames) / frames


def saw(frames: int) -> Samples:
    return (0.9 * (2 * phase(frames) - 1)).astype(np.float32)


def square(frames: int) -> Samples:
    return (0.9 * np.sign(np.sin(2 * np.pi * (phase(frames) + 0.1 / frames)))).astype(np.float32)


def organ(frames: int) -> Samples:
    wave = sum(np.sin(2 * np.pi * n * phase(frames) + n) / n for n in (1, 2, 3, 4, 6, 8))
    return (0.5 * wave).astype(np.float32)


def sine(frames: int) -> Samples:
    return (0.9 * np.sin(2 * np.pi * phase(frames))).astype(np.float32)


WAVES = [saw, square, organ, sine]


def root_of(path: Path) -> tuple[float, RootOrigin]:
    clip = read_audio(path)
    root = find_root(isolate_note(clip), clip.facts)
    return root.midi_pitch, root.origin


@pytest.mark.parametrize("make", WAVES)
@pytest.mark.parametrize("frames", [256, 300, 600, 1024, 1999, 2048, 4096])
@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_a_single_cycle_has_its_root_from_its_length(
    tmp_path: Path, make: object, frames: int, rate: int
) -> None:
    path = tmp_path / "wave_C4.wav"  # whatever its name says
    soundfile.write(path, make(frames), rate)  # type: ignore[operator]
    pitch, origin = root_of(path)
    assert origin is RootOrigin.CYCLE
    assert pitch == pytest.approx(hz_to_midi(rate / frames), abs=0.01)


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("make", [saw, organ])
def test_several_periods_in_a_cycle_are_told_apart(
    tmp_path: Path, make: object, count: int
) -> None:
    path = tmp_path / "wave.wav"
    soundfile.write(path, np.tile(make(256), count), RATE)  # type: ignore[operator]
    assert root_of(path)[0] == pytest.approx(hz_to_midi(RATE / 256), abs=0.01)


@pytest.mark.parametrize(("frames", "waves"), [(256, 64), (1024, 8), (2048, 16)])
def test_a_wavetable_sounds_as_its_first_wave(tmp_path: Path, frames: int, waves: int) -> None:
    table = np.concatenate([saw(frames), *[organ(frames)] * (waves - 1)])
    path = tmp_path / "table.wav"
    path.write_bytes(wav(table, chunk(b"clm ", f"<!>{frames} 10000000 table".encode())))
    clip = read_audio(path)
    note = isolate_note(clip)
    assert root_of(path)[0] == pytest.approx(hz_to_midi(RATE / frames), abs=0.01)
    start = round(PRE_ROLL_S * RATE)
    heard = note.samples[start : start + frames]
    expected = saw(frames) - np.mean(saw(frames))
    np.testing.assert_allclose(heard / np.max(np.abs(heard)), expected / 0.9, atol=0.01)


@pytest.mark.parametrize(
    "sound",
    [
        saw(255),
        saw(4097),
        harmonic_tone(440.0, 0.08),
        harmonic_tone(440.0, 0.06, decay_s=0.01),
        noise_burst(0.07, decay_s=0.015),
        np.pad(noise_burst(0.01), (0, 2048 - 441)),
        np.pad(noise_burst(0.01), (2048 - 441, 0)),
        harmonic_tone(220.0, 0.5),
    ],
)
def test_clicks_and_snippets_are_no_cycles(sound: Samples) -> None:
    assert cycle_frames(sound[None], FileFacts()) is None


@pytest.mark.parametrize("note", [60, 64, 67])
def test_twenty_milliseconds_of_a_tone_are_no_cycle(note: int) -> None:
    snippet = harmonic_tone(midi_to_hz(note), 0.02)[None]  # 5.2, 6.6 and 7.8 periods
    assert cycle_frames(snippet, FileFacts()) is None


def test_a_click_is_still_too_short(tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    soundfile.write(path, np.pad(noise_burst(0.003), (0, 600)), RATE)
    with pytest.raises(AudioFileError, match="too short"):
        root_of(path)


def test_a_table_whose_first_wave_is_empty_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.wav"
    table = np.concatenate([np.full(1024, 0.2), saw(1024)])
    path.write_bytes(wav(table, chunk(b"clm ", b"<!>1024 1")))
    with pytest.raises(AudioFileError, match="no wave"):
        root_of(path)


def test_periods_are_counted_by_harmonics() -> None:
    assert [periods(np.tile(saw(128), count)) for count in (1, 2, 5)] == [1, 2, 5]
    assert periods(saw(512) + 0.2 * np.tile(saw(256), 2)) == 1
    assert periods(np.tile(saw(256), 2) + 0.1 * sine(512)) == 1
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 512)
    rounded = np.round(127 * np.tile(organ(128), 4) + noise) / 127  # of eight bits
    assert periods(rounded.astype(np.float32)) == 4


def test_an_oscillation_has_no_offset() -> None:
    sound = oscillation(square(100) + np.float32(0.3), 1000)
    assert len(sound) == 1000
    assert abs(float(np.mean(sound))) < 1e-6
    np.testing.assert_array_equal(sound[:100], sound[900:])


@pytest.mark.parametrize(("frames", "rate"), [(600, 44100), (2048, 48000), (301, 96000)])
@pytest.mark.parametrize("semitones", [-12.0, 0.3, 7.0, 24.0, 43.23])
@pytest.mark.parametrize("make", [saw, organ])
def test_an_oscillator_is_one_tone_at_every_key(
    tmp_path: Path, make: object, frames: int, rate: int, semitones: float
) -> None:
    path = tmp_path / "wave.wav"
    soundfile.write(path, make(frames), rate)  # type: ignore[operator]
    note = isolate_note(read_audio(path))
    assert note.cycle_frames is not None
    shifted = shift_cycle(note.samples, RATE, semitones, note.cycle_frames)
    assert len(shifted) == len(note.samples)
    frequency_hz = midi_to_hz(hz_to_midi(rate / frames) + semitones)
    middle = shifted[20_000:120_000]
    power = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) ** 2
    offset_hz = np.fft.rfftfreq(len(middle), 1 / RATE)
    offset_hz -= frequency_hz * np.round(offset_hz / frequency_hz)
    stray = power[np.abs(offset_hz) > 3.0].sum() / power.sum()
    assert 10 * np.log10(stray + 1e-20) < -60.0
    if 25.0 < frequency_hz < 1000.0:
        assert find_loop(shifted, RATE, frequency_hz) is not None
