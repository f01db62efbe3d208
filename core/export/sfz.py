"""SFZ 1.0: one text file that maps a folder of WAVs onto keys.

Only opcodes of version 1 are written, notes as numbers and loop ends inclusive, so that every
player reads the same instrument. Tuning, level and fades are in the audio, never in opcodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.export.files import write_file
from core.export.wav import SOFTWARE, write_samples
from core.instrument import Instrument, Region


def sfz_text(instrument: Instrument, sample_paths: list[str]) -> str:
    """The contents of the .sfz file.

    Args:
        instrument: What to describe.
        sample_paths: Path of each region's WAV, relative to the .sfz file.

    Returns:
        Text with a newline at its end; one group per velocity layer.
    """
    notes = {"name": instrument.name, "made by": SOFTWARE, **instrument.provenance}
    lines = [f"// {key}: {' '.join(value.split())}" for key, value in notes.items()]
    for low, high in instrument.velocity_layers:
        lines += ["", f"<group> lovel={low} hivel={high} ampeg_release={instrument.release_s:g}"]
        lines += [
            _region(region, path)
            for region, path in zip(instrument.regions, sample_paths, strict=True)
            if (region.low_velocity, region.high_velocity) == (low, high)
        ]
    return "\n".join(lines) + "\n"


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


@dataclass(frozen=True, slots=True)
class SfzExporter:
    """``NAME.sfz`` beside a folder ``NAME`` of WAVs."""

    name: str = "sfz"
    summary: str = (
        "an SFZ file beside a folder of WAVs (sforzando, sfizz, liquidsfz, Polyphone ...)"
    )

    def entries(self, stem: str) -> tuple[str, ...]:
        """The samples' folder, then the file that names them."""
        return stem, f"{stem}.sfz"

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write samples and text; see :class:`core.export.base.Exporter`."""
        paths = write_samples(instrument, stem, folder, step)
        write_file(folder / f"{stem}.sfz", (sfz_text(instrument, paths).encode("utf-8"),))


EXPORTER = SfzExporter()
