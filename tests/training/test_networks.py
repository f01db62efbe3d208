from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.checkpoint import named_tensors, save_checkpoint
from training.config import RunConfig
from training.errors import TrainingError
from training.networks import Networks


def _leave(run_dir: Path, stage: str, network: torch.nn.Module) -> None:
    tensors = named_tensors({"vocoder": network}, torch.float32)
    save_checkpoint(run_dir / stage / "weights.safetensors", tensors, {"kind": "weights"})


def _state(networks: Networks) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in networks.vocoder.state_dict().items()}


def test_the_newest_stage_that_left_a_network_fills_it(
    debug_config: RunConfig, tmp_path: Path
) -> None:
    first, second, ours = (Networks(debug_config.model, seed) for seed in (1, 2, 3))
    for stage, networks in (("first", first), ("second", second)):
        _leave(tmp_path, stage, networks.vocoder)
        assert ours.load_newest("vocoder", tmp_path, ("first", "second", "third")) == stage
        for name, value in _state(networks).items():
            assert torch.equal(_state(ours)[name], value), name


def test_a_network_that_no_stage_left_is_named_with_the_first_that_would(
    debug_config: RunConfig, tmp_path: Path
) -> None:
    networks = Networks(debug_config.model, 0)
    with pytest.raises(TrainingError, match=r"no trained weights of 'vocoder'.*stage 'first'"):
        networks.load_newest("vocoder", tmp_path, ("first", "second"))


def test_weights_of_other_sizes_are_refused(debug_config: RunConfig, tmp_path: Path) -> None:
    networks = Networks(debug_config.model, 0)
    _leave(tmp_path, "first", torch.nn.Linear(2, 2))
    path = tmp_path / "first" / "weights.safetensors"
    with pytest.raises(TrainingError, match="does not fit the configuration"):
        networks.load("vocoder", path)
