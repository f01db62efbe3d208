"""The four networks where they compute: on one device, at one precision, in their folded forms.

Shape legend: B batch, T timbres, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from core.device import cpu_has_fast_bfloat16
from core.hypernetwork import Refinement
from core.inference.folded_generator import FoldedGenerator, FoldedWeights
from core.inference.folded_vocoder import FoldedVocoder
from core.inference.model import Model
from core.mel import MelConfig


class Networks:
    """f, G, H and the vocoder on a device; bfloat16 where that is fast, else float32.

    Args:
        model: The networks; moved to the device.
        device: Where to compute.
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        self.model = model
        self.device = device
        """Where they compute."""
        for network in model.networks().values():
            network.to(device)
        fast = device.type == "cuda" or (device.type == "cpu" and cpu_has_fast_bfloat16())
        self._autocast_dtype = torch.bfloat16 if fast else None
        dtype = torch.bfloat16 if fast else torch.float32
        with torch.inference_mode():
            self.generator = FoldedGenerator(model.generator, dtype)
            self.vocoder = FoldedVocoder(model.vocoder, dtype)
            self.plain_weights: FoldedWeights = self.generator.fold(None)
            """Weights of the generator without refinement."""

    @property
    def mel(self) -> MelConfig:
        """Geometry of all mels."""
        return self.model.mel

    def precision(self) -> AbstractContextManager[Any]:
        """The context that networks which are not folded compute in."""
        if self._autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self._autocast_dtype)

    @torch.inference_mode()
    def features(self, mels: Tensor) -> Tensor:
        """Timbre features h = f(x) of mels [B, M, F], [B, H]."""
        with self.precision():
            h: Tensor = self.model.features(mels[:, None].to(self.device))
        return h

    def predict(self, first: Tensor, second: Tensor, miss: Tensor | None) -> Refinement:
        """What H predicts; see :class:`core.hypernetwork.Hypernetwork`."""
        with self.precision():
            refinement: Refinement = self.model.hypernetwork(first, second, miss)
        return refinement

    def draw(
        self,
        h: Tensor,
        pitches: Sequence[float],
        velocity: float,
        weights: FoldedWeights,
        z: Tensor | None = None,
    ) -> Tensor:
        """Mels of one timbre at several pitches.

        Args:
            h: Its features, [1, H].
            pitches: Fractional MIDI notes, B of them.
            velocity: MIDI velocity of all.
            weights: The generator's, refined or plain.
            z: Latent of all, [1, Z]; None is the mean of the model.

        Returns:
            [B, M, F].
        """
        count = len(pitches)
        latent = torch.zeros(1, self.model.generator.config.z_dim) if z is None else z
        return self.generator.draw(
            latent.to(self.device).expand(count, -1),
            torch.tensor(pitches, dtype=torch.float32, device=self.device),
            torch.full([count], velocity, device=self.device),
            h.expand(count, -1),
            weights,
        )
