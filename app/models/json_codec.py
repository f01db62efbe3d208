"""Frozen dataclasses to JSON and back, read without trusting it.

Understands dataclasses, ``str``, ``int``, ``float``, ``bool``, ``bytes`` (base64), ``tuple[X, ...]``,
``Literal`` and ``X | None``. Numbers are finite; unknown fields, missing ones without a default and
wrong types are refused; what a value means is checked by its own class.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from core.errors import ParameterError

ValueT = TypeVar("ValueT")
Decoder = Callable[[object, str], Any]
"""Turns plain JSON data, and the place it stands at, into a value."""


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


def encode(value: object) -> object:
    """A value as plain data that JSON can hold."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def decode(cls: type[ValueT], plain: object, where: str) -> ValueT:
    """A dataclass from plain data.

    Args:
        cls: What to build.
        plain: What JSON gave.
        where: What to call it in messages.

    Raises:
        ParameterError: Its message names the place and the fault.
    """
    value: ValueT = _decoder(cls)(plain, where)
    return value


def _decoder(kind: Any) -> Decoder:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return _literal_decoder(arguments)
    if origin is tuple:
        return _tuple_decoder(_decoder(arguments[0]))
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return _optional_decoder(_decoder(inner))
    if dataclasses.is_dataclass(kind):
        return _dataclass_decoder(kind)
    scalars: dict[Any, Decoder] = {
        str: _decode_str,
        int: _decode_int,
        float: _decode_float,
        bool: _decode_bool,
        bytes: _decode_bytes,
    }
    return scalars[kind]


def _dataclass_decoder(cls: Any) -> Decoder:
    hints = typing.get_type_hints(cls)
    decoders = {field.name: _decoder(hints[field.name]) for field in dataclasses.fields(cls)}
    required = {
        field.name
        for field in dataclasses.fields(cls)
        if field.default is field.default_factory is dataclasses.MISSING
    }

    def decode_dataclass(plain: object, where: str) -> Any:
        if not isinstance(plain, dict):
            raise _mismatch(where, plain, "an object")
        for name in plain:
            if name not in decoders:
                raise ParameterError(f"{where} has an unknown field {name[:40]!r}")
        missing = sorted(required - plain.keys())
        if missing:
            raise ParameterError(f"{where} lacks the field {missing[0]!r}")
        return cls(
            **{name: decoders[name](item, f"{where}.{name}") for name, item in plain.items()}
        )

    return decode_dataclass


def _tuple_decoder(decode_item: Decoder) -> Decoder:
    def decode_tuple(plain: object, where: str) -> tuple[Any, ...]:
        if not isinstance(plain, list):
            raise _mismatch(where, plain, "a list")
        return tuple(decode_item(item, f"{where}[{index}]") for index, item in enumerate(plain))

    return decode_tuple


def _optional_decoder(decode_value: Decoder) -> Decoder:
    def decode_optional(plain: object, where: str) -> Any:
        return None if plain is None else decode_value(plain, where)

    return decode_optional


def _literal_decoder(choices: tuple[object, ...]) -> Decoder:
    def decode_literal(plain: object, where: str) -> object:
        for choice in choices:
            if type(plain) is type(choice) and plain == choice:
                return choice
        raise _mismatch(where, plain, f"one of {', '.join(map(str, choices))}")

    return decode_literal


def _decode_str(plain: object, where: str) -> str:
    if not isinstance(plain, str):
        raise _mismatch(where, plain, "text")
    return plain


def _decode_bool(plain: object, where: str) -> bool:
    if not isinstance(plain, bool):
        raise _mismatch(where, plain, "true or false")
    return plain


def _decode_int(plain: object, where: str) -> int:
    if not isinstance(plain, int) or isinstance(plain, bool):
        raise _mismatch(where, plain, "a whole number")
    return plain


def _decode_float(plain: object, where: str) -> float:
    if not isinstance(plain, int | float) or isinstance(plain, bool):
        raise _mismatch(where, plain, "a number")
    try:
        number = float(plain)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _mismatch(where, plain, "a finite number")
    return number


def _decode_bytes(plain: object, where: str) -> bytes:
    try:
        return base64.b64decode(_decode_str(plain, where), validate=True)
    except (binascii.Error, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise _mismatch(where, plain, "base64") from error


def _mismatch(where: str, plain: object, expected: str) -> ParameterError:
    shown = "a list" if isinstance(plain, list) else "an object"
    if not isinstance(plain, list | dict):
        shown = repr(plain)[:40]
    return ParameterError(f"{where} is {shown}, expected {expected}")
