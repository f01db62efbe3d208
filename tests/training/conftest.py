from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from training.config import RunConfig, load_config
from training.corpus.build import CorpusConfig, build_corpus

CONFIGS = Path(__file__).resolve().parents[2] / "resources" / "configs"


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty synthesizer patches of three notes: sixteen to train on, two each to check with."""
    config = CorpusConfig(soundfonts=(), n_patches=20, notes_per_patch=3, workers=1)
    return build_corpus(config, tmp_path_factory.mktemp("corpora") / "tiny")


@pytest.fixture
def debug_config(tiny_corpus: Path) -> RunConfig:
    """resources/configs/debug.toml on the tiny corpus, in full precision on the CPU."""
    config = load_config(CONFIGS / "debug.toml")
    return dataclasses.replace(
        config, corpus_dir=str(tiny_corpus), accelerator="cpu", precision="32-true",
        validate_every=1000, log_every=1,
    )  # fmt: skip
