from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from app.models.session import (
    MAX_AUDIBLE,
    MAX_SOURCES,
    ExportSettings,
    Session,
    Source,
)
from core.errors import ParameterError

REPOSITORY = Path(__file__).resolve().parents[3]


def source(**changes: object) -> Source:
    defaults = {"id": "s1", "name": "bell", "colour": "#e69f00", "audio_hash": "0" * 64}
    return Source(**(defaults | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": ""}, "id"),
        ({"name": " "}, "Name"),
        ({"name": "a\nb"}, "Name"),
        ({"name": "\ud800"}, "Name"),
        ({"colour": "red"}, "'red'"),
        ({"audio_hash": "../../etc/passwd"}, "64 hex digits"),
        ({"start_s": -0.1}, "-0.1 s"),
        ({"start_s": float("nan")}, "nan"),
        ({"start_s": 1.0, "end_s": 1.02}, "0.03 s"),
        ({"end_s": float("inf")}, "trimmed"),
        ({"root": 127.5}, "127.5"),
        ({"fit_steps": -1}, "fitting -1"),
        ({"fit_steps": 201}, "fitting 201"),
        ({"x": 1.01}, "x = 1.01"),
        ({"y": float("nan")}, "y = nan"),
    ],
)
def test_impossible_sources_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        source(**changes)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ExportSettings(formats=("sfz", "sfz")), "twice"),
        (lambda: Session(x=-0.1), "x = -0.1"),
        (lambda: Session(gain_db=13.0), "13.0"),
        (lambda: Session(snapshots=()), "8 snapshot slots"),
        (lambda: Session(sources=(source(), source())), "same id"),
    ],
)
def test_impossible_settings_are_refused(make: object, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        make()


def test_the_pad_mixes_eight_and_the_shelf_holds_more() -> None:
    shelf = tuple(source(id=f"s{i}", muted=i >= MAX_AUDIBLE) for i in range(MAX_SOURCES))
    assert len(Session(sources=shelf).sources) == MAX_SOURCES
    with pytest.raises(ParameterError, match="mute another"):
        Session(sources=(*shelf[:8], dataclasses.replace(shelf[8], muted=False)))
    with pytest.raises(ParameterError, match="too many"):
        Session(sources=(*shelf, source(id="more", muted=True)))


def test_sessions_are_values() -> None:
    assert Session() == Session()
    assert hash(Session(sources=(source(),))) == hash(Session(sources=(source(),)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Session().x = 0.1


def test_equal_recordings_are_those_that_analyse_alike() -> None:
    moved = source(id="s2", name="gong", x=0.1, muted=True, fit_steps=20)
    assert moved.recording == source().recording
    for changes in ({"audio_hash": "1" * 64}, {"start_s": 0.1}, {"end_s": 1.0}, {"root": 60.0}):
        assert source(**changes).recording != source().recording


def test_models_and_settings_start_without_a_window_library_and_torch() -> None:
    modules = [f"app.models.{path.stem}" for path in (REPOSITORY / "app/models").glob("[a-z]*.py")]
    assert "app.models.document" in modules
    code = (
        f"import importlib, sys\nfor name in {[*modules, 'app.settings']!r}:\n"
        "    importlib.import_module(name)\n"
        "sys.exit(any(name in sys.modules for name in ('PySide6', 'pyqtgraph', 'torch')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, check=False, timeout=60, capture_output=True
    )
    assert result.returncode == 0, result.stderr.decode()
