"""The vocoder as notes are rendered with it: scales, offsets and norms are folded into its weights.

The same function as :class:`core.vocoder.Vocoder`, for inference alone, and only as much of a note
as is kept: frames that the samples wanted cannot hear are left out. What it gives is then brought
nearer to the mel it was given (core/inference/mel_matching.py).

Deviations: the exact GELU stands for its tanh form, which is five times slower on a CPU; they
differ by less than 5e-4. Levels and phases are predicted in the type of the backbone: phases in
bfloat16 leave an error 54 dB or more below the note.

Shape legend: B batch, M mel bands, F frames, K FFT bins, T samples, D backbone width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.inference.mel_matching import MelMatcher
from core.nn.pitch_layout import midi_to_f0_hz
from core.vocoder import ConvNextBlock, Vocoder, harmonic_source

MATCHINGS = 3
"""How often a note is brought nearer to its mel: its spectrum once, then what sounds of it."""
DRAFT_MATCHINGS = 1
"""How often a draft is brought nearer to its mel."""
CARRIER_FRAMES = 6.0
"""Width (σ) of the Gaussian that the gains of a recording are smoothed with along time, frames: it
keeps its own attack, beating and breath."""

SMOOTHING_REACH = 4
"""Widths (σ) to either side that a Gaussian's matrix reaches."""

Layer = tuple[Tensor, Tensor]
"""Weight and bias of a linear layer."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Block:
    """A ConvNextBlock whose norm went into the layer after it and whose scale into its last."""

    depthwise: Layer
    expand: Layer
    contract: Layer


class FoldedVocoder:
    """Renders waveforms.

    Args:
        vocoder: The trained network; it is left as it is.
        dtype: Type of the matrix products; all else is float32.
    """

    def __init__(self, vocoder: Vocoder, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._mel = vocoder.mel
        self._layout = vocoder.layout
        self._window = vocoder.window
        config = vocoder.config
        self._width = config.width
        self._embed = vocoder.embed.weight[..., None].to(dtype)
        pitch_bias = vocoder.embed_pitch.bias + _bias(vocoder.embed)
        self._embed_pitch = (vocoder.embed_pitch.weight, pitch_bias)
        self._norm = (vocoder.norm.weight, vocoder.norm.bias)
        self._blocks = [self._fold_block(cast(ConvNextBlock, block)) for block in vocoder.blocks]
        weight, bias = _after_norm(vocoder.final_norm, vocoder.head)
        bias[2 * vocoder.bins :] -= 2.0  # the noise's, see Vocoder.filters
        self._head = (weight.to(dtype), bias.to(dtype))
        nepers = self._mel.db_per_unit * math.log(10.0) / 20.0
        filters = vocoder.layout.filters  # [M, K]
        spread = nepers * (filters / filters.sum(dim=0, keepdim=True).clamp_min(1e-3)).T
        self._envelope = (spread, -spread.sum(dim=1))
        self._reach = (config.layers + 1) * (config.kernel // 2)  # frames heard to either side
        self._matcher = MelMatcher(vocoder.mel, vocoder.window.device, dtype)
        power = self._window.square().expand(1, self._mel.n_frames + 1, -1)
        self._power = self._overlap_add(power)[0]

    def _fold_block(self, block: ConvNextBlock) -> _Block:
        weight, bias = _after_norm(block.norm, block.expand)
        scale = block.scale
        return _Block(
            depthwise=(block.depthwise.weight[..., None], _bias(block.depthwise)),
            expand=(weight.to(self._dtype), bias.to(self._dtype)),
            contract=(
                (block.contract.weight * scale[:, None]).to(self._dtype),
                (block.contract.bias * scale).to(self._dtype),
            ),
        )

    def sources(self, midi_pitch: Tensor, noise: Tensor) -> Tensor:
        """What the filters shape: spectra of the pulse train and of the noise, [2, B, F, K].

        They are the same for every timbre.

        Args:
            midi_pitch: Fractional MIDI notes, [B].
            noise: White noise of unit variance, [B, F · hop].
        """
        f0_hz = midi_to_f0_hz(midi_pitch.double())
        pulses = harmonic_source(f0_hz, noise.shape[1], self._mel.sample_rate)
        spectra = self._stft(torch.cat([pulses, noise]))
        return spectra.unflatten(0, (2, len(noise)))  # type: ignore[no-untyped-call, no-any-return]

    def render(
        self,
        mel: Tensor,
        midi_pitch: Tensor,
        sources: Tensor,
        n_samples: int,
        matchings: int = MATCHINGS,
        carriers: Tensor | None = None,
    ) -> Tensor:
        """The first samples of notes, [B, n_samples].

        Args:
            mel: Normalised log-mels, [B, M, F] with F up to one window.
            midi_pitch: Fractional MIDI notes, [B].
            sources: Excitation of these notes, [2, B, F, K].
            n_samples: How many are wanted, up to F · hop.
            matchings: How often a note is brought nearer to its mel; 0 is the network alone.
            carriers: Recordings at these notes, [B, F · hop], that are brought to the mels in place
                of the network's sound as far as gains can bring them there; None is the network
                alone.
        """
        hop, n_fft = self._mel.hop_length, self._mel.n_fft
        overlapping = math.ceil(n_fft / 2 / hop)
        # Every matching spoils the frames that hear the cut end.
        wanted = math.ceil(n_samples / hop) + overlapping * (1 + 2 * matchings)
        if carriers is not None:
            wanted += SMOOTHING_REACH * math.ceil(CARRIER_FRAMES) * (1 + matchings)
        frames = min(mel.shape[2], wanted)
        heard = mel[:, :, : wanted + self._reach].transpose(1, 2)
        harmonic, noisy = (part[:, :frames] for part in self._filters(heard, midi_pitch))
        spectrum = harmonic.mul_(sources[0, :, :frames])
        spectrum += sources[1, :, :frames] * noisy
        heard = heard[:, :frames]
        if carriers is not None:
            carried = self._stft(carriers[:, : (frames - 1) * hop + 1])
            return self._carry(carried, spectrum, heard, matchings)[:, :n_samples]
        for matching in range(matchings):
            if matching > 0:
                spectrum = self._stft(self._istft(spectrum))[:, :frames]
            spectrum = self._matcher.match(spectrum, heard)
        return self._istft(spectrum)[:, :n_samples]

    def _carry(self, carried: Tensor, drawn: Tensor, mel: Tensor, matchings: int) -> Tensor:
        """Recordings brought to mels, with the network's sound where they lack much.

        Args:
            carried: Spectra of the recordings, [B, F, K].
            drawn: Spectra of the network, [B, F, K]; they are used up.
            mel: Mels wanted, [B, F, M].
            matchings: How often the recordings are brought nearer to their mels.

        Returns:
            [B, F · hop].
        """
        share = self._matcher.share(carried, mel)
        drawn = self._matcher.match(drawn, mel).mul_((1.0 - share).sqrt_())
        spectrum = self._matcher.match(carried, mel, CARRIER_FRAMES).mul_(share.sqrt_()).add_(drawn)
        for _ in range(matchings - 1):
            spectrum = self._stft(self._istft(spectrum))[:, : mel.shape[1]]
            spectrum = self._matcher.match(spectrum, mel, CARRIER_FRAMES)
        return self._istft(spectrum)

    def _filters(self, mel: Tensor, midi_pitch: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, M] to harmonic (complex) and noise filter [B, F, K], see ``Vocoder.filters``."""
        pitch = functional.linear(self._layout(midi_pitch).flatten(1), *self._embed_pitch)
        x = _convolve(mel.to(self._dtype), self._embed, None).float() + pitch[:, None]
        x = functional.layer_norm(x, (self._width,), *self._norm)
        for block in self._blocks:
            y = _convolve(x, *block.depthwise, groups=self._width)
            y = functional.layer_norm(y, (self._width,)).to(self._dtype)
            y = functional.gelu(functional.linear(y, *block.expand))
            x = x + functional.linear(y, *block.contract)
        x = functional.layer_norm(x, (self._width,))
        envelope = functional.linear(mel.float(), *self._envelope)
        predicted = functional.linear(x.to(self._dtype), *self._head)
        level, phase, noise_level = (part.float() for part in predicted.chunk(3, dim=2))
        gain, noise = ((envelope + part).clamp_(-16.0, 8.0).exp_() for part in (level, noise_level))
        # torch.polar's own sine and cosine take three times as long.
        return torch.complex(gain * phase.cos(), gain * phase.sin()), noise

    def _stft(self, audio: Tensor) -> Tensor:
        """[B, T] to [B, F, K]; frame i is centred at i · hop, silence lies around the audio."""
        spectrum = torch.stft(
            audio,
            self._mel.n_fft,
            self._mel.hop_length,
            window=self._window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.transpose(1, 2)

    def _istft(self, spectrum: Tensor) -> Tensor:
        """Inverse of :meth:`_stft`, [B, F, K] to [B, F · hop]; the spectrum is used up."""
        parts = torch.fft.irfft(spectrum, self._mel.n_fft).mul_(self._window)
        audio = self._overlap_add(parts)
        return audio / self._power[: audio.shape[1]]

    def _overlap_add(self, parts: Tensor) -> Tensor:
        """Windows [B, F, n_fft] to the samples from the first one's centre on, [B, F · hop]."""
        count, frames, n_fft = parts.shape
        hop = self._mel.hop_length
        hops = math.ceil(n_fft / hop)
        if hops * hop > n_fft:
            parts = functional.pad(parts, (0, hops * hop - n_fft))
        parts = parts.reshape(count, frames, hops, hop)
        total = parts.new_zeros(count, frames + hops - 1, hop)
        for index in range(hops):
            total[:, index : index + frames] += parts[:, :, index]
        return total.reshape(count, -1)[:, n_fft // 2 :][:, : frames * hop]


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1) -> Tensor:
    """Convolve [B, F, I] along its frames with [O, I / groups, k, 1] to [B, F, O]."""
    maps = x[:, :, None].permute(0, 3, 1, 2)  # [B, I, F, 1], channels last
    maps = functional.conv2d(maps, weight, bias, padding=(weight.shape[2] // 2, 0), groups=groups)
    return maps.permute(0, 2, 3, 1)[:, :, 0]


def _after_norm(norm: nn.LayerNorm, layer: nn.Linear) -> Layer:
    """A linear layer that takes over the scale and the offset of the norm before it."""
    return layer.weight * norm.weight, layer.bias + layer.weight @ norm.bias


def _bias(layer: nn.Conv1d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
