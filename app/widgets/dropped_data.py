"""What may be dropped on the window: files, and the program's own snapshots."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QMimeData

SNAPSHOT_MIME = "application/x-hyperganstrument-snapshot"
"""MIME type of a dragged snapshot; its data is the slot's number, 0–7."""


def dropped_files(mime: QMimeData) -> list[Path]:
    """Local files and folders among dropped data."""
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]


def snapshot_mime(slot: int) -> QMimeData:
    """The data of a dragged snapshot."""
    mime = QMimeData()
    mime.setData(SNAPSHOT_MIME, QByteArray(str(slot).encode()))
    return mime


def dropped_snapshot(mime: QMimeData) -> int | None:
    """Slot of a dropped snapshot; None for anything else."""
    text = bytes(mime.data(SNAPSHOT_MIME).data())
    return int(text) if text in {b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"} else None
