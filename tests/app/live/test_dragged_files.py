from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_data_path

from app.live.dragged_files import DraggedFiles, dragged_folder
from core.errors import ExportError


def test_they_lie_where_the_persons_data_lies() -> None:
    assert dragged_folder() == user_data_path("hyperganstrument", appauthor=False) / "Dragged"


def test_each_drag_has_a_folder_of_its_own(tmp_path: Path) -> None:
    dragged = DraggedFiles(tmp_path / "Dragged")
    folders = [dragged.new_folder() for _ in range(4)]  # within a second or two
    assert len(set(folders)) == 4
    assert all(folder.parent == tmp_path / "Dragged" and folder.is_dir() for folder in folders)


def test_only_an_own_folder_is_forgotten(tmp_path: Path) -> None:
    dragged = DraggedFiles(tmp_path / "Dragged")
    folder, other = dragged.new_folder(), tmp_path / "Music"
    other.mkdir()
    (folder / "note.wav").touch()
    dragged.forget(other)
    dragged.forget(tmp_path / "Dragged")
    assert other.is_dir()
    dragged.forget(folder)
    assert list((tmp_path / "Dragged").iterdir()) == []


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "Dragged").write_text("a file where the folder should be")
    with pytest.raises(ExportError, match="Files to drag cannot be kept in"):
        DraggedFiles(tmp_path / "Dragged").new_folder()
