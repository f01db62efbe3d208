from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.theme import DARK, LIGHT, apply_theme
from app.widgets.mel_axes import FrequencyAxis, MelScale, NoteAxis, nearest_note
from app.widgets.spectrogram_view import SpectrogramView, difference_colours
from core.errors import ParameterError
from core.mel import MelConfig, MelSpectrogram

Shown = Callable[[SpectrogramView, int, int], SpectrogramView]
_CONFIG = MelConfig()


@pytest.fixture
def view(shown: Shown) -> SpectrogramView:
    view = SpectrogramView()
    view.set_mel_config(_CONFIG)
    view.set_mels(np.zeros((128, 256), np.float32), np.zeros((128, 256), np.float32))
    return shown(view, 640, 700)


def _mel(audio: np.ndarray) -> np.ndarray:
    padded = np.zeros(_CONFIG.n_samples, np.float32)
    padded[: len(audio)] = audio
    return MelSpectrogram(_CONFIG)(torch.from_numpy(padded)[None])[0].numpy()


@pytest.mark.parametrize("frequency_hz", [440.0, 1000.0, 3333.0, 12000.0])
def test_a_sine_is_seen_at_its_frequency(frequency_hz: float) -> None:
    """The brightest band of the mel and the axis agree to half a band."""
    time_s = np.arange(_CONFIG.n_samples) / _CONFIG.sample_rate
    mel = _mel(np.sin(2 * np.pi * frequency_hz * time_s).astype(np.float32))
    brightest = int(mel[:, 100].argmax())
    assert MelScale.of(_CONFIG).band_of(frequency_hz) == pytest.approx(brightest, abs=0.51)


@given(frequency_hz=st.floats(1.0, 22000.0))
def test_bands_and_hertz_are_inverse(frequency_hz: float) -> None:
    scale = MelScale.of(_CONFIG)
    assert scale.hz_of(scale.band_of(frequency_hz)) == pytest.approx(frequency_hz)


@pytest.mark.parametrize("axis_class", [FrequencyAxis, NoteAxis])
@pytest.mark.parametrize("size", [60.0, 300.0, 2000.0])
def test_labels_are_true_and_stand_apart(axis_class: type, size: float, qapp: QApplication) -> None:
    scale = MelScale.of(_CONFIG)
    axis = axis_class("left")
    axis.set_scale(scale) if axis_class is FrequencyAxis else axis.set_scale(scale, 4)
    ((_, places),) = axis.tickValues(-0.5, 127.5, size)
    assert places
    assert np.diff(sorted(places)).min(initial=128) * size / 128 >= 15.9
    for place, text in zip(places, axis.tickStrings(places, 1.0, None), strict=True):
        if axis_class is NoteAxis:
            assert nearest_note(scale.hz_of(place), 4) == text
        else:
            hz = float(text.removesuffix("k")) * (1000 if text.endswith("k") else 1)
            assert scale.hz_of(place) == pytest.approx(hz)


def test_notes_follow_the_octave_numbering() -> None:
    assert [nearest_note(261.63, octave) for octave in (3, 4, 5)] == ["C3", "C4", "C5"]
    assert nearest_note(442.0, 4) == "A4"
    assert nearest_note(3.0, 4) == ""


def test_the_reading_tells_time_frequency_and_levels(view: SpectrogramView) -> None:
    source = np.full((128, 256), -1.0, np.float32)
    result = np.full((128, 200), 1.0, np.float32)
    source[40, 100] = 0.0
    view.set_mels(source, result)
    reading = view.reading_at(100 * 512 / 44100, 40.0)
    assert reading is not None
    assert reading.levels_db == (-40.0, 0.0, 40.0)
    assert reading.frequency_hz == pytest.approx(MelScale.of(_CONFIG).edges_hz[41])
    beyond = view.reading_at(220 * 512 / 44100, 3.0)
    assert beyond is not None
    assert beyond.levels_db == (-80.0, None, None)
    assert view.reading_at(-1.0, 3.0) is None
    assert view.reading_at(1.0, 128.0) is None


def test_a_click_is_read_at_its_time(view: SpectrogramView) -> None:
    audio = np.zeros(_CONFIG.n_samples, np.float32)
    audio[44100] = 1.0
    view.set_mels(_mel(audio), None)
    levels = []
    for time_s in np.arange(0.5, 1.5, 0.01):
        reading = view.reading_at(float(time_s), 60.0)
        assert reading is not None
        assert reading.levels_db[0] is not None
        levels.append(reading.levels_db[0])
    assert 0.5 + 0.01 * int(np.argmax(levels)) == pytest.approx(1.0, abs=0.025)


def test_one_zoom_for_all_three_and_home_shows_all(view: SpectrogramView) -> None:
    ranges = [panel.view.viewRange() for panel in view._panels]
    QTest.keyClick(view, Qt.Key.Key_Plus)
    QTest.keyClick(view, Qt.Key.Key_Right)
    zoomed = [panel.view.viewRange() for panel in view._panels]
    assert np.ptp(np.array(zoomed), axis=0).max() < 1e-6
    (left, right), (bottom, top) = zoomed[0]
    whole = ranges[0][0][1] - ranges[0][0][0]
    assert right - left == pytest.approx(0.8 * whole)
    assert left >= 0.0
    assert bottom >= -0.5
    assert top <= 127.5
    QTest.keyClick(view, Qt.Key.Key_Home)
    assert np.array(view._panels[2].view.viewRange()) == pytest.approx(np.array(ranges[0]))


@pytest.mark.parametrize("orientation", [Qt.Orientation.Horizontal, Qt.Orientation.Vertical])
def test_pictures_share_their_scale_in_both_orders(
    view: SpectrogramView, orientation: Qt.Orientation
) -> None:
    view.set_orientation(orientation)
    view.set_titles("Bell", "C4")
    QApplication.processEvents()
    boxes = [panel.view.sceneBoundingRect() for panel in view._panels]
    first, last = boxes[0].center(), boxes[2].center()
    if orientation == Qt.Orientation.Horizontal:
        assert last.x() > first.x() + 100
    else:
        assert last.y() > first.y() + 100
    heights = [panel.view.height() for panel in view._panels]
    assert max(heights) - min(heights) <= 0.05 * max(heights)


def test_the_playhead_comes_and_goes(view: SpectrogramView) -> None:
    view.set_playhead(1.25)
    assert [panel.playhead.value() for panel in view._panels] == [1.25] * 3
    assert all(panel.playhead.isVisible() for panel in view._panels)
    view.set_playhead(None)
    assert not any(panel.playhead.isVisible() for panel in view._panels)


def test_without_mels_a_hint_takes_their_place(view: SpectrogramView) -> None:
    assert not view._hint.isVisible()
    view.set_mels(None, None)
    assert view._hint.isVisible()
    assert not view._graphics.isVisible()


def test_mels_of_another_height_are_refused(view: SpectrogramView) -> None:
    with pytest.raises(ParameterError, match="128"):
        view.set_mels(np.zeros((64, 256), np.float32), None)


def test_axes_come_first(shown: Shown) -> None:
    with pytest.raises(ParameterError, match="set_mel_config"):
        shown(SpectrogramView(), 300, 300).set_mels(None, None)


def test_difference_colours_pass_from_blue_through_the_ground_to_orange(
    view: SpectrogramView, qapp: QApplication
) -> None:
    for theme in (LIGHT, DARK):
        less, equal, more = difference_colours(theme).map([0.0, 0.5, 1.0])[:, :3].astype(int)
        assert less[2] > less[0] + 60
        assert more[0] > more[2] + 60
        assert np.ptp(equal) < 12
        assert (equal.mean() < 60) == theme.is_dark
        apply_theme(qapp, theme)
        assert view._graphics.backgroundBrush().color().name() == theme.window


def test_no_widget_loads_torch() -> None:
    """The window is shown before the networks are there."""
    root = Path(__file__).parents[3]
    names = [path.stem for path in (root / "app" / "widgets").glob("*.py")]
    imports = "; ".join(f"import app.widgets.{name}" for name in names if name != "__init__")
    check = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=root, check=False).returncode == 0
