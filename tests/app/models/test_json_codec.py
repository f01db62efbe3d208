from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.json_codec import decode, dump_json, encode, parse_json
from app.models.session import Session
from core.errors import ParameterError
from tests.app.models.sessions import SESSIONS


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    amount: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    text: str
    count: int = 0
    flag: bool = False
    data: bytes = b""
    mode: Literal["a", "b", 3] = "a"
    items: tuple[Inner, ...] = ()
    maybe: Inner | None = None


@given(SESSIONS)
def test_sessions_come_back(session: Session) -> None:
    assert decode(Session, parse_json(dump_json(encode(session))), "session") == session


@given(
    st.text(),
    st.integers(),
    st.booleans(),
    st.binary(),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_values_come_back(text: str, count: int, flag: bool, data: bytes, amount: float) -> None:
    inner = Inner(amount=amount)
    value = Outer(
        text=text, count=count, flag=flag, data=data, mode=3, items=(inner, inner), maybe=inner
    )
    assert decode(Outer, parse_json(dump_json(encode(value))), "it") == value


def test_a_file_name_that_utf_8_cannot_hold_comes_back() -> None:
    name = b"bell-\xff.wav".decode(errors="surrogateescape")
    assert decode(Outer, parse_json(dump_json(encode(Outer(text=name)))), "it").text == name


@pytest.mark.parametrize(
    ("json", "says"),
    [
        ("[]", "it is a list, expected an object"),
        ("{}", "it lacks the field 'text'"),
        ('{"text": "", "colour": 1}', "it has an unknown field 'colour'"),
        ('{"text": 1}', "it.text is 1, expected text"),
        ('{"text": null}', "it.text is None, expected text"),
        ('{"text": "", "count": 1.0}', "it.count is 1.0, expected a whole number"),
        ('{"text": "", "count": true}', "it.count is True, expected a whole number"),
        ('{"text": "", "flag": 0}', "it.flag is 0, expected true or false"),
        ('{"text": "", "data": "a"}', "it.data is 'a', expected base64"),
        ('{"text": "", "data": 5}', "it.data is 5, expected text"),
        ('{"text": "", "mode": "c"}', "it.mode is 'c', expected one of a, b, 3"),
        ('{"text": "", "mode": 3.0}', "it.mode is 3.0, expected one of a, b, 3"),
        ('{"text": "", "items": {}}', "it.items is an object, expected a list"),
        ('{"text": "", "items": [null]}', r"it.items\[0\] is None, expected an object"),
        ('{"text": "", "maybe": {"amount": "1"}}', "it.maybe.amount is '1', expected a number"),
        ('{"text": "", "maybe": {"amount": NaN}}', "it.maybe.amount is nan, expected a finite"),
        ('{"text": "", "maybe": {"amount": -Infinity}}', "it.maybe.amount is -inf, expected"),
        ('{"text": "", "maybe": {"amount": 1e999}}', "it.maybe.amount is inf, expected a finite"),
        ('{"text": "", "maybe": {"amount": 1' + 400 * "0" + "}}", "expected a finite number"),
        ('{"text": "", "count": 1' + 5000 * "0" + "}", "it is no valid JSON"),
        (100_000 * "[", "it is no valid JSON"),
        ('{"text": ', "it is no valid JSON"),
        ("", "it is no valid JSON"),
    ],
)
def test_anything_else_is_refused(json: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says) as refusal:
        decode(Outer, parse_json(json.encode()), "it")
    assert len(str(refusal.value)) < 120


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ParameterError, match="no valid JSON"):
        parse_json(b"\xff\xfe")


def test_json_is_plain() -> None:
    assert json.loads(dump_json(encode(Outer(text="a", maybe=Inner(amount=0.5))))) == {
        "text": "a", "count": 0, "flag": False, "data": "", "mode": "a", "items": [],
        "maybe": {"amount": 0.5},
    }  # fmt: skip
