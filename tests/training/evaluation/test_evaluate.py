from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.audio.pitch import RootEstimate
from core.errors import ParameterError
from tests.helpers.tiny_models import tiny_bundle
from training.evaluation import quality
from training.evaluation.comparison import Comparison
from training.evaluation.config import EvaluateConfig
from training.evaluation.distances import Distances
from training.evaluation.evaluate import evaluate
from training.evaluation.quality import Quality
from training.evaluation.workbench import Workbench

FEW = EvaluateConfig(
    pairs_per_bin=1,
    family_pairs=2,
    pairs=6,
    fitted_sources=2,
    fit_steps=1,
    pitch_sources=2,
    tuning_notes=4,
    vocoder_notes=3,
    probed_presets=3,
    root_notes=8,
    neighbour_instruments=1,
)


def test_all_tables_are_printed_and_kept(
    bench: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("rubberband") is None:
        pytest.skip("Rubber Band (rubberband-cli) is not installed")
    other = tiny_bundle(tmp_path / "other.safetensors", seed=4)
    config = dataclasses.replace(FEW, other_model=str(other))
    evaluate(bench, config, tmp_path / "out")
    printed = capsys.readouterr().out
    kept = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    for words in ("Recorded instruments, all intervals", "by interval", "family", "other model"):
        assert words in kept
    assert "nearest other recording" in printed
    text = (tmp_path / "out" / "metrics.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    metrics = json.loads(text)
    assert metrics["other_model"] != metrics["model"] == bench.model.content_hash
    assert metrics["recorded_distances"]
    assert metrics["recorded_differences"]
    assert metrics["synthesized_distances"] == []
    assert {row["family"] for row in metrics["families"]} == {"Piano", "Organ", "Guitar", "all"}
    families = Distances(Comparison(bench), bench.pairs, config).families()
    rows = Quality(bench, config).reconstruction_and_frechet()
    assert [row.default_db for row in families] == [
        row["default_db"] for row in metrics["families"]
    ]
    assert [row.value for row in rows] == [row["value"] for row in metrics["rows"][: len(rows)]]


@pytest.mark.parametrize(
    ("semitones", "confidence", "right", "sure_and_wrong"),
    [
        (0.19, 0.9, "1.000", "0.0 %"),
        (0.21, 0.9, "0.000", "100.0 %"),
        (-12.0, 0.9, "0.000", "100.0 %"),
        (-12.0, 0.6, "0.000", "0.0 %"),
    ],
)
def test_root_notes_are_right_within_20_cents_and_may_not_be_sure_and_wrong(
    bench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    semitones: float,
    confidence: float,
    right: str,
    sure_and_wrong: str,
) -> None:
    split = bench.split
    pitches = {
        split.audio([i])[0].numpy().tobytes(): split.midi_pitch[i] for i in range(len(split))
    }

    def estimate(audio: np.ndarray, rate: int) -> RootEstimate:
        assert rate == bench.sample_rate
        pitch = float(pitches[audio.tobytes()]) + semitones
        return RootEstimate(midi_pitch=pitch, confidence=confidence)

    monkeypatch.setattr(quality, "estimate_root", estimate)
    rows = Quality(bench, FEW).root_notes()
    assert [row.value for row in rows[:2]] == [right, sure_and_wrong]
    assert [row.is_met for row in rows[:2]] == [right == "1.000", sure_and_wrong == "0.0 %"]


def test_a_source_out_of_tune_is_rendered_in_tune(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracker hears sources 8 cents sharp: that is where their root is."""
    roots = []
    analyze = bench.analyze

    def listen(index: int, *, root: float) -> object:
        roots.append(root - float(bench.split.midi_pitch[index]))
        return analyze(index, root=root)

    monkeypatch.setattr(quality, "tuning_error_cents", lambda *_: 8.0)
    monkeypatch.setattr(bench, "analyze", listen)
    Quality(bench, FEW).tuning()
    assert roots == pytest.approx([0.08] * len(roots), abs=1e-4)
    assert roots


def test_nothing_to_measure_is_bad_input() -> None:
    with pytest.raises(ParameterError, match=r"evaluate.pairs_per_bin = 0"):
        EvaluateConfig(pairs_per_bin=0)
