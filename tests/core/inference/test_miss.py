from __future__ import annotations

import torch

from core.inference.miss import BODY_BANDS, MISS_DIM, PARTIALS, SPANS, miss_code
from core.mel import MelConfig, MelSpectrogram
from core.nn.pitch_layout import midi_to_f0_hz

MEL = MelConfig()


def tones(midi_pitch: float, levels: torch.Tensor) -> torch.Tensor:
    """Mel [1, M, F] of partials at these levels (linear)."""
    time_s = torch.arange(MEL.n_samples) / MEL.sample_rate
    f0_hz = float(midi_to_f0_hz(torch.tensor(midi_pitch)))
    orders = torch.arange(1, len(levels) + 1)[:, None]
    waves = levels[:, None] * torch.sin(2 * torch.pi * f0_hz * orders * time_s)
    return MelSpectrogram(MEL)(waves.sum(dim=0, keepdim=True))


def code(source: torch.Tensor, initial: torch.Tensor, pitch: float) -> torch.Tensor:
    return miss_code(source, initial, torch.full([len(source)], pitch), MEL)


def test_nothing_missed_is_nothing_told() -> None:
    mel = torch.rand(2, MEL.n_mels, MEL.n_frames) - 0.5
    assert code(mel, mel, 60.0).shape == (2, MISS_DIM)
    assert not code(mel, mel, 60.0).any()


def test_level_is_left_out() -> None:
    source = torch.rand(1, MEL.n_mels, MEL.n_frames) * 0.5
    torch.testing.assert_close(
        code(source, source - 0.3, 60.0), torch.zeros(1, MISS_DIM), atol=1e-4, rtol=0
    )


def test_the_same_partial_missed_at_another_pitch_reads_alike() -> None:
    # Softening the third partial is seen at the third place, wherever it lies.
    full, without = torch.full([8], 0.1), torch.full([8], 0.1)
    without[2] = 0.02
    codes = []
    for pitch in (62.0, 69.0):
        read = code(tones(pitch, full), tones(pitch, without), pitch)
        codes.append(read[0, BODY_BANDS * SPANS :].reshape(PARTIALS, SPANS)[:8, 4:9].mean(dim=1))
    for each in codes:
        assert int(each.argmax()) == 2
        assert float(each[2]) > 2.0 * float(each[[0, 1, 3, 4]].abs().max())
    assert float((codes[0] - codes[1])[2].abs()) < 0.35 * float(codes[0][2])


def test_colour_is_read_where_it_is_heard() -> None:
    source = torch.zeros(1, MEL.n_mels, MEL.n_frames)
    initial = source.clone()
    initial[:, 80:112] = -0.2
    smooth = code(source, initial, 60.0)[0, : BODY_BANDS * SPANS].reshape(BODY_BANDS, SPANS)
    assert int(smooth.mean(dim=1).argmax()) in range(20, 28)


def test_time_is_read_in_spans() -> None:
    source = torch.zeros(1, MEL.n_mels, MEL.n_frames)
    late = source.clone()
    late[..., 200:] = -0.3
    smooth = code(source, late, 60.0)[0, : BODY_BANDS * SPANS].reshape(BODY_BANDS, SPANS)
    assert int(smooth.mean(dim=0).argmax()) == SPANS - 1
