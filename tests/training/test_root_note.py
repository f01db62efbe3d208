"""Root-note weights: fitted reproducibly, on training notes only, readable by the program."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from core.audio import pitch
from core.audio.pitch import Evidence, Perceptron, estimate_root, midi_to_hz, read_weights
from core.errors import CheckpointError, ParameterError
from training import __main__ as command_line
from training import pipeline, root_note
from training.config import RunConfig, load_config
from training.corpus.splits import Split, pseudo_program
from training.data.dataset import CorpusSplit
from training.root_note import (
    WEIGHTS_FILE,
    Example,
    RootNoteConfig,
    fit_weights,
    gather_examples,
    make_example,
    write_weights,
)

CONFIGS = Path(__file__).resolve().parents[2] / "resources" / "configs"
RATE = 44100
TOY = RootNoteConfig(
    notes=48,
    tones=16,
    noises=16,
    clicks=4,
    epochs=60,
    pitched_epochs=40,
    batch_size=16,
    validation_notes=6,
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished stage."""

    weights: Path
    read: list[tuple[Split, int]]
    """Split and row in the corpus of every note whose sound was read."""


@pytest.fixture(scope="module")
def finished_run(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    read: list[tuple[Split, int]] = []
    audio = CorpusSplit.audio

    def spy(split: CorpusSplit, indices: Sequence[int] | NDArray[np.int64]) -> Tensor:
        read.extend((split.split, int(row)) for row in split.rows[np.asarray(indices)])
        return audio(split, indices)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CorpusSplit, "audio", spy)
        path = pipeline.fit_root_finder(_config(tiny_corpus), tmp_path_factory.mktemp("run"))
    return Run(path, read)


def _config(corpus: Path) -> RunConfig:
    config = load_config(CONFIGS / "debug.toml")
    return dataclasses.replace(config, corpus_dir=str(corpus), root=TOY)


def _labels(corpus: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (corpus / "notes.jsonl").read_text().splitlines()]


def test_the_written_weights_find_the_roots_of_training_notes(
    finished_run: Run, tiny_corpus: Path
) -> None:
    assert finished_run.weights.parts[-2:] == ("root", WEIGHTS_FILE)
    weights = read_weights(finished_run.weights)
    split = CorpusSplit(tiny_corpus, Split.TRAIN)
    inside = np.flatnonzero((split.midi_pitch >= 36) & (split.midi_pitch <= 84))
    gaps = [
        estimate_root(split.audio([i])[0].numpy(), RATE, weights).midi_pitch - split.midi_pitch[i]
        for i in inside
    ]
    assert np.mean(np.abs(gaps) <= 0.5) >= 0.8


def test_the_written_weights_tell_noise_from_tones(finished_run: Run) -> None:
    weights = read_weights(finished_run.weights)
    times = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * k * midi_to_hz(60.0) * times) / k for k in range(1, 9))
    noise = np.random.default_rng(1).standard_normal(RATE)
    assert estimate_root(np.asarray(tone), RATE, weights).is_pitched
    assert not estimate_root(noise, RATE, weights).is_pitched


def test_no_test_note_is_read_and_validation_notes_only_measure(
    finished_run: Run, tiny_corpus: Path
) -> None:
    labels = _labels(tiny_corpus)
    assert any(label["split"] == "test" for label in labels)
    assert {labels[row]["split"] for _, row in finished_run.read} == {"train", "validation"}
    order = [split for split, _ in finished_run.read]
    first = order.index(Split.VALIDATION)
    assert set(order[:first]) == {Split.TRAIN}  # all fitted on
    assert set(order[first:]) == {Split.VALIDATION}


def test_the_shipped_weights_stay_as_they_are(
    debug_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pitch.SHIPPED_WEIGHTS.read_bytes()
    few = dataclasses.replace(TOY, notes=6, tones=2, noises=2, clicks=0, epochs=2)
    config = dataclasses.replace(debug_config, root=few)
    monkeypatch.setattr("training.config.load_config", lambda *_: config)
    assert command_line.main(["root", "--run-dir", str(tmp_path)]) == 0
    assert (tmp_path / "root" / WEIGHTS_FILE).is_file()
    assert pitch.SHIPPED_WEIGHTS.read_bytes() == before


def test_the_same_seed_gives_the_same_file(tiny_corpus: Path, tmp_path: Path) -> None:
    train = CorpusSplit(tiny_corpus, Split.TRAIN)

    def fit(seed: int, name: str) -> bytes:
        few = dataclasses.replace(TOY, notes=8, tones=3, noises=4, clicks=1, epochs=5, seed=seed)
        write_weights(tmp_path / name, fit_weights(gather_examples(train, (), few), few))
        return (tmp_path / name).read_bytes()

    assert fit(0, "a.npz") == fit(0, "b.npz")
    assert fit(0, "a.npz") != fit(1, "c.npz")


def test_weights_survive_writing_and_reading(tmp_path: Path) -> None:
    shipped = read_weights(pitch.SHIPPED_WEIGHTS)
    write_weights(tmp_path / "copy.npz", shipped)
    again = read_weights(tmp_path / "copy.npz")
    for ours, theirs in ((again.choice, shipped.choice), (again.pitched, shipped.pitched)):
        for field in dataclasses.fields(ours):
            np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name))


def test_standardising_in_the_first_layer_changes_no_score() -> None:
    rng = np.random.default_rng(0)
    values, mean, scale = rng.normal(5, 3, (7, 4)), rng.normal(5, 1, 4), rng.uniform(1, 3, 4)
    network = root_note._minimise(lambda *_: pytest.fail("no epochs"), 4, 3, 7, 0, TOY)
    folded = root_note._fold(network, mean, scale)
    hidden, hidden_bias, out, out_bias = (p.detach().numpy() for p in network.parameters())
    expected = np.tanh((values - mean) / scale @ hidden.T + hidden_bias) @ out[0] + out_bias
    np.testing.assert_allclose(folded.score(values), expected, rtol=1e-5, atol=1e-6)


def _puzzle(program: int, candidates_hz: Sequence[float], root: int | None) -> Example:
    """A note of a program; its evidence is the number of each candidate."""
    numbers = np.arange(len(candidates_hz), dtype=float)
    return Example(
        evidence=Evidence(np.array(candidates_hz), numbers[:, None]),
        is_root=numbers == root,
        is_pitched=True,
        program=program,
    )


def test_programs_are_measured_by_a_fit_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[list[int | None]] = []

    def fit(examples: Sequence[Example], config: RootNoteConfig) -> Perceptron:
        fitted.append([example.program for example in examples])
        return Perceptron(np.ones((1, 1)), np.zeros(1), np.ones(1), 0.0)  # the last candidate

    monkeypatch.setattr(root_note, "_fit_choice", fit)
    octave_low, octave_high = [110.0, 220.0], [220.0, 110.0]
    examples = [
        _puzzle(0, octave_low, 1),  # right
        _puzzle(10, octave_high, 0),  # an octave off
        _puzzle(10, [220.0, 150.0], 0),  # wrong
        _puzzle(14, octave_low, 1),  # right
        _puzzle(24, octave_low, None),  # no candidate
        dataclasses.replace(_puzzle(0, octave_low, 1), program=None),  # a synthetic tone
    ]
    table = root_note.left_out_table(examples, TOY)
    assert fitted == [[14, None], [0, 10, 10, None]]
    columns = [list(column.cells) for column in table.columns]
    assert columns == [
        ["…0", "…4", "all"],
        ["3", "2", "5"],
        ["0.333", "0.500", "0.400"],
        ["0.667", "0.500", "0.600"],
    ]


def test_programs_end_the_names_of_instruments() -> None:
    assert root_note._program_of("FluidR3_GM/008-016") == 16
    assert root_note._program_of("synth/00042") == 42
    assert root_note._program_of("My Horn") == pseudo_program("My Horn")


def test_left_out_presets(tiny_corpus: Path) -> None:
    train = CorpusSplit(tiny_corpus, Split.TRAIN)
    own = train.notes_of[0]
    name = train.name[own[0]]
    none_else = tuple({other for other in train.name if other != name})
    few = dataclasses.replace(
        TOY, tones=0, noises=1, clicks=0, percussive_presets=none_else, off_key_presets=(name,)
    )
    examples = gather_examples(train, (), few)
    assert [example.is_pitched for example in examples] == [True] * len(own) + [False]
    assert not any(example.is_root.any() for example in examples)
    with pytest.raises(ParameterError, match="0 notes with a root"):
        fit_weights(examples, few)


def test_an_example_marks_the_candidates_at_its_label() -> None:
    times = np.arange(RATE) / RATE
    tone = np.asarray(sum(np.sin(2 * np.pi * k * 440.0 * times) / k for k in range(1, 9)))
    example = make_example(tone, 69.0, is_pitched=True)
    assert example is not None
    roots = example.evidence.candidates_hz[example.is_root]
    assert roots == pytest.approx([440.0], rel=2.0 ** (0.5 / 12) - 1)
    assert make_example(np.zeros(RATE), 69.0, is_pitched=True) is None


def test_splits_in_the_wrong_place_are_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    train, test = (CorpusSplit(tiny_corpus, split) for split in (Split.TRAIN, Split.TEST))
    with pytest.raises(ParameterError, match="validation split"):
        root_note.fit_root_note(train, test, (), TOY, tmp_path)


@pytest.mark.parametrize("name", ["notes", "noises", "hidden", "pitched_hidden", "batch_size"])
def test_a_recipe_without_examples_or_units_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=rf"root\.{name} = 0"):
        dataclasses.replace(TOY, **{name: 0})


@pytest.mark.parametrize("content", [None, b"", b"no weights", b"PK\x03\x04broken"])
def test_damaged_weights_are_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.npz holds no root-note weights"):
        read_weights(path)


def test_pickled_or_partial_weights_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickled.npz", choice_hidden=np.array([{}], dtype=object))
    np.savez(tmp_path / "partial.npz", choice_hidden=np.zeros((2, 2)))
    for name in ("pickled", "partial"):
        with pytest.raises(CheckpointError, match="holds no root-note weights"):
            read_weights(tmp_path / f"{name}.npz")
