from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import upfirdn
from torch import Tensor
from torch.nn import functional

from core.errors import ParameterError
from core.nn.ops import (
    activate,
    check_shape,
    convolve_grouped,
    convolve_in_turn,
    demodulation,
    downsample_2x,
    modulated_conv2d,
    normalize_2nd_moment,
    scale_shift_activate,
    upsample_2x,
)


def sample_by_sample(
    x: Tensor, weight: Tensor, styles: Tensor, offsets: Tensor | None, *, demodulate: bool
) -> Tensor:
    """StyleGAN2's equations 1-3 as they stand: one explicitly modulated weight for each sample."""
    drawn = []
    timbres = 1 if offsets is None else len(offsets)
    for index, (item, style) in enumerate(zip(x.double(), styles.double(), strict=True)):
        own = weight.double()
        if offsets is not None:
            own = own * (1 + offsets[index * timbres // len(x)].double()[:, :, None, None])
        own = own * style[None, :, None, None]
        if demodulate:
            own = own / (own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        drawn.append(functional.conv2d(item[None], own, padding=weight.shape[-1] // 2))
    return torch.cat(drawn).float()


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("timbres", "notes"), [(None, 4), (1, 4), (1, 1), (3, 2), (4, 1)])
def test_modulated_convolution_equals_a_loop_over_samples(
    timbres: int | None, notes: int, kernel: int, demodulate: bool
) -> None:
    batch = notes * (timbres or 1)
    x, styles = torch.randn(batch, 5, 6, 8), torch.randn(batch, 5) + 1
    weight = torch.randn(7, 5, kernel, kernel)
    offsets = None if timbres is None else 0.5 * torch.randn(timbres, 7, 5)
    convolved, scale = modulated_conv2d(x, weight, styles, offsets, demodulate=demodulate)
    assert (scale is not None) == demodulate
    ours = convolved if scale is None else convolved * scale[:, :, None, None]
    expected = sample_by_sample(x, weight, styles, offsets, demodulate=demodulate)
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-4)


def test_zero_offsets_change_no_bit() -> None:
    x, styles, weight = torch.randn(4, 5, 6, 8), torch.randn(4, 5), torch.randn(7, 5, 3, 3)
    plain = modulated_conv2d(x, weight, styles)
    refined = modulated_conv2d(x, weight, styles, torch.zeros(1, 7, 5))
    for ours, expected in zip(refined, plain, strict=True):
        assert ours is not None
        assert expected is not None
        assert torch.equal(ours, expected)


def test_notes_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(ParameterError, match="5 notes cannot be shared by 2 timbres"):
        modulated_conv2d(
            torch.randn(5, 3, 4, 4),
            torch.randn(2, 3, 3, 3),
            torch.randn(5, 3),
            torch.zeros(2, 2, 3),
        )


def test_demodulation_gives_unit_variance() -> None:
    weight, styles = torch.randn(1, 6, 9, 3, 3), 3 * torch.randn(1, 1, 9)
    x = torch.randn(1, 9, 200, 200)
    convolved, scale = modulated_conv2d(x, weight[0], styles[0])
    torch.testing.assert_close(scale, demodulation(weight, styles)[0])
    assert scale is not None
    spread = (convolved * scale[:, :, None, None]).std(dim=(0, 2, 3))
    torch.testing.assert_close(spread, torch.ones(6), atol=0.03, rtol=0)


def test_demodulation_forgets_the_scale_of_the_styles() -> None:
    weight, styles = torch.randn(2, 6, 4, 3, 3), torch.randn(2, 3, 4)
    torch.testing.assert_close(demodulation(weight, 8 * styles) * 8, demodulation(weight, styles))


def test_silent_styles_stay_finite() -> None:
    assert torch.isfinite(demodulation(torch.randn(1, 2, 3, 1, 1), torch.zeros(1, 1, 3))).all()


def test_the_fused_activation_equals_its_parts() -> None:
    x, scale, shift = torch.randn(2, 3, 4, 5), torch.randn(2, 3), torch.randn(2, 3, 4, 1)
    expected = activate(x * scale[:, :, None, None] + shift)
    torch.testing.assert_close(scale_shift_activate(x, scale, shift), expected)


def test_activation_keeps_the_mean_square() -> None:
    assert float(activate(torch.randn(100_000)).square().mean()) == pytest.approx(1.0, abs=0.05)


def test_doubling_is_the_1_3_3_1_filter() -> None:
    x = torch.randn(1, 1, 6, 9)
    taps = np.array([1.0, 3.0, 3.0, 1.0]) / 4
    expected = upfirdn(taps, upfirdn(taps, x[0, 0].numpy(), up=2, axis=0), up=2, axis=1)
    ours = upsample_2x(x)[0, 0]
    assert ours.shape == (12, 18)
    # Away from the edges, where the filter would reach outside.
    np.testing.assert_allclose(ours[1:-1, 1:-1], expected[2:-2, 2:-2], atol=1e-6)


def test_halving_averages_and_undoes_a_doubling_of_constants() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    torch.testing.assert_close(downsample_2x(x), torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]]))
    constant = torch.full((1, 2, 4, 6), 0.7)
    torch.testing.assert_close(downsample_2x(upsample_2x(constant)), constant)


def test_rows_get_unit_mean_square_and_keep_their_direction() -> None:
    x = torch.randn(5, 12) * torch.logspace(-2, 2, 5)[:, None]
    y = normalize_2nd_moment(x)
    torch.testing.assert_close(y.square().mean(dim=1), torch.ones(5), atol=1e-3, rtol=0)
    torch.testing.assert_close(functional.cosine_similarity(x, y), torch.ones(5))
    assert torch.equal(normalize_2nd_moment(torch.zeros(1, 4)), torch.zeros(1, 4))


@pytest.mark.parametrize("shape", [[2, 3], [None, 3], [2, None], [None, None]])
def test_shapes_that_fit_pass(shape: list[int | None]) -> None:
    check_shape(torch.zeros(2, 3), shape, "Thing")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([2, 4], r"^Thing must have shape 2x4; got \(2, 3\)\.$"),
        ([None, 1], r"^Thing must have shape \?x1; got \(2, 3\)\.$"),
        ([2, 3, None], r"^Thing must have shape 2x3x\?; got \(2, 3\)\.$"),
        ([], r"got \(2, 3\)\.$"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shape: list[int | None], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        check_shape(torch.zeros(2, 3), shape, "Thing")


@pytest.mark.parametrize(("timbres", "notes", "kernel"), [(2, 3, 3), (5, 1, 3), (3, 2, 1)])
def test_grouped_and_one_by_one_convolutions_are_the_same(
    timbres: int, notes: int, kernel: int
) -> None:
    x = torch.randn(timbres * notes, 4, 6, 8)
    weights = torch.randn(timbres, 5, 4, kernel, kernel)
    grouped, in_turn = convolve_grouped(x, weights), convolve_in_turn(x, weights)
    assert torch.allclose(grouped, in_turn, atol=1e-5)
