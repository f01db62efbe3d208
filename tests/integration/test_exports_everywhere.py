"""Bundled samples through the shipped weights into every format, opened by everyone else's readers.

One instrument each of three samples, a morph of two with velocity layers, and a pad of four on a
3×3 grid. Few notes of each: what is proved is that what the engine gives survives each format.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from core.audio.files import read_audio
from core.export.base import FORMATS, export_instrument, openable
from core.inference.building import build_instrument, build_pad
from core.inference.model import SHIPPED_MODEL
from core.instrument import HIGHEST_KEY, Instrument, PadInstrument
from core.plan import InstrumentOptions, InstrumentPlan, PadGrid
from core.sound import Sound, TimbreMix
from core.verify.check import verify_files
from core.verify.report import FileReport, VerificationReport

RATE = 44100
BLOCK = 512
SAMPLES = Path(__file__).resolve().parents[2] / "resources" / "samples"
NAMES = ("bowed", "brass", "bell", "morph", "pad")
PAD_KEY = 60
SFZLINT = Path(sys.executable).with_name("sfzlint")
POLYPHONE = shutil.which("polyphone")

pytestmark = pytest.mark.skipif(
    not SHIPPED_MODEL.is_file(), reason="no weights are bundled: run python -m training bundle"
)

Made = dict[str, Instrument | PadInstrument]


@pytest.fixture(scope="module")
def made() -> Made:
    """The five instruments, as the program builds them."""
    from core.inference.engine import SynthesisEngine

    engine = SynthesisEngine.load(SHIPPED_MODEL, "cpu")
    clips = {
        name: read_audio(SAMPLES / f"{name}.wav") for name in ("bowed", "brass", "bell", "pad")
    }
    timbres = {name: engine.analyze(clip) for name, clip in clips.items()}

    def settings(*names: str) -> Sound:
        mix = TimbreMix(timbres=tuple(timbres[n] for n in names), weights=(1.0,) * len(names))
        return Sound(mix=mix)

    corners = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    plain = InstrumentPlan(notes=(48, 54, 60, 66, 72))
    layered = InstrumentPlan(notes=(48, 60, 72), options=InstrumentOptions(velocity_layers=2))
    single = InstrumentPlan(notes=(PAD_KEY,))
    instruments: Made = {
        name: build_instrument(engine, settings(name), plain, name=name)
        for name in ("bowed", "brass", "bell")
    }
    instruments["morph"] = build_instrument(engine, settings("bowed", "pad"), layered, name="morph")
    instruments["pad"] = build_pad(
        engine,
        settings("bowed", "brass", "bell", "pad"),
        single,
        PadGrid(columns=3, rows=3),
        corners,
        name="pad",
    )
    return instruments


@pytest.fixture(scope="module")
def exported(made: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each instrument with all formats in it."""
    folders = {}
    for name, instrument in made.items():
        folders[name] = tmp_path_factory.mktemp("exports") / name
        export_instrument(instrument, list(FORMATS), folders[name])
    return folders


def path_of(exported: dict[str, Path], name: str, kind: str) -> Path:
    return exported[name] / openable(name, [kind])[0]


def points_of(instrument: Instrument | PadInstrument) -> tuple[Instrument, ...]:
    return instrument.points if isinstance(instrument, PadInstrument) else (instrument,)


@pytest.fixture(scope="module")
def verified(exported: dict[str, Path]) -> dict[tuple[str, str], FileReport]:
    """What verification says of each instrument in each format."""
    reports = {}
    for name, folder in exported.items():
        kinds = [kind for kind in FORMATS if kind != "flac"]  # lies in the WAVs' folder
        report: VerificationReport = verify_files([folder / openable(name, [k])[0] for k in kinds])
        reports |= {(name, kind): file for kind, file in zip(kinds, report.files, strict=True)}
    return reports


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "flac"])
@pytest.mark.parametrize("name", NAMES)
def test_every_consumer_finds_it_in_tune_even_and_seamless(
    made: Made, verified: dict[tuple[str, str], FileReport], name: str, kind: str
) -> None:
    report = verified[name, kind]
    assert report.red == ()
    consumers = {
        "sfz": {"pysfizz"},
        "sf2": {"fluidsynth", "tinysoundfont"},
        "bitwig": {"lxml"},
    }
    assert set(report.opened_by) == {"libsndfile"} | consumers.get(kind, set())
    for engine in set(report.opened_by) - {"lxml"}:
        rows = [row for row in report.rows if row.engine == engine]
        points = points_of(made[name])
        kinds = 2 if kind == "wav" else 1  # WAVs and FLACs lie in one folder
        assert len(rows) == kinds * sum(len(point.regions) for point in points)
        cents = [abs(row.cents) for row in rows if row.cents is not None]
        assert len(cents) >= 0.8 * len(rows)
        assert max(cents) <= 5.0
        looped = sum(region.loop is not None for point in points for region in point.regions)
        assert sum(row.seam is not None for row in rows) == kinds * looped
        steps = [row.level_step_db for row in rows if row.level_step_db is not None]
        assert all(abs(step) <= 1.0 for step in steps)


def test_some_of_it_is_looped(made: Made) -> None:
    looped = {
        name
        for name, instrument in made.items()
        if any(r.loop is not None for point in points_of(instrument) for r in point.regions)
    }
    assert {"bowed", "brass", "morph"} <= looped


@pytest.mark.parametrize("name", NAMES)
def test_soundfiles_hold_the_audio_and_its_map(
    made: Made, exported: dict[str, Path], name: str
) -> None:
    wavinfo = pytest.importorskip("wavinfo", reason="wavinfo is not installed")
    points = points_of(made[name])
    for ending, info in ((".wav", wavinfo.WavInfoReader), (".flac", None)):
        files = sorted((exported[name] / name).rglob(f"*{ending}"))
        regions = [region for point in points for region in point.regions]
        assert len(files) == len(regions)
        remaining = list(regions)
        for file in files:
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
            assert rate == RATE
            match = next(
                r
                for r in remaining
                if r.samples.shape == samples.T.shape
                and np.abs(r.samples - samples.T).max() < 2.0**-22
            )
            remaining.remove(match)
            if info is not None:
                smpl = info(str(file)).smpl.to_dict()
                assert smpl["midi_note"] == match.root_note
                loops = [(x["start_samples"], x["end_samples"]) for x in smpl["loops"]]
                assert loops == ([(match.loop.start, match.loop.end - 1)] if match.loop else [])


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_of_soundfonts_sees_every_zone(
    made: Made, exported: dict[str, Path], name: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        sf2parse = pytest.importorskip("sf2utils.sf2parse", reason="sf2utils is not installed")
    with path_of(exported, name, "sf2").open("rb") as file:
        font = sf2parse.Sf2File(file)
        presets = [preset for preset in font.presets if preset.name != "EOP"]
        points = points_of(made[name])
        assert len(presets) == len(points)
        for preset, point in zip(presets, points, strict=True):
            zones = [b for b in preset.bags[0].instrument.bags if b.sample is not None]
            assert [
                (*z.key_range, *z.velocity_range, z.sample.original_pitch, z.sample.duration)
                for z in zones
            ] == [
                (
                    r.low_key,
                    r.high_key,
                    r.low_velocity,
                    r.high_velocity,
                    r.root_note,
                    r.samples.shape[1],
                )
                for r in point.regions
            ]


@pytest.mark.skipif(POLYPHONE is None, reason="needs the soundfont editor polyphone")
@pytest.mark.parametrize(("option", "kind"), [("-1", "sfz"), ("-3", "sf2")])
@pytest.mark.parametrize("name", NAMES)
def test_a_soundfont_editor_takes_it(
    made: Made, exported: dict[str, Path], tmp_path: Path, name: str, option: str, kind: str
) -> None:
    command = [str(POLYPHONE), option, "-i", str(path_of(exported, name, kind))]
    subprocess.run(
        [*command, "-d", str(tmp_path), "-o", "taken"],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    taken = list(tmp_path.rglob("*.sf2")) if kind == "sfz" else list(tmp_path.rglob("*.wav"))
    recordings = sum(len(point.regions) for point in points_of(made[name]))
    assert len(taken) == (1 if kind == "sfz" else recordings)


@pytest.mark.skipif(not SFZLINT.exists(), reason="needs the checker sfzlint")
def test_a_checker_of_sfz_finds_nothing_to_say(exported: dict[str, Path]) -> None:
    for name in NAMES:
        sfz = path_of(exported, name, "sfz")
        run = subprocess.run([SFZLINT, sfz], capture_output=True, text=True, check=True, timeout=60)
        assert run.stdout + run.stderr == ""


def test_the_library_is_the_preset_in_one_file(exported: dict[str, Path]) -> None:
    for name in NAMES:
        preset = path_of(exported, name, "decentsampler")
        with zipfile.ZipFile(path_of(exported, name, "dslibrary")) as library:
            assert library.testzip() is None
            assert library.read(preset.name) == preset.read_bytes()
            for member in library.namelist():
                if member.endswith(".wav"):
                    assert library.read(member) == (exported[name] / member).read_bytes()


def sfizz(sfz: Path) -> Any:
    """sfizz with a copy that is held in memory, so that no tail is lost."""
    pysfizz = pytest.importorskip("pysfizz", reason="pysfizz is not installed")
    copy = sfz.with_name("in memory.sfz")
    copy.write_text("<control> hint_ram_based=1\n" + sfz.read_text("utf-8"), "utf-8")
    synth = pysfizz.Synth(RATE, BLOCK)
    assert synth.load_sfz_file(copy)
    copy.unlink()
    return synth


@pytest.mark.parametrize("name", NAMES)
def test_every_key_answers_the_nearest_recording(
    made: Made, exported: dict[str, Path], name: str
) -> None:
    synth = sfizz(path_of(exported, name, "sfz"))
    roots = sorted({region.root_note for region in points_of(made[name])[0].regions})
    n_points = len(points_of(made[name]))
    layers = len(points_of(made[name])[0].velocity_layers)
    for key in range(HIGHEST_KEY + 1):
        nearest = min(roots, key=lambda root: (abs(root - key), root))
        infos = synth.get_note_info(key)
        assert [info["pitch_keycenter"] for info in infos] == [nearest] * (n_points * layers)


@pytest.mark.parametrize("name", NAMES)
def test_harder_is_louder_in_every_step(exported: dict[str, Path], name: str) -> None:
    synth = sfizz(path_of(exported, name, "sfz"))
    velocities = (1, 20, 40, 60, 63, 64, 65, 80, 100, 127)
    sounds = [synth.render_note(60, velocity, 0.6, 1.0)[0] for velocity in velocities]
    levels = [float(np.sqrt(np.mean(np.square(sound)))) for sound in sounds]
    assert all(harder > softer for softer, harder in pairwise(levels))


@pytest.mark.parametrize("corner", [(0, 0), (2, 0), (0, 2), (2, 2)])
def test_the_pads_corners_are_the_corner_renders(
    made: Made, exported: dict[str, Path], tmp_path: Path, corner: tuple[int, int]
) -> None:
    pad = made["pad"]
    assert isinstance(pad, PadInstrument)
    export_instrument(pad.point(*corner), ["sfz"], tmp_path)
    alone = sfizz(next(tmp_path.glob("*.sfz"))).render_note(PAD_KEY, 100, 1.5, 2.0)
    synth = sfizz(path_of(exported, "pad", "sfz"))
    for controller, place in zip((16, 17), corner, strict=True):
        synth._synth.cc(0, controller, 127 * place // 2)
    morphed = synth.render_note(PAD_KEY, 100, 1.5, 2.0)
    assert np.abs(alone).max() > 0.02
    np.testing.assert_allclose(morphed, alone, atol=1e-6)


def shape_of(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Levels of third-octave bands, unit energy."""
    power = np.square(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))))
    edges = np.geomspace(100, 16000, 23) * len(sound) / RATE
    bands = np.array([power[int(a) : int(b) + 1].sum() for a, b in pairwise(edges)])
    levels: NDArray[np.float64] = np.sqrt(bands) / np.sqrt(bands.sum())
    return levels


def test_a_sweep_moves_a_held_note_from_corner_to_corner(exported: dict[str, Path]) -> None:
    """From brass (right) to bowed (left), both of which sustain."""
    synth = sfizz(path_of(exported, "pad", "sfz"))
    midi = synth._synth
    midi.cc(0, 17, 0)

    def hold(seconds: float) -> NDArray[np.float32]:
        blocks = [midi.render_block()[0] for _ in range(round(seconds * RATE / BLOCK))]
        return np.concatenate(blocks)

    midi.cc(0, 16, 127)
    midi.note_on(0, PAD_KEY, 100)
    hold(0.5)
    start = hold(0.3)
    sweep = []
    for value in range(127, -1, -1):
        midi.cc(0, 16, value)
        sweep.append(hold(0.012))
    end = hold(0.3)
    moved = np.concatenate(sweep)
    distances = [
        float(np.linalg.norm(shape_of(part) - shape_of(start))) for part in np.array_split(moved, 5)
    ]
    final = float(np.linalg.norm(shape_of(end) - shape_of(start)))
    assert final > 0.1
    assert distances[0] < 0.5 * final
    assert distances[-1] > 0.5 * final
    loudest_step = max(np.abs(np.diff(part)).max() for part in (start, end))
    assert np.abs(np.diff(moved)).max() < 1.5 * loudest_step  # no click on the way
