"""The recording itself near its root, the model far from it.

A recording shifted by a few semitones is nearer to the true note than anything the model draws, and
its attack is the real one; an octave away its partials and formants are wrong. So the keys around the
root of a single source, or of each note of one instrument, play the recording, shifted; beyond, its
spectrum is blended into the model's with a share that falls with distance and is larger in the attack.

Measured on the validation split (training/README.md): half of the shifted recording in the mel takes
1 to 2 dB from the distance to the true note at 6 to 29 semitones and a quarter from the attack error.

Shape legend: M mel bands, F frames, T samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.audio.shift import MAX_SHIFT, shift_pitch
from core.audio.signal import at_full_level
from core.inference.request import SOURCE_VELOCITY, RenderRequest, Timbre

SHARE_BY_DISTANCE = ((0.0, 0.75), (5.0, 0.55), (17.0, 0.5), (29.0, 0.25), (41.0, 0.0))
"""Share of the shifted recording by semitones beyond the range, straight lines between."""
ATTACK_SHARE = 0.9
"""Its share at the onset."""
ATTACK_S = 0.1
"""Time in which the attack's share has fallen to 1/e of what it is above the later one, seconds."""


def plays_recording(request: RenderRequest, note: int) -> bool:
    """Whether a key is the nearest recording itself: near its root, played as it was, not mixed."""
    mix = request.mix
    is_mixed = len(mix.timbres) > 1 and not mix.one_instrument
    if is_mixed or request.variation > 0.0 or request.velocity != SOURCE_VELOCITY:
        return False
    timbre = mix.nearest(note)
    is_near = abs(note - timbre.root_pitch) <= request.original_range
    return bool(timbre.samples.size) and request.original_range > 0.0 and is_near


def recording_share(
    semitones: float, original_range: float, n_frames: int, frames_per_s: float
) -> NDArray[np.float32]:
    """How much of a shifted recording goes into a note's mel.

    Args:
        semitones: From its root, either way.
        original_range: Semitones that the recording plays itself; 0 gives no share anywhere.
        n_frames: Frames F of a note.
        frames_per_s: Rate of the frames.

    Returns:
        0 to 1 for each frame, [F].
    """
    distances, shares = zip(*SHARE_BY_DISTANCE, strict=True)
    sustained = float(np.interp(abs(semitones) - original_range, distances, shares))
    if original_range == 0.0 or sustained == 0.0 or abs(semitones) > MAX_SHIFT:
        return np.zeros(n_frames, np.float32)
    attack = max(0.0, ATTACK_SHARE - sustained) * min(1.0, sustained / shares[-2])
    time_s = np.arange(n_frames) / frames_per_s
    return (sustained + attack * np.exp(-time_s / ATTACK_S)).astype(np.float32)


def recording_at(timbre: Timbre, note: int, sample_rate: int) -> NDArray[np.float32]:
    """A source's recording at another note, peak-normalised, [T]."""
    return at_full_level(shift_pitch(timbre.samples, sample_rate, note - timbre.root_pitch))
