"""The recording in every note: itself at its root, the carrier of the model's colour beyond.

A recording shifted by more than a semitone or two has the wrong colour, for its formants moved along,
but its attack, beating, vibrato and breath are real. So the keys at the root of a single source, or
of each note of one instrument, play the recording, shifted; beyond, the shifted recording is brought
to the mel that the model draws (core/inference/folded_vocoder.py). That mel has a share of the
recording's own, which falls with distance and towards the treble, is larger in the attack, and ends
where the recording has nothing to tell.

Figures, on the validation split, are in training/README.md.

Shape legend: M mel bands, F frames, T samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.audio.shift import MAX_SHIFT, shift_cycle, shift_pitch
from core.audio.signal import at_full_level
from core.mel import MelConfig, band_edges_hz
from core.sound import SOURCE_VELOCITY, Sound, Timbre

SHARE_BY_DISTANCE = ((0.0, 1.0), (17.0, 1.0), (34.0, 0.5), (41.0, 0.0))
"""How much of its share a shifted recording has left, by semitones beyond the range, straight lines
between."""
LOWEST_SHARE, HIGHEST_SHARE = 0.26, 0.12
"""Its share in the lowest and in the highest mel band, a straight line between."""
ATTACK_SHARE = 0.36
"""Its share at the onset."""
ATTACK_S = 0.1
"""Time in which the attack's share has fallen to 1/e of what it is above the later one, seconds."""
RECORDED_HZ = (6_000.0, 14_000.0)
"""Frequencies of the source between which its share falls to nothing: higher up recordings hold ever
less, and shifted down they would leave notes dull."""
SHIFTED_HZ = (10_000.0, 14_000.0)
"""Frequencies of the note between which its share falls to nothing."""


def plays_recording(sound: Sound, note: int) -> bool:
    """Whether a key is the nearest recording itself: near its root, played as it was, not mixed.

    Noise is it at every key: whatever the model draws at a pitch has that pitch.
    """
    mix, settings = sound.mix, sound.settings
    is_mixed = len(mix.timbres) > 1 and not mix.one_instrument
    if is_mixed or settings.variation > 0.0 or settings.original_range == 0.0:
        return False
    timbre = mix.nearest(note)
    if timbre.is_noise:
        return is_shiftable(timbre, note)
    is_near = abs(note - timbre.root_pitch) <= settings.original_range
    return bool(timbre.samples.size) and settings.velocity == SOURCE_VELOCITY and is_near


def recording_share(semitones: float, original_range: float, mel: MelConfig) -> NDArray[np.float32]:
    """How much of a shifted recording goes into a note's mel.

    Args:
        semitones: From its root to the note.
        original_range: Semitones that the recording plays itself; 0 gives no share anywhere.
        mel: Geometry.

    Returns:
        0 to 1 for each band and frame, [M, F].
    """
    distances, shares = zip(*SHARE_BY_DISTANCE, strict=True)
    left = float(np.interp(abs(semitones) - original_range, distances, shares))
    if original_range == 0.0 or left == 0.0 or abs(semitones) > MAX_SHIFT:
        return np.zeros((mel.n_mels, mel.n_frames), np.float32)
    sustained = left * np.linspace(LOWEST_SHARE, HIGHEST_SHARE, mel.n_mels)[:, None]
    attack = np.maximum(0.0, left * ATTACK_SHARE - sustained)
    time_s = np.arange(mel.n_frames) * (mel.hop_length / mel.sample_rate)
    centres_hz = band_edges_hz(mel)[1:-1]
    known = _falling(centres_hz / 2.0 ** (semitones / 12.0), RECORDED_HZ)
    known *= _falling(centres_hz, SHIFTED_HZ)
    both = sustained + attack * np.exp(-time_s / ATTACK_S)
    share: NDArray[np.float32] = (known[:, None] * both).astype(np.float32)
    return share


def _falling(
    frequency_hz: NDArray[np.float64], ends_hz: tuple[float, float]
) -> NDArray[np.float64]:
    """1 below two frequencies, 0 above them, a straight line over the octaves between."""
    falling: NDArray[np.float64] = np.interp(np.log2(frequency_hz), np.log2(ends_hz), (1.0, 0.0))
    return falling


def is_shiftable(timbre: Timbre, note: int) -> bool:
    """Whether a source has a recording that can be shifted as far as a note."""
    return bool(timbre.samples.size) and abs(note - timbre.root_pitch) <= MAX_SHIFT


def recording_at(timbre: Timbre, note: int, sample_rate: int) -> NDArray[np.float32]:
    """A source's recording at another note, peak-normalised, [T]."""
    semitones = note - timbre.root_pitch
    if timbre.cycle_frames is not None:
        return at_full_level(
            shift_cycle(timbre.samples, sample_rate, semitones, timbre.cycle_frames)
        )
    return at_full_level(shift_pitch(timbre.samples, sample_rate, semitones))
