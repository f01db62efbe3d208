"""What a SoundFont 2 says: its presets' zones and the samples they play.

Layout: *SoundFont Technical Specification* 2.04 (E-mu Systems, 2006). Left and right samples become
one recording of two channels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import AudioFileError
from core.verify.contents import Contents, Place, Sound, Zone, range_faults
from core.verify.riff import Chunk, chunks, form, mapped

KEY_RANGE, VELOCITY_RANGE = 43, 44
INSTRUMENT, COARSE_TUNE, FINE_TUNE, SAMPLE, SAMPLE_MODES, ROOT_KEY = 41, 51, 52, 53, 54, 58
RIGHT, LEFT = 2, 4
_RECORDS = {
    b"phdr": "<20s3H3I",
    b"pbag": "<2H",
    b"pgen": "<2H",
    b"inst": "<20sH",
    b"ibag": "<2H",
    b"igen": "<2H",
    b"shdr": "<20s5IBbHH",
}

Tables = dict[bytes, list[tuple[Any, ...]]]
Settings = dict[int, int]


@dataclass(frozen=True, slots=True)
class _Head:
    """A sample's header; frames count from the start of the sample chunk."""

    name: str
    start: int
    end: int
    loop_start: int
    loop_end: int
    sample_rate: int
    root_note: int
    tune_cents: int
    partner: int
    kind: int


def read_soundfont(path: Path) -> Contents:
    """The key map of a SoundFont.

    Raises:
        AudioFileError: It is cut off, damaged or something else.
    """
    with mapped(path) as data:
        _, first, size = form(data, b"sfbk", path.name)
        parts: dict[bytes, Chunk] = {}
        for kind, at, length in chunks(data, first, size, path.name):
            if kind == b"LIST":
                parts.update({c[0]: c for c in chunks(data, at + 4, length - 4, path.name)})
        missing = [name.decode() for name in (b"smpl", *_RECORDS) if name not in parts]
        if missing:
            raise AudioFileError(f"'{path.name}' is damaged: it has no chunk {missing[0]}.")
        tables: Tables = {}
        for name, layout in _RECORDS.items():
            _, at, length = parts[name]
            whole = length - length % struct.calcsize(layout)
            tables[name] = list(struct.iter_unpack(layout, data[at : at + whole]))
    _, first_byte, n_bytes = parts[b"smpl"]
    heads = [_Head(_text(row[0]), *row[1:]) for row in tables[b"shdr"][:-1]]
    try:
        zones = list(_zones(tables, heads, path, first_byte))
    except (IndexError, KeyError) as error:
        raise AudioFileError(f"'{path.name}' is damaged: a table points past its end.") from error
    faults = [fault for zone in zones for fault in range_faults(zone)]
    faults += [
        f"Sample '{head.name}' lies outside the sound data."
        for head in heads
        if not 0 <= head.start < head.end <= n_bytes // 2
    ]
    faults += [
        f"Sample '{head.name}' has a rate of {head.sample_rate} Hz."
        for head in heads
        if not 400 <= head.sample_rate <= 192_000
    ]
    if not zones and not faults:
        faults.append(f"'{path.name}' has no preset with a sample.")
    return Contents(zones=() if faults else tuple(zones), faults=tuple(faults))


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("ascii", "replace")


def _bags(
    tables: Tables, heads: bytes, bags: bytes, generators: bytes, index: int, column: int
) -> Iterator[Settings]:
    """Settings of each zone of a preset or instrument, those of its global zone included."""
    target = INSTRUMENT if bags == b"pbag" else SAMPLE
    first, last = (tables[heads][i][column] for i in (index, index + 1))
    common: Settings = {}
    for bag in range(first, last):
        start, end = (tables[bags][i][0] for i in (bag, bag + 1))
        own: Settings = dict(tables[generators][start:end])
        if target in own:
            yield {**common, **own}
        elif bag == first:
            common = own


def _zones(tables: Tables, heads: Sequence[_Head], path: Path, first_byte: int) -> Iterator[Zone]:
    n_presets = len(tables[b"phdr"]) - 1
    for index in range(n_presets):
        name, program = tables[b"phdr"][index][:2]
        place = Place()
        if n_presets > 1:
            place = Place(name=f"program {program} ({_text(name)})", program=program)
        for preset in _bags(tables, b"phdr", b"pbag", b"pgen", index, 3):
            for settings in _bags(tables, b"inst", b"ibag", b"igen", preset[INSTRUMENT], 1):
                head = heads[settings[SAMPLE]]
                if head.kind != RIGHT:  # it is read with its left partner
                    channels = [head, heads[head.partner]] if head.kind == LEFT else [head]
                    yield _zone(settings, preset, channels, place, path, first_byte)


def _zone(
    settings: Settings,
    preset: Settings,
    channels: Sequence[_Head],
    place: Place,
    path: Path,
    first_byte: int,
) -> Zone:
    def overlap(number: int) -> tuple[int, int]:
        ranges = [bag.get(number, 127 << 8) for bag in (settings, preset)]
        return max(r & 0xFF for r in ranges), min(r >> 8 for r in ranges)

    def tuning(number: int) -> int:
        return sum(_signed(bag.get(number, 0)) for bag in (settings, preset))

    head = channels[0]
    (low_key, high_key), (low, high) = overlap(KEY_RANGE), overlap(VELOCITY_RANGE)
    is_looped = settings.get(SAMPLE_MODES, 0) & 1
    return Zone(
        sample=head.name,
        root_note=settings.get(ROOT_KEY, head.root_note),
        low_key=low_key,
        high_key=high_key,
        low_velocity=low,
        high_velocity=high,
        tune_cents=head.tune_cents + tuning(FINE_TUNE) + 100.0 * tuning(COARSE_TUNE),
        loop=(head.loop_start - head.start, head.loop_end - head.start) if is_looped else None,
        place=place,
        read=partial(_read, path, first_byte, channels),
    )


def _signed(amount: int) -> int:
    return amount - 65_536 if amount >= 32_768 else amount


def _read(path: Path, first_byte: int, heads: Sequence[_Head]) -> Sound:
    with mapped(path) as data:
        channels = [
            np.frombuffer(data[first_byte + 2 * h.start : first_byte + 2 * h.end], "<i2")
            for h in heads
        ]
    length = min(len(channel) for channel in channels)
    samples = np.stack([c[:length] for c in channels]).astype(np.float32) / np.float32(32_768)
    return Sound(samples=samples, sample_rate=heads[0].sample_rate)
