"""How much of each source of a session sounds where on the pad.

Shape legend: S sources.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.models.session import Session, Source
from core.pad import weights_at


def audible(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The sources that sound: not muted, and soloed where any such one is."""
    unmuted = [source for source in sources if not source.muted]
    soloed = [source for source in unmuted if source.soloed]
    return tuple(soloed or unmuted)


def source_weights(sources: Sequence[Source], x: float, y: float) -> dict[str, float]:
    """How much of each source sounds with the cursor at x, y.

    Args:
        sources: All of the shelf.
        x: Across, 0–1.
        y: Upwards, 0–1.

    Returns:
        Weights by source id, in the sources' order; 0 for those that do not sound. They sum to 1
        unless nothing sounds.
    """
    weights = dict.fromkeys((source.id for source in sources), 0.0)
    sounding = audible(sources)
    if sounding:
        row = weights_at(np.array([[x, y]], dtype=np.float64), _places(sounding))[0]
        weights.update((source.id, float(w)) for source, w in zip(sounding, row, strict=True))
    return weights


def session_weights(session: Session, x: float, y: float) -> dict[str, float]:
    """How much of each source of a session sounds: notes of one instrument count alike, wherever the cursor is."""
    if not session.one_instrument:
        return source_weights(session.sources, x, y)
    weights = dict.fromkeys((source.id for source in session.sources), 0.0)
    sounding = audible(session.sources)
    weights.update((source.id, 1.0 / len(sounding)) for source in sounding)
    return weights


def field_weights(sources: Sequence[Source], columns: int, rows: int) -> NDArray[np.float64]:
    """Weights over a grid that reaches from edge to edge: the landscape behind the sources.

    Args:
        sources: All of the shelf, at least one of them audible.
        columns: Points along x, 2 or more.
        rows: Points along y, 2 or more.

    Returns:
        [rows, columns, S] for the :func:`audible` sources in their order; row 0 is y = 0 (bottom).
    """
    y, x = np.meshgrid(np.linspace(0.0, 1.0, rows), np.linspace(0.0, 1.0, columns), indexing="ij")
    weights = weights_at(np.stack([x.ravel(), y.ravel()], axis=1), _places(audible(sources)))
    return weights.reshape(rows, columns, -1)


def _places(sources: Sequence[Source]) -> NDArray[np.float64]:
    return np.array([(source.x, source.y) for source in sources], dtype=np.float64)  # [S, 2]
