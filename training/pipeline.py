"""From a configuration to trained networks: what each command of ``python -m training`` does.

Each stage reads the weights that earlier stages left in the run folder and leaves its own there.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import Progress
from torch import nn

from core.checkpoint import load_checkpoint, load_network
from core.errors import CheckpointError
from core.feature_extractor import FeatureExtractor
from core.generator import Generator
from core.hypernetwork import Hypernetwork
from core.inference.model import NETWORK_NAMES
from core.vocoder import Vocoder
from training.bundle import training_record, write_bundle
from training.config import ModelConfig, RunConfig, to_toml
from training.corpus.build import CorpusConfig, build_corpus, read_notes
from training.corpus.splits import Split
from training.data.dataset import CorpusSplit
from training.data.pairs import NotePairs, PairConfig, pair_shares
from training.discriminator import Discriminator
from training.errors import TrainingError
from training.evaluation.evaluate import evaluate
from training.evaluation.sheet import draw_spectrogram_sheet
from training.evaluation.tables import Table, publish_tables
from training.evaluation.workbench import Workbench, open_workbench
from training.pitch_judge import PitchJudge
from training.root_note import fit_root_note
from training.run_dir import RunDir
from training.stage import Stage, StageConfig
from training.stages.features import FeaturesStage
from training.stages.generator import GeneratorStage
from training.stages.hypernetwork import HypernetworkStage, HypernetworkStageConfig
from training.stages.judge import JudgeStage
from training.stages.vocoder import VocoderStage
from training.trainer import LoopConfig, Trainer

TRAINED_STAGES = ("features", "generator", "hypernetwork", "adversarial", "vocoder", "judge")
"""Stages with networks to train, in the order a full run takes them."""
BUNDLE_LICENCE = "MIT"
"""Licence of the weights; what they were trained on is listed beside it, with its licences."""
TRAINED_IN: dict[str, tuple[str, ...]] = {
    "features": ("generator", "features"),
    "generator": ("generator",),
    "discriminator": ("adversarial", "generator"),
    "hypernetwork": ("adversarial", "hypernetwork"),
    "vocoder": ("vocoder",),
    "judge": ("judge",),
}
"""Where to look for a network's weights, the newest stage first."""


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
        self.judge = PitchJudge(model.pitch_judge, mel.sample_rate)

    def load(self, run_dir: Path, name: str, stages: tuple[str, ...] | None = None) -> str:
        """Fill one network from the newest stage that trained it.

        Args:
            run_dir: The run's folder.
            name: Attribute of this object.
            stages: Where to look; the usual places if None.

        Returns:
            The stage the weights came from.

        Raises:
            TrainingError: No stage before has left this network.
        """
        places = stages if stages is not None else TRAINED_IN[name]
        for stage in places:
            path = run_dir / stage / "weights.safetensors"
            if not path.is_file():
                continue
            network: nn.Module = getattr(self, name)
            _fill(network, path, name)
            return stage
        raise TrainingError(
            f"There are no trained weights of '{name}' in {run_dir}; run the stage "
            f"'{places[-1]}' first."
        )


def _fill(network: nn.Module, path: Path, name: str) -> None:
    try:
        load_network(network, load_checkpoint(path), name)
    except CheckpointError as error:
        raise TrainingError(f"{path} does not fit the configuration: {error}") from error


def make_fabric(config: RunConfig) -> Fabric:
    """Lightning Fabric for the configuration, launched."""
    strategy = "ddp" if config.devices > 1 else "auto"
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=config.devices,
        precision=config.precision,  # type: ignore[arg-type]
        strategy=strategy,
    )
    fabric.launch()
    return fabric


def run_stage(
    name: str,
    config: RunConfig,
    run_dir: Path,
    *,
    minutes: float | None,
    resume: bool,
    out: Path | None = None,
) -> int:
    """Train one stage.

    Args:
        name: One of TRAINED_STAGES.
        config: The whole configuration.
        run_dir: The run's folder, where the stages before left their weights.
        minutes: Time budget; None runs all steps.
        resume: Go on from the stage's last state.
        out: Where the stage gets its sub-folder; the run's folder if None.

    Returns:
        Steps done in all.

    Raises:
        TrainingError: An earlier stage is missing, or training went wrong.
        CorpusError: There is no corpus.
    """
    fabric = make_fabric(config)
    stage = build_stage(name, fabric, config, run_dir)
    loop = LoopConfig(
        seed=config.seed,
        checkpoint_every_s=config.checkpoint_every_s,
        validate_every=config.validate_every,
        log_every=config.log_every,
        minutes=minutes,
    )
    with RunDir((out or run_dir) / name, is_writer=fabric.is_global_zero) as run:
        run.write_config(to_toml(config))
        return Trainer(stage, fabric, run, loop).train(resume=resume)


def build_stage(name: str, fabric: Fabric, config: RunConfig, run_dir: Path) -> Stage[StageConfig]:
    """A stage that is ready to step.

    Args:
        name: One of TRAINED_STAGES.
        fabric: Where.
        config: The whole configuration.
        run_dir: The run's folder, where the stages before left their weights.

    Returns:
        The stage.

    Raises:
        TrainingError: An earlier stage is missing.
        CorpusError: There is no corpus.
    """
    corpus = Path(config.corpus_dir)
    train_split = CorpusSplit(corpus, Split.TRAIN, config.train_without)
    validation_split = CorpusSplit(corpus, Split.VALIDATION, config.train_without)
    networks = Networks(config.model, config.seed)
    return _BUILDERS[name](fabric, networks, train_split, validation_split, config, run_dir)


_Built = Stage[StageConfig]
_Builder = Callable[[Fabric, Networks, CorpusSplit, CorpusSplit, RunConfig, Path], _Built]


def _features(
    fabric: Fabric, networks: Networks, train_split: CorpusSplit, validation: CorpusSplit,
    config: RunConfig, run_dir: Path,
) -> _Built:  # fmt: skip
    del run_dir
    recipe = config.features
    return FeaturesStage(
        fabric, networks.features, NotePairs(train_split, config.pairs),
        NotePairs(validation, config.pairs), recipe, config.augment,
    )  # fmt: skip


def _generator(
    fabric: Fabric, networks: Networks, train_split: CorpusSplit, validation: CorpusSplit,
    config: RunConfig, run_dir: Path,
) -> _Built:  # fmt: skip
    if config.start_from:
        for name in ("features", "generator"):
            _fill(getattr(networks, name), Path(config.start_from), name)
    else:
        networks.load(run_dir, "features", stages=("features",))
    recipe = config.generator
    return GeneratorStage(
        fabric, networks.features, networks.generator, networks.discriminator,
        NotePairs(train_split, config.pairs), NotePairs(validation, config.pairs), recipe,
        config.augment,
    )  # fmt: skip


def _hypernetwork(
    fabric: Fabric, networks: Networks, train_split: CorpusSplit, validation: CorpusSplit,
    config: RunConfig, run_dir: Path,
) -> _Built:  # fmt: skip
    return _refinement(
        fabric, networks, train_split, validation, config, run_dir, config.hypernetwork
    )


def _adversarial(
    fabric: Fabric, networks: Networks, train_split: CorpusSplit, validation: CorpusSplit,
    config: RunConfig, run_dir: Path,
) -> _Built:  # fmt: skip
    networks.load(run_dir, "hypernetwork", stages=("hypernetwork",))
    return _refinement(
        fabric, networks, train_split, validation, config, run_dir, config.adversarial
    )


def _refinement(
    fabric: Fabric, networks: Networks, train_split: CorpusSplit, validation: CorpusSplit,
    config: RunConfig, run_dir: Path, recipe: HypernetworkStageConfig,
) -> _Built:  # fmt: skip
    networks.load(run_dir, "features", stages=("generator",))
    networks.load(run_dir, "generator")
    if recipe.adversarial_weight > 0.0:
        networks.load(run_dir, "discriminator", stages=("generator",))
    return HypernetworkStage(
        fabric, networks.features, networks.generator, networks.hypernetwork,
        networks.discriminator, NotePairs(train_split, config.pairs),
        NotePairs(validation, config.pairs), recipe, config.augment,
    )  # fmt: skip


def _vocoder(
    fabric: Fabric, networks: Networks, train_split: CorpusSplit, validation: CorpusSplit,
    config: RunConfig, run_dir: Path,
) -> _Built:  # fmt: skip
    del run_dir
    recipe = config.vocoder
    return VocoderStage(fabric, networks.vocoder, train_split, validation, recipe)


def _judge(
    fabric: Fabric, networks: Networks, train_split: CorpusSplit, validation: CorpusSplit,
    config: RunConfig, run_dir: Path,
) -> _Built:  # fmt: skip
    del run_dir
    recipe = config.judge
    return JudgeStage(fabric, networks.judge, train_split, validation, recipe)


_BUILDERS: dict[str, _Builder] = {
    "features": _features,
    "generator": _generator,
    "hypernetwork": _hypernetwork,
    "adversarial": _adversarial,
    "vocoder": _vocoder,
    "judge": _judge,
}


def render_corpus(config: CorpusConfig, out: Path) -> None:
    """Render a corpus unless it is there already.

    Raises:
        CorpusError: A source is missing.
    """
    if (out / "corpus.json").is_file():
        return
    with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as progress:
        task = progress.add_task("corpus", total=None)
        build_corpus(
            config, out, lambda done, total: progress.update(task, completed=done, total=total)
        )


def print_shares(corpus: Path, config: PairConfig) -> None:
    """Print what a corpus is made of, and what its pairs of notes are, by split and source.

    Args:
        corpus: A rendered corpus; the table is kept in it.
        config: Says which pairs are genuine.

    Raises:
        CorpusError: There is no corpus.
    """
    notes = Counter((note.split, note.source) for note in read_notes(corpus))
    sources = sorted({source for _, source in notes})
    lines = []
    for split, source in sorted(notes):
        others = [other for other in sources if other != source]
        part = CorpusSplit(corpus, split, others)
        shares = pair_shares(part, config)
        lines.append(
            (
                split, source, str(len(part)), str(len(part.instruments)), str(shares.pairs),
                f"{shares.shared:.1%}", f"{shares.stretched:.1%}", f"{shares.genuine:.1%}",
            )
        )  # fmt: skip
    table = Table(
        title="Pairs of two notes of one instrument, velocities apart included",
        header=(
            "split", "source", "notes", "instruments", "pairs", "share a recording",
            "repitched too far", "genuine",
        ),
        lines=tuple(lines),
    )  # fmt: skip
    publish_tables([table], corpus / "pairs.md")


def fit_root_finder(config: RunConfig, run_dir: Path) -> Path:
    """Fit the weights that find root notes, beside the shipped ones.

    Sources that are not trained on are measured all the same; their drum kits are not played.

    Args:
        config: The whole configuration.
        run_dir: The run's folder; the stage gets a sub-folder.

    Returns:
        The weights' path.

    Raises:
        CorpusError: There is no corpus, or a soundfont is missing.
    """
    corpus = Path(config.corpus_dir)
    train_split = CorpusSplit(corpus, Split.TRAIN, config.train_without)
    validation_split = CorpusSplit(corpus, Split.VALIDATION)
    fonts = [Path(font) for font in config.corpus.soundfonts]
    drum_fonts = [font for font in fonts if font.stem not in config.train_without]
    with RunDir(run_dir / "root") as run:
        run.write_config(to_toml(config))
        return fit_root_note(train_split, validation_split, drum_fonts, config.root, run.folder)


def bundle_run(config: RunConfig, run_dir: Path, out: Path) -> Path:
    """Bundle the newest weights of a run.

    Args:
        config: The run's configuration.
        run_dir: Its folder.
        out: Folder for bundle and judge.

    Returns:
        The bundle's path.

    Raises:
        TrainingError: A network was not trained yet.
        CheckpointError: The bundle cannot be written.
    """
    networks = Networks(config.model, config.seed)
    for name in (*NETWORK_NAMES, "judge"):
        networks.load(run_dir, name)
    corpus = Path(config.corpus_dir)
    summary = json.loads((corpus / "corpus.json").read_text(encoding="utf-8"))
    header = {
        "licence": BUNDLE_LICENCE,
        "corpus": summary,
        "trained_without": list(config.train_without),
        "training": training_record(run_dir, TRAINED_STAGES),
    }
    chosen = {name: getattr(networks, name) for name in NETWORK_NAMES}
    train_split = CorpusSplit(corpus, Split.TRAIN, config.train_without)
    return write_bundle(out, chosen, networks.judge, train_split, header)


def evaluate_bundle(config: RunConfig, model: Path | None, out: Path) -> None:
    """Print and keep the quality table of a bundle.

    Raises:
        CoreError: Something needed is missing; the message says what.
    """
    evaluate(open_bundle(config, model), config.evaluate, out)


def draw_sheet(config: RunConfig, model: Path | None, path: Path) -> None:
    """Draw true and rendered spectrograms of test instruments.

    Raises:
        CoreError: Something needed is missing; the message says what.
    """
    draw_spectrogram_sheet(open_bundle(config, model), path)


def open_bundle(config: RunConfig, model: Path | None) -> Workbench:
    """A bundle on the test notes of the configuration's corpus.

    Where the corpus was not rendered, its test notes alone are.

    Args:
        config: Names the corpus.
        model: A bundle or its folder; the shipped one if None.

    Raises:
        CoreError: Something needed is missing; the message says what.
    """
    corpus = Path(config.corpus_dir)
    if not (corpus / "corpus.json").is_file():
        corpus = corpus.with_name(f"{corpus.name}-test")
        render_corpus(dataclasses.replace(config.corpus, splits=(Split.TEST,)), corpus)
    return open_workbench(model, CorpusSplit(corpus, Split.TEST))
