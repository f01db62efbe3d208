"""What is rendered comes nearer to the mel it was rendered for, and nothing else changes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from core.inference.mel_matching import MelMatcher
from core.mel import MelConfig, MelSpectrogram

MEL = MelConfig()
CPU = torch.device("cpu")
SECONDS = torch.arange(MEL.n_samples, dtype=torch.float64) / MEL.sample_rate


def _spectrum(audio: Tensor) -> Tensor:
    """[B, T] to [B, F, K] as the mel sees it."""
    spectrum = torch.stft(
        audio,
        MEL.n_fft,
        MEL.hop_length,
        window=torch.hann_window(MEL.n_fft),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return spectrum[..., : MEL.n_frames].transpose(1, 2)


def _sound(spectrum: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(spectrum.transpose(1, 2), (0, 1))
    return torch.istft(
        padded,
        MEL.n_fft,
        MEL.hop_length,
        window=torch.hann_window(MEL.n_fft),
        center=True,
        length=MEL.n_samples,
    )


def _noise() -> Tensor:
    return 0.1 * torch.randn(1, MEL.n_samples, generator=torch.Generator().manual_seed(0))


def test_a_sound_that_has_its_mel_is_left_alone() -> None:
    sound = _noise()
    wanted = MelSpectrogram(MEL)(sound).transpose(1, 2)
    before = _spectrum(sound)
    after = MelMatcher(MEL, CPU, torch.float32).match(before.clone(), wanted)
    assert torch.allclose(after, before, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("passes", [1, 3])
def test_every_pass_brings_a_sound_nearer_to_another_mel(passes: int) -> None:
    mel, matcher = MelSpectrogram(MEL), MelMatcher(MEL, CPU, torch.float32)
    fading = _noise() * torch.exp(-2.0 * SECONDS).float()
    wanted = mel(torch.cumsum(fading, dim=1) * 0.05)
    sound = _noise()
    distances = [float((mel(sound) - wanted).square().mean())]
    for _ in range(passes):
        sound = _sound(matcher.match(_spectrum(sound), wanted.transpose(1, 2)))
        distances.append(float((mel(sound) - wanted).square().mean()))
    assert all(after < before for before, after in pairwise(distances))
    assert distances[1] < 0.1 * distances[0]


def test_partials_stay_where_they_are() -> None:
    hertz = 440.3
    sine = torch.sin(2.0 * np.pi * hertz * SECONDS).float()[None]
    wanted = MelSpectrogram(MEL)(sine) - 0.25 * torch.linspace(0.0, 1.0, MEL.n_frames)
    matched = _sound(
        MelMatcher(MEL, CPU, torch.float32).match(_spectrum(sine), wanted.transpose(1, 2))
    )[0].numpy()
    spectrum = np.abs(np.fft.rfft(matched * np.hanning(len(matched)), 8 * len(matched)))
    found = np.argmax(spectrum) * MEL.sample_rate / (8 * len(matched))
    assert found == pytest.approx(hertz, abs=0.05)


def test_silence_stays_silent() -> None:
    nothing = torch.zeros(1, MEL.n_frames, MEL.n_fft // 2 + 1, dtype=torch.complex64)
    wanted = torch.full((1, MEL.n_frames, MEL.n_mels), -1.0)
    assert not MelMatcher(MEL, CPU, torch.float32).match(nothing, wanted).abs().any()


def test_in_bfloat16_it_is_a_twentieth_of_a_decibel_off() -> None:
    mel = MelSpectrogram(MEL)
    wanted = mel(torch.cumsum(_noise(), dim=1) * 0.02).transpose(1, 2)
    exact, rounded = (
        mel(_sound(MelMatcher(MEL, CPU, dtype).match(_spectrum(_noise()), wanted)))
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert float((exact - rounded).abs().mean()) * MEL.db_per_unit < 0.05


def test_the_share_of_a_recording_follows_gains_that_last() -> None:
    # One frame of a steady recording is wanted 30 dB louder: it alone does not make it too little.
    sine = 0.1 * torch.sin(2.0 * np.pi * 440.0 * SECONDS).float()
    spectrum = _spectrum(sine[None])
    matcher = MelMatcher(MEL, CPU, torch.float32)
    mel = MelSpectrogram(MEL)(sine[None]).transpose(1, 2)
    band = int(mel[0, 100].argmax())
    place = int(spectrum[0, 100].abs().argmax())
    wanted = mel.clone()
    wanted[:, 100, band - 1 : band + 2] += 30.0 / MEL.db_per_unit
    assert float(matcher.share(spectrum, wanted)[0, 100, place]) > 0.9
    wanted[:, 60:140, band - 1 : band + 2] = wanted[:, 100:101, band - 1 : band + 2]
    assert float(matcher.share(spectrum, wanted)[0, 100, place]) < 0.1
