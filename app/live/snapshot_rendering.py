"""A snapshot as a source: one note of it is rendered and lies on the pad like any recording."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.background.task_runner import TaskRunner
from app.live.editor import Editor
from app.live.messages import Messages
from app.live.preview import Preview
from app.models import edits
from app.models.audio_store import audio_hash
from app.models.session import Session
from core.audio.files import AudioClip
from core.inference.service import RenderService
from core.instrument import Instrument


class SnapshotRendering:
    """Renders snapshots at the note that is looked at, and adds them as sources.

    *Thread:* GUI.
    """

    def __init__(
        self,
        editor: Editor,
        preview: Preview,
        service: RenderService,
        tasks: TaskRunner,
        messages: Messages,
    ) -> None:
        self._editor = editor
        self._preview = preview
        self._service = service
        self._tasks = tasks
        self._messages = messages

    def add(self, slot: int, x: float, y: float) -> None:
        """Render what a slot holds and put it on the pad; an empty slot does nothing.

        Args:
            slot: 0–7.
            x: Place on the pad, 0–1.
            y: Place on the pad, 0–1.
        """
        session, tasks = self._editor.session, self._tasks
        if session.snapshots[slot] is None:
            return
        recalled = edits.recall_snapshot(session, slot)
        sound = self._preview.sound_of(recalled, recalled.x, recalled.y)
        if sound is None:
            self._messages.error(
                "The snapshot cannot be rendered yet: its sources are still being listened to."
            )
            return
        note, name = self._preview.focus, edits.snapshot_in(session, slot).name
        request = sound.request((note,))
        job = self._service.submit(
            lambda engine, progress, cancel: engine.render(
                request, progress=progress, cancel=cancel
            )
        )
        put = partial(self._put, slot, note, (x, y))

        def rendered(instrument: Instrument) -> None:
            samples = instrument.regions[0].samples
            tasks.run(
                partial(_as_clip, samples, instrument.sample_rate, name),
                put,
                self._editor.complain,
            )

        tasks.follow(job.future, rendered, self._editor.complain)

    def _put(
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
