"""Frozen dataclasses to plain data and back, read without trusting it.

Plain data is what JSON and TOML hold. A dataclass is a section with its fields as keys; fields are
dataclasses, ``str``, ``int``, ``float``, ``bool``, ``bytes`` (base64), ``Path``, enums (by value),
``Literal``, ``X | None`` and ``tuple[X, ...]``. Nothing is guessed: ``"3"`` is no number and ``True``
no whole one, but a whole number may stand for a ``float``. Numbers are finite, unknown keys and
missing ones without a default are refused. What a value means is checked by its own class.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Iterable
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from cattrs import BaseConverter, Converter

from core.errors import ParameterError

ValueT = TypeVar("ValueT")
_Hook = Callable[[Any, Any], Any]
"""Turns plain data into a value of a kind."""

_SHOWN = 40  # characters of what was found, in messages
_SCALARS: dict[type, tuple[str, tuple[type, ...]]] = {
    str: ("text", (str,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    bool: ("true or false", (bool,)),
    bytes: ("text", (str,)),
    Path: ("text", (str,)),
}
"""What each kind is called, and the plain data that it may be read from."""


def structure(cls: type[ValueT], plain: object, where: str) -> ValueT:
    """Build a dataclass from plain data.

    Args:
        cls: What to build.
        plain: What a file gave.
        where: What to call it in messages.

    Raises:
        ParameterError: Its message names the place, what stands there and what was expected.
    """
    try:
        value: ValueT = _CONVERTER.structure(plain, cls)
    except _Unfit as error:
        raise ParameterError(f"{where}{error.path} {error}.") from None
    return value


def unstructure(value: object) -> Any:
    """Plain data of a dataclass: dictionaries, lists, text, numbers, truths and None."""
    return _CONVERTER.unstructure(value)


def parse_json(text: bytes) -> object:
    """Plain data from JSON in UTF-8.

    Raises:
        ParameterError: It is not JSON, or nested too deeply to be any of ours.
    """
    try:
        return json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise ParameterError("it is no valid JSON") from error


def dump_json(plain: object) -> bytes:
    """Plain data to compact JSON, all ASCII: file names may hold what UTF-8 cannot."""
    return json.dumps(plain, allow_nan=False, separators=(",", ":")).encode()


class _Unfit(Exception):
    """Says what is wrong with the plain data at ``path``, which grows while the error rises."""

    path = ""

    @classmethod
    def of(cls, plain: object, expected: str) -> _Unfit:
        if isinstance(plain, list | dict):
            shown = "a list" if isinstance(plain, list) else "a section"
        else:
            shown = repr(plain)[:_SHOWN]
        return cls(f"is {shown}, expected {expected}")


def _read(hook: _Hook, plain: object, kind: Any, step: str) -> Any:
    """Read what lies one step further on."""
    try:
        return hook(plain, kind)
    except _Unfit as error:
        error.path = step + error.path
        raise


def _read_scalar(plain: object, kind: Any) -> object:
    if issubclass(kind, Enum):
        return kind(_one_of(plain, [member.value for member in kind]))
    expected, may_be = _SCALARS[kind]
    if type(plain) not in may_be:
        raise _Unfit.of(plain, expected)
    if kind is float:
        return _finite(plain)
    if kind is bytes:
        return _from_base64(plain)
    return kind(plain)


def _finite(plain: Any) -> float:
    try:
        number = float(plain)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Unfit.of(plain, "a finite number")
    return number


def _from_base64(plain: Any) -> bytes:
    try:
        return base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        raise _Unfit.of(plain, "base64") from None


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _read_literal(plain: object, kind: Any) -> object:
    return _one_of(plain, get_args(kind))


def _one_of(plain: object, choices: Iterable[object]) -> object:
    for choice in choices:
        if type(plain) is type(choice) and plain == choice:
            return choice
    raise _Unfit.of(plain, f"one of {', '.join(map(str, choices))}")


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple_reader(kind: Any, converter: BaseConverter) -> _Hook:
    item_kind, dots = get_args(kind)
    assert dots is Ellipsis
    hook = converter.get_structure_hook(item_kind)

    def read_tuple(plain: object, _kind: object) -> tuple[Any, ...]:
        if not isinstance(plain, list):
            raise _Unfit.of(plain, "a list")
        return tuple(_read(hook, item, item_kind, f"[{i}]") for i, item in enumerate(plain))

    return read_tuple


def _dataclass_reader(cls: Any, converter: BaseConverter) -> _Hook:
    kinds = get_type_hints(cls)
    fields = dataclasses.fields(cls)
    hooks = {field.name: converter.get_structure_hook(kinds[field.name]) for field in fields}
    required = [
        field.name
        for field in fields
        if field.default is field.default_factory is dataclasses.MISSING
    ]

    def read_dataclass(plain: object, _kind: object) -> object:
        if not isinstance(plain, dict):
            raise _Unfit.of(plain, "a section")
        for name in plain:
            if name not in hooks:
                raise _Unfit(_unknown(name[:_SHOWN], hooks))
        for name in required:
            if name not in plain:
                raise _Unfit(f"lacks the field {name!r}")
        return cls(
            **{
                name: _read(hooks[name], item, kinds[name], f".{name}")
                for name, item in plain.items()
            }
        )

    return read_dataclass


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", the nearest known is {near[0]!r}" if near else ""
    return f"has an unknown field {name!r}{hint}"


def _make_converter() -> Converter:
    # The library's own readers of dataclasses and tuples collect every fault of a file, and a file
    # may come from anyone: ours stop at the first.
    converter = Converter(unstruct_collection_overrides={tuple: list})
    for kind in (*_SCALARS, Enum):
        converter.register_structure_hook(kind, _read_scalar)
    converter.register_structure_hook_func(_is_literal, _read_literal)
    converter.register_structure_hook_factory(_is_tuple, _tuple_reader)
    converter.register_structure_hook_factory(dataclasses.is_dataclass, _dataclass_reader)
    converter.register_unstructure_hook(bytes, lambda data: base64.b64encode(data).decode())
    converter.register_unstructure_hook(StrEnum, lambda member: member.value)
    return converter


_CONVERTER = _make_converter()
