from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from app import demo
from app.__main__ import main
from tests.app.fake_engine import FakeEngine


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(variable, raising=False)


def test_without_a_verb_the_demo_instrument_and_its_picture_are_written(
    engine: FakeEngine,
    bell: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "SAMPLES_FOLDER", bell.parent)
    for _ in range(2):  # the second run replaces the first
        assert main([]) == 0
        captured = capsys.readouterr()
        assert "no display" in captured.err
        assert captured.out.splitlines() == ["build/demo/bell.sfz", "build/demo/bell.png"]
    assert len(list(Path("build/demo/bell").iterdir())) == 17
    with Image.open("build/demo/bell.png") as picture:
        assert picture.format == "PNG"
        assert len(set(picture.get_flattened_data())) > 20


def test_every_file_becomes_an_instrument(engine: FakeEngine, bell: Path, pluck: Path) -> None:
    assert main([str(bell), str(pluck)]) == 0
    names = {path.name for path in Path("build/demo").iterdir()}
    assert names == {"bell", "bell.sfz", "bell.png", "pluck", "pluck.sfz", "pluck.png"}


def test_the_demo_sample_is_bundled() -> None:
    assert (demo.SAMPLES_FOLDER / f"{demo.DEMO_SAMPLE}.wav").is_file()
