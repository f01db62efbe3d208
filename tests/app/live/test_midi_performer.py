from __future__ import annotations

import threading

from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.background.gui_thread import GuiThread
from app.live.keys import Keys
from app.live.midi_performer import MidiPerformer
from tests.app.live.conftest import FakePlayer


def test_what_a_keyboard_does_reaches_the_player_at_once(player: FakePlayer) -> None:
    keys = Keys(player, lambda _held: None)  # type: ignore[arg-type]
    performer = MidiPerformer(keys, player, GuiThread(), lambda x, y: None)  # type: ignore[arg-type]
    performer.note_on(60, 99)
    performer.note_on(64, 98)
    performer.note_off(60)
    performer.set_sustain(True)
    performer.set_pitch_bend(-2.0)
    performer.set_mod_wheel(0.5)
    assert player.done == [
        ("note_on", 60, 99),
        ("note_on", 64, 98),
        ("note_off", 60),
        ("set_sustain", True),
        ("set_pitch_bend", -2.0),
        ("set_mod_wheel", 0.5),
    ]
    performer.release_all()
    assert player.done[-2:] == [("note_off", 64), ("set_sustain", False)]
    performer.note_on(60, 99)
    performer.panic()
    assert player.done[-2:] == [("note_off", 60), ("panic",)]
    assert keys.held == frozenset()


def test_moves_of_the_pad_go_to_the_window(qtbot: QtBot, root: QObject, player: FakePlayer) -> None:
    places: list[tuple[float | None, float | None, bool]] = []

    def move(x: float | None, y: float | None) -> None:
        places.append((x, y, threading.current_thread() is threading.main_thread()))

    keys = Keys(player, lambda _held: None)  # type: ignore[arg-type]
    performer = MidiPerformer(keys, player, GuiThread(root), move)  # type: ignore[arg-type]

    def turn() -> None:
        performer.move_pad_x(0.25)
        performer.move_pad_y(0.75)

    port = threading.Thread(target=turn)
    port.start()
    port.join()
    qtbot.waitUntil(lambda: len(places) == 2)
    assert places == [(0.25, None, True), (None, 0.75, True)]
