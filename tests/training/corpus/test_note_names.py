from __future__ import annotations

import librosa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from training.corpus.note_names import note_in_name, parse_note, velocity_in_name


@given(st.integers(0, 127), st.booleans())
def test_names_agree_with_librosa(note: int, with_number: bool) -> None:
    name = librosa.midi_to_note(note, unicode=False)
    assert parse_note(name) == note
    assert parse_note(str(note)) == note
    stem = f"My Piano_{note:03d}_{name}" if with_number else f"My Piano-{name}"
    assert note_in_name(stem) == note


@pytest.mark.parametrize(
    ("stem", "note"),
    [
        ("Name_060_C4", 60),
        ("Name-C#4", 61),
        ("60", 60),
        ("Eb3", 51),
        ("bass_c-1", 0),
        ("Name_060_C3", 60),  # makers for whom C3 is middle C: the number wins
        ("Organ B3 soft_F#2_v64", 42),
        ("Kit 2 C5 v100", 72),
        ("take 3 067", 67),
        ("Vibraphone", None),
        ("Loop 140bpm", None),
    ],
)
def test_notes_in_file_names(stem: str, note: int | None) -> None:
    assert note_in_name(stem) == note


def test_velocities_in_file_names() -> None:
    assert velocity_in_name("Name_C4_v90") == 90
    assert velocity_in_name("Name_C4_vel 7") == 7
    assert velocity_in_name("Name_C4_V300") is None
    assert velocity_in_name("nov90_C4") is None


@pytest.mark.parametrize("text", ["H4", "128", "", "C", "G9x"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        parse_note(text)
