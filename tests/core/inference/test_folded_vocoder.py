from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.inference.folded_vocoder import DRAFT_MATCHINGS, MATCHINGS, FoldedVocoder
from core.mel import MelConfig, MelSpectrogram
from core.vocoder import Vocoder
from tests.helpers.tiny_models import TINY_VOCODER

PITCHES = torch.tensor([33.0, 60.3, 96.0])
FRAMES = 80
MEL = MelConfig(n_frames=FRAMES)
ODD_MEL = replace(MEL, n_fft=1000, hop_length=300)


def trained(mel: MelConfig = MEL, layers: int = 2) -> Vocoder:
    """A vocoder none of whose parameters is at its initial zero or one."""
    torch.manual_seed(2)
    vocoder = Vocoder(replace(TINY_VOCODER, layers=layers), mel).eval()
    for parameter in vocoder.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return vocoder.requires_grad_(False)


def inputs_of(vocoder: Vocoder) -> tuple[Tensor, Tensor, Tensor]:
    count = len(PITCHES)
    mel = torch.rand(count, vocoder.mel.n_mels, FRAMES) * 2 - 1
    return mel, PITCHES, torch.randn(count, vocoder.mel.n_samples)


def sound_of(
    vocoder: FoldedVocoder,
    inputs: tuple[Tensor, Tensor, Tensor],
    n_samples: int,
    matchings: int = MATCHINGS,
) -> Tensor:
    mel, pitch, noise = inputs
    return vocoder.render(mel, pitch, vocoder.sources(pitch, noise), n_samples, matchings)


def distance(ours: Tensor, expected: Tensor) -> float:
    """RMS of the difference relative to what was expected."""
    assert ours.shape == expected.shape
    return float((ours - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.parametrize("mel", [MEL, ODD_MEL], ids=["hop divides", "hop does not divide"])
def test_it_renders_what_the_vocoder_renders(mel: MelConfig) -> None:
    vocoder = trained(mel)
    inputs = inputs_of(vocoder)
    expected = vocoder(*inputs)
    ours = sound_of(FoldedVocoder(vocoder, torch.float32), inputs, mel.n_samples, 0)
    assert distance(ours, expected) < 2e-3  # the exact GELU for its tanh form
    assert distance(ours[:, :2000], expected[:, :2000]) < 2e-3
    assert distance(ours[:, -2000:], expected[:, -2000:]) < 2e-3


@pytest.mark.parametrize("n_samples", [1, 511, 512, 9000, 30_001, MEL.n_samples - 1])
@pytest.mark.parametrize("layers", [1, 3])
def test_a_shorter_note_is_the_start_of_a_longer_one(n_samples: int, layers: int) -> None:
    vocoder = trained(layers=layers)
    inputs = inputs_of(vocoder)
    folded = FoldedVocoder(vocoder, torch.float32)
    whole = sound_of(folded, inputs, MEL.n_samples)[:, :n_samples]
    short = sound_of(folded, inputs, n_samples)
    torch.testing.assert_close(short, whole, atol=1e-5 * float(whole.abs().max()), rtol=0)


def test_in_bfloat16_it_stays_40_db_above_its_rounding() -> None:
    vocoder = trained()
    inputs = inputs_of(vocoder)
    ours = sound_of(FoldedVocoder(vocoder, torch.bfloat16), inputs, MEL.n_samples, 0)
    assert ours.dtype == torch.float32
    assert distance(ours, vocoder(*inputs)) < 0.01


def test_it_comes_nearer_to_its_mel_than_the_network_alone() -> None:
    vocoder = trained()
    mel_of = MelSpectrogram(MEL)
    quiet, pitches, noise = inputs_of(vocoder)
    # A mel that a sound can have: random cells are none.
    wanted = mel_of(0.05 * torch.randn(len(quiet), MEL.n_samples))
    alone, *matched = (
        sound_of(
            FoldedVocoder(vocoder, torch.float32),
            (wanted, pitches, noise),
            MEL.n_samples,
            matchings,
        )
        for matchings in (0, 1, 2, 3)
    )
    distances = [float((mel_of(sound) - wanted).square().mean()) for sound in (alone, *matched)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.25 * distances[0]


@pytest.fixture(scope="module")
def beating() -> Tensor:
    """A recording of three tones, two of which beat six times a second, [1, T]."""
    time_s = torch.arange(MEL.n_samples) / MEL.sample_rate
    tones = [torch.sin(2 * torch.pi * f * time_s) for f in (440.0, 446.0, 1320.0)]
    return (0.2 * torch.stack(tones).sum(dim=0))[None]


def carried(folded: FoldedVocoder, carrier: Tensor, mel: Tensor, n_samples: int) -> Tensor:
    pitch = torch.tensor([69.0])
    sources = folded.sources(pitch, torch.randn(1, MEL.n_samples))
    return folded.render(mel, pitch, sources, n_samples, MATCHINGS, carrier)


def test_a_recording_whose_mel_is_wanted_stays_what_it_is(beating: Tensor) -> None:
    wanted = MelSpectrogram(MEL)(beating)
    ours = carried(FoldedVocoder(trained(), torch.float32), beating, wanted, MEL.n_samples)
    inner = slice(4096, MEL.n_samples - 4096)
    assert distance(ours[:, inner], beating[:, inner]) < 0.05


def test_a_recording_gets_the_colour_wanted_and_keeps_its_beating(beating: Tensor) -> None:
    own = MelSpectrogram(MEL)(beating)
    tilt = torch.linspace(0.0, -0.5, MEL.n_mels)[:, None]  # 20 dB darker at the top
    # What a model draws is still.
    smooth = (own.mean(dim=2, keepdim=True) + tilt).expand(-1, -1, FRAMES)
    ours = carried(FoldedVocoder(trained(), torch.float32), beating, smooth, MEL.n_samples)
    heard = MelSpectrogram(MEL)(ours)
    inner = slice(10, FRAMES - 10)
    loud = own[0, :, inner].mean(dim=1) > -0.2
    level = (heard - smooth)[0, loud, inner].mean(dim=1)
    assert float(level.abs().max()) * MEL.db_per_unit < 1.5
    steps = [mel[0, loud, inner].diff(dim=1).abs().mean() for mel in (heard, own)]
    assert 0.8 < float(steps[0] / steps[1]) < 1.2


def test_where_a_recording_holds_nothing_the_network_sounds(beating: Tensor) -> None:
    folded = FoldedVocoder(trained(), torch.float32)
    mel = (torch.rand(1, MEL.n_mels, 1) * 0.2 - 0.3).expand(-1, -1, FRAMES)
    noise = torch.randn(1, MEL.n_samples)
    pitch = torch.tensor([69.0])
    sources = folded.sources(pitch, noise)
    silent = torch.zeros_like(beating)
    ours = folded.render(mel, pitch, sources, MEL.n_samples, MATCHINGS, silent)
    difference = (MelSpectrogram(MEL)(ours) - mel)[..., 4:-4].abs().mean()
    assert float(difference) * MEL.db_per_unit < 6.0
    alone = folded.render(mel, pitch, sources, MEL.n_samples, MATCHINGS)
    inner = slice(4096, MEL.n_samples - 4096)
    together = torch.nn.functional.cosine_similarity(ours[:, inner], alone[:, inner])
    assert float(together) > 0.9


@pytest.mark.parametrize("n_samples", [512, 9000])
def test_a_shorter_carried_note_is_the_start_of_a_longer_one(
    n_samples: int, beating: Tensor
) -> None:
    folded = FoldedVocoder(trained(), torch.float32)
    wanted = MelSpectrogram(MEL)(beating) - 0.1
    torch.manual_seed(0)
    whole = carried(folded, beating, wanted, MEL.n_samples)[:, :n_samples]
    torch.manual_seed(0)
    short = carried(folded, beating, wanted, n_samples)
    torch.testing.assert_close(short, whole, atol=1e-4, rtol=0)


def test_a_carried_draft_has_the_phases_of_its_note(beating: Tensor) -> None:
    folded = FoldedVocoder(trained(), torch.float32)
    wanted = MelSpectrogram(MEL)(beating) - torch.linspace(0.0, 0.3, MEL.n_mels)[:, None]
    pitch = torch.tensor([69.0])
    sources = folded.sources(pitch, torch.randn(1, MEL.n_samples))
    note, draft = (
        folded.render(wanted, pitch, sources, MEL.n_samples, matchings, beating)[0]
        for matchings in (MATCHINGS, DRAFT_MATCHINGS)
    )
    assert not torch.equal(note, draft)
    assert float(torch.corrcoef(torch.stack([note, draft]))[0, 1]) > 0.95
