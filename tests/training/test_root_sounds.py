from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.audio.pitch import estimate_root
from training import root_sounds
from training.corpus.soundfonts import FontPlayer
from training.corpus.splits import Split
from training.root_sounds import Samples, draw_tone, draw_unpitched, play_drums

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
RATE = 44100


def test_tones_and_noises_are_full_scale_and_finite() -> None:
    rng = np.random.default_rng(3)
    sounds = [draw_tone(rng)[0] for _ in range(10)]
    sounds += [sound for _, sound in draw_unpitched(rng, 8, 4)]
    for sound in sounds:
        assert sound.dtype == np.float32
        assert np.abs(sound).max() == pytest.approx(1.0)


@pytest.mark.skipif(
    not FONT.is_file(), reason=f"{FONT} is missing: install the Debian package fluid-soundfont-gm"
)
def test_only_drum_kits_of_the_asked_split_are_played(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fluidsynth", exc_type=ImportError)
    played: list[tuple[int, int]] = []
    play = FontPlayer.play

    def spy(self: FontPlayer, bank: int, program: int, midi_note: int, velocity: int) -> Samples:
        played.append((bank, program))
        return play(self, bank, program, midi_note, velocity)

    monkeypatch.setattr(FontPlayer, "play", spy)
    monkeypatch.setattr(root_sounds, "DRUM_KEYS", (38,))
    sounds = [sound for _, sound in play_drums([FONT], Split.VALIDATION)]
    assert played == [(128, 3), (128, 13), (128, 33)]  # 7 and 17 are test kits
    assert len(sounds) == 3
    assert not any(estimate_root(sound, RATE).is_pitched for sound in sounds)
