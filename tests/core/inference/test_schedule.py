from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.inference.schedule import HELD_PER_BATCH, RECENT_KEPT, SETTLED_S, Schedule
from core.sound import RenderSettings, Sound, TimbreMix
from tests.core.test_sound import timbre


class Clock:
    """A time that stands until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def sound(seed: int) -> Sound:
    return Sound(
        mix=TimbreMix(timbres=(timbre(),), weights=(1.0,)), settings=RenderSettings(seed=seed)
    )


WARM, COLD, DARK = map(sound, range(3))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(clock: Clock) -> Schedule:
    return Schedule(clock)


def deliver_all(schedule: Schedule) -> list[tuple[int, ...]]:
    """Do all that is due; returns the notes of each batch."""
    batches = []
    while (batch := schedule.next_batch()) is not None:
        batches.append(batch.notes)
        for note in batch.notes:
            assert schedule.deliver(batch.key, note, is_draft=batch.is_draft)
    return batches


def test_nothing_is_due_before_something_is_wanted(schedule: Schedule) -> None:
    schedule.hold([60])
    assert schedule.due() == []
    assert schedule.next_batch() is None
    assert schedule.rests_in_s is None
    assert schedule.wanted is None


def test_held_keys_come_first_then_recent_then_visible_then_the_rest(schedule: Schedule) -> None:
    schedule.hold([50])
    schedule.hold([70, 71])  # 50 was played lately
    schedule.show(60, 62)
    schedule.want(WARM, [40, 60, 41, 61, 50, 62, 70, 71])
    assert schedule.due() == [70, 71, 50, 60, 61, 62, 40, 41]


def test_the_keys_played_last_are_remembered_so_far_back(schedule: Schedule) -> None:
    played = list(range(30, 30 + RECENT_KEPT + 1))
    for note in played:
        schedule.hold([note])
    schedule.hold([])
    schedule.want(WARM, [90, *played])
    assert schedule.due() == [*reversed(played[1:]), 90, played[0]]


def test_held_keys_are_a_batch_and_others_come_one_by_one(schedule: Schedule) -> None:
    schedule.hold([44, 45, 46])
    schedule.want(WARM, range(42, 48))
    assert deliver_all(schedule) == [(44, 45, 46), (42,), (43,), (47,)]


def test_a_held_key_nobody_wants_is_not_rendered(schedule: Schedule) -> None:
    schedule.hold([30])
    schedule.want(WARM, [60])
    assert deliver_all(schedule) == [(60,)]
    assert not schedule.deliver(COLD.key, 30)


def test_held_keys_alone_where_nothing_else_may_be_rendered(schedule: Schedule) -> None:
    schedule.want(WARM, [60, 61])
    assert schedule.next_batch(held_only=True) is None
    schedule.hold([61])
    batch = schedule.next_batch(held_only=True)
    assert batch is not None
    assert batch.notes == (61,)


def test_each_note_of_a_large_chord_has_its_turn(schedule: Schedule, clock: Clock) -> None:
    chord = list(range(60, 60 + 2 * HELD_PER_BATCH - 1))
    schedule.hold(chord)
    moved: list[int] = []
    for seed in (1, 2):  # a pad that never rests asks for another sound after every batch
        schedule.want(sound(seed), chord)
        batch = schedule.next_batch()
        assert batch is not None
        moved += batch.notes
        clock.now_s += 0.01
    assert set(moved) == set(chord)


def test_while_a_sound_moves_only_keys_in_use_are_rendered(
    schedule: Schedule, clock: Clock
) -> None:
    schedule.hold([72])
    schedule.want(WARM, [60, 61, 72], urgent=[60])
    assert deliver_all(schedule) == [(72,), (60,)]
    assert schedule.rests_in_s == pytest.approx(SETTLED_S)
    clock.now_s += 0.9 * SETTLED_S
    assert schedule.due() == []
    clock.now_s += 0.2 * SETTLED_S
    assert schedule.due() == [61]
    assert deliver_all(schedule) == [(61,)]
    assert schedule.rests_in_s is None


def test_another_note_looked_at_does_not_make_the_sound_move(
    schedule: Schedule, clock: Clock
) -> None:
    schedule.want(WARM, [60, 61], urgent=[60])
    clock.now_s += 0.6 * SETTLED_S
    schedule.want(WARM, [61, 60], urgent=[61])
    clock.now_s += 0.6 * SETTLED_S
    assert schedule.due() == [61, 60]


def test_a_held_key_gets_a_draft_of_another_sound_and_the_note_once_it_rests(
    schedule: Schedule, clock: Clock
) -> None:
    schedule.hold([60])
    schedule.want(WARM, [60])
    batch = schedule.next_batch()
    assert batch is not None
    assert not batch.is_draft  # nothing sounds there yet
    assert schedule.deliver(batch.key, 60)
    schedule.want(COLD, [60, 72])
    schedule.hold([60, 72])  # nothing sounds at 72
    for expected in ({60: True, 72: False}, {60: False}):
        found = {}
        while (batch := schedule.next_batch()) is not None:
            for note in batch.notes:
                found[note] = batch.is_draft
                assert schedule.deliver(batch.key, note, is_draft=batch.is_draft)
        assert found == expected
        clock.now_s += 1.1 * SETTLED_S
    assert schedule.n_pending == 0


def test_what_was_delivered_stays_delivered_for_the_same_sound(schedule: Schedule) -> None:
    schedule.want(WARM, [60])
    deliver_all(schedule)
    schedule.want(sound(0), [60, 61])
    assert schedule.due() == [61]
    schedule.want(COLD, [60, 61])
    assert schedule.due() == [60, 61]


def test_stale_notes_reach_held_keys_alone(schedule: Schedule) -> None:
    schedule.hold([60])
    schedule.want(WARM, [60, 61])
    schedule.want(COLD, [60, 61])
    assert schedule.is_wanted(COLD.key)
    assert not schedule.is_wanted(WARM.key)
    assert schedule.deliver(WARM.key, 60)
    assert not schedule.deliver(WARM.key, 61)
    assert schedule.due() == [60, 61]  # of the new sound both are still to come


def test_a_note_is_delivered_once(schedule: Schedule) -> None:
    schedule.want(WARM, [60])
    assert schedule.deliver(WARM.key, 60)
    assert not schedule.deliver(WARM.key, 60)


def test_after_nothing_is_wanted_nothing_is_drafted(schedule: Schedule) -> None:
    schedule.hold([60])
    schedule.want(WARM, [60])
    deliver_all(schedule)
    schedule.want(None, [])
    assert not schedule.deliver(WARM.key, 60)
    schedule.want(COLD, [60])
    batch = schedule.next_batch()
    assert batch is not None
    assert not batch.is_draft


@given(
    wanted=st.lists(st.integers(0, 127), unique=True, min_size=1, max_size=12),
    held=st.sets(st.integers(0, 127), max_size=6),
    urgent=st.sets(st.integers(0, 127), max_size=3),
    visible=st.tuples(st.integers(0, 127), st.integers(0, 127)),
)
def test_every_note_wanted_comes_once_and_nothing_else(
    wanted: list[int], held: set[int], urgent: set[int], visible: tuple[int, int]
) -> None:
    clock = Clock()
    schedule = Schedule(clock)
    schedule.hold(held)
    schedule.show(*visible)
    schedule.want(WARM, wanted, urgent)
    first = [note for batch in deliver_all(schedule) for note in batch]
    assert set(first) == set(wanted) & (held | urgent)
    clock.now_s += SETTLED_S
    rest = [note for batch in deliver_all(schedule) for note in batch]
    assert sorted(first + rest) == sorted(wanted)
    assert schedule.n_pending == 0
