"""Every study on plain tones and toy networks."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.audio.files import write_audio
from core.checkpoint import named_tensors, save_checkpoint
from training import __main__ as command_line
from training.config import RunConfig, load_config
from training.evaluation.config import EvaluateConfig
from training.evaluation.tables import Table
from training.evaluation.workbench import Workbench
from training.networks import Networks
from training.studies import cost, sensitivity
from training.studies.ablations import ABLATIONS, FIGURES, Ablation, study_ablations
from training.studies.cost import study_cost
from training.studies.foreign_sounds import foreign_sounds
from training.studies.interpolation import WEIGHTS, study_interpolation
from training.studies.invariance import study_invariance
from training.studies.out_of_distribution import study_out_of_distribution
from training.studies.pooling import GIVEN, draw_cases, study_pooling
from training.studies.sensitivity import study_sensitivity

CONFIGS = Path(__file__).resolve().parents[3] / "resources" / "configs"
FEW = EvaluateConfig(pairs=48, pitch_sources=4, tuning_notes=12)


def _check(tables: list[Table]) -> None:
    for table in tables:
        assert table.lines
        assert all(len(line) == len(table.header) for line in table.lines)
        assert not any("nan" in cell for line in table.lines for cell in line[1:3])


@pytest.mark.parametrize("knows", ["instrument", "pitch"])
def test_invariance_tells_features_of_the_instrument_from_those_of_the_pitch(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: str
) -> None:
    split = bench.split
    known = {
        split.mels([i]).numpy().tobytes(): (split.instrument[i], split.midi_pitch[i])
        for i in range(len(split))
    }

    def features(mels: Tensor) -> Tensor:
        found = [known[mel.numpy().tobytes()] for mel in mels]
        if knows == "pitch":
            return torch.tensor([[float(pitch)] for _, pitch in found])
        numbers = torch.tensor([int(number) for number, _ in found])
        return torch.nn.functional.one_hot(numbers, 3).float()

    monkeypatch.setattr(bench, "features", features)
    tables = study_invariance(bench, FEW, tmp_path)
    _check(tables)
    _, distances, found_again, explained = tables[1].lines[0]
    within_by_between = float(distances.rpartition("= ")[2])
    if knows == "instrument":
        assert within_by_between == 0.0
        assert float(found_again) == 1.0
        assert float(explained) < 0.3
    else:
        assert 0.7 < within_by_between < 1.4
        assert float(found_again) < 0.7
        assert float(explained) > 0.99
    assert (tmp_path / "invariance.png").is_file()


def test_interpolation_has_a_line_for_every_weight(bench: Workbench, tmp_path: Path) -> None:
    tables = study_interpolation(bench, FEW, tmp_path)
    _check(tables)
    assert [line[0] for line in tables[0].lines] == [f"{weight:g}" for weight in WEIGHTS]
    assert {line[1] for line in tables[0].lines} == {"6"}  # two pairs at three notes
    assert (tmp_path / "interpolation.png").is_file()


def test_pooling_compares_the_same_notes_however_many_are_given(bench: Workbench) -> None:
    tables = study_pooling(bench, FEW)
    assert [table.lines[-1][0] for table in tables] == ["any", "any"]
    for table in tables:
        counts = [
            [int(found) for cell in line[1:] for found in re.findall(r"\((\d+)\)", cell)]
            for line in table.lines
        ]
        assert len(set(counts[-1])) == 1
        assert len(counts[-1]) == len(GIVEN)
        assert sum(sum(line) for line in counts[:-1]) == sum(counts[-1])


def test_pooling_never_compares_with_a_note_that_was_given(bench: Workbench) -> None:
    cases = draw_cases(bench, np.random.default_rng(0), 9)
    assert len(cases) == 3  # each instrument once
    for case in cases:
        given = {timbre.root_pitch for timbre in case.timbres}
        assert len(given) == max(GIVEN)
        assert not given & set(bench.split.midi_pitch[case.targets].tolist())
        assert len({bench.split.instrument[index] for index in case.targets}) == 1


def test_cost_times_every_batch_and_length(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "BATCHES", (1, 3))
    tables = study_cost(bench, tmp_path)
    _check(tables)
    times = np.array([[float(cell) for cell in line[1:]] for line in tables[0].lines])
    assert times.shape == (2, 5)
    assert (times > 0.0).all()
    assert (times[:, -1] > times[:, 1]).all()  # a whole note takes longer than an eighth
    assert (tmp_path / "cost.png").is_file()


def test_foreign_sounds_are_the_same_every_time_and_within_full_scale() -> None:
    sounds, again = foreign_sounds(44100), foreign_sounds(44100)
    assert {sound.kind for sound in sounds} == {"voice", "noise", "drum", "foley"}
    for sound, other in zip(sounds, again, strict=True):
        assert np.array_equal(sound.clip.samples, other.clip.samples)
        assert float(np.max(np.abs(sound.clip.samples))) == pytest.approx(0.9)


def test_out_of_distribution_looks_at_samples_and_foreign_sounds(
    bench: Workbench, tmp_path: Path
) -> None:
    write_audio(tmp_path / "own.wav", bench.split.audio([5]).numpy(), bench.sample_rate)
    tables = study_out_of_distribution(bench, FEW, tmp_path)
    _check(tables)
    lines = {line[0]: line for line in tables[0].lines}
    assert len(lines) == 2 + len(foreign_sounds(bench.sample_rate))
    assert lines["sample: own"][1].startswith("60.0")
    assert "its root is a guess" in lines["noise: white noise"][-1]


def test_sensitivity_trains_from_the_runs_generator_and_leaves_it_alone(
    debug_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dataclasses.replace(debug_config.hypernetwork, timbres_per_batch=2)
    config = dataclasses.replace(debug_config, hypernetwork=recipe)
    run_dir = tmp_path / "run"
    networks = Networks(config.model, seed=5)
    trained = {"features": networks.features, "generator": networks.generator}
    weights = run_dir / "generator" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    save_checkpoint(weights, named_tensors(trained, torch.float32), {"kind": "weights"})
    monkeypatch.setattr(sensitivity, "TIMBRE_WEIGHTS", (20.0,))
    monkeypatch.setattr(sensitivity, "RECONSTRUCTION_WEIGHTS", (0.0, 200.0))
    tables = study_sensitivity(config, run_dir, run_dir / "study", steps=2)
    _check(tables)
    assert [line[:2] for line in tables[0].lines] == [("20", "0"), ("20", "200")]
    plain = {line[2] for line in tables[0].lines}
    assert len(plain) == 1  # the generator is the same in every cell
    assert not (run_dir / "hypernetwork").exists()


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda each: each.name)
def test_every_ablation_is_a_configuration_that_loads(ablation: Ablation) -> None:
    changed = load_config(CONFIGS / f"{ablation.config}.toml", ablation.changes)
    plain = load_config(CONFIGS / f"{ablation.config}.toml")
    assert (changed != plain) == bool(ablation.changes)
    assert command_line.build_parser().parse_args(ablation.command(Path("runs")).split()[3:])


def test_ablations_gather_what_evaluate_left(tmp_path: Path) -> None:
    (tmp_path / "paper" / "evaluate").mkdir(parents=True)
    rows = [
        {"measure": f"{name} (7), ÷ 2", "value": f"value {i}"} for i, name in enumerate(FIGURES)
    ]
    metrics = tmp_path / "paper" / "evaluate" / "metrics.json"
    metrics.write_text(json.dumps({"rows": rows}), encoding="utf-8")
    tables = study_ablations(tmp_path)
    _check(tables)
    lines = {line[0]: line[2:] for line in tables[0].lines}
    assert lines["paper"] == tuple(f"value {i}" for i in range(len(FIGURES)))
    assert set(lines["ours"]) == {""}


@pytest.mark.parametrize(
    "words",
    [["study"], ["study", "nothing"], ["corpus", "cost"], ["study", "cost", "--steps", "0"]],
)
def test_a_study_that_is_not_named_right_is_bad_input(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main(words)
    assert stopped.value.code == 2
    assert "sensitivity" in capsys.readouterr().err or "--steps" in words


def test_a_study_leaves_its_tables_in_the_runs_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CONFIGS / "debug.toml"
    run_dir = tmp_path / "mine"
    words = ["study", "ablations", "--config", str(config), "--run-dir", str(run_dir)]
    assert command_line.main(words) == 0
    assert "mels-into-h" in (run_dir / "study" / "ablations.md").read_text(encoding="utf-8")
    assert "Ablations" in capsys.readouterr().out
