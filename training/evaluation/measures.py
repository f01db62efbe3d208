"""How far a rendered note is from the true one, in ways that log-mel distance alone would hide.

Log-mel distance rewards blur; these tell colour, fine structure, attack and noise apart.

Shape legend: N notes, M mel bands, F frames, T samples, K FFT bins.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor

from training.losses import audible_bins

ENVELOPE_COMPONENTS = 13
"""Cepstral components of the spectral envelope, the level left out."""
ATTACK_S = 0.05
"""Length of the attack, seconds."""
ATTACK_BLOCK_S = 0.01
"""Resolution of the attack's level, seconds."""
FLOOR_DB = -60.0
"""Levels below this, relative to full scale, are all the same."""
PERIODS = 6
"""Periods of the note in a window of the harmonics-to-noise ratio."""
NOISE_RANGE_DB = (-10.0, 30.0)
"""Harmonics-to-noise ratios are read within this: beyond, a note is all noise or all harmonics."""
LAG_TOLERANCE = 0.03
"""How far from the note's period its repetition is looked for."""
_OVERSAMPLING = 4


def log_mel_rmse_db(
    ours: Tensor, true: Tensor, unit_db: float, depth_db: float | None = None
) -> NDArray[np.float32]:
    """Root mean square difference of log-mels.

    Args:
        ours: Normalised log-mels, [N, M, F].
        true: Normalised log-mels of the true notes, [N, M, F].
        unit_db: Decibels of 1.0 of a normalised mel.
        depth_db: Count only bins where either mel lies within this of its own loudest bin; None
            counts all.

    Returns:
        dB for each note, [N].
    """
    if depth_db is None:
        counted = torch.ones_like(true)
    else:
        counted = audible_bins(ours, true, depth_db / unit_db).float()
    total = ((ours - true).square() * counted).sum(dim=(1, 2))
    power = total / counted.sum(dim=(1, 2)).clamp_min(1)
    error: NDArray[np.float32] = (power.sqrt() * unit_db).cpu().numpy()
    return error


def levelled(ours: Tensor, true: Tensor, depth: float) -> Tensor:
    """Mels with the one gain taken off that makes them as loud as the true ones, bin by bin.

    Loudness is set when a note is played; what is left is colour.

    Args:
        ours: Normalised log-mels, [N, M, F].
        true: Normalised log-mels of the true notes, [N, M, F].
        depth: Normalised units below its loudest bin that a mel is audible to.

    Returns:
        [N, M, F], not below the floor.
    """
    audible = audible_bins(ours, true, depth)
    gain = ((ours - true) * audible).sum(dim=(1, 2)) / audible.sum(dim=(1, 2)).clamp_min(1)
    return (ours - gain[:, None, None]).clamp_min(-1.0)


def movement_ratio(ours: Tensor, true: Tensor, depth: float) -> NDArray[np.float32]:
    """How much a note moves from frame to frame, by how much the true note does.

    Movement is the mean absolute step of the bins that are audible in both frames of the step; the
    same bins are read in both notes.

    Args:
        ours: Normalised log-mels, [N, M, F].
        true: Normalised log-mels of the true notes, [N, M, F].
        depth: Normalised units below its loudest bin that a mel is audible to.

    Returns:
        [N]: 0 for a mel that stands still, 1 for the true one, below 1 for one that is too still;
        NaN where the true note itself stands still.
    """
    audible = audible_bins(ours, true, depth)
    both = audible[..., 1:] & audible[..., :-1]
    steps, true_steps = (((mel.diff(dim=2).abs()) * both).sum(dim=(1, 2)) for mel in (ours, true))
    ratio: NDArray[np.float32] = torch.where(
        true_steps > 0.0, steps / true_steps, torch.nan
    ).numpy()
    return ratio


def timbre_distance_db(ours: Tensor, true: Tensor, unit_db: float) -> NDArray[np.float64]:
    """Root mean square difference of the smooth spectral envelopes: a part of log_mel_rmse_db.

    The mel-cepstral distance (Kubichek, *Mel-cepstral distance measure*, 1993), scaled so that an
    envelope off by x dB RMS reads x. Partials that lie elsewhere do not count, nor does the level.
    """
    gap = ((ours - true) * unit_db).numpy()
    components = dct(gap, axis=1, norm="ortho")[:, 1 : ENVELOPE_COMPONENTS + 1]
    power = np.square(components, dtype=np.float64).sum(axis=1).mean(axis=1)
    distance: NDArray[np.float64] = np.sqrt(power / gap.shape[1])
    return distance


def spectral_convergence(ours: Tensor, true: Tensor) -> NDArray[np.float32]:
    """‖ours − true‖ ÷ ‖true‖ of STFT magnitudes [N, K, F] (arXiv 1808.06719), [N]; 1 for silence."""
    gap = (ours - true).square().sum(dim=(1, 2)).sqrt()
    ratio: NDArray[np.float32] = (gap / true.square().sum(dim=(1, 2)).sqrt()).numpy()
    return ratio


def attack_error_db(
    ours: NDArray[np.float32], true: NDArray[np.float32], sample_rate: int
) -> NDArray[np.float64]:
    """Mean difference of level in the first 50 ms, in steps of 10 ms.

    Args:
        ours: Notes at the reference loudness that start at their onset, [N, T].
        true: The true notes at that loudness, [N, T].
        sample_rate: Hz.

    Returns:
        dB for each note, [N].
    """
    gap = _attack_levels_db(ours, sample_rate) - _attack_levels_db(true, sample_rate)
    error: NDArray[np.float64] = np.abs(gap).mean(axis=1)
    return error


def harmonics_to_noise_db(audio: NDArray[np.float32], midi_pitch: float, sample_rate: int) -> float:
    """Power that repeats with the note's period over power that does not.

    By the autocorrelation at the period, corrected for the window (Boersma, *Accurate short-term
    analysis of the fundamental frequency and the harmonics-to-noise ratio*, 1993), loud moments
    counting most.

    Args:
        audio: [T].
        midi_pitch: Fractional MIDI note.
        sample_rate: Hz.

    Returns:
        dB within NOISE_RANGE_DB; the lowest for silence.
    """
    period = sample_rate / (440.0 * 2.0 ** ((midi_pitch - 69.0) / 12.0))
    length = min(len(audio), max(2048, round(PERIODS * period)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, length)[:: length // 2]
    window = np.hanning(length + 2)[1:-1]
    ours = _autocorrelation(frames * window)
    windows = _autocorrelation(window[None])
    first, last = (round(_OVERSAMPLING * period * (1.0 + side * LAG_TOLERANCE)) for side in (-1, 1))
    lags = slice(first, last + 1)
    lowest, highest = NOISE_RANGE_DB
    if ours[0] <= 0.0:
        return lowest
    repeated = float(np.max(ours[lags] / ours[0] / (windows[lags] / windows[0])))
    repeated = min(max(repeated, 1e-9), 1.0 - 1e-9)
    return float(np.clip(10.0 * np.log10(repeated / (1.0 - repeated)), lowest, highest))


def _attack_levels_db(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    block = round(ATTACK_BLOCK_S * sample_rate)
    count = round(ATTACK_S / ATTACK_BLOCK_S)
    blocks = audio[:, : count * block].reshape(len(audio), count, block)
    power = np.square(blocks, dtype=np.float64).mean(axis=2)
    levels: NDArray[np.float64] = 10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10.0)))
    return levels


def _autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over frames [K, T], lags in quarters of a sample."""
    length = 2 * frames.shape[1]
    power = np.square(np.abs(np.fft.rfft(frames, length))).sum(axis=0)
    return np.fft.irfft(power, _OVERSAMPLING * length)
