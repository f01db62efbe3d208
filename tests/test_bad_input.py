"""Every bad input that a person may come with, through the program's front door.

Each gets one line on stderr that says what is wrong and what to do, exit code 2 for bad arguments
or input and 1 for work that failed, and leaves nothing behind.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from safetensors.numpy import save_file

import core.export.files
from app.__main__ import main
from core.checkpoint import METADATA_KEY
from tests.core.export.instruments import snapshot
from tests.core.export.test_files import FullDisk
from tests.helpers.tiny_models import tiny_bundle

RATE = 44100
Answer = tuple[int, str]


def tone(length_s: float, rate: int = RATE, channels: int = 1) -> NDArray[np.float32]:
    """A decaying C4 with partials, [T, C]."""
    time_s = np.arange(round(length_s * rate)) / rate
    sound = sum(np.sin(2 * np.pi * 261.63 * k * time_s) / k for k in range(1, 6))
    return np.repeat((0.3 * sound * np.exp(-time_s)).astype(np.float32)[:, None], channels, axis=1)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy weights."""
    return tiny_bundle(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A sound file with nothing wrong."""
    path = tmp_path / "fine.wav"
    soundfile.write(path, tone(0.5), RATE, "PCM_24")
    return path


@pytest.fixture
def run(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run the program; its exit code and what it said on stderr."""

    def run_program(*arguments: str | Path, model: Path = model) -> Answer:
        verb, *rest = map(str, arguments)
        code = main([verb, *rest, "--model", str(model), "--device", "cpu"])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        if code:
            assert captured.out == ""
        return code, captured.err

    return run_program


def refused(answer: Answer, says: str, code: int = 2) -> None:
    """Exit code and one clear line."""
    assert answer[0] == code
    assert re.fullmatch(r"hyperganstrument: [^\n]+\n", answer[1])
    assert re.search(says, answer[1]), answer[1]


def missing(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def truncated(path: Path) -> None:
    soundfile.write(path, tone(0.5), RATE)
    path.write_bytes(path.read_bytes()[:30])


def text(path: Path) -> None:
    path.write_text("Dear sampler,\nthis is a letter.\n" * 50)


def not_a_number(path: Path) -> None:
    sound = tone(0.5)
    sound[1000] = np.nan
    soundfile.write(path, sound, RATE, "FLOAT")


def silent(path: Path) -> None:
    soundfile.write(path, np.zeros((RATE, 1)), RATE)


def too_short(path: Path) -> None:
    soundfile.write(path, tone(0.02), RATE)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (missing, "does not exist; check"),
        (empty, r"empty \(0 bytes\)"),
        (truncated, "damaged|no sound file|no samples"),
        (text, "no sound file; export it as WAV"),
        (not_a_number, "NaN"),
        (silent, "silent"),
        (too_short, r"short|0\.0\d* s|20 ms"),
        (folder, "is a folder; choose one sound file"),
    ],
)
@pytest.mark.parametrize("verb", ["analyze", "render", "export"])
def test_unusable_files_are_refused(
    run: Callable[..., Answer],
    tmp_path: Path,
    verb: str,
    make: Callable[[Path], None],
    says: str,
) -> None:
    path = tmp_path / "strange.wav"
    make(path)
    before = snapshot(tmp_path)
    more = [] if verb == "analyze" else ["--notes", "60", "--out", tmp_path / "out"]
    more += ["--format", "sfz"] if verb == "export" else []
    answer = run(verb, path, *more)
    refused(answer, says)
    assert "strange" in answer[1]
    assert snapshot(tmp_path) == before


def test_a_file_without_permission_is_refused(
    run: Callable[..., Answer], sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample.chmod(0)
    if os.access(sample, os.R_OK):  # root reads everything: let the system say no all the same
        real = Path.open

        def deny(self: Path, *arguments: object, **options: object) -> object:
            if self == sample:
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return real(self, *arguments, **options)  # type: ignore[call-overload]

        monkeypatch.setattr(Path, "open", deny)
    refused(run("analyze", sample), r"fine\.wav' may not be read \(permission denied\)")


def test_a_file_that_lost_its_end_is_still_played(run: Callable[..., Answer], sample: Path) -> None:
    sample.write_bytes(sample.read_bytes()[: 44 + 3 * RATE // 4])
    assert run("analyze", sample)[0] == 0


@pytest.mark.parametrize(
    ("length_s", "rate", "channels"),
    [(3600.0, 8000, 1), (0.5, RATE, 8), (0.5, 8000, 1), (0.5, 192000, 2)],
    ids=["one hour", "8 channels", "8 kHz", "192 kHz"],
)
def test_unusual_files_work(
    run: Callable[..., Answer], tmp_path: Path, length_s: float, rate: int, channels: int
) -> None:
    path = tmp_path / "unusual.wav"
    sound = tone(min(length_s, 3.0), rate, channels)
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16") as file:
        for _ in range(round(length_s / (len(sound) / rate))):
            file.write(sound)
    out = tmp_path / "out"
    assert run("render", path, "--notes", "60", "--root", "C4", "--out", out) == (0, "")
    rendered, rendered_rate = soundfile.read(out / "60.wav")
    assert rendered_rate == RATE
    assert np.isfinite(rendered).all()


def garbage(path: Path, good: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(5000))


def pickled(path: Path, good: Path) -> None:
    path.write_bytes(pickle.dumps({"generator": [1.0, 2.0]}))


def cut_off(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes()[:-1000])


def cut_in_the_header(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes()[:100])


def foreign(path: Path, good: Path) -> None:
    save_file({"weight": np.zeros(4, np.float32)}, path, metadata={"format": "pt"})


def from_the_future(path: Path, good: Path) -> None:
    data = good.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    document = json.loads(header["__metadata__"][METADATA_KEY])
    header["__metadata__"][METADATA_KEY] = json.dumps(document | {"format_version": 999})
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


def no_file(path: Path, good: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (garbage, "not a readable safetensors file"),
        (pickled, "not a readable safetensors file"),
        (cut_off, "not a readable safetensors file"),
        (cut_in_the_header, "not a readable safetensors file"),
        (foreign, "not written by HyperGANStrument"),
        (from_the_future, "version 999.*Update the program"),
        (no_file, "no weights file"),
    ],
)
def test_unusable_weights_are_refused(
    run: Callable[..., Answer],
    model: Path,
    sample: Path,
    tmp_path: Path,
    make: Callable[[Path, Path], None],
    says: str,
) -> None:
    path = tmp_path / "strange.safetensors"
    make(path, model)
    answer = run("render", sample, "--notes", "60", "--out", tmp_path / "out", model=path)
    refused(answer, says)
    assert "strange.safetensors" in answer[1]
    assert not (tmp_path / "out").exists()
    refused(run("info", model=path), says)


@pytest.mark.parametrize(
    "notes",
    ["", "banana", "128", "-1", "C4:", ":", "C6:C2", "C2:C6:0", "60,,62", "60.5", "C99", "C2:C6:x"],
)
def test_nonsense_notes_are_refused(
    run: Callable[..., Answer], sample: Path, tmp_path: Path, notes: str
) -> None:
    answer = run("render", sample, f"--notes={notes}", "--out", tmp_path / "out")
    refused(answer, "--notes")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["render", "export"])
def test_existing_files_are_kept_unless_forced(
    run: Callable[..., Answer], sample: Path, tmp_path: Path, verb: str
) -> None:
    out = tmp_path / "out"
    more = ["--format", "sfz"] if verb == "export" else []
    command = (verb, sample, "--notes", "60", "--root", "60", "--out", out, *more)
    assert run(*command)[0] == 0
    (out / "mine.txt").write_text("mine")
    before = snapshot(out)
    refused(run(*command), r"exists; .*--force")
    assert snapshot(out) == before
    assert run(*command, "--force")[0] == 0
    assert snapshot(out) == before  # the same input and seed give the same files


@pytest.mark.parametrize("verb", ["render", "export"])
def test_an_output_path_that_is_a_file_is_refused(
    run: Callable[..., Answer], sample: Path, verb: str
) -> None:
    more = ["--format", "sfz"] if verb == "export" else []
    answer = run(verb, sample, "--notes", "60", "--out", sample, "--force", *more)
    refused(answer, r"fine\.wav is a file, not a folder; choose another")


@pytest.mark.parametrize("verb", ["render", "export"])
@pytest.mark.parametrize("capacity", [0, 1, 1000, 100_000])
def test_a_full_disk_leaves_nothing_behind(
    run: Callable[..., Answer],
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    capacity: int,
) -> None:
    monkeypatch.setattr(core.export.files, "open", FullDisk(capacity), raising=False)
    before = snapshot(tmp_path)
    more = ["--format", "sfz"] if verb == "export" else []
    answer = run(
        verb, sample, "--notes", "60,62,64", "--root", "60", "--out", tmp_path / "a" / "b", *more
    )
    refused(answer, "No space left on device.*[Ff]ree some space", code=1)
    assert snapshot(tmp_path) == before


def test_an_unknown_format_is_refused_with_the_known_ones(
    run: Callable[..., Answer], sample: Path, tmp_path: Path
) -> None:
    answer = run("export", sample, "--notes", "60", "--format", "exs", "--out", tmp_path / "out")
    refused(answer, "'exs' is unknown; known are .*sfz.*wav")
