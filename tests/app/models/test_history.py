from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.models.history import History

VALUES = st.lists(st.integers(), max_size=20)


def history(*values: int) -> History[int]:
    made = History(0)
    for value in values:
        made.push(value, f"to {value}")
    return made


@given(VALUES, st.integers())
def test_undo_takes_an_edit_back_and_redo_does_it_again(values: list[int], value: int) -> None:
    made = history(*values)
    before, labels = made.value, made.labels
    if made.push(value, "edit"):
        made.undo()
    assert made.value == before
    assert made.labels[: len(labels)] == labels
    made.redo()
    assert made.value == value


@given(VALUES, st.lists(st.sampled_from(["undo", "redo"]), max_size=60))
def test_any_walk_stays_on_the_states(values: list[int], walk: list[str]) -> None:
    states = [0]
    for value in values:
        if value != states[-1]:
            states.append(value)
    made, position = history(*values), len(states) - 1
    for step in walk:
        getattr(made, step)()
        position = max(0, min(position + (1 if step == "redo" else -1), len(states) - 1))
        assert made.value == states[position]
        assert made.position == position
        assert (made.undo_label is None) == (position == 0)
        assert (made.redo_label is None) == (position == len(states) - 1)


@given(st.lists(st.integers(), min_size=1, max_size=20))
def test_one_drag_is_one_step(values: list[int]) -> None:
    made = History(0)
    for value in values:
        made.push(value, "Drag", merge_key="cursor")
    assert made.value == values[-1]
    made.end_gesture()
    assert made.value == values[-1]
    assert made.labels == (("Drag",) if values[-1] != 0 else ())
    made.undo()
    assert made.value == 0


def test_what_ends_a_drag() -> None:
    for end in (
        lambda made: made.end_gesture(),
        lambda made: made.push(5, "other"),
        lambda made: made.push(5, "other", merge_key="gain"),
        lambda made: (made.undo(), made.redo()),
    ):
        made = history(1)
        made.push(2, "drag", merge_key="cursor")
        made.push(3, "drag", merge_key="cursor")
        end(made)
        made.push(9, "drag", merge_key="cursor")
        made.undo()
        assert made.value in (3, 5)


def test_undoing_a_drag_that_came_back_undoes_the_step_before() -> None:
    made = history(1, 2)
    made.push(3, "drag", merge_key="cursor")
    made.push(2, "drag", merge_key="cursor")
    made.undo()
    assert made.value == 1
    assert made.labels == ("to 1", "to 2")


def test_an_edit_that_changes_nothing_is_no_step_and_forgets_nothing() -> None:
    made = history(1, 2)
    made.undo()
    assert not made.push(1, "again")
    assert made.redo_label == "to 2"


def test_a_new_edit_forgets_what_was_undone() -> None:
    made = history(1, 2, 3)
    made.go_to(1)
    assert (made.value, made.undo_label, made.redo_label) == (1, "to 1", "to 2")
    assert made.push(4, "to 4")
    assert made.labels == ("to 1", "to 4")
    assert list(made) == [0, 1, 4]


@given(st.integers(1, 5), VALUES)
def test_the_oldest_steps_are_forgotten(limit: int, values: list[int]) -> None:
    made = History(0, max_steps=limit)
    for value in values:
        made.push(value, "edit")
        assert len(made.labels) <= limit
    assert list(made) == list(history(*values))[-1 - limit :]


def test_dirty_is_measured_against_the_saved_state() -> None:
    made = history(1, 2)
    assert made.is_dirty
    made.mark_saved(2)
    assert not made.is_dirty
    made.undo()
    assert made.is_dirty
    made.redo()
    assert not made.is_dirty
    made.push(1, "back by hand")
    made.push(2, "and forth")
    assert not made.is_dirty
    made.mark_unsaved()
    assert made.is_dirty
