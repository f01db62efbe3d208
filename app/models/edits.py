"""Every edit of a session: a session in, a new one out, nothing else changed.

Settings without rules of their own (sound, envelope, gain, path, export) are edited with
``dataclasses.replace``.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np

from app.models.session import (
    MAX_AUDIBLE,
    MAX_NAME_LENGTH,
    SNAPSHOT_SLOTS,
    Session,
    Snapshot,
    Source,
)
from core.errors import ParameterError

COLOURS = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#cc79a7",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#c8c8c8",
)
"""Okabe and Ito's palette, told apart by people with any colour vision; light grey in place of black."""

_SPOTS = np.array(
    [
        (0.2, 0.5),
        (0.8, 0.5),
        (0.5, 0.85),
        (0.5, 0.15),
        (0.2, 0.85),
        (0.8, 0.15),
        (0.8, 0.85),
        (0.2, 0.15),
    ]
)  # where new sources go, the emptiest first
_COPY_OFFSET = 0.06  # of a duplicate from its original, pad widths


def display_name(text: str) -> str:
    """A valid name for whatever a person typed or a file is called."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:MAX_NAME_LENGTH].strip() or "Untitled"


def add_source(
    session: Session,
    *,
    audio_hash: str,
    name: str,
    root: float | None = None,
    place: tuple[float, float] | None = None,
) -> Session:
    """Add a recording to the end of the shelf; muted when eight sources sound already.

    Args:
        session: What to add it to.
        audio_hash: Names the recording.
        name: Any text, e.g. a file's stem.
        root: Root note, fractional MIDI, where it is known; None to have it detected.
        place: x, y on the pad, brought to the edge when outside; None takes an empty spot.

    Raises:
        ParameterError: The shelf is full.
    """
    x, y = _free_spot(session) if place is None else place
    source = Source(
        id=_new_id(session),
        name=display_name(name),
        colour=_free_colour(session),
        audio_hash=audio_hash,
        root=root,
        muted=not has_room_to_sound(session),
        x=_on_pad(x),
        y=_on_pad(y),
    )
    return replace(session, sources=(*session.sources, source))


def remove_source(session: Session, source_id: str) -> Session:
    """Take a source off the shelf; snapshots keep theirs."""
    removed = session.source(source_id)
    return replace(session, sources=tuple(s for s in session.sources if s is not removed))


def duplicate_source(session: Session, source_id: str) -> Session:
    """A copy beside a source, next on the shelf; muted when eight sources sound already.

    Raises:
        ParameterError: No such source, or the shelf is full.
    """
    original = session.source(source_id)
    offset = _COPY_OFFSET if original.x + _COPY_OFFSET <= 1.0 else -_COPY_OFFSET
    copy = replace(
        original,
        id=_new_id(session),
        name=display_name(f"{original.name[: MAX_NAME_LENGTH - 5]} copy"),
        colour=_free_colour(session),
        muted=original.muted or not has_room_to_sound(session),
        x=_on_pad(original.x + offset),
    )
    after = session.sources.index(original) + 1
    return replace(session, sources=(*session.sources[:after], copy, *session.sources[after:]))


def reorder_source(session: Session, source_id: str, index: int) -> Session:
    """Move a source to a place on the shelf, counted from 0; beyond the end means last."""
    moved = session.source(source_id)
    others = [source for source in session.sources if source is not moved]
    others.insert(max(0, index), moved)
    return replace(session, sources=tuple(others))


def rename_source(session: Session, source_id: str, name: str) -> Session:
    """Give a source another name."""
    return _put(session, replace(session.source(source_id), name=display_name(name)))


def recolour_source(session: Session, source_id: str, colour: str) -> Session:
    """Give a source another colour, ``#rrggbb``."""
    return _put(session, replace(session.source(source_id), colour=colour.lower()))


def move_source(session: Session, source_id: str, x: float, y: float) -> Session:
    """Move a source on the pad; a place outside is brought to the edge."""
    return _put(session, replace(session.source(source_id), x=_on_pad(x), y=_on_pad(y)))


def set_root(session: Session, source_id: str, root: float | None) -> Session:
    """Override a source's root note (fractional MIDI); None goes back to the detected one."""
    return _put(session, replace(session.source(source_id), root=root))


def set_fit(session: Session, source_id: str, steps: int) -> Session:
    """Have the model fitted to a source in so many steps; 0 takes that back."""
    return _put(session, replace(session.source(source_id), fit_steps=steps))


def shift_octave(session: Session, source_id: str, octaves: int, *, detected: float) -> Session:
    """Correct a root note that is octaves off.

    Args:
        session: What to edit.
        source_id: Whose root note.
        octaves: 1 up, -1 down.
        detected: The root note found by analysis, counted from when the user set none.

    Raises:
        ParameterError: No such source, or the root note would leave the MIDI range.
    """
    root = session.source(source_id).root
    return set_root(session, source_id, (detected if root is None else root) + 12 * octaves)


def trim_source(session: Session, source_id: str, start_s: float, end_s: float | None) -> Session:
    """Use only a part of a source's recording; an end of None is the recording's end."""
    return _put(session, replace(session.source(source_id), start_s=start_s, end_s=end_s))


def set_muted(session: Session, source_id: str, muted: bool) -> Session:
    """Silence a source or let it sound.

    Raises:
        ParameterError: No such source, or it would be the ninth to sound.
    """
    return _put(session, replace(session.source(source_id), muted=muted))


def set_soloed(session: Session, source_id: str, soloed: bool) -> Session:
    """Add a source to those that alone sound, or take it out."""
    return _put(session, replace(session.source(source_id), soloed=soloed))


def move_cursor(session: Session, x: float, y: float) -> Session:
    """Move the cursor; a place outside the pad is brought to the edge."""
    return replace(session, x=_on_pad(x), y=_on_pad(y))


def store_snapshot(session: Session, slot: int, name: str | None = None) -> Session:
    """Keep all that makes the present sound in a slot, 0–7, whatever was there.

    Args:
        session: What to edit.
        slot: 0–7.
        name: Any text; None numbers it.
    """
    return _put_snapshot(session, slot, snapshot_of(session, name or f"Snapshot {slot + 1}"))


def snapshot_of(session: Session, name: str) -> Snapshot:
    """All that makes the present sound, under any text as its name."""
    return Snapshot(
        name=display_name(name),
        sources=session.sources,
        x=session.x,
        y=session.y,
        settings=session.settings,
        one_instrument=session.one_instrument,
        envelope=session.envelope,
    )


def clear_snapshot(session: Session, slot: int) -> Session:
    """Empty a slot, 0–7."""
    return _put_snapshot(session, slot, None)


def recall_snapshot(session: Session, slot: int) -> Session:
    """Bring a snapshot's sound back, exactly.

    Sources go back to their places, trims, roots and mutes, with their present names and colours;
    removed ones return at the end of the shelf; newer ones stay, muted.

    Raises:
        ParameterError: The slot is empty, or the shelf has no room for the removed sources.
    """
    snapshot = snapshot_in(session, slot)
    kept = {source.id: source for source in snapshot.sources}
    present = tuple(
        replace(kept.pop(source.id), name=source.name, colour=source.colour)
        if source.id in kept
        else replace(source, muted=True, soloed=False)
        for source in session.sources
    )
    return replace(
        session,
        sources=(*present, *kept.values()),
        x=snapshot.x,
        y=snapshot.y,
        settings=snapshot.settings,
        one_instrument=snapshot.one_instrument,
        envelope=snapshot.envelope,
    )


def add_snapshot_source(
    session: Session,
    slot: int,
    *,
    audio_hash: str,
    root: float,
    place: tuple[float, float] | None = None,
) -> Session:
    """Drop a snapshot on the pad: its sound, rendered at one note, becomes a source like others.

    What is to be rendered is the session that :func:`recall_snapshot` gives.

    Args:
        session: What to edit.
        slot: 0–7.
        audio_hash: Names the rendered note.
        root: The MIDI note that was rendered.
        place: x, y on the pad; None takes an empty spot.

    Raises:
        ParameterError: The slot is empty, or the shelf is full.
    """
    name = snapshot_in(session, slot).name
    return add_source(session, audio_hash=audio_hash, name=name, root=root, place=place)


def snapshot_in(session: Session, slot: int) -> Snapshot:
    """The snapshot of a slot, 0–7.

    Raises:
        ParameterError: The slot is empty.
    """
    snapshot = session.snapshots[_checked_slot(slot)]
    if snapshot is None:
        raise ParameterError(f"Snapshot {slot + 1} is empty; store one there first.")
    return snapshot


def has_room_to_sound(session: Session) -> bool:
    """Whether another source may be unmuted."""
    return sum(not source.muted for source in session.sources) < MAX_AUDIBLE


def _put(session: Session, source: Source) -> Session:
    """The session with the source of the same id replaced."""
    return replace(
        session,
        sources=tuple(source if each.id == source.id else each for each in session.sources),
    )


def _put_snapshot(session: Session, slot: int, snapshot: Snapshot | None) -> Session:
    slots = list(session.snapshots)
    slots[_checked_slot(slot)] = snapshot
    return replace(session, snapshots=tuple(slots))


def _checked_slot(slot: int) -> int:
    if not 0 <= slot < SNAPSHOT_SLOTS:
        raise ParameterError(f"Snapshot slot {slot} does not exist; use 0-{SNAPSHOT_SLOTS - 1}.")
    return slot


def _new_id(session: Session) -> str:
    """An id that neither the shelf nor a snapshot uses."""
    numbers = [re.fullmatch(r"s(\d{1,9})", source.id) for source in session.all_sources]
    return f"s{1 + max((int(match[1]) for match in numbers if match), default=0)}"


def _free_colour(session: Session) -> str:
    """The colour used least; of several, the first of the palette."""
    used = Counter(source.colour for source in session.sources)
    return min(COLOURS, key=lambda colour: used[colour])


def _free_spot(session: Session) -> tuple[float, float]:
    """The spot farthest from all sources; of several, the first."""
    places = np.array([(source.x, source.y) for source in session.sources]).reshape(-1, 2)
    distances = np.linalg.norm(_SPOTS[:, None] - places, axis=2).min(axis=1, initial=np.inf)
    x, y = _SPOTS[int(np.argmax(distances.round(6)))]
    return float(x), float(y)


def _on_pad(value: float) -> float:
    return float(min(1.0, max(0.0, value)))
