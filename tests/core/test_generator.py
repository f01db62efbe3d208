from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.errors import ParameterError
from core.generator import CONDITION_DIM, Generator, GeneratorConfig, encode_condition
from core.mel import MelConfig
from tests.helpers.tiny_models import TINY_GENERATOR, TinyNetworks

MEL = MelConfig()


@pytest.fixture(scope="module")
def networks() -> TinyNetworks:
    made = TinyNetworks()
    for name, parameter in made.generator.named_parameters():
        if name.endswith("layout_weight"):  # a trained one draws partials
            torch.nn.init.normal_(parameter, std=0.3)
    return made


@torch.no_grad()
def render(
    generator: Generator,
    h: Tensor,
    pitches: Sequence[float] = (60.0,),
    *,
    z: Tensor | None = None,
    velocity: float = 100.0,
    weight_offsets: Sequence[Tensor | None] | None = None,
) -> Tensor:
    """Mels [B, M, F] of timbres [B or 1, H] at the pitches [B]."""
    count = len(pitches)
    noise = torch.zeros(count, generator.config.z_dim) if z is None else z
    condition = torch.tensor(pitches), torch.full([count], velocity)
    drawn: Tensor = generator(noise, *condition, h.expand(count, -1), weight_offsets)
    return drawn[:, 0]


def timbres(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, TINY_GENERATOR.h_dim, generator=torch.Generator().manual_seed(seed))


def random_offsets(generator: Generator, count: int) -> list[Tensor]:
    source = torch.Generator().manual_seed(3)
    return [
        0.3 * torch.randn(count, spec.out_channels, spec.in_channels, generator=source)
        for spec in generator.layer_specs
    ]


def test_a_note_is_one_mel_window(networks: TinyNetworks) -> None:
    drawn = networks.generator(
        torch.zeros(3, 4), torch.tensor([48.0, 60.0, 72.5]), torch.full([3], 90.0), timbres(3)
    )
    assert drawn.shape == (3, 1, MEL.n_mels, MEL.n_frames)
    assert drawn.dtype == torch.float32
    assert torch.isfinite(drawn).all()


def test_equal_inputs_draw_equal_mels(networks: TinyNetworks) -> None:
    first = render(networks.generator, timbres(1), [60.0])
    assert torch.equal(render(networks.generator, timbres(1), [60.0]), first)
    again = TinyNetworks().generator
    again.load_state_dict(networks.generator.state_dict())
    assert torch.equal(render(again, timbres(1), [60.0]), first)


@pytest.mark.parametrize("what", ["pitch", "velocity", "timbre", "noise"])
def test_every_input_counts(networks: TinyNetworks, what: str) -> None:
    generator, h = networks.generator, timbres(1)
    plain = render(generator, h)
    other = {
        "pitch": lambda: render(generator, h, [60.5]),
        "velocity": lambda: render(generator, h, velocity=30.0),
        "timbre": lambda: render(generator, timbres(1, seed=1)),
        "noise": lambda: render(generator, h, z=torch.ones(1, 4)),
    }[what]()
    assert float((other - plain).abs().max()) > 1e-3


def test_a_batch_equals_its_notes(networks: TinyNetworks) -> None:
    pitches = [36.0, 60.0, 61.0, 95.5]
    one_by_one = torch.cat([render(networks.generator, timbres(1), [p]) for p in pitches])
    together = render(networks.generator, timbres(1), pitches)
    torch.testing.assert_close(together, one_by_one, atol=1e-4, rtol=1e-4)


def test_zero_offsets_change_no_bit(networks: TinyNetworks) -> None:
    generator = networks.generator
    zeros = [torch.zeros(1, s.out_channels, s.in_channels) for s in generator.layer_specs]
    pitches, h = [50.0, 70.0], timbres(1)
    plain = render(generator, h, pitches)
    assert torch.equal(render(generator, h, pitches, weight_offsets=zeros), plain)
    nones: list[Tensor | None] = [None] * len(zeros)
    assert torch.equal(render(generator, h, pitches, weight_offsets=nones), plain)


def test_offsets_equal_weights_multiplied_by_hand(networks: TinyNetworks) -> None:
    generator = networks.generator
    offsets = random_offsets(generator, 1)
    by_hand = TinyNetworks().generator
    by_hand.load_state_dict(generator.state_dict())
    modulated = dict(by_hand.named_modules())
    layers, outputs = iter(by_hand.synthesis.layers), iter(by_hand.synthesis.outputs)
    for spec, offset in zip(generator.layer_specs, offsets, strict=True):
        layer = next(outputs if spec.name.endswith("mel") else layers)
        assert layer in modulated.values()
        weight = layer.weight
        assert isinstance(weight, Tensor)
        weight.data *= 1 + offset[0][:, :, None, None]
    refined = render(generator, timbres(1), [55.0], weight_offsets=offsets)
    torch.testing.assert_close(refined, render(by_hand, timbres(1), [55.0]), atol=1e-4, rtol=1e-4)
    assert float((refined - render(generator, timbres(1), [55.0])).abs().max()) > 0.01


def test_refining_timbres_together_equals_one_by_one(networks: TinyNetworks) -> None:
    generator = networks.generator
    offsets, features, pitches = random_offsets(generator, 3), timbres(3), [52.0, 64.0]
    one_by_one = [
        render(
            generator, features[i : i + 1], pitches, weight_offsets=[o[i : i + 1] for o in offsets]
        )
        for i in range(3)
    ]
    together = render(
        generator, features.repeat_interleave(2, dim=0), pitches * 3, weight_offsets=offsets
    )
    torch.testing.assert_close(together, torch.cat(one_by_one), atol=2e-4, rtol=1e-3)


def test_gradients_reach_every_parameter(networks: TinyNetworks) -> None:
    generator = networks.generator
    generator.zero_grad()
    drawn = generator(
        torch.randn(2, 4), torch.tensor([50.0, 70.0]), torch.tensor([60.0, 100.0]), timbres(2)
    )
    (drawn * torch.randn_like(drawn)).mean().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert float(parameter.grad.abs().max()) > 0, name
    generator.zero_grad()


def test_the_papers_generator_has_no_layout() -> None:
    paper = Generator(replace(TINY_GENERATOR, use_layout=False), MEL)
    assert not [name for name in paper.state_dict() if "layout" in name]
    low, high = render(paper, timbres(1), [48.0, 72.0])
    assert low.shape == (MEL.n_mels, MEL.n_frames)
    assert not torch.equal(low, high)  # the mapping network still knows the pitch


def test_layers_are_named_from_coarse_to_fine(networks: TinyNetworks) -> None:
    specs = networks.generator.layer_specs
    assert [spec.name for spec in specs[:3]] == ["b4.conv0", "b4.conv1", "b4.mel"]
    assert specs[-1].name == f"b{MEL.n_mels}.mel"
    assert len({spec.name for spec in specs}) == len(specs) == 3 * len(TINY_GENERATOR.channels)


@pytest.mark.parametrize(
    ("z_shape", "h_shape", "message"),
    [
        ((2, 5), (2, 16), r"^z must have shape \?x4; got \(2, 5\)\.$"),
        ((2, 4), (2, 17), r"^Timbre features must have shape 2x16; got \(2, 17\)\.$"),
        ((2, 4), (3, 16), r"^Timbre features must have shape 2x16; got \(3, 16\)\.$"),
    ],
)
def test_inputs_of_another_width_are_refused(
    networks: TinyNetworks, z_shape: tuple[int, int], h_shape: tuple[int, int], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        networks.generator(
            torch.zeros(z_shape), torch.full([2], 60.0), torch.full([2], 90.0), torch.zeros(h_shape)
        )


def test_sizes_that_do_not_halve_are_refused() -> None:
    with pytest.raises(ParameterError, match="128x250 mel cannot be halved 5 times"):
        Generator(replace(TINY_GENERATOR, n_cells=None), replace(MEL, n_frames=250))
    with pytest.raises(ParameterError, match="128x72 mel cannot be halved 5 times"):
        Generator(replace(TINY_GENERATOR, n_cells=72), MEL)
    with pytest.raises(ParameterError, match="at least two resolutions"):
        GeneratorConfig(channels=(8,))


def test_conditions_tell_notes_and_velocities_apart() -> None:
    pitches = torch.arange(128.0)
    encoded = encode_condition(pitches, torch.full([128], 100.0))
    assert encoded.shape == (128, CONDITION_DIM)
    distances = torch.cdist(encoded, encoded) + 10 * torch.eye(128)
    assert float(distances.min()) > 0.03
    soft = encode_condition(pitches[:1], torch.tensor([1.0]))
    assert float((soft - encoded[:1]).abs().max()) > 1.0


@torch.no_grad()
def test_in_cells_a_mel_is_drawn_and_lines_between_them_are_its_frames(
    networks: TinyNetworks,
) -> None:
    generator = networks.generator
    z = torch.zeros(2, TINY_GENERATOR.z_dim)
    wanted = z, torch.tensor([48.0, 60.0]), torch.full([2], 90.0), torch.randn(2, 16)
    cells, frames = generator(*wanted, in_cells=True), generator(*wanted)
    assert cells.shape == (2, 1, MEL.n_mels, 64)
    assert frames.shape == (2, 1, MEL.n_mels, MEL.n_frames)
    torch.testing.assert_close(frames, generator.time.expand(cells))


@torch.no_grad()
def test_the_papers_generator_hears_no_velocity() -> None:
    torch.manual_seed(0)
    paper = Generator(replace(TINY_GENERATOR, use_velocity=False), MEL)
    z, pitch, h = torch.zeros(1, 4), torch.tensor([60.0]), torch.randn(1, 16)
    soft, loud = (paper(z, pitch, torch.tensor([v]), h) for v in (20.0, 120.0))
    assert torch.equal(soft, loud)
