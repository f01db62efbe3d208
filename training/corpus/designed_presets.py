"""Notes of presets that people designed for software synthesizers, played by the plugin host.

Each synthesizer comes as a Debian package with its presets. Effects that spread a sound in time or
space are switched off, and what is no single tone at the pitch of its key is left out: by the
preset's name first, by its sound last (:mod:`training.corpus.note_checks`).
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from training.corpus import note_checks, plugin_host
from training.corpus.note_checks import find_fault, judge_notes, spectral_difference_db
from training.corpus.plugin_host import (
    BEND_UNITS_PER_SEMITONE,
    PluginError,
    PluginNote,
    PluginRequest,
    render_plugin,
)
from training.corpus.source import (
    N_SAMPLES,
    SAMPLE_RATE,
    SILENCE_PEAK,
    CorpusError,
    Note,
    NoteGrid,
    NoteKind,
    RenderedNote,
    find_onset,
    prepare_note,
)
from training.corpus.splits import pseudo_program, split_of

LOWEST_KEY, HIGHEST_KEY = 28, 91
"""Keys that most presets are made for; the grid may narrow them."""
N_KEYS = 8
"""Notes of each preset at the grid's first velocity, spread evenly over the keys."""
N_SOFT_KEYS = 3
"""How many of them sound at the grid's last velocity too, where that changes the spectrum."""
MIN_DIFFERENCE_DB = 1.5
"""Least mean difference of third-octave levels of loud and soft notes, gain aside."""
MAX_LATENCY_SAMPLES = 8192
"""Longest silence cut from the start of a note."""
TIME_LIMIT_S = 120.0
"""Longest time to render a preset; most take a second."""

UNPITCHED = re.compile(
    r"drum|kit\b|percuss|\bperc\b|noise|fx|effect|\bwinds?\b|\brain|thunder|storm|explo|gun\b|shot"
    r"|water|ocean|\bsea\b|surf|bird|cricket|helicop|alarm|siren|laser|zap|snare|hi-?hat|cymbal|crash"
    r"|kick|clap|\btoms?\b|engine|\btrain\b|telephone|bubble|applause|scratch|gong|ambien"
    r"|\barp|sequen|\bseq\b|loop|\becho|delay|rhy?thm|\bchord|\bmaj|\bmin(or)?\b|fifth|\b5ths?"
    r"|fourth|\b4ths?|third|split|random|sample.?(and|&|.?n.?).?hold|s&h|unused|^init",
    re.IGNORECASE,
)
"""Names of presets that are no single pitched tone; the sound decides about the rest."""
UNPITCHED_BANKS = re.compile(r"drum|noise|arpeggio|splitt?ed", re.IGNORECASE)
"""Names of banks without single pitched tones."""

_SPATIAL_EFFECTS = (1, 2, 3, 4, 5)  # ZynAddSubFX: reverb, echo, chorus, phaser, alienwah
_ZYN_HOME = (
    (
        ".zynaddsubfxXML.cfg",
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE ZynAddSubFX-data>\n'
        '<ZynAddSubFX-data version-major="3" version-minor="0"><CONFIGURATION>\n'
        '<par name="interpolation" value="1"/>\n'
        '<BANKROOT id="0"><string name="bank_root">{home}/banks</string></BANKROOT>\n'
        '<PRESETSROOT id="0"><string name="presets_root">{home}/presets</string></PRESETSROOT>\n'
        "</CONFIGURATION></ZynAddSubFX-data>\n",
    ),
    ("banks/bank/.bankdir", ""),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignedPreset:
    """Where one preset lies."""

    synthesizer: str
    """Name in :data:`SYNTHESIZERS`."""
    bank: str
    """Name of the bank that holds the preset."""
    slot: str
    """Name within the bank, unique, e.g. ``0001-Saw Strings 1``."""
    name: str
    """Name for people, e.g. ``Saw Strings 1``."""
    path: Path
    """File that holds the preset."""
    index: int = 0
    """Place of the preset in its file."""

    @property
    def instrument(self) -> str:
        """Identity, e.g. ``zynaddsubfx/Strings/0001-Saw Strings 1``."""
        return f"{self.synthesizer}/{self.bank}/{self.slot}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Synthesizer:
    """A plugin with the presets that are installed for it."""

    plugin: Path
    packages: str
    """Debian packages that install the plugin and its presets."""
    licence: str
    """SPDX identifier of most presets."""
    bank_licences: tuple[tuple[str, str], ...]
    """Banks under another licence."""
    banks: tuple[str, ...]
    """Patterns below ``/usr/share`` of the files that hold presets; earlier ones win."""
    read: Callable[[str, Path], list[tuple[DesignedPreset, str]]]
    """Presets of a file, each with a key that copies of it share."""
    settings: Callable[[DesignedPreset], PluginRequest]
    """Makes a request without notes that lets the plugin sound like a preset."""


def _read_instrument(path: Path) -> str:
    """XML of a ZynAddSubFX instrument, compressed or not."""
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    return data.decode(errors="replace")


def _read_zyn(synthesizer: str, path: Path) -> list[tuple[DesignedPreset, str]]:
    name = re.sub(r"^\d+-", "", path.stem)
    preset = DesignedPreset(
        synthesizer=synthesizer, bank=path.parent.name, slot=path.stem, name=name, path=path
    )
    # Both packages hold most of the banks, saved by different programs under almost equal names.
    return [(preset, re.sub(r"[^a-z0-9]", "", name.lower()))]


def _zyn_settings(preset: DesignedPreset) -> PluginRequest:
    def without_spatial(effect: re.Match[str]) -> str:
        kind = re.search(r'value="(\d+)"', effect[0])
        if kind is None or int(kind[1]) not in _SPATIAL_EFFECTS:
            return effect[0]
        return effect[0].replace(kind[0], 'value="0"')

    instrument = _read_instrument(preset.path)
    instrument = re.sub(r"<EFFECT>\s*<par [^>]*>", without_spatial, instrument)
    return PluginRequest(
        plugin=str(SYNTHESIZERS[preset.synthesizer].plugin),
        notes=(),
        n_samples=0,
        files=(*_ZYN_HOME, ("banks/bank/0001-preset.xiz", instrument)),
        program=(0, 0),
        bend_controller=1000,  # its DSSI output knows no pitch wheel events, but this controller
        seed_symbol="_ZN3zyn10prng_stateE",
    )


@lru_cache(maxsize=4)
def _whysynth_patches(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return re.findall(r"^WhySynth patch format.*?^WhySynth patch end\n", text, re.M | re.S)


def _read_whysynth(synthesizer: str, path: Path) -> list[tuple[DesignedPreset, str]]:
    presets = []
    for index, patch in enumerate(_whysynth_patches(path)):
        named = re.search(r"^name (.*)$", patch, re.M)
        kind = re.search(r"^category (.*)$", patch, re.M)
        if named is None or (kind is not None and kind[1] in ("Effect", "[test]", "[devel]")):
            continue
        name = " ".join(unquote(named[1]).split())
        preset = DesignedPreset(
            synthesizer=synthesizer,
            bank=path.stem,
            slot=f"{index:03d}-{name}",
            name=name,
            path=path,
            index=index,
        )
        presets.append((preset, re.sub(r"^(name|category|comment) .*\n", "", patch, flags=re.M)))
    return presets


def _whysynth_settings(preset: DesignedPreset) -> PluginRequest:
    patch = _whysynth_patches(preset.path)[preset.index]
    patch = re.sub(r"^effects .*$", "effects 0 0 0 0 0 0 0 0", patch, flags=re.M)
    patch = re.sub(r"^bend .*$", "bend 2", patch, flags=re.M)
    return PluginRequest(
        plugin=str(SYNTHESIZERS[preset.synthesizer].plugin),
        notes=(),
        n_samples=0,
        files=(("patches.WhySynth", f"# WhySynth patch\n{patch}"),),
        configure=(("load", "{home}/patches.WhySynth"),),
        program=(0, 0),
    )


@lru_cache(maxsize=4)
def _amsynth_presets(path: Path) -> list[tuple[str, dict[str, float]]]:
    presets = []
    for text in path.read_text(encoding="utf-8", errors="replace").split("<preset>")[1:]:
        named = re.search(r"<name> ?(.*)", text)
        parameters = re.findall(r"<parameter> (\w+) (\S+)", text)
        presets.append(
            (named[1] if named else "", {key: float(value) for key, value in parameters})
        )
    return presets


def _read_amsynth(synthesizer: str, path: Path) -> list[tuple[DesignedPreset, str]]:
    bank = path.name.partition(".")[0]
    return [
        (
            DesignedPreset(
                synthesizer=synthesizer,
                bank=bank,
                slot=f"{index:03d}-{name}",
                name=name,
                path=path,
                index=index,
            ),
            repr(sorted(parameters.items())),
        )
        for index, (name, parameters) in enumerate(_amsynth_presets(path))
        if name
    ]


def _amsynth_settings(preset: DesignedPreset) -> PluginRequest:
    _, parameters = _amsynth_presets(preset.path)[preset.index]
    ports = {**parameters, "reverb_wet": 0.0, "portamento_time": 0.0}
    return PluginRequest(
        plugin=str(SYNTHESIZERS[preset.synthesizer].plugin),
        notes=(),
        n_samples=0,
        ports=tuple(sorted(ports.items())),
    )


SYNTHESIZERS = {
    "zynaddsubfx": Synthesizer(
        plugin=Path("/usr/lib/dssi/libzynaddsubfx_dssi.so"),
        packages="zynaddsubfx-dssi, zynaddsubfx-data and yoshimi-data",
        licence="GPL-2.0-or-later",
        bank_licences=(
            ("Cris Owl Alvarez", "LGPL-2.0-or-later"),
            ("The_Mysterious_Bank", "GPL-3.0-only"),
        ),
        banks=("zynaddsubfx/banks/*/*.xiz", "yoshimi/banks/*/*.xiz"),
        read=_read_zyn,
        settings=_zyn_settings,
    ),
    "whysynth": Synthesizer(
        plugin=Path("/usr/lib/dssi/whysynth.so"),
        packages="whysynth",
        licence="public domain",
        bank_licences=(),
        banks=("whysynth/current*.WhySynth", "whysynth/more*.WhySynth"),
        read=_read_whysynth,
        settings=_whysynth_settings,
    ),
    "amsynth": Synthesizer(
        plugin=Path("/usr/lib/dssi/amsynth_dssi.so"),
        packages="amsynth",
        licence="GPL-2.0-or-later",
        bank_licences=(),
        banks=("amsynth/banks/*.bank",),
        read=_read_amsynth,
        settings=_amsynth_settings,
    ),
}
"""Synthesizers that a config may name."""


def list_presets(synthesizer: str, share: Path = Path("/usr/share")) -> list[DesignedPreset]:
    """Installed presets that may be single pitched tones, each once, by file and place.

    Args:
        synthesizer: Name in :data:`SYNTHESIZERS`.
        share: Folder that packages install their data to.

    Raises:
        CorpusError: The plugin or its presets are not installed.
    """
    facts = SYNTHESIZERS[synthesizer]
    files = [path for pattern in facts.banks for path in sorted(share.glob(pattern))]
    if not files or not facts.plugin.is_file():
        raise CorpusError(
            f"Synthesizer {synthesizer} or its presets are missing; install the Debian packages "
            f"{facts.packages}."
        )
    presets = []
    seen = set()
    for path in files:
        for preset, key in facts.read(synthesizer, path):
            if key in seen:
                continue
            seen.add(key)
            if not UNPITCHED_BANKS.search(preset.bank) and not UNPITCHED.search(preset.name):
                presets.append(preset)
    return presets


def _play(preset: DesignedPreset, notes: list[PluginNote]) -> list[NDArray[np.float32]]:
    """Notes of a preset from their onsets, [N_SAMPLES] each.

    Raises:
        PluginError: The plugin crashed, hung or refused.
    """
    request = replace(
        SYNTHESIZERS[preset.synthesizer].settings(preset),
        notes=tuple(notes),
        n_samples=N_SAMPLES + MAX_LATENCY_SAMPLES,
        sample_rate=SAMPLE_RATE,
    )
    starts = []
    for sound in render_plugin(request, time_limit_s=TIME_LIMIT_S):
        start = min(find_onset(sound), MAX_LATENCY_SAMPLES)
        starts.append(sound[start : start + N_SAMPLES])
    return starts


@dataclass(frozen=True, slots=True)
class Choice:
    """What to keep of a preset."""

    used: tuple[int, ...]
    """Indices of the notes to keep."""
    offset: float
    """Semitones that the preset sounds above its keys."""
    reason: str
    """Why nothing is kept; empty where something is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignedPresetJob:
    """All notes of one preset."""

    preset: DesignedPreset
    grid: NoteGrid

    @property
    def instrument(self) -> str:
        """Identity, e.g. ``zynaddsubfx/Strings/0001-Saw Strings 1``."""
        return self.preset.instrument

    @property
    def program(self) -> int:
        """Pseudo program of the preset."""
        return pseudo_program(self.instrument)

    def draw_notes(self) -> tuple[list[PluginNote], list[PluginNote]]:
        """Loud notes, keys upwards, and the soft ones among their keys; empty without a key."""
        grid = self.grid
        low, high = max(LOWEST_KEY, grid.note_low), min(HIGHEST_KEY, grid.note_high)
        if low > high:
            return [], []
        rng = grid.rng(self.instrument)
        loud = []
        for first, last in pairwise(np.linspace(low, high + 1, N_KEYS + 1)):
            key = min(high, int(rng.uniform(first, last)))
            bend = round(grid.draw_detune(rng) * BEND_UNITS_PER_SEMITONE)
            loud.append(PluginNote(midi_note=key, velocity=grid.velocities[0], bend=bend))
        soft = [
            replace(loud[index], velocity=grid.velocities[-1])
            for index in sorted(rng.choice(N_KEYS, N_SOFT_KEYS, replace=False).tolist())
        ]
        return loud, soft if len(grid.velocities) > 1 else []

    def render(self) -> Iterator[RenderedNote]:
        """Render the notes that pass all checks, keys upwards, the soft ones last."""
        loud, soft = self.draw_notes()
        notes = loud + soft
        if not notes:
            return
        try:
            sounds = _play(self.preset, notes)
        except PluginError as error:
            _log.warning("%s is left out: %s", self.instrument, error)
            return
        choice = choose_notes(loud, soft, sounds)
        if choice.reason:
            _log.info("%s is left out: %s.", self.instrument, choice.reason)
        for index in choice.used:
            midi_pitch = _pitch(notes[index]) + choice.offset
            audio = prepare_note(sounds[index])
            if audio is None or not self.grid.note_low <= round(midi_pitch) <= self.grid.note_high:
                continue
            note = Note(
                instrument=self.instrument,
                source=self.preset.synthesizer,
                name=self.preset.name,
                program=self.program,
                split=split_of(self.program),
                midi_pitch=midi_pitch,
                velocity=notes[index].velocity,
                kind=NoteKind.SYNTHESIZED,
                samples=(),
                stretch=0.0,
            )
            yield RenderedNote(note=note, audio=audio)


def _pitch(note: PluginNote) -> float:
    return note.midi_note + note.bend / BEND_UNITS_PER_SEMITONE


def choose_notes(
    loud: Sequence[PluginNote],
    soft: Sequence[PluginNote],
    sounds: Sequence[NDArray[np.float32]],
) -> Choice:
    """Decide which notes of a preset to keep.

    Args:
        loud: Notes at the first velocity.
        soft: Notes at the last velocity; each has its like among the loud ones.
        sounds: Sounds [N_SAMPLES] from their onset, of the loud and then of the soft notes.
    """
    notes = [*loud, *soft]
    heard = [
        index
        for index, sound in enumerate(sounds)
        if np.abs(sound).max() >= SILENCE_PEAK and find_onset(sound) < MAX_LATENCY_SAMPLES
    ]
    heard_loud = [index for index in heard if index < len(loud)]
    if not heard_loud:
        return Choice((), 0.0, "it is silent")
    verdict = judge_notes([sounds[i] for i in heard_loud], [_pitch(notes[i]) for i in heard_loud])
    used = [index for index, passed in zip(heard_loud, verdict.passed, strict=True) if passed]
    pairs = []
    for index in heard:
        if index < len(loud):
            continue
        like = loud.index(replace(notes[index], velocity=loud[0].velocity))
        if like in used and not find_fault(sounds[index], _pitch(notes[index]) + verdict.offset):
            pairs.append((index, spectral_difference_db(sounds[like], sounds[index])))
    if pairs and np.median([difference for _, difference in pairs]) >= MIN_DIFFERENCE_DB:
        used.extend(index for index, _ in pairs)
    return Choice(tuple(used), verdict.offset, verdict.reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignedPresetSource:
    """The presets of one synthesizer."""

    synthesizer: str
    """Name in :data:`SYNTHESIZERS`."""
    grid: NoteGrid
    max_presets: int | None = None
    """Take at most so many, drawn by chance; None takes all."""

    def __post_init__(self) -> None:
        if self.synthesizer not in SYNTHESIZERS:
            raise ParameterError(
                f"Synthesizer '{self.synthesizer}' is none of {', '.join(SYNTHESIZERS)}."
            )
        if self.max_presets is not None and self.max_presets < 1:
            raise ParameterError(f"max_presets = {self.max_presets} must be at least 1, or None.")

    @property
    def name(self) -> str:
        """The synthesizer's name."""
        return self.synthesizer

    @property
    def licence(self) -> str:
        """Licences of the presets, SPDX; the sounds of a free synthesizer are its player's."""
        facts = SYNTHESIZERS[self.synthesizer]
        return " AND ".join(
            dict.fromkeys([facts.licence, *(licence for _, licence in facts.bank_licences)])
        )

    def sha256(self) -> str:
        """Hash of the plugin, of the files that hold the presets, and of what plays and chooses."""
        files = {preset.path for preset in list_presets(self.synthesizer)}
        modules = (plugin_host.__file__, note_checks.__file__, __file__)
        digest = hashlib.sha256()
        for path in (*map(Path, modules), SYNTHESIZERS[self.synthesizer].plugin, *sorted(files)):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def jobs(self) -> list[DesignedPresetJob]:
        """One job for each preset, by file and place."""
        presets = list_presets(self.synthesizer)
        if self.max_presets is not None and self.max_presets < len(presets):
            rng = self.grid.rng(self.synthesizer)
            chosen = sorted(rng.choice(len(presets), self.max_presets, replace=False).tolist())
            presets = [presets[index] for index in chosen]
        return [DesignedPresetJob(preset=preset, grid=self.grid) for preset in presets]
