from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.mel import MelConfig, MelSpectrogram, band_edges_hz
from core.nn.pitch_layout import LAYOUT_CHANNELS, PitchLayout, _hann_lobe, midi_to_f0_hz

CONFIG = MelConfig()
PULSES, OCTAVES, COSINES, SINES, RESOLVED = range(LAYOUT_CHANNELS)


def layout_of(midi_pitch: float) -> NDArray[np.float32]:
    drawn: NDArray[np.float32] = PitchLayout(CONFIG)(torch.tensor([midi_pitch]))[0].numpy()
    return drawn


def pulse_train_bands(midi_pitch: float) -> NDArray[np.float64]:
    """Linear mel bands [M] in the middle of a pulse train whose partials have amplitude 1."""
    f0 = 440.0 * 2.0 ** ((midi_pitch - 69) / 12)
    time_s = np.arange(16384) / CONFIG.sample_rate
    count = int(CONFIG.sample_rate / 2 / f0)
    train = sum(np.cos(2 * np.pi * n * f0 * time_s) for n in range(1, count + 1)) / count
    # The mel's scale is logarithmic with a floor at -80 dB, so the train may be scaled and back.
    mel = MelSpectrogram(CONFIG)(torch.tensor(np.array(train), dtype=torch.float32)[None])[0, :, 16]
    bands: NDArray[np.float64] = 10.0 ** ((mel.double().numpy() - 1.0) * CONFIG.db_per_unit / 20)
    return bands * count


@pytest.mark.parametrize("midi_pitch", [45.0, 57.3, 72.0, 96.0])
def test_pulses_are_the_log_mel_of_a_real_pulse_train(midi_pitch: float) -> None:
    expected = np.log10(pulse_train_bands(midi_pitch) + 1e-3) / 1.5 + 0.5
    # The top bands hold partials that a real train loses at half the sample rate.
    ours = layout_of(midi_pitch)[PULSES]
    assert np.corrcoef(ours[:-4], expected[:-4])[0, 1] > 0.98
    loud = expected > 0.0  # the layout has no side lobes, which fill the valleys of the real one
    np.testing.assert_allclose(ours[loud], expected[loud], atol=0.15)


@pytest.mark.parametrize("midi_pitch", [60.0, 69.0, 81.2, 93.0])
def test_partials_stand_out_in_their_own_bands(midi_pitch: float) -> None:
    pulses = layout_of(midi_pitch)[PULSES]
    edges = band_edges_hz(CONFIG)
    f0 = 440.0 * 2.0 ** ((midi_pitch - 69) / 12)
    for number in range(1, 5):
        band = int(np.argmin(np.abs(edges[1:-1] - number * f0)))
        between = int(np.argmin(np.abs(edges[1:-1] - (number + 0.5) * f0)))
        assert pulses[band] > pulses[between] + 0.2


@pytest.mark.parametrize("midi_pitch", [0.0, 21.0, 60.0, 108.0, 127.0])
def test_any_note_gives_finite_values_of_about_one(midi_pitch: float) -> None:
    drawn = layout_of(midi_pitch)
    assert drawn.shape == (LAYOUT_CHANNELS, CONFIG.n_mels)
    assert np.all(np.abs(drawn) < 3.5)


def test_phases_are_those_of_the_band_centres() -> None:
    drawn = layout_of(60.0).astype(np.float64)
    ratio = band_edges_hz(CONFIG)[1:-1] / 261.6255653
    np.testing.assert_allclose(drawn[OCTAVES], np.log2(ratio) / 4, atol=1e-5)
    np.testing.assert_allclose(
        drawn[COSINES], drawn[RESOLVED] * np.cos(2 * np.pi * ratio), atol=1e-4
    )
    np.testing.assert_allclose(drawn[SINES], drawn[RESOLVED] * np.sin(2 * np.pi * ratio), atol=1e-4)


def test_bands_resolve_low_partials_of_high_notes_only() -> None:
    low, high = layout_of(24.0)[RESOLVED], layout_of(96.0)[RESOLVED]
    assert np.all(low < 0.2)
    assert np.all(high[:100] > 0.9)
    assert np.all(np.diff(high) < 1e-6)  # wider and wider bands


def test_an_octave_up_moves_the_octave_map_by_a_quarter() -> None:
    np.testing.assert_allclose(layout_of(60.0)[OCTAVES] - layout_of(72.0)[OCTAVES], 0.25, atol=1e-5)


def test_equal_pitches_of_a_batch_are_laid_out_alike() -> None:
    drawn = PitchLayout(CONFIG)(torch.tensor([60.0, 47.3, 60.0, 71.0, 60.0]))
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[0], drawn[4])
    torch.testing.assert_close(drawn[1].numpy(), layout_of(47.3), atol=1e-5, rtol=0)


def test_the_lobe_is_the_transform_of_a_hann_window() -> None:
    finer = 32
    window = torch.hann_window(CONFIG.n_fft, dtype=torch.float64).numpy()
    spectrum = np.abs(np.fft.rfft(window, CONFIG.n_fft * finer)) / window.sum()
    distance = np.arange(2 * finer) / finer
    lobe = _hann_lobe(torch.tensor(distance)).numpy()
    np.testing.assert_allclose(lobe, spectrum[: 2 * finer], atol=1e-6)
    assert torch.equal(_hann_lobe(torch.tensor([2.0, -2.0, 5.5, 1e6])), torch.zeros(4))
    torch.testing.assert_close(
        _hann_lobe(torch.tensor(-distance)), _hann_lobe(torch.tensor(distance))
    )


def test_midi_notes_in_hertz() -> None:
    torch.testing.assert_close(
        midi_to_f0_hz(torch.tensor([69.0, 57.0, 60.0, 69.5])),
        torch.tensor([440.0, 220.0, 261.6255653, 452.8929841]),
    )
