from __future__ import annotations

from pathlib import Path

import torch

from core.checkpoint import save_checkpoint
from training.run_dir import FORMER_NAMES, read_run_file, stage_folder, weights_file


def test_a_run_keeps_the_name_that_an_older_release_gave_a_stage(tmp_path: Path) -> None:
    assert stage_folder(tmp_path, "classifier") == tmp_path / "classifier"
    (tmp_path / "judge").mkdir()
    assert stage_folder(tmp_path, "classifier") == tmp_path / "judge"
    assert weights_file(tmp_path, "classifier").parent == tmp_path / "judge"
    (tmp_path / "classifier").mkdir()
    assert stage_folder(tmp_path, "classifier") == tmp_path / "classifier"
    assert stage_folder(tmp_path, "vocoder") == tmp_path / "vocoder"


def test_what_an_older_release_wrote_is_read_under_todays_names(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    own = ("judge.stem.weight", "average.judge.stem.weight", "optimizer.judge.0.exp_avg")
    others = ("generator.judge.weight", "average.generator.weight", "optimizer.generator.0.step")
    tensors = {name: torch.full([1], float(i)) for i, name in enumerate((*own, *others))}
    optimizers = {"judge": [{"lr": 1.0}], "generator": []}
    save_checkpoint(path, tensors, {"kind": "state", "optimizers": optimizers})
    read = read_run_file(path, kind="state")
    assert read.header["optimizers"] == {"classifier": [{"lr": 1.0}], "generator": []}
    assert {name: float(tensor) for name, tensor in read.tensors.items()} == {
        "classifier.stem.weight": 0.0,
        "average.classifier.stem.weight": 1.0,
        "optimizer.classifier.0.exp_avg": 2.0,
        **{name: float(i + len(own)) for i, name in enumerate(others)},
    }
    assert FORMER_NAMES == {"classifier": "judge"}
