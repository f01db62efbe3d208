"""``batch``: a folder of sounds becomes a folder of instruments."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app import __version__
from app.batch.items import Item, find_items
from app.batch.manifest import Entry, is_done, read_manifest, write_manifest
from app.batch.queue import ExecutorSource, dask_cluster, local_processes, run_orders
from app.batch.worker import Order, Recipe
from app.cli.arguments import (
    add_engine_arguments,
    add_format_argument,
    add_strength_arguments,
    converter,
    integer,
    parameters_of,
)
from app.cli.console import CliError, cancellable, failing_with, progress, say, tell
from app.cli.plan import add_plan_arguments, plan_of
from core.audio.pitch import parse_notes
from core.errors import CheckpointError
from core.export.files import check_destination
from core.sound import RenderSettings

SUMMARY = "make an instrument of every sound in a folder"
MAX_WORKERS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add = parser.add_argument
    add(
        "folder",
        metavar="FOLDER",
        type=Path,
        help="each sound file in it becomes an instrument, and each sub-folder of notes of one",
    )
    add_format_argument(parser)
    add(
        "--notes",
        required=True,
        metavar="SPEC",
        type=converter(parse_notes),
        help="60 | C4 | 36,48,60 | C2:C6 | C2:C6:3 (every third semitone); C4 = 60",
    )
    add(
        "--out",
        required=True,
        metavar="DIR",
        type=Path,
        help="a folder for each instrument is made in it; what is done there is not done again",
    )
    add("--force", action="store_true", help="replace files that exist")
    add(
        "--workers",
        metavar="N",
        type=integer(1, MAX_WORKERS),
        default=max(1, (os.cpu_count() or 1) // 2),
        help="processes (default: %(default)s)",
    )
    add(
        "--distributed",
        metavar="ADDRESS",
        help="work on the hosts of this Dask scheduler, e.g. tcp://host:8786, in place of --workers",
    )
    add("--json", action="store_true", help="machine-readable report")
    add_strength_arguments(parser)
    add_plan_arguments(parser)
    add_engine_arguments(parser)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """What the report says of an instrument."""

    item: Item
    status: str
    entry: Entry | None = None


def run(args: argparse.Namespace) -> None:
    """Make all instruments that are not there yet; see the module."""
    with failing_with(2):
        recipe = _recipe(args)
        items = find_items(args.folder, args.out)
        check_destination(args.out, [], force=True)
        entries = read_manifest(args.out)
        shared = _shared_digest(recipe)
        source = local_processes(args.workers)
        if args.distributed is not None:
            source = dask_cluster(args.distributed)
    with failing_with(1), cancellable() as cancel:
        lines = _run_batch(args, recipe, items, entries, shared, source, cancel)
    _tell_report(lines, as_json=args.json)
    failed = sum(line.status == "failed" for line in lines)
    if cancel.is_set():
        raise CliError("Cancelled; what is there is whole, and the same command goes on.", 1)
    if failed:
        raise CliError(
            f"{failed} of {len(items)} instruments failed; the same command tries them again.", 1
        )


def _recipe(args: argparse.Namespace) -> Recipe:
    return Recipe(
        formats=args.formats,
        plan=plan_of(args),
        fit_steps=args.fit,
        model=args.model,
        device=args.device,
        settings=parameters_of(args, RenderSettings),
    )


def _shared_digest(recipe: Recipe) -> str:
    """SHA-256 (hex) of all that instruments of a batch have in common.

    Raises:
        CheckpointError: The weights cannot be read.
    """
    from core.inference.model import SHIPPED_MODEL

    model = SHIPPED_MODEL if recipe.model is None else recipe.model
    try:
        with model.open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(
            f"Weights '{model}' cannot be read ({reason}); check --model."
        ) from error
    return hashlib.sha256(f"{__version__} {weights} {recipe}".encode()).hexdigest()


def _run_batch(
    args: argparse.Namespace,
    recipe: Recipe,
    items: Sequence[Item],
    entries: dict[str, Entry],
    shared: str,
    source: ExecutorSource,
    cancel: threading.Event,
) -> list[_Line]:
    """Make what is not done; the manifest is whole after every instrument."""
    out = args.out.resolve()
    stop_file = out / f".stop-{secrets.token_hex(8)}"
    digests = {item.folder: f"{item.digest()}{shared}" for item in items}
    by_folder = {item.folder: item for item in items}
    n_threads = 1 if args.distributed else max(1, (os.cpu_count() or 1) // args.workers)
    todo = [
        item for item in items if not is_done(out, entries.get(item.folder), digests[item.folder])
    ]
    orders = [
        Order(
            name=item.name,
            sources=tuple(path.resolve() for path in item.sources),
            out=out / item.folder,
            recipe=recipe,
            force=args.force or (item.folder in entries and bool(entries[item.folder].files)),
            n_threads=n_threads,
            stop_file=stop_file,
        )
        for item in todo
    ]
    status = {item.folder: "left out" if item in todo else "there already" for item in items}
    write_manifest(out, entries)
    try:
        with progress("Making", "instruments") as report:
            for number_done, outcome in enumerate(run_orders(orders, source, cancel), start=1):
                folder = outcome.order.out.name
                if outcome.is_cancelled:
                    continue
                written = tuple(file.relative_to(out).as_posix() for file in outcome.files)
                before = entries[folder].files if folder in entries else ()
                entries[folder] = Entry(
                    digest=digests[folder],
                    files=written or before,
                    error=outcome.error,
                    seconds=round(outcome.seconds, 2),
                )
                write_manifest(out, entries)
                status[folder] = "made" if outcome.error is None else "failed"
                if outcome.error is not None:
                    say(f"{by_folder[folder].name}: {outcome.error}")
                report(number_done, len(orders))
    finally:
        stop_file.unlink(missing_ok=True)
    return [
        _Line(item=item, status=status[item.folder], entry=entries.get(item.folder))
        for item in items
    ]


def _tell_report(lines: Sequence[_Line], *, as_json: bool) -> None:
    if as_json:
        tell(json.dumps([_facts(line) for line in lines], indent=2))
        return
    width = max(len(line.item.name) for line in lines)
    for line in lines:
        seconds, error = "", ""
        if line.entry is not None and line.status in ("made", "failed"):
            seconds = f"{line.entry.seconds:8.1f} s"
            error = f"  {line.entry.error}" if line.entry.error else ""
        tell(f"{line.item.name:{width}}  {line.status:13}{seconds}{error}".rstrip())


def _facts(line: _Line) -> dict[str, object]:
    entry = line.entry if line.status != "left out" else None
    return {
        "name": line.item.name,
        "status": line.status,
        "sources": [str(path) for path in line.item.sources],
        "files": list(entry.files) if entry is not None else [],
        "error": entry.error if entry is not None else None,
        "seconds": entry.seconds if entry is not None else 0.0,
    }
