"""All networks of a run: their sizes, their initial weights, and the weights that stages leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from core.checkpoint import load_network
from core.errors import CheckpointError, ParameterError
from core.feature_extractor import FeatureExtractor, FeatureExtractorConfig
from core.generator import Generator, GeneratorConfig
from core.hypernetwork import Hypernetwork, HypernetworkConfig
from core.mel import MelConfig
from core.vocoder import Vocoder, VocoderConfig
from training.discriminator import Discriminator, DiscriminatorConfig
from training.errors import TrainingError
from training.pitch_classifier import PitchClassifier, PitchClassifierConfig
from training.run_dir import read_run_file, weights_file


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Sizes of all networks."""

    mel: MelConfig = MelConfig()
    feature_extractor: FeatureExtractorConfig = FeatureExtractorConfig()
    generator: GeneratorConfig = GeneratorConfig()
    hypernetwork: HypernetworkConfig = HypernetworkConfig()
    vocoder: VocoderConfig = VocoderConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    pitch_classifier: PitchClassifierConfig = PitchClassifierConfig()

    def __post_init__(self) -> None:
        widths = {self.feature_extractor.h_dim, self.generator.h_dim, self.hypernetwork.h_dim}
        if len(widths) != 1:
            raise ParameterError(
                f"h_dim differs between feature_extractor, generator and hypernetwork: "
                f"{sorted(widths)}; give all three the same."
            )


class Networks:
    """All networks of a configuration, with initial weights drawn from its seed.

    Args:
        model: Sizes.
        seed: Seed of the initial weights.
    """

    def __init__(self, model: ModelConfig, seed: int) -> None:
        torch.manual_seed(seed)
        mel = model.mel
        self.features = FeatureExtractor(model.feature_extractor, mel)
        self.generator = Generator(model.generator, mel)
        self.hypernetwork = Hypernetwork(model.hypernetwork, self.generator.layer_specs)
        self.vocoder = Vocoder(model.vocoder, mel)
        self.discriminator = Discriminator(model.discriminator, mel, model.generator)
        self.classifier = PitchClassifier(model.pitch_classifier, mel.sample_rate)

    def load_newest(self, name: str, run_dir: Path, stages: Iterable[str]) -> str:
        """Fill one network from the newest of the stages that have left its weights.

        Args:
            name: Attribute of this object.
            run_dir: The run's folder.
            stages: Stages that train the network, in the order of a run.

        Returns:
            The stage that the weights came from.

        Raises:
            TrainingError: No stage has left this network.
        """
        places = tuple(stages)
        for stage in reversed(places):
            path = weights_file(run_dir, stage)
            if path.is_file():
                self.load(name, path)
                return stage
        raise TrainingError(
            f"There are no trained weights of '{name}' in {run_dir}; run the stage "
            f"'{places[0]}' first."
        )

    def load(self, name: str, path: Path) -> None:
        """Fill one network from a file of weights.

        Args:
            name: Attribute of this object.
            path: The file.

        Raises:
            TrainingError: The file is missing or damaged, or is of other sizes.
        """
        network: nn.Module = getattr(self, name)
        try:
            load_network(network, read_run_file(path), name)
        except CheckpointError as error:
            raise TrainingError(f"{path} does not fit the configuration: {error}") from error
