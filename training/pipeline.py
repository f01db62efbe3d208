"""From a configuration to trained networks: what each command of ``python -m training`` does.

Each stage reads the weights that earlier stages left in the run folder and leaves its own there.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import Progress

from core.inference.model import NETWORK_NAMES
from training.building import StageContext, StageEntry
from training.bundle import training_record, write_bundle
from training.config import RunConfig, to_toml
from training.corpus.build import CorpusConfig, build_corpus, read_notes
from training.corpus.splits import Split
from training.data.dataset import CorpusSplit
from training.data.pairs import PairConfig, pair_shares
from training.evaluation.evaluate import evaluate
from training.evaluation.sheet import draw_spectrogram_sheet
from training.evaluation.tables import Table, publish_tables
from training.evaluation.workbench import Workbench, open_workbench
from training.networks import Networks
from training.root_note import fit_root_note
from training.run_dir import RunDir, stage_folder
from training.stage import Stage, StageConfig
from training.stages import STAGE_NAMES
from training.trainer import LoopConfig, Trainer

BUNDLE_LICENCE = "MIT"
"""Licence of the weights; what they were trained on is listed beside it, with its licences."""


def find_stages() -> Mapping[str, StageEntry[Any]]:
    """Entries of all stages that train networks, by name, in the order of a full run."""
    return {
        field.name: importlib.import_module(f"training.stages.{field.name}").STAGE
        for field in dataclasses.fields(RunConfig)
        if field.name in STAGE_NAMES
    }


STAGES: Mapping[str, StageEntry[Any]] = find_stages()
"""The one table of the stages that train networks."""


def stages_training(network: str) -> tuple[str, ...]:
    """Stages that leave the weights of a network, in the order of a full run."""
    return tuple(name for name, entry in STAGES.items() if network in entry.trains)


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
        name: One of STAGES.
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
    with RunDir(stage_folder(out or run_dir, name), is_writer=fabric.is_global_zero) as run:
        run.write_config(to_toml(config))
        return Trainer(stage, fabric, run, loop).train(resume=resume)


def build_stage(name: str, fabric: Fabric, config: RunConfig, run_dir: Path) -> Stage[StageConfig]:
    """A stage that is ready to step.

    Args:
        name: One of STAGES.
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
    context = StageContext(
        fabric=fabric,
        train=CorpusSplit(corpus, Split.TRAIN, config.train_without),
        validation=CorpusSplit(corpus, Split.VALIDATION, config.train_without),
        networks=Networks(config.model, config.seed),
        pairs=config.pairs,
        augment=config.augment,
        run_dir=run_dir,
        start_from=Path(config.start_from) if config.start_from else None,
    )
    stage: Stage[StageConfig] = STAGES[name].build(context, getattr(config, name))
    return stage


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
                split,
                source,
                str(len(part)),
                str(len(part.instruments)),
                str(shares.pairs),
                f"{shares.shared:.1%}",
                f"{shares.stretched:.1%}",
                f"{shares.genuine:.1%}",
            )
        )
    table = Table(
        title="Pairs of two notes of one instrument, velocities apart included",
        header=(
            "split",
            "source",
            "notes",
            "instruments",
            "pairs",
            "share a recording",
            "repitched too far",
            "genuine",
        ),
        lines=tuple(lines),
    )
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
        run_dir: The run's folder.
        out: Folder for the bundle and the pitch classifier.

    Returns:
        The bundle's path.

    Raises:
        TrainingError: A network was not trained yet.
        CheckpointError: The bundle cannot be written.
    """
    networks = Networks(config.model, config.seed)
    for name in (*NETWORK_NAMES, "classifier"):
        networks.load_newest(name, run_dir, stages_training(name))
    corpus = Path(config.corpus_dir)
    summary = json.loads((corpus / "corpus.json").read_text(encoding="utf-8"))
    header = {
        "licence": BUNDLE_LICENCE,
        "corpus": summary,
        "trained_without": list(config.train_without),
        "training": training_record(run_dir, STAGES),
    }
    chosen = {name: getattr(networks, name) for name in NETWORK_NAMES}
    train_split = CorpusSplit(corpus, Split.TRAIN, config.train_without)
    return write_bundle(out, chosen, networks.classifier, train_split, header)


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
