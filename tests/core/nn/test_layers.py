from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from core.nn.layers import (
    Conv2dLayer,
    FullyConnectedLayer,
    LayerSpec,
    SynthesisLayer,
    ToMelLayer,
)

SPEC = LayerSpec(name="b8.conv0", in_channels=5, out_channels=7)


@pytest.mark.parametrize("lr_multiplier", [0.01, 0.1, 4.0])
def test_the_learning_rate_multiplier_changes_no_output(lr_multiplier: float) -> None:
    x = torch.randn(3, 6)
    torch.manual_seed(1)
    plain = FullyConnectedLayer(6, 4, bias_init=0.5)
    torch.manual_seed(1)
    scaled = FullyConnectedLayer(6, 4, bias_init=0.5, lr_multiplier=lr_multiplier)
    torch.testing.assert_close(scaled(x), plain(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("lr_multiplier", [0.1, 4.0])
def test_the_multiplier_scales_a_step_of_a_sign_following_optimizer(lr_multiplier: float) -> None:
    # Adam's first step moves each stored weight by ±lr, so the effective one by ±lr · multiplier.
    moves = []
    for layer in (
        FullyConnectedLayer(6, 4),
        FullyConnectedLayer(6, 4, lr_multiplier=lr_multiplier),
    ):
        (gradient,) = torch.autograd.grad(layer(torch.ones(1, 6)).sum(), layer.weight)
        moves.append(gradient.sign() * layer.weight_gain)
    torch.testing.assert_close(moves[1], moves[0] * lr_multiplier)


def test_fresh_layers_keep_unit_variance() -> None:
    dense, conv = FullyConnectedLayer(400, 400), Conv2dLayer(40, 40, 3, activation=False)
    assert float(dense(torch.randn(50, 400)).detach().std()) == pytest.approx(1.0, abs=0.05)
    inner = conv(torch.randn(2, 40, 32, 32))[..., 1:-1, 1:-1]
    assert float(inner.detach().std()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_the_plain_convolution_equals_torchs(stride: int, gain: float) -> None:
    layer = Conv2dLayer(3, 4, 3, stride=stride, activation=False, gain=gain)
    x = torch.randn(2, 3, 8, 10)
    torch.nn.init.normal_(layer.bias)
    weight = layer.weight / (3 * 9) ** 0.5
    expected = functional.conv2d(x, weight, layer.bias, stride, 1) * gain
    torch.testing.assert_close(layer(x), expected)


def test_a_fresh_layer_ignores_the_layout() -> None:
    layer = SynthesisLayer(SPEC, 6, 2)
    x, w = torch.randn(3, 5, 8, 4), torch.randn(3, 6)
    assert torch.equal(layer(x, w, torch.randn(3, 2, 8), None), layer(x, w, None, None))


def test_the_layout_is_added_before_the_activation_for_all_frames() -> None:
    layer = SynthesisLayer(SPEC, 6, 2)
    assert layer.layout_weight is not None
    torch.nn.init.normal_(layer.layout_weight)
    x, w, layout = torch.zeros(3, 5, 8, 4), torch.randn(3, 6), torch.randn(3, 2, 8)
    drawn = (layout.transpose(1, 2) @ layer.layout_weight.T).transpose(1, 2)
    drawn = drawn * layer.layout_affine(w)[:, :, None]
    expected = functional.leaky_relu(drawn, 0.2) * 2**0.5
    torch.testing.assert_close(
        layer(x, w, layout, None), expected[..., None].expand(-1, -1, -1, 4), atol=1e-5, rtol=1e-4
    )


def test_the_mel_output_is_linear_in_its_styles() -> None:
    spec = LayerSpec(name="b8.mel", in_channels=5, out_channels=1)
    layer = ToMelLayer(spec, 6)
    x, w = torch.randn(2, 5, 8, 4), torch.randn(2, 6)
    styles = layer.affine(w)
    expected = torch.einsum("oi,bi,bimf->bomf", layer.weight[:, :, 0, 0] / 5**0.5, styles, x)
    torch.testing.assert_close(layer(x, w, None), expected, atol=1e-5, rtol=1e-4)
