"""All that a person can have done, in one table: menus, buttons and the page of keys are made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QMenu, QMenuBar, QToolButton, QWidget

from app.live.editor import Editor
from app.live.settings_store import SettingsStore
from app.models.document import Document
from app.models.pad import audible
from app.models.session import SNAPSHOT_SLOTS
from app.panels.files import SessionFiles
from app.panels.output import OutputPanel
from app.panels.pad import PadPanel
from app.panels.snapshots import SnapshotsPanel
from app.panels.sound import SoundPanel
from app.panels.sources import SourcesPanel
from app.settings import MiddleC, ThemeName
from app.theme import GRID

FILE, EDIT, SOUND, VIEW, HELP = "&File", "&Edit", "&Sound", "&View", "&Help"
RECENT, HISTORY, SNAPSHOTS = "Open &recent", "&History", "S&napshots"
MOST_STEPS = 25
"""Steps that the menu of the history shows."""

_ONE_INSTRUMENT = (
    "Take the sources for notes of one instrument: every key takes after the notes next to it,\n"
    "and the pad does not morph"
)
_TOO_FEW_NOTES = "Needs two sources that sound: notes of one instrument at different pitches"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Action:
    """Something that a person can have done."""

    text: str
    """Its words, with ``&`` before the letter that chooses it in its menu."""
    act: Callable[[], object]
    menu: str = ""
    """Where it stands; empty where its keys alone, or a button of a panel, do it."""
    shortcut: str = ""
    bar_place: int = 0
    """Place of its button beside the menus, from 1; 0 for none."""
    is_checkable: bool = False
    group: str = ""
    """Marks of a group exclude each other."""
    button: QToolButton | None = None
    """A button that is the same action."""
    show: Callable[[QAction], object] | None = None
    """Brings it to what document and settings say; called whenever they change."""

    @property
    def plain(self) -> str:
        """Its words alone."""
        return self.text.replace("&", "").rstrip("…")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Submenu:
    """A menu within a menu: filled as it opens, or by the actions that name it as theirs."""

    text: str
    menu: str
    fill: Callable[[], Sequence[Action]] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Line:
    """A line across a menu."""

    menu: str


Row = Action | Submenu | Line


def window_actions(
    *,
    document: Document,
    settings: SettingsStore,
    files: SessionFiles,
    sources: SourcesPanel,
    pad: PadPanel,
    sound: SoundPanel,
    output: OutputPanel,
    snapshots: SnapshotsPanel,
    export: Callable[[], object],
    silence: Callable[[], object],
    quit_program: Callable[[], object],
    show_settings: Callable[[], object],
    show_keys: Callable[[], object],
    show_about: Callable[[], object],
) -> tuple[Row, ...]:
    """The table, in the order of the menus."""
    return (
        Action(menu=FILE, text="&New session", shortcut="Ctrl+N", act=files.new),
        Action(
            menu=FILE,
            text="&Open…",
            shortcut="Ctrl+O",
            act=files.ask_open,
            bar_place=1,
        ),
        Submenu(menu=FILE, text=RECENT, fill=partial(_recent_files, settings, files)),
        Line(menu=FILE),
        Action(menu=FILE, text="&Save", shortcut="Ctrl+S", act=files.save, bar_place=2),
        Action(menu=FILE, text="Save &as…", shortcut="Ctrl+Shift+S", act=files.ask_save),
        Line(menu=FILE),
        Action(menu=FILE, text="&Export…", shortcut="Ctrl+E", act=export, bar_place=5),
        Line(menu=FILE),
        Action(menu=FILE, text="&Quit", shortcut="Ctrl+Q", act=quit_program),
        Action(
            menu=EDIT,
            text="&Undo",
            shortcut="Ctrl+Z",
            act=document.undo,
            bar_place=3,
            show=lambda action: _name_step(action, "&Undo", document.history.undo_label),
        ),
        Action(
            menu=EDIT,
            text="&Redo",
            shortcut="Ctrl+Shift+Z",
            act=document.redo,
            bar_place=4,
            show=lambda action: _name_step(action, "&Redo", document.history.redo_label),
        ),
        Submenu(menu=EDIT, text=HISTORY, fill=partial(_steps, document)),
        Line(menu=EDIT),
        Action(menu=EDIT, text="&Paste files", shortcut="Ctrl+V", act=files.paste),
        Action(menu=EDIT, text="Se&ttings…", shortcut="Ctrl+,", act=show_settings),
        Action(
            menu=SOUND,
            text="Compare &source and result",
            shortcut="B",
            act=output.toggle_original,
        ),
        Action(menu=SOUND, text="&Roll the dice", shortcut="Ctrl+R", act=sound.roll),
        Action(
            menu=SOUND,
            text="&Centre the cursor",
            shortcut="Ctrl+0",
            act=pad.centre,
            show=lambda action: action.setEnabled(not document.session.one_instrument),
        ),
        Action(
            menu=SOUND,
            text="&Notes of one instrument",
            act=sound.toggle_one_instrument,
            is_checkable=True,
            button=sources.one_instrument,
            show=partial(_show_one_instrument, document),
        ),
        Action(menu=SOUND, text="S&ilence", shortcut="Ctrl+.", act=silence),
        Submenu(menu=SOUND, text=SNAPSHOTS),
        *(
            Action(
                menu=SNAPSHOTS,
                text=f"Recall {slot + 1}",
                shortcut=f"Ctrl+{slot + 1}",
                act=partial(snapshots.recall, slot),
            )
            for slot in range(SNAPSHOT_SLOTS)
        ),
        Line(menu=SNAPSHOTS),
        *(
            Action(
                menu=SNAPSHOTS,
                text=f"Store in {slot + 1}",
                shortcut=f"Ctrl+Alt+{slot + 1}",
                act=partial(snapshots.store, slot),
            )
            for slot in range(SNAPSHOT_SLOTS)
        ),
        Action(text="Record a path", shortcut="Ctrl+Shift+R", act=pad.paths.record.click),
        Action(text="Play the path", shortcut="Ctrl+Space", act=pad.paths.play.click),
        *_themes(settings),
        Line(menu=VIEW),
        *_octaves(settings),
        Action(menu=HELP, text="&Keys", shortcut="F1", act=show_keys),
        Action(menu=HELP, text="&About", act=show_about),
    )


def keys_page(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Keys and what they do, for each action that has any; the eight snapshots share two rows."""
    for row in rows:
        if not isinstance(row, Action) or not row.shortcut:
            continue
        if row.menu != SNAPSHOTS:
            yield row.shortcut, row.plain
        elif row.shortcut.endswith("1"):
            keys = f"{row.shortcut} … {row.shortcut[:-1]}{SNAPSHOT_SLOTS}"
            yield keys, f"Snapshots: {row.plain.lower()} … {SNAPSHOT_SLOTS}"


class Actions:
    """The table as menus and buttons of a window.

    Args:
        window: Gets menus, buttons beside them, and shortcuts.
        rows: The table.
        editor: Knows the document, which the actions follow.
        settings: The settings, which the actions follow too.
    """

    def __init__(
        self,
        window: QMainWindow,
        rows: Sequence[Row],
        editor: Editor,
        settings: SettingsStore,
    ) -> None:
        self._window = window
        self._shown: list[tuple[Callable[[QAction], object], QAction]] = []
        self._bar: list[tuple[int, QAction]] = []  # place and action of each button
        self._menus: dict[str, QMenu] = {}
        self._groups: dict[str, QActionGroup] = {}
        for row in rows:
            self._add(row)
        window.menuBar().setCornerWidget(self._buttons(window.menuBar()))
        settings.changed.connect(lambda _before, _after: self.refresh())
        editor.follow(lambda _before, _after: self.refresh())

    def refresh(self) -> None:
        """Bring all actions to what document and settings say."""
        for show, action in self._shown:
            show(action)

    def _menu(self, text: str) -> QMenu:
        if text not in self._menus:
            self._menus[text] = self._window.menuBar().addMenu(text)
        return self._menus[text]

    def _add(self, row: Row) -> None:
        if isinstance(row, Line):
            self._menu(row.menu).addSeparator()
        elif isinstance(row, Submenu):
            menu = self._menus[row.text] = QMenu(row.text, self._window)
            self._menu(row.menu).addMenu(menu)
            if row.fill is not None:
                self._menu(row.menu).aboutToShow.connect(partial(self._fill, menu, row.fill))
        else:
            action = self._make(row, self._window)
            if row.bar_place:
                self._bar.append((row.bar_place, action))
            if row.show is not None:
                self._shown.append((row.show, action))
            if row.menu:
                self._menu(row.menu).addAction(action)
            else:
                self._window.addAction(action)
            if row.group:
                group = self._groups.setdefault(row.group, QActionGroup(self._window))
                group.addAction(action)
            if row.button is not None:
                row.button.setDefaultAction(action)

    def _fill(self, menu: QMenu, fill: Callable[[], Sequence[Action]]) -> None:
        menu.clear()
        rows = fill()
        for row in rows:
            action = self._make(row, menu)
            menu.addAction(action)
            if row.show is not None:
                row.show(action)
        menu.setEnabled(bool(rows))

    def _make(self, row: Action, owner: QWidget) -> QAction:
        action = QAction(row.text, owner)
        action.setIconText(row.plain)
        action.setToolTip(f"{row.plain} ({row.shortcut})" if row.shortcut else row.plain)
        action.setCheckable(row.is_checkable)
        if row.shortcut:
            action.setShortcut(QKeySequence(row.shortcut))
        action.triggered.connect(lambda _checked=False: row.act())
        return action

    def _buttons(self, bar: QMenuBar) -> QWidget:
        buttons = QWidget(bar)
        layout = QHBoxLayout(buttons)
        layout.setContentsMargins(0, GRID // 2, GRID + GRID // 2, 0)
        layout.setSpacing(GRID // 2)
        for _, action in sorted(self._bar, key=lambda each: each[0]):
            button = QToolButton()
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            button.setDefaultAction(action)
            layout.addWidget(button)
        return buttons


def _name_step(action: QAction, word: str, label: str | None) -> None:
    action.setEnabled(label is not None)
    action.setText(word if label is None else f"{word}: {label}")
    action.setIconText(word.removeprefix("&"))


def _show_one_instrument(document: Document, action: QAction) -> None:
    is_on = document.session.one_instrument
    can_be_used = is_on or len(audible(document.session.sources)) > 1
    action.setChecked(is_on)
    action.setEnabled(can_be_used)
    action.setToolTip(_ONE_INSTRUMENT if can_be_used else _TOO_FEW_NOTES)


def _steps(document: Document) -> list[Action]:
    """The newest steps of the history, newest first; the present one is marked."""
    history = document.history
    labels = ["Start", *history.labels]
    return [
        Action(
            text=labels[place].replace("&", "&&"),
            act=partial(document.go_to, place),
            is_checkable=True,
            show=partial(_check, place == history.position),
        )
        for place in reversed(range(max(0, len(labels) - MOST_STEPS), len(labels)))
    ]


def _recent_files(settings: SettingsStore, files: SessionFiles) -> list[Action]:
    return [
        Action(
            text=Path(name).name.replace("&", "&&"),
            act=partial(files.open_session, Path(name)),
            show=partial(_hint, name),
        )
        for name in settings.value.recent_files
    ]


def _check(is_checked: bool, action: QAction) -> None:
    action.setChecked(is_checked)


def _hint(text: str, action: QAction) -> None:
    action.setToolTip(text)


def _themes(settings: SettingsStore) -> list[Action]:
    themes: dict[ThemeName, str] = {
        "dark": "&Dark theme",
        "light": "&Light theme",
        "system": "Theme of the &system",
    }

    def choose(theme: ThemeName) -> None:
        settings.change(replace(settings.value, theme=theme))

    def show(theme: ThemeName, action: QAction) -> None:
        action.setChecked(settings.value.theme == theme)

    return [
        Action(
            menu=VIEW,
            text=text,
            act=partial(choose, theme),
            is_checkable=True,
            group="theme",
            show=partial(show, theme),
        )
        for theme, text in themes.items()
    ]


def _octaves(settings: SettingsStore) -> list[Action]:
    octaves: tuple[MiddleC, ...] = (3, 4, 5)

    def choose(octave: MiddleC) -> None:
        settings.change(replace(settings.value, middle_c=octave))

    def show(octave: MiddleC, action: QAction) -> None:
        action.setChecked(settings.value.middle_c == octave)

    return [
        Action(
            menu=VIEW,
            text=f"Note 60 is C&{octave}",
            act=partial(choose, octave),
            is_checkable=True,
            group="octave",
            show=partial(show, octave),
        )
        for octave in octaves
    ]
