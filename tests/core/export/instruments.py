"""Instruments for the exporters' tests, made of exact sines whose loops hold whole periods."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from core.instrument import Instrument, Loop, Region, tile_zones

SAMPLE_RATE = 44100


def sine_region(
    note: int, low: int, high: int, *, looped: bool = True, channels: int = 1
) -> Region:
    """Half a second of the note; the loop is as many periods as come nearest to whole frames."""
    frequency = 440.0 * 2.0 ** ((note - 69) / 12)
    time_s = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    samples = 0.5 * np.sin(2 * np.pi * frequency * time_s)
    period = SAMPLE_RATE / frequency
    counts = np.arange(1, int(15000 / period) + 1)
    periods = counts[np.argmin(np.abs(counts * period - np.round(counts * period)))]
    loop = Loop(start=2000, end=2000 + int(max(round(periods * period), 32)))
    return Region(
        root_note=note,
        low_key=low,
        high_key=high,
        samples=np.tile(samples.astype(np.float32), (channels, 1)),
        loop=loop if looped else None,
    )


def sine_instrument(
    name: str = "Sine",
    notes: Iterable[int] = (48, 60, 72),
    *,
    looped: bool = True,
    channels: int = 1,
) -> Instrument:
    roots = list(notes)
    regions = tuple(
        sine_region(root, low, high, looped=looped, channels=channels)
        for root, (low, high) in zip(roots, tile_zones(roots), strict=True)
    )
    return Instrument(
        name=name,
        sample_rate=SAMPLE_RATE,
        regions=regions,
        provenance={"model": "toy", "seed": "7"},
    )


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: contents of files, None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }
