"""SFZ: one text file that maps a folder of WAVs onto keys.

Only opcodes that every player reads are written for an instrument (version 1), notes as numbers and
loop ends inclusive. Tuning, level and the loop's crossfade are in the audio, never in opcodes. A pad
adds crossfades by MIDI controllers, which sfizz and its kin follow while notes sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from core.export.files import one_line, write_file
from core.export.wav import SOFTWARE, write_pad_samples, write_samples
from core.instrument import PAD_CONTROLLERS, Envelope, Instrument, PadInstrument, Region

_MAX_CC = 127


def instrument_text(instrument: Instrument, sample_paths: Sequence[str]) -> str:
    """The contents of an instrument's .sfz file.

    Args:
        instrument: What to describe.
        sample_paths: Path of each region's WAV, relative to the .sfz file.

    Returns:
        Text with a newline at its end; one group for each velocity layer and round robin.
    """
    notes = {"name": instrument.name, "made by": SOFTWARE, **instrument.provenance}
    return _text([*_comments(notes), *_groups(instrument, sample_paths, "")])


def pad_text(pad: PadInstrument, sample_paths: Sequence[Sequence[str]]) -> str:
    """The contents of a pad's .sfz file.

    Every key sounds all points at once. The gain of each falls linearly to nothing at its
    neighbours in the grid, so that the four around the pad's position add up to one.

    Args:
        pad: What to describe.
        sample_paths: For each point the path of each region's WAV, relative to the .sfz file.

    Returns:
        Text with a newline at its end; for each point what an instrument has.
    """
    labels = [
        f"label_cc{controller}=Pad {axis} set_cc{controller}={round(position * _MAX_CC)}"
        for controller, axis, position in zip(PAD_CONTROLLERS, "XY", (pad.x, pad.y), strict=True)
    ]
    voices = f"{len(pad.points)} for each note, of which at most 4 are heard"
    notes = {"name": pad.name, "made by": SOFTWARE, "voices": voices, **pad.provenance}
    lines = [*_comments(notes), "", "<control>", *labels, "", "<global> xf_cccurve=gain"]
    x_controller, y_controller = PAD_CONTROLLERS
    for index, (column, row) in enumerate(pad.places):
        name = f"x{column + 1} y{row + 1}, {pad.points[index].name}"
        fades = _fades(x_controller, column, pad.columns) + _fades(y_controller, row, pad.rows)
        lines += ["", *_comments({"point": name, **pad.own_provenance(index)})]
        lines += _groups(pad.points[index], sample_paths[index], fades)
    return _text(lines)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _comments(notes: Mapping[str, str]) -> list[str]:
    return [f"// {one_line(key)}: {one_line(value)}" for key, value in notes.items()]


def _groups(instrument: Instrument, sample_paths: Sequence[str], fades: str) -> list[str]:
    """A group for each velocity layer and round robin, each with its regions."""
    lines = []
    turns = range(1, instrument.round_robins + 1)
    for (low, high), turn in product(instrument.velocity_layers, turns):
        sequence = f" seq_length={len(turns)} seq_position={turn}" if len(turns) > 1 else ""
        envelope = _envelope(instrument.envelope)
        lines += ["", f"<group> lovel={low} hivel={high}{sequence} {envelope}{fades}"]
        lines += [
            _region(region, path)
            for region, path in zip(instrument.regions, sample_paths, strict=True)
            if (region.low_velocity, region.high_velocity, region.round_robin) == (low, high, turn)
        ]
    return lines


def _envelope(envelope: Envelope) -> str:
    return (
        f"ampeg_attack={envelope.attack_s:g} ampeg_decay={envelope.decay_s:g} "
        f"ampeg_sustain={100 * envelope.sustain:g} ampeg_release={envelope.release_s:g}"
    )


def _region(region: Region, path: str) -> str:
    """One ``<region>`` line; a region without a loop still fades when its key is let go."""
    if region.loop is None:
        loop = "loop_mode=no_loop"
    else:
        loop = (
            "loop_mode=loop_continuous "
            f"loop_start={region.loop.start} loop_end={region.loop.end - 1}"
        )
    return (
        f"<region> sample={path} lokey={region.low_key} hikey={region.high_key} "
        f"pitch_keycenter={region.root_note} {loop}"
    )


def _fades(controller: int, index: int, count: int) -> str:
    """Opcodes that let one of ``count`` places along an axis sound between its neighbours only."""
    before, here, after = (
        round(_MAX_CC * place / max(count - 1, 1)) for place in (index - 1, index, index + 1)
    )
    fades = ""
    if index > 0:
        fades += f" xfin_locc{controller}={before} xfin_hicc{controller}={here}"
    if index < count - 1:
        fades += f" xfout_locc{controller}={here} xfout_hicc{controller}={after}"
    return fades


@dataclass(frozen=True, slots=True)
class SfzExporter:
    """``NAME.sfz`` beside a folder ``NAME`` of WAVs."""

    name: str = "sfz"
    summary: str = (
        "an SFZ file beside a folder of WAVs (sforzando, sfizz, liquidsfz, Polyphone ...); "
        "a pad morphs by MIDI controllers 16 and 17"
    )

    def entries(self, stem: str) -> tuple[str, ...]:
        """The samples' folder, then the file that names them."""
        return stem, f"{stem}.sfz"

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write samples and text; see :class:`core.export.base.Exporter`."""
        paths = write_samples(instrument, stem, folder, step)
        write_file(folder / f"{stem}.sfz", (instrument_text(instrument, paths).encode(),))

    def write_pad(
        self, pad: PadInstrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the samples of all points and one text."""
        paths = write_pad_samples(pad, stem, folder, step)
        write_file(folder / f"{stem}.sfz", (pad_text(pad, paths).encode(),))


EXPORTER = SfzExporter()
