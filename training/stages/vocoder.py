"""Stage `vocoder`: mel and pitch to waveform.

Losses: multi-resolution STFT (arXiv 1910.11480) and mel distance; from ``adversarial_start`` on, a
multi-resolution spectrogram discriminator (UnivNet, arXiv 2106.07889) with least-squares and
feature-matching losses (arXiv 2010.05646).

Shape legend: B batch, M mel bands, F frames, T samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from core.mel import MelSpectrogram
from core.vocoder import Vocoder
from training import losses
from training.building import StageContext, StageEntry
from training.data.dataset import CorpusSplit, step_rng
from training.run_dir import RunDir
from training.stage import Objective, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class VocoderStageConfig:
    """Recipe of the stage `vocoder`."""

    steps: int = 100000
    """Steps in all."""
    batch_size: int = 16
    """Crops in a batch."""
    crop_frames: int = 48
    """Length of a crop, mel frames."""
    onset_probability: float = 0.3
    """Share of crops that start with the note."""
    edge_frames: int = 2
    """Frames at each end of a crop that no loss looks at: their windows reach outside."""
    learning_rate: float = 1e-3
    """AdamW's step size."""
    discriminator_learning_rate: float = 5e-4
    """AdamW's step size of the discriminators."""
    mel_weight: float = 10.0
    """Weight of the mel distance."""
    stft_weight: float = 2.0
    """Weight of the multi-resolution STFT distance."""
    adversarial_weight: float = 1.0
    """Weight of the adversarial loss."""
    matching_weight: float = 2.0
    """Weight of the feature-matching loss."""
    adversarial_start: int = 20000
    """First step with discriminators."""
    fft_sizes: tuple[int, ...] = (512, 1024, 2048)
    """Windows of the STFT loss and of the discriminators."""
    blur_probability: float = 0.3
    """Share of crops whose mel is smoothed a little, as generated mels are."""
    gradient_clip: float = 10.0
    """Largest gradient norm."""
    fall_to: float = 0.1
    """Learning rates end at this share of their start, along a cosine."""
    ema_halflife_steps: float = 200.0
    """Half-life of the averaged weights."""

    @property
    def notes_per_step(self) -> int:
        """Crops of notes that are rendered in a step."""
        return self.batch_size


class SpectrogramDiscriminator(nn.Module):
    """Convolutions on one magnitude spectrogram.

    Args:
        n_fft: Window of the spectrogram.
        width: Channels.
    """

    def __init__(self, n_fft: int, width: int = 16) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.layers = nn.ModuleList()
        for index in range(4):
            inputs = 1 if index == 0 else width
            stride = (1, 1) if index == 0 else (2, 1)
            conv = nn.Conv2d(inputs, width, (7, 3), stride, (3, 1))
            self.layers.append(weight_norm(conv))
        self.head = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Waveform [B, T] to scores and the activations before them."""
        window = torch.hann_window(self.n_fft, device=audio.device)
        magnitude = torch.stft(
            audio.float(),
            self.n_fft,
            self.n_fft // 4,
            window=window,
            return_complex=True,
            pad_mode="constant",
        ).abs()
        x = magnitude.clamp_min(1e-4).log()[:, None]
        activations = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.1)
            activations.append(x)
        return self.head(x), activations


class VocoderDiscriminator(nn.Module):
    """One spectrogram discriminator per window size.

    Args:
        fft_sizes: The windows.
    """

    def __init__(self, fft_sizes: Sequence[int]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(SpectrogramDiscriminator(n_fft) for n_fft in fft_sizes)

    def forward(self, audio: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Waveform [B, T] to one score map per scale, and all activations."""
        scores, activations = [], []
        for scale in self.scales:
            score, own = scale(audio)
            scores.append(score)
            activations += own
        return scores, activations


class VocoderStage(Stage[VocoderStageConfig]):
    """Trains the vocoder.

    Args:
        fabric: Where.
        vocoder: The network.
        train: Training notes.
        validation: Validation notes.
        config: Recipe.
    """

    def __init__(
        self,
        fabric: Fabric,
        vocoder: Vocoder,
        train: CorpusSplit,
        validation: CorpusSplit,
        config: VocoderStageConfig,
    ) -> None:
        super().__init__(fabric, config)
        self.train_split, self.validation_split = train, validation
        self.mel_config = vocoder.mel
        self.mel = fabric.to_device(MelSpectrogram(vocoder.mel))
        self._add("vocoder", vocoder, config.learning_rate)
        if config.adversarial_start < config.steps and config.adversarial_weight > 0.0:
            discriminator = VocoderDiscriminator(config.fft_sizes)
            self._add("discriminator", discriminator, config.discriminator_learning_rate)

    def _add(self, name: str, network: nn.Module, learning_rate: float) -> None:
        optimizer = torch.optim.AdamW(
            network.parameters(), learning_rate, (0.8, 0.99), weight_decay=1e-3
        )
        self.add(name, network, optimizer, self.config.gradient_clip)

    def objectives(self, step: int, rng: np.random.Generator) -> Iterator[Objective]:
        """What the discriminators minimise, once they have joined, then what the vocoder does.

        See :meth:`Stage.objectives`. The vocoder is measured by discriminators that have just moved.
        """
        config = self.config
        audio, mel, midi_pitch, start = self._crops(rng)
        noise = torch.randn_like(audio)
        rendered = self.networks["vocoder"](mel, midi_pitch, noise, start)
        edge = config.edge_frames * self.mel_config.hop_length
        ours, true = rendered[:, edge:-edge], audio[:, edge:-edge]
        convergence, log_distance = losses.multi_resolution_stft(ours, true, config.fft_sizes)
        with torch.autocast(self.fabric.device.type, enabled=False):
            mel_distance = (self.mel(ours.float()) - self.mel(true)).abs().mean()
        loss = config.stft_weight * (convergence + log_distance) + config.mel_weight * mel_distance
        terms = {"convergence": convergence, "log_stft": log_distance, "mel": mel_distance}
        if "discriminator" in self.networks and step >= config.adversarial_start:
            yield self._told_apart(ours, true)
            with self.frozen("discriminator") as discriminator:
                _, real_activations = discriminator(true)
                fake_scores, fake_activations = discriminator(ours)
            terms["fooled"] = losses.least_squares_generator(fake_scores)
            terms["matching"] = losses.feature_matching(real_activations, fake_activations)
            loss = (
                loss
                + config.adversarial_weight * terms["fooled"]
                + config.matching_weight * terms["matching"]
            )
        yield Objective(loss=loss, moves=("vocoder",), terms=terms)

    def _told_apart(self, ours: Tensor, true: Tensor) -> Objective:
        """What the discriminators minimise, from rendered and true waveforms [B, T]."""
        discriminator = self.networks["discriminator"]
        real_scores, _ = discriminator(true)
        fake_scores, _ = discriminator(ours.detach())
        loss = losses.least_squares_discriminator(real_scores, fake_scores)
        return Objective(
            loss=loss, moves=("discriminator",), terms={"told_apart": loss}, steps_first=True
        )

    def _crops(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crops of audio and mel at the same frames, pitches, and the crops' first samples."""
        config, hop = self.config, self.mel_config.hop_length
        indices = self.train_split.draw(rng, config.batch_size, 1)
        last = self.mel_config.n_frames - config.crop_frames
        starts = rng.integers(last + 1, size=config.batch_size)
        starts[rng.random(config.batch_size) < config.onset_probability] = 0
        batch = self.train_split.batch(indices)
        waves = self.train_split.audio(indices)
        frames = config.crop_frames
        mel = torch.stack([m[:, s : s + frames] for m, s in zip(batch.mel, starts, strict=True)])
        audio = torch.stack(
            [w[s * hop : (s + frames) * hop] for w, s in zip(waves, starts, strict=True)]
        )
        blurred = functional.avg_pool2d(mel[:, None], (3, 3), 1, 1, count_include_pad=False)[:, 0]
        is_blurred = torch.from_numpy(rng.random(config.batch_size) < config.blur_probability)
        mel = torch.where(is_blurred[:, None, None], blurred, mel)
        device = self.fabric.device
        first = torch.from_numpy(starts * hop)
        return audio.to(device), mel.to(device), batch.midi_pitch.to(device), first.to(device)

    @torch.no_grad()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Distances of whole unseen notes from their own mels."""
        indices = self.validation_split.draw(step_rng(0, 0, 0), 24, 1)
        batch = self.validation_split.batch(indices).to(self.fabric.device)
        true = self.validation_split.audio(indices).to(self.fabric.device)
        rendered = self._render(networks["vocoder"], batch.mel, batch.midi_pitch)
        convergence, log_distance = losses.multi_resolution_stft(
            rendered, true, self.config.fft_sizes
        )
        mel_distance = (self.mel(rendered) - batch.mel).abs().mean()
        return {
            "stft": float(convergence + log_distance),
            "mel_db": float(mel_distance) * self.mel_config.db_per_unit,
        }

    @torch.no_grad()
    def show(self, networks: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
        """Sound of unseen notes."""
        indices = self.validation_split.draw(step_rng(0, 0, 0), 4, 1)
        batch = self.validation_split.batch(indices).to(self.fabric.device)
        rendered = self._render(networks["vocoder"], batch.mel, batch.midi_pitch).cpu().numpy()
        for number, audio in enumerate(rendered):
            run.log_audio(f"note {number}", step, audio, self.mel_config.sample_rate)

    def _render(self, vocoder: nn.Module, mel: Tensor, midi_pitch: Tensor) -> Tensor:
        shape = (len(mel), mel.shape[-1] * self.mel_config.hop_length)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(mel.device)
        with self.fabric.autocast():
            rendered: Tensor = vocoder(mel, midi_pitch, noise)
        return rendered.float()


def _build(context: StageContext, config: VocoderStageConfig) -> VocoderStage:
    return VocoderStage(
        context.fabric, context.networks.vocoder, context.train, context.validation, config
    )


STAGE = StageEntry(build=_build, trains=("vocoder",))
