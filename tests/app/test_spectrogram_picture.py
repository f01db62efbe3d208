from __future__ import annotations

import io

import numpy as np
from PIL import Image

from app.spectrogram_picture import Panel, colours, draw_panels


def test_louder_is_lighter_everywhere() -> None:
    ramp = np.linspace(-1.2, 1.2, 200, dtype=np.float32)[None]
    pixels = colours(ramp)[0].astype(float)
    lightness = pixels @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) >= -0.75).all()  # rounding to 8 bits
    assert lightness[-1] > 200
    assert lightness[0] < 20


def test_low_bands_are_at_the_bottom() -> None:
    mel = np.full((10, 5), -1.0, np.float32)
    mel[0] = 1.0
    pixels = colours(mel)
    assert pixels[-1].sum() > pixels[0].sum()


def test_panels_stand_side_by_side() -> None:
    mels = [np.full((128, width), 0.5, np.float32) for width in (40, 100)]
    data = draw_panels([Panel(title=f"note {mel.shape[1]}", mel=mel) for mel in mels])
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    wanted = colours(mels[0])[0, 0]
    row = (picture[150] == wanted).all(axis=-1)
    assert row.sum() == 140
    assert np.count_nonzero(np.diff(row.astype(int)) == 1) == 2
