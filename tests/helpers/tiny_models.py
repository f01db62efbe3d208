"""Every network at toy width, and toy bundles with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from core.feature_extractor import FeatureExtractor, FeatureExtractorConfig
from core.generator import Generator, GeneratorConfig
from core.hypernetwork import Hypernetwork, HypernetworkConfig
from core.inference.gates import GATE_COUNT
from core.inference.miss import MISS_DIM
from core.inference.model import save_model
from core.mel import MelConfig
from core.vocoder import Vocoder, VocoderConfig

TINY_FEATURES = FeatureExtractorConfig(h_dim=16, channels=(4, 8, 8, 8, 8), n_cells=64)
TINY_GENERATOR = GeneratorConfig(
    z_dim=4, h_dim=16, w_dim=16, mapping_layers=2, channels=(8, 8, 8, 8, 8, 4), n_cells=64
)
TINY_HYPERNETWORK = HypernetworkConfig(
    h_dim=16, hidden_dim=16, rank=2, miss_dim=MISS_DIM, gate_count=GATE_COUNT
)
TINY_VOCODER = VocoderConfig(width=16, hidden=32, layers=1)


class TinyNetworks:
    """One of each network, random but the same every time.

    Args:
        seed: Seed of the weights.
    """

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.mel = MelConfig()
        self.features = FeatureExtractor(TINY_FEATURES, self.mel).eval()
        self.generator = Generator(TINY_GENERATOR, self.mel).eval()
        self.hypernetwork = Hypernetwork(TINY_HYPERNETWORK, self.generator.layer_specs).eval()
        self.vocoder = Vocoder(TINY_VOCODER, self.mel).eval()
        for block in self.hypernetwork.blocks:  # trained ones are not zero
            torch.nn.init.normal_(block.left.weight, std=0.3)
        assert self.hypernetwork.gates is not None
        torch.nn.init.normal_(self.hypernetwork.gates.weight, std=0.3)


def tiny_bundle(path: Path, seed: int = 0) -> Path:
    """Write a bundle that loads in milliseconds and renders something."""
    networks = TinyNetworks(seed)
    save_model(
        path,
        {
            "features": networks.features,
            "generator": networks.generator,
            "hypernetwork": networks.hypernetwork,
            "vocoder": networks.vocoder,
        },
        ("Vibraphone", "Violin"),
        torch.eye(2, 16),
        {"licence": "none", "corpus": {"name": "random weights"}},
    )
    return path
