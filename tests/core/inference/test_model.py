from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import core.inference.model
from core.checkpoint import load_checkpoint, save_checkpoint
from core.errors import CheckpointError
from core.inference.model import KNOWN_FEATURES, NETWORK_NAMES, SHIPPED_MODEL, load_model
from tests.helpers.tiny_models import TinyNetworks, tiny_bundle

Change = Callable[[dict[str, Any], dict[str, Tensor]], object]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "tiny.safetensors")


def change(bundle: Path, how: Change) -> None:
    """Rewrite a bundle with its header or tensors changed in place."""
    read = load_checkpoint(bundle)
    how(read.header, read.tensors)
    save_checkpoint(bundle, read.tensors, read.header)


def test_a_bundle_gives_the_networks_back_in_half_precision(bundle: Path) -> None:
    model, original = load_model(bundle), TinyNetworks()
    assert set(model.networks()) == set(NETWORK_NAMES)
    for name, network in model.networks().items():
        expected = getattr(original, name).state_dict()
        assert network.state_dict().keys() == expected.keys()
        for key, value in network.state_dict().items():
            assert torch.equal(value, expected[key].half().float()), f"{name}.{key}"
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert network.config == getattr(original, name).config  # type: ignore[union-attr]
    assert model.mel == original.mel
    assert model.known_names == ("Vibraphone", "Violin")
    assert torch.equal(model.known_features, torch.eye(2, 16))


def test_the_hash_tells_bundles_apart(tmp_path: Path, bundle: Path) -> None:
    same = load_model(tiny_bundle(tmp_path / "same.safetensors")).content_hash
    other = load_model(tiny_bundle(tmp_path / "other.safetensors", seed=1)).content_hash
    assert load_model(bundle).content_hash == same != other


def test_without_a_path_the_shipped_bundle_is_read(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SHIPPED_MODEL.parts[-3:] == ("resources", "models", "hyperganstrument.safetensors")
    monkeypatch.setattr(core.inference.model, "SHIPPED_MODEL", bundle)
    assert load_model().known_names == ("Vibraphone", "Violin")


def test_bundles_without_known_instruments_are_fine(bundle: Path) -> None:
    def forget(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        del header["known_instruments"], tensors[KNOWN_FEATURES]

    change(bundle, forget)
    assert load_model(bundle).known_names == ()


DAMAGE: dict[str, tuple[Change, str]] = {
    "another kind": (lambda h, t: h.update(kind="stage"), "holds a 'stage', not a 'bundle'"),
    "no sizes": (lambda h, t: h.pop("config"), "names no network sizes"),
    "no vocoder's sizes": (
        lambda h, t: h["config"].pop("vocoder"),
        "does not say how large its vocoder",
    ),
    "unknown field": (
        lambda h, t: h["config"]["vocoder"].update(colour=3),
        "in a way this program does not know",
    ),
    "impossible geometry": (lambda h, t: h["config"]["mel"].update(floor_db=3), "must be negative"),
    "no transform": (lambda h, t: h["config"]["mel"].update(n_fft=0), "cannot be built"),
    "negative width": (lambda h, t: h["config"]["vocoder"].update(width=-4), "cannot be built"),
    "width in words": (
        lambda h, t: h["config"]["vocoder"].update(width="x"),
        r"does not know \(vocoder.width is 'x', expected a whole number\)",
    ),
    "sizes that are a number": (lambda h, t: h["config"].update(mel=3), "mel is 3, expected a sec"),
    "odd mel": (lambda h, t: h["config"]["mel"].update(n_frames=250), "cannot be built"),
    "another width": (lambda h, t: h["config"]["vocoder"].update(width=18), "do not fit"),
    "widths that differ": (
        lambda h, t: h["config"]["hypernetwork"].update(h_dim=8),
        "feature widths differ",
    ),
    "no vocoder": (
        lambda h, t: [t.pop(name) for name in list(t) if name.startswith("vocoder.")],
        "no network 'vocoder'",
    ),
    "a tensor missing": (lambda h, t: t.pop("vocoder.head.bias"), "do not fit"),
    "a tensor too many": (lambda h, t: t.update({"vocoder.x": torch.zeros(1)}), "do not fit"),
    "not a number": (lambda h, t: t["generator.synthesis.constant"].fill_(torch.nan), "NaN"),
    "an instrument too many": (
        lambda h, t: h["known_instruments"].append("Oboe"),
        "damaged list of instruments",
    ),
    "instruments of another width": (
        lambda h, t: t.update({KNOWN_FEATURES: torch.zeros(2, 5)}),
        "damaged list of instruments",
    ),
    "a NaN instrument": (lambda h, t: t[KNOWN_FEATURES].fill_(torch.nan), "damaged list"),
    "instruments that are a number": (
        lambda h, t: h.update(known_instruments=3),
        "damaged list of instruments",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_is_refused_with_its_name(bundle: Path, damage: str) -> None:
    how, says = DAMAGE[damage]
    change(bundle, how)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_model(bundle)
    assert str(bundle) in str(caught.value)
