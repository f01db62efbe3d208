"""Arguments that verbs share, and converters whose mistakes read like sentences."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from core.audio.pitch import parse_note, parse_notes
from core.errors import ParameterError
from core.export.base import FORMATS, choose_formats
from core.inference.request import MAX_FIT_STEPS, MAX_ORIGINAL_RANGE, ORIGINAL_RANGE

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
    add("--notes", required=True, metavar="SPEC", type=converter(parse_notes),
        help="60 | C4 | 36,48,60 | C2:C6 | C2:C6:3 (every third semitone); C4 = 60")  # fmt: skip
    add("--out", required=True, metavar="DIR", type=Path, help="folder to write into")
    add("--force", action="store_true", help="replace files that exist")
    add_sound_arguments(parser)


def add_sound_arguments(parser: argparse.ArgumentParser) -> None:
    """Samples and all that shapes the sound."""
    add = parser.add_argument
    add("samples", nargs="+", metavar="SAMPLE", type=Path,
        help="one-shot; several are morphed, or pooled")  # fmt: skip
    add("--pool", action="store_true", help="the SAMPLEs are notes of one instrument")
    add("--weights", metavar="W,...", type=_weights, help="share of each SAMPLE, e.g. 0.7,0.3")
    add("--root", metavar="NOTE,...", type=_roots, action="extend",
        help="root note of each SAMPLE: C4, 60, 60.2 or auto; one for all or one each")  # fmt: skip
    add_strength_arguments(parser)
    add_engine_arguments(parser)


def add_strength_arguments(parser: argparse.ArgumentParser) -> None:
    """How a note is played and how near it stays to the recording."""
    add = parser.add_argument
    add("--velocity", metavar="1-127", type=integer(1, 127), default=100,
        help="how hard the notes are played (default: %(default)s)")  # fmt: skip
    add("--seed", metavar="N", type=integer(0, 2**31 - 1), default=0,
        help="the same seed gives the same sound (default: %(default)s)")  # fmt: skip
    add("--variation", metavar="0-2", type=number(0.0, 2.0), default=0.0,
        help="how far from the mean sound the seed may lead (default: %(default)s)")  # fmt: skip
    add("--refinement", metavar="0-2", type=number(0.0, 2.0), default=1.0,
        help="strength of the hypernetwork (default: %(default)s)")  # fmt: skip
    add("--carry-over", metavar="0-1", type=number(0.0, 1.0), default=1.0,
        help="how much of the recording's own body is kept (default: %(default)s)")  # fmt: skip
    add("--original-range", metavar="0-24", type=number(0.0, MAX_ORIGINAL_RANGE),
        default=ORIGINAL_RANGE, help="semitones around the root that are the recording itself, "
        "shifted; 0 is the model alone (default: %(default)g)")  # fmt: skip
    add("--fit", metavar="STEPS", type=integer(0, MAX_FIT_STEPS), default=0,
        help="fit the model to each SAMPLE first, e.g. 5, which takes seconds (default: off)")  # fmt: skip


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
        "--format", required=True, metavar="FORMATS", dest="formats", type=_formats,
        help="comma separated: " + "; ".join(f"{name} = {x.summary}" for name, x in FORMATS.items()),
    )  # fmt: skip


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
