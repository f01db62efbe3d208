"""The one place of the split rule: which instruments train, validate and test every network.

Soundfonts share recordings, so the rule looks at the General MIDI program number, in all soundfonts
and banks alike; synthesizer patches are split by patch number, foreign instruments by a stable
pseudo program number.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

DRUM_BANK = 128
"""SoundFont bank of the drum kits."""
FIRST_EFFECT_PROGRAM = 120
"""General MIDI programs 120 to 127 are sound effects (fret noise, gun shot) without a pitch."""


class Split(StrEnum):
    """The part of the corpus that an instrument belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


def split_of(program: int) -> Split:
    """Split of a program (0 to 127), patch or pseudo program number: 7 mod 10 test, 3 validation."""
    match program % 10:
        case 7:
            return Split.TEST
        case 3:
            return Split.VALIDATION
        case _:
            return Split.TRAIN


def pseudo_program(instrument: str) -> int:
    """Stable number 0 to 999,999 of an instrument without a General MIDI program, by its name."""
    digest = hashlib.sha256(instrument.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 1_000_000


def is_melodic(bank: int, program: int) -> bool:
    """Whether a preset is played in tune: no drum kit and no sound effect."""
    return bank != DRUM_BANK and program < FIRST_EFFECT_PROGRAM
