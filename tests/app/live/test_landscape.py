from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.live.landscape import GRID_POINTS, landscape
from app.live.source_library import SourceLibrary
from app.models import edits
from app.models.document import Document
from app.models.session import Source
from core.sound import Timbre
from tests.app.live.conftest import Shelf


class Known:
    """A library that knows a colour of timbre for some sources."""

    def __init__(self, real: SourceLibrary, unknown: str = "") -> None:
        self._real = real
        self._unknown = unknown

    def timbre(self, source: Source) -> Timbre | None:
        timbre = self._real.timbre(source)
        if timbre is None or source.name == self._unknown:
            return None
        features = np.random.default_rng(len(source.name)).normal(size=4).astype(np.float32)
        return replace(timbre, features=features)


def test_the_field_needs_two_timbres(
    document: Document, library: SourceLibrary, shelf: Shelf
) -> None:
    shelf.add("a", 60, (0.0, 0.0))
    assert landscape(document.session.sources, library, is_dark=True) is None
    second = shelf.add("bb", 62, (1.0, 1.0))
    sources = document.session.sources
    assert landscape(sources, Known(library, "bb"), is_dark=True) is None  # type: ignore[arg-type]
    field = landscape(sources, Known(library), is_dark=True)  # type: ignore[arg-type]
    assert field is not None
    assert field.dtype == np.uint8
    assert field.ndim == 3
    assert min(field.shape[:2]) >= GRID_POINTS
    document.edit("Mute", edits.set_muted(document.session, second, True))
    assert landscape(document.session.sources, library, is_dark=True) is None


def test_its_colours_lie_where_the_sources_do(
    document: Document, library: SourceLibrary, shelf: Shelf
) -> None:
    shelf.add("a", 60, (0.0, 0.0))
    shelf.add("bb", 62, (1.0, 1.0))
    known = Known(library)
    dark = landscape(document.session.sources, known, is_dark=True)  # type: ignore[arg-type]
    light = landscape(document.session.sources, known, is_dark=False)  # type: ignore[arg-type]
    assert dark is not None
    assert light is not None
    assert dark.mean() < light.mean()
    corners = (dark[0, 0].astype(int), dark[-1, -1].astype(int))
    assert np.abs(corners[0] - corners[1]).max() > 10
