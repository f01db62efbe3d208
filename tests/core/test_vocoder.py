from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ParameterError
from core.mel import MelConfig, MelSpectrogram
from core.vocoder import Vocoder, harmonic_source
from tests.helpers.signals import harmonic_tone
from tests.helpers.tiny_models import TinyNetworks

RATE = 44100
MEL = MelConfig()


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return TinyNetworks().vocoder


def hertz(midi_pitch: float) -> float:
    return float(440.0 * 2.0 ** ((midi_pitch - 69) / 12))


def white_noise(count: int, frames: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(count, frames * MEL.hop_length, generator=source)


def tone_mel(midi_pitch: float, frames: int = 64) -> Tensor:
    tone = harmonic_tone(hertz(midi_pitch), frames * MEL.hop_length / RATE)
    return MelSpectrogram(MEL)(torch.from_numpy(tone)[None])[..., :frames]


def cents_off(sound: NDArray[np.float64], frequency_hz: float) -> float:
    """Where the spectrum peaks within 60 cents of a frequency, cents."""
    cents = np.linspace(-60, 60, 121)
    turns = np.outer(frequency_hz * 2 ** (cents / 1200), np.arange(len(sound)) / RATE)
    levels = np.abs(np.exp(-2j * np.pi * turns) @ (sound * np.hanning(len(sound))))
    return float(cents[np.argmax(levels)])


@pytest.mark.parametrize("midi_pitch", [0.0, 21.0, 33.37, 60.0, 69.0, 100.2, 127.0])
def test_the_source_is_the_sum_of_all_cosines_below_half_the_rate(midi_pitch: float) -> None:
    f0, length = hertz(midi_pitch), 3000
    ours = harmonic_source(torch.tensor([f0], dtype=torch.float64), length, RATE)[0]
    clock = np.arange(length) / RATE
    count = int((RATE / 2 - 1) // f0)
    cosines = sum(np.cos(2 * np.pi * n * f0 * clock) for n in range(1, count + 1))
    expected = np.sqrt(2 * f0 / RATE) * cosines
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5 * np.max(np.abs(expected)))


@pytest.mark.parametrize("f0", [441.0, 44100 / 256, 11025.0])
def test_pulses_on_the_sample_grid_are_finite(f0: float) -> None:
    # The closed form divides 0 by 0 there.
    source = harmonic_source(torch.tensor([f0]), 2 * RATE, RATE)[0]
    period = round(RATE / f0)
    assert torch.isfinite(source).all()
    torch.testing.assert_close(source[::period], torch.full_like(source[::period], source[0]))


@pytest.mark.parametrize("midi_pitch", [24.0, 57.3, 84.0])
def test_start_continues_the_same_clock(midi_pitch: float) -> None:
    f0 = torch.tensor([hertz(midi_pitch)], dtype=torch.float64)
    whole = harmonic_source(f0, 9000, RATE)
    for start in (1, 512, 5000):
        later = harmonic_source(f0, 9000 - start, RATE, torch.tensor([start]))
        assert torch.equal(later, whole[:, start:])


def test_an_hour_later_the_source_is_still_in_tune() -> None:
    f0, start = hertz(61.7), 3600 * RATE
    ours = harmonic_source(
        torch.tensor([f0], dtype=torch.float64), 4000, RATE, torch.tensor([start])
    )[0]
    phase = (np.arange(start, start + 4000, dtype=np.longdouble) * np.longdouble(f0) / RATE) % 1
    count = int((RATE / 2 - 1) // f0)
    cosines = sum(np.cos(2 * np.pi * n * phase.astype(np.float64)) for n in range(1, count + 1))
    np.testing.assert_allclose(ours, np.sqrt(2 * f0 / RATE) * cosines, atol=1e-3)


@pytest.mark.parametrize("partial_bins", [37, 500, 2600])
def test_there_is_nothing_between_the_partials(partial_bins: int) -> None:
    # f0 a whole number of bins: a partial is one line, an alias would fall between the lines.
    length = 16384
    f0 = partial_bins * RATE / length
    source = harmonic_source(torch.tensor([f0], dtype=torch.float64), length, RATE)[0]
    spectrum = np.abs(np.fft.rfft(source.numpy().astype(np.float64)))
    count = int((RATE / 2 - 1) // f0)
    lines = np.arange(1, count + 1) * partial_bins
    np.testing.assert_allclose(spectrum[lines] * 2 / length, np.sqrt(2 * f0 / RATE), rtol=1e-3)
    spectrum[lines] = 0
    assert np.max(spectrum) < 1e-3 * length / 2 * np.sqrt(2 * f0 / RATE)


def test_power_does_not_depend_on_the_pitch() -> None:
    f0 = torch.tensor([hertz(note) for note in (36, 60, 84)], dtype=torch.float64)
    power = harmonic_source(f0, 2 * RATE, RATE).square().mean(dim=1)
    np.testing.assert_allclose(power, 0.5, rtol=0.05)


@torch.no_grad()
@pytest.mark.parametrize("source", ["harmonic", "noise"])
def test_identity_filters_give_the_source_back(
    vocoder: Vocoder, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = 20
    noise, pitch = white_noise(2, frames), torch.tensor([57.3, 72.0])
    ones = torch.ones(2, MEL.n_fft // 2 + 1, frames)
    filters = (ones, 0 * ones) if source == "harmonic" else (0 * ones, ones)
    monkeypatch.setattr(vocoder, "filters", lambda mel, pitch: (filters[0] + 0j, filters[1]))
    rendered = vocoder(torch.zeros(2, MEL.n_mels, frames), pitch, noise)
    f0 = 440.0 * torch.exp2((pitch.double() - 69) / 12)
    n_samples = frames * MEL.hop_length
    expected = noise if source == "noise" else harmonic_source(f0, n_samples, RATE)
    # The frame after the last is silent, so the last half window fades.
    whole = slice(0, n_samples - MEL.n_fft // 2)
    torch.testing.assert_close(rendered[:, whole], expected[:, whole], atol=1e-5, rtol=1e-5)
    assert bool((rendered[:, whole.stop :].abs() <= expected[:, whole.stop :].abs() + 1e-4).all())


@torch.no_grad()
@pytest.mark.parametrize("midi_pitch", [36.0, 45.4, 60.0, 69.25, 88.0])
def test_notes_are_in_tune_whatever_the_weights(vocoder: Vocoder, midi_pitch: float) -> None:
    mel = tone_mel(midi_pitch)
    rendered = vocoder(mel, torch.tensor([midi_pitch]), white_noise(1, mel.shape[-1]))[0]
    middle = rendered[4096:-4096].numpy().astype(np.float64)
    f0 = hertz(midi_pitch)
    for number in (1, 3):
        assert abs(cents_off(middle, number * f0)) <= 2
    if midi_pitch >= 60:  # below, YIN itself is off by more
        found = librosa.yin(middle, fmin=f0 / 1.5, fmax=1.5 * f0, sr=RATE, frame_length=8192)
        assert abs(1200 * np.log2(np.median(found) / f0)) < 5


@torch.no_grad()
def test_the_mel_is_followed_where_filters_start(vocoder: Vocoder) -> None:
    # Even an untrained one draws the right spectrum, roughly.
    mel = tone_mel(60.0)
    rendered = vocoder(mel, torch.tensor([60.0]), white_noise(1, 64))
    drawn = MelSpectrogram(MEL)(rendered)[0, :, 10:50]
    wanted = mel[0, :, 10:50]
    assert float(torch.corrcoef(torch.stack([drawn.flatten(), wanted.flatten()]))[0, 1]) > 0.8


@torch.no_grad()
def test_length_and_noise_decide_the_samples(vocoder: Vocoder) -> None:
    mel, pitch = tone_mel(60.0, 40), torch.tensor([60.0])
    first = vocoder(mel, pitch, white_noise(1, 40, seed=1))
    assert first.shape == (1, 40 * MEL.hop_length)
    assert torch.isfinite(first).all()
    assert torch.equal(first, vocoder(mel, pitch, white_noise(1, 40, seed=1)))
    other = vocoder(mel, pitch, white_noise(1, 40, seed=2))
    assert not torch.equal(first, other)
    assert float((first - other).square().mean()) < float(first.square().mean())


@torch.no_grad()
def test_a_batch_equals_its_notes(vocoder: Vocoder) -> None:
    mels = torch.cat([tone_mel(note, 40) for note in (50.0, 60.0, 70.0)])
    pitches, noise = torch.tensor([50.0, 60.0, 70.0]), white_noise(3, 40)
    together = vocoder(mels, pitches, noise)
    one_by_one = [vocoder(mels[i : i + 1], pitches[i : i + 1], noise[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(one_by_one), atol=1e-4, rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("level", [-1.0, 3.0, 1e4])
def test_any_mel_gives_finite_samples(vocoder: Vocoder, level: float) -> None:
    mel = torch.full((1, MEL.n_mels, 8), level)
    assert torch.isfinite(vocoder(mel, torch.tensor([60.0]), white_noise(1, 8))).all()


def test_the_noise_filter_is_never_negative(vocoder: Vocoder) -> None:
    harmonic, noise = vocoder.filters(tone_mel(60.0, 16), torch.tensor([60.0]))
    assert harmonic.is_complex()
    assert harmonic.shape == noise.shape == (1, MEL.n_fft // 2 + 1, 16)
    assert bool((noise >= 0).all())


def test_gradients_reach_every_parameter(vocoder: Vocoder) -> None:
    vocoder.zero_grad()
    rendered = vocoder(tone_mel(60.0, 16), torch.tensor([60.0]), white_noise(1, 16))
    (rendered * torch.randn_like(rendered)).sum().backward()
    for name, parameter in vocoder.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name
    vocoder.zero_grad()


@torch.no_grad()
def test_shapes_that_do_not_fit_are_named(vocoder: Vocoder) -> None:
    pitch = torch.tensor([60.0])
    with pytest.raises(ParameterError, match=r"Mel must have shape \?x128x\?; got \(1, 64, 8\)"):
        vocoder(torch.zeros(1, 64, 8), pitch, torch.zeros(1, 8 * 512))
    with pytest.raises(ParameterError, match=r"Noise must have shape 1x4096; got \(1, 100\)"):
        vocoder(torch.zeros(1, 128, 8), pitch, torch.zeros(1, 100))
