"""A bundle on disk as ready networks, and the way back.

The header of a bundle holds, under ``config``, the sizes of each network, so that nothing else is
needed to rebuild them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from core.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_network,
    named_tensors,
    save_checkpoint,
)
from core.errors import CheckpointError, ParameterError
from core.feature_extractor import FeatureExtractor, FeatureExtractorConfig
from core.generator import Generator, GeneratorConfig
from core.hypernetwork import Hypernetwork, HypernetworkConfig
from core.mel import MelConfig
from core.structure import structure, unstructure
from core.vocoder import Vocoder, VocoderConfig

SHIPPED_MODEL = (
    Path(__file__).resolve().parents[2] / "resources/models/hyperganstrument.safetensors"
)
"""The bundle that comes with the program."""
NETWORK_NAMES = ("features", "generator", "hypernetwork", "vocoder")
"""Networks of a bundle."""
KNOWN_FEATURES = "known_instruments.features"
"""Mean features of the training instruments, [N, H]; their names are in the header."""

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """All networks of a bundle, in evaluation mode, on the CPU."""

    features: FeatureExtractor
    generator: Generator
    hypernetwork: Hypernetwork
    vocoder: Vocoder
    known_names: tuple[str, ...]
    """Names of the training instruments."""
    known_features: Tensor
    """Their mean features, [N, H]."""
    header: Mapping[str, object]
    """The JSON document of the file."""
    content_hash: str
    """SHA-256 (hex) of the file."""

    @property
    def mel(self) -> MelConfig:
        """Geometry that all networks share."""
        return self.generator.mel

    def networks(self) -> dict[str, nn.Module]:
        """The networks by name."""
        return {name: getattr(self, name) for name in NETWORK_NAMES}


def save_model(
    path: Path,
    networks: Mapping[str, nn.Module],
    known_names: tuple[str, ...],
    known_features: Tensor,
    header: Mapping[str, Any],
) -> None:
    """Write a bundle in half precision.

    Args:
        path: Target file.
        networks: One network for each of NETWORK_NAMES.
        known_names: Names of training instruments.
        known_features: Their mean features, [N, H].
        header: What the header says beside the configs: corpus, licence, metrics, …

    Raises:
        CheckpointError: The file cannot be written.
    """
    generator = networks["generator"]
    assert isinstance(generator, Generator)
    configs = {
        "mel": unstructure(generator.mel),
        **{name: unstructure(networks[name].config) for name in NETWORK_NAMES},
    }
    tensors = named_tensors(networks, torch.float16)
    tensors[KNOWN_FEATURES] = known_features.to(torch.float16)
    document = {**header, "kind": "bundle", "config": configs, "known_instruments": known_names}
    save_checkpoint(path, tensors, document)


def load_model(path: Path | None = None) -> Model:
    """Read a bundle.

    Args:
        path: The file; the shipped one if None.

    Raises:
        CheckpointError: Missing, damaged, foreign or from a newer program.
    """
    path = SHIPPED_MODEL if path is None else path
    checkpoint = load_checkpoint(path, kind="bundle")
    configs = checkpoint.header.get("config")
    if not isinstance(configs, dict):
        raise CheckpointError(f"{path} names no network sizes; get a fresh copy.")
    try:
        model = _build_model(path, configs, checkpoint)
    except (TypeError, ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
        raise CheckpointError(
            f"{path} describes networks that cannot be built ({error}); get a fresh copy."
        ) from error
    _check_parts_fit(path, model)
    for name, network in model.networks().items():
        load_network(network, checkpoint, name)
        network.eval().requires_grad_(False)
    return model


def _build_model(path: Path, configs: Mapping[str, object], checkpoint: Checkpoint) -> Model:
    """The networks at the sizes of the header, still without their weights."""
    mel = _read_config(path, MelConfig, configs, "mel")
    generator = Generator(_read_config(path, GeneratorConfig, configs, "generator"), mel)
    known = checkpoint.header.get("known_instruments", [])
    if not isinstance(known, list):
        raise CheckpointError(f"{path} has a damaged list of instruments; get a fresh copy.")
    return Model(
        features=FeatureExtractor(
            _read_config(path, FeatureExtractorConfig, configs, "features"), mel
        ),
        generator=generator,
        hypernetwork=Hypernetwork(
            _read_config(path, HypernetworkConfig, configs, "hypernetwork"),
            generator.layer_specs,
        ),
        vocoder=Vocoder(_read_config(path, VocoderConfig, configs, "vocoder"), mel),
        known_names=tuple(map(str, known)),
        known_features=checkpoint.tensors.get(KNOWN_FEATURES, torch.zeros(0, 1)).float(),
        header=checkpoint.header,
        content_hash=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _check_parts_fit(path: Path, model: Model) -> None:
    h_dim = model.features.config.h_dim
    if not h_dim == model.generator.config.h_dim == model.hypernetwork.config.h_dim:
        raise CheckpointError(
            f"{path} holds networks whose feature widths differ; get a fresh copy."
        )
    known = model.known_features
    if len(model.known_names) != len(known) or (
        len(known) and (known.shape[1:] != (h_dim,) or not bool(torch.isfinite(known).all()))
    ):
        raise CheckpointError(f"{path} has a damaged list of instruments; get a fresh copy.")


def _read_config(
    path: Path, cls: type[ConfigT], configs: Mapping[str, object], name: str
) -> ConfigT:
    if name not in configs:
        raise CheckpointError(f"{path} does not say how large its {name} is; get a fresh copy.")
    try:
        return structure(cls, configs[name], name)
    except ParameterError as error:
        raise CheckpointError(
            f"{path} describes its networks in a way this program does not know "
            f"({str(error).rstrip('.')}); update the program or get a fresh copy."
        ) from error
