"""Engines that are not ours: samplers that play what was written, checkers that read it.

Each is optional. They are given only files whose structure our own strict readers understood.

Shape legend: T samples.
"""

from __future__ import annotations

import importlib
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import AudioFileError, ParameterError
from core.verify.contents import Place
from core.verify.multisample import schema_faults
from core.verify.sfz import first_parts, in_memory_text

Samples = NDArray[np.float32]
_SFIZZ_BLOCK = 512
_FLUIDSYNTH_BLOCK = 64


class Player(Protocol):
    """An instrument, opened."""

    def keys(self) -> frozenset[int] | None:
        """Keys that answer, where the engine can tell."""

    def play(self, place: Place, key: int, velocity: int, held_s: float) -> Samples:
        """A key held down, from silence, [2, T]."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """A sampler or checker."""

    name: str
    """What people call it by."""
    module: str
    """What is imported to have it."""
    endings: frozenset[str]
    """Endings of the files it takes."""
    remedy: str
    """How to get it, as a clause."""
    open: Callable[[Path, int], Player] | None = None
    """Opens a file at a sample rate in Hz; raises AudioFileError where it refuses."""
    find_faults: Callable[[Path], list[str]] | None = None
    """Judges a file without playing it."""

    def why_missing(self) -> str:
        """Why it cannot be used here, with the remedy; empty where it can."""
        try:
            importlib.import_module(self.module)
        except (ImportError, OSError) as error:
            return f"{self.name} is not installed ({error}): {self.remedy}."
        return ""


class SfizzPlayer:
    """sfizz with an SFZ file, whose samples it holds in memory.

    Args:
        path: The file.
        sample_rate: Hz.

    Raises:
        AudioFileError: sfizz refuses it.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        module = importlib.import_module("pysfizz")
        self._folder = tempfile.TemporaryDirectory(prefix="verify-")
        copy = Path(self._folder.name) / "checked.sfz"
        copy.write_text(in_memory_text(path), "utf-8")
        for part in first_parts(path):
            _link(path.parent / part, copy.with_name(part))
        self._synth = module.Synth(sample_rate, _SFIZZ_BLOCK)
        if not self._synth.load_sfz_file(copy, quiet=_has_stderr()):
            self.close()
            raise AudioFileError(f"sfizz refuses '{path.name}'.")
        self._midi = self._synth._synth

    def keys(self) -> frozenset[int] | None:
        """See :class:`Player`."""
        return frozenset(self._synth.playable_keys)

    def play(self, place: Place, key: int, velocity: int, held_s: float) -> Samples:
        """See :class:`Player`."""
        self._midi.all_sound_off()
        for controller, value in place.controllers:
            self._midi.cc(0, controller, value)
        self._midi.render_block()
        self._midi.note_on(0, key, velocity)
        n_blocks = math.ceil(held_s * self._synth.get_sample_rate() / _SFIZZ_BLOCK)
        blocks = [np.stack(self._midi.render_block()) for _ in range(n_blocks)]
        self._midi.note_off(0, key, 0)
        return np.concatenate(blocks, axis=1).astype(np.float32)

    def close(self) -> None:
        """See :class:`Player`."""
        self._folder.cleanup()


class FluidSynthPlayer:
    """FluidSynth with a SoundFont, without reverb and chorus.

    Args:
        path: The file.
        sample_rate: Hz.

    Raises:
        AudioFileError: FluidSynth refuses it.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        self._module = importlib.import_module("fluidsynth")
        options = {"synth.reverb.active": 0, "synth.chorus.active": 0}
        self._synth = self._module.Synth(gain=0.5, samplerate=float(sample_rate), **options)
        self._rate = sample_rate
        self._font = self._synth.sfload(str(path))
        if self._font < 0:
            self.close()
            raise AudioFileError(f"FluidSynth refuses '{path.name}'.")

    def keys(self) -> frozenset[int] | None:
        """See :class:`Player`."""
        return None

    def play(self, place: Place, key: int, velocity: int, held_s: float) -> Samples:
        """See :class:`Player`."""
        self._module.fluid_synth_all_sounds_off(self._synth.synth, -1)
        self._synth.get_samples(_FLUIDSYNTH_BLOCK)
        self._synth.program_select(0, self._font, 0, place.program)
        self._synth.noteon(0, key, velocity)
        pairs = np.asarray(self._synth.get_samples(round(held_s * self._rate)), np.float32)
        self._synth.noteoff(0, key)
        return pairs.reshape(-1, 2).T / np.float32(32768)

    def close(self) -> None:
        """See :class:`Player`."""
        self._synth.delete()


class TinySoundFontPlayer:
    """TinySoundFont with a SoundFont.

    Args:
        path: The file.
        sample_rate: Hz.

    Raises:
        AudioFileError: TinySoundFont refuses it.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        module = importlib.import_module("tinysoundfont")
        self._synth: Any = module.Synth(samplerate=sample_rate)
        self._rate = sample_rate
        try:
            self._font = self._synth.sfload(str(path))
        except (RuntimeError, ValueError, OSError) as error:
            raise AudioFileError(f"TinySoundFont refuses '{path.name}' ({error}).") from error

    def keys(self) -> frozenset[int] | None:
        """See :class:`Player`."""
        return None

    def play(self, place: Place, key: int, velocity: int, held_s: float) -> Samples:
        """See :class:`Player`."""
        self._synth.sounds_off()
        self._synth.program_select(0, self._font, 0, place.program)
        self._synth.noteon(0, key, velocity)
        sound = np.frombuffer(self._synth.generate(round(held_s * self._rate)), np.float32)
        self._synth.noteoff(0, key)
        return sound.reshape(-1, 2).T.copy()

    def close(self) -> None:
        """See :class:`Player`."""


def _link(source: Path, target: Path) -> None:
    """Let the target stand for the source, by a link where the system allows one."""
    if not source.exists():
        return
    try:
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)


def _has_stderr() -> bool:
    """Whether there is an error stream that can be silenced."""
    try:
        sys.stderr.fileno()
    except (AttributeError, OSError):
        return False
    return True


ENGINES: tuple[Engine, ...] = (
    Engine(
        name="pysfizz",
        module="pysfizz",
        endings=frozenset({".sfz"}),
        remedy="pip install pysfizz",
        open=SfizzPlayer,
    ),
    Engine(
        name="fluidsynth",
        module="fluidsynth",
        endings=frozenset({".sf2"}),
        remedy="pip install pyfluidsynth, and the FluidSynth library (Debian: libfluidsynth3)",
        open=FluidSynthPlayer,
    ),
    Engine(
        name="tinysoundfont",
        module="tinysoundfont",
        endings=frozenset({".sf2"}),
        remedy="pip install tinysoundfont",
        open=TinySoundFontPlayer,
    ),
    Engine(
        name="lxml",
        module="lxml.etree",
        endings=frozenset({".multisample"}),
        remedy="pip install lxml",
        find_faults=schema_faults,
    ),
)
"""In the order in which they are used."""


def choose_engines(names: Sequence[str] | None) -> tuple[Engine, ...]:
    """Engines by name; all for None.

    Raises:
        ParameterError: An unknown name.
    """
    known = {engine.name: engine for engine in ENGINES}
    for name in names or ():
        if name not in known:
            raise ParameterError(f"Engine {name!r} is unknown; known are {', '.join(known)}.")
    return ENGINES if names is None else tuple(known[name] for name in dict.fromkeys(names))
