from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.parameters import check_parameters, label_of, number_text, parameter, parameters


@dataclass(frozen=True)
class Tone:
    name: str = "a tone"
    attack_s: float = field(default=0.5, metadata=parameter(0.25, 2.0, "s", about="how it begins"))
    level_db: float | None = field(default=None, metadata=parameter(-60.0, 0.0, "dB"))
    key: int = field(default=60, metadata=parameter(0, 127))

    def __post_init__(self) -> None:
        check_parameters(self)


def test_declared_numbers_are_found_in_order_and_others_are_not() -> None:
    declared = parameters(Tone)
    assert list(declared) == ["attack_s", "level_db", "key"]
    assert (declared["attack_s"].least, declared["attack_s"].most) == (0.25, 2.0)
    assert (declared["attack_s"].unit, declared["attack_s"].about) == ("s", "how it begins")


@given(st.floats())
def test_numbers_pass_within_their_range_alone(value: float) -> None:
    if 0.25 <= value <= 2.0:
        assert Tone(attack_s=value).attack_s == value
    else:
        with pytest.raises(ParameterError, match="is outside"):
            Tone(attack_s=value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attack_s": 3.0}, "Attack 3.0 s is outside 0.25-2 s."),
        ({"level_db": 1.0}, "Level 1.0 dB is outside -60-0 dB."),
        ({"key": -1}, "Key -1 is outside 0-127."),
    ],
)
def test_the_sentence_names_what_which_value_and_the_range(
    changes: dict[str, float], says: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        Tone(**changes)  # type: ignore[arg-type]
    assert str(caught.value) == says


def test_none_is_not_set_and_passes() -> None:
    assert Tone(level_db=None).level_db is None


@pytest.mark.parametrize(
    ("name", "label"),
    [("carry_over", "Carry over"), ("attack_s", "Attack"), ("loudness_lufs", "Loudness")],
)
def test_labels_are_words_without_units(name: str, label: str) -> None:
    assert label_of(name) == label


def test_bounds_are_written_in_full() -> None:
    assert number_text(2**63 - 1) == "9223372036854775807"
    assert number_text(0.001) == "0.001"
