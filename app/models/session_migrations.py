"""Session files of older versions, brought to the present one step by step.

Migrations see data that nobody has checked yet: what they do not recognise they hand on as it is,
for the reader of the present version to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Plain = dict[str, Any]
"""An object of JSON, unchecked."""


def _to_version_2(plain: Plain) -> Plain:
    """Part two objects of 0.1.0: ``sound``, and the flat ``export``."""
    session = plain.get("session")
    if not isinstance(session, dict):
        return plain
    parted = _part_sound(session)
    snapshots = parted.get("snapshots")
    if isinstance(snapshots, list):
        parted["snapshots"] = [
            _part_sound(each) if isinstance(each, dict) else each for each in snapshots
        ]
    export = parted.get("export")
    if isinstance(export, dict):
        parted["export"] = _part_export(export)
    return {**plain, "session": parted}


def _part_sound(holder: Plain) -> Plain:
    """``sound`` becomes ``settings`` and ``one_instrument``, which need no default in snapshots."""
    sound = holder.get("sound")
    if not isinstance(sound, dict):
        return dict(holder)
    settings = {name: value for name, value in sound.items() if name != "one_instrument"}
    rest = {name: value for name, value in holder.items() if name != "sound"}
    return {**rest, "settings": settings, "one_instrument": sound.get("one_instrument", False)}


def _part_export(export: Plain) -> Plain:
    """One flat object becomes a span of notes, options of the instrument and a grid."""
    span = {"low_note": "low", "high_note": "high", "step": "step"}
    options = ("length_s", "loop", "velocity_layers", "round_robins")
    grid = {"pad_columns": "columns", "pad_rows": "rows"}
    parted = {
        name: value
        for name, value in export.items()
        if name not in span and name not in options and name not in grid
    }
    parted["span"] = {now: export[name] for name, now in span.items() if name in export}
    parted["options"] = {name: export[name] for name in options if name in export}
    sides = {now: export.get(name, 1) for name, now in grid.items()}
    parted["grid"] = None if set(map(str, sides.values())) == {"1"} else sides
    return parted


MIGRATIONS: Mapping[int, Callable[[Plain], Plain]] = {1: _to_version_2}
"""From each older version, by its number, to the next one."""
