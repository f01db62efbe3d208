from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from training.errors import TrainingError
from training.run_dir import RunDir
from training.stage import Objective, Stage
from training.trainer import LoopConfig, LossMeter, Trainer, averaged_copy, cosine_share

RATES = {"line": 0.1, "late": 0.02}


@dataclass(frozen=True, kw_only=True, slots=True)
class LineConfig:
    steps: int
    fall_to: float = 0.1
    ema_halflife_steps: float = 2.0
    notes_per_step: int = 8
    clip: float = 1.0


class LineStage(Stage[LineConfig]):
    """Fits two lines to noise of their own; the second joins late and steps first.

    `poison` multiplies a term of the losses, or the gradient of a network, by infinity.
    """

    def __init__(self, fabric: Fabric, config: LineConfig, poison: str = "", late: int = 2) -> None:
        super().__init__(fabric, config)
        self.poison, self.late = poison, late
        torch.manual_seed(0)
        for name, rate in RATES.items():
            line = nn.Linear(3, 1)
            self.add(name, line, torch.optim.Adam(line.parameters(), rate), config.clip)
            if name == poison:
                line.weight.register_hook(lambda gradient: gradient * float("inf"))

    def objectives(self, step: int, rng: np.random.Generator) -> Iterator[Objective]:
        for name in reversed(RATES):
            if name == "late" and step < self.late:
                continue
            x = torch.from_numpy(rng.normal(size=(8, 3)).astype(np.float32))
            error = (self.networks[name](x) - x.sum(dim=1, keepdim=True)).square().mean()
            terms = {f"{name} error": error, f"{name} chance": torch.rand(()) * 0.01}
            terms = {
                key: value * float("inf") if key == self.poison else value
                for key, value in terms.items()
            }
            yield Objective(
                loss=torch.stack(list(terms.values())).sum(),
                moves=(name,),
                terms=terms,
                steps_first=name == "late",
            )

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        return {"weight": float(next(networks["line"].parameters()).abs().mean())}

    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        run.log_spectrogram("ramp", step, np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8))


def _trainer(
    run: RunDir, config: LineConfig, minutes: float | None = None, poison: str = "", late: int = 2
) -> Trainer:
    fabric = Fabric(accelerator="cpu", devices=1)
    loop = LoopConfig(
        seed=0, checkpoint_every_s=1000.0, validate_every=1000, log_every=1, minutes=minutes
    )
    return Trainer(LineStage(fabric, config, poison, late), fabric, run, loop)


def _losses(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(text) for text in (folder / "stats.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key not in ("time", "seconds")}
        for line in lines
        if "seconds" in line
    ]


def _run(folder: Path, steps: int, *, resume: bool = False, minutes: float | None = None) -> int:
    with RunDir(folder) as run:
        return _trainer(run, LineConfig(steps=steps), minutes).train(resume=resume)


@pytest.mark.parametrize("whole", [4, 6])
def test_steps_saved_and_resumed_one_by_one_equal_an_uninterrupted_run(
    tmp_path: Path, whole: int
) -> None:
    _run(tmp_path / "whole", whole)
    for done in range(whole):
        assert _run(tmp_path / "parts", whole, resume=done > 0, minutes=0.0) == done + 1
    assert _losses(tmp_path / "whole") == _losses(tmp_path / "parts")
    for name in ("weights", "state"):
        kept, resumed = (
            (tmp_path / d / f"{name}.safetensors").read_bytes() for d in ("whole", "parts")
        )
        assert kept == resumed, name


def test_the_same_seed_gives_the_same_curve_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _run(tmp_path / name, 3)
    assert _losses(tmp_path / "a") == _losses(tmp_path / "b")


@pytest.mark.parametrize("poison", ["line", "late", "line error", "late chance"])
def test_what_is_not_finite_is_named_and_stops_before_any_network_moves(
    tmp_path: Path, poison: str
) -> None:
    with RunDir(tmp_path) as run:
        trainer = _trainer(run, LineConfig(steps=9), poison=poison, late=0)
        networks = trainer.stage.networks
        before = copy.deepcopy({name: each.state_dict() for name, each in networks.items()})
        with pytest.raises(TrainingError, match=rf"'{poison}' is .* in step 1, before any weight"):
            trainer.train(resume=False)
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, before[name][key]), (name, key)
    for average, network in zip(trainer.averages.values(), networks.values(), strict=True):
        assert torch.equal(average.module.weight, network.module.weight)
    assert not trainer.stage.optimizers["late"].state_dict()["state"]
    assert list(tmp_path.iterdir()) == []


def test_a_time_budget_ends_the_run_with_its_weights_saved(tmp_path: Path) -> None:
    steps = _run(tmp_path, 10**9, minutes=0.001)
    assert 0 < steps < 10**9
    assert (tmp_path / "weights.safetensors").is_file()


def test_resuming_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        _run(tmp_path, 1, resume=True)


def test_gradients_are_clipped_to_the_stages_norm(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        trainer = _trainer(run, LineConfig(steps=9, clip=1e-3))
        trainer.train_step()
        parameters = list(trainer.stage.networks["line"].parameters())
    norm = torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_the_average_begins_with_the_weights_and_forgets_them_ever_more_slowly() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = averaged_copy(network, halflife_steps=2.0)
    expected = 0.0
    for step in range(1, 20):
        nn.init.constant_(network.weight, float(step))
        average.update_parameters(network)
        decay = 0.5 ** (1.0 / max(1.0, min(2.0, step / 4.0)))
        expected = decay * expected + (1.0 - decay) * step
        assert float(average.module.weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_learning_rate_warms_up_and_falls_to_its_share() -> None:
    shares = [cosine_share(step, 1000, 0.1) for step in range(1001)]
    assert shares[0] == pytest.approx(0.01, rel=0.01)
    assert max(shares) <= 1.0
    assert np.all(np.diff(shares[100:]) < 0)
    assert shares[-1] == pytest.approx(0.1)


def test_every_optimizer_follows_the_runs_steps_from_its_own_rate(tmp_path: Path) -> None:
    config = LineConfig(steps=300, fall_to=0.3)
    with RunDir(tmp_path) as run:
        trainer = _trainer(run, config)
        for _ in range(8):
            trainer.train_step()
            for name in RATES if trainer.step > 2 else ("line",):
                (group,) = trainer.stage.optimizers[name].param_groups
                assert group["lr"] == RATES[name] * cosine_share(trainer.step, 300, 0.3)


def test_a_changed_rate_counts_from_where_the_run_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(tmp_path, 3)
    monkeypatch.setitem(RATES, "line", 0.7)
    with RunDir(tmp_path) as run:
        trainer = _trainer(run, LineConfig(steps=50))
        trainer.load_state()
        trainer.train_step()
    (group,) = trainer.stage.optimizers["line"].param_groups
    assert group["lr"] == 0.7 * cosine_share(4, 50, 0.1)


def test_a_state_from_before_schedules_is_resumed(tmp_path: Path) -> None:
    """States of the first releases know no initial rate, and hold averages of memories too."""
    _run(tmp_path / "whole", 4)
    with RunDir(tmp_path / "parts") as run:
        trainer = _trainer(run, LineConfig(steps=4), minutes=0.0)
        trainer.train(resume=False)
        for optimizer in trainer.stage.optimizers.values():
            for group in optimizer.param_groups:
                group.pop("initial_lr", None)
                group["lr"] = 123.0
        trainer.save_state()
    _run(tmp_path / "parts", 4, resume=True)
    assert _losses(tmp_path / "whole") == _losses(tmp_path / "parts")


def test_the_log_holds_means_since_its_last_line() -> None:
    meter = LossMeter()
    for value in (1.0, 2.0):
        meter.add({"loss": value})
    assert meter.read() == {"loss": 1.5}
    meter.add({"loss": 7.0})
    assert meter.read() == {"loss": 7.0}


def test_a_run_folder_gets_pictures_for_tensorboard(tmp_path: Path) -> None:
    _run(tmp_path, 1)
    assert list((tmp_path / "tensorboard").glob("events.*"))
