"""What a designer does today: the pitch shifters that the program must beat, and Griffin-Lim.

Shape legend: T samples, M mel bands, F frames.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import librosa
import numpy as np
import soxr
from numpy.typing import NDArray

from core.audio.files import read_audio, write_audio
from core.errors import AudioFileError, CoreError
from core.mel import MelConfig, mel_filters

GRIFFIN_LIM_ITERATIONS = 32
"""Iterations of the algorithm that the vocoder is measured against."""
WRITTEN_PEAK = 0.5
"""Peak of a sound handed to Rubber Band, so that what comes back does not clip."""


class BaselineError(CoreError):
    """A program to compare with is missing or failed."""


def resample_shift(audio: NDArray[np.float32], semitones: float) -> NDArray[np.float32]:
    """Play a recording faster or slower, as a sampler does, [T] to [T] (cut or zero-padded)."""
    ratio = 2.0 ** (semitones / 12.0)
    shifted = soxr.resample(audio, 44100.0 * ratio, 44100.0)
    return _fit(shifted, len(audio))


def rubber_band_shift(
    audio: NDArray[np.float32], semitones: float, sample_rate: int, *, keep_formants: bool = False
) -> NDArray[np.float32]:
    """Shift with Rubber Band's R3 engine (the command line program), the length kept.

    Args:
        audio: [T], at any level.
        semitones: Up or down.
        sample_rate: Hz.
        keep_formants: Whether the spectral envelope stays where it is.

    Returns:
        [T], at the level of the source.

    Raises:
        BaselineError: The program is not installed, or fails.
    """
    program = shutil.which("rubberband")
    if program is None:
        raise BaselineError("Rubber Band is not installed; install the package rubberband-cli.")
    gain = WRITTEN_PEAK / max(float(np.max(np.abs(audio))), 1e-9)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.wav", Path(folder) / "target.wav"
        write_audio(source, gain * audio[None], sample_rate)
        command = [program, "-q", "--fine", "--pitch", f"{semitones:.6f}"]
        command += ["--formant"] * keep_formants + [str(source), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BaselineError(f"Rubber Band failed: {done.stderr.strip()[:200]}")
        try:
            shifted = read_audio(target).samples[0] / np.float32(gain)
        except AudioFileError:  # nothing audible is left of a sound shifted out of its range
            shifted = np.zeros(len(audio), np.float32)
        return _fit(shifted, len(audio))


def griffin_lim(mel: NDArray[np.float32], config: MelConfig) -> NDArray[np.float32]:
    """Waveform of a normalised log-mel [M, F] by librosa's Griffin-Lim, [F · hop]."""
    bands = 10.0 ** ((mel.astype(np.float64) - 1.0) * config.db_per_unit / 20.0)
    filters = mel_filters(config) * (4.0 / config.n_fft)
    magnitudes = librosa.util.nnls(filters, np.pad(bands, ((0, 0), (0, 1))))
    audio: NDArray[np.float32] = librosa.griffinlim(
        magnitudes,
        n_iter=GRIFFIN_LIM_ITERATIONS,
        hop_length=config.hop_length,
        n_fft=config.n_fft,
        random_state=0,
        length=mel.shape[1] * config.hop_length,
    ).astype(np.float32)
    return audio


def _fit(audio: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    fitted = np.zeros(length, np.float32)
    fitted[: min(length, len(audio))] = audio[:length]
    return fitted
