from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.audio.files import write_audio
from tests.app.fake_engine import FakeEngine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Takes the place of the engine, torch and all, wherever the program would import it."""
    fake = FakeEngine()
    module = ModuleType("core.inference.engine")
    module.SynthesisEngine = fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "core.inference.engine", module)
    return fake


@pytest.fixture
def bell(tmp_path: Path) -> Path:
    """A one-shot on disk."""
    time_s = np.arange(22050) / 44100
    sound = 0.5 * np.sin(2 * np.pi * 261.6 * time_s) * np.exp(-5 * time_s)
    folder = tmp_path / "input"
    folder.mkdir(exist_ok=True)
    write_audio(folder / "bell.wav", sound.astype(np.float32)[None], 44100)
    return folder / "bell.wav"


@pytest.fixture
def pluck(bell: Path) -> Path:
    """Another one-shot."""
    copy = bell.with_name("pluck.wav")
    copy.write_bytes(bell.read_bytes())
    return copy
