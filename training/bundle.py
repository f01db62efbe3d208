"""Stage `bundle`: the averaged weights of a run as one file for the program, with a model card."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import CheckpointError
from core.inference.model import NETWORK_NAMES, SHIPPED_MODEL, save_model
from training.data.dataset import CorpusSplit
from training.pitch_classifier import CLASSIFIER_FILE, PitchClassifier, save_classifier
from training.run_dir import stage_folder

MAX_BYTES = 40 * 10**6
"""Largest bundle: it is kept in the repository and opens in an instant."""
NOTES_PER_KNOWN_INSTRUMENT = 4
"""Notes averaged for the features of a known instrument."""


def write_bundle(
    out: Path,
    networks: dict[str, nn.Module],
    classifier: PitchClassifier,
    train_split: CorpusSplit,
    header: Mapping[str, object],
) -> Path:
    """Write a bundle, and the pitch classifier beside it.

    Args:
        out: Folder, created if missing.
        networks: One for each of NETWORK_NAMES.
        classifier: The pitch classifier.
        train_split: Whose instruments become the known ones.
        header: Corpus, licence, training times: what the header says beside the sizes.

    Returns:
        The bundle's path.

    Raises:
        CheckpointError: The file cannot be written, or is over 40 MB.
    """
    out.mkdir(parents=True, exist_ok=True)
    for network in networks.values():
        network.eval()
    names, features = known_instruments(networks["features"], train_split)
    path = out / SHIPPED_MODEL.name
    chosen = {name: networks[name] for name in NETWORK_NAMES}
    created = datetime.now(UTC).strftime("%Y-%m-%d")
    save_model(path, chosen, names, features, {**header, "created": created})
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise CheckpointError(
            f"{path} has {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are shipped: make "
            "the networks smaller."
        )
    save_classifier(out / CLASSIFIER_FILE, classifier)
    return path


@torch.inference_mode()
def known_instruments(features: nn.Module, split: CorpusSplit) -> tuple[tuple[str, ...], Tensor]:
    """Names and mean features of a split's recorded instruments (no random patches), [N, H]."""
    names: list[str] = []
    means: list[Tensor] = []
    for own in split.notes_of:
        if split.source[own[0]] == "synth":
            continue
        chosen = own[np.linspace(0, len(own) - 1, NOTES_PER_KNOWN_INSTRUMENT).astype(int)]
        h = features(split.mels(chosen)[:, None])
        names.append(split.name[own[0]])
        means.append(h.mean(dim=0))
    if not means:
        return (), torch.zeros(0, 1)
    return tuple(names), torch.stack(means)


def training_record(run_dir: Path, stages: Iterable[str]) -> dict[str, dict[str, object]]:
    """Steps, minutes (resumed runs added up) and last validation of each stage."""
    record: dict[str, dict[str, object]] = {}
    for stage in stages:
        path = stage_folder(run_dir, stage) / "stats.jsonl"
        if not path.is_file():
            continue
        seconds = previous = 0.0
        steps = 0
        validation: dict[str, float] = {}
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            steps = max(steps, int(line["step"]))
            measured = {k.removeprefix("validation/"): v for k, v in line.items() if "/" in k}
            validation = measured or validation
            if "seconds" in line:
                now = float(line["seconds"])
                seconds += now - previous if now >= previous else now
                previous = now
        record[stage] = {
            "steps": steps,
            "minutes": round(seconds / 60.0, 1),
            "validation": validation,
        }
    return record
