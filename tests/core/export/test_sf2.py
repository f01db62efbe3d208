"""SoundFonts as two engines play them and as three parsers read them, none of them ours."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ExportError
from core.export.base import export_instrument
from core.export.sf2 import MAX_GENERATORS, Preset, sf2_parts, timecents
from core.instrument import Envelope, Instrument, Loop, PadInstrument, Region, tile_zones
from tests.core.export.instruments import (
    HOSTILE_NAMES,
    SAMPLE_RATE,
    layered_instrument,
    pad_instrument,
    sine_instrument,
)

FLUIDSYNTH_BLOCK = 64
LEVEL = 0.25


class Player(Protocol):
    """A synthesizer with one soundfont."""

    def play(
        self, key: int, velocity: int = 100, *, program: int = 0, held_s: float, length_s: float
    ) -> NDArray[np.float32]:
        """Sound of one key, [2, T]."""


class TinySoundFont:
    def __init__(self, path: Path) -> None:
        import tinysoundfont

        self._synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE)
        self._font = self._synth.sfload(str(path))

    def play(
        self, key: int, velocity: int = 100, *, program: int = 0, held_s: float, length_s: float
    ) -> NDArray[np.float32]:
        synth = self._synth
        synth.sounds_off()
        synth.program_select(0, self._font, 0, program)
        synth.noteon(0, key, velocity)
        held = self._write(round(held_s * SAMPLE_RATE))
        synth.noteoff(0, key)
        return np.hstack([held, self._write(round((length_s - held_s) * SAMPLE_RATE))])

    def _write(self, frames: int) -> NDArray[np.float32]:
        return np.frombuffer(self._synth.generate(frames), np.float32).reshape(-1, 2).T

    def close(self) -> None:
        pass


class FluidSynth:
    def __init__(self, path: Path) -> None:
        import fluidsynth

        self._silence = fluidsynth.fluid_synth_all_sounds_off
        options = {"synth.reverb.active": 0, "synth.chorus.active": 0}
        self._synth = fluidsynth.Synth(gain=1.0, samplerate=float(SAMPLE_RATE), **options)
        self._font = self._synth.sfload(str(path))
        if self._font < 0:
            self.close()
            raise RuntimeError(f"FluidSynth refuses {path}.")

    def play(
        self, key: int, velocity: int = 100, *, program: int = 0, held_s: float, length_s: float
    ) -> NDArray[np.float32]:
        synth = self._synth
        self._silence(synth.synth, -1)
        self._write(FLUIDSYNTH_BLOCK)
        synth.program_select(0, self._font, 0, program)
        synth.noteon(0, key, velocity)
        held = self._write(round(held_s * SAMPLE_RATE))
        synth.noteoff(0, key)
        return np.hstack([held, self._write(round((length_s - held_s) * SAMPLE_RATE))])

    def _write(self, frames: int) -> NDArray[np.float32]:
        samples = np.asarray(self._synth.get_samples(frames), np.float32)
        return samples.reshape(-1, 2).T / 32768

    def close(self) -> None:
        self._synth.delete()


@pytest.fixture(params=[TinySoundFont, FluidSynth])
def load(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Player]]:
    """Opens a soundfont with one engine after the other."""
    name = {TinySoundFont: "tinysoundfont", FluidSynth: "fluidsynth"}[request.param]
    pytest.importorskip(name, reason=f"{name} is not installed", exc_type=ImportError)
    players: list[Any] = []

    def open_font(path: Path) -> Player:
        players.append(request.param(path))
        player: Player = players[-1]
        return player

    yield open_font
    for player in players:
        player.close()


def export(instrument: Instrument | PadInstrument, out: Path) -> Path:
    (path,) = export_instrument(instrument, ["sf2"], out)
    return path


def parse(path: Path) -> Any:
    """The soundfont as sf2utils reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # sf2utils' own imports
        module = pytest.importorskip("sf2utils.sf2parse", reason="sf2utils is not installed")
    with path.open("rb") as file:
        font = module.Sf2File(file)
        assert font.presets
        return font


def zones(font: Any, program: int = 0) -> list[Any]:
    """Bags of a program's instrument but for the global one."""
    (preset,) = [p for p in font.presets if p.name != "EOP" and p.preset == program]
    return list(preset.bags[0].instrument.bags[1:])


def level_instrument(envelope: Envelope | None = None) -> Instrument:
    """Constant recordings: the level heard is the region's own, negative for the soft layer."""
    roots = [20, 51, 60, 61, 100]
    regions = tuple(
        Region(
            root_note=root,
            low_key=low,
            high_key=high,
            low_velocity=1 if soft else 65,
            high_velocity=64 if soft else 127,
            samples=np.full((1, 2000), (-1 if soft else 1) * LEVEL * 0.8**index, np.float32),
            loop=Loop(start=100, end=1900),
        )
        for index, (root, (low, high)) in enumerate(zip(roots, tile_zones(roots), strict=True))
        for soft in (True, False)
    )
    return Instrument(
        name="Levels",
        sample_rate=SAMPLE_RATE,
        regions=regions,
        envelope=envelope or Envelope(),
    )


def frequency_hz(sound: NDArray[np.float32]) -> float:
    """Frequency of a steady sine from the phase advance between two windows."""
    frames, hop = sound.size // 2, 64
    window = np.hanning(frames)
    peak = int(np.argmax(np.abs(np.fft.rfft(sound[:frames] * window))))
    tone = np.exp(-2j * np.pi * peak * np.arange(frames) / frames)
    first = np.sum(sound[:frames] * window * tone)
    second = np.sum(sound[hop : frames + hop] * window * tone) * np.exp(
        -2j * np.pi * peak * hop / frames
    )
    return float((peak / frames + np.angle(second / first) / (2 * np.pi * hop)) * SAMPLE_RATE)


def cents_off(sound: NDArray[np.float32], key: float) -> float:
    return float(1200 * np.log2(frequency_hz(sound) / (440 * 2 ** ((key - 69) / 12))))


def rms_db(sound: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def test_each_key_and_velocity_answers_with_its_recording(
    tmp_path: Path, load: Callable[[Path], Player]
) -> None:
    instrument = level_instrument()
    player = load(export(instrument, tmp_path))
    heard = np.array(
        [
            [
                np.median(player.play(key, velocity, held_s=0.02, length_s=0.02)[0, 400:])
                for velocity in (1, 64, 65, 127)
            ]
            for key in range(128)
        ]
    )
    expected = np.zeros((128, 2))
    for region in instrument.regions:
        expected[region.low_key : region.high_key + 1, int(region.low_velocity > 1)] = (
            region.samples[0, 0]
        )
    relative = heard[:, (1, 3)] / np.abs(heard[0, (1, 3)])
    np.testing.assert_allclose(relative, expected / np.abs(expected[0]), rtol=0.02)
    assert (heard[:, 0] <= 0).all()  # velocity 1 may be too soft to measure, not the wrong way
    assert (heard[:, 2] > 0).all()


def test_parsers_see_the_ranges_roots_and_order(tmp_path: Path) -> None:
    instrument = level_instrument()
    bags = zones(parse(export(instrument, tmp_path)))
    assert [(*b.key_range, *b.velocity_range, b.sample.original_pitch) for b in bags] == [
        (r.low_key, r.high_key, r.low_velocity, r.high_velocity, r.root_note)
        for r in instrument.regions
    ]
    for bag in bags:
        order = [generator.oper for generator in bag.gens.values()]
        assert (order[0], order[1], order[-1]) == (43, 44, 53)


@pytest.mark.parametrize("key", [0, 24, 30, 48, 53, 60, 66, 67, 72, 84, 96])
def test_keys_sound_in_tune(tmp_path: Path, load: Callable[[Path], Player], key: int) -> None:
    player = load(export(sine_instrument(notes=(36, 48, 60, 72)), tmp_path))
    sound = player.play(key, held_s=2.0, length_s=2.0)[0, SAMPLE_RATE // 2 :]
    assert abs(cents_off(sound, key)) < 2


def test_neighbouring_keys_are_equally_loud(tmp_path: Path, load: Callable[[Path], Player]) -> None:
    player = load(export(sine_instrument(notes=range(36, 85, 6)), tmp_path))
    levels = [rms_db(player.play(key, held_s=0.3, length_s=0.3)[0, 4000:]) for key in range(33, 88)]
    assert max(abs(b - a) for a, b in pairwise(levels)) < 1.0


def test_harder_is_louder(tmp_path: Path, load: Callable[[Path], Player]) -> None:
    player = load(export(sine_instrument(notes=[60]), tmp_path))
    levels = [
        rms_db(player.play(60, velocity, held_s=0.1, length_s=0.1)[0]) for velocity in range(8, 128)
    ]
    assert all(b > a for a, b in pairwise(levels))


@pytest.mark.parametrize("start", [64, 3000])
@pytest.mark.parametrize("length", [1000, 4097])
def test_the_loop_is_exact_to_the_frame(
    tmp_path: Path, load: Callable[[Path], Player], start: int, length: int
) -> None:
    samples = np.zeros((1, start + length + 500), np.float32)
    samples[0, start] = 0.9
    samples[0, start + length] = -0.9
    region = Region(
        root_note=60,
        low_key=0,
        high_key=127,
        samples=samples,
        loop=Loop(start=start, end=start + length),
    )
    instrument = Instrument(name="Click", sample_rate=SAMPLE_RATE, regions=(region,))
    sound = load(export(instrument, tmp_path)).play(60, 127, held_s=1.0, length_s=1.0)[0]
    peaks = np.flatnonzero(np.abs(sound) > 0.5 * np.abs(sound).max())
    assert len(peaks) >= 9
    assert set(np.diff(peaks)) == {length}
    assert (sound[peaks] > 0).all()


def test_a_long_note_has_no_seam_and_keeps_its_pitch(
    tmp_path: Path, load: Callable[[Path], Player]
) -> None:
    sound = load(export(sine_instrument(notes=[60]), tmp_path)).play(60, held_s=10, length_s=10)[0]
    steps = np.abs(np.diff(sound[2000:]))
    assert steps.max() < 1.05 * np.percentile(steps, 99.9)
    assert abs(cents_off(sound[2000:40000], 60) - cents_off(sound[-40000:], 60)) < 1


def test_an_unlooped_recording_ends(tmp_path: Path, load: Callable[[Path], Player]) -> None:
    player = load(export(sine_instrument(notes=[60], looped=False), tmp_path))
    sound = player.play(60, held_s=1.0, length_s=1.0)
    assert rms_db(sound[:, : SAMPLE_RATE // 3]) > -40
    assert np.abs(sound[:, round(0.6 * SAMPLE_RATE) :]).max() < 1e-4


def test_the_envelope_is_kept(tmp_path: Path, load: Callable[[Path], Player]) -> None:
    envelope = Envelope(attack_s=0.2, decay_s=0.4, sustain=0.5, release_s=0.5)
    player = load(export(level_instrument(envelope), tmp_path))
    sound = player.play(60, 127, held_s=1.5, length_s=2.5)[0]

    def level_db(time_s: float) -> float:
        at = round(time_s * SAMPLE_RATE)
        return float(20 * np.log10(np.abs(sound[at]) / sound.max() + 1e-9))

    assert abs(np.argmax(sound) / SAMPLE_RATE - 0.2) < 0.02
    assert -12 < level_db(0.1) < -3
    assert -5 < level_db(0.4) < -1  # half-way down
    assert abs(level_db(0.7) + 6) < 0.5
    assert abs(level_db(1.45) + 6) < 0.5
    assert level_db(1.55) > -30
    assert level_db(2.1) < -60


def test_times_are_counted_in_timecents() -> None:
    assert [timecents(s) for s in (0.0, 1e-9, 0.5, 1.0, 2.0, 1e9)] == [
        -12000,
        -12000,
        -1200,
        0,
        1200,
        8000,
    ]


def test_stereo_stays_left_and_right(tmp_path: Path, load: Callable[[Path], Player]) -> None:
    samples = np.stack([np.full(2000, 0.5, np.float32), np.full(2000, -0.25, np.float32)])
    region = Region(
        root_note=60, low_key=0, high_key=127, samples=samples, loop=Loop(start=64, end=1900)
    )
    instrument = Instrument(name="Wide", sample_rate=SAMPLE_RATE, regions=(region,))
    path = export(instrument, tmp_path)
    left, right = load(path).play(60, held_s=0.1, length_s=0.1)[:, 2000]
    assert left > 0.1
    assert right / left == pytest.approx(-0.5, rel=0.01)
    font = parse(path)
    first, second = font.samples[:2]
    assert (first.sample_type, second.sample_type) == (4, 2)
    assert (first.sample_link, second.sample_link) == (1, 0)


def test_points_of_a_pad_are_programs(tmp_path: Path, load: Callable[[Path], Player]) -> None:
    pad = pad_instrument("A very long name of a pad", 3, 2, [48, 72])
    path = export(pad, tmp_path)
    player = load(path)
    for program in range(6):  # the point's partial of the note
        sound = player.play(48, program=program, held_s=1.0, length_s=1.0)[0]
        assert abs(cents_off(sound[2000:], 48 + 12 * np.log2(program + 1))) < 2
    presets = [p for p in parse(path).presets if p.name != "EOP"]
    assert [(p.bank, p.preset, p.name[-5:]) for p in presets] == [
        (0, row * 3 + column, f"_x{column + 1}y{row + 1}")
        for row in range(2)
        for column in range(3)
    ]


def test_the_first_alternative_of_a_round_robin_is_kept(
    tmp_path: Path, load: Callable[[Path], Player]
) -> None:
    player = load(export(layered_instrument(notes=[48], layers=2, round_robins=3), tmp_path))
    for velocity, partial in ((30, 1), (30, 1), (100, 4), (100, 4)):
        sound = player.play(48, velocity, held_s=1.0, length_s=1.0)[0, 2000:]
        assert abs(cents_off(sound, 48 + 12 * np.log2(partial))) < 2


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name.strip()])
def test_hostile_names_still_load(
    tmp_path: Path, load: Callable[[Path], Player], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sound = load(export(sine_instrument(name, [60]), tmp_path)).play(60, held_s=0.1, length_s=0.1)
    assert np.abs(sound).max() > 0.01
    assert "error" not in capfd.readouterr().err


def test_names_are_short_ascii_and_unique(tmp_path: Path) -> None:
    made = layered_instrument("Flügel 🎹 " + "x" * 200, [0, 1, 127], layers=4, round_robins=1)
    stereo = [
        Region(
            root_note=r.root_note,
            low_key=r.low_key,
            high_key=r.high_key,
            low_velocity=r.low_velocity,
            high_velocity=r.high_velocity,
            samples=np.tile(r.samples, (2, 1)),
        )
        for r in made.regions
    ]
    point = Instrument(name=made.name, sample_rate=SAMPLE_RATE, regions=tuple(stereo))
    pad = PadInstrument(name=made.name, columns=5, rows=5, points=(point,) * 25)
    font = parse(export(pad, tmp_path))
    for names in (
        [sample.name for sample in font.samples],
        [preset.name for preset in font.presets],
        [instrument.name for instrument in font.instruments],
    ):
        assert len(set(names)) == len(names)
        assert all(name.isascii() and 1 <= len(name) <= 19 for name in names)


def test_samples_obey_the_limits_of_the_format(tmp_path: Path) -> None:
    short = Region(root_note=60, low_key=0, high_key=127, samples=np.full((2, 3), 0.5, np.float32))
    font = parse(
        export(Instrument(name="Short", sample_rate=SAMPLE_RATE, regions=(short,)), tmp_path)
    )
    for sample in font.samples[:2]:
        assert sample.duration >= 48
        assert sample.start_loop >= 8
        assert sample.end_loop - sample.start_loop >= 32
        assert sample.duration - sample.end_loop >= 8
        assert sample.pitch_correction == 0
    smpl = chunk_of(tmp_path / "Short.sf2", b"smpl")
    values = np.frombuffer(smpl, "<i2").reshape(2, -1)
    assert values.shape == (2, 48 + 46)
    assert (values[:, 3:] == 0).all()
    assert (np.abs(values[:, :3] - 0.5 * 32767) <= 1.5).all()


def chunk_of(path: Path, name: bytes) -> bytes:
    data = path.read_bytes()
    at = data.index(name)
    (size,) = struct.unpack("<I", data[at + 4 : at + 8])
    return data[at + 8 : at + 8 + size]


def test_audio_below_one_step_survives_by_dither(tmp_path: Path) -> None:
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    faint = (0.4 / 32767 * np.sin(2 * np.pi * 441 * time_s)).astype(np.float32)
    region = Region(root_note=60, low_key=0, high_key=127, samples=faint[None])
    path = export(Instrument(name="Faint", sample_rate=SAMPLE_RATE, regions=(region,)), tmp_path)
    heard = np.frombuffer(chunk_of(path, b"smpl"), "<i2")[: faint.size]
    kept = np.dot(heard, faint) / np.dot(faint, faint) / 32767
    assert kept == pytest.approx(1.0, abs=0.05)
    error = heard - 32767 * faint
    assert abs(error.mean()) < 0.01
    assert np.var(error) == pytest.approx(0.25, rel=0.1)  # the noise does not follow the signal


def test_full_scale_does_not_wrap_around(tmp_path: Path) -> None:
    samples = np.tile(np.float32([1, -1]), 500)[None]
    region = Region(root_note=60, low_key=0, high_key=127, samples=samples)
    path = export(Instrument(name="Full", sample_rate=SAMPLE_RATE, regions=(region,)), tmp_path)
    heard = np.frombuffer(chunk_of(path, b"smpl"), "<i2")[:1000]
    np.testing.assert_allclose(heard, samples[0] * 32767, atol=2)


def test_equal_instruments_give_equal_bytes(tmp_path: Path) -> None:
    first = export(pad_instrument(), tmp_path / "a").read_bytes()
    assert (
        hashlib.sha256(first).digest()
        == hashlib.sha256(export(pad_instrument(), tmp_path / "b").read_bytes()).digest()
    )


def test_soft_notes_are_not_made_dull(tmp_path: Path) -> None:
    (preset, *_) = parse(export(sine_instrument(), tmp_path)).presets
    modulators = preset.bags[0].instrument.bags[0].mods
    assert [(m.src_oper, m.dest_oper, m.amount, m.amount_src_oper) for m in modulators] == [
        (0x0102, 8, 0, 0x0000),
        (0x0102, 8, 0, 0x0D02),
    ]


def test_provenance_is_in_the_file(tmp_path: Path) -> None:
    assert chunk_of(export(sine_instrument(), tmp_path), b"ICMT").rstrip(b"\0") == (
        b"model: toy; seed: 7"
    )


def test_a_rate_that_soundfonts_do_not_know_is_refused(tmp_path: Path) -> None:
    made = sine_instrument(notes=[60])
    fast = Instrument(name="Fast", sample_rate=96000, regions=made.regions)
    with pytest.raises(ExportError, match=r"50000 Hz and 'Fast' has 96000 Hz"):
        export(fast, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_more_zones_than_can_be_counted_are_refused() -> None:
    sound = np.zeros((1, 1), np.float32)
    regions = tuple(
        Region(
            root_note=key,
            low_key=key,
            high_key=key,
            low_velocity=layer * 8 + 1,
            high_velocity=layer * 8 + 7,
            samples=sound,
        )
        for key in range(128)
        for layer in range(8)
    )
    instrument = Instrument(name="Dense", sample_rate=SAMPLE_RATE, regions=regions)
    presets = [Preset(name=f"p{n}", point=f"_{n}", instrument=instrument) for n in range(25)]
    fits = MAX_GENERATORS // (3 * len(regions) + 4)
    assert sum(map(len, sf2_parts(presets[:fits], "Dense", "", lambda: None))) > 0
    with pytest.raises(ExportError, match=r"at most 65535 settings.*fewer notes"):
        next(sf2_parts(presets[: fits + 1], "Dense", "", lambda: None))


def test_polyphone_reads_the_same_zones_and_loops(tmp_path: Path) -> None:
    instrument = sine_instrument("Bell", [40, 50, 61], envelope=Envelope(release_s=0.5))
    sf2 = export(instrument, tmp_path / "sf2")
    assert polyphone(sf2, tmp_path) == 0
    (sfz,) = tmp_path.rglob("*.sfz")
    regions = [
        dict(pair.split("=", 1) for pair in part.split() if "=" in pair)
        for part in sfz.read_text("utf-8").split("<region>")[1:]
    ]
    assert "ampeg_release=0.5" in sfz.read_text("utf-8")
    numbers = ("lokey", "hikey", "pitch_keycenter", "lovel", "hivel", "loop_start", "loop_end")
    assert [tuple(int(region[name]) for name in numbers) for region in regions] == [
        (r.low_key, r.high_key, r.root_note, 1, 127, r.loop.start, r.loop.end - 1)
        for r in instrument.regions
        if r.loop is not None
    ]


def polyphone(sf2: Path, out: Path) -> int:
    """Let Polyphone turn a soundfont into SFZ."""
    program = shutil.which("polyphone")
    if program is None:
        pytest.skip("polyphone is not installed")
    return subprocess.run(
        [program, "-3", "-i", sf2, "-d", out, "-o", "converted"],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(out)},
        capture_output=True,
        timeout=60,
        check=False,
    ).returncode


def truncated(tmp_path: Path) -> Path:
    whole = export(sine_instrument(), tmp_path / "whole").read_bytes()
    path = tmp_path / "cut.sf2"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def test_engines_notice_a_truncated_file(tmp_path: Path, load: Callable[[Path], Player]) -> None:
    with pytest.raises(RuntimeError):
        load(truncated(tmp_path))


def test_parsers_notice_a_truncated_file(tmp_path: Path) -> None:
    path = truncated(tmp_path)
    with pytest.raises((EOFError, OSError, ValueError, KeyError, TypeError, AttributeError)):
        parse(path)
    assert polyphone(path, tmp_path) != 0
