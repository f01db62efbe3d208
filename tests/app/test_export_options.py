from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.__main__ import main
from core.instrument import Instrument
from core.sound import RenderRequest
from tests.app.fake_engine import FakeEngine


@pytest.fixture
def corners(bell: Path) -> list[Path]:
    """Four one-shots on disk."""
    paths = [bell.with_name(f"{name}.wav") for name in ("north", "east", "south", "west")]
    for path in paths:
        path.write_bytes(bell.read_bytes())
    return paths


def opcodes(sfz: Path, name: str) -> list[str]:
    """Values of an opcode in their order."""
    return re.findall(rf"\b{name}=(\S+)", sfz.read_text())


def test_the_plan_reaches_the_file(engine: FakeEngine, bell: Path, tmp_path: Path) -> None:
    command = (
        f"export {bell} --format sfz --notes 48,60 --out {tmp_path / 'out'} --low-key C2 "
        "--high-key 72 --velocity-layers 2 --round-robins 3 --attack 0.5 --decay 1 --sustain 0.25 "
        "--release 2 --loudness -30"
    )
    assert main(command.split()) == 0
    sfz = tmp_path / "out" / "bell.sfz"
    assert len(opcodes(sfz, "sample")) == 2 * 2 * 3
    assert set(opcodes(sfz, "lokey")) == {"36", "55"}
    assert set(opcodes(sfz, "hikey")) == {"54", "72"}
    assert set(opcodes(sfz, "lovel")) == {"1", "65"}
    assert set(opcodes(sfz, "seq_position")) == {"1", "2", "3"}
    for name, value in (("attack", "0.5"), ("decay", "1"), ("sustain", "25"), ("release", "2")):
        assert set(opcodes(sfz, f"ampeg_{name}")) == {value}
    assert "loudness: -30.0 to -30.0 LUFS" in sfz.read_text()
    assert [request.sound.settings.velocity for request in engine.requests] == [100, 45] * 3
    assert [request.sound.settings.seed for request in engine.requests] == [0, 0, 1, 1, 2, 2]


def test_loops_are_found_unless_unwanted(
    engine: FakeEngine, bell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = engine.render

    def render_long(request: RenderRequest, **options: Any) -> Instrument:
        short = render(request, **options)
        regions = [replace(r, samples=np.tile(r.samples, (1, 15))) for r in short.regions]
        return replace(short, regions=tuple(regions))

    monkeypatch.setattr(engine, "render", render_long)
    command = f"export {bell} --format sfz --notes A4 --force --out {tmp_path / 'out'}"
    sfz = tmp_path / "out" / "bell.sfz"
    assert main(command.split()) == 0
    assert opcodes(sfz, "loop_mode") == ["loop_continuous"]
    assert main([*command.split(), "--no-loop"]) == 0
    assert opcodes(sfz, "loop_mode") == ["no_loop"]


def test_a_pad_has_its_samples_in_the_corners(
    engine: FakeEngine, corners: list[Path], tmp_path: Path
) -> None:
    samples = " ".join(map(str, corners))
    command = f"export {samples} --format sfz --notes 60 --pad 3x3 --out {tmp_path / 'out'}"
    assert main(command.split()) == 0
    mixes = [
        {t.name: w for t, w in zip(r.sound.mix.timbres, r.sound.mix.weights, strict=True)}
        for r in engine.requests
    ]
    assert [mixes[index] for index in (0, 2, 6, 8)] == [
        {"north": 1.0},
        {"east": 1.0},
        {"south": 1.0},
        {"west": 1.0},
    ]
    assert mixes[4] == pytest.approx(dict.fromkeys(("north", "east", "south", "west"), 0.25))
    (sfz,) = (tmp_path / "out").glob("*.sfz")
    assert len(opcodes(sfz, "sample")) == 9
    assert opcodes(sfz, "xfin_hicc16")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--velocity-layers 9", "'9' is no whole number from 1 to 8"),
        ("--velocity-layers 0", "'0' is no whole number from 1 to 8"),
        ("--round-robins 17", "'17' is no whole number from 1 to 16"),
        ("--low-key 61", "Note 60 is not among the keys 61-127"),
        ("--high-key 59", "Note 60 is not among the keys 0-59"),
        ("--low-key H2", "H2"),
        ("--low-key 62 --high-key 61", "no range"),
        ("--attack -1", "'-1' is no number from 0 to 20"),
        ("--decay 21", "'21' is no number from 0 to 20"),
        ("--sustain 2", "'2' is no number from 0 to 1"),
        ("--release 0", "'0' is no number from 0.001 to 20"),
        ("--loudness 3", "'3' is no number from -60 to 0"),
        ("--loudness loud", "'loud' is no number"),
        ("--pad 2x2", "--pad morphs between 2 to 8 samples; got 1"),
        ("--pad 6x2", "2x1 up to 5x5"),
        ("--pad 1x1", "2x1 up to 5x5"),
        ("--pad big", "'big' is no grid"),
    ],
)
def test_wrong_options_end_with_2_and_one_line_before_any_work(
    engine: FakeEngine,
    bell: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: str,
    says: str,
) -> None:
    command = f"export {bell} --format sfz --notes 60 --out {tmp_path / 'out'} {options}"
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert engine.loaded == []
    assert not (tmp_path / "out").exists()


def test_a_pad_takes_no_weights(
    engine: FakeEngine, bell: Path, pluck: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (
        f"export {bell} {pluck} --format sfz --notes 60 --out {tmp_path / 'out'} --pad 2x1 "
        "--weights 1,2"
    )
    assert main(command.split()) == 2
    assert "--weights and --pad exclude each other" in capsys.readouterr().err
