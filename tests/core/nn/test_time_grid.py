from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from core.errors import ParameterError
from core.nn.time_grid import ATTACK_CELLS, TimeGrid, cell_widths


@pytest.mark.parametrize(("frames", "cells"), [(256, 64), (256, 128), (64, 32)])
def test_cells_share_all_frames_and_never_get_shorter(frames: int, cells: int) -> None:
    widths = cell_widths(frames, cells)
    assert len(widths) == cells
    assert sum(widths) == frames
    assert widths[:ATTACK_CELLS] == (1,) * ATTACK_CELLS
    assert all(
        second in (first, 2 * first, 4 * first) for first, second in itertools.pairwise(widths)
    )


def test_the_default_grid() -> None:
    assert cell_widths(256, 64) == (1,) * 12 + (4,) * 43 + (8,) * 9


@pytest.mark.parametrize("cells", [12, 300, 30])
def test_impossible_grids_are_refused(cells: int) -> None:
    with pytest.raises(ParameterError, match=f"{cells} cells"):
        cell_widths(256, cells)


def test_pooling_is_the_mean_over_each_cell() -> None:
    grid = TimeGrid(256, 64)
    frames = torch.randn(2, 3, 256)
    edges = np.cumsum((0, *cell_widths(256, 64)))
    means = [frames[..., a:b].mean(dim=-1) for a, b in itertools.pairwise(edges)]
    torch.testing.assert_close(grid.pool(frames), torch.stack(means, dim=-1))


def test_lines_go_through_every_centre_and_keep_constants_and_slopes() -> None:
    grid = TimeGrid(256, 64)
    torch.testing.assert_close(grid.expand(torch.ones(64)), torch.ones(256))
    slope = torch.arange(256, dtype=torch.float32)
    back = grid.expand(grid.pool(slope))
    torch.testing.assert_close(back[:248], slope[:248])  # up to the last cell's centre


def test_a_cell_for_every_frame_changes_nothing() -> None:
    grid = TimeGrid(256, None)
    frames = torch.randn(4, 256)
    assert grid.pool(frames) is frames
    assert grid.expand(frames) is frames
