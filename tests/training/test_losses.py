from __future__ import annotations

import math

import pytest
import torch

from training import losses


def test_reversed_gradient_is_the_negative_scaled_one() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    out = losses.reverse_gradient(x, 0.5)
    assert torch.equal(out, x)
    out.square().sum().backward()
    assert torch.allclose(x.grad, -0.5 * 2 * x)


def test_r1_of_a_linear_critic_is_its_squared_slope() -> None:
    slope = torch.randn(12)
    real = torch.randn(5, 3, 4, requires_grad=True)
    logits = real.flatten(1) @ slope
    assert float(losses.r1_penalty(logits, real)) == pytest.approx(
        float(slope.square().sum()), rel=1e-5
    )


def test_logistic_losses_at_indifference() -> None:
    zero = torch.zeros(7)
    assert float(losses.discriminator_logistic(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(losses.generator_logistic(zero)) == pytest.approx(math.log(2))


def test_contrast_prefers_instruments_apart() -> None:
    instrument = torch.tensor([0, 0, 1, 1])
    apart = torch.eye(2).repeat_interleave(2, dim=0)
    mixed = torch.eye(2).repeat(2, 1)
    good = losses.instrument_contrast(apart, instrument, 0.1)
    bad = losses.instrument_contrast(mixed, instrument, 0.1)
    assert float(good) < 0.01 < 5.0 < float(bad)


def test_contrast_is_finite_where_an_instrument_stands_alone() -> None:
    loss = losses.instrument_contrast(torch.randn(3, 8), torch.tensor([0, 1, 2]), 0.1)
    assert torch.isfinite(loss)


def test_stft_distance_of_a_sound_to_itself_is_zero_and_grows_with_detuning() -> None:
    time_s = torch.arange(22050) / 44100
    tone, near, far = (torch.sin(2 * torch.pi * f * time_s)[None] for f in (440.0, 442.0, 500.0))
    assert sum(losses.multi_resolution_stft(tone, tone)) == 0.0
    distances = [float(sum(losses.multi_resolution_stft(x, tone))) for x in (near, far)]
    assert 0.0 < distances[0] < distances[1]


def test_stft_distance_stays_moderate_for_silence() -> None:
    silence = torch.zeros(2, 8192)
    convergence, log_distance = losses.multi_resolution_stft(1e-5 * torch.randn(2, 8192), silence)
    assert float(convergence) < 2.0  # a ratio to digital silence would be enormous
    assert torch.isfinite(log_distance)


def test_least_squares_losses_vanish_at_their_goals() -> None:
    one, zero = [torch.ones(3), torch.ones(2)], [torch.zeros(3), torch.zeros(2)]
    assert float(losses.least_squares_discriminator(one, zero)) == 0.0
    assert float(losses.least_squares_generator(one)) == 0.0
    assert float(losses.feature_matching(one, one)) == 0.0


def heard_mels(count: int = 2) -> torch.Tensor:
    """Mels whose lower half is audible, whose upper half lies 80 dB below."""
    mels = torch.rand(count, 8, 20, generator=torch.Generator().manual_seed(3)) * 0.5 + 0.5
    mels[:, 4:] = -1.0
    return mels


def test_level_free_forgives_a_gain_and_reports_it() -> None:
    true = heard_mels()
    louder = torch.where(true > -1.0, true + 0.2, true)
    missed = losses.level_free(louder, true, depth=1.6)
    for part in (missed.squared, missed.absolute, missed.quiet, missed.movement):
        assert float(part) == pytest.approx(0.0, abs=1e-6)
    assert float(missed.level) == pytest.approx(0.04, rel=1e-4)


def test_level_free_counts_colour_where_it_is_heard_and_quiet_bins_apart() -> None:
    true = heard_mels()
    tilted, hiss = true.clone(), true.clone()
    tilted[:, :2] += 0.1
    tilted[:, 2:4] -= 0.1
    hiss[:, 4:] = -0.8
    colour, quiet = (losses.level_free(each, true, depth=1.2) for each in (tilted, hiss))
    assert float(colour.squared) == pytest.approx(0.01, rel=1e-4)
    assert float(colour.absolute) == pytest.approx(0.1, rel=1e-4)
    assert float(colour.quiet) == 0.0
    assert float(quiet.squared) == pytest.approx(0.0, abs=1e-9)
    assert float(quiet.quiet) == pytest.approx(0.2, rel=1e-4)


def test_bins_that_only_the_rendering_makes_audible_count() -> None:
    true = heard_mels()
    loud_hiss = true.clone()
    loud_hiss[:, 4:] = 0.5
    assert float(losses.level_free(loud_hiss, true, depth=1.2).squared) > 0.1


def test_a_still_mel_misses_movement_that_a_shuffled_one_has() -> None:
    true = heard_mels()
    still = torch.where(true > -1.0, true[:, :4].mean(), true)
    mirrored = true.flip(dims=[2])  # as lively, at other times
    assert float(losses.level_free(still, true, depth=1.6).movement) > 0.05
    assert float(losses.level_free(mirrored, true, depth=1.6).movement) < 1e-6


def test_each_note_is_levelled_by_itself() -> None:
    true = heard_mels()
    changed = true.clone()
    changed[0, :4] += 0.3
    changed[1, :4] -= 0.3
    missed = losses.level_free(changed, true, depth=1.6)
    assert float(missed.squared) == pytest.approx(0.0, abs=1e-6)
    assert float(missed.level) == pytest.approx(0.09, rel=1e-3)
