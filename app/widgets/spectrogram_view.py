"""Spectrograms of the source, of the result and of what differs, under one zoom.

Shape legend: M mel bands, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QKeyEvent, QMouseEvent, QPalette
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget
from typing_extensions import override

from app.theme import GRID, Theme, scaled_font, theme_of, translucent
from app.timbre_colours import oklab_to_srgb
from app.widgets.mel_axes import FrequencyAxis, MelScale, NoteAxis, TimeAxis, nearest_note
from core.errors import ParameterError

if TYPE_CHECKING:
    from core.mel import MelConfig

DIFFERENCE_DB = 24.0
"""The difference's colours reach this far to both sides."""

_HINT = "Play a key to see its source, its result and what differs"
_MINIMUM_ZOOM = 8  # bands or frames that fill a picture at most
_SOURCE, _RESULT, _DIFFERENCE = range(3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What lies under the pointer."""

    time_s: float
    frequency_hz: float
    levels_db: tuple[float | None, float | None, float | None]
    """Pictures of source, result and difference; None where there is no picture."""


class _Panel:
    """One picture with its axes."""

    def __init__(self) -> None:
        self.view = pg.ViewBox(enableMenu=False)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.playhead = pg.InfiniteLine(angle=90)
        self.crosshair = (pg.InfiniteLine(angle=90), pg.InfiniteLine(angle=0))
        self.title = pg.LabelItem()
        self.frequencies = FrequencyAxis("left")
        self.notes = NoteAxis("right")
        self.times = TimeAxis("bottom")
        self.frequencies.enableAutoSIPrefix(False)
        self.frequencies.setLabel("Hz")
        for axis in (self.frequencies, self.notes, self.times):
            axis.linkToView(self.view)
        self.view.addItem(self.image)
        for line in (*self.crosshair, self.playhead):
            line.setVisible(False)
            self.view.addItem(line, ignoreBounds=True)

    def restyle(self, theme: Theme, font: QFont, title: str) -> None:
        metrics = QFontMetricsF(font)
        self.title.setText(title, color=theme.text, size=f"{font.pointSizeF() * 1.1:.1f}pt")
        for axis in (self.frequencies, self.notes, self.times):
            _style_axis(axis, theme, font)
        self.frequencies.setWidth(metrics.horizontalAdvance("100") + metrics.height() + 10)
        self.notes.setWidth(metrics.horizontalAdvance("C10") + 10)
        self.times.setHeight(metrics.height() + 8)
        self.view.setBorder(theme.line)
        self.playhead.setPen("#ffffff", width=1.5)
        for line in self.crosshair:
            line.setPen(translucent("#ffffff", 0.45))

    def show_crosshair(self, place: QPointF | None) -> None:
        for line in self.crosshair:
            line.setVisible(place is not None)
        if place is not None:
            vertical, horizontal = self.crosshair
            vertical.setValue(place.x())
            horizontal.setValue(place.y())


class _ColourBar:
    """What the colours of a picture mean, in decibels."""

    def __init__(self, low_db: float, high_db: float) -> None:
        self.title = pg.LabelItem()
        self.view = pg.ViewBox(enableMenu=False, enableMouse=False, defaultPadding=0)
        self.image = pg.ImageItem(np.linspace(0.0, 1.0, 256)[:, None], axisOrder="row-major")
        self.axis = pg.AxisItem("right")
        self.view.addItem(self.image)
        self.axis.linkToView(self.view)
        self.view.setFixedWidth(10)
        self.set_levels(low_db, high_db)

    def set_levels(self, low_db: float, high_db: float) -> None:
        self.levels = (low_db, high_db)
        self.image.setRect(QRectF(0.0, low_db, 1.0, high_db - low_db))
        self.view.setRange(xRange=(0.0, 1.0), yRange=(low_db, high_db), padding=0)

    def restyle(self, theme: Theme, font: QFont) -> None:
        self.title.setText("dB", color=theme.dim_text, size=f"{font.pointSizeF() * 1.1:.1f}pt")
        _style_axis(self.axis, theme, font)
        self.axis.setWidth(QFontMetricsF(font).horizontalAdvance("-80") + 12)


def _style_axis(axis: pg.AxisItem, theme: Theme, font: QFont) -> None:
    axis.setStyle(tickFont=font, tickLength=-4, tickTextOffset=4)
    axis.setPen(theme.window)  # the pictures have borders of their own
    axis.setTickPen(theme.line)
    axis.setTextPen(theme.dim_text)


class SpectrogramView(QWidget):
    """Three pictures with common axes: seconds across, mel bands labelled in Hz and notes up.

    The wheel zooms where it points, a drag moves, a double click shows all; with the focus on it
    plus and minus zoom, arrows move, Home shows all.

    *Thread:* GUI.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._config: MelConfig | None = None
        self._scale: MelScale | None = None
        self._middle_c = 4
        self._titles = ("Source", "Result", "Difference")
        self._levels_db: list[NDArray[np.float32] | None] = [None, None, None]
        self._graphics = pg.GraphicsLayoutWidget()
        self._graphics.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._graphics.setFrameShape(pg.GraphicsLayoutWidget.Shape.NoFrame)
        self._panels = tuple(_Panel() for _ in range(3))
        self._bars = (_ColourBar(-80.0, 0.0), _ColourBar(-DIFFERENCE_DB, DIFFERENCE_DB))
        self._hint = QLabel(_HINT)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setWordWrap(True)
        self._hint.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._readout = QLabel(" ")
        self._readout.setFont(scaled_font(self.font(), 0.9))
        self._readout.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for panel in self._panels[1:]:
            panel.view.setXLink(self._panels[0].view)
            panel.view.setYLink(self._panels[0].view)
        self._graphics.scene().sigMouseMoved.connect(self._hover)
        self._graphics.scene().sigMouseClicked.connect(self._click)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID // 2)
        layout.addWidget(self._hint, 1)
        layout.addWidget(self._graphics, 1)
        layout.addWidget(self._readout)
        self._graphics.hide()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Spectrograms")
        self.setAccessibleDescription("Source, result and difference of the note played last.")
        self.setToolTip("Wheel zooms (+, -), drag moves (arrows), double click shows all (Home)")
        self.set_orientation(Qt.Orientation.Vertical)
        self._restyle()

    def set_mel_config(self, config: MelConfig) -> None:
        """Label the axes for mels made with this configuration; needed before any is shown."""
        self._config = config
        self._scale = MelScale.of(config)
        self._bars[0].set_levels(config.floor_db, 0.0)
        for panel in self._panels:
            panel.frequencies.set_scale(self._scale)
            panel.notes.set_scale(self._scale, self._middle_c)
            panel.view.setLimits(
                xMin=0.0,
                xMax=config.n_samples / config.sample_rate,
                yMin=-0.5,
                yMax=config.n_mels - 0.5,
                minXRange=_MINIMUM_ZOOM * config.hop_length / config.sample_rate,
                minYRange=_MINIMUM_ZOOM,
            )
        self.reset_zoom()

    def set_mels(
        self, source: NDArray[np.float32] | None, result: NDArray[np.float32] | None
    ) -> None:
        """Show two spectrograms and the result minus the source.

        Args:
            source: Normalised log-mel in [-1, 1], [M, F]; None for none.
            result: Mel of the result, [M, F]; the number of frames may differ.

        Raises:
            ParameterError: `set_mel_config` was not called, or a mel has another height.
        """
        if self._config is None:
            raise ParameterError("Spectrograms have no axes yet; call set_mel_config first.")
        for mel in (source, result):
            if mel is not None and (mel.ndim != 2 or mel.shape[0] != self._config.n_mels):
                raise ParameterError(
                    f"A mel of shape {mel.shape} cannot be shown; expected "
                    f"[{self._config.n_mels}, frames]."
                )
        source_db, result_db = (
            None if mel is None else (mel - 1.0) * self._config.db_per_unit
            for mel in (source, result)
        )
        difference_db = None
        if source_db is not None and result_db is not None:
            n_frames = min(source_db.shape[1], result_db.shape[1])
            difference_db = result_db[:, :n_frames] - source_db[:, :n_frames]
        self._levels_db = [source_db, result_db, difference_db]
        frame_s = self._config.hop_length / self._config.sample_rate
        bars = (self._bars[0], self._bars[0], self._bars[1])
        for panel, bar, level in zip(self._panels, bars, self._levels_db, strict=True):
            if level is None:
                panel.image.clear()
            else:
                panel.image.setImage(level, autoLevels=False, levels=bar.levels)
                # Frame i is centred at i hops.
                panel.image.setRect(
                    QRectF(-frame_s / 2, -0.5, level.shape[1] * frame_s, self._config.n_mels)
                )
        is_empty = source is None and result is None
        self._hint.setVisible(is_empty)
        self._graphics.setVisible(not is_empty)
        self._readout.setText(" ")

    def set_titles(self, source: str, result: str) -> None:
        """Say above the pictures what they show."""
        self._titles = (source, result, "Difference")
        self._restyle()

    def set_playhead(self, time_s: float | None) -> None:
        """Show what is heard now, in seconds from the note's start; None for nothing."""
        for panel in self._panels:
            panel.playhead.setVisible(time_s is not None)
            if time_s is not None:
                panel.playhead.setValue(time_s)

    def set_middle_c(self, octave: int) -> None:
        """Name note 60 as C of this octave."""
        self._middle_c = octave
        if self._scale is not None:
            for panel in self._panels:
                panel.notes.set_scale(self._scale, octave)

    def set_orientation(self, orientation: Qt.Orientation) -> None:
        """Stack the pictures (vertical) or put them side by side (horizontal)."""
        layout = self._graphics.ci
        for item in tuple(layout.items):
            layout.removeItem(item)
        if orientation == Qt.Orientation.Vertical:
            for index, panel in enumerate(self._panels):
                layout.addItem(panel.title, 2 * index, 1)
                layout.addItem(panel.frequencies, 2 * index + 1, 0)
                layout.addItem(panel.view, 2 * index + 1, 1)
                layout.addItem(panel.notes, 2 * index + 1, 2)
            layout.addItem(self._panels[_DIFFERENCE].times, 6, 1)
            bar_places = ((0, 3, 4), (4, 3, 2))
            wide_columns: tuple[int, ...] = (1,)
        else:
            wide_columns = (1, 2, 5)
            for panel, column in zip(self._panels, wide_columns, strict=True):
                layout.addItem(panel.title, 0, column)
                layout.addItem(panel.view, 1, column)
                layout.addItem(panel.times, 2, column)
            layout.addItem(self._panels[_SOURCE].frequencies, 1, 0)
            layout.addItem(self._panels[_DIFFERENCE].notes, 1, 6)
            bar_places = ((0, 3, 2), (0, 7, 2))
        for bar, (row, column, rows) in zip(self._bars, bar_places, strict=True):
            layout.addItem(bar.title, row, column, 1, 2)
            layout.addItem(bar.view, row + 1, column, rows - 1, 1)
            layout.addItem(bar.axis, row + 1, column + 1, rows - 1, 1)
        for column in range(9):
            layout.layout.setColumnStretchFactor(column, int(column in wide_columns))

    def reset_zoom(self) -> None:
        """Show the whole note."""
        if self._config is not None:
            length_s = self._config.n_samples / self._config.sample_rate
            self._panels[0].view.setRange(
                xRange=(0.0, length_s), yRange=(-0.5, self._config.n_mels - 0.5), padding=0
            )

    def reading_at(self, time_s: float, band: float) -> Reading | None:
        """What lies at a place of the pictures; None outside them."""
        if self._config is None or self._scale is None:
            return None
        frame = round(time_s * self._config.sample_rate / self._config.hop_length)
        row = round(band)
        if not (0 <= row < self._config.n_mels and frame >= 0):
            return None
        levels = tuple(
            None if level is None or frame >= level.shape[1] else float(level[row, frame])
            for level in self._levels_db
        )
        return Reading(
            time_s=time_s,
            frequency_hz=self._scale.hz_of(band),
            levels_db=(levels[_SOURCE], levels[_RESULT], levels[_DIFFERENCE]),
        )

    @override
    def sizeHint(self) -> QSize:
        return QSize(480, 480)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        view = self._panels[0].view
        (left, right), (bottom, top) = view.viewRange()
        across, up = 0.1 * (right - left), 0.1 * (top - bottom)
        moves: dict[int, tuple[float, float]] = {
            Qt.Key.Key_Left: (-across, 0.0),
            Qt.Key.Key_Right: (across, 0.0),
            Qt.Key.Key_Down: (0.0, -up),
            Qt.Key.Key_Up: (0.0, up),
        }
        key = event.key()
        if key in moves:
            view.translateBy(moves[key])
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            view.scaleBy((0.8, 0.8))
        elif key == Qt.Key.Key_Minus:
            view.scaleBy((1.25, 1.25))
        elif key == Qt.Key.Key_Home:
            self.reset_zoom()
        else:
            super().keyPressEvent(event)

    @override
    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._restyle()

    @override
    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._show_reading(None, QPointF())

    def _restyle(self) -> None:
        theme = theme_of(self.palette())
        font = scaled_font(self.font(), 0.8)
        self._graphics.setBackground(theme.window)
        for panel, title in zip(self._panels, self._titles, strict=True):
            panel.restyle(theme, font, title)
        for bar in self._bars:
            bar.restyle(theme, font)
        magnitude, difference = pg.colormap.get("magma"), difference_colours(theme)
        for panel in self._panels[:_DIFFERENCE]:
            panel.image.setColorMap(magnitude)
        self._panels[_DIFFERENCE].image.setColorMap(difference)
        self._panels[_DIFFERENCE].playhead.setPen(
            theme.text, width=1.5
        )  # its ground is the theme's
        self._bars[0].image.setColorMap(magnitude)
        self._bars[1].image.setColorMap(difference)

    def _hover(self, at: QPointF) -> None:
        for view in (panel.view for panel in self._panels):
            if view.sceneBoundingRect().contains(at):
                place = view.mapSceneToView(at)
                self._show_reading(self.reading_at(place.x(), place.y()), place)
                return
        self._show_reading(None, QPointF())

    def _show_reading(self, reading: Reading | None, place: QPointF) -> None:
        is_shown = reading is not None and any(level is not None for level in reading.levels_db)
        for panel in self._panels:
            panel.show_crosshair(place if is_shown else None)
        self._readout.setText(self._describe(reading) if reading is not None and is_shown else " ")

    def _describe(self, reading: Reading) -> str:
        source, result, difference = reading.levels_db
        parts = [f"{reading.time_s:.2f} s", f"{reading.frequency_hz:,.0f} Hz".replace(",", " ")]
        note = nearest_note(reading.frequency_hz, self._middle_c)
        if note:
            parts[-1] += f" ({note})"
        if source is not None:
            parts.append(f"source {source:.0f} dB")
        if result is not None:
            parts.append(f"result {result:.0f} dB")
        if difference is not None:
            parts.append(f"difference {difference:+.0f} dB")
        return "   ".join(parts)

    def _click(self, event: QMouseEvent) -> None:
        if event.double():  # type: ignore[attr-defined]  # pyqtgraph's own event
            self.reset_zoom()


def difference_colours(theme: Theme) -> pg.ColorMap:
    """Blue for less, the theme's ground for equal, orange for more; even steps in OKLab.

    Blue and orange stay apart for every kind of colour blindness.
    """
    lightness_ends, middle = (0.78, 0.21) if theme.is_dark else (0.48, 0.97)
    places = np.linspace(-1.0, 1.0, 129)
    strength = np.abs(places)
    lab = np.stack(
        [
            middle + (lightness_ends - middle) * strength,
            np.where(places < 0, -0.04, 0.06) * strength,
            np.where(places < 0, -0.12, 0.12) * strength,
        ],
        axis=-1,
    )
    return pg.ColorMap(None, oklab_to_srgb(lab))
