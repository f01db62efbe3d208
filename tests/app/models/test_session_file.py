from __future__ import annotations

import io
import json
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import session_file
from app.models.audio_store import audio_hash
from app.models.edits import add_source
from app.models.session import Session
from app.models.session_file import load_session, save_session
from core.audio.file_facts import FileFacts, FileLoop, RootClaim, RootOrigin
from core.errors import SessionFileError
from core.plan import InstrumentOptions
from tests.app.models.sessions import CLIPS, HASHES, SESSIONS, make_clip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good session of two sources."""
    session = add_source(Session(), audio_hash=HASHES[0], name="bell")
    session = add_source(session, audio_hash=HASHES[1], name="gong")
    save_session(tmp_path / "good.hgs", session, CLIPS)
    return tmp_path / "good.hgs"


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def edit_json(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    files = members(path)
    plain = json.loads(files["session.json"])
    edit(plain)
    rewrite(path, files | {"session.json": json.dumps(plain).encode()})


def refused(path: Path, says: str) -> None:
    """It is refused with one short sentence, at once and without much memory."""
    tracemalloc.start()
    started_s = time.perf_counter()
    with pytest.raises(SessionFileError, match=says) as refusal:
        load_session(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    message = str(refusal.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200
    assert peak < 64 << 20
    assert time.perf_counter() - started_s < 5.0


@given(SESSIONS)
def test_what_was_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, session: Session
) -> None:
    path = tmp_path_factory.mktemp("sessions") / "any.hgs"
    save_session(path, session, CLIPS)
    loaded = load_session(path)
    assert loaded.session == session
    assert loaded.origin is None
    assert set(loaded.clips) == session.audio_hashes
    for key, clip in loaded.clips.items():
        assert np.array_equal(clip.samples, CLIPS[key].samples)
        assert (clip.sample_rate, clip.name) == (CLIPS[key].sample_rate, CLIPS[key].name)


@pytest.mark.parametrize("bits", [16, 24, None])
@pytest.mark.parametrize("channels", [1, 2])
def test_audio_comes_back_bit_for_bit(tmp_path: Path, bits: int | None, channels: int) -> None:
    clip = make_clip(4, channels=channels, bits=bits)
    clip = replace(clip, samples=-0.0 * clip.samples if bits == 24 else clip.samples)
    key = audio_hash(clip)
    save_session(tmp_path / "a.hgs", add_source(Session(), audio_hash=key, name="a"), {key: clip})
    assert np.array_equal(load_session(tmp_path / "a.hgs").clips[key].samples, clip.samples)


@pytest.mark.parametrize(
    "facts",
    [
        FileFacts(),
        FileFacts(
            claims=(
                RootClaim(midi_pitch=36.25, origin=RootOrigin.SMPL),
                RootClaim(midi_pitch=41.0, origin=RootOrigin.NAME),
            ),
            loops=(FileLoop(start=3, end=90),),
        ),
        FileFacts(cycle_frames=600),
    ],
)
def test_what_a_file_said_of_itself_is_kept(tmp_path: Path, facts: FileFacts) -> None:
    clip = replace(make_clip(4), facts=facts)
    key = audio_hash(clip)
    save_session(tmp_path / "a.hgs", add_source(Session(), audio_hash=key, name="a"), {key: clip})
    assert load_session(tmp_path / "a.hgs").clips[key].facts == facts


def test_files_that_say_nothing_of_their_recordings_are_read(path: Path) -> None:
    edit_json(path, lambda plain: [entry.pop("facts") for entry in plain["audio"]])
    assert all(clip.facts == FileFacts() for clip in load_session(path).clips.values())


def test_files_from_before_instruments_and_fits_mean_neither(path: Path) -> None:
    session = load_session(path).session
    edit_json(path, lambda plain: plain["session"].pop("one_instrument"))
    edit_json(path, lambda plain: [s.pop("fit_steps") for s in plain["session"]["sources"]])
    assert load_session(path).session == session
    assert not session.one_instrument
    assert not any(source.fit_steps for source in session.sources)


def test_the_file_is_a_plain_zip_with_each_recording_once(tmp_path: Path) -> None:
    session = add_source(Session(), audio_hash=HASHES[0], name="bell")
    session = add_source(session, audio_hash=HASHES[0], name="bell again")
    save_session(tmp_path / "a.hgs", session, CLIPS)
    assert set(members(tmp_path / "a.hgs")) == {"session.json", f"audio/{HASHES[0]}.flac"}


def test_a_failed_save_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SessionFileError, match="No space left"):
        save_session(path, Session(), {})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_could_not_be_opened_is_not_saved(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, session = path.read_bytes(), load_session(path).session
    monkeypatch.setattr(session_file, "MAX_AUDIO_VALUES", 5000)
    with pytest.raises(SessionFileError, match=r"cannot be saved.*remove some sources"):
        save_session(path, session, CLIPS)
    assert path.read_bytes() == before


def test_older_versions_are_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = session_file.FORMAT_VERSION
    monkeypatch.setattr(session_file, "FORMAT_VERSION", version + 2)
    monkeypatch.setattr(
        session_file,
        "MIGRATIONS",
        {
            version: lambda plain: plain | {"volume": 0.25},
            version + 1: lambda plain: {
                **{key: item for key, item in plain.items() if key != "volume"},
                "session": plain["session"] | {"gain_db": -12.0 * (plain["volume"] == 0.25)},
            },
        },
    )
    assert load_session(path).session.gain_db == -12.0


def as_version_1(plain: Any) -> None:
    """Bring what is in a file to the shape that 0.1.0 wrote."""
    session = plain["session"]
    for holder in (session, *filter(None, session["snapshots"])):
        holder["sound"] = {
            **holder.pop("settings"),
            "one_instrument": holder.pop("one_instrument"),
        }
    export = session["export"]
    span, grid = export.pop("span"), export.pop("grid")
    options = export.pop("options")
    export |= {name: options[name] for name in ("length_s", "loop", "velocity_layers")}
    export |= {"round_robins": options["round_robins"], "step": span["step"]}
    export |= {"low_note": span["low"], "high_note": span["high"]}
    export["pad_columns"] = 1 if grid is None else grid["columns"]
    export["pad_rows"] = 1 if grid is None else grid["rows"]
    plain["format_version"] = 1


@given(SESSIONS)
def test_all_that_version_1_knew_comes_back(session: Session) -> None:
    options = replace(
        InstrumentOptions(),
        **{
            name: getattr(session.export.options, name)
            for name in ("length_s", "loop", "velocity_layers", "round_robins")
        },
    )
    session = replace(session, export=replace(session.export, options=options))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.hgs"
        save_session(path, session, CLIPS)
        edit_json(path, as_version_1)
        assert load_session(path).session == session


@pytest.mark.parametrize(
    "edit",
    [
        lambda s: s.update(sound=3),
        lambda s: s.update(sound={"seed": "1"}),
        lambda s: s.update(snapshots=7),
        lambda s: s.update(snapshots=[5] * 8),
        lambda s: s.update(export=[1]),
        lambda s: s["export"].update(pad_columns="1", pad_rows=[]),
        lambda s: s["export"].update(low_note=None),
        lambda s: s.clear(),
    ],
)
def test_a_damaged_version_1_is_refused(path: Path, edit: Callable[[Any], object]) -> None:
    edit_json(path, as_version_1)
    edit_json(path, lambda plain: edit(plain["session"]))
    with pytest.raises(SessionFileError, match="cannot be opened"):
        load_session(path)


def test_there_is_a_migration_from_every_older_version() -> None:
    assert set(session_file.MIGRATIONS) == set(range(1, session_file.FORMAT_VERSION))


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    refused(tmp_path / "none.hgs", "does not exist")
    refused(tmp_path, "is no file")


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_flipped_byte_never_changes_a_session(
    tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    path = tmp_path_factory.mktemp("flips") / "a.hgs"
    session = add_source(Session(), audio_hash=HASHES[0], name="bell")
    save_session(path, session, CLIPS)
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= flip
    path.write_bytes(data)
    try:
        loaded = load_session(path)
    except SessionFileError:
        return
    assert loaded.session == session  # a byte that means nothing, such as a date
    assert np.array_equal(loaded.clips[HASHES[0]].samples, CLIPS[HASHES[0]].samples)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(path, "damaged or no session file")


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/passwd", "audio/../x", "C:\\x", "extra"])
def test_other_members_are_refused_and_nothing_is_extracted(path: Path, name: str) -> None:
    around = set(path.parent.parent.rglob("*"))
    rewrite(path, members(path) | {name: b"evil"})
    refused(path, "other files than it names")
    assert set(path.parent.parent.rglob("*")) == around


def test_hashes_that_are_paths_are_refused(path: Path) -> None:
    edit_json(path, lambda plain: plain["audio"][0].update(hash="../../../etc/passwd"))
    refused(path, "64 hex digits")


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2], ids=str
)
def test_a_huge_or_bomb_of_json_is_refused(path: Path, method: int) -> None:
    rewrite(path, members(path) | {"session.json": b" " * (80 << 20)}, method)
    refused(path, r"compressed|larger than 8 MB")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA], ids=str)
def test_json_that_says_it_is_smaller_than_it_is_stays_small(path: Path, method: int) -> None:
    rewrite(path, {"session.json": b" " * (80 << 20)}, method)
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<L", data, directory + 24, 1000)
    path.write_bytes(data)
    refused(path, r"damaged|unknown way")


def test_compressed_audio_is_refused(path: Path) -> None:
    rewrite(path, members(path), zipfile.ZIP_DEFLATED)
    refused(path, "is compressed")


def test_too_many_members_are_refused_before_they_are_listed(path: Path) -> None:
    rewrite(path, {f"{number}": b"" for number in range(30_000)})
    refused(path, "more than 512 files")


def test_a_directory_of_64_bits_is_refused(path: Path) -> None:
    data = path.read_bytes()
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    path.write_bytes(data[:-22] + locator + data[-22:])
    refused(path, "more than 512 files")


def test_a_file_too_large_is_refused_unread(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(2 << 30)
    refused(path, "larger than 1024 MB")


def test_a_member_twice_is_refused(path: Path) -> None:
    files = members(path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("session.json", files["session.json"])
    refused(path, "a file twice")


def test_a_zip_that_is_something_else_is_refused(path: Path) -> None:
    rewrite(path, {"word/document.xml": b"<xml/>"})
    refused(path, "no session.json")


def test_a_little_flac_of_hours_of_silence_is_refused(path: Path) -> None:
    silence = make_clip(frames=400_000)
    silence = replace(silence, samples=silence.samples * 0.0)
    key = audio_hash(silence)
    save_session(path, add_source(Session(), audio_hash=key, name="a"), {key: silence})
    assert path.stat().st_size < 50_000
    edit_json(path, lambda plain: plain["audio"][0].update(frames=4_000))
    refused(path, "another length")
    edit_json(path, lambda plain: plain["audio"][0].update(frames=1 << 40))
    refused(path, "Frames of a recording")
    edit_json(path, lambda plain: plain["audio"][0].update(frames=1 << 27, channels=1024))
    refused(path, "recordings hold")


def test_recordings_under_each_others_names_are_refused(path: Path) -> None:
    files = members(path)
    first, second = (name for name in files if name.startswith("audio/"))
    rewrite(path, files | {first: files[second], second: files[first]})
    refused(path, "is damaged")


def test_floats_that_are_no_numbers_are_refused(path: Path) -> None:
    clip = make_clip(bits=None)
    clip.samples[0, 5] = np.nan
    key = audio_hash(clip)
    save_session(path, add_source(Session(), audio_hash=key, name="a"), {key: clip})
    refused(path, "is damaged")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda p: p.update(format_version=3), "newer version.*update the program"),
        (lambda p: p.update(format_version=0), "no format version"),
        (lambda p: p.update(format_version=True), "no format version"),
        (lambda p: p.update(format_version="1"), "no format version"),
        (lambda p: p.pop("format_version"), "no format version"),
        (lambda p: p.update(format="other"), "format is 'other'"),
        (lambda p: p.update(plugin="x"), "unknown field 'plugin'"),
        (lambda p: p["session"].update(tempo=120), "unknown field 'tempo'"),
        (lambda p: p["session"].update(x="0.5"), "session.x is '0.5', expected a number"),
        (lambda p: p["session"].update(x=float("nan")), "expected a finite number"),
        (lambda p: p["session"].update(x=1.5), "x = 1.5 is outside 0-1"),
        (lambda p: p["session"].update(sources={}), "expected a list"),
        (lambda p: p["session"].update(sources=p["session"]["sources"][:1]), "not those that"),
        (lambda p: p["session"]["sources"][0].update(name="a\u202eb"), "Name"),
        (lambda p: p["session"]["sources"][0].update(name="\ud800"), "Name"),
        (lambda p: p["session"]["sources"][0].update(start_s=0.09), "starts at 0.09 s"),
        (lambda p: p["session"]["sources"].extend(p["session"]["sources"]), "same id"),
        (lambda p: p["session"]["settings"].update(seed=-1), "Seed -1"),
        (lambda p: p["session"].update(envelope=None), "expected a section"),
        (lambda p: p["session"].update(snapshots=[None] * 9), "8 snapshot slots"),
        (lambda p: p.update(audio=[]), "not those that its sources use"),
        (lambda p: p["audio"][0].update(encoding="mp3"), "encoding is 'mp3'"),
        (lambda p: p["audio"][0].update(sample_rate=0), "Sample rate 0"),
        (lambda p: p["audio"][0].update(facts={"cycle_frames": 1}), "cycle of 1 frames"),
        (lambda p: p["audio"][0].update(facts={"loops": [{"start": 5, "end": 5}]}), "A loop from"),
        (
            lambda p: p["audio"][0].update(
                facts={"claims": [{"midi_pitch": 1e9, "origin": "smpl"}]}
            ),
            "A root of",
        ),
    ],
)
def test_wrong_content_is_named(path: Path, edit: Callable[[Any], object], says: str) -> None:
    edit_json(path, edit)
    refused(path, says)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_json_that_is_none_is_refused(path: Path, text: bytes) -> None:
    rewrite(path, members(path) | {"session.json": text})
    refused(path, r"valid JSON|no format version")


def test_bytes_before_the_zip_do_no_harm(path: Path) -> None:
    session = load_session(path).session
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert load_session(path).session == session


def test_an_encrypted_member_is_refused(path: Path) -> None:
    data = io.BytesIO(path.read_bytes()).getvalue()
    directory = data.index(b"PK\x01\x02")
    flagged = bytearray(data)
    flagged[directory + 8] |= 1
    flagged[6] |= 1
    path.write_bytes(flagged)
    refused(path, "damaged")
