"""The envelope of the notes."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QWidget

from app.live.editor import Editor
from app.models.session import Session
from app.panels.layout import heading, stack
from app.widgets.envelope_editor import EnvelopeEditor
from core.instrument import Envelope


class EnvelopePanel(QWidget):
    """Attack, decay, sustain and release.

    *Thread:* GUI.
    """

    def __init__(self, editor: Editor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._editor = editor
        self.envelope = EnvelopeEditor()
        stack(self, heading("Envelope"), self.envelope)
        self.envelope.envelope_changed.connect(self._set)
        self.envelope.envelope_released.connect(editor.end_gesture)
        editor.follow(self._show)

    def _show(self, before: Session | None, after: Session) -> None:
        if before is None or before.envelope != after.envelope:
            self.envelope.set_envelope(after.envelope)

    def _set(self, envelope: Envelope) -> None:
        self._editor.edit(
            "Change the envelope", lambda s: replace(s, envelope=envelope), "envelope"
        )
