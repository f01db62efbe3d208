"""Instruments for the exporters' tests, made of exact sines whose loops hold whole periods."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from core.instrument import Envelope, Instrument, Loop, PadInstrument, Region, tile_zones

SAMPLE_RATE = 44100

HOSTILE_NAMES = (
    "C#4 Bell",
    "Track #3",
    'He said "hi"',
    "it's",
    "Flügelhörner",
    "*star",
    "-rf",
    "../../etc/passwd",
    "a/b\\c:d",
    "CON",
    "nul.wav",
    "com7",
    "LPT1 .x",
    "COM¹",
    "con." + 27 * "a" + ".b",
    "🎹🎺",
    "🎹 piano",
    "x" * 200,
    "dots...",
    " spaces   inside ",
    "\n\t",
    "a=b $c",
    "%s{}",
    "日本語",
    "<region>",
    "]]>--",
    "\x00\x1b[0m",
    "\udcff",
    "// x",
    "/* x",
    "#include",
)
"""What people and file systems call sounds."""


def sine_region(
    note: int,
    low: int,
    high: int,
    *,
    low_velocity: int = 1,
    high_velocity: int = 127,
    round_robin: int = 1,
    partial: int = 1,
    peak: float = 0.5,
    looped: bool = True,
    channels: int = 1,
) -> Region:
    """Half a second of one partial; the loop is as many periods as come nearest to whole frames."""
    frequency = 440.0 * 2.0 ** ((note - 69) / 12)
    time_s = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    samples = peak * np.sin(2 * np.pi * partial * frequency * time_s)
    period = SAMPLE_RATE / frequency
    counts = np.arange(1, int(15000 / period) + 1)
    periods = counts[np.argmin(np.abs(counts * period - np.round(counts * period)))]
    loop = Loop(start=2000, end=2000 + int(max(round(periods * period), 32)))
    return Region(
        root_note=note,
        low_key=low,
        high_key=high,
        low_velocity=low_velocity,
        high_velocity=high_velocity,
        round_robin=round_robin,
        samples=np.tile(samples.astype(np.float32), (channels, 1)),
        loop=loop if looped else None,
    )


def sine_instrument(
    name: str = "Sine",
    notes: Iterable[int] = (48, 60, 72),
    *,
    partial: int = 1,
    looped: bool = True,
    channels: int = 1,
    envelope: Envelope | None = None,
) -> Instrument:
    roots = list(notes)
    regions = tuple(
        sine_region(root, low, high, partial=partial, looped=looped, channels=channels)
        for root, (low, high) in zip(roots, tile_zones(roots), strict=True)
    )
    return Instrument(
        name=name,
        sample_rate=SAMPLE_RATE,
        regions=regions,
        envelope=envelope or Envelope(),
        provenance={"model": "toy", "seed": "7"},
    )


def layered_instrument(
    name: str = "Layers",
    notes: Iterable[int] = (48, 60, 72),
    *,
    layers: int = 2,
    round_robins: int = 2,
) -> Instrument:
    """Partial 1, 2 … tells which layer (from the softest) and turn of the round robin sounds.

    Partials count turns first: layer 1 turn 1, layer 1 turn 2, layer 2 turn 1 …
    """
    roots = list(notes)
    bounds = [round(127 * layer / layers) for layer in range(layers + 1)]
    regions = tuple(
        sine_region(
            root,
            low,
            high,
            low_velocity=bounds[layer] + 1,
            high_velocity=bounds[layer + 1],
            round_robin=turn + 1,
            partial=1 + layer * round_robins + turn,
        )
        for layer in range(layers)
        for turn in range(round_robins)
        for root, (low, high) in zip(roots, tile_zones(roots), strict=True)
    )
    return Instrument(
        name=name, sample_rate=SAMPLE_RATE, regions=regions, provenance={"model": "toy"}
    )


def pad_instrument(
    name: str = "Pad",
    columns: int = 2,
    rows: int = 2,
    notes: Iterable[int] = (48,),
    *,
    x: float = 0.5,
    y: float = 0.5,
) -> PadInstrument:
    """Point by point, from the bottom left, partial 1, 2, 3 … of the note."""
    roots = list(notes)
    points = []
    for index in range(columns * rows):
        made = sine_instrument(f"{name} {index}", roots, partial=index + 1)
        provenance = {**made.provenance, "weights": f"point {index}"}
        points.append(
            Instrument(
                name=made.name,
                sample_rate=made.sample_rate,
                regions=made.regions,
                provenance=provenance,
            )
        )
    return PadInstrument(name=name, columns=columns, rows=rows, points=tuple(points), x=x, y=y)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: contents of files, None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }
