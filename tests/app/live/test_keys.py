from __future__ import annotations

from app.live.keys import KeyOrigin, Keys
from tests.app.live.conftest import FakePlayer


def test_a_key_goes_up_when_no_origin_holds_it_any_more(player: FakePlayer) -> None:
    held: list[frozenset[int]] = []
    keys = Keys(player, held.append)  # type: ignore[arg-type]
    keys.press(KeyOrigin.MOUSE, 60, 100)
    keys.press(KeyOrigin.MIDI, 60, 90)  # strikes it again
    keys.release(KeyOrigin.MOUSE, 60)
    assert keys.held == {60}
    keys.release(KeyOrigin.MIDI, 60)
    assert keys.held == frozenset()
    assert player.done == [("note_on", 60, 100), ("note_on", 60, 90), ("note_off", 60)]
    assert held == [{60}, {60}, frozenset()]


def test_what_is_not_held_is_not_let_go(player: FakePlayer) -> None:
    keys = Keys(player, lambda _held: None)  # type: ignore[arg-type]
    keys.release(KeyOrigin.MIDI, 60)
    keys.press(KeyOrigin.MIDI, 60, 1)
    keys.release(KeyOrigin.MOUSE, 60)
    assert keys.held == {60}
    assert player.done == [("note_on", 60, 1)]


def test_an_origin_lets_go_of_its_keys_alone(player: FakePlayer) -> None:
    keys = Keys(player, lambda _held: None)  # type: ignore[arg-type]
    for note in (60, 64):
        keys.press(KeyOrigin.LETTERS, note, 100)
    keys.press(KeyOrigin.MIDI, 64, 100)
    keys.let_go(KeyOrigin.LETTERS)
    assert keys.held == {64}


def test_silence_lets_go_of_everything(player: FakePlayer) -> None:
    keys = Keys(player, lambda _held: None)  # type: ignore[arg-type]
    for origin, note in zip(KeyOrigin, range(60, 64), strict=True):
        keys.press(origin, note, 100)
    keys.silence()
    assert keys.held == frozenset()
    assert player.done[-1] == ("panic",)


def test_strikes_and_changes_are_told(player: FakePlayer) -> None:
    keys = Keys(player, lambda _held: None)  # type: ignore[arg-type]
    told: list[object] = []
    keys.struck.connect(lambda note, velocity: told.append((note, velocity)))
    keys.changed.connect(lambda: told.append(keys.held))
    keys.press(KeyOrigin.MIDI, 60, 77)
    keys.release(KeyOrigin.MIDI, 60)
    assert told == [(60, 77), {60}, frozenset()]
