from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from app import __version__
from app.__main__ import main
from app.cli.main import VERBS
from app.cli.verbs import analyze
from core.errors import DeviceError
from tests.app.fake_engine import FakeEngine
from tests.helpers.blocking import blocking
from tests.helpers.signals import noise_burst
from tests.helpers.sound_files import acid, inst, smpl, wav

REPOSITORY = Path(__file__).resolve().parents[2]


def test_render_writes_one_wav_per_note(
    engine: FakeEngine, bell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["render", str(bell), "--notes", "C4:E4:2", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["60.wav", "62.wav", "64.wav"]
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(out / f"{note}.wav") for note in (60, 62, 64)]
    assert captured.err == ""
    info = soundfile.info(out / "60.wav")
    assert (info.samplerate, info.subtype, info.frames) == (44100, "PCM_24", 4410)


def test_render_never_overwrites_unasked(
    engine: FakeEngine, bell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["render", str(bell), "--notes", "60,61", "--out", str(tmp_path / "out")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "61.wav").write_bytes(b"mine")
    (tmp_path / "out" / "other.wav").write_bytes(b"other")
    assert main(command) == 2
    assert "61.wav exists" in capsys.readouterr().err
    assert engine.loaded == []  # said before any work
    assert (tmp_path / "out" / "61.wav").read_bytes() == b"mine"
    assert not (tmp_path / "out" / "60.wav").exists()
    assert main([*command, "--force"]) == 0
    assert (tmp_path / "out" / "61.wav").read_bytes() != b"mine"
    assert (tmp_path / "out" / "other.wav").read_bytes() == b"other"


def test_export_names_what_to_open(
    engine: FakeEngine, bell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["export", str(bell), "--format", "sfz, WAV", "--notes", "C2:C6", "--out", str(out)]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == [str(out / "bell.sfz"), str(out / "bell")]
    assert len(list(out.rglob("*.wav"))) == 49


def test_everything_asked_for_reaches_the_engine(
    engine: FakeEngine, bell: Path, pluck: Path, tmp_path: Path
) -> None:
    command = (
        f"export {bell} {pluck} --format sfz --notes 60 --out {tmp_path / 'out'} --weights 3,1 "
        "--root C#4 --root 59.7 --velocity 33 --seed 5 --variation 0.5 --refinement 0.25 "
        "--carry-over 0.75 --device cpu"
    )
    assert main(command.split()) == 0
    (request,) = engine.requests
    assert [timbre.root_pitch for timbre in request.sound.mix.timbres] == [61.0, 59.7]
    assert request.sound.mix.weights == (0.75, 0.25)
    assert (request.notes, request.sound.settings.velocity, request.sound.settings.seed) == (
        (60,),
        33,
        5,
    )
    assert (
        request.sound.settings.variation,
        request.sound.settings.refinement,
        request.sound.settings.carry_over,
    ) == (0.5, 0.25, 0.75)
    assert engine.loaded == [(None, "cpu")]
    assert (tmp_path / "out" / "bell-pluck.sfz").exists()


@pytest.mark.parametrize("verb", ["render", "export --format sfz"])
def test_notes_of_one_instrument_are_pooled(
    engine: FakeEngine, bell: Path, pluck: Path, tmp_path: Path, verb: str
) -> None:
    command = f"{verb} {bell} {pluck} --pool --root C3,C4 --notes 60 --out {tmp_path / 'out'}"
    assert main(command.split()) == 0
    (request,) = engine.requests
    assert request.sound.mix.one_instrument
    assert [timbre.root_pitch for timbre in request.sound.mix.timbres] == [48, 60]
    assert engine.fits == []


@pytest.mark.parametrize("verb", ["render", "export --format sfz"])
def test_samples_are_fitted_before_they_are_rendered(
    engine: FakeEngine, bell: Path, tmp_path: Path, verb: str
) -> None:
    command = f"{verb} {bell} --fit 7 --notes 60,61 --out {tmp_path / 'out'}"
    assert main(command.split()) == 0
    assert engine.fits == [7]
    assert all(timbre.fitted for timbre in engine.requests[0].sound.mix.timbres)


def test_a_signal_cancels_a_fit(engine: FakeEngine, bell: Path, tmp_path: Path) -> None:
    engine.before_step = lambda cancel: os.kill(os.getpid(), signal.SIGINT)
    out = tmp_path / "out"
    assert main(f"render {bell} --fit 7 --notes 60 --out {out}".split()) == 1
    assert engine.requests == []
    assert not out.exists()


@pytest.mark.parametrize(
    ("root", "pitches"),
    [("60", [60, 60]), ("C4,auto", [60, 60.2]), ("auto", [60.2, 60.2]), ("61.5,A4", [61.5, 69])],
)
def test_roots_are_for_all_or_for_each(
    engine: FakeEngine, bell: Path, pluck: Path, tmp_path: Path, root: str, pitches: list[float]
) -> None:
    command = f"render {bell} {pluck} --notes 60 --out {tmp_path / 'out'} --root {root}"
    assert main(command.split()) == 0
    assert [timbre.root_pitch for timbre in engine.requests[0].sound.mix.timbres] == pitches


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("export {bell} --format sfz --notes 60", "--out"),
        ("export {bell} --format sfz --out {out}", "--notes"),
        ("export {bell} --notes 60 --out {out}", "--format"),
        ("export {bell} --format sf9 --notes 60 --out {out}", "'sf9' is unknown; known are"),
        ("export {bell} --format , --notes 60 --out {out}", "No format"),
        ("export --format sfz --notes 60 --out {out}", "SAMPLE"),
        ("render {bell} --notes 60 --out {out} --weights 1,2", "2 values for 1 samples"),
        ("render {bell} --notes 60 --out {out} --weights 0", "no weight above 0"),
        ("render {bell} --notes 60 --out {out} --weights=-1", "'-1' is no number"),
        ("render {bell} --notes 60 --out {out} --weights nan", "'nan' is no number"),
        ("render {bell} --notes 60 --out {out} --root 60,61,62", "3 notes for 1 samples"),
        ("render {bell} --notes 60 --out {out} --root H9", "H9"),
        ("render {bell} --notes 60 --out {out} --root 128.5", "'128.5' is outside 0-127"),
        ("render {bell} --notes 60 --out {out} --velocity 0", "'0' is no whole number"),
        ("render {bell} --notes 60 --out {out} --velocity loud", "'loud' is no whole number"),
        ("render {bell} --notes 60 --out {out} --seed -3", "--seed"),
        ("render {bell} --notes 60 --out {out} --variation 3", "'3' is no number from 0 to 1"),
        ("render {bell} --notes 60 --out {out} --carry-over 1.5", "'1.5' is no number from 0 to 1"),
        ("render {bell} --notes 60 --out {out} --pool", "got 1 sample, so give two or more"),
        ("render {bell} {bell} --notes 60 --out {out} --pool --weights 1,2", "count alike"),
        (
            "export {bell} {bell} --format sfz --notes 60 --out {out} --pool --pad 2x1",
            "--pool and --pad exclude each other",
        ),
        (
            "render {bell} --notes 60 --out {out} --fit 201",
            "'201' is no whole number from 0 to 200",
        ),
        ("render {bell} --notes 60 --out {out} --device tpu", "'tpu'"),
        ("render {bell} --notes 60 --out {out} --colour red", "--colour"),
        ("render {bell} --notes 60 --out {out} --model {out}/none.safetensors", "none.safetensors"),
        ("analyze", "SAMPLE"),
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("exprot {bell}", "'exprot' is neither a file nor a verb"),
    ],
)
def test_wrong_arguments_end_with_2_and_one_line(
    engine: FakeEngine,
    bell: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    says: str,
) -> None:
    assert main(arguments.format(bell=bell, out=tmp_path / "out").split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("hyperganstrument: ")
    assert says in captured.err
    assert not (tmp_path / "out").exists()


def test_arguments_are_checked_before_files_and_files_before_the_model(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["render", "missing.wav", "--out", str(tmp_path / "out"), "--model", "missing.st"]
    assert main([*base, "--notes", "60", "--weights", "1,2"]) == 2
    assert "--weights" in capsys.readouterr().err
    assert main([*base, "--notes", "60"]) == 2
    assert "missing.wav" in capsys.readouterr().err
    assert engine.loaded == []


@pytest.mark.parametrize("verb", [[], ["render"], ["export"], ["analyze"], ["info"]])
def test_help_is_complete_and_goes_to_stdout(
    verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb, "--help"]) == 0
    captured = capsys.readouterr()
    assert "usage: hyperganstrument" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_arguments_point_to_the_help_of_their_verb(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--what"]) == 2
    said = capsys.readouterr().err
    assert said.endswith(f" (see hyperganstrument {verb} --help).\n")
    assert ". (see" not in said


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"hyperganstrument {__version__}"


def test_analyze_for_people_and_for_programs(
    engine: FakeEngine, bell: Path, pluck: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", str(bell)]) == 0
    text = capsys.readouterr().out
    assert "C4 (60), +20 cents" in text
    assert "glockenspiel (0.91)" in text
    assert main(["analyze", str(bell), str(pluck), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert second["file"] == str(pluck)
    assert first == {
        "file": str(bell),
        "sample_rate": 44100,
        "channels": 1,
        "root_note": 60,
        "root_name": "C4",
        "tuning_cents": 20.0,
        "root_from": "heard",
        "pitch_confidence": 0.9,
        "pitched": True,
        "onset_s": 0.01,
        "length_s": 0.5,
        "peak_db": -6.0,
        "nearest": [
            {"name": "glockenspiel", "similarity": 0.91},
            {"name": "celesta", "similarity": 0.8},
            {"name": "vibraphone", "similarity": 0.7},
        ],
    }


@pytest.mark.parametrize(
    ("name", "chunks", "origin", "phrase"),
    [
        ("hit", smpl(36), "smpl", "from the file's smpl chunk"),
        ("hit", inst(36), "inst", "from the file's inst chunk"),
        ("hit", acid(36), "acid", "from the file's acid chunk"),
        ("hit_C2", b"", "name", "from the file's name"),
    ],
)
def test_analyze_says_where_the_root_is_from(
    engine: FakeEngine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    chunks: bytes,
    origin: str,
    phrase: str,
) -> None:
    path = tmp_path / f"{name}.wav"
    path.write_bytes(wav(noise_burst(0.2), chunks))
    assert main(["analyze", str(path)]) == 0
    root_line = capsys.readouterr().out.splitlines()[1]
    assert root_line.startswith("  root note")
    assert root_line.endswith(f" cents, {phrase}")
    assert main(["analyze", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["root_from"] == origin


def test_info_for_people_and_for_programs(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info"]) == 0
    assert "format_version: 1" in capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == engine.model_info
    assert facts["version"] == __version__
    assert "cpu" in facts["devices"]
    assert {"sfz", "wav"} <= set(facts["formats"])


def test_failing_work_ends_with_1_and_leaves_nothing(
    engine: FakeEngine, bell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def out_of_memory(note: int) -> None:
        raise DeviceError("The device ran out of memory; use the CPU.")

    engine.before_note = out_of_memory
    assert main(["render", str(bell), "--notes", "60", "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        "hyperganstrument: The device ran out of memory; use the CPU (--device).\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", ["render", "export --format sfz"])
def test_signals_cancel_the_work(
    engine: FakeEngine, bell: Path, tmp_path: Path, number: signal.Signals, verb: str
) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    engine.before_note = lambda note: os.kill(os.getpid(), number) if note == 61 else None
    out = tmp_path / "out"
    assert main([*verb.split(), str(bell), "--notes", "60:63", "--out", str(out)]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input"]
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_an_interrupt_before_the_work_is_no_traceback(
    engine: FakeEngine,
    bell: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(analyze, "load_engine", interrupt)
    assert main(["analyze", str(bell)]) == 1
    assert "Cancelled" in capsys.readouterr().err


def test_slow_work_says_how_far_it_is(
    engine: FakeEngine,
    bell: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = iter(range(0, 10_000, 3))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    assert main(["render", str(bell), "--notes", "60:69", "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) < 10
    assert all(line.startswith("hyperganstrument: Rendering notes ") for line in lines)


def test_help_and_mistakes_need_neither_torch_nor_qt() -> None:
    program = f"""
{blocking("torch", "PySide6", "sounddevice", "pyqtgraph")}
from app.__main__ import main
from app.cli.verbs import analyze
verbs = [["--help"], ["export", "--help"], ["analyze", "missing.wav"], ["export", "missing.wav"]]
sys.exit([main(verb) for verb in verbs] != [0, 0, 2, 2])
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr


def test_a_reader_that_leaves_is_no_failure() -> None:
    program = "from app.__main__ import main; import sys; sys.exit(main(['export', '--help']))"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert stderr == b""
