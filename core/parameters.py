"""Numbers that people set: each declared once, in the metadata of its dataclass field.

The check on construction, an option of the command line, a slider of the window and the reader of a
session all read what stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from core.errors import ParameterError

_KEY = "parameter"


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """The range of a number and what it means."""

    least: float
    """Lowest value allowed."""
    most: float
    """Highest value allowed."""
    unit: str = ""
    """Unit of the value, e.g. ``semitones``; empty for a bare number."""
    about: str = ""
    """One line for people, as the command line shows it."""


def parameter(
    least: float, most: float, unit: str = "", *, about: str = ""
) -> Mapping[str, Parameter]:
    """Metadata of a dataclass field that holds a number within a range.

    Args:
        least: Lowest value allowed.
        most: Highest value allowed.
        unit: Unit of the value.
        about: One line for people.
    """
    return {_KEY: Parameter(least=least, most=most, unit=unit, about=about)}


def parameters(cls: type[Any]) -> dict[str, Parameter]:
    """Parameters of a dataclass by the names of their fields, in the order declared."""
    return {each.name: each.metadata[_KEY] for each in fields(cls) if _KEY in each.metadata}


def check_parameters(holder: Any) -> None:
    """Refuse numbers outside their ranges, NaN included; None stands for "not set" and passes.

    Args:
        holder: An instance of a dataclass with parameters.

    Raises:
        ParameterError: Names the first number that is outside, its value and its range.
    """
    for name, declared in parameters(type(holder)).items():
        value = getattr(holder, name)
        if value is None or declared.least <= value <= declared.most:
            continue
        unit = f" {declared.unit}" if declared.unit else ""
        raise ParameterError(
            f"{label_of(name)} {value}{unit} is outside "
            f"{number_text(declared.least)}-{number_text(declared.most)}{unit}."
        )


def label_of(name: str) -> str:
    """Words for a field: ``attack_s`` is "Attack", ``carry_over`` is "Carry over"."""
    stem = name
    for suffix in ("_s", "_lufs", "_db"):
        stem = stem.removesuffix(suffix)
    return stem.replace("_", " ").capitalize()


def number_text(value: float) -> str:
    """A bound as people write it: whole numbers in full, others without needless zeros."""
    return str(value) if isinstance(value, int) else f"{value:g}"
