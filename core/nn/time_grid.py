"""Cells of time: every frame in the attack, ever longer ones after it.

A note changes fast while it begins and slowly while it rings. A network that draws, or reads, cells
instead of frames spends its convolutions where something happens: the default 64 cells for 256
frames cost a quarter, and a true mel loses 0.35 dB when it is averaged over them.

Ours, not the paper's.

Shape legend: M mel bands, F frames, C cells.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import ParameterError

ATTACK_CELLS = 12
"""Cells of one frame each at the start (0.14 s)."""


def cell_widths(n_frames: int, n_cells: int | None) -> tuple[int, ...]:
    """Frames of each cell, non-decreasing: ATTACK_CELLS of one, then two neighbouring powers of two.

    Args:
        n_frames: F.
        n_cells: C; None gives every frame a cell.

    Raises:
        ParameterError: No such cells add up to F.
    """
    if n_cells is None:
        return (1,) * n_frames
    frames, cells = n_frames - ATTACK_CELLS, n_cells - ATTACK_CELLS
    if not 0 < cells <= frames:
        raise ParameterError(
            f"{n_cells} cells cannot share {n_frames} frames; use more than {ATTACK_CELLS} and at "
            "most one for each frame."
        )
    width = 1 << ((frames // cells).bit_length() - 1)
    wide, rest = divmod(frames - width * cells, width)
    if rest:
        raise ParameterError(
            f"{n_cells} cells do not add up to {n_frames} frames; use a multiple of 4 or {n_frames}."
        )
    return (1,) * ATTACK_CELLS + (width,) * (cells - wide) + (2 * width,) * wide


class TimeGrid(nn.Module):
    """Frames to cells and back.

    Args:
        n_frames: F.
        n_cells: C; None gives every frame a cell.
    """

    averages: Tensor
    lines: Tensor

    def __init__(self, n_frames: int, n_cells: int | None) -> None:
        super().__init__()
        widths = np.array(cell_widths(n_frames, n_cells))
        ends = np.cumsum(widths)
        centres = ends - (widths + 1) / 2
        frames = np.arange(n_frames)
        averages = (frames[:, None] < ends) & (frames[:, None] >= ends - widths)
        # Column by column, the line that rises to a cell's centre and falls to the next one's.
        lines = np.stack([np.interp(frames, centres, row) for row in np.eye(len(widths))])
        self.n_cells = len(widths)
        self.is_identity = n_cells is None
        for name, matrix in (("averages", averages / widths), ("lines", lines)):
            tensor = torch.from_numpy(matrix.astype(np.float32))
            self.register_buffer(name, tensor, persistent=False)

    def pool(self, mel: Tensor) -> Tensor:
        """Means over the frames of each cell, [..., F] to [..., C]."""
        return mel if self.is_identity else _times(mel, self.averages)

    def expand(self, cells: Tensor) -> Tensor:
        """Straight lines from the centre of each cell to the next, [..., C] to [..., F]."""
        return cells if self.is_identity else _times(cells, self.lines)


def _times(x: Tensor, matrix: Tensor) -> Tensor:
    """In full precision: a mel in bfloat16 is off by 0.2 dB."""
    with torch.autocast(x.device.type, enabled=False):
        return x.float() @ matrix
