"""What the program is, and its keys on one page."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from app import __version__
from app.theme import GRID, scaled_font

_PLAYING = (
    ("A W S E D F T G Y H U J K …", "play, like the keys of a piano"),
    ("Z  X", "an octave down, up"),
    ("C  V", "softer, louder"),
    ("Arrows on the pad", "move the cursor finely, with Shift faster"),
    ("Home on the pad", "centre the cursor"),
    ("F2, M, Shift+M, Ctrl+Up, Delete", "on a source: name, mute, solo, octave, remove"),
)
"""Keys of widgets: those of the menus are told by whoever opens the page."""


class KeysDialog(QDialog):
    """All that can be done by keyboard.

    *Thread:* GUI.

    Args:
        menu_keys: Keys of the menus, and what they do.
    """

    def __init__(self, menu_keys: Iterable[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        grid = QGridLayout()
        grid.setHorizontalSpacing(3 * GRID)
        grid.setVerticalSpacing(GRID)
        for row, (keys, meaning) in enumerate((*_PLAYING, *menu_keys)):
            label = QLabel(keys)
            label.setForegroundRole(self.palette().ColorRole.Link)
            grid.addWidget(label, row, 0)
            grid.addWidget(QLabel(meaning), row, 1)
        _finish(self, grid)


class AboutDialog(QDialog):
    """Name, version, purpose, method, licence.

    *Thread:* GUI.

    Args:
        device_name: Where the networks compute; empty while they are not loaded.
    """

    def __init__(self, device_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About HyperGANStrument")
        title = QLabel("HyperGANStrument")
        title.setFont(scaled_font(title.font(), 1.6))
        text = QLabel(
            f"Version {__version__}\n\n"
            "Drop a one-shot, play it in tune over the whole keyboard, morph it with others, keep "
            "it as a multisampled instrument.\n\n"
            "After HyperGANStrument (arXiv 2401.04558) and GANStrument (arXiv 2211.05385); with "
            "networks of its own, trained on free sounds.\n\n"
            f"Networks compute on: {device_name or 'not loaded yet'}\n"
            "Licence: MIT. What you make with it is yours."
        )
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        text.setMinimumWidth(52 * GRID)
        grid = QGridLayout()
        grid.setVerticalSpacing(2 * GRID)
        grid.addWidget(title, 0, 0)
        grid.addWidget(text, 1, 0)
        _finish(self, grid)


def _finish(dialog: QDialog, content: QGridLayout) -> None:
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(3 * GRID, 3 * GRID, 3 * GRID, 2 * GRID)
    layout.setSpacing(2 * GRID)
    layout.addLayout(content)
    layout.addWidget(buttons)
