from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.corpus.splits import Split, is_melodic, pseudo_program, split_of


@given(st.integers(0, 10**6))
def test_last_digit_alone_decides(program: int) -> None:
    last_digit = str(program)[-1]
    expected = {"7": Split.TEST, "3": Split.VALIDATION}.get(last_digit, Split.TRAIN)
    assert split_of(program) is expected


def test_general_midi_programs_are_divided_12_13_95() -> None:
    splits = [split_of(program) for program in range(120)]
    assert splits.count(Split.TEST) == 12
    assert splits.count(Split.VALIDATION) == 12
    assert all(splits[program] is Split.TEST for program in range(7, 120, 10))


@given(st.text())
def test_pseudo_program_is_stable_and_in_range(name: str) -> None:
    assert pseudo_program(name) == pseudo_program(name)
    assert 0 <= pseudo_program(name) < 1_000_000


def test_pseudo_programs_spread_over_the_splits() -> None:
    splits = [split_of(pseudo_program(f"instrument_{index}")) for index in range(2000)]
    assert 150 < splits.count(Split.TEST) < 250
    assert 150 < splits.count(Split.VALIDATION) < 250


def test_pseudo_program_never_changes() -> None:
    # A changed hash would move instruments of published corpora between the splits.
    assert pseudo_program("bass_synthetic_033") == 527_814


def test_drums_and_effects_are_not_melodic() -> None:
    assert is_melodic(0, 0)
    assert is_melodic(8, 119)
    assert not is_melodic(128, 0)
    assert not any(is_melodic(0, program) for program in range(120, 128))
