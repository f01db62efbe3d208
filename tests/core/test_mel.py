from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.mel import MelConfig, MelSpectrogram, band_edges_hz, hz_to_mel, mel_filters, mel_to_hz
from tests.helpers.signals import sine

CONFIG = MelConfig()
SMALL = MelConfig(
    sample_rate=16000, n_fft=512, hop_length=160, n_mels=40, f_min_hz=50.0, f_max_hz=7600.0
)


def random_audio(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(batch, length, generator=torch.Generator().manual_seed(seed))


@given(frequency_hz=st.floats(0.0, 22050.0))
def test_the_scale_is_slaneys(frequency_hz: float) -> None:
    mel = hz_to_mel(np.array([frequency_hz]))
    np.testing.assert_allclose(mel, librosa.hz_to_mel([frequency_hz]), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mel_to_hz(mel), [frequency_hz], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("config", [CONFIG, SMALL])
def test_filters_equal_librosas(config: MelConfig) -> None:
    expected = librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.f_min_hz,
        fmax=config.f_max_hz,
        norm=None,
        dtype=np.float64,
    )
    np.testing.assert_allclose(mel_filters(config), expected, atol=1e-6)


def test_filters_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        mel_filters(CONFIG)[0, 0] = 1.0


def test_neighbouring_bands_share_their_edges() -> None:
    edges = band_edges_hz(CONFIG)
    assert len(edges) == CONFIG.n_mels + 2
    assert np.all(np.diff(edges) > 0)
    assert edges[0] == pytest.approx(CONFIG.f_min_hz)
    assert edges[-1] == pytest.approx(CONFIG.f_max_hz)


@pytest.mark.parametrize("config", [CONFIG, SMALL])
def test_log_mel_equals_librosas(config: MelConfig) -> None:
    audio = random_audio(2, 40 * config.hop_length + 123)
    ours = MelSpectrogram(config)(audio).numpy()
    for item, sound in zip(ours, audio.numpy().astype(np.float64), strict=True):
        magnitudes = np.abs(
            librosa.stft(
                sound, n_fft=config.n_fft, hop_length=config.hop_length, pad_mode="constant"
            )
        )
        window_sum = librosa.filters.get_window("hann", config.n_fft).sum()
        filters = librosa.filters.mel(
            sr=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            fmin=config.f_min_hz,
            fmax=config.f_max_hz,
            norm=None,
            dtype=np.float64,
        )
        decibels = librosa.amplitude_to_db(
            filters @ magnitudes * 2 / window_sum,
            ref=1.0,
            amin=10 ** (config.floor_db / 20),
            top_db=None,
        )
        expected = 1.0 - 2.0 * decibels / config.floor_db
        np.testing.assert_allclose(item, expected[:, : item.shape[1]], atol=2e-3)


def test_a_full_scale_sine_reads_0_db() -> None:
    mel = MelSpectrogram(CONFIG)(torch.from_numpy(sine(1000.0, 1.0))[None])[0]
    middle_db = (mel[:, 20:60].amax(dim=0) - 1.0) * CONFIG.db_per_unit
    assert torch.all(middle_db.abs() <= 1.6)  # a band sums the bins of the window's main lobe


def test_the_sine_is_loudest_in_its_own_band() -> None:
    edges = band_edges_hz(CONFIG)
    for band in (20, 60, 100):
        tone = torch.from_numpy(sine(float(edges[band + 1]), 0.5))[None]
        assert int(MelSpectrogram(CONFIG)(tone)[0, :, 20].argmax()) == band


def test_silence_reads_the_floor() -> None:
    mel = MelSpectrogram(CONFIG)(torch.zeros(1, CONFIG.n_samples))
    assert mel.shape == (1, CONFIG.n_mels, CONFIG.n_frames)
    torch.testing.assert_close(mel, torch.full_like(mel, -1.0))


@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 6.0])
def test_gain_is_a_shift_above_the_floor(gain_db: float) -> None:
    spectrogram = MelSpectrogram(CONFIG)
    audio = random_audio(1, 20000)
    plain, scaled = spectrogram(audio), spectrogram(audio * 10 ** (gain_db / 20))
    shift = (scaled - plain)[(scaled > -0.99) & (plain > -0.99)]
    assert len(shift) > 1000
    torch.testing.assert_close(
        shift, torch.full_like(shift, gain_db / CONFIG.db_per_unit), atol=1e-4, rtol=0
    )


def test_a_batch_equals_its_items() -> None:
    spectrogram = MelSpectrogram(CONFIG)
    audio = random_audio(3, 9000)
    one_by_one = torch.cat([spectrogram(item[None]) for item in audio])
    torch.testing.assert_close(spectrogram(audio), one_by_one, atol=1e-5, rtol=0)


def test_delay_by_a_hop_is_delay_by_a_frame() -> None:
    spectrogram = MelSpectrogram(CONFIG)
    audio = random_audio(1, 30 * CONFIG.hop_length)
    delayed = torch.nn.functional.pad(audio, (CONFIG.hop_length, 0))
    torch.testing.assert_close(
        spectrogram(delayed)[..., 5:25], spectrogram(audio)[..., 4:24], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(("length", "frames"), [(512, 1), (513, 2), (131072, 256)])
def test_one_frame_for_each_hop_begun(length: int, frames: int) -> None:
    assert MelSpectrogram(CONFIG)(torch.zeros(1, length)).shape[-1] == frames


def test_the_phase_of_a_signal_does_not_count() -> None:
    spectrogram = MelSpectrogram(CONFIG)
    audio = random_audio(1, 9000)
    torch.testing.assert_close(spectrogram(-audio), spectrogram(audio))


@pytest.mark.parametrize("shape", [(100,), (1, 1, 100)])
def test_audio_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match=r"\[batch, samples\]"):
        MelSpectrogram(CONFIG)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"f_max_hz": 30000.0}, "above half the sample rate"), ({"floor_db": 0.0}, "negative")],
)
def test_impossible_geometry_is_refused(changes: dict[str, float], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        MelConfig(**changes)  # type: ignore[arg-type]
