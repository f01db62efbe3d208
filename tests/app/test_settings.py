from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import (
    MAX_RECENT_FILES,
    AppSettings,
    SettingsError,
    forget_file,
    load_settings,
    remember_file,
    save_settings,
    settings_folder,
)
from core.errors import ParameterError

SETTINGS = st.builds(
    AppSettings,
    audio_device=st.none() | st.text(),
    sample_rate=st.none() | st.sampled_from([44100, 48000]),
    block_size=st.integers(16, 8192),
    midi_inputs=st.none() | st.lists(st.text()).map(tuple),
    compute_device=st.sampled_from(["auto", "cpu", "cuda", "mps"]),
    theme=st.sampled_from(["system", "dark", "light"]),
    middle_c=st.sampled_from([3, 4, 5]),
    recent_files=st.lists(st.text(), max_size=MAX_RECENT_FILES).map(tuple),
    octave=st.integers(-1, 9),
    last_folder=st.none() | st.text(),
    window_geometry=st.binary(),
)


@given(SETTINGS)
def test_what_was_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, settings: AppSettings
) -> None:
    folder = tmp_path_factory.mktemp("settings") / "made when missing"
    save_settings(settings, folder)
    assert load_settings(folder) == (settings, None)


def test_without_a_file_the_defaults_are_taken_silently(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == (AppSettings(), None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema_version": 2}',
        '{"theme": "pink"}',
        '{"middle_c": 6}',
        '{"block_size": 0}',
        '{"colour": 1}',
        '{"window_geometry": "?"}',
        '{"recent_files": ' + json.dumps(["a"] * 11) + "}",
        " " * (2 << 20),
    ],
)
def test_damaged_settings_are_set_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    settings, message = load_settings(tmp_path)
    assert settings == AppSettings()
    assert message is not None
    assert "defaults" in message
    assert "\n" not in message
    assert (tmp_path / "settings.damaged.json").read_text() == text
    assert load_settings(tmp_path) == (AppSettings(), None)


def test_settings_that_cannot_be_written_leave_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_settings(AppSettings(theme="light"), tmp_path)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SettingsError, match="No space left"):
        save_settings(AppSettings(), tmp_path)
    assert load_settings(tmp_path) == (AppSettings(theme="light"), None)


def test_recent_files_are_the_last_ten_each_once(tmp_path: Path) -> None:
    settings = AppSettings()
    for number in (*range(12), 5):
        settings = remember_file(settings, tmp_path / f"{number}.hgs")
    names = [Path(name).stem for name in settings.recent_files]
    assert names == ["5", "11", "10", "9", "8", "7", "6", "4", "3", "2"]
    assert str(tmp_path / "7.hgs") not in forget_file(settings, tmp_path / "7.hgs").recent_files


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sample_rate": 1}, "Sample rate 1 Hz"),
        ({"block_size": 10**6}, "Block size 1000000"),
        ({"octave": 10}, "Octave 10"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, int], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        AppSettings(**changes)


def test_the_folder_is_the_persons_own() -> None:
    assert settings_folder().is_absolute()
    assert settings_folder().name == "hyperganstrument"
