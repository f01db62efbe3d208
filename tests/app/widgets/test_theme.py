from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QApplication, QWidget

from app.theme import DARK, LIGHT, Theme, apply_theme, palette_of, scaled_font, theme_of
from app.widgets.envelope_editor import EnvelopeEditor
from app.widgets.level_meter import LevelMeter
from app.widgets.note_names import note_label, parse_note_label, pitch_label
from app.widgets.piano_keyboard import PianoKeyboard
from app.widgets.snapshot_bar import SnapshotBar
from app.widgets.source_row import SourceView
from app.widgets.source_shelf import SourceShelf
from app.widgets.spectrogram_view import SpectrogramView
from app.widgets.timbre_pad import TimbrePad
from app.widgets.waveform_view import WaveformView

_ALL = (
    EnvelopeEditor,
    LevelMeter,
    PianoKeyboard,
    SnapshotBar,
    SourceShelf,
    SpectrogramView,
    TimbrePad,
    WaveformView,
)


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio."""

    def luminance(name: str) -> float:
        colour = QColor(name)
        parts = (colour.redF(), colour.greenF(), colour.blueF())
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_text_reads_at_aa(theme: Theme) -> None:
    for ground in (theme.window, theme.surface):
        for text in (theme.text, theme.dim_text, theme.danger, theme.good, theme.warning):
            assert _contrast(text, ground) >= 4.5
        assert _contrast(theme.accent, ground) >= 3.0
    assert _contrast(theme.text, theme.raised) >= 4.5
    assert _contrast(theme.accent_text, theme.accent) >= 4.5


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_a_palette_tells_its_theme(theme: Theme, qapp: QApplication) -> None:
    assert theme_of(palette_of(theme)) == theme


@pytest.fixture
def _dark_again(qapp: QApplication) -> Iterator[None]:
    yield
    apply_theme(qapp, DARK)


@pytest.mark.usefixtures("_dark_again")
def test_every_widget_follows_a_change_of_theme(qapp: QApplication) -> None:
    widgets = [widget_class() for widget_class in _ALL]
    for theme in (LIGHT, DARK):
        apply_theme(qapp, theme)
        for widget in widgets:
            widget.resize(widget.sizeHint())
            image = widget.grab().toImage().scaled(32, 32)
            shades = [image.pixelColor(x, y).lightness() for x in range(32) for y in range(32)]
            if not isinstance(widget, PianoKeyboard):  # its keys are black and white
                dark_share = sum(shade < 128 for shade in shades) / len(shades)
                assert (dark_share > 0.5) == theme.is_dark, type(widget).__name__


@pytest.mark.parametrize("widget_class", _ALL)
def test_all_that_takes_the_focus_has_a_name_and_a_tip(widget_class: type[QWidget]) -> None:
    widget = widget_class()
    if isinstance(widget, SourceShelf):
        widget.set_sources([SourceView(source_id="a", name="Bell", colour="#ffffff")])
    assert widget.accessibleName()
    for child in (widget, *widget.findChildren(QWidget)):
        is_own = child.isVisibleTo(widget) and not child.objectName().startswith("qt_")
        if is_own and child.focusPolicy().value & 1:  # by Tab
            assert child.accessibleName(), child
            if child is not widget:
                assert child.toolTip() or child.accessibleDescription(), child


@pytest.mark.parametrize(("octave", "name"), [(3, "C3"), (4, "C4"), (5, "C5")])
def test_octave_numbering_goes_both_ways(octave: int, name: str) -> None:
    assert note_label(60, octave) == name
    for note in range(128):
        assert parse_note_label(note_label(note, octave), octave) == note


@pytest.mark.parametrize(
    ("pitch", "text"), [(60.0, "C4"), (60.2, "C4 +20"), (59.51, "C4 -49"), (60.004, "C4")]
)
def test_cents_are_shown_where_there_are_any(pitch: float, text: str) -> None:
    assert pitch_label(pitch, 4) == text


def test_fonts_scale_whatever_their_unit(qapp: QApplication) -> None:
    in_pixels = QFont()
    in_pixels.setPixelSize(20)
    in_points = QFont()
    in_points.setPointSizeF(12.0)
    assert scaled_font(in_points, 0.75).pointSizeF() == 9.0
    assert scaled_font(in_pixels, 0.5).pointSizeF() > 0
