"""Colours of the program, dark and light, as a palette and one short stylesheet.

A theme travels in the palette: every widget paints with ``theme_of(self.palette())`` and so
follows a change of theme without being told.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from PySide6.QtGui import QColor, QFont, QFontInfo, QPalette
from PySide6.QtWidgets import QApplication

GRID = 8
"""Spacing of layouts, device-independent pixels; smaller gaps are half of it."""

_STYLESHEET = Template("""
QToolTip { color: $text; background: $raised; border: 1px solid $line; padding: 4px; }
QPushButton, QToolButton {
    color: $text; background: $raised; border: 1px solid $line; border-radius: 4px; padding: 3px 8px;
}
QToolButton { padding: 3px; }
QPushButton:hover, QToolButton:hover { border-color: $dim_text; }
QPushButton:pressed, QToolButton:pressed { background: $line; }
QPushButton:checked, QToolButton:checked {
    color: $accent_text; background: $accent; border-color: $accent;
}
QPushButton:focus, QToolButton:focus { border-color: $accent; }
QPushButton:disabled, QToolButton:disabled { color: $disabled_text; border-color: $raised; }
QPushButton[flat="true"], QToolButton[autoRaise="true"] {
    background: transparent; border-color: transparent;
}
QPushButton[flat="true"]:hover, QToolButton[autoRaise="true"]:hover { background: $raised; }
QPushButton[flat="true"]:focus, QToolButton[autoRaise="true"]:focus { border-color: $accent; }
QMenuBar { padding: 2px 4px; }
QMenuBar::item { padding: 6px 10px; border-radius: 4px; background: transparent; }
QMenuBar::item:selected { background: $raised; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QScrollBar { background: transparent; border: none; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: $line; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 24px; }
QScrollBar::handle:horizontal { min-width: 24px; }
QScrollBar::handle:hover { background: $dim_text; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Theme:
    """Colours by what they are for, as ``#rrggbb``."""

    is_dark: bool
    window: str
    """Behind everything."""
    surface: str
    """Colour of panels and of what is drawn on."""
    raised: str
    """Colour of buttons and tracks."""
    line: str
    """Borders, grids, handles of scroll bars."""
    text: str
    """At least 4.5 : 1 on window, surface and raised."""
    dim_text: str
    """Colour of units and hints; at least 4.5 : 1 on window and surface."""
    disabled_text: str
    """Colour of what cannot be used now."""
    accent: str
    """The one colour that says: this is active."""
    accent_text: str
    """On the accent."""
    good: str
    """Done, in tune, safe level."""
    warning: str
    """Near a limit."""
    danger: str
    """Failed, clipped."""


DARK = Theme(
    is_dark=True,
    window="#14161a",
    surface="#1c1f25",
    raised="#2a2e37",
    line="#3d434f",
    text="#e7e9ee",
    dim_text="#9ba3b1",
    disabled_text="#636b79",
    accent="#93a2ff",
    accent_text="#10131f",
    good="#56c596",
    warning="#f2b84b",
    danger="#ff7373",
)
LIGHT = Theme(
    is_dark=False,
    window="#eceef2",
    surface="#fafbfc",
    raised="#e0e3e9",
    line="#c0c6d0",
    text="#1a1d23",
    dim_text="#565e6b",
    disabled_text="#8d95a2",
    accent="#4352c7",
    accent_text="#ffffff",
    good="#18744c",
    warning="#8a5a08",
    danger="#c02a32",
)


def apply_theme(application: QApplication, theme: Theme) -> None:
    """Give every widget the colours of a theme, now and at any later change."""
    application.setStyle("Fusion")
    application.setPalette(palette_of(theme))
    application.setStyleSheet(
        _STYLESHEET.substitute(
            text=theme.text,
            raised=theme.raised,
            line=theme.line,
            dim_text=theme.dim_text,
            disabled_text=theme.disabled_text,
            accent=theme.accent,
            accent_text=theme.accent_text,
        )
    )


def palette_of(theme: Theme) -> QPalette:
    """The palette of a theme."""
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.surface,
        QPalette.ColorRole.AlternateBase: theme.raised,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.dim_text,
        QPalette.ColorRole.Button: theme.raised,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.danger,
        QPalette.ColorRole.Light: theme.line,
        QPalette.ColorRole.Midlight: theme.line,
        QPalette.ColorRole.Mid: theme.line,
        QPalette.ColorRole.Dark: theme.line,
        QPalette.ColorRole.Shadow: theme.window,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.accent_text,
        QPalette.ColorRole.Accent: theme.accent,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.LinkVisited: theme.accent,
        QPalette.ColorRole.ToolTipBase: theme.raised,
        QPalette.ColorRole.ToolTipText: theme.text,
    }
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.ButtonText,
    ):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.disabled_text))
    return palette


def theme_of(palette: QPalette) -> Theme:
    """The theme that a widget's palette was made from."""
    return DARK if palette.color(QPalette.ColorRole.Window).lightness() < 128 else LIGHT


def scaled_font(font: QFont, factor: float) -> QFont:
    """A font of another size."""
    scaled = QFont(font)
    scaled.setPointSizeF(QFontInfo(font).pointSizeF() * factor)
    return scaled


def translucent(colour: str, opacity: float) -> QColor:
    """A colour with an opacity of 0 to 1."""
    result = QColor(colour)
    result.setAlphaF(opacity)
    return result
