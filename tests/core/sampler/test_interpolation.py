from __future__ import annotations

import numpy as np
import pytest
import soxr

from core.sampler.interpolation import TAPS, make_filters
from core.sampler.layout import BANDS, PHASES
from tests.core.sampler.playing import RATE, loaded, region, render


def test_whole_positions_pass_unchanged() -> None:
    first = make_filters()[0]
    expected = np.zeros(TAPS, np.float32)
    expected[TAPS // 2 - 1] = 1.0
    np.testing.assert_array_equal(first[0], expected)
    np.testing.assert_array_equal(first[PHASES], np.roll(expected, 1))


def test_every_filter_keeps_a_constant_and_fits_eight_lanes() -> None:
    filters = make_filters()
    assert len(filters) == BANDS
    for rows in filters:
        assert rows.shape[0] == PHASES + 1
        assert rows.shape[1] % 8 == 0
        np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("semitones", [-24, -7, -1, 0, 1, 5, 12, 19, 24])
def test_as_good_as_soxr(semitones: int) -> None:
    """What both keep is the same, what soxr removes is removed: the rest is 80 dB below."""
    rate = 2.0 ** (semitones / 12)
    n = 8192
    rng = np.random.default_rng(semitones + 100)
    # Noise up to 16 kHz, but nothing in the band around the new Nyquist where filters roll off.
    spectrum = np.fft.rfft(rng.standard_normal(int(n * rate) + 4096))
    hz = np.fft.rfftfreq(int(n * rate) + 4096, 1 / RATE)
    nyquist = RATE / 2 / rate
    spectrum[(hz > 16_000) | ((hz > 0.72 * nyquist) & (hz < 1.25 * nyquist))] = 0
    source = np.fft.irfft(spectrum)
    source = (0.5 * source / np.abs(source).max()).astype(np.float32)
    sampler = loaded(region(source[None], root=60))
    sampler.note_on(60 + semitones, 127)
    ours = render(sampler, n)[0][1000:-1000]
    theirs = soxr.resample(source.astype(np.float64), rate * RATE, RATE, quality="VHQ")
    difference = ours - theirs[1000 : n - 1000]
    assert np.std(difference) < 1e-4 * np.std(source)
