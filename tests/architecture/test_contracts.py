from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.blocking import blocking

REPOSITORY = Path(__file__).resolve().parents[2]


def modules_in(folder: str) -> list[str]:
    return sorted(
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for path in (REPOSITORY / folder).rglob("*.py")
    )


CORE = modules_in("core")
WINDOW_LIBRARIES = ("PySide6", "pyqtgraph", "sounddevice", "rtmidi", "mido")


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def importing(modules: list[str], blocked: tuple[str, ...]) -> str:
    """Code that imports the modules where the blocked libraries do not exist."""
    return (
        f"{blocking(*blocked)}\n"
        f"import importlib\nfor module in {modules!r}: importlib.import_module(module)"
    )


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [program, "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout


def test_core_needs_no_window_sound_device_or_midi_port() -> None:
    assert "core.instrument" in CORE
    result = run_python(importing(CORE, WINDOW_LIBRARIES))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "package",
    ["core.audio", "core.export", "core.instrument", "core.sampler.sampler", "core.verify.check"],
)
def test_audio_instrument_and_exporters_need_no_torch(package: str) -> None:
    modules = [name for name in CORE if name.startswith(package)]
    result = run_python(importing(modules, (*WINDOW_LIBRARIES, "torch")))
    assert result.returncode == 0, result.stderr


def test_behind_the_glass_there_is_no_widget() -> None:
    modules = [*modules_in("app/live"), *modules_in("app/background")]
    assert "app.live.preview" in modules
    result = run_python(importing(modules, ("PySide6.QtWidgets", "pyqtgraph")))
    assert result.returncode == 0, result.stderr


def test_the_command_line_starts_without_torch() -> None:
    result = run_python("import sys, app.__main__; sys.exit('torch' in sys.modules)")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("blocked", ["numpy", "numpy.linalg"])
def test_blocking_a_library_is_noticed(blocked: str) -> None:
    assert run_python(importing(["numpy"], (blocked,))).returncode == 1
