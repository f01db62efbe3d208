from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import core.checkpoint
from core.checkpoint import (
    FORMAT_VERSION,
    METADATA_KEY,
    load_checkpoint,
    load_network,
    named_tensors,
    save_checkpoint,
)
from core.errors import CheckpointError

TENSORS = {"net.weight": torch.arange(6.0).reshape(2, 3), "net.bias": torch.zeros(2)}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, TENSORS, {"kind": "bundle", "licence": "MIT", "minutes": 3})
    return path


def write_foreign(path: Path, document: object) -> Path:
    """A safetensors file whose metadata entry of ours holds anything."""
    text = document if isinstance(document, str) else json.dumps(document)
    save_file(TENSORS, path, metadata={METADATA_KEY: text})
    return path


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64])
def test_tensors_and_header_come_back(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "new" / "folder" / "model.safetensors"
    tensors = {name: value.to(dtype) for name, value in TENSORS.items()}
    save_checkpoint(path, tensors, {"kind": "bundle", "names": ["é", "二"], "nested": {"a": 1}})
    read = load_checkpoint(path, kind="bundle")
    assert read.header == {
        "format_version": FORMAT_VERSION,
        "kind": "bundle",
        "names": ["é", "二"],
        "nested": {"a": 1},
    }
    assert read.tensors.keys() == tensors.keys()
    for name, value in tensors.items():
        assert read.tensors[name].dtype == dtype
        assert torch.equal(read.tensors[name], value)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such mode")
def test_everyone_may_read_it(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o644


def test_tensors_that_share_memory_or_are_views_can_be_saved(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    path = tmp_path / "views.safetensors"
    save_checkpoint(path, {"n.a": base, "n.b": base, "n.c": base.T[1:]}, {"kind": "x"})
    read = load_checkpoint(path).network("n")
    assert torch.equal(read["b"], base)
    assert torch.equal(read["c"], base.T[1:])


def test_any_safetensors_reader_can_read_it(saved: Path) -> None:
    assert load_file(saved).keys() == TENSORS.keys()


def test_a_network_comes_back(tmp_path: Path) -> None:
    network, other = nn.Linear(3, 2), nn.Linear(3, 2)
    path = tmp_path / "one.safetensors"
    save_checkpoint(path, named_tensors({"net": network, "x": nn.Linear(1, 1)}, torch.float16), {})
    load_network(other, load_checkpoint(path), "net")
    assert torch.equal(other.weight, network.weight.half().float())
    assert other.weight.dtype == torch.float32


def test_the_kind_is_checked(saved: Path) -> None:
    assert load_checkpoint(saved).header["kind"] == "bundle"
    with pytest.raises(CheckpointError, match="holds a 'bundle', not a 'training state'"):
        load_checkpoint(saved, kind="training state")


def make_garbage(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def make_truncated(path: Path) -> None:
    save_checkpoint(path, TENSORS, {"kind": "bundle"})
    path.write_bytes(path.read_bytes()[:-5])


def make_cut_in_the_header(path: Path) -> None:
    save_checkpoint(path, TENSORS, {"kind": "bundle"})
    path.write_bytes(path.read_bytes()[:40])


def make_huge_header_length(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}" * 100)


def make_pickle(path: Path) -> None:
    torch.save(TENSORS, path)


def make_foreign(path: Path) -> None:
    save_file(TENSORS, path)


def make_text_in_the_header(path: Path) -> None:
    write_foreign(path, "not json")


def make_deep_header(path: Path) -> None:
    write_foreign(path, "[" * 100_000)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "garbage": (make_garbage, "not a readable safetensors file"),
    "truncated": (make_truncated, "not a readable safetensors file"),
    "cut in the header": (make_cut_in_the_header, "not a readable safetensors file"),
    "huge header": (make_huge_header_length, "not a readable safetensors file"),
    "empty": (lambda path: path.write_bytes(b""), "not a readable safetensors file"),
    "text": (lambda path: path.write_text("RIFF", "utf-8"), "not a readable safetensors file"),
    "pickle": (make_pickle, "not a readable safetensors file"),
    "folder": (lambda path: path.mkdir(), "There is no weights file"),
    "missing": (lambda path: None, "There is no weights file"),
    "foreign": (make_foreign, "was not written by HyperGANStrument"),
    "no json": (make_text_in_the_header, "not a readable safetensors file"),
    "deep json": (make_deep_header, "not a readable safetensors file"),
    "a list": (lambda path: write_foreign(path, [1]), "damaged header"),
    "no version": (lambda path: write_foreign(path, {"kind": "bundle"}), "damaged header"),
    "version 0": (lambda path: write_foreign(path, {"format_version": 0}), "damaged header"),
    "version text": (lambda path: write_foreign(path, {"format_version": "1"}), "damaged header"),
    "future": (
        lambda path: write_foreign(path, {"format_version": FORMAT_VERSION + 1}),
        "this program reads up to 1. Update the program",
    ),
    "another kind": (
        lambda path: write_foreign(path, {"format_version": 1, "kind": "song"}),
        "holds a 'song', not a 'bundle'",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_no_bundle_is_refused_with_its_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "strange model.safetensors"
    make, says = DAMAGE[damage]
    make(path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_checkpoint(path, kind="bundle")
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


def test_a_name_no_file_system_takes_is_refused() -> None:
    with pytest.raises(CheckpointError, match="xxx"):
        load_checkpoint(Path("x" * 5000))
    with pytest.raises(CheckpointError, match="no weights file"):
        load_checkpoint(Path("nul\0byte"))


def test_a_file_beyond_the_limit_is_refused_unread(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.checkpoint, "MAX_BYTES", 10)
    with pytest.raises(CheckpointError, match="that is no bundle of ours"):
        load_checkpoint(saved)


class Bomb:
    """Creates a file as soon as it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return Path.touch, (self.target,)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    path, exploded = tmp_path / "bomb.safetensors", tmp_path / "exploded"
    torch.save({"net.weight": torch.zeros(2), "bomb": Bomb(exploded)}, path)
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    assert exploded.exists()  # the bomb is live
    exploded.unlink()
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not exploded.exists()


def replaced(name: str, value: Tensor | None) -> Callable[[Path], None]:
    """Writes the weights of a Linear(3, 2) with one tensor replaced, added or left out."""

    def write(path: Path) -> None:
        tensors = named_tensors({"net": nn.Linear(3, 2)}, torch.float32)
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value
        save_checkpoint(path, tensors, {"kind": "bundle"})

    return write


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (replaced("net.bias", None), "do not fit the network"),
        (replaced("net.bias", torch.zeros(3)), "do not fit the network"),
        (replaced("net.more", torch.zeros(3)), "do not fit the network"),
        (
            replaced("net.bias", torch.tensor([0.0, torch.nan])),
            "NaN or infinite values in 'net.bias'",
        ),
        (replaced("net.weight", torch.full((2, 3), -torch.inf)), "NaN or infinite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, write: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "model.safetensors"
    write(path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_network(nn.Linear(3, 2), load_checkpoint(path), "net")
    assert str(path) in str(caught.value)


def test_a_network_that_is_not_in_the_file_is_named(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="no network 'vocoder'") as caught:
        load_checkpoint(saved).network("vocoder")
    assert str(saved) in str(caught.value)
    with pytest.raises(CheckpointError):
        load_checkpoint(saved).network("ne")  # a prefix of a name is no name


def fail_while_writing(tensors: object, path: Path, metadata: object) -> None:
    path.write_bytes(b"half")
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("failing", ["save_file", "replace"])
def test_a_full_disk_leaves_the_old_file(
    saved: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    before = saved.read_bytes()
    if failing == "save_file":
        monkeypatch.setattr(core.checkpoint, "save_file", fail_while_writing)
    else:
        monkeypatch.setattr(os, "replace", lambda a, b: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(CheckpointError, match="cannot be written") as caught:
        save_checkpoint(saved, {"net.weight": torch.ones(1)}, {"kind": "bundle"})
    assert str(saved) in str(caught.value)
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    (tmp_path / "folder.safetensors").mkdir()
    for path in (tmp_path / "file" / "model.safetensors", tmp_path / "folder.safetensors"):
        with pytest.raises(CheckpointError, match="cannot be written"):
            save_checkpoint(path, TENSORS, {"kind": "bundle"})
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "folder.safetensors"}


def test_a_header_is_read_by_what_is_expected_of_it(saved: Path, tmp_path: Path) -> None:
    save_checkpoint(
        tmp_path / "a.safetensors", TENSORS, {"kind": "state", "step": 3, "of": {"a": 1}}
    )
    checkpoint = load_checkpoint(tmp_path / "a.safetensors", kind="state")
    assert checkpoint.number("step") == 3
    assert checkpoint.section("of") == {"a": 1}
    with pytest.raises(CheckpointError, match="has no number 'of'"):
        checkpoint.number("of")
    with pytest.raises(CheckpointError, match="has no section 'step'"):
        checkpoint.section("step")
