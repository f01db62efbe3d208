"""Opening what was written with engines that are not ours, and judging what they play.

Untrusted input: texts, tables and archives are read by strict readers with limits first, and only
what they understood is handed on to an engine.

Shape legend: C channels, T samples, B bands, F frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.audio.loudness import momentary_loudness_db
from core.audio.pitch import midi_to_hz
from core.errors import AudioFileError
from core.progress import Progress, stop_if
from core.verify.contents import Contents, Sound, Zone, map_faults, unreadable
from core.verify.decentsampler import read_library, read_preset
from core.verify.engines import Engine, Player, choose_engines
from core.verify.folder import ENDINGS, read_folder
from core.verify.measure import clipped_frames, peak_db, seam_ratio, tuning_of, unrolled
from core.verify.multisample import read_multisample
from core.verify.report import (
    STORED,
    FileReport,
    KeyCheck,
    Tolerances,
    VerificationReport,
    judged,
)
from core.verify.sfz import read_sfz
from core.verify.soundfont import read_soundfont
from core.verify.spectra import key_spectrogram

READERS: Mapping[str, Callable[[Path], Contents]] = {
    ".sfz": read_sfz,
    ".sf2": read_soundfont,
    ".multisample": read_multisample,
    ".dspreset": read_preset,
    ".dslibrary": read_library,
}
"""By the ending of the file; anything else must be a folder of sound files."""
NOT_PLAYED: Mapping[str, str] = {
    ".multisample": "No player of multisamples runs without a window: schema, archive and samples "
    "were checked, nothing was played.",
    ".dspreset": "No player of Decent Sampler presets runs without a window: XML, paths (to the "
    "letter) and samples were checked, nothing was played.",
    ".dslibrary": "No player of Decent Sampler libraries runs without a window: archive, XML, "
    "paths (to the letter) and samples were checked, nothing was played.",
}
"""What to know about formats without an engine."""
MAX_PLAYED = 512
"""Most notes that one engine plays of a file; of more, every n-th key is played."""
MAX_HELD_S = 8.0
"""Longest that a key is held."""
VELOCITIES = (20, 48, 64, 80, 100, 127)
"""Played to see whether harder is louder, beside the borders of layers."""

_STORED_REACH = 4  # frames around a wrap, where playback is exact
_PLAYED_REACH = 80  # engines start up to 64 frames late
_LOOPED_S = 1.0  # least that is listened to of a loop after its first wrap


def find_instruments(path: Path) -> list[Path]:
    """The instruments that a path stands for: itself, or those in a folder.

    Raises:
        AudioFileError: It does not exist or is no instrument of a known format.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in READERS and p.is_file())
        if files or any(p.suffix.lower() in ENDINGS for p in path.rglob("*")):
            return files or [path]
        raise AudioFileError(f"Folder '{path}' holds no instrument; name a file or folder of one.")
    if not path.exists():
        raise AudioFileError(f"'{path}' does not exist; check the path.")
    if path.suffix.lower() not in READERS:
        raise AudioFileError(
            f"'{path}' is no instrument that can be verified; name a file that ends in "
            f"{', '.join(READERS)}, or a folder of WAVs or FLACs."
        )
    return [path]


def verify_files(
    paths: Sequence[Path],
    *,
    engines: Sequence[str] | None = None,
    tolerances: Tolerances | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> VerificationReport:
    """Open instruments again, play their keys, and say what is wrong.

    Args:
        paths: Files, or folders that hold some.
        engines: Names of the engines to use; None uses all that are installed.
        tolerances: What is still green.
        progress: Called with notes done and notes in all.
        cancel: Looked at before every note.

    Returns:
        A report on each file, in the order given.

    Raises:
        AudioFileError: A path does not exist or is no instrument.
        ParameterError: An unknown engine.
        RenderCancelled: ``cancel`` was set.
    """
    chosen = choose_engines(engines)
    allowed = Tolerances() if tolerances is None else tolerances
    files = dict.fromkeys(file for path in paths for file in find_instruments(path))
    plans = [_plan(file, chosen) for file in files]
    total = sum(plan.n_notes for plan in plans)
    done = 0

    def step() -> None:
        nonlocal done
        stop_if(cancel, "Verification was cancelled; no sheet was written.")
        done += 1
        if progress is not None:
            progress(done, total)

    reports = tuple(_verify(plan, allowed, step) for plan in plans)
    return VerificationReport(files=reports, tolerances=allowed)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Plan:
    """What is to be done with a file."""

    path: Path
    contents: Contents
    engines: tuple[Engine, ...]
    notes: tuple[str, ...]
    played: tuple[Zone, ...]
    """Whose keys the engines play."""

    @property
    def n_notes(self) -> int:
        """Recordings measured and keys played."""
        n_players = sum(engine.open is not None for engine in self.engines)
        return len(self.contents.zones) + n_players * len(self.played)


def _plan(path: Path, engines: Sequence[Engine]) -> _Plan:
    ending = "" if path.is_dir() else path.suffix.lower()
    try:
        contents = READERS.get(ending, read_folder)(path)
    except AudioFileError as error:
        contents = unreadable(str(error))
    suitable = [(engine, engine.why_missing()) for engine in engines if ending in engine.endings]
    notes = [*contents.notes, *(why for _, why in suitable if why)]
    if ending in NOT_PLAYED:
        notes.append(NOT_PLAYED[ending])
    zones = [zone for zone in contents.zones if zone.round_robin == 1]
    stride = max(1, -(-len(zones) // MAX_PLAYED))
    keys = set(sorted({zone.key for zone in zones})[::stride])
    if stride > 1:
        notes.append(f"Of {len(zones)} notes every {stride}th key was played.")
    return _Plan(
        path=path,
        contents=contents,
        engines=tuple(engine for engine, why in suitable if not why),
        notes=tuple(notes),
        played=tuple(zone for zone in zones if zone.key in keys),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Length:
    """What was found in a recording that could be read."""

    n_frames: int
    sample_rate: int


def _verify(plan: _Plan, tolerances: Tolerances, step: Callable[[], None]) -> FileReport:
    contents = plan.contents
    faults = [*contents.faults, *map_faults(contents)]
    rows: list[KeyCheck] = []
    pictures: dict[int, NDArray[np.uint8]] = {}
    lengths: dict[Zone, _Length] = {}
    for zone in contents.zones:
        step()
        try:
            sound = zone.read()
        except AudioFileError as error:
            faults.append(str(error))
            continue
        lengths[zone] = _Length(n_frames=sound.samples.shape[1], sample_rate=sound.sample_rate)
        rows.append(_stored_row(zone, sound))
        if zone.place == contents.places[0] and rows[-1].is_finite:
            pictures[zone.key] = key_spectrogram(sound.samples, sound.sample_rate)
    opened = [STORED] if lengths else []
    for engine in plan.engines if lengths else ():
        try:
            if engine.find_faults is not None:
                faults += engine.find_faults(plan.path)
            if engine.open is not None:
                player = engine.open(plan.path, next(iter(lengths.values())).sample_rate)
                faults += _listen(engine, player, plan, lengths, tolerances, rows, step)
        except AudioFileError as error:
            faults.append(str(error))
            continue
        opened.append(engine.name)
    ordered = [pictures[key] for key in sorted(pictures)]
    return FileReport(
        path=plan.path,
        rows=judged(rows, tolerances),
        faults=tuple(dict.fromkeys(faults)),
        notes=plan.notes,
        opened_by=tuple(opened),
        strip=np.concatenate(ordered, axis=1) if ordered else None,
    )


def _stored_row(zone: Zone, sound: Sound) -> KeyCheck:
    """A recording as it lies in its file, its loop unrolled, judged at its own pitch."""
    samples, wraps = sound.samples, range(0)
    if zone.loop is not None and _fits(zone.loop, samples.shape[1]):
        samples = unrolled(samples, zone.loop, round(_LOOPED_S * sound.sample_rate))
        wraps = range(zone.loop[1], samples.shape[1], zone.loop[1] - zone.loop[0])
    own_hz = midi_to_hz(zone.root_note - zone.tune_cents / 100.0)
    row = _row(zone, STORED)
    return _measured(row, samples, sound.sample_rate, own_hz, zone, wraps, _STORED_REACH)


def _fits(loop: tuple[int, int], n_frames: int) -> bool:
    return 0 <= loop[0] < loop[1] <= n_frames


def _row(zone: Zone, engine: str) -> KeyCheck:
    """Nothing measured yet."""
    return KeyCheck(
        engine=engine,
        key=zone.key,
        velocity=zone.velocity,
        low_velocity=zone.low_velocity,
        place=zone.place.name,
        round_robin=zone.round_robin,
        sample=zone.sample,
    )


def _measured(
    row: KeyCheck,
    samples: NDArray[np.float32],
    sample_rate: int,
    expected_hz: float,
    zone: Zone,
    wraps: Sequence[int],
    reach: int,
) -> KeyCheck:
    """A row with all that is measured on [C, T]."""
    if not np.isfinite(samples).all():
        return replace(row, is_finite=False, why_no_cents="not finite")
    tuning = tuning_of(samples.mean(axis=0), sample_rate, expected_hz)
    seam = None
    if zone.loop is not None and wraps:
        seam = seam_ratio(samples, zone.loop, wraps, reach)
    return replace(
        row,
        cents=tuning.cents,
        why_no_cents=tuning.why_not,
        level_db=momentary_loudness_db(samples, sample_rate),
        peak_db=peak_db(samples),
        clipped_frames=clipped_frames(samples),
        seam=seam,
    )


def _listen(
    engine: Engine,
    player: Player,
    plan: _Plan,
    lengths: Mapping[Zone, _Length],
    tolerances: Tolerances,
    rows: list[KeyCheck],
    step: Callable[[], None],
) -> list[str]:
    """Let a player play; its rows are added, what is wrong with the whole is returned."""
    rate = next(iter(lengths.values())).sample_rate
    try:
        rows += _played_rows(engine, player, plan.played, lengths, step)
        return [
            *_key_faults(engine, player, plan.contents),
            *_velocity_faults(engine, player, plan.contents, rate, tolerances),
        ]
    finally:
        player.close()


def _played_rows(
    engine: Engine,
    player: Player,
    zones: Sequence[Zone],
    lengths: Mapping[Zone, _Length],
    step: Callable[[], None],
) -> Iterator[KeyCheck]:
    for zone in zones:
        step()
        if zone not in lengths:
            continue
        n_frames, rate = lengths[zone].n_frames, lengths[zone].sample_rate
        wraps = range(0)
        if zone.loop is not None and _fits(zone.loop, n_frames):
            turn = zone.loop[1] - zone.loop[0]
            n_frames = zone.loop[1] + max(turn, round(_LOOPED_S * rate))
            if zone.key == zone.root_note and not zone.tune_cents:
                wraps = range(zone.loop[1], n_frames - _PLAYED_REACH, turn)
        held_s = min(MAX_HELD_S, n_frames / rate)
        sound = player.play(zone.place, zone.key, zone.velocity, held_s)
        expected_hz = midi_to_hz(zone.key)
        row = _row(zone, engine.name)
        yield _measured(row, sound, rate, expected_hz, zone, wraps, _PLAYED_REACH)


def _key_faults(engine: Engine, player: Player, contents: Contents) -> list[str]:
    """Keys that the engine answers and the file does not map, or the other way round."""
    answered = player.keys()
    mapped = {key for zone in contents.zones for key in range(zone.low_key, zone.high_key + 1)}
    if answered is None or answered == mapped:
        return []
    odd = ", ".join(map(str, sorted(answered ^ mapped)[:10]))
    return [f"{engine.name} and the file do not agree about which keys sound: {odd}."]


def _velocity_faults(
    engine: Engine, player: Player, contents: Contents, rate: int, tolerances: Tolerances
) -> list[str]:
    """Velocities of the middle key that are quieter than softer ones."""
    place = contents.places[0]
    keys = sorted({zone.key for zone in contents.zones if zone.place == place})
    key = keys[len(keys) // 2]
    answering = [z for z in contents.zones if z.place == place and z.low_key <= key <= z.high_key]
    borders = {v for z in answering for v in (z.low_velocity, z.high_velocity) if v > 1}
    velocities = [
        velocity
        for velocity in sorted({*VELOCITIES, *borders})
        if any(z.low_velocity <= velocity <= z.high_velocity for z in answering)
    ]
    levels_db = [momentary_loudness_db(player.play(place, key, v, 0.6), rate) for v in velocities]
    return [
        f"{engine.name} plays key {key} {soft_db - hard_db:.1f} dB quieter at velocity {hard} "
        f"than at {soft}."
        for (soft, soft_db), (hard, hard_db) in pairwise(zip(velocities, levels_db, strict=True))
        if hard_db < soft_db - tolerances.velocity_drop_db
    ]
