"""Arguments that say what an instrument is made of, whatever it sounds like."""

from __future__ import annotations

import argparse
import re

import numpy as np
from numpy.typing import NDArray

from app.cli.arguments import converter, integer, number
from core.audio.pitch import parse_note
from core.errors import ParameterError
from core.inference.building import MAX_VELOCITY_LAYERS, InstrumentPlan, PadGrid
from core.instrument import HIGHEST_KEY, MAX_ROUND_ROBINS, Envelope

MAX_PAD_SAMPLES = 8
"""Most samples on an exported pad."""


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Keys, loops, layers, alternatives, envelope and level."""
    add = parser.add_argument
    note, seconds = converter(parse_note), number(0.0, 20.0)
    default = Envelope()
    add("--low-key", metavar="NOTE", type=note, default=0,
        help="lowest key that answers (default: %(default)s)")  # fmt: skip
    add("--high-key", metavar="NOTE", type=note, default=HIGHEST_KEY,
        help="highest key that answers (default: %(default)s)")  # fmt: skip
    add("--loop", action=argparse.BooleanOptionalAction, default=True,
        help="whether sustained sounds are looped (default: --loop)")  # fmt: skip
    add("--velocity-layers", metavar="N", type=integer(1, MAX_VELOCITY_LAYERS), default=1,
        help="timbres from soft to loud (default: %(default)s)")  # fmt: skip
    add("--round-robins", metavar="N", type=integer(1, MAX_ROUND_ROBINS), default=1,
        help="alternatives that repeated keys run through (default: %(default)s)")  # fmt: skip
    add("--attack", metavar="S", type=seconds, default=default.attack_s,
        help="envelope, seconds (default: %(default)s, the recording's own)")  # fmt: skip
    add("--decay", metavar="S", type=seconds, default=default.decay_s,
        help="envelope, seconds (default: %(default)s)")  # fmt: skip
    add("--sustain", metavar="0-1", type=number(0.0, 1.0), default=default.sustain,
        help="envelope, level (default: %(default)s)")  # fmt: skip
    add("--release", metavar="S", type=number(0.001, 20.0), default=default.release_s,
        help="envelope, seconds (default: %(default)s)")  # fmt: skip
    add("--loudness", metavar="LUFS", type=number(-60.0, 0.0),
        help="of every note as far as its peak allows; default: as loud as most of them can be")  # fmt: skip


def add_pad_argument(parser: argparse.ArgumentParser) -> None:
    """``--pad``."""
    parser.add_argument(
        "--pad", metavar="CxR", type=_grid,
        help="2x1 to 5x5: a grid of points between 2 to 8 SAMPLEs, to morph in the sampler; four "
        "lie in the corners, other numbers along the edge from the left (two: use one row)",
    )  # fmt: skip


def plan_of(args: argparse.Namespace) -> InstrumentPlan:
    """The plan that the arguments describe.

    Raises:
        ParameterError: They do not fit together.
    """
    return InstrumentPlan(
        notes=args.notes,
        low_key=args.low_key,
        high_key=args.high_key,
        loop=args.loop,
        velocity_layers=args.velocity_layers,
        round_robins=args.round_robins,
        envelope=Envelope(
            attack_s=args.attack,
            decay_s=args.decay,
            sustain=args.sustain,
            release_s=args.release,
        ),
        loudness_lufs=args.loudness,
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


def pad_places(count: int) -> NDArray[np.float64]:
    """Where samples lie on an exported pad, [count, 2], x and y in 0–1 from the bottom left."""
    if count == 4:
        return np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
    angles = np.pi * (1.0 - 2.0 * np.arange(count) / count)  # clockwise from the left
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1).round(12)
    places: NDArray[np.float64] = 0.5 + 0.5 * directions / np.abs(directions).max(axis=1)[:, None]
    return places


@converter
def _grid(text: str) -> PadGrid:
    sides = re.fullmatch(r"([0-9]{1,3})[xX×]([0-9]{1,3})", text.strip())
    if sides is None:
        raise ParameterError(f"'{text}' is no grid; write columns x rows, e.g. 3x3")
    return PadGrid(columns=int(sides[1]), rows=int(sides[2]))
