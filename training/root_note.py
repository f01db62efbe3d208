"""Stage `root`: fits the two perceptrons of :mod:`core.audio.pitch`.

The first chooses a note's root among its candidates, the second tells whether the note is pitched.
Examples with a root are notes of the training split and synthetic tones whose octave is easily
mistaken; examples without a pitch are the drum kits of the training split's programs, noise and
clicks. No test note is read.

Two tables are printed at the end. The one of the validation split hides how the choice fares on
instruments unlike all it was fitted on, because no validation program is an organ or a tuned drum;
so the other leaves every tenth of the training programs out in turn.

The stage never touches the weights the program ships. To ship new ones, compare the table with the
one of the shipped weights, which is printed beside it, and copy the file by hand::

    python -m training root
    cp runs/default/root/root_weights.npz core/audio/root_weights.npz
    pytest tests/core/audio/test_pitch.py

Shape legend: T samples, N examples, C candidates, E evidence values, J hidden units.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from core.audio.pitch import (
    SHIPPED_WEIGHTS,
    Evidence,
    Perceptron,
    RootWeights,
    audible_part,
    choose_candidate,
    estimate_root,
    gather_evidence,
    hz_to_midi,
    read_weights,
)
from core.errors import ParameterError
from training.corpus.source import SAMPLE_RATE
from training.corpus.splits import Split, pseudo_program
from training.data.dataset import CorpusSplit
from training.root_sounds import FloatArray, Samples, draw_tone, draw_unpitched, play_drums

WEIGHTS_FILE = "root_weights.npz"
"""Name of the file of weights that the stage writes."""
CHECKED_KEYS = (36, 84)
"""MIDI notes, both inclusive, that the table is taken over."""
RIGHT_SEMITONES = 0.5
"""A root this near the label is right."""
ItemT = TypeVar("ItemT")


class _Chance(IntEnum):
    """Independent streams of random numbers."""

    NOTES = 0
    TONES = 1
    NOISE = 2
    FIT = 3
    VALIDATION_NOTES = 4
    VALIDATION_NOISE = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class RootNoteConfig:
    """Recipe of the stage; sizes and rates are ours, chosen on the validation split."""

    notes: int = 3000
    """Notes of the training split; all of them where there are fewer."""
    tones: int = 600
    """Synthetic tones."""
    noises: int = 400
    """Bursts of noise."""
    clicks: int = 48
    """Clicks of less than a millisecond."""
    drum_kits: bool = True
    """Whether to play the drum kits of the corpus's soundfonts."""
    off_key_presets: tuple[str, ...] = (
        "Guitar Harmonics",
        "Orchestra Hit",
        "Church Organ 2",
        "Crystal",
        "Church Bell",
        "Tubular Bells",
        "018",
        "031",
        "055",
        "086",
    )
    """How the names of presets begin that sound an octave, a fifth or a chord off their key by
    design (the numbers are OPL-3's): as roots, their labels would teach octave errors. They still
    are examples of pitched notes."""
    percussive_presets: tuple[str, ...] = (
        "Agogo",
        "Woodblock",
        "Castanets",
        "Metronome",
        "Temple Blocks",
        "Taiko Drum",
        "Concert Bass Drum",
        "808 Tom",
        "Synth Drum",
        "Reverse Cymbal",
        "113",
        "115",
        "116",
        "118",
        "119",
    )
    """How the names of presets begin that are left out altogether: played by key, but it is a matter
    of taste whether a pitch is heard, and which."""
    hidden: int = 12
    """Hidden units of the perceptron that chooses."""
    epochs: int = 150
    """Passes of the perceptron that chooses over the examples."""
    pitched_hidden: int = 6
    """Hidden units of the perceptron that tells pitched from unpitched."""
    pitched_epochs: int = 60
    """Passes of the perceptron that tells pitched from unpitched over the examples."""
    unpitched_weight: float = 0.75
    """Weight of all unpitched examples together, relative to all pitched ones."""
    batch_size: int = 256
    """Examples in a batch."""
    learning_rate: float = 5e-3
    """AdamW's step size, falling to 0 along a cosine."""
    weight_decay: float = 2e-2
    """AdamW's weight decay."""
    validation_notes: int = 1000
    """Notes of the validation split to measure with; all of them where there are fewer."""
    seed: int = 0
    """Seed of what is drawn, of the initial weights and of the batches."""

    def __post_init__(self) -> None:
        for name in ("notes", "noises", "hidden", "pitched_hidden", "batch_size"):
            if getattr(self, name) < 1:
                raise ParameterError(f"root.{name} = {getattr(self, name)} must be at least 1.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Example:
    """One recording as the perceptrons see it."""

    evidence: Evidence
    """What speaks for each of its candidates, of which there is at least one."""
    is_root: NDArray[np.bool_]
    """Candidates within half a semitone of the label, [C]; none where there is no label."""
    is_pitched: bool
    program: int | None = None
    """Program or patch number; None but for notes of the corpus whose label is their root."""


def fit_root_note(
    train: CorpusSplit,
    validation: CorpusSplit,
    drum_fonts: Sequence[Path],
    config: RootNoteConfig,
    out: Path,
) -> Path:
    """Fit both perceptrons, write them, and print how they do.

    Args:
        train: Notes to fit on.
        validation: Notes to measure with.
        drum_fonts: Soundfonts whose drum kits are unpitched examples; their kits of the test split
            are not played.
        config: Recipe.
        out: Folder for :data:`WEIGHTS_FILE`, created if missing.

    Returns:
        The path written.

    Raises:
        CorpusError: A soundfont or FluidSynth is missing.
        ParameterError: A split is not what it should be, or no note's root is among its candidates.
    """
    if (train.split, validation.split) != (Split.TRAIN, Split.VALIDATION):
        raise ParameterError(
            f"Root notes are fitted on {train.split} and checked on {validation.split} notes; give "
            "the training and the validation split."
        )
    fonts = drum_fonts if config.drum_kits else ()
    examples = gather_examples(train, fonts, config)
    weights = fit_weights(examples, config)
    out.mkdir(parents=True, exist_ok=True)
    path = out / WEIGHTS_FILE
    write_weights(path, weights)
    Console().print(left_out_table(examples, config))
    written = {"new": read_weights(path), "shipped": read_weights(SHIPPED_WEIGHTS)}
    Console().print(validation_table(written, validation, fonts, config))
    return path


def gather_examples(
    train: CorpusSplit, drum_fonts: Sequence[Path], config: RootNoteConfig
) -> list[Example]:
    """Everything the perceptrons learn from, in a fixed order."""
    found: list[Example | None] = []
    heard = _without(train, config.percussive_presets)
    for index in _progress(_draw(heard, config.notes, config.seed, _Chance.NOTES), "notes"):
        is_on_key = not train.name[index].startswith(config.off_key_presets)
        label = float(train.midi_pitch[index]) if is_on_key else None
        example = make_example(_audio(train, index), label, is_pitched=True)
        if example is not None and is_on_key:
            instrument = train.instruments[train.instrument[index]]
            example = replace(example, program=_program_of(instrument))
        found.append(example)
    rng = np.random.default_rng([config.seed, _Chance.TONES])
    for _ in _progress(range(config.tones), "tones"):
        tone, midi_pitch = draw_tone(rng)
        found.append(make_example(tone, midi_pitch, is_pitched=True))
    rng = np.random.default_rng([config.seed, _Chance.NOISE])
    noises = draw_unpitched(rng, config.noises, config.clicks)
    for name, sounds in (("noise", noises), ("drums", play_drums(drum_fonts, Split.TRAIN))):
        for _, sound in _progress(sounds, name):
            found.append(make_example(sound, None, is_pitched=False))
    return [example for example in found if example is not None]


def make_example(
    samples: NDArray[np.floating], midi_pitch: float | None, *, is_pitched: bool
) -> Example | None:
    """Evidence of one recording.

    Args:
        samples: Mono at 44.1 kHz, [T].
        midi_pitch: Root of the recording; None where it is unknown or there is none.
        is_pitched: Whether it has a pitch at all.

    Returns:
        None where the recording is silent or has no candidates.
    """
    note = audible_part(samples, SAMPLE_RATE)
    if note is None:
        return None
    evidence = gather_evidence(note)
    if len(evidence.candidates_hz) == 0:
        return None
    label = np.nan if midi_pitch is None else midi_pitch
    gaps = np.array([hz_to_midi(candidate) for candidate in evidence.candidates_hz]) - label
    return Example(
        evidence=evidence, is_root=np.abs(gaps) <= RIGHT_SEMITONES, is_pitched=is_pitched
    )


def fit_weights(examples: Sequence[Example], config: RootNoteConfig) -> RootWeights:
    """Fit both perceptrons, the second upon what the first chooses.

    Raises:
        ParameterError: No example has its root among the candidates, or none is unpitched.
    """
    rooted = [example for example in examples if example.is_root.any()]
    is_pitched = np.array([example.is_pitched for example in examples])
    if not rooted or is_pitched.all():
        raise ParameterError(
            f"{len(rooted)} notes with a root and {int((~is_pitched).sum())} sounds without one are "
            "too few to fit root notes on; raise root.notes and root.noises."
        )
    choice = _fit_choice(rooted, config)
    about = np.stack([choose_candidate(example.evidence, choice)[1] for example in examples])
    return RootWeights(choice, _fit_pitched(about, is_pitched, config))


def _fit_choice(examples: Sequence[Example], config: RootNoteConfig) -> Perceptron:
    """Softmax over the candidates of a note; right ones share the likelihood."""
    together = np.concatenate([example.evidence.values for example in examples])
    mean, scale = together.mean(axis=0), together.std(axis=0) + 1e-6
    most = max(len(example.is_root) for example in examples)
    values = np.zeros((len(examples), most, len(mean)), np.float32)
    exists = np.zeros((len(examples), most), bool)
    is_root = np.zeros((len(examples), most), bool)
    for row, example in enumerate(examples):
        count = len(example.is_root)
        values[row, :count] = (example.evidence.values - mean) / scale
        exists[row, :count] = True
        is_root[row, :count] = example.is_root
    inputs, absent, wrong = (torch.from_numpy(x) for x in (values, ~exists, ~is_root))

    def loss(network: nn.Module, rows: Tensor) -> Tensor:
        scores = network(inputs[rows])[..., 0].masked_fill(absent[rows], -1e9)
        shares = scores.log_softmax(dim=1).masked_fill(wrong[rows], -1e9)
        return -torch.logsumexp(shares, dim=1).mean()

    network = _minimise(loss, len(mean), config.hidden, len(examples), config.epochs, config)
    return _fold(network, mean, scale)


def _fit_pitched(
    about: FloatArray, is_pitched: NDArray[np.bool_], config: RootNoteConfig
) -> Perceptron:
    """Logistic regression with a hidden layer on [N, E + 1]."""
    mean, scale = about.mean(axis=0), about.std(axis=0) + 1e-6
    inputs = torch.from_numpy(((about - mean) / scale).astype(np.float32))
    labels = torch.from_numpy(is_pitched.astype(np.float32))
    ratio = config.unpitched_weight * float(is_pitched.sum()) / float((~is_pitched).sum())
    importance = torch.where(labels > 0, 1.0, ratio)

    def loss(network: nn.Module, rows: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            network(inputs[rows])[:, 0], labels[rows], weight=importance[rows]
        )

    network = _minimise(
        loss, len(mean), config.pitched_hidden, len(about), config.pitched_epochs, config
    )
    return _fold(network, mean, scale)


def _minimise(
    loss: Callable[[nn.Module, Tensor], Tensor],
    n_inputs: int,
    n_hidden: int,
    n_examples: int,
    epochs: int,
    config: RootNoteConfig,
) -> nn.Sequential:
    """A perceptron fitted in mini-batches; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.Tanh(), nn.Linear(n_hidden, 1))
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, epochs))
    rng = np.random.default_rng([config.seed, _Chance.FIT])
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(n_examples))
        for rows in torch.split(order, config.batch_size):
            optimizer.zero_grad()
            loss(network, rows).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    return network


def _fold(network: nn.Sequential, mean: FloatArray, scale: FloatArray) -> Perceptron:
    """A perceptron equal to a network whose inputs were standardised: its first layer does that."""
    hidden, hidden_bias, out, out_bias = (
        parameter.detach().double().numpy() for parameter in network.parameters()
    )
    weights = hidden.T / scale[:, None]
    return Perceptron(weights, hidden_bias - mean @ weights, out[0], float(out_bias[0]))


def write_weights(path: Path, weights: RootWeights) -> None:
    """Write what :func:`core.audio.pitch.read_weights` reads; equal weights give equal bytes."""
    arrays = {
        f"{name}_{part}": np.asarray(getattr(perceptron, part), np.float32)
        for name, perceptron in (("choice", weights.choice), ("pitched", weights.pitched))
        for part in ("hidden", "hidden_bias", "out", "out_bias")
    }
    np.savez(path, **arrays)  # type: ignore[arg-type]


def left_out_table(examples: Sequence[Example], config: RootNoteConfig) -> Table:
    """Shares of right candidates among notes of programs that are left out of the fit in turn.

    Args:
        examples: As :func:`gather_examples` finds them.
        config: Recipe.
    """
    table = Table(
        "programs left out",
        "notes",
        "right candidate",
        "octaves forgiven",
        title="Training programs, each tenth left out in turn",
    )
    tenth = np.array([-1 if e.program is None else e.program % 10 for e in examples])
    rooted = np.array([bool(e.is_root.any()) for e in examples])
    everything: list[tuple[bool, bool]] = []
    for digit in sorted(set(tenth[tenth >= 0].tolist())):
        rest = np.flatnonzero(rooted & (tenth != digit)).tolist()
        choice = _fit_choice([examples[row] for row in rest], config)
        left_out = np.flatnonzero(tenth == digit).tolist()
        found = [_is_found(examples[row], choice) for row in left_out]
        everything += found
        table.add_row(f"…{digit}", str(len(found)), *_shares(found))
    table.add_row("all", str(len(everything)), *_shares(everything))
    return table


def _is_found(example: Example, choice: Perceptron) -> tuple[bool, bool]:
    """Whether the root is chosen, and whether the root or one of its octaves is.

    Both are False where no candidate is the root.
    """
    if not example.is_root.any():
        return False, False
    best, _ = choose_candidate(example.evidence, choice)
    candidates_hz = example.evidence.candidates_hz
    octaves = np.log2(candidates_hz[best] / candidates_hz[example.is_root])
    near = np.abs(octaves - np.round(octaves)) <= RIGHT_SEMITONES / 12.0
    return bool(example.is_root[best]), bool(near.any())


def _shares(found: Sequence[tuple[bool, bool]]) -> Iterator[str]:
    return (f"{share:.3f}" for share in np.mean(found, axis=0))


def validation_table(
    weights: dict[str, RootWeights],
    validation: CorpusSplit,
    drum_fonts: Sequence[Path],
    config: RootNoteConfig,
) -> Table:
    """Shares of right roots by note source, and of unpitched sounds that are found unpitched.

    Args:
        weights: One or more sets to compare, by name.
        validation: The validation split.
        drum_fonts: Soundfonts of the drum kits.
        config: How many notes.
    """
    low, high = CHECKED_KEYS
    inside = np.flatnonzero((validation.midi_pitch >= low) & (validation.midi_pitch <= high))
    chosen = _draw(inside, config.validation_notes, config.seed, _Chance.VALIDATION_NOTES)
    source = np.array([validation.source[index] for index in chosen])
    pitches = validation.midi_pitch[chosen]
    rng = np.random.default_rng([config.seed, _Chance.VALIDATION_NOISE])
    noises = draw_unpitched(rng, max(1, config.noises // 4), config.clicks // 4)
    unpitched = [*noises, *play_drums(drum_fonts, Split.VALIDATION)]
    kinds = np.array([kind for kind, _ in unpitched])

    table = Table(
        "weights",
        "sounds",
        "number",
        f"right ±{100 * RIGHT_SEMITONES:.0f} cents",
        "octaves forgiven",
        "called pitched",
        title=f"Root notes of the validation split, MIDI {low}–{high}",
    )
    for name, each in weights.items():
        estimates = [
            estimate_root(_audio(validation, index), SAMPLE_RATE, each)
            for index in _progress(chosen, f"validation, {name}")
        ]
        gaps = np.array([estimate.midi_pitch for estimate in estimates]) - pitches
        right = np.abs(gaps) <= RIGHT_SEMITONES
        forgiven = np.abs(gaps - 12.0 * np.round(gaps / 12.0)) <= RIGHT_SEMITONES
        pitched = np.array([estimate.is_pitched for estimate in estimates])
        groups = [("all notes", np.ones(len(chosen), bool))]
        groups += [(group, source == group) for group in sorted(set(source.tolist()))]
        for group, own in groups:
            shares = (f"{part[own].mean():.3f}" for part in (right, forgiven, pitched))
            table.add_row(name, group, str(own.sum()), *shares)
        called = np.array(
            [estimate_root(sound, SAMPLE_RATE, each).is_pitched for _, sound in unpitched]
        )
        for kind in dict.fromkeys(kinds.tolist()):
            own = kinds == kind
            table.add_row(name, kind, str(own.sum()), "", "", f"{called[own].mean():.3f}")
    return table


def _program_of(instrument: str) -> int:
    """The program or patch number an instrument's name ends with, or its pseudo program."""
    number = re.search(r"[0-9]+$", instrument)
    return int(number[0]) if number else pseudo_program(instrument)


def _without(split: CorpusSplit, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Indices of the notes whose preset's name begins with none of these."""
    return np.flatnonzero([not name.startswith(names) for name in split.name])


def _draw(indices: NDArray[np.int64], count: int, seed: int, chance: int) -> NDArray[np.int64]:
    """Some of the indices, in rising order."""
    rng = np.random.default_rng([seed, chance])
    chosen: NDArray[np.int64] = np.sort(rng.permutation(indices)[:count])
    return chosen


def _audio(split: CorpusSplit, index: int) -> Samples:
    """One note, [T]."""
    samples: Samples = split.audio([index])[0].numpy()
    return samples


def _progress(items: Iterable[ItemT], what: str) -> Iterable[ItemT]:
    return track(items, what, console=Console(stderr=True))
