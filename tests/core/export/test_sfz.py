from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pysfizz
import pytest
from numpy.typing import NDArray

from core.export.base import export_instrument
from core.instrument import Instrument, Loop, Region, tile_zones
from tests.core.export.instruments import SAMPLE_RATE, sine_instrument
from tests.core.export.test_files import HOSTILE_NAMES

BLOCK = 512


def load(sfz: Path) -> pysfizz.Synth:
    """sfizz with a copy that is read into memory whole, so that rendering has no race."""
    copy = sfz.with_name("copy for sfizz.sfz")
    copy.write_text("<control> hint_ram_based=1\n" + sfz.read_text("utf-8"), "utf-8")
    synth = pysfizz.Synth(SAMPLE_RATE, BLOCK)
    assert synth.load_sfz_file(copy)
    return synth


def export(instrument: Instrument, out: Path) -> Path:
    (sfz,) = [f for f in export_instrument(instrument, ["sfz"], out) if f.suffix == ".sfz"]
    return sfz


def opcodes(sfz: Path) -> list[dict[str, str]]:
    """Regions with what their group says, by a plain reading of the text."""
    regions, group = [], {}
    for line in sfz.read_text("utf-8").splitlines():
        pairs = dict(re.findall(r"(\w+)=(.*?)(?=\s\w+=|$)", line))
        if line.startswith("<group>"):
            group = pairs
        elif line.startswith("<region>"):
            regions.append(group | pairs)
    return regions


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


def test_each_key_answers_with_exactly_one_region(tmp_path: Path) -> None:
    synth = load(export(sine_instrument(notes=range(36, 85, 3)), tmp_path))
    assert synth.playable_keys == list(range(128))
    roots = [range(36, 85, 3)[0], *range(36, 85, 3)]
    for key in range(128):
        (info,) = synth.get_note_info(key)
        assert info["pitch_keycenter"] == min(roots, key=lambda root: (abs(root - key), root))
        assert (info["tune"], info["transpose"], info["pitch_keytrack"]) == (0, 0, 100)


@pytest.mark.parametrize("key", [30, 48, 53, 60, 67, 72, 90])
def test_keys_sound_in_tune(tmp_path: Path, key: int) -> None:
    synth = load(export(sine_instrument(), tmp_path))
    left = synth.render_note(key, 100, 1.5, 1.5)[0][SAMPLE_RATE // 2 :]
    cents = 1200 * np.log2(frequency_hz(left) / (440 * 2 ** ((key - 69) / 12)))
    assert abs(cents) < 3
    assert np.isfinite(left).all()
    assert 0.01 < np.abs(left).max() <= 1.0


def test_a_held_note_sustains_when_looped_and_ends_when_not(tmp_path: Path) -> None:
    held = load(export(sine_instrument(notes=[60]), tmp_path / "a")).render_note(60, 100, 3, 3)
    once = load(export(sine_instrument(notes=[60], looped=False), tmp_path / "b"))
    ended = once.render_note(60, 100, 3, 3)
    tail = slice(2 * SAMPLE_RATE, None)
    assert np.abs(held[:, tail]).max() > 0.05
    assert np.abs(ended[:, tail]).max() == 0


@pytest.mark.parametrize("looped", [True, False])
def test_letting_a_key_go_fades_without_a_cut(tmp_path: Path, looped: bool) -> None:
    synth = load(export(sine_instrument(notes=[60], looped=looped), tmp_path))
    left = synth.render_note(60, 100, 0.2, 1.0)[0]
    off = SAMPLE_RATE // 5
    assert np.abs(left[off : off + SAMPLE_RATE // 50]).max() > 0.02  # still sounding after 20 ms
    assert np.abs(left[off + SAMPLE_RATE // 2 :]).max() < 1e-4  # gone after the release
    assert np.abs(np.diff(left)).max() < 0.05


@pytest.mark.parametrize("start", [64, 3000])
@pytest.mark.parametrize("length", [1000, 4097])
def test_the_loop_is_exact_to_the_frame(tmp_path: Path, start: int, length: int) -> None:
    samples = np.zeros((1, start + length + 500), np.float32)
    samples[0, start] = 0.9
    samples[0, start + length] = -0.9
    region = Region(
        root_note=60, low_key=0, high_key=127, samples=samples,
        loop=Loop(start=start, end=start + length),
    )  # fmt: skip
    instrument = Instrument(name="Click", sample_rate=SAMPLE_RATE, regions=(region,))
    left = load(export(instrument, tmp_path)).render_note(60, 127, 1, 1)[0]
    peaks = np.flatnonzero(np.abs(left) > 0.5 * np.abs(left).max())
    assert len(peaks) >= 9
    # sfizz holds one frame twice between the first two blocks of a note, loop or not
    assert set(np.diff(peaks[peaks > BLOCK])) == {length}
    assert (left[peaks] > 0).all()


def test_velocity_layers_choose_their_recording(tmp_path: Path) -> None:
    soft, loud = sine_instrument(notes=[60]).regions[0], sine_instrument(notes=[72]).regions[0]
    regions = (
        Region(root_note=60, low_key=0, high_key=127, high_velocity=80, samples=soft.samples),
        Region(root_note=60, low_key=0, high_key=127, low_velocity=81, samples=loud.samples),
    )
    synth = load(export(Instrument(name="L", sample_rate=SAMPLE_RATE, regions=regions), tmp_path))
    for velocity, hz in ((80, 261.63), (81, 523.25)):
        left = synth.render_note(60, velocity, 0.4, 0.4)[0]
        assert abs(frequency_hz(left[2000:14000]) - hz) < 1


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name.strip()])
def test_hostile_names_still_load(tmp_path: Path, name: str) -> None:
    instrument = sine_instrument(name, [60])
    assert load(export(instrument, tmp_path)).playable_keys == list(range(128))


def test_texts_cannot_break_out_of_their_comment(tmp_path: Path) -> None:
    made = sine_instrument(notes=[60])
    hostile = Instrument(
        name="x\n<region> sample=*sine",
        sample_rate=SAMPLE_RATE,
        regions=made.regions,
        provenance={"note": "a\r\n<region> sample=*noise\u2028<region>"},
    )
    sfz = export(hostile, tmp_path)
    load(sfz)
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
        assert (int(written["lokey"]), int(written["hikey"])) == zone
        assert int(written["pitch_keycenter"]) == region.root_note
        assert float(written["ampeg_release"]) == 0.2
        if looped:
            assert written["loop_mode"] == "loop_continuous"
            assert int(written["loop_start"]) == region.loop.start
            assert int(written["loop_end"]) == region.loop.end - 1
        else:
            assert written["loop_mode"] == "no_loop"
            assert "loop_start" not in written
    text = sfz.read_bytes()
    assert text.endswith(b"\n")
    assert b"\r" not in text
    assert not text.startswith(b"\xef\xbb\xbf")


def test_a_missing_sample_is_noticed_by_these_tests(tmp_path: Path) -> None:
    sfz = export(sine_instrument(), tmp_path)
    next(tmp_path.rglob("*_060_*.wav")).unlink()
    assert load(sfz).playable_keys != list(range(128))
