from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.audio.pitch import midi_to_hz
from core.inference.model import load_model
from core.mel import MelConfig, MelSpectrogram
from tests.helpers.tiny_models import tiny_bundle
from training.config import RunConfig, load_config
from training.corpus.build import CorpusConfig, build_corpus
from training.corpus.splits import Split
from training.data.dataset import CorpusSplit
from training.evaluation.workbench import Workbench
from training.pitch_classifier import PitchClassifier, PitchClassifierConfig

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
        config,
        corpus_dir=str(tiny_corpus),
        accelerator="cpu",
        precision="32-true",
        validate_every=1000,
        log_every=1,
    )


TONE_NOTES = (36.0, 48.0, 49.0, 52.0, 55.3, 60.0, 61.0, 72.0)
TONE_PARTIALS = {"first/000-007": 12, "second/000-017": 3, "third/000-027": 2}
"""Instruments of the tone corpus and how many partials each has."""


def _tone(midi_pitch: float, partials: int) -> NDArray[np.float32]:
    time_s = np.arange(MelConfig().n_samples) / MelConfig().sample_rate
    orders = np.arange(1, partials + 1)[:, None]
    phases = 2.0 * np.pi * midi_to_hz(midi_pitch) * orders * time_s + orders
    sound = np.sum(np.sin(phases) / orders, axis=0) * np.exp(-2.0 * time_s)
    return (sound / np.max(np.abs(sound))).astype(np.float32)


@pytest.fixture(scope="session")
def tone_split(tmp_path_factory: pytest.TempPathFactory) -> CorpusSplit:
    """Test notes of three instruments that are plain decaying tones."""
    folder = tmp_path_factory.mktemp("tones")
    labels, waves = [], []
    for instrument, partials in TONE_PARTIALS.items():
        for note in TONE_NOTES:
            waves.append(_tone(note, partials))
            labels.append(
                {
                    "instrument": instrument,
                    "source": instrument.partition("/")[0],
                    "name": instrument.partition("/")[0],
                    "program": int(instrument[-3:]),
                    "split": "test",
                    "midi_pitch": note,
                    "velocity": 100,
                    "kind": "recorded",
                    "samples": [f"{instrument}/{note}"],
                    "stretch": 0.0,
                    "gain_db": 0.0,
                }
            )
    audio = np.stack(waves)
    np.save(folder / "audio.npy", np.round(audio * 32767.0).astype(np.int16))
    mels = MelSpectrogram(MelConfig())(torch.from_numpy(audio))
    np.save(folder / "mels.npy", mels.numpy().astype(np.float16))
    lines = "".join(f"{json.dumps(label)}\n" for label in labels)
    (folder / "notes.jsonl").write_text(lines, encoding="utf-8")
    return CorpusSplit(folder, Split.TEST)


@pytest.fixture(scope="session")
def bench(tone_split: CorpusSplit, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Untrained toy networks beside the plain tones."""
    model = load_model(tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny.safetensors"))
    torch.manual_seed(0)
    sizes = PitchClassifierConfig(channels=4, blocks=1)
    classifier = PitchClassifier(sizes, tone_split.mel.sample_rate).eval().requires_grad_(False)
    return Workbench(model, classifier, tone_split)
