from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPointF
from pytestqt.qtbot import QtBot

from app.widgets.envelope_editor import EnvelopeCurve, EnvelopeEditor, share_time, time_share
from core.instrument import Envelope
from tests.app.widgets.pointer import drag, move, press

Shown = Callable[[EnvelopeEditor, int, int], EnvelopeEditor]
_ENVELOPE = Envelope(attack_s=0.05, decay_s=0.3, sustain=0.5, release_s=0.4)


@pytest.fixture
def editor(shown: Shown) -> EnvelopeEditor:
    editor = shown(EnvelopeEditor(), 420, 200)
    editor.set_envelope(_ENVELOPE)
    return editor


@given(time_s=st.floats(0, 20))
def test_the_time_axis_can_be_read_back(time_s: float) -> None:
    assert share_time(time_share(time_s)) == pytest.approx(time_s, abs=1e-9)


@given(times=st.tuples(st.floats(0, 20), st.floats(0, 20)))
def test_longer_times_are_drawn_longer(times: tuple[float, float]) -> None:
    assert time_share(min(times)) <= time_share(max(times)) <= 1.0


@settings(max_examples=40)
@given(
    handle=st.integers(0, 2),
    x=st.floats(-500, 1000),
    y=st.floats(-500, 1000),
)
def test_every_drag_leaves_a_lawful_envelope(handle: int, x: float, y: float) -> None:
    curve = EnvelopeCurve()
    curve.resize(400, 100)
    curve.set_envelope(_ENVELOPE)
    told: list[Envelope] = []
    curve.envelope_changed.connect(told.append)
    drag(curve, [curve.handles()[handle], QPointF(x, y)])  # Envelope checks itself
    assert curve.handles()[handle].x() <= 400


@pytest.mark.parametrize("handle", [0, 1, 2])
def test_a_handle_goes_where_it_is_dragged(editor: EnvelopeEditor, handle: int) -> None:
    curve = editor.curve
    start = curve.handles()[handle]
    target = start + QPointF(12, -10 if handle == 1 else 0)
    press(curve, start + QPointF(2, 1))
    move(curve, target + QPointF(2, 1))
    reached = curve.handles()[handle]
    assert (reached.x(), reached.y()) == pytest.approx((target.x(), target.y()), abs=0.01)


def test_dragging_tells_and_shows_numbers(editor: EnvelopeEditor, qtbot: QtBot) -> None:
    told: list[Envelope] = []
    editor.envelope_changed.connect(told.append)
    corner = editor.curve.handles()[1]
    with qtbot.waitSignal(editor.envelope_released):
        drag(editor.curve, [corner, corner - QPointF(0, 15)])
    assert told[-1].sustain > _ENVELOPE.sustain
    assert told[-1].attack_s == _ENVELOPE.attack_s
    assert editor.sustain.value() == pytest.approx(100 * told[-1].sustain, abs=0.5)
    assert editor.envelope == told[-1]


def test_typing_tells_and_draws(editor: EnvelopeEditor, qtbot: QtBot) -> None:
    told: list[Envelope] = []
    editor.envelope_changed.connect(told.append)
    before = editor.curve.handles()[2]
    with qtbot.waitSignal(editor.envelope_released):
        editor.release.setValue(2.0)
    assert told == [Envelope(attack_s=0.05, decay_s=0.3, sustain=0.5, release_s=2.0)]
    assert editor.curve.handles()[2].x() > before.x()


def test_showing_an_envelope_tells_nobody(editor: EnvelopeEditor, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(editor.envelope_changed):
        editor.set_envelope(Envelope(attack_s=1.0, decay_s=2.0, sustain=0.1, release_s=3.0))
    values = [box.value() for box in (editor.attack, editor.decay, editor.sustain, editor.release)]
    assert values == [1.0, 2.0, 10.0, 3.0]


def test_typing_one_number_leaves_the_others_exact(editor: EnvelopeEditor) -> None:
    exact = Envelope(attack_s=0.012345, decay_s=0.3, sustain=0.4567, release_s=0.4)
    editor.set_envelope(exact)
    editor.release.setValue(2.0)
    assert editor.envelope.attack_s == exact.attack_s
    assert editor.envelope.sustain == exact.sustain
