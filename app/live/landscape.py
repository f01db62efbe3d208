"""The colours behind the sources of the pad, from the timbres at a grid of places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.live.source_library import SourceLibrary
from app.models.pad import audible, field_weights
from app.models.session import Source
from app.timbre_colours import TimbreProjection, paint_landscape

GRID_POINTS = 14
"""Points along each side at which the timbre is known."""


def landscape(
    sources: Sequence[Source], library: SourceLibrary, *, is_dark: bool
) -> NDArray[np.uint8] | None:
    """The field of the pad; None with fewer than two timbres known.

    Args:
        sources: All of the shelf.
        library: Knows their timbres.
        is_dark: Colours for the dark theme.
    """
    known = [source for source in audible(sources) if library.timbre(source) is not None]
    timbres = [timbre for source in known if (timbre := library.timbre(source)) is not None]
    if len(timbres) < 2:
        return None
    features = np.stack([timbre.features for timbre in timbres])  # [S, H]
    mixed = field_weights(known, GRID_POINTS, GRID_POINTS) @ features
    # As the engine does: a mix is brought back to unit mean square.
    mixed = mixed / np.sqrt(np.mean(np.square(mixed), axis=-1, keepdims=True) + 1e-8)
    projection = TimbreProjection.fit(features)
    return paint_landscape(mixed.astype(np.float32), projection, is_dark=is_dark)
