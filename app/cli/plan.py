"""Arguments that say what an instrument is made of, whatever it sounds like."""

from __future__ import annotations

import argparse
import re

from app.cli.arguments import add_parameters, converter, parameters_of
from core.errors import ParameterError
from core.instrument import Envelope
from core.plan import InstrumentOptions, InstrumentPlan, PadGrid

MAX_PAD_SAMPLES = 8
"""Most samples on an exported pad."""


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Keys, loops, layers, alternatives, envelope and level."""
    add_parameters(parser, InstrumentOptions)
    parser.add_argument(
        "--loop",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether sustained sounds are looped (default: --loop)",
    )
    add_parameters(parser, Envelope)


def add_pad_argument(parser: argparse.ArgumentParser) -> None:
    """``--pad``."""
    parser.add_argument(
        "--pad",
        metavar="CxR",
        type=_grid,
        help="2x1 to 5x5: a grid of points between 2 to 8 SAMPLEs, to morph in the sampler; four "
        "lie in the corners, other numbers along the edge from the left (two: use one row)",
    )


def plan_of(args: argparse.Namespace) -> InstrumentPlan:
    """The plan that the arguments describe.

    Raises:
        ParameterError: They do not fit together.
    """
    return InstrumentPlan(
        notes=args.notes,
        options=parameters_of(args, InstrumentOptions),
        envelope=parameters_of(args, Envelope),
    )


def check_pad(args: argparse.Namespace) -> None:
    """Refuse a pad that the other arguments do not fit.

    Raises:
        ParameterError: The wrong number of samples, or weights beside a pad.
    """
    if args.pad is None:
        return
    if not 2 <= len(args.samples) <= MAX_PAD_SAMPLES:
        raise ParameterError(
            f"--pad morphs between 2 to {MAX_PAD_SAMPLES} samples; got {len(args.samples)}."
        )
    if args.pool:
        raise ParameterError(
            "--pool and --pad exclude each other: one instrument leaves nothing to morph between."
        )
    if args.weights is not None:
        raise ParameterError(
            "--weights and --pad exclude each other: a pad has weights of its own at every point."
        )


@converter
def _grid(text: str) -> PadGrid:
    sides = re.fullmatch(r"([0-9]{1,3})[xX×]([0-9]{1,3})", text.strip())
    if sides is None:
        raise ParameterError(f"'{text}' is no grid; write columns x rows, e.g. 3x3")
    return PadGrid(columns=int(sides[1]), rows=int(sides[2]))
