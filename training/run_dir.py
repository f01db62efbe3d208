"""Folder of one stage of a run: resolved config, stats.jsonl, TensorBoard, weights, resume state."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from core.checkpoint import Checkpoint, load_checkpoint

WEIGHTS = "weights.safetensors"
"""Averaged weights of a stage, read by the stages that follow."""
FORMER_NAMES = {"classifier": "judge"}
"""Stages, and networks, that the runs of release 0.1 call otherwise: today's name to the former one."""


def stage_folder(run_dir: Path, stage: str) -> Path:
    """Folder of a stage in a run's folder; a run of an older release keeps its own name for it."""
    former = FORMER_NAMES.get(stage)
    folder = run_dir / stage
    if former is not None and not folder.exists() and (run_dir / former).exists():
        return run_dir / former
    return folder


def weights_file(run_dir: Path, stage: str) -> Path:
    """File of the averaged weights that a stage leaves in a run's folder."""
    return stage_folder(run_dir, stage) / WEIGHTS


def read_run_file(path: Path, kind: str | None = None) -> Checkpoint:
    """Read weights or a state, with the names that networks have today.

    Args:
        path: The file.
        kind: What it must be, ``weights`` or ``state``; None accepts any.

    Raises:
        CheckpointError: The file is missing or damaged, or of another kind.
    """
    checkpoint = load_checkpoint(path, kind)
    names = {former: name for name, former in FORMER_NAMES.items()}

    def renamed(tensor: str) -> str:
        parts = tensor.split(".")
        place = 1 if parts[0] in ("average", "optimizer") else 0
        parts[place] = names.get(parts[place], parts[place])
        return ".".join(parts)

    header = dict(checkpoint.header)
    if "optimizers" in header:
        optimizers = checkpoint.section("optimizers")
        header["optimizers"] = {names.get(k, k): v for k, v in optimizers.items()}
    tensors = {renamed(name): tensor for name, tensor in checkpoint.tensors.items()}
    return Checkpoint(path=path, header=header, tensors=tensors)


class RunDir:
    """Where a stage leaves what it learns; use as a context manager.

    Args:
        folder: Created if missing.
        is_writer: False on the other processes of a distributed run: nothing is written.
    """

    def __init__(self, folder: Path, *, is_writer: bool = True) -> None:
        self.folder = folder
        self.is_writer = is_writer
        self._tensorboard: SummaryWriter | None = None
        if is_writer:
            folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> RunDir:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()

    @property
    def weights(self) -> Path:
        """Averaged weights, read by the stages that follow."""
        return self.folder / WEIGHTS

    @property
    def state(self) -> Path:
        """Everything a resumed run needs."""
        return self.folder / "state.safetensors"

    def write_config(self, text: str) -> None:
        """Keep the resolved configuration beside the results."""
        if self.is_writer:
            (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write values to a line of stats.jsonl and to TensorBoard."""
        if not self.is_writer:
            return
        line: dict[str, Any] = {"step": step, "time": round(time.time(), 3), **values}
        with (self.folder / "stats.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in values.items():
            self._board().add_scalar(name, value, step)

    def log_spectrogram(self, name: str, step: int, mel: NDArray[np.float32]) -> None:
        """Show a normalised log-mel [M, F] on TensorBoard, low notes at the bottom."""
        if self.is_writer:
            picture = ((mel[::-1] + 1.0) / 2.0).clip(0.0, 1.0)
            self._board().add_image(name, picture, step, dataformats="HW")

    def log_audio(self, name: str, step: int, audio: NDArray[np.float32], sample_rate: int) -> None:
        """Put a waveform [T] on TensorBoard to listen to."""
        if self.is_writer:
            self._board().add_audio(name, audio[None].clip(-1.0, 1.0), step, sample_rate)

    def _board(self) -> SummaryWriter:
        if self._tensorboard is None:
            self._tensorboard = SummaryWriter(str(self.folder / "tensorboard"))
        return self._tensorboard
