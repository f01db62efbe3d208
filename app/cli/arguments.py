"""Arguments that verbs share, and converters whose mistakes read like sentences."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from core.audio.pitch import parse_note, parse_notes
from core.errors import ParameterError
from core.export.base import FORMATS, choose_formats
from core.instrument import HIGHEST_KEY
from core.parameters import label_of, parameters
from core.sound import MAX_FIT_STEPS, RenderSettings

DEVICES = ("auto", "cpu", "cuda", "mps")

T = TypeVar("T")


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """``--device`` and ``--model``."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: %(default)s")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="weights to use in place of the bundled ones"
    )


def add_render_arguments(parser: argparse.ArgumentParser) -> None:
    """Samples, notes, destination and all that shapes the sound."""
    add = parser.add_argument
    add(
        "--notes",
        required=True,
        metavar="SPEC",
        type=converter(parse_notes),
        help="60 | C4 | 36,48,60 | C2:C6 | C2:C6:3 (every third semitone); C4 = 60",
    )
    add("--out", required=True, metavar="DIR", type=Path, help="folder to write into")
    add("--force", action="store_true", help="replace files that exist")
    add_sound_arguments(parser)


def add_sound_arguments(parser: argparse.ArgumentParser) -> None:
    """Samples and all that shapes the sound."""
    add = parser.add_argument
    add(
        "samples",
        nargs="+",
        metavar="SAMPLE",
        type=Path,
        help="one-shot; several are morphed, or pooled",
    )
    add("--pool", action="store_true", help="the SAMPLEs are notes of one instrument")
    add("--weights", metavar="W,...", type=_weights, help="share of each SAMPLE, e.g. 0.7,0.3")
    add(
        "--root",
        metavar="NOTE,...",
        type=_roots,
        action="extend",
        help="root note of each SAMPLE: C4, 60, 60.2 or auto; one for all or one each",
    )
    add_strength_arguments(parser)
    add_engine_arguments(parser)


def add_strength_arguments(parser: argparse.ArgumentParser) -> None:
    """How a note is played and how near it stays to the recording."""
    add_parameters(parser, RenderSettings)
    parser.add_argument(
        "--fit",
        metavar="STEPS",
        type=integer(0, MAX_FIT_STEPS),
        default=0,
        help="fit the model to each SAMPLE first, e.g. 5, which takes seconds (default: off)",
    )


def add_parameters(parser: argparse.ArgumentParser, cls: type[Any]) -> None:
    """An option for every parameter of a dataclass, named like its field.

    Args:
        parser: Gets the options.
        cls: A dataclass whose fields declare ranges and help (:mod:`core.parameters`).
    """
    hints = get_type_hints(cls)
    defaults = {each.name: each.default for each in fields(cls)}
    for name, declared in parameters(cls).items():
        least, most = declared.least, declared.most
        is_whole = hints[name] is int
        is_key = is_whole and (least, most) == (0, HIGHEST_KEY)
        convert: Callable[[str], float] = number(least, most)
        metavar = declared.unit.upper() if declared.unit in ("s", "LUFS") else ""
        if is_key:
            convert, metavar = converter(parse_note), "NOTE"
        elif is_whole:
            convert = integer(int(least), int(most))
        told = "" if defaults[name] is None else " (default: %(default)s)"
        parser.add_argument(
            _option_of(name),
            dest=name,
            metavar=metavar or _range_text(least, most),
            type=convert,
            default=defaults[name],
            help=f"{declared.about}{told}",
        )


def parameters_of(args: argparse.Namespace, cls: type[T]) -> T:
    """A dataclass made of the parsed options that bear the names of its fields."""
    names = [each.name for each in fields(cls)]  # type: ignore[arg-type]
    return cls(**{name: getattr(args, name) for name in names if hasattr(args, name)})


def _option_of(name: str) -> str:
    return f"--{label_of(name).lower().replace(' ', '-')}"


def _range_text(least: float, most: float) -> str:
    return f"{least:g}-{most:g}" if most < 2**31 else "N"


def converter(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show a ParameterError's own sentence in place of 'invalid value'."""

    def convert(text: str) -> T:
        try:
            return parse(text)
        except ParameterError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def add_format_argument(parser: argparse.ArgumentParser) -> None:
    """``--format``."""
    parser.add_argument(
        "--format",
        required=True,
        metavar="FORMATS",
        dest="formats",
        type=_formats,
        help="comma separated: "
        + "; ".join(f"{name} = {x.summary}" for name, x in FORMATS.items()),
    )


@converter
def _formats(text: str) -> tuple[str, ...]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    return tuple(exporter.name for exporter in choose_formats(names))


def number(low: float, high: float) -> Callable[[str], float]:
    """A converter to a number within bounds, inclusive."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {low:g} to {high:g}")
        return value

    return convert


def integer(low: int, high: int) -> Callable[[str], int]:
    """A converter to a whole number within bounds, inclusive."""

    def convert(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return convert


def _weights(text: str) -> tuple[float, ...]:
    weights = tuple(number(0.0, 1e6)(part.strip()) for part in text.split(","))
    if sum(weights) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} has no weight above 0")
    return weights


@converter
def _roots(text: str) -> list[float | None]:
    return [_root(part.strip()) for part in text.split(",")]


def _root(text: str) -> float | None:
    if text.lower() == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        return float(parse_note(text))
    if not 0.0 <= value <= 127.0:
        raise ParameterError(f"root note {text!r} is outside 0-127; give a MIDI note")
    return value
