"""Weights on disk: safetensors with a JSON header. No pickle is ever read or written.

A bundle holds every network of one model, its tensors named ``<network>.<parameter>``. The header's
metadata carries one JSON document under the key ``hyperganstrument``: format_version, the kind of
file, the networks' configs, corpus, licence and metrics.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core.errors import CheckpointError

FORMAT_VERSION = 1
"""Raised whenever a reader of the old layout would misread the new one."""
METADATA_KEY = "hyperganstrument"
"""The one metadata entry of a file of ours."""
MAX_BYTES = 2**31
"""Larger files are refused unread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """Contents of a weights file."""

    path: Path
    """Where it was read, for messages."""
    header: Mapping[str, object]
    """The JSON document: format_version, kind, config, …"""
    tensors: dict[str, Tensor]
    """All tensors by full name."""

    def section(self, name: str) -> Mapping[str, object]:
        """An object of the header.

        Raises:
            CheckpointError: There is none of that name.
        """
        section = self.header.get(name)
        if not isinstance(section, Mapping):
            raise CheckpointError(f"{self.path} has no section '{name}'; use another copy of it.")
        return section

    def number(self, name: str) -> int:
        """A whole number of the header.

        Raises:
            CheckpointError: There is none of that name.
        """
        number = self.header.get(name)
        if not isinstance(number, int):
            raise CheckpointError(f"{self.path} has no number '{name}'; use another copy of it.")
        return number

    def network(self, name: str) -> dict[str, Tensor]:
        """State dict of one network.

        Raises:
            CheckpointError: The file holds no such network.
        """
        prefix = f"{name}."
        state = {k[len(prefix) :]: v for k, v in self.tensors.items() if k.startswith(prefix)}
        if not state:
            raise CheckpointError(
                f"{self.path} holds no network '{name}'; use a bundle made by "
                "'python -m training bundle'."
            )
        return state


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, object]
) -> None:
    """Write a weights file; the old one stays until the new one is complete.

    Args:
        path: Target, normally ``*.safetensors``.
        tensors: Tensors by full name, written in their own dtype.
        header: JSON-serialisable; ``format_version`` is added.

    Raises:
        CheckpointError: The file cannot be written.
    """
    document = {"format_version": FORMAT_VERSION, **header}
    metadata = {METADATA_KEY: json.dumps(document, sort_keys=True)}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(plain, temporary, metadata=metadata)
        temporary.chmod(0o644)  # safetensors makes it readable for its owner alone
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            temporary.unlink()
        raise CheckpointError(
            f"The weights cannot be written to {path} ({error}); free some space or choose "
            "another folder."
        ) from error


def load_checkpoint(path: Path, kind: str | None = None) -> Checkpoint:
    """Read a weights file without running anything from it.

    Args:
        path: The file.
        kind: The kind it must have, e.g. ``"bundle"``; None accepts any of ours.

    Raises:
        CheckpointError: Missing, damaged, foreign, of another kind or of a newer version.
    """
    try:
        if not path.is_file():
            raise CheckpointError(f"There is no weights file {path}; name a .safetensors bundle.")
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(
                f"{path} is over {MAX_BYTES >> 30} GB; that is no bundle of ours."
            )
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            header = _parse_header(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({_first_line(error)}); use a bundle made "
            "by 'python -m training bundle'."
        ) from error
    if kind is not None and header.get("kind") != kind:
        raise CheckpointError(
            f"{path} holds a '{header.get('kind')}', not a '{kind}'; use a file made by "
            "'python -m training bundle'."
        )
    return Checkpoint(path=path, header=header, tensors=tensors)


def load_network(network: nn.Module, checkpoint: Checkpoint, name: str) -> None:
    """Fill a network from a checkpoint, every name and shape matching.

    Raises:
        CheckpointError: A tensor is missing, superfluous, of another shape or not finite.
    """
    state = {key: value.float() for key, value in checkpoint.network(name).items()}
    broken = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise CheckpointError(
            f"{checkpoint.path} holds NaN or infinite values in '{name}.{broken[0]}'; "
            "get a fresh copy."
        )
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights of '{name}' in {checkpoint.path} do not fit the network their header "
            f"describes ({_first_line(error)}); get a fresh copy."
        ) from error


def named_tensors(networks: Mapping[str, nn.Module], dtype: torch.dtype) -> dict[str, Tensor]:
    """All parameters of several networks as ``<network>.<parameter>`` in one dtype."""
    return {
        f"{name}.{key}": value.detach().to(dtype)
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }


def _parse_header(path: Path, metadata: Mapping[str, str]) -> dict[str, object]:
    if METADATA_KEY not in metadata:
        raise CheckpointError(
            f"{path} was not written by HyperGANStrument; use a bundle made by "
            "'python -m training bundle'."
        )
    header = json.loads(metadata[METADATA_KEY])
    version = header.get("format_version") if isinstance(header, dict) else None
    if not isinstance(version, int) or version < 1:
        raise CheckpointError(f"{path} has a damaged header; get a fresh copy.")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {version}; this program reads up to {FORMAT_VERSION}. "
            "Update the program."
        )
    return dict(header)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
