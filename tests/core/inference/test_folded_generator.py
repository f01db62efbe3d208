from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.generator import Generator
from core.inference.folded_generator import FoldedGenerator
from tests.helpers.tiny_models import TINY_GENERATOR, TinyNetworks

PITCHES = torch.tensor([36.0, 60.3, 84.0])


def trained(use_layout: bool) -> Generator:
    """A generator none of whose parameters is at its initial zero or one."""
    torch.manual_seed(1)
    networks = TinyNetworks()
    generator = Generator(replace(TINY_GENERATOR, use_layout=use_layout), networks.mel).eval()
    for parameter in generator.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return generator.requires_grad_(False)


def inputs_of(generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    config = generator.config
    h = torch.randn(1, config.h_dim).expand(len(PITCHES), -1)
    return torch.randn(len(PITCHES), config.z_dim), PITCHES, torch.tensor([1.0, 64.0, 127.0]), h


def offsets_of(generator: Generator, strength: float) -> list[Tensor]:
    return [
        strength * torch.randn(1, spec.out_channels, spec.in_channels)
        for spec in generator.layer_specs
    ]


@pytest.mark.parametrize("use_layout", [True, False])
@pytest.mark.parametrize("refined", [True, False])
def test_it_draws_what_the_generator_draws(use_layout: bool, refined: bool) -> None:
    generator = trained(use_layout)
    inputs = inputs_of(generator)
    offsets = offsets_of(generator, 0.3) if refined else None
    folded = FoldedGenerator(generator, torch.float32)
    ours = folded.draw(*inputs, folded.fold(offsets))
    expected = generator(*inputs, offsets)[:, 0]
    torch.testing.assert_close(ours, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


def test_in_bfloat16_it_is_no_further_off_than_autocast_is() -> None:
    generator = trained(use_layout=True)
    inputs = inputs_of(generator)
    offsets = offsets_of(generator, 0.3)
    exact = generator(*inputs, offsets)[:, 0]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = generator(*inputs, offsets)[:, 0]
    folded = FoldedGenerator(generator, torch.bfloat16)
    ours = folded.draw(*inputs, folded.fold(offsets))
    assert ours.dtype == torch.float32
    assert (ours - exact).square().mean() < 1.5 * (rounded - exact).square().mean()


def test_folding_one_timbre_leaves_the_others_alone() -> None:
    generator = trained(use_layout=True)
    inputs = inputs_of(generator)
    folded = FoldedGenerator(generator, torch.float32)
    plain = folded.fold(None)
    before = folded.draw(*inputs, plain)
    other = folded.draw(*inputs, folded.fold(offsets_of(generator, 0.5)))
    assert not torch.allclose(other, before, atol=0.01)
    assert torch.equal(folded.draw(*inputs, plain), before)
    assert torch.equal(folded.draw(*inputs, folded.fold(None)), before)
