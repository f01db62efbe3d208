from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.keyboard import NOTES, WHITE_NOTES, KeyLayout, KeyState, is_black
from app.theme import DARK
from app.widgets.piano_keyboard import PianoKeyboard
from core.errors import ParameterError
from tests.app.widgets.pointer import click, drag, move, press, release

Shown = Callable[[PianoKeyboard, int, int], PianoKeyboard]
_ALT = Qt.KeyboardModifier.AltModifier
_SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def piano(shown: Shown) -> PianoKeyboard:
    return shown(PianoKeyboard(), 1048, 140)


def _keys(piano: PianoKeyboard) -> KeyLayout:
    """The layout, told from the outside: 4 px margins, 26 px above the keys."""
    return KeyLayout(area=QRectF(4, 26, piano.width() - 8, piano.height() - 27))


def _events(piano: PianoKeyboard) -> list[tuple[str, int]]:
    events: list[tuple[str, int]] = []
    piano.note_on.connect(lambda note, velocity: events.append(("on", note)))
    piano.note_off.connect(lambda note: events.append(("off", note)))
    return events


def _assert_balanced(events: list[tuple[str, int]]) -> None:
    """On and off of each note alternate, and off comes last."""
    for note in {note for _, note in events}:
        kinds = [kind for kind, other in events if other == note]
        assert kinds == ["on", "off"] * (len(kinds) // 2)


def test_a_piano_has_52_white_keys_from_a0_to_c8_in_order_of_pitch() -> None:
    layout = KeyLayout(area=QRectF(0, 0, 520, 100))
    centres = [layout.rect(note).center().x() for note in NOTES]
    assert len(WHITE_NOTES) == 52
    assert (NOTES[0], NOTES[-1]) == (21, 108)
    assert centres == sorted(centres)
    assert layout.rect(21).left() == 0
    assert layout.rect(108).right() == pytest.approx(520)


@given(width=st.floats(200, 4000), height=st.floats(40, 400), note=st.sampled_from(list(NOTES)))
def test_the_front_of_each_key_is_that_key(width: float, height: float, note: int) -> None:
    layout = KeyLayout(area=QRectF(3, 20, width, height))
    rect = layout.rect(note)
    front = QPointF(rect.center().x(), rect.bottom() - 0.02 * height)
    assert layout.note_at(front) == note


@given(note=st.sampled_from(list(NOTES)), depths=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_nearer_to_the_front_edge_is_never_softer(note: int, depths: tuple[float, float]) -> None:
    layout = KeyLayout(area=QRectF(0, 0, 1000, 100))
    rect = layout.rect(note)
    far, near = (
        layout.strike(note, QPointF(rect.center().x(), rect.top() + depth * rect.height()))
        for depth in sorted(depths)
    )
    assert 1 <= far <= near <= 127


def test_a_click_plays_as_loud_as_the_key_is_struck(piano: PianoKeyboard) -> None:
    velocities: list[int] = []
    piano.note_on.connect(lambda note, velocity: velocities.append(velocity))
    rect = _keys(piano).rect(60)
    for share in (0.7, 0.99):
        click(piano, QPointF(rect.center().x(), rect.top() + share * rect.height()))
    assert velocities == pytest.approx([90, 126], abs=2)


def test_dragging_along_the_front_plays_all_white_keys(piano: PianoKeyboard) -> None:
    events = _events(piano)
    y = piano.height() - 6.0
    drag(piano, [QPointF(x, y) for x in range(6, piano.width() - 5, 4)])
    assert [note for kind, note in events if kind == "on"] == list(WHITE_NOTES)
    _assert_balanced(events)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_note_on_has_its_note_off_whatever_is_done(seed: int) -> None:
    piano = PianoKeyboard()
    piano.resize(800, 120)
    events = _events(piano)
    chance = random.Random(seed)
    for _ in range(40):
        at = QPointF(chance.uniform(-20, 820), chance.uniform(-20, 140))
        chance.choice(
            [
                lambda at=at: press(piano, at),
                lambda at=at: move(piano, at),
                lambda at=at: release(piano, at),
                lambda: QTest.keyPress(piano, Qt.Key.Key_Space),
                lambda: QTest.keyRelease(piano, Qt.Key.Key_Space),
                lambda: QTest.keyClick(piano, Qt.Key.Key_Right),
                lambda: piano.set_sustain(True),
                lambda: piano.set_sustain(False),
            ]
        )()
    piano.release_all()
    _assert_balanced(events)


def test_sustain_holds_notes_until_it_is_let_go(piano: PianoKeyboard) -> None:
    events = _events(piano)
    piano.set_sustain(True)
    for note in (60, 64):
        click(piano, QPointF(_keys(piano).rect(note).center().x(), 120))
    assert events == [("on", 60), ("on", 64)]
    piano.set_sustain(False)
    assert events[2:] == [("off", 60), ("off", 64)]


def test_hiding_the_piano_lets_go(piano: PianoKeyboard) -> None:
    events = _events(piano)
    press(piano, QPointF(500, 120))
    piano.hide()
    _assert_balanced(events)
    assert len(events) == 2


def test_keys_choose_and_play(piano: PianoKeyboard) -> None:
    events = _events(piano)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_PageUp, Qt.Key.Key_Left):
        QTest.keyClick(piano, key)
    QTest.keyPress(piano, Qt.Key.Key_Space)
    assert events == [("on", 73)]
    QTest.keyRelease(piano, Qt.Key.Key_Space)
    assert events == [("on", 73), ("off", 73)]
    assert "73" in piano.accessibleDescription()
    for key, note in ((Qt.Key.Key_End, 108), (Qt.Key.Key_Home, 21)):
        QTest.keyClick(piano, key)
        assert f"({note})" in piano.accessibleDescription()


@settings(max_examples=30)
@given(places=st.lists(st.floats(-50, 850), min_size=2, max_size=12))
def test_the_export_range_stays_a_range_of_the_piano(places: list[float]) -> None:
    piano = PianoKeyboard()
    piano.resize(800, 120)
    told: list[tuple[int, int]] = []
    done: list[bool] = []
    piano.export_range_changed.connect(lambda low, high: told.append((low, high)))
    piano.export_range_released.connect(lambda: done.append(True))
    drag(piano, [QPointF(x, 8.0) for x in places])
    assert all(21 <= low <= high <= 108 for low, high in told)
    assert done == [True]


def test_a_range_handle_follows_the_pointer(piano: PianoKeyboard) -> None:
    piano.set_export_range(40, 80)
    told: list[tuple[int, int]] = []
    piano.export_range_changed.connect(lambda low, high: told.append((low, high)))
    layout = _keys(piano)
    drag(
        piano,
        [QPointF(layout.rect(80).right(), 8), QPointF(layout.rect(91).center().x(), 8)],
    )
    assert told[-1] == (40, 91)
    QTest.keyClick(piano, Qt.Key.Key_Right, _ALT)
    assert told[-1] == (41, 91)
    QTest.keyClick(piano, Qt.Key.Key_Left, _ALT | _SHIFT)
    assert told[-1] == (41, 90)


@pytest.mark.parametrize(
    ("low", "high", "step"), [(20, 60, 1), (60, 59, 1), (21, 109, 1), (30, 40, 0)]
)
def test_ranges_that_are_none_are_refused(low: int, high: int, step: int) -> None:
    with pytest.raises(ParameterError):
        PianoKeyboard().set_export_range(low, high, step)


def test_pressed_keys_are_painted_in_the_accent(piano: PianoKeyboard) -> None:
    def colour(note: int) -> QColor:
        rect = _keys(piano).rect(note)
        at = QPointF(rect.center().x(), rect.bottom() - (5 if is_black(note) else 30)).toPoint()
        return piano.grab().toImage().pixelColor(at)

    piano.set_pressed({60, 61})
    assert colour(60) == colour(61) == QColor(DARK.accent)
    piano.set_pressed({61})
    assert colour(60) != QColor(DARK.accent)


def test_marks_of_all_kinds_are_painted(piano: PianoKeyboard) -> None:
    piano.set_key_states({60: KeyState.RENDERED, 62: KeyState.PENDING, 64: KeyState.FAILED})
    piano.set_roots([(60, "#ff0000"), (60, "#00ff00"), (127, "#0000ff")])
    piano.set_middle_c(3)
    QApplication.processEvents()
    image = piano.grab().toImage()
    found = {image.pixelColor(x, y).name() for x in range(0, image.width()) for y in range(16, 26)}
    assert {DARK.good, DARK.dim_text} <= found
    rect = _keys(piano).rect(60)
    lower = image.pixelColor(round(rect.center().x()), round(rect.bottom() - 22))
    assert lower == QColor("#ff0000")
