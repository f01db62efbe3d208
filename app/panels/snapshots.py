"""Snapshots: eight places where a sound is kept and recalled."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.live.editor import Editor
from app.live.preview import Preview
from app.models import edits
from app.models.session import Session
from app.panels.layout import stack
from app.widgets.snapshot_bar import SnapshotBar


class SnapshotsPanel(QWidget):
    """The bar of snapshots.

    *Signals:*
        recalling(): another sound is about to be recalled; what plays a path must end.

    *Thread:* GUI.
    """

    recalling = Signal()

    def __init__(self, editor: Editor, preview: Preview, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._editor = editor
        self._preview = preview
        self.bar = SnapshotBar()
        stack(self, self.bar)
        self.bar.store_requested.connect(self.store)
        self.bar.recall_requested.connect(self.recall)
        self.bar.clear_requested.connect(
            lambda slot: editor.edit("Clear a snapshot", lambda s: edits.clear_snapshot(s, slot))
        )
        self.bar.rename_requested.connect(self._rename)
        editor.follow(self._show)

    def store(self, slot: int) -> None:
        """Keep the sound of now in a slot, 0–7."""
        loudest = self._preview.loudest
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

    def _show(self, _before: Session | None, after: Session) -> None:
        """Show what the slots hold and which one is heard."""
        kept = after.snapshots
        self.bar.set_names([None if each is None else each.name for each in kept])
        now = edits.snapshot_of(after, "")
        active = (
            slot
            for slot, each in enumerate(kept)
            if each is not None and replace(each, name=now.name) == now
        )
        self.bar.set_active(next(active, None))

    def _rename(self, slot: int, name: str) -> None:
        def rename(session: Session) -> Session:
            renamed = replace(edits.snapshot_in(session, slot), name=edits.display_name(name))
            slots = list(session.snapshots)
            slots[slot] = renamed
            return replace(session, snapshots=tuple(slots))

        self._editor.edit("Rename a snapshot", rename)
