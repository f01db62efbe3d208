from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pysfizz
import pytest
from numpy.typing import NDArray

from core.export.base import export_instrument
from core.instrument import (
    Envelope,
    Instrument,
    Loop,
    PadInstrument,
    Region,
    tile_zones,
)
from tests.core.export.instruments import (
    HOSTILE_NAMES,
    SAMPLE_RATE,
    layered_instrument,
    pad_instrument,
    sine_instrument,
)

BLOCK = 512
SFZLINT = Path(sys.executable).with_name("sfzlint")
POLYPHONE = shutil.which("polyphone")


def load(sfz: Path) -> pysfizz.Synth:
    """sfizz with a copy that is read into memory whole, so that rendering has no race."""
    copy = sfz.with_name("copy for sfizz.sfz")
    copy.write_text("<control> hint_ram_based=1\n" + sfz.read_text("utf-8"), "utf-8")
    synth = pysfizz.Synth(SAMPLE_RATE, BLOCK)
    assert synth.load_sfz_file(copy)
    return synth


def export(instrument: Instrument | PadInstrument, out: Path) -> Path:
    (sfz,) = [f for f in export_instrument(instrument, ["sfz"], out) if f.suffix == ".sfz"]
    return sfz


def opcodes(sfz: Path) -> list[dict[str, object]]:
    """Regions with what they inherit, as a second parser reads them."""
    parsed = pytest.importorskip("sfzen", reason="needs the SFZ parser sfzen").SFZ(str(sfz))
    assert parsed.errors == []
    return [
        {name: opcode.value for name, opcode in region.inherited_opcodes().items()}
        for region in parsed.regions()
    ]


def frequency_hz(sound: NDArray[np.float32]) -> float:
    """Frequency of a steady sine from the phase advance of its analytic bin."""
    frames = sound.size // 2
    window = np.hanning(frames)
    peak = int(np.argmax(np.abs(np.fft.rfft(sound[:frames] * window))))
    tone = np.exp(-2j * np.pi * peak * np.arange(sound.size) / frames)
    hop = 64
    first = np.sum(sound[:frames] * window * tone[:frames])
    second = np.sum(sound[hop : frames + hop] * window * tone[hop : frames + hop])
    return (peak / frames + np.angle(second / first) / (2 * np.pi * hop)) * SAMPLE_RATE


def partial_levels(sound: NDArray[np.float32], note: int, count: int) -> NDArray[np.float64]:
    """Amplitudes of the first partials of a note in a steady sound, [count]."""
    hz = 440 * 2 ** ((note - 69) / 12) * np.arange(1, count + 1)
    window = np.hanning(sound.size)
    phases = 2j * np.pi * np.outer(hz, np.arange(sound.size) / SAMPLE_RATE)
    return np.abs(np.exp(-phases) @ (sound * window)) * 2 / window.sum()


def hold(synth: pysfizz.Synth, seconds: float) -> NDArray[np.float32]:
    """What the synth plays on, left channel."""
    blocks = [synth._synth.render_block()[0] for _ in range(int(seconds * SAMPLE_RATE / BLOCK))]
    return np.concatenate(blocks)


def test_each_key_answers_with_exactly_one_region(tmp_path: Path) -> None:
    synth = load(export(sine_instrument(notes=range(36, 85, 3)), tmp_path))
    assert synth.playable_keys == list(range(128))
    for key in range(128):
        (info,) = synth.get_note_info(key)
        assert info["pitch_keycenter"] == min(
            range(36, 85, 3), key=lambda root: (abs(root - key), root)
        )
        assert (info["tune"], info["transpose"], info["pitch_keytrack"]) == (0, 0, 100)


def test_each_key_has_every_layer_and_turn(tmp_path: Path) -> None:
    synth = load(export(layered_instrument(layers=3, round_robins=2), tmp_path))
    for key in range(128):
        found = Counter(info["lovel"] for info in synth.get_note_info(key))
        assert found == {1: 2, 43: 2, 86: 2}


@pytest.mark.parametrize("key", range(24, 97, 6))
def test_keys_sound_in_tune(tmp_path: Path, key: int) -> None:
    synth = load(export(sine_instrument(notes=range(24, 97, 8)), tmp_path))
    left = synth.render_note(key, 100, 1.5, 1.5)[0][SAMPLE_RATE // 2 :]
    cents = 1200 * np.log2(frequency_hz(left) / (440 * 2 ** ((key - 69) / 12)))
    assert abs(cents) < 3
    assert np.isfinite(left).all()
    assert 0.01 < np.abs(left).max() <= 1.0


def test_neighbouring_keys_are_equally_loud(tmp_path: Path) -> None:
    synth = load(export(sine_instrument(notes=range(40, 81, 4)), tmp_path))
    held = [synth.render_note(key, 100, 0.4, 0.4)[0][4000:] for key in range(40, 81, 3)]
    levels_db = [20 * np.log10(np.sqrt(np.mean(np.square(sound)))) for sound in held]
    assert np.abs(np.diff(levels_db)).max() < 1


def test_louder_velocities_are_louder_across_layers(tmp_path: Path) -> None:
    synth = load(export(layered_instrument(layers=4, round_robins=1), tmp_path))
    velocities = [1, 15, 31, 32, 33, 50, 63, 64, 65, 80, 95, 96, 110, 127]
    held = [synth.render_note(60, velocity, 0.3, 0.3)[0][2000:] for velocity in velocities]
    assert (np.diff([np.sqrt(np.mean(np.square(sound))) for sound in held]) > 0).all()


def test_a_held_note_sustains_when_looped_and_ends_when_not(tmp_path: Path) -> None:
    held = load(export(sine_instrument(notes=[60]), tmp_path / "a")).render_note(60, 100, 3, 3)
    once = load(export(sine_instrument(notes=[60], looped=False), tmp_path / "b"))
    ended = once.render_note(60, 100, 3, 3)
    tail = slice(2 * SAMPLE_RATE, None)
    assert np.abs(held[:, tail]).max() > 0.05
    assert np.abs(ended[:, tail]).max() == 0


def test_the_loop_has_no_seam(tmp_path: Path) -> None:
    """No step of a looped sine is larger than the steps of a sine."""
    left = load(export(sine_instrument(notes=[60]), tmp_path)).render_note(60, 100, 6, 6)[0][4000:]
    largest = 2 * np.sin(np.pi * 261.626 / SAMPLE_RATE) * partial_levels(left, 60, 1)[0]
    assert np.abs(np.diff(left)).max() < 1.01 * largest


@pytest.mark.parametrize("looped", [True, False])
def test_letting_a_key_go_fades_without_a_cut(tmp_path: Path, looped: bool) -> None:
    synth = load(export(sine_instrument(notes=[60], looped=looped), tmp_path))
    left = synth.render_note(60, 100, 0.2, 1.0)[0]
    off = SAMPLE_RATE // 5
    assert np.abs(left[off : off + SAMPLE_RATE // 50]).max() > 0.02  # still sounding after 20 ms
    assert np.abs(left[off + SAMPLE_RATE // 2 :]).max() < 1e-4  # gone after the release
    assert np.abs(np.diff(left)).max() < 0.05


def test_the_envelope_is_played(tmp_path: Path) -> None:
    envelope = Envelope(attack_s=0.5, decay_s=0.5, sustain=0.25, release_s=0.4)
    shaped = load(export(sine_instrument(notes=[60], envelope=envelope), tmp_path / "a"))
    plain = load(export(sine_instrument(notes=[60]), tmp_path / "b")).render_note(60, 100, 2, 2)[0]
    gain = np.abs(shaped.render_note(60, 100, 1.5, 2.5)[0])
    full = np.abs(plain).max()

    def peak(at_s: float) -> float:
        start = int(at_s * SAMPLE_RATE)
        return float(gain[start : start + 200].max() / full)

    assert peak(0.0) < 0.05
    assert 0.4 < peak(0.25) < 0.6  # half-way up
    assert peak(0.5) > 0.95
    assert peak(1.4) == pytest.approx(0.25, rel=0.02)
    assert 0 < peak(1.6) < 0.2
    assert peak(2.1) < 0.001


@pytest.mark.parametrize("start", [64, 3000])
@pytest.mark.parametrize("length", [1000, 4097])
def test_the_loop_is_exact_to_the_frame(tmp_path: Path, start: int, length: int) -> None:
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
    left = load(export(instrument, tmp_path)).render_note(60, 127, 1, 1)[0]
    peaks = np.flatnonzero(np.abs(left) > 0.5 * np.abs(left).max())
    assert len(peaks) >= 9
    # sfizz holds one frame twice between the first two blocks of a note, loop or not
    assert set(np.diff(peaks[peaks > BLOCK])) == {length}
    assert (left[peaks] > 0).all()


def test_velocity_layers_choose_their_recording(tmp_path: Path) -> None:
    synth = load(export(layered_instrument(layers=2, round_robins=1), tmp_path))
    for velocity, partial in ((1, 1), (64, 1), (65, 2), (127, 2)):
        left = synth.render_note(48, velocity, 0.4, 0.4)[0]
        levels = partial_levels(left[2000:14000], 48, 2)
        assert np.argmax(levels) + 1 == partial
        assert levels.min() < 0.01 * levels.max()


def test_repeated_keys_run_through_the_round_robin(tmp_path: Path) -> None:
    synth = load(export(layered_instrument(layers=1, round_robins=3), tmp_path))
    for key in (48, 60):
        heard = []
        for _ in range(6):
            left = synth.render_note(key, 100, 0.3, 1.0)[0]
            heard.append(int(np.argmax(partial_levels(left[2000:12000], key, 3))) + 1)
        assert heard == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_pads_corners_are_its_instruments(tmp_path: Path, corner: tuple[int, int]) -> None:
    pad = pad_instrument()
    synth = load(export(pad, tmp_path / "pad"))
    alone = load(export(pad.point(*corner), tmp_path / "point"))
    for controller, value in zip((16, 17), corner, strict=True):
        synth._synth.cc(0, controller, 127 * value)
    morphed = synth.render_note(50, 100, 0.8, 1.2)
    expected = alone.render_note(50, 100, 0.8, 1.2)
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(morphed, expected, atol=2e-7)


def test_a_held_note_follows_the_controllers(tmp_path: Path) -> None:
    synth = load(export(pad_instrument(x=0.0, y=0.0), tmp_path))
    synth._synth.note_on(0, 48, 100)
    heard = []
    for controller, value in ((16, 0), (16, 127), (17, 127), (16, 0)):
        synth._synth.cc(0, controller, value)
        levels = partial_levels(hold(synth, 0.4)[SAMPLE_RATE // 10 :], 48, 4)
        heard.append(int(np.argmax(levels)) + 1)
        assert np.sort(levels)[-2] < 0.01 * levels.max()
    assert heard == [1, 2, 4, 3]
    synth._synth.cc(0, 16, 64)
    moved = hold(synth, 0.4)
    assert np.abs(np.diff(moved)).max() < 0.05  # no click on the way


@pytest.mark.parametrize("size", [(3, 3), (5, 1), (1, 2)])
@pytest.mark.parametrize("at", [(0, 0), (64, 64), (20, 100), (127, 70)])
def test_gains_on_a_grid_are_bilinear(
    tmp_path: Path, size: tuple[int, int], at: tuple[int, int]
) -> None:
    """Against NumPy's interpolation; so only the neighbours of the position sound."""
    columns, rows = size
    synth = load(export(pad_instrument(columns=columns, rows=rows), tmp_path))
    full = load(export(sine_instrument(notes=[48]), tmp_path / "one"))
    for controller, value in zip((16, 17), at, strict=True):
        synth._synth.cc(0, controller, value)
    left = synth.render_note(48, 100, 0.5, 0.5)[0][8000:]
    reference = partial_levels(full.render_note(48, 100, 0.5, 0.5)[0][8000:], 48, 1)[0]
    gains = partial_levels(left, 48, columns * rows).reshape(rows, columns) / reference
    along = [
        np.array([np.interp(cc / 127, np.linspace(0, 1, n), unit) for unit in np.eye(n)])
        if n > 1
        else np.ones(1)
        for cc, n in zip(at, size, strict=True)
    ]
    np.testing.assert_allclose(gains, np.outer(along[1], along[0]), atol=0.02)
    assert np.count_nonzero(gains > 0.03) <= 4


def test_points_of_a_pad_take_turns_together(tmp_path: Path) -> None:
    point = layered_instrument(layers=2, round_robins=2)
    synth = load(
        export(PadInstrument(name="P", columns=2, rows=1, points=(point, point)), tmp_path)
    )
    for _ in range(3):
        for partial in (3, 4):
            levels = partial_levels(synth.render_note(48, 127, 0.3, 1.0)[0][2000:12000], 48, 4)
            assert np.argmax(levels) + 1 == partial
            assert np.sort(levels)[-2] < 0.01 * levels.max()


@pytest.mark.parametrize(("x", "y", "partial"), [(0.0, 0.0, 1), (1.0, 0.0, 2), (0.0, 1.0, 3)])
def test_a_pad_starts_where_it_stood(tmp_path: Path, x: float, y: float, partial: int) -> None:
    left = load(export(pad_instrument(x=x, y=y), tmp_path)).render_note(48, 100, 0.4, 0.4)[0]
    levels = partial_levels(left[2000:], 48, 4)
    assert np.argmax(levels) + 1 == partial
    assert np.sort(levels)[-2] < 0.01 * levels.max()


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name.strip()])
def test_hostile_names_still_load(tmp_path: Path, name: str) -> None:
    for made in (sine_instrument(name, [60]), pad_instrument(name, 2, 1, [60])):
        sfz = export(made, tmp_path / type(made).__name__)
        assert load(sfz).playable_keys == list(range(128))
        assert len(opcodes(sfz)) == len(list(sfz.parent.rglob("*_060_C4.wav")))


def test_texts_cannot_break_out_of_their_comment(tmp_path: Path) -> None:
    made = sine_instrument(notes=[60])
    hostile = Instrument(
        name="x\n<region> sample=*sine",
        sample_rate=SAMPLE_RATE,
        regions=made.regions,
        provenance={"note": "a\r\n<region> sample=*noise\u2028<region>", "/*": "#define $a b"},
    )
    sfz = export(hostile, tmp_path)
    assert load(sfz)._synth.get_num_regions() == 1
    assert len(opcodes(sfz)) == 1


@pytest.mark.parametrize("looped", [True, False])
def test_the_text_refers_to_every_sample_and_to_no_other(tmp_path: Path, looped: bool) -> None:
    instrument = sine_instrument(notes=[40, 50, 61], looped=looped)
    sfz = export(instrument, tmp_path)
    regions = opcodes(sfz)
    assert {region["sample"] for region in regions} == {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.wav")
    }
    zones = tile_zones([40, 50, 61])
    for written, region, zone in zip(regions, instrument.regions, zones, strict=True):
        assert (written["lokey"], written["hikey"]) == zone
        assert written["pitch_keycenter"] == region.root_note
        assert written["ampeg_release"] == 0.2
        if region.loop is not None:
            assert written["loop_mode"] == "loop_continuous"
            assert written["loop_start"] == region.loop.start
            assert written["loop_end"] == region.loop.end - 1
        else:
            assert written["loop_mode"] == "no_loop"
            assert "loop_start" not in written
    text = sfz.read_bytes()
    assert text.endswith(b"\n")
    assert b"\r" not in text
    assert not text.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("pad", [False, True])
def test_where_it_comes_from_is_kept_in_the_text(tmp_path: Path, pad: bool) -> None:
    text = export(pad_instrument() if pad else sine_instrument(), tmp_path).read_text("utf-8")
    assert text.count("// model: toy\n") == text.count("// seed: 7\n") == 1
    for index in range(4 if pad else 0):
        assert f"// weights: point {index}\n" in text


@pytest.mark.skipif(not SFZLINT.exists(), reason="needs the checker sfzlint")
def test_a_checker_finds_nothing_to_say(tmp_path: Path) -> None:
    for made in (layered_instrument("a layered, looped one"), pad_instrument("Pad", 3, 3)):
        assert lint(export(made, tmp_path)) == ""
    broken = export(sine_instrument("Broken"), tmp_path)
    broken.write_text(broken.read_text().replace("lokey=0", "lokey=zero"))
    assert "lokey" in lint(broken)
    next(tmp_path.glob("Broken/*_060_*.wav")).unlink()
    assert "not found" in lint(broken)


def lint(sfz: Path) -> str:
    """The checker's remarks; its exit status says nothing."""
    run = subprocess.run([SFZLINT, sfz], capture_output=True, text=True, check=True, timeout=60)
    return run.stdout + run.stderr


@pytest.mark.skipif(POLYPHONE is None, reason="needs the soundfont editor polyphone")
def test_a_soundfont_editor_imports_all_of_it(tmp_path: Path) -> None:
    """It hangs in an invisible dialog when anything is wrong, hence the time limit."""
    instrument = layered_instrument("Layers", notes=[48, 61], layers=2, round_robins=1)
    sfz = export(instrument, tmp_path)
    command = [str(POLYPHONE), "-1", "-i", str(sfz), "-d", str(tmp_path), "-o", "imported"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    sf2file = pytest.importorskip("sf2utils.sf2parse", reason="needs the parser sf2utils")
    with (tmp_path / "imported.sf2").open("rb") as file:
        font = sf2file.Sf2File(file)
        found = {
            (tuple(zone.key_range), tuple(layer.velocity_range)): (
                zone.sample.original_pitch,
                zone.sample.start_loop,
                zone.sample.end_loop,
            )
            for layer in font.presets[0].bags
            if layer.instrument is not None
            for zone in layer.instrument.bags
            if zone.sample is not None
        }
    expected = {
        ((r.low_key, r.high_key), (r.low_velocity, r.high_velocity)): (
            r.root_note,
            r.loop.start,
            r.loop.end,
        )
        for r in instrument.regions
        if r.loop is not None
    }
    assert found == expected


def test_a_missing_sample_is_noticed_by_these_tests(tmp_path: Path) -> None:
    sfz = export(sine_instrument(), tmp_path)
    next(tmp_path.rglob("*_060_*.wav")).unlink()
    assert load(sfz).playable_keys != list(range(128))
