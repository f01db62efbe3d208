"""What the sound files of a folder say: chunks of WAVs, comments of FLACs, or their names.

Chunk layouts: *RIFF MCI* (1994); ends of loops are inclusive.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import soundfile

from core.errors import AudioFileError
from core.verify.contents import Contents, Place, Zone, range_faults
from core.verify.riff import chunks, form, mapped
from core.verify.sources import SampleFolder

ENDINGS = (".wav", ".flac")
"""Endings of the files that are looked at."""

_NUMBER = re.compile(r"(?:^|_)(\d{1,3})(?:$|_)")
_COMMENT = re.compile(
    r"root note: (\d+); keys: (\d+)-(\d+); velocities: (\d+)-(\d+); "
    r"loop: (?:none|frames (\d+) to (\d+))"
)
_TURN = re.compile(r"_r(\d\d)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mapping:
    """What a file says of itself."""

    root: int
    keys: tuple[int, int]
    velocities: tuple[int, int] = (1, 127)
    loop: tuple[int, int] | None = None


def read_folder(folder: Path) -> Contents:
    """The key map of all WAVs and FLACs below a folder.

    Each sub-folder is a point of its own, and so are the WAVs and the FLACs of one folder.
    """
    samples = SampleFolder(folder)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
    kinds = {(path.parent, path.suffix.lower()) for path in paths}
    zones: list[Zone] = []
    faults: list[str] = []
    notes: list[str] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        place = Place(name=f"{path.parent.name} {path.suffix}") if len(kinds) > 1 else Place()
        try:
            zone = _zone(path, name, place, samples)
        except AudioFileError as error:
            faults.append(str(error))
            continue
        if zone is None:
            notes.append(f"'{name}' tells no root note in its chunks or name; it is not judged.")
            continue
        wrong = range_faults(zone)
        faults += wrong
        if not wrong:
            zones.append(zone)
    if not zones and not faults:
        faults.append(f"'{folder.name}' holds no WAV or FLAC with a root note.")
    return Contents(zones=tuple(zones), faults=tuple(faults), notes=tuple(notes))


def _zone(path: Path, name: str, place: Place, samples: SampleFolder) -> Zone | None:
    """What a file says of itself; None where it does not tell its root note."""
    mapping = _flac_mapping(path) if path.suffix.lower() == ".flac" else _wav_mapping(path)
    if mapping is None:
        numbers = _NUMBER.findall(path.stem)
        if not numbers:
            return None
        root = int(numbers[0])
        mapping = _Mapping(root=root, keys=(root, root))
    turn = _TURN.search(path.stem)
    return Zone(
        sample=name,
        root_note=mapping.root,
        low_key=mapping.keys[0],
        high_key=mapping.keys[1],
        low_velocity=mapping.velocities[0],
        high_velocity=mapping.velocities[1],
        round_robin=int(turn[1]) if turn else 1,
        loop=mapping.loop,
        place=place,
        read=partial(samples.read, name),
    )


def _wav_mapping(path: Path) -> _Mapping | None:
    """From ``smpl`` and ``inst``; None where there is no ``smpl``."""
    with mapped(path) as data:
        _, first, size = form(data, b"WAVE", path.name)
        found = {name: (at, n) for name, at, n in chunks(data, first, size, path.name)}
        at, n_bytes = found.get(b"smpl", (0, 0))
        if n_bytes < 36:
            return None
        root, _, _, _, n_loops = struct.unpack_from("<5I", data, at + 12)
        loop = None
        if n_loops and n_bytes >= 60:
            start, last = struct.unpack_from("<2I", data, at + 44)
            loop = (start, last + 1)
        at, n_bytes = found.get(b"inst", (0, 0))
        if n_bytes < 7:
            return _Mapping(root=root, keys=(root, root), loop=loop)
        low, high, softest, loudest = struct.unpack_from("<4B", data, at + 3)
    return _Mapping(root=root, keys=(low, high), velocities=(softest, loudest), loop=loop)


def _flac_mapping(path: Path) -> _Mapping | None:
    """From the comment that this program writes; None where there is no such comment."""
    try:
        with soundfile.SoundFile(path) as file:
            comment = _COMMENT.search(file.comment)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioFileError(f"'{path.name}' is damaged or no sound file ({error}).") from error
    if comment is None:
        return None
    root, low, high, softest, loudest = map(int, comment.groups()[:5])
    loop = (int(comment[6]), int(comment[7]) + 1) if comment[6] else None
    return _Mapping(root=root, keys=(low, high), velocities=(softest, loudest), loop=loop)
