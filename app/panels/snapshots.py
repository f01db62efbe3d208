"""Snapshots: kept, recalled, dropped back on the pad as sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.live.editor import Editor
from app.models import edits
from app.models.audio_store import audio_hash
from app.models.session import Session
from app.studio import Studio
from app.widgets.snapshot_bar import SnapshotBar
from app.widgets.timbre_pad import TimbrePad
from core.audio.files import AudioClip
from core.instrument import Instrument


class SnapshotControl(QObject):
    """Joins the document's snapshots to the bar and the pad.

    *Signals:*
        recalling(): another sound is about to be recalled; what plays a path must end.

    *Thread:* GUI.
    """

    recalling = Signal()

    def __init__(
        self,
        studio: Studio,
        editor: Editor,
        bar: SnapshotBar,
        pad: TimbrePad,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._studio = studio
        self._editor = editor
        self._bar = bar
        bar.store_requested.connect(self.store)
        bar.recall_requested.connect(self.recall)
        bar.clear_requested.connect(
            lambda slot: editor.edit("Clear a snapshot", lambda s: edits.clear_snapshot(s, slot))
        )
        bar.rename_requested.connect(self._rename)
        pad.snapshot_dropped.connect(self._drop)

    def show_snapshots(self) -> None:
        """Show what the slots hold and which one is heard."""
        session = self._editor.session
        kept = session.snapshots
        self._bar.set_names([None if each is None else each.name for each in kept])
        now = edits.snapshot_of(session, "")
        active = (
            slot
            for slot, each in enumerate(kept)
            if each is not None and replace(each, name=now.name) == now
        )
        self._bar.set_active(next(active, None))

    def store(self, slot: int) -> None:
        """Keep the sound of now in a slot, 0–7."""
        loudest = self._studio.sound.loudest
        name = None if loudest is None else f"{loudest.name} {slot + 1}"
        self._editor.edit(
            f"Store snapshot {slot + 1}", lambda s: edits.store_snapshot(s, slot, name)
        )

    def recall(self, slot: int) -> None:
        """Bring the sound of a slot back; an empty one does nothing."""
        if self._editor.session.snapshots[slot] is not None:
            self.recalling.emit()
            self._editor.edit(
                f"Recall snapshot {slot + 1}", lambda s: edits.recall_snapshot(s, slot)
            )

    def _rename(self, slot: int, name: str) -> None:
        def rename(session: Session) -> Session:
            renamed = replace(edits.snapshot_in(session, slot), name=edits.display_name(name))
            slots = list(session.snapshots)
            slots[slot] = renamed
            return replace(session, snapshots=tuple(slots))

        self._editor.edit("Rename a snapshot", rename)

    def _drop(self, slot: int, x: float, y: float) -> None:
        """Render a snapshot at one note and make that note a source."""
        session, sound, tasks = self._editor.session, self._studio.sound, self._studio.tasks
        if session.snapshots[slot] is None:
            return
        recalled = edits.recall_snapshot(session, slot)
        kept = sound.sound_of(recalled, recalled.x, recalled.y)
        if kept is None:
            self._studio.messages.error(
                "The snapshot cannot be rendered yet: its sources are still being listened to."
            )
            return
        note, name = sound.focus, edits.snapshot_in(session, slot).name
        request = kept.request((note,))
        job = self._studio.service.submit(
            lambda engine, progress, cancel: engine.render(
                request, progress=progress, cancel=cancel
            )
        )
        add = partial(self._add, slot, note, (x, y))

        def rendered(instrument: Instrument) -> None:
            samples = instrument.regions[0].samples
            tasks.run(
                partial(_as_clip, samples, instrument.sample_rate, name),
                add,
                self._editor.complain,
            )

        tasks.follow(job.future, rendered, self._editor.complain)

    def _add(
        self, slot: int, note: int, place: tuple[float, float], found: tuple[str, AudioClip]
    ) -> None:
        key, clip = found
        change: Callable[[Session], Session] = partial(
            edits.add_snapshot_source, slot=slot, audio_hash=key, root=note, place=place
        )
        self._editor.edit("Drop a snapshot on the pad", change, clips={key: clip})


def _as_clip(samples: NDArray[np.float32], sample_rate: int, name: str) -> tuple[str, AudioClip]:
    """A rendered note as a recording, after its hash."""
    clip = AudioClip(samples=samples.copy(), sample_rate=sample_rate, name=name)
    return audio_hash(clip), clip
