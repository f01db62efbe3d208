"""What the first pass missed of a source, as numbers that do not tell its pitch.

The paper's hypernetwork compares features of the sound wanted and of its first rendering. Both are
functions of h, so H knows nothing that G did not. The difference of the two mels is new; read as a
mel it would tell the pitch, so it is read where the pitch is not seen: its smooth part over bands,
the rest at the partials, by their number.

Ours; the paper's rule that H sees no mels is kept in this form (arXiv 2401.04558, section 3).

Shape legend: T timbres, M mel bands, F frames, P partials, S spans of time.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.inference.carry_over import body_of
from core.mel import MelConfig, band_edges_hz, hz_to_mel
from core.nn.pitch_layout import midi_to_f0_hz

BODY_BANDS = 32
"""Bands of the smooth part."""
PARTIALS = 24
"""Partials P of the rest."""
SPANS = 12
"""Spans of time S, each longer than the one before."""
MISS_DIM = (BODY_BANDS + PARTIALS) * SPANS
"""Width of the code."""
SCALE = 4.0
"""Brings the code to about unit variance: normalised mels are off by a quarter."""
AUDIBLE = 1.6
"""Normalised units below its loudest bin that a source is heard in (64 dB)."""


def miss_code(source: Tensor, initial: Tensor, midi_pitch: Tensor, mel: MelConfig) -> Tensor:
    """Encode what a first rendering missed.

    Args:
        source: Mels of the sources, [T, M, F].
        initial: Their first renderings at their own pitches, [T, M, F].
        midi_pitch: Pitches of the sources, fractional MIDI, [T].
        mel: Geometry.

    Returns:
        [T, MISS_DIM]. The level is left out: notes are levelled when they are played.
    """
    with torch.autocast(source.device.type, enabled=False):
        return _encoded(source.float(), initial.float(), midi_pitch, mel)


def _encoded(source: Tensor, initial: Tensor, midi_pitch: Tensor, mel: MelConfig) -> Tensor:
    heard = source > source.amax(dim=(1, 2), keepdim=True) - AUDIBLE
    missed = (source - initial).clamp(-AUDIBLE, AUDIBLE)
    level = (missed * heard).sum(dim=(1, 2)) / heard.sum(dim=(1, 2)).clamp_min(1)
    missed = missed - level[:, None, None]
    body = body_of(missed)
    spans = torch.from_numpy(_spans(missed.shape[2])).to(missed.device)
    smooth = torch.nn.functional.avg_pool2d((body @ spans)[:, None], (mel.n_mels // BODY_BANDS, 1))
    at_partials = _sampled_at_partials((missed - body) @ spans, midi_pitch, mel)
    code = torch.cat([smooth[:, 0].flatten(1), at_partials.flatten(1)], dim=1)
    return code * SCALE


def _sampled_at_partials(values: Tensor, midi_pitch: Tensor, mel: MelConfig) -> Tensor:
    """[T, M, S] at the places of each partial, [T, P, S]; 0 above the highest band."""
    numbers = torch.arange(1, PARTIALS + 1, device=values.device)
    frequency_hz = midi_to_f0_hz(midi_pitch.float())[:, None] * numbers
    centres = hz_to_mel(band_edges_hz(mel)[1:-1])
    place = (_hz_to_mel(frequency_hz) - centres[0]) / (centres[1] - centres[0])
    inside = place <= mel.n_mels - 1
    place = place.clamp(0.0, mel.n_mels - 1 - 1e-4)
    below = place.long()
    fraction = (place - below)[..., None]
    index = below[..., None].expand(-1, -1, values.shape[2])
    sampled: Tensor = torch.lerp(values.gather(1, index), values.gather(1, index + 1), fraction)
    return sampled.mul(inside[..., None])


def _hz_to_mel(frequency_hz: Tensor) -> Tensor:
    """Slaney's scale as in :func:`core.mel.hz_to_mel`, of a tensor."""
    linear = frequency_hz * 3.0 / 200.0
    upper = 15.0 + torch.log(frequency_hz.clamp_min(1e-3) / 1000.0) * (27.0 / math.log(6.4))
    return torch.where(frequency_hz < 1000.0, linear, upper)


@lru_cache(maxsize=8)
def _spans(n_frames: int) -> NDArray[np.float32]:
    """Means over the spans as a matrix, [F, S]: a frame, a frame, then ever more."""
    edges = np.unique(np.round(np.geomspace(1, n_frames, SPANS)).astype(int))
    edges = np.concatenate([[0], edges])
    edges = np.concatenate([edges, np.full(SPANS + 1 - len(edges), n_frames)])
    frames = np.arange(n_frames)[:, None]
    inside = (frames >= edges[:-1]) & (frames < edges[1:])
    means: NDArray[np.float32] = (inside / np.maximum(1, inside.sum(axis=0))).astype(np.float32)
    return means
