"""Notes of SoundFont presets, played in this process by FluidSynth.

Reverb and chorus are off, sample interpolation is of the highest order, and the synthesizer is reset
between notes, so that every note is alone in its window.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_int, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.corpus.source import (
    N_SAMPLES,
    SAMPLE_RATE,
    CorpusError,
    Note,
    NoteGrid,
    NoteKind,
    RenderedNote,
    find_onset,
    hash_file,
    prepare_note,
)
from training.corpus.splits import DRUM_BANK, Split, is_melodic, split_of

GAIN = 0.5
"""FluidSynth's output gain; the samples are floats, so nothing clips."""
INTERPOLATION_ORDER = 7
"""FluidSynth's best interpolation: 7th order sinc."""
BEND_UNITS_PER_SEMITONE = 4096
"""Pitch wheel steps for a semitone at the default range of two."""
BLOCK_SAMPLES = 64
"""FluidSynth renders in blocks of this length; all that is rendered is a multiple of it."""
MAX_LATENCY_SAMPLES = 8192
"""Longest silence cut from the start of a note (block latency, delay generators)."""
COARSE_TUNE, FINE_TUNE, SCALE_TUNING, ROOT_KEY = 51, 52, 56, 58
"""SoundFont 2.04 generators (section 8.1.3): semitones, cents, cents from key to key, root key."""
SEMITONE_CENTS = 100
UNPITCHED_KEY = 60
"""Root of a sample whose header names none (SoundFont 2.04, section 7.10)."""
BREATH_CONTROLLER = 2
"""Controller that sets the loudness of MuseScore's expressive presets."""


@dataclass(frozen=True, slots=True)
class FontFacts:
    """What is known about a published soundfont."""

    package: str
    """Debian package that installs the soundfont."""
    licence: str
    """Licence, an SPDX identifier."""
    tuning_cents: float = 0.0
    """Tuning common to all presets of the soundfont."""
    kind: NoteKind = NoteKind.RECORDED
    """Whether the soundfont plays recordings of instruments, or a synthesizer."""


KNOWN_FONTS = {
    "FluidR3_GM": FontFacts("fluid-soundfont-gm", "MIT"),
    "MuseScore_General_Full": FontFacts("musescore-general-soundfont-lossless", "MIT"),
    "OPL-3_FM_128M": FontFacts("opl3-soundfont", "CC-BY-SA-4.0", -9.1, NoteKind.SYNTHESIZED),
}
"""Soundfonts that the shipped configs name. The tuning is measured: 56 OPL-3 presets at three keys
each have their median at -9 cents and their quartiles within half a cent of it."""
UNKNOWN_FONT = FontFacts("", "unknown")
"""Facts about any other soundfont."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone:
    """Keys and velocities (all inclusive) at which a preset plays one recording."""

    low_key: int = 0
    high_key: int = 127
    low_velocity: int = 0
    high_velocity: int = 127
    sample: str = ""
    """The recording, by its place in the file; stereo pairs have two zones."""
    unshifted_key: float = 60.0
    """Key at which the recording is played at its own pitch, fractional."""
    cents_per_key: int = SEMITONE_CENTS
    """How far apart neighbouring keys sound (generator scaleTuning)."""

    def answers(self, key: int, velocity: int) -> bool:
        """Whether a key struck at a velocity makes the zone sound."""
        return (
            self.low_key <= key <= self.high_key
            and self.low_velocity <= velocity <= self.high_velocity
        )

    def stretch(self, key: int) -> float:
        """Semitones by which a key repitches the recording, to either side."""
        return abs(key - self.unshifted_key) * self.cents_per_key / SEMITONE_CENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """One instrument or drum kit of a soundfont."""

    bank: int
    program: int
    name: str
    zones: tuple[Zone, ...]

    @property
    def plays_its_keys(self) -> bool:
        """Whether most zones sound a semitone apart from key to key.

        Drums and effects often do not: their key is a place on the keyboard, not a pitch.
        """
        tuned = sum(zone.cents_per_key == SEMITONE_CENTS for zone in self.zones)
        return 2 * tuned > len(self.zones)

    def sounding(self, key: int, velocity: int) -> list[Zone]:
        """The zones that answer a key struck at a velocity."""
        return [zone for zone in self.zones if zone.answers(key, velocity)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bag:
    """What one layer of a SoundFont's two says of a zone."""

    keys: tuple[int, int]
    velocities: tuple[int, int]
    generators: dict[int, int]
    played: Any
    """Place of the instrument or sample that the zone plays."""


def _bags(bags: Sequence[Any], target: str) -> list[_Bag]:
    """The zones of one layer; a first bag that plays nothing gives the others their defaults."""
    keys, velocities = (0, 127), (0, 127)
    defaults: dict[int, int] = {}
    found = []
    for index, bag in enumerate(bags):
        own = {generator.oper: generator.short for generator in _generators(bag)}
        zone = _Bag(
            keys=tuple(bag.key_range or keys),
            velocities=tuple(bag.velocity_range or velocities),
            generators=defaults | own,
            played=getattr(bag, target),
        )
        if zone.played is not None:
            found.append(zone)
        elif index == 0:
            keys, velocities, defaults = zone.keys, zone.velocities, own
    return found


def _zone(outer: _Bag, inner: _Bag) -> Zone:
    """One zone of a preset: values of the preset's layer (`outer`) add to the instrument's.

    The scale tuning is taken from the instrument's layer alone.
    """

    def tuned(generator: int) -> int:
        return inner.generators.get(generator, 0) + outer.generators.get(generator, 0)

    header = inner.played
    root = inner.generators.get(ROOT_KEY, -1)
    if not 0 <= root <= 127:
        root = header.original_pitch if header.original_pitch <= 127 else UNPITCHED_KEY
    cents = tuned(FINE_TUNE) + header.pitch_correction
    return Zone(
        low_key=max(outer.keys[0], inner.keys[0]),
        high_key=min(outer.keys[1], inner.keys[1]),
        low_velocity=max(outer.velocities[0], inner.velocities[0]),
        high_velocity=min(outer.velocities[1], inner.velocities[1]),
        sample=f"{header.start}-{header.end}",
        unshifted_key=root - tuned(COARSE_TUNE) - cents / 100.0,
        cents_per_key=inner.generators.get(SCALE_TUNING, SEMITONE_CENTS),
    )


def _generators(bag: Any) -> list[Any]:
    return list(bag.gens.values()) if isinstance(bag.gens, dict) else list(bag.gens)


def list_presets(path: Path) -> list[Preset]:
    """Melodic presets of a soundfont whose keys are pitches, by bank and program.

    Raises:
        CorpusError: The file is missing or no SoundFont.
    """
    return [
        preset
        for preset in _read_presets(path)
        if is_melodic(preset.bank, preset.program) and preset.plays_its_keys
    ]


def list_drum_kits(path: Path) -> list[Preset]:
    """Drum kits of a soundfont, by program.

    Raises:
        CorpusError: The file is missing or no SoundFont.
    """
    return [preset for preset in _read_presets(path) if preset.bank == DRUM_BANK]


def _read_presets(path: Path) -> list[Preset]:
    with warnings.catch_warnings():
        # sf2utils reads RIFF with the standard library's deprecated chunk module.
        warnings.simplefilter("ignore", DeprecationWarning)
        from sf2utils.sf2parse import Sf2File  # training extra

    if not path.is_file():
        package = KNOWN_FONTS.get(path.stem, UNKNOWN_FONT).package
        remedy = (
            f"install the Debian package {package}" if package else "check soundfonts in the config"
        )
        raise CorpusError(f"Soundfont {path} does not exist; {remedy}.")
    presets = []
    try:
        with path.open("rb") as file, _without_remarks_of_sf2utils():
            for entry in Sf2File(file).presets:
                if entry.name == "EOP":
                    continue
                zones = tuple(
                    _zone(outer, inner)
                    for outer in _bags(entry.bags, "instrument")
                    for inner in _bags(outer.played.bags, "sample")
                )
                presets.append(
                    Preset(bank=entry.bank, program=entry.preset, name=entry.name, zones=zones)
                )
    except (ValueError, TypeError, EOFError, OSError, AttributeError, LookupError) as error:
        raise CorpusError(f"{path} is damaged or no SoundFont 2 file ({error}).") from error
    return sorted(presets, key=lambda preset: (preset.bank, preset.program))


@contextmanager
def _without_remarks_of_sf2utils() -> Iterator[None]:
    """Drop what sf2utils says on the root logger: a line for every loop it finds unusual."""

    def is_from_elsewhere(record: logging.LogRecord) -> bool:
        return "sf2utils" not in record.pathname

    root = logging.getLogger()
    root.addFilter(is_from_elsewhere)
    try:
        yield
    finally:
        root.removeFilter(is_from_elsewhere)


class FontPlayer:
    """FluidSynth with one soundfont.

    Args:
        path: The soundfont.

    Raises:
        CorpusError: FluidSynth's library is not installed or refuses the soundfont.
    """

    def __init__(self, path: Path) -> None:
        try:
            import fluidsynth  # training extra
        except ImportError as error:
            raise CorpusError(
                f"FluidSynth cannot be loaded ({error}); install the Debian package libfluidsynth3 "
                "and the Python package pyfluidsynth."
            ) from error
        cfunc = fluidsynth.cfunc
        self._write_float = cfunc(
            "fluid_synth_write_float",
            c_int,
            ("synth", c_void_p, 1),
            ("len", c_int, 1),
            ("lout", c_void_p, 1),
            ("loff", c_int, 1),
            ("lincr", c_int, 1),
            ("rout", c_void_p, 1),
            ("roff", c_int, 1),
            ("rincr", c_int, 1),
        )
        set_interpolation = cfunc(
            "fluid_synth_set_interp_method",
            c_int,
            ("synth", c_void_p, 1),
            ("chan", c_int, 1),
            ("method", c_int, 1),
        )
        options = {
            "synth.reverb.active": 0,
            "synth.chorus.active": 0,
            "synth.lock-memory": 0,
        }
        self._synth = fluidsynth.Synth(gain=GAIN, samplerate=SAMPLE_RATE, channels=16, **options)
        self._font_id = self._synth.sfload(str(path))
        if self._font_id < 0:
            self._synth.delete()
            raise CorpusError(f"FluidSynth cannot load the soundfont {path}; the file is damaged.")
        self._set_interpolation = set_interpolation
        self._all_sounds_off = fluidsynth.fluid_synth_all_sounds_off

    def close(self) -> None:
        """Free the synthesizer and the soundfont's memory."""
        self._synth.delete()

    def play(
        self, bank: int, program: int, midi_note: int, velocity: int, bend: int = 0
    ) -> NDArray[np.float32]:
        """Play one key, held through the window.

        Args:
            bank: Preset's bank.
            program: Preset's program, 0 to 127.
            midi_note: MIDI note, 0 to 127.
            velocity: 1 to 127.
            bend: Pitch wheel, -8192 to 8191 (4096 = one semitone).

        Returns:
            Mono mix, not normalised, silence at the start cut, [N_SAMPLES].
        """
        synth = self._synth
        # A reset alone lets sounding notes run out; silencing them takes one internal block.
        self._all_sounds_off(synth.synth, -1)
        self._write(BLOCK_SAMPLES)
        synth.system_reset()
        self._set_interpolation(synth.synth, -1, INTERPOLATION_ORDER)
        synth.program_select(0, self._font_id, bank, program)
        synth.pitch_bend(0, bend)
        synth.cc(0, BREATH_CONTROLLER, velocity)
        synth.noteon(0, midi_note, velocity)
        stereo = self._write(N_SAMPLES + MAX_LATENCY_SAMPLES)
        mono: NDArray[np.float32] = (stereo[0] + stereo[1]) * np.float32(0.5)
        start = min(find_onset(mono), MAX_LATENCY_SAMPLES)
        return mono[start : start + N_SAMPLES]

    def _write(self, n_samples: int) -> NDArray[np.float32]:
        """Let the synthesizer run; its output [2, n_samples]."""
        stereo = np.zeros((2, n_samples), np.float32)
        left, right = (channel.ctypes.data_as(c_void_p) for channel in stereo)
        self._write_float(self._synth.synth, n_samples, left, 0, 1, right, 0, 1)
        return stereo


class _FontCache:
    """Keeps this process's latest soundfont in memory.

    FluidSynth shares the samples of a loaded file, so further players of it open quickly. Each
    preset gets a fresh player: FluidSynth's voices keep a little filter state from note to note,
    and a preset must not sound different after another one.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._keeper: FontPlayer | None = None

    def fresh_player(self, path: Path) -> FontPlayer:
        """A player that has played nothing yet; to be closed by the caller."""
        if self._path != path:
            if self._keeper is not None:
                self._keeper.close()
            self._path, self._keeper = None, None
            self._keeper = FontPlayer(path)
            self._path = path
        return FontPlayer(path)


_font_cache = _FontCache()


@dataclass(frozen=True, kw_only=True, slots=True)
class PresetJob:
    """All notes of one preset."""

    path: Path
    """The soundfont."""
    preset: Preset
    grid: NoteGrid

    @property
    def instrument(self) -> str:
        """Identity, e.g. ``FluidR3_GM/000-011``."""
        return f"{self.path.stem}/{self.preset.bank:03d}-{self.preset.program:03d}"

    @property
    def program(self) -> int:
        """The preset's General MIDI program."""
        return self.preset.program

    def render(self) -> Iterator[RenderedNote]:
        """Render the preset's notes, keys upwards, velocities in the grid's order."""
        grid, preset = self.grid, self.preset
        rng = grid.rng(self.instrument)
        player = _font_cache.fresh_player(self.path)
        facts = KNOWN_FONTS.get(self.path.stem, UNKNOWN_FONT)
        tuning = facts.tuning_cents / 100.0
        try:
            for key in grid.draw_keys(rng):
                heard: set[tuple[str, ...]] = set()
                for velocity in grid.velocities:
                    bend = round(grid.draw_detune(rng) * BEND_UNITS_PER_SEMITONE)
                    zones = preset.sounding(key, velocity)
                    samples = tuple(sorted({zone.sample for zone in zones}))
                    stretch = max((zone.stretch(key) for zone in zones), default=0.0)
                    # A softer stroke on the same recordings is no other note: gain alone.
                    if not zones or samples in heard or stretch > grid.max_stretch:
                        continue
                    audio = prepare_note(
                        player.play(preset.bank, preset.program, key, velocity, bend)
                    )
                    if audio is None:
                        continue
                    heard.add(samples)
                    note = Note(
                        instrument=self.instrument,
                        source=self.path.stem,
                        name=preset.name,
                        program=preset.program,
                        split=split_of(preset.program),
                        midi_pitch=key + tuning + bend / BEND_UNITS_PER_SEMITONE,
                        velocity=velocity,
                        kind=facts.kind,
                        samples=samples,
                        stretch=round(stretch, 2),
                    )
                    yield RenderedNote(note=note, audio=audio)
        finally:
            player.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundFontSource:
    """The melodic presets of a soundfont."""

    path: Path
    grid: NoteGrid
    presets_per_split: int | None = None
    """Take only the first presets of each split; None takes all."""

    @property
    def name(self) -> str:
        """The file's stem."""
        return self.path.stem

    @property
    def licence(self) -> str:
        """Licence of a known soundfont."""
        return KNOWN_FONTS.get(self.name, UNKNOWN_FONT).licence

    def sha256(self) -> str:
        """Hash of the file."""
        return hash_file(self.path)

    def jobs(self) -> list[PresetJob]:
        """One job for each preset, by bank and program."""
        taken: Counter[Split] = Counter()
        jobs = []
        for preset in list_presets(self.path):
            split = split_of(preset.program)
            taken[split] += 1
            if self.presets_per_split is None or taken[split] <= self.presets_per_split:
                jobs.append(PresetJob(path=self.path, preset=preset, grid=self.grid))
        return jobs
