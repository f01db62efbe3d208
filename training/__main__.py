"""``python -m training STAGE --config FILE``: render the corpus, train, evaluate, bundle."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import CoreError, ParameterError
from core.inference.memory import keep_freed_memory
from training.stages import STAGE_NAMES

COMMANDS = ("corpus", "bundle", "evaluate")
"""What a full run does beside the stages that train networks."""
APART = ("root", "sheet", "study")
"""Commands that a full run leaves out: what they make serves every bundle, or is for people."""
STUDIES = (
    "ablations",
    "cost",
    "interpolation",
    "invariance",
    "out-of-distribution",
    "pooling",
    "sensitivity",
)
"""Studies that the command ``study`` knows."""
ALL_MEMORY = 2**31 - 1
"""Freed memory that is kept, bytes: a step's activations are hundreds of megabytes, and faulting them in
anew nearly doubles its time."""
SHEET = Path("resources/models/spectrograms.png")
DEFAULT_CONFIG = Path("resources/configs/default.toml")


def build_parser() -> argparse.ArgumentParser:
    """The command line of the pipeline."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument(
        "stage",
        choices=["all", *COMMANDS, *sorted(STAGE_NAMES), *APART],
        help="what to do; 'all' is a full run, in its order",
    )
    parser.add_argument("study", nargs="?", choices=STUDIES, help="which study")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="TOML file")
    parser.add_argument(
        "--run-dir", type=Path, help="folder of weights and logs (runs/<name of the config>)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last state")
    parser.add_argument("--minutes", type=float, help="stop each stage after this time")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a key, e.g. --set generator.steps=100",
    )
    parser.add_argument("--model", type=Path, help="bundle to evaluate or study (the shipped one)")
    parser.add_argument(
        "--out",
        type=Path,
        help=f"where `bundle` writes (a folder `bundle` in the run's folder), or `sheet` ({SHEET})",
    )
    parser.add_argument(
        "--steps", type=int, default=200, help="of each training of the study `sensitivity` (200)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline; 0 done, 1 the work failed, 2 bad arguments or input."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if (args.stage == "study") != (args.study is not None):
        parser.error(f"name a study after 'study', and nowhere else: {', '.join(STUDIES)}")
    if args.steps < 1:
        parser.error(f"--steps {args.steps} is too few; give 1 or more")
    keep_freed_memory(kept_bytes=ALL_MEMORY, largest_bytes=ALL_MEMORY)
    try:
        _run(args)
    except ParameterError as error:
        print(f"training: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except CoreError as error:
        print(f"training: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("training: stopped; go on with --resume.", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _run(args: argparse.Namespace) -> None:
    # Imported here so that --help and bad arguments answer at once.
    from training import pipeline
    from training.config import load_config
    from training.studies.run import run_study

    config = load_config(args.config, args.overrides)
    run_dir: Path = args.run_dir or Path("runs") / args.config.stem
    bundle_dir: Path = args.out or run_dir / "bundle"
    every = ("corpus", *pipeline.STAGES, "bundle", "evaluate")
    for name in every if args.stage == "all" else (args.stage,):
        if name == "corpus":
            pipeline.render_corpus(config.corpus, Path(config.corpus_dir))
            pipeline.print_shares(Path(config.corpus_dir), config.pairs)
        elif name in pipeline.STAGES:
            pipeline.run_stage(name, config, run_dir, minutes=args.minutes, resume=args.resume)
        elif name == "root":
            pipeline.fit_root_finder(config, run_dir)
        elif name == "bundle":
            pipeline.bundle_run(config, run_dir, bundle_dir)
        elif name == "sheet":
            pipeline.draw_sheet(config, args.model, args.out or SHEET)
        elif name == "study":
            run_study(args.study, config, run_dir, args.model, args.steps)
        else:
            model = bundle_dir if args.stage == "all" else args.model
            pipeline.evaluate_bundle(config, model, run_dir / "evaluate")


if __name__ == "__main__":
    sys.exit(main())
