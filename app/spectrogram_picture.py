"""Spectrograms as a PNG picture, for reports and for places without a window.

Shape legend: M mel bands, F frames.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_BACKGROUND = (18, 18, 24)
_TEXT = (225, 225, 230)
_MARGIN = 12
_TITLE_HEIGHT = 20
_BAND_HEIGHT = 2
_STOPS = np.array(
    [[6, 6, 20], [54, 18, 92], [140, 34, 120], [222, 74, 92], [252, 160, 92], [252, 250, 200]],
    dtype=np.float64,
)
"""Colours from the floor to full scale; lightness rises steadily."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One spectrogram of the picture."""

    title: str
    mel: NDArray[np.float32]
    """Normalised log-mel in [-1, 1], [M, F]; low bands first."""


def colours(mel: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGB pixels [M, F, 3] of a normalised log-mel [M, F], low bands at the bottom."""
    level = np.clip((mel[::-1] + 1.0) / 2.0, 0.0, 1.0)
    places = np.linspace(0.0, 1.0, len(_STOPS))
    channels = [np.interp(level, places, _STOPS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def draw_panels(panels: Sequence[Panel]) -> bytes:
    """Panels side by side under their titles.

    Args:
        panels: At least one; lengths may differ.

    Returns:
        A PNG file's contents.
    """
    images = [Image.fromarray(colours(panel.mel)) for panel in panels]
    images = [image.resize((image.width, image.height * _BAND_HEIGHT)) for image in images]
    width = sum(image.width + _MARGIN for image in images) + _MARGIN
    height = max(image.height for image in images) + _TITLE_HEIGHT + 2 * _MARGIN
    picture = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    left = _MARGIN
    for panel, image in zip(panels, images, strict=True):
        draw.text((left, _MARGIN), panel.title, fill=_TEXT)
        picture.paste(image, (left, _MARGIN + _TITLE_HEIGHT))
        left += image.width + _MARGIN
    contents = io.BytesIO()
    picture.save(contents, "PNG")
    return contents.getvalue()
