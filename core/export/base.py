"""Writing an instrument in one or more formats, all or nothing.

A format is one module in this package with a module-level ``EXPORTER``: put the file there and it
is in ``FORMATS``, in the command line and in its error messages.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import core.export
from core.errors import ParameterError
from core.export.files import check_destination, publish, safe_stem
from core.instrument import Instrument, PadInstrument
from core.progress import Progress, stop_if


@runtime_checkable
class Exporter(Protocol):
    """One file format."""

    @property
    def name(self) -> str:
        """What a person asks for, e.g. ``sfz``."""

    @property
    def summary(self) -> str:
        """What is written, in one line."""

    def entries(self, stem: str) -> tuple[str, ...]:
        """Files and folders that an instrument of this file stem gives, samples first.

        The last entry is what a person opens.
        """

    def write(
        self, instrument: Instrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the entries of an instrument into ``folder``.

        Samples shared with another format may be there already, complete.

        Args:
            instrument: What to write.
            stem: Safe file stem.
            folder: An existing folder; everything goes below it, all references are relative.
            step: To be called after each region; raises when the work is cancelled.

        Raises:
            OSError: The file system refused; the caller cleans up.
        """

    def write_pad(
        self, pad: PadInstrument, stem: str, folder: Path, step: Callable[[], None]
    ) -> None:
        """Write the entries of a pad into ``folder``, as far as the format can morph.

        Like :meth:`write`; ``step`` is to be called after each region of each point.
        """


def find_formats() -> Mapping[str, Exporter]:
    """Every ``EXPORTER`` of this package's modules by name, sorted."""
    found: dict[str, Exporter] = {}
    for module in pkgutil.iter_modules(core.export.__path__):
        if module.name != "base":
            exporter = getattr(
                importlib.import_module(f"core.export.{module.name}"), "EXPORTER", None
            )
            if exporter is not None:
                found[exporter.name] = exporter
    return dict(sorted(found.items()))


FORMATS: Mapping[str, Exporter] = find_formats()
"""Exporters by the name a person asks for."""


def choose_formats(names: Sequence[str]) -> tuple[Exporter, ...]:
    """Exporters for the formats named, each once, in the order given.

    Raises:
        ParameterError: An unknown name, or none.
    """
    known = ", ".join(FORMATS)
    if not names:
        raise ParameterError(f"No format was named; known are {known}.")
    for name in names:
        if name not in FORMATS:
            raise ParameterError(f"Format {name!r} is unknown; known are {known}.")
    return tuple(FORMATS[name] for name in dict.fromkeys(names))


def entries_of(instrument_name: str, formats: Sequence[str]) -> list[str]:
    """Top-level names that an export writes, in the order in which they appear."""
    stem = safe_stem(instrument_name)
    exporters = choose_formats(formats)
    return list(dict.fromkeys(entry for each in exporters for entry in each.entries(stem)))


def openable(instrument_name: str, formats: Sequence[str]) -> list[str]:
    """For each format the file or folder that a person opens."""
    stem = safe_stem(instrument_name)
    return [exporter.entries(stem)[-1] for exporter in choose_formats(formats)]


def check_export(instrument_name: str, formats: Sequence[str], out: Path, *, force: bool) -> None:
    """Say before the notes are rendered what would stop the export after.

    Raises:
        ParameterError: An unknown format.
        ExportError: ``out`` cannot be used or holds files that would be overwritten.
    """
    check_destination(out, entries_of(instrument_name, formats), force=force)


def export_instrument(
    instrument: Instrument | PadInstrument,
    formats: Sequence[str],
    out: Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> list[Path]:
    """Write an instrument or a pad into a folder in the formats named; all of it or nothing.

    Args:
        instrument: What to write.
        formats: Names from ``FORMATS``.
        out: Destination folder; made when missing, other files in it stay as they are.
        force: Replace files that exist.
        progress: Called with (regions written, regions in all), over all formats.
        cancel: Checked after each region.

    Returns:
        All files written, sorted.

    Raises:
        ParameterError: An unknown format.
        ExportError: Something would be overwritten without ``force``, or writing failed.
        RenderCancelled: ``cancel`` was set.
    """
    exporters = choose_formats(formats)
    stem = safe_stem(instrument.name)
    points = instrument.points if isinstance(instrument, PadInstrument) else (instrument,)
    total = len(exporters) * sum(len(point.regions) for point in points)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)
        stop_if(cancel, f"Export of {instrument.name!r} was cancelled; nothing was written.")

    def write(folder: Path) -> None:
        for exporter in exporters:
            if isinstance(instrument, PadInstrument):
                exporter.write_pad(instrument, stem, folder, step)
            else:
                exporter.write(instrument, stem, folder, step)

    return publish(out, entries_of(instrument.name, formats), write, force=force)
