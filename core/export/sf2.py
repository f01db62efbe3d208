"""SoundFont 2: one file with one preset, or one preset for each point of a pad.

Layout after the *SoundFont Technical Specification* 2.04 (E-mu Systems, 2006), declared as 2.01
because the audio is of 16 bits, dithered. Tuning, level and fades are in the audio, never in
generators. SoundFonts know no round robin, so the first alternative of every key is written.

Positions count frames from the start of the ``smpl`` chunk, ends exclusive. Shape legend: C
channels, T samples.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.audio.pitch import file_note_name
from core.errors import ExportError
from core.export.files import one_line, point_stem, safe_stem, write_file
from core.export.wav import SOFTWARE, chunk, pad_provenance_text, provenance_text
from core.instrument import Envelope, Instrument, PadInstrument, Region

MAX_SAMPLE_RATE = 50_000
"""Hz."""
MAX_NAME_LENGTH = 19
"""Characters of a preset's, instrument's or sample's name; a zero byte follows."""
MAX_GENERATORS = 65_535
"""Settings of zones are counted with 16 bits."""
MAX_BYTES = 2**32 - 2**24
"""RIFF counts bytes with 32 bits; the rest is more than enough for the tables."""
MIN_FRAMES = 48
"""Shortest sample allowed."""
GUARD_FRAMES = 46
"""Zeros after each sample, read by interpolators."""
LOOP_MARGIN = 8
"""Frames that a sample must have before and after its loop points, looped or not."""

# Generators, by their numbers in the specification.
PAN, ATTACK, DECAY, SUSTAIN, RELEASE, INSTRUMENT = 17, 34, 36, 37, 38, 41
KEY_RANGE, VELOCITY_RANGE, SAMPLE, SAMPLE_MODES = 43, 44, 53, 54
LOOPED = 1
HARD_LEFT, HARD_RIGHT = -500, 500
MONO, RIGHT, LEFT = 1, 2, 4  # sample types

INSTANT = -12_000
"""Timecents that stand for no time at all."""
LONGEST = 8_000
"""Timecents, 102 s."""
SILENCE_CENTIBELS = 1_000
"""Attenuation that an envelope's whole decay runs through."""

DITHER_SEED = 16
_FULL_SCALE = 2**15 - 1

VELOCITY_OPENS_NO_FILTER = tuple(
    # source (velocity, falling), filter cutoff, amount, source of the amount, linear
    struct.pack("<HHhHH", 0x0102, 8, 0, amount_source, 0)
    for amount_source in (0x0000, 0x0D02)  # as in 2.04 and as in 2.01
)
"""Modulators that replace a standard one, which makes soft notes duller in some players."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """What a program number selects."""

    name: str
    """ASCII, at most 19 characters."""
    point: str
    """End of its samples' names that tells the points of a pad apart."""
    instrument: Instrument


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One channel of one region."""

    name: str
    """ASCII, at most 19 characters, unique in the file."""
    region: Region
    channel: int

    @property
    def frames(self) -> int:
        """Length in the file, without the guard."""
        return max(MIN_FRAMES, int(self.region.samples.shape[1]))

    @property
    def kind(self) -> int:
        """Sample type."""
        if self.region.samples.shape[0] == 1:
            return MONO
        return (LEFT, RIGHT)[self.channel]


def sf2_parts(
    presets: Sequence[Preset], name: str, comment: str, step: Callable[[], None]
) -> Iterator[bytes]:
    """The contents of the file, piece by piece.

    Args:
        presets: By program number, at most 128, of one sample rate.
        name: Name of the bank.
        comment: Where it comes from.
        step: Called after each region of each preset, also after those left out.

    Yields:
        Bytes that follow each other.

    Raises:
        ExportError: More samples, more zones or a higher rate than a SoundFont can hold.
    """
    samples = [_samples(preset) for preset in presets]
    n_bytes = 2 * sum(sample.frames + GUARD_FRAMES for each in samples for sample in each)
    _check_fits(presets, samples, n_bytes, name)
    info = _list(b"INFO", _info(name, comment))
    tables = _list(b"pdta", _tables(presets, samples))
    sound_head = b"LIST" + struct.pack("<I", 12 + n_bytes) + b"sdta"
    sound_head += b"smpl" + struct.pack("<I", n_bytes)
    body_bytes = 4 + len(info) + len(sound_head) + n_bytes + len(tables)
    yield b"RIFF" + struct.pack("<I", body_bytes) + b"sfbk" + info + sound_head
    dither = np.random.default_rng(DITHER_SEED)
    for preset in presets:
        for region in preset.instrument.regions:
            if region.round_robin == 1:
                yield _pcm16(region, dither)
            step()
    yield tables


def _samples(preset: Preset) -> list[Sample]:
    """In the order in which they lie in the file: the channels of a region side by side."""
    layered = len(preset.instrument.velocity_layers) > 1
    return [
        Sample(
            name=file_note_name(region.root_note)
            + (f"_v{region.high_velocity:03d}" if layered else "")
            + preset.point
            + ("LR"[channel] if len(region.samples) == 2 else ""),
            region=region,
            channel=channel,
        )
        for region in preset.instrument.regions
        if region.round_robin == 1
        for channel in range(len(region.samples))
    ]


def _check_fits(
    presets: Sequence[Preset], samples: Sequence[Sequence[Sample]], n_bytes: int, name: str
) -> None:
    sample_rate = presets[0].instrument.sample_rate
    if sample_rate > MAX_SAMPLE_RATE:
        raise ExportError(
            f"A SoundFont holds at most {MAX_SAMPLE_RATE} Hz and {name!r} has {sample_rate} Hz; "
            "render at 44100 or 48000 Hz or choose another format."
        )
    if n_bytes > MAX_BYTES:
        raise ExportError(
            f"The samples of {name!r} take {n_bytes / 1e9:.1f} GB and a SoundFont holds 4.2; "
            "export fewer notes, layers or points or choose another format."
        )
    # there are fewer samples and fewer zones than generators
    n_generators = sum(
        len(_envelope(preset.instrument.envelope)) + sum(len(_zone(s, 0)) for s in of_preset)
        for preset, of_preset in zip(presets, samples, strict=True)
    )
    if n_generators > MAX_GENERATORS:
        raise ExportError(
            f"A SoundFont counts at most {MAX_GENERATORS} settings of zones and {name!r} needs "
            f"{n_generators}; export fewer notes, layers or points or choose another format."
        )


def _pcm16(region: Region, dither: np.random.Generator) -> bytes:
    """All channels one after the other, each with its guard, triangular dither of ±1 step."""
    n_channels, n_frames = region.samples.shape
    noise = dither.random((2, n_channels, n_frames), np.float32)
    steps = np.rint(region.samples * np.float32(_FULL_SCALE) + noise[0] - noise[1])
    n_padded = max(MIN_FRAMES, n_frames) + GUARD_FRAMES
    values: NDArray[np.int16] = np.zeros((n_channels, n_padded), "<i2")
    values[:, :n_frames] = np.clip(steps, -_FULL_SCALE, _FULL_SCALE)
    return values.tobytes()


def _list(kind: bytes, chunks: bytes) -> bytes:
    return chunk(b"LIST", kind + chunks)


def _info(name: str, comment: str) -> bytes:
    def text(identifier: bytes, value: str, longest: int) -> bytes:
        encoded = one_line(value).encode("ascii", "replace")
        zeros = b"\0" if len(encoded[: longest - 2]) % 2 else b"\0\0"
        return chunk(identifier, encoded[: longest - 2] + zeros)

    return b"".join(
        (
            chunk(b"ifil", struct.pack("<HH", 2, 1)),
            text(b"isng", "EMU8000", 256),
            text(b"INAM", name, 256),
            text(b"ICMT", comment, 65_536),
            text(b"ISFT", SOFTWARE, 256),
        )
    )


def _tables(presets: Sequence[Preset], samples: Sequence[Sequence[Sample]]) -> bytes:
    """The nine chunks that map keys to samples, each with its closing record."""
    preset_heads: list[bytes] = []
    instruments: list[bytes] = []
    sample_heads: list[bytes] = []
    zones: list[tuple[int, int]] = []  # first generator and first modulator of each
    generators: list[bytes] = []
    modulators: list[bytes] = []
    start = 0
    for program, (preset, of_preset) in enumerate(zip(presets, samples, strict=True)):
        name = preset.name.encode("ascii")
        preset_heads.append(struct.pack("<20s3H3I", name, program, 0, program, 0, 0, 0))
        instruments.append(struct.pack("<20sH", name, len(zones)))
        zones.append((len(generators), len(modulators)))
        generators += _envelope(preset.instrument.envelope)
        modulators += VELOCITY_OPENS_NO_FILTER
        for sample in of_preset:
            zones.append((len(generators), len(modulators)))
            index = len(sample_heads)
            generators += _zone(sample, index)
            sample_heads.append(_sample_head(sample, index, start, preset.instrument.sample_rate))
            start += sample.frames + GUARD_FRAMES
    zones.append((len(generators), len(modulators)))
    end = b"\0" * 4
    tables = {
        b"phdr": (*preset_heads, struct.pack("<20s3H3I", b"EOP", 0, 0, len(presets), 0, 0, 0)),
        b"pbag": [struct.pack("<HH", program, 0) for program in range(len(presets) + 1)],
        b"pmod": [b"\0" * 10],
        b"pgen": (*(_generator(INSTRUMENT, program) for program in range(len(presets))), end),
        b"inst": (*instruments, struct.pack("<20sH", b"EOI", len(zones) - 1)),
        b"ibag": [struct.pack("<HH", *zone) for zone in zones],
        b"imod": (*modulators, b"\0" * 10),
        b"igen": (*generators, end),
        b"shdr": (*sample_heads, struct.pack("<20s5IBbHH", b"EOS", *[0] * 9)),
    }
    return b"".join(chunk(name, b"".join(records)) for name, records in tables.items())


def _generator(number: int, amount: int) -> bytes:
    return struct.pack("<HH", number, amount & 0xFFFF)


def _range(number: int, low: int, high: int) -> bytes:
    return struct.pack("<HBB", number, low, high)


def _envelope(envelope: Envelope) -> list[bytes]:
    """Generators of a global zone: they hold for all zones of the instrument."""
    sustain_centibels = SILENCE_CENTIBELS
    if envelope.sustain > 0.0:
        sustain_centibels = min(SILENCE_CENTIBELS, round(-200 * math.log10(envelope.sustain)))
    # the format's decay runs at a constant rate that would reach silence after the time given
    share = max(1, sustain_centibels) / SILENCE_CENTIBELS
    return [
        _generator(ATTACK, timecents(envelope.attack_s)),
        _generator(DECAY, timecents(envelope.decay_s / share)),
        _generator(SUSTAIN, sustain_centibels),
        _generator(RELEASE, timecents(envelope.release_s)),
    ]


def timecents(seconds: float) -> int:
    """Duration as SoundFonts write it, kept within -12000 (none) and 8000 (102 s)."""
    if seconds <= 0.0:
        return INSTANT
    return min(LONGEST, max(INSTANT, round(1200 * math.log2(seconds))))


def _zone(sample: Sample, index: int) -> list[bytes]:
    """Generators in the order prescribed: key range first, velocity range second, sample last."""
    region = sample.region
    generators = [
        _range(KEY_RANGE, region.low_key, region.high_key),
        _range(VELOCITY_RANGE, region.low_velocity, region.high_velocity),
    ]
    if sample.kind != MONO:
        generators.append(_generator(PAN, HARD_LEFT if sample.kind == LEFT else HARD_RIGHT))
    if region.loop is not None:
        generators.append(_generator(SAMPLE_MODES, LOOPED))
    return [*generators, _generator(SAMPLE, index)]


def _sample_head(sample: Sample, index: int, start: int, sample_rate: int) -> bytes:
    end = start + sample.frames
    loop = (start + LOOP_MARGIN, end - LOOP_MARGIN)  # not played, but every reader accepts it
    if sample.region.loop is not None:
        loop = (start + sample.region.loop.start, start + sample.region.loop.end)
    partner = {MONO: 0, LEFT: index + 1, RIGHT: index - 1}[sample.kind]
    return struct.pack(
        "<20s5IBbHH",
        sample.name.encode("ascii"),
        start,
        end,
        *loop,
        sample_rate,
        sample.region.root_note,
        0,  # cents
        partner,
        sample.kind,
    )


@dataclass(frozen=True, slots=True)
class Sf2Exporter:
    """One ``NAME.sf2`` that holds its samples."""

    name: str = "sf2"
    summary: str = (
        "a 16-bit SoundFont 2 (FluidSynth, Polyphone, hardware ...); "
        "no round robin, a pad gives one program per point"
    )

    def entries(self, stem: str) -> tuple[str, ...]:
        """The soundfont."""
        return (f"{stem}.sf2",)

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the soundfont; see :class:`core.export.base.Exporter`.

        Raises:
            ExportError: The instrument does not fit into a SoundFont.
        """
        preset = Preset(name=_short(stem, ""), point="", instrument=instrument)
        parts = sf2_parts([preset], instrument.name, provenance_text(instrument.provenance), step)
        write_file(folder / f"{stem}.sf2", parts)

    def write_pad(
        self, pad: PadInstrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write a preset for each point: program 0 bottom left, then row by row to the right.

        Raises:
            ExportError: The pad does not fit into a SoundFont.
        """
        presets = []
        for (column, row), instrument in zip(pad.places, pad.points, strict=True):
            point = point_stem("", column, row)
            presets.append(Preset(name=_short(stem, point), point=point, instrument=instrument))
        parts = sf2_parts(presets, pad.name, pad_provenance_text(pad), step)
        write_file(folder / f"{stem}.sf2", parts)


def _short(stem: str, point: str) -> str:
    """A preset's name: as much of the stem as fits before the point."""
    return safe_stem(stem[: MAX_NAME_LENGTH - len(point)]) + point


EXPORTER = Sf2Exporter()
