from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.errors import ParameterError
from core.feature_extractor import FeatureExtractor
from core.mel import MelConfig
from core.nn.time_grid import TimeGrid
from tests.helpers.tiny_models import TINY_FEATURES, TinyNetworks


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    """Reads every frame."""
    torch.manual_seed(0)
    return FeatureExtractor(replace(TINY_FEATURES, n_cells=None), MelConfig()).eval()


def random_mels(count: int, frames: int = 256) -> torch.Tensor:
    return torch.rand(count, 1, 128, frames) * 2 - 1


@torch.no_grad()
@pytest.mark.parametrize("frames", [32, 96, 256, 512])
def test_any_multiple_of_32_frames_gives_features_of_unit_mean_square(
    extractor: FeatureExtractor, frames: int
) -> None:
    h = extractor(random_mels(3, frames))
    assert h.shape == (3, TINY_FEATURES.h_dim)
    assert h.dtype == torch.float32
    torch.testing.assert_close(h.square().mean(dim=1), torch.ones(3), atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_batch_equals_its_items(extractor: FeatureExtractor) -> None:
    mels = random_mels(4)
    one_by_one = torch.cat([extractor(mel[None]) for mel in mels])
    torch.testing.assert_close(extractor(mels), one_by_one, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_features_depend_on_the_mel(extractor: FeatureExtractor) -> None:
    first, second = extractor(random_mels(2))
    assert float((first - second).abs().max()) > 1e-3


def test_features_have_no_state(extractor: FeatureExtractor) -> None:
    mels = random_mels(2)
    before = extractor(mels)
    extractor.train()
    assert torch.equal(extractor(mels), before)
    extractor.eval()


@torch.no_grad()
def test_moving_the_spectrum_along_frequency_is_noticed(extractor: FeatureExtractor) -> None:
    # Formants live at absolute frequencies: the mel axis is not pooled.
    mel = -torch.ones(1, 1, 128, 64)
    mel[:, :, 20:24] = 0.5
    moved = torch.roll(mel, 64, dims=2)
    assert float((extractor(mel) - extractor(moved)).abs().max()) > 0.05


@pytest.mark.parametrize("frames", [0, 1, 31, 33, 250])
def test_other_lengths_are_refused(extractor: FeatureExtractor, frames: int) -> None:
    with pytest.raises(ParameterError, match=f"{frames} frames .* use a multiple of 32"):
        extractor(torch.zeros(1, 1, 128, frames))


def test_gradients_reach_every_parameter(extractor: FeatureExtractor) -> None:
    extractor.zero_grad()
    h = extractor(random_mels(2, 64))
    (h * torch.randn_like(h)).sum().backward()
    for name, parameter in extractor.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name
    extractor.zero_grad()


@pytest.mark.parametrize("shape", [(1, 128, 256), (1, 2, 128, 256), (1, 1, 64, 256)])
def test_mels_of_another_shape_are_refused(
    extractor: FeatureExtractor, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ParameterError, match=r"Mel must have shape \?x1x128x\?"):
        extractor(torch.zeros(shape))


@torch.no_grad()
def test_in_cells_only_their_means_are_read() -> None:
    in_cells = TinyNetworks().features
    mels = random_mels(2)
    grid = TimeGrid(256, 64)
    shuffled = mels.clone()
    shuffled[..., 12:16] = mels[..., [15, 14, 13, 12]]  # within one cell
    moved = mels.clone()
    moved[..., 12:20] = mels[..., [16, 17, 18, 19, 12, 13, 14, 15]]  # from cell to cell
    torch.testing.assert_close(grid.pool(shuffled), grid.pool(mels))
    torch.testing.assert_close(in_cells(shuffled), in_cells(mels))
    assert float((in_cells(moved) - in_cells(mels)).abs().max()) > 1e-4


def test_in_cells_a_mel_must_be_a_whole_window() -> None:
    with pytest.raises(ParameterError, match=r"128x256; got \(1, 1, 128, 64\)"):
        TinyNetworks().features(random_mels(1, 64))
