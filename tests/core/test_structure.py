from __future__ import annotations

import json
import time
import tracemalloc
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.session import Session
from core.errors import ParameterError
from core.structure import dump_json, parse_json, structure, unstructure
from tests.app.models.sessions import SESSIONS


class Mood(Enum):
    CALM = 1
    WILD = "wild"


class Note(StrEnum):
    HIGH = "high"


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
    mood: Mood = Mood.CALM
    note: Note = Note.HIGH
    folder: Path = Path()
    grid: tuple[tuple[int, ...], ...] = ()


@given(SESSIONS)
def test_sessions_come_back(session: Session) -> None:
    assert structure(Session, parse_json(dump_json(unstructure(session))), "session") == session


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
        text=text,
        count=count,
        flag=flag,
        data=data,
        mode=3,
        items=(inner, inner),
        maybe=inner,
        mood=Mood.WILD,
        folder=Path("a/b"),
        grid=((count,), ()),
    )
    assert structure(Outer, unstructure(value), "it") == value
    assert structure(Outer, parse_json(dump_json(unstructure(value))), "it") == value


def test_a_file_name_that_utf_8_cannot_hold_comes_back() -> None:
    name = b"bell-\xff.wav".decode(errors="surrogateescape")
    assert structure(Outer, parse_json(dump_json(unstructure(Outer(text=name)))), "it").text == name


@pytest.mark.parametrize(
    ("json", "says"),
    [
        ("[]", "it is a list, expected a section"),
        ("{}", "it lacks the field 'text'"),
        ('{"text": "", "colour": 1}', "it has an unknown field 'colour'"),
        ('{"text": 1}', "it.text is 1, expected text"),
        ('{"text": null}', "it.text is None, expected text"),
        ('{"text": "", "count": 1.0}', "it.count is 1.0, expected a whole number"),
        ('{"text": "", "count": true}', "it.count is True, expected a whole number"),
        ('{"text": "", "flag": 0}', "it.flag is 0, expected true or false"),
        ('{"text": "", "data": "a"}', "it.data is 'a', expected base64"),
        ('{"text": "", "data": "!!!!"}', "it.data is '!!!!', expected base64"),
        ('{"text": "", "data": 5}', "it.data is 5, expected text"),
        ('{"text": "", "mode": "c"}', "it.mode is 'c', expected one of a, b, 3"),
        ('{"text": "", "mode": 3.0}', "it.mode is 3.0, expected one of a, b, 3"),
        ('{"text": "", "folder": 1}', "it.folder is 1, expected text"),
        ('{"text": "", "mood": true}', "it.mood is True, expected one of 1, wild"),
        ('{"text": "", "note": "low"}', "it.note is 'low', expected one of high"),
        ('{"text": "", "grid": [[1, "2"]]}', r"it.grid\[0\]\[1\] is '2', expected a whole number"),
        (
            '{"text": "", "cuont": 1}',
            "it has an unknown field 'cuont', the nearest known is 'count'",
        ),
        ('{"text": "", "maybe": {"amuont": 1}}', "it.maybe has an .*nearest known is 'amount'"),
        ('{"text": "", "maybe": {}}', "it.maybe lacks the field 'amount'"),
        ('{"text": "", "items": {}}', "it.items is a section, expected a list"),
        ('{"text": "", "items": [null]}', r"it.items\[0\] is None, expected a section"),
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
        structure(Outer, parse_json(json.encode()), "it")
    assert len(str(refusal.value)) < 120


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ParameterError, match="no valid JSON"):
        parse_json(b"\xff\xfe")


def test_json_is_plain() -> None:
    assert json.loads(dump_json(unstructure(Outer(text="a", maybe=Inner(amount=0.5))))) == {
        "text": "a",
        "count": 0,
        "flag": False,
        "data": "",
        "mode": "a",
        "items": [],
        "maybe": {"amount": 0.5},
        "mood": 1,
        "note": "high",
        "folder": ".",
        "grid": [],
    }


def test_a_whole_number_may_stand_for_any() -> None:
    amount = structure(Inner, {"amount": 3}, "it").amount
    assert (amount, type(amount)) == (3.0, float)


@pytest.mark.parametrize(
    "plain",
    [
        {"text": "", "items": [{"amount": "x"}] * 1_000_000},
        {"text": "", "items": [{"x" * 8_000_000: 1}]},
        {f"{number}": 0 for number in range(500_000)},
        {"text": 5 * ["x"] * 1_000_000},
    ],
    ids=["a million faults", "a long key", "many keys", "a long list"],
)
def test_the_first_fault_ends_the_reading(plain: object) -> None:
    """However much a file holds, what is wrong with it is said at once and shortly."""
    tracemalloc.start()
    started_s = time.perf_counter()
    with pytest.raises(ParameterError) as refusal:
        structure(Outer, plain, "it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert time.perf_counter() - started_s < 0.5
    assert len(str(refusal.value)) < 120
