from __future__ import annotations

import numpy as np
import pytest

from tests.training.evaluation.tones import RATE, harmonic_note
from training.evaluation.tuning import tuning_error_cents


@pytest.mark.parametrize("midi_pitch", [30.0, 45.3, 60.0, 71.8, 84.0, 95.0])
@pytest.mark.parametrize("cents", [-40.0, -3.0, 0.0, 25.0])
def test_the_tracker_reads_a_known_detuning(midi_pitch: float, cents: float) -> None:
    error = tuning_error_cents(harmonic_note(midi_pitch + cents / 100.0), midi_pitch, RATE)
    assert error is not None
    assert error == pytest.approx(cents, abs=1.0)


def test_the_tracker_gives_up_on_silence_and_on_anotherharmonic_note() -> None:
    assert tuning_error_cents(np.zeros(RATE * 2, np.float32), 60.0, RATE) is None
    assert tuning_error_cents(harmonic_note(64.0, partials=1), 60.0, RATE) is None
