from __future__ import annotations

import pytest
import torch

from core.errors import ParameterError
from core.hypernetwork import Hypernetwork, HypernetworkConfig
from tests.helpers.tiny_models import TINY_GENERATOR, TINY_HYPERNETWORK, TinyNetworks

H_DIM = TINY_HYPERNETWORK.h_dim


@pytest.fixture(scope="module")
def networks() -> TinyNetworks:
    return TinyNetworks()


def test_one_offset_for_each_modulated_layer(networks: TinyNetworks) -> None:
    specs = networks.generator.layer_specs
    offsets = networks.hypernetwork(torch.randn(3, H_DIM), torch.randn(3, H_DIM))
    assert len(offsets) == len(specs)
    for offset, spec in zip(offsets, specs, strict=True):
        assert offset.shape == (3, spec.out_channels, spec.in_channels)
        assert bool(offset.any())


def test_a_fresh_one_leaves_the_generator_as_it_is(networks: TinyNetworks) -> None:
    generator = networks.generator
    fresh = Hypernetwork(TINY_HYPERNETWORK, generator.layer_specs)
    h = torch.randn(1, H_DIM)
    offsets = fresh(h, torch.randn(1, H_DIM))
    assert all(not offset.any() for offset in offsets)
    request = torch.zeros(1, TINY_GENERATOR.z_dim), torch.tensor([60.0]), torch.tensor([90.0]), h
    assert torch.equal(generator(*request, offsets), generator(*request))


def test_offsets_have_the_rank_asked_for(networks: TinyNetworks) -> None:
    h, h_init = torch.randn(2, H_DIM), torch.randn(2, H_DIM)
    for offset in networks.hypernetwork(h, h_init):
        rank = int(torch.linalg.matrix_rank(offset.detach().double(), rtol=1e-5).max())
        assert rank <= TINY_HYPERNETWORK.rank


def test_timbres_together_equal_one_by_one(networks: TinyNetworks) -> None:
    h, h_init = torch.randn(4, H_DIM), torch.randn(4, H_DIM)
    together = networks.hypernetwork(h, h_init)
    for index in range(4):
        alone = networks.hypernetwork(h[index : index + 1], h_init[index : index + 1])
        for ours, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[index : index + 1], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("which", [0, 1])
def test_both_features_count(networks: TinyNetworks, which: int) -> None:
    pair = [torch.randn(1, H_DIM), torch.randn(1, H_DIM)]
    plain = networks.hypernetwork(*pair)[0]
    pair[which] = torch.randn(1, H_DIM)
    assert float((networks.hypernetwork(*pair)[0] - plain).abs().max()) > 1e-4


def test_the_first_step_moves_a_fresh_one(networks: TinyNetworks) -> None:
    # Δ = left · right starts at 0 by its left factor alone, so that a gradient can leave 0.
    fresh = Hypernetwork(TINY_HYPERNETWORK, networks.generator.layer_specs)
    offsets = fresh(torch.randn(1, H_DIM), torch.randn(1, H_DIM))
    torch.stack([offset.sum() for offset in offsets]).sum().backward()
    for block in fresh.blocks:
        assert float(block.left.weight.grad.abs().max()) > 0


def test_features_of_another_width_are_refused(networks: TinyNetworks) -> None:
    with pytest.raises(ParameterError, match=r"Timbre features must have shape \?x16"):
        networks.hypernetwork(torch.zeros(1, 5), torch.zeros(1, 5))
    with pytest.raises(ParameterError, match="Initial features must have shape 1x16"):
        networks.hypernetwork(torch.zeros(1, H_DIM), torch.zeros(2, H_DIM))


def test_a_rank_below_one_is_refused() -> None:
    with pytest.raises(ParameterError, match="rank = 0"):
        HypernetworkConfig(rank=0)
