from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.live.messages import Message, Messages
from app.live.settings_store import SettingsStore
from app.settings import AppSettings, load_settings


def test_changes_are_told_and_kept(messages: Messages, tmp_path: Path) -> None:
    before = AppSettings()
    store = SettingsStore(before, messages, tmp_path / "settings")
    told: list[tuple[AppSettings, AppSettings]] = []
    store.changed.connect(lambda old, new: told.append((old, new)))
    after = replace(before, theme="light", last_folder=str(tmp_path))
    store.change(after)
    assert told == [(before, after)]
    assert store.value == after
    assert load_settings(tmp_path / "settings") == (after, None)
    assert store.folder == tmp_path


def test_dialogs_begin_at_home_at_first(messages: Messages, tmp_path: Path) -> None:
    assert SettingsStore(AppSettings(), messages, tmp_path).folder == Path.home()


def test_settings_that_cannot_be_written_are_used_and_said(
    messages: Messages, said: list[Message], tmp_path: Path
) -> None:
    (tmp_path / "settings").write_text("a file where the folder should be")
    store = SettingsStore(AppSettings(), messages, tmp_path / "settings")
    store.change(replace(AppSettings(), middle_c=3))
    assert store.value.middle_c == 3
    assert ["could not be written" in each.text for each in said] == [True]
