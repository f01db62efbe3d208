from __future__ import annotations

import numpy as np
import pytest
import torch

from core.inference.carry_over import CarryOver, body_share, carry_over_of, moved, partials_share
from core.inference.gates import GATE_BANDS, GATE_DISTANCES, GATE_SHAPE, gates_at
from core.mel import MelConfig

MEL = MelConfig()


def test_untrained_gates_leave_the_laws_as_they_are() -> None:
    gates = gates_at(torch.zeros(GATE_SHAPE), 7.0, MEL.n_mels)
    for each in (gates.body, gates.partials, gates.recording):
        torch.testing.assert_close(each, torch.ones(MEL.n_mels, 1))


@pytest.mark.parametrize("semitones", [-24.0, -12.0, 3.0, 12.0, 24.0])
def test_each_distance_has_its_own_gate_either_way(semitones: float) -> None:
    raw = torch.zeros(GATE_SHAPE)
    raw[..., GATE_DISTANCES.index(abs(semitones))] = 20.0
    opened = gates_at(raw, semitones, MEL.n_mels)
    torch.testing.assert_close(opened.body, torch.full((MEL.n_mels, 1), 2.0))
    other = GATE_DISTANCES[(GATE_DISTANCES.index(abs(semitones)) + 1) % 3]
    torch.testing.assert_close(gates_at(raw, other, MEL.n_mels).body, torch.ones(MEL.n_mels, 1))


def test_between_distances_gates_change_evenly_and_beyond_they_stay() -> None:
    raw = torch.zeros(GATE_SHAPE)
    raw[..., 1] = -20.0
    values = [float(gates_at(raw, s, MEL.n_mels).body[0]) for s in np.arange(3.0, 12.5, 0.5)]
    assert values == sorted(values, reverse=True)
    assert float(gates_at(raw, 1.0, MEL.n_mels).body[0]) == pytest.approx(1.0)
    assert float(gates_at(raw, 40.0, MEL.n_mels).body[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("band", [0, 3, GATE_BANDS - 1])
def test_a_gate_acts_in_its_own_band_and_on_its_own_kind(kind: int, band: int) -> None:
    raw = torch.zeros(GATE_SHAPE)
    raw[kind, band] = -20.0
    gates = gates_at(raw, 12.0, MEL.n_mels)
    curves = [each[:, 0] for each in (gates.body, gates.partials, gates.recording)]
    width = MEL.n_mels // GATE_BANDS
    assert float(curves[kind][band * width + width // 2]) < 0.2
    far = band - 2 if band >= 2 else band + 2
    assert float(curves[kind][far * width + width // 2]) == pytest.approx(1.0)
    for index in {0, 1, 2} - {kind}:
        torch.testing.assert_close(curves[index], torch.ones(MEL.n_mels))


def test_carry_over_follows_its_gates() -> None:
    body, partials = torch.rand(MEL.n_mels, 8), torch.rand(MEL.n_mels, 8)
    carry_over = CarryOver(body=body, partials=partials)
    raw = torch.zeros(GATE_SHAPE)
    raw[0] = -40.0
    raw[1] = 40.0
    carried = carry_over.at(12.0, MEL, gates_at(raw, 12.0, MEL.n_mels))
    expected = 2.0 * partials_share(12.0) * moved(partials, 12.0, MEL)
    torch.testing.assert_close(carried, expected, atol=1e-5, rtol=1e-5)
    plain = carry_over.at(12.0, MEL)
    torch.testing.assert_close(
        plain, body_share(12.0) * body + partials_share(12.0) * moved(partials, 12.0, MEL)
    )


def test_what_inference_has_cached_takes_part_in_gradients() -> None:
    raw, mels = torch.zeros(GATE_SHAPE), torch.rand(MEL.n_mels, 32)
    with torch.inference_mode():
        carry_over_of(mels, mels * 0.5).at(5.37, MEL, gates_at(raw, 5.37, MEL.n_mels))
    for each in (raw, mels):
        each.requires_grad_(True)
    carry_over = carry_over_of(mels, mels.detach() * 0.5)
    carry_over.at(5.37, MEL, gates_at(raw, 5.37, MEL.n_mels)).sum().backward()
    assert raw.grad is not None
    assert mels.grad is not None
