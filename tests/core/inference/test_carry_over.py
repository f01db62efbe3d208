"""What the model missed: the body stays, the partials move, both fade with distance."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from core.inference.carry_over import (
    BODY_BANDS,
    BODY_FRAMES,
    PARTIALS_FRAMES,
    body_share,
    carry_over_of,
    moved,
    partials_share,
)
from core.mel import MelConfig, MelSpectrogram

MEL = MelConfig()
SECONDS = torch.arange(MEL.n_samples, dtype=torch.float64) / MEL.sample_rate


def _difference(hertz: float, level: float = 1.0) -> torch.Tensor:
    """Mel of a sine above the floor, [M, F]."""
    sine = level * torch.sin(2.0 * np.pi * hertz * SECONDS).float()
    return MelSpectrogram(MEL)(sine[None])[0] + 1.0


def test_what_is_missed_evenly_is_carried_over_whole() -> None:
    source = torch.rand(MEL.n_mels, MEL.n_frames)
    carried = carry_over_of(source, source - 0.3)
    torch.testing.assert_close(carried.body, torch.full_like(source, 0.3), atol=1e-5, rtol=0)
    assert float(carried.partials.abs().max()) < 1e-5
    assert not carry_over_of(source, source).at(0.0, MEL).any()


def test_both_parts_are_smoothed_by_gaussians() -> None:
    source, drawn = torch.rand(2, MEL.n_mels, MEL.n_frames)
    missed = (source - drawn).numpy()
    body = gaussian_filter(missed, (BODY_BANDS, BODY_FRAMES), mode="nearest")
    partials = gaussian_filter(missed - body, (0.0, PARTIALS_FRAMES), mode="nearest")
    ours = carry_over_of(source, drawn)
    np.testing.assert_allclose(ours.body.numpy(), body, atol=1e-5)
    np.testing.assert_allclose(ours.partials.numpy(), partials, atol=1e-5)


def test_a_steady_source_is_made_good_at_its_own_pitch() -> None:
    source = torch.rand(MEL.n_mels, 1).expand(-1, MEL.n_frames).contiguous()
    drawn = torch.zeros_like(source)
    torch.testing.assert_close(carry_over_of(source, drawn).at(0.0, MEL), source, atol=1e-4, rtol=0)


def test_no_partial_and_no_click_is_left_in_the_body() -> None:
    drawn = torch.zeros(MEL.n_mels, MEL.n_frames)
    source = drawn.clone()
    source[40] = 1.0  # a partial that the model missed
    source[:, 100] += 1.0  # and a click
    body = carry_over_of(source, drawn).body
    assert float(body.max()) < 0.25
    assert float(body[40].mean()) == pytest.approx(1 / (8 * np.sqrt(2 * np.pi)), abs=0.01)


@pytest.mark.parametrize("semitones", [-12.0, -7.0, 3.5, 12.0])
def test_a_missed_partial_moves_with_the_pitch(semitones: float) -> None:
    hertz = 2000.0
    source = _difference(hertz)
    true = _difference(hertz * 2.0 ** (semitones / 12.0))
    partials = moved(source, semitones, MEL)
    steady = slice(4, -4)
    found, expected = (x[:, steady].mean(dim=1).argmax() for x in (partials, true))
    assert abs(int(found) - int(expected)) <= 1


def test_nothing_comes_in_from_above_the_highest_band() -> None:
    lowered = moved(torch.ones(MEL.n_mels, MEL.n_frames), -24.0, MEL)
    assert not lowered[-8:].any()
    assert bool((lowered[:80] == 1.0).all())


@pytest.mark.parametrize(
    ("share", "at_an_octave", "least"), [(body_share, 0.6, 0.25), (partials_share, 0.12, 0.0)]
)
def test_shares_are_whole_at_the_source_and_never_grow_with_distance(
    share: Callable[[float], float], at_an_octave: float, least: float
) -> None:
    shares = [share(float(distance)) for distance in range(-60, 61)]
    assert shares[60] == 1.0
    assert shares[72] == pytest.approx(at_an_octave)
    assert shares == shares[::-1]
    assert all(near >= far >= least for near, far in pairwise(shares[60:]))


def test_what_rings_for_a_moment_is_carried_for_a_moment() -> None:
    missed = torch.zeros(MEL.n_mels, MEL.n_frames)
    missed[40, 100] = 1.0  # a partial in one frame
    partials = carry_over_of(missed, torch.zeros_like(missed)).partials[40]
    assert float(partials[100]) > 0.3
    assert float(partials[110:].abs().max()) < 0.02
    assert float(partials[:90].abs().max()) < 0.02


def test_a_note_gets_the_partials_where_its_own_lie() -> None:
    missed = _difference(440.0)
    carried = carry_over_of(missed, torch.zeros_like(missed))
    at_seven = carried.at(7.0, MEL) - body_share(7.0) * carried.body
    torch.testing.assert_close(
        at_seven, partials_share(7.0) * moved(carried.partials, 7.0, MEL), atol=1e-5, rtol=0
    )
    assert int(at_seven[:, 100].argmax()) > int(carried.partials[:, 100].argmax()) + 2
