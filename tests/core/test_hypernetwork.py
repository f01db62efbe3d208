from __future__ import annotations

import dataclasses

import pytest
import torch

from core.errors import ParameterError
from core.hypernetwork import MELS, Hypernetwork, HypernetworkConfig
from core.inference.gates import GATE_COUNT
from core.inference.miss import MISS_DIM
from tests.helpers.tiny_models import TINY_GENERATOR, TINY_HYPERNETWORK, TinyNetworks

H_DIM = TINY_HYPERNETWORK.h_dim


MISS = torch.randn(8, MISS_DIM, generator=torch.Generator().manual_seed(7))


def offsets_of(
    networks: TinyNetworks, h: torch.Tensor, h_init: torch.Tensor, miss: torch.Tensor = MISS
) -> list[torch.Tensor]:
    return networks.hypernetwork(h, h_init, miss[: len(h)]).offsets


@pytest.fixture(scope="module")
def networks() -> TinyNetworks:
    return TinyNetworks()


def test_one_offset_for_each_modulated_layer(networks: TinyNetworks) -> None:
    specs = networks.generator.layer_specs
    offsets = offsets_of(networks, torch.randn(3, H_DIM), torch.randn(3, H_DIM))
    assert len(offsets) == len(specs)
    for offset, spec in zip(offsets, specs, strict=True):
        assert offset.shape == (3, spec.out_channels, spec.in_channels)
        assert bool(offset.any())


def test_a_fresh_one_leaves_the_generator_as_it_is(networks: TinyNetworks) -> None:
    generator = networks.generator
    fresh = Hypernetwork(TINY_HYPERNETWORK, generator.layer_specs)
    h = torch.randn(1, H_DIM)
    offsets, gates = fresh(h, torch.randn(1, H_DIM), MISS[:1])
    assert all(not offset.any() for offset in offsets)
    assert not gates.any()
    request = torch.zeros(1, TINY_GENERATOR.z_dim), torch.tensor([60.0]), torch.tensor([90.0]), h
    assert torch.equal(generator(*request, offsets), generator(*request))


def test_offsets_have_the_rank_asked_for(networks: TinyNetworks) -> None:
    h, h_init = torch.randn(2, H_DIM), torch.randn(2, H_DIM)
    for offset in offsets_of(networks, h, h_init):
        rank = int(torch.linalg.matrix_rank(offset.detach().double(), rtol=1e-5).max())
        assert rank <= TINY_HYPERNETWORK.rank


def test_timbres_together_equal_one_by_one(networks: TinyNetworks) -> None:
    h, h_init = torch.randn(4, H_DIM), torch.randn(4, H_DIM)
    together = offsets_of(networks, h, h_init)
    for index in range(4):
        alone = offsets_of(
            networks, h[index : index + 1], h_init[index : index + 1], MISS[index : index + 1]
        )
        for ours, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[index : index + 1], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("which", [0, 1])
def test_both_features_count(networks: TinyNetworks, which: int) -> None:
    pair = [torch.randn(1, H_DIM), torch.randn(1, H_DIM)]
    plain = offsets_of(networks, *pair)[0]
    pair[which] = torch.randn(1, H_DIM)
    assert float((offsets_of(networks, *pair)[0] - plain).abs().max()) > 1e-4


def test_the_first_step_moves_a_fresh_one(networks: TinyNetworks) -> None:
    # Δ = left · right starts at 0 by its left factor alone, so that a gradient can leave 0.
    fresh = Hypernetwork(TINY_HYPERNETWORK, networks.generator.layer_specs)
    offsets = fresh(torch.randn(1, H_DIM), torch.randn(1, H_DIM), MISS[:1]).offsets
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


@pytest.fixture(scope="module")
def mel_reader(networks: TinyNetworks) -> Hypernetwork:
    """HyperStyle's choice, trained enough to offset something."""
    torch.manual_seed(1)
    config = dataclasses.replace(
        TINY_HYPERNETWORK, input=MELS, encoder_channels=(4, 4, 8, 8, 8), miss_dim=0, gate_count=0
    )
    hypernetwork = Hypernetwork(config, networks.generator.layer_specs)
    for block in hypernetwork.blocks:
        torch.nn.init.normal_(block.left.weight, std=0.3)
    return hypernetwork


def _mels(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 1, 128, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@torch.no_grad()
def test_mels_in_place_of_features_give_offsets_of_the_same_layers(
    networks: TinyNetworks, mel_reader: Hypernetwork
) -> None:
    source, initial = _mels(3, 0), _mels(3, 1)
    together = mel_reader(source, initial).offsets
    for offset, spec in zip(together, networks.generator.layer_specs, strict=True):
        assert offset.shape == (3, spec.out_channels, spec.in_channels)
    alone = mel_reader(source[1:2], initial[1:2]).offsets
    for ours, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(ours[1:2], expected, atol=1e-5, rtol=1e-4)
    for changed in ((_mels(3, 2), initial), (source, _mels(3, 2))):
        assert float((mel_reader(*changed).offsets[0] - together[0]).abs().max()) > 1e-4


def test_each_kind_refuses_what_the_other_reads(
    networks: TinyNetworks, mel_reader: Hypernetwork
) -> None:
    with pytest.raises(ParameterError, match="Mel of the source must have shape"):
        mel_reader(torch.zeros(1, H_DIM), torch.zeros(1, H_DIM))
    with pytest.raises(ParameterError, match="Timbre features must have shape"):
        networks.hypernetwork(_mels(1, 0), _mels(1, 1))


def test_the_papers_hypernetwork_has_no_weight_of_what_is_ours(networks: TinyNetworks) -> None:
    # Bundles made before there was a choice still open.
    config = HypernetworkConfig(h_dim=H_DIM, hidden_dim=16, rank=2)
    hypernetwork = Hypernetwork(config, networks.generator.layer_specs)
    names = {name.partition(".")[0] for name in hypernetwork.state_dict()}
    assert names == {"shared", "blocks"}
    refinement = hypernetwork(torch.zeros(2, H_DIM), torch.zeros(2, H_DIM))
    assert refinement.gates.shape == (2, 0)


@torch.no_grad()
def test_what_was_missed_changes_offsets_and_gates(networks: TinyNetworks) -> None:
    h = torch.randn(2, H_DIM)
    one = networks.hypernetwork(h, h, MISS[:2])
    other = networks.hypernetwork(h, h, MISS[1:3])
    assert one.gates.shape == (2, GATE_COUNT)
    assert float((one.gates - other.gates).abs().max()) > 1e-3
    assert float((one.offsets[0] - other.offsets[0]).abs().max()) > 1e-4


def test_a_missing_or_misshapen_code_is_refused(networks: TinyNetworks) -> None:
    h = torch.zeros(1, H_DIM)
    with pytest.raises(ParameterError, match="give its code"):
        networks.hypernetwork(h, h)
    with pytest.raises(ParameterError, match="Code of what was missed must have shape"):
        networks.hypernetwork(h, h, torch.zeros(1, 5))


def test_the_encoder_of_mels_has_one_to_two_million_weights() -> None:
    hypernetwork = Hypernetwork(HypernetworkConfig(input=MELS), [])
    assert hypernetwork.encoder is not None
    assert 1e6 < sum(weight.numel() for weight in hypernetwork.encoder.parameters()) < 2e6


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"input": "audio"}, "input = 'audio'"), ({"encoder_channels": ()}, "encoder_channels")],
)
def test_an_input_that_does_not_exist_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        dataclasses.replace(HypernetworkConfig(), **changes)


@torch.no_grad()
@pytest.mark.parametrize("strength", [0.0, 0.25])
def test_offsets_are_applied_at_the_strength_of_the_bundle(
    networks: TinyNetworks, strength: float
) -> None:
    config = dataclasses.replace(TINY_HYPERNETWORK, offset_strength=strength)
    weaker = Hypernetwork(config, networks.generator.layer_specs)
    weaker.load_state_dict(networks.hypernetwork.state_dict())
    h = torch.randn(2, H_DIM)
    ours, whole = weaker(h, -h, MISS[:2]), networks.hypernetwork(h, -h, MISS[:2])
    for one, other in zip(ours.offsets, whole.offsets, strict=True):
        torch.testing.assert_close(one, other * strength)
    torch.testing.assert_close(ours.gates, whole.gates)
    with pytest.raises(ParameterError, match=r"offset_strength = 1\.5"):
        dataclasses.replace(config, offset_strength=1.5)
