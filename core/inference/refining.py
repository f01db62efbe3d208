"""Refining: what the hypernetwork changes in the generator for a sound, and what is kept of it.

The paper's formula (arXiv 2401.04558, section 3.4): x_init = G(h), h_init = f(x_init), Δ = H(h, h_init).
:func:`refine` is that formula, for the program and for training.

Deviations: H reads a code of what x_init missed too, and predicts gates beside the offsets
(core/inference/miss.py, gates.py); the features of a mix are scaled back to unit mean square; its weight
offsets are the weighted offsets of its sources, not H's of a first drawing of the mix (0.4 dB apart,
as are two places 0.02 apart on the pad, for half the time).

Shape legend: T timbres, M mel bands, F frames, H feature width, O/I channels of a layer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray
from torch import Tensor

from core.audio.attack import attack_power
from core.hypernetwork import HypernetworkConfig, Refinement
from core.inference.carry_over import CarryOver, carry_over_of
from core.inference.fitting import fit_offsets
from core.inference.folded_generator import FoldedWeights
from core.inference.gates import GATE_SHAPE
from core.inference.miss import miss_code
from core.inference.networks import Networks
from core.mel import MelConfig
from core.nn.ops import normalize_2nd_moment
from core.progress import Progress
from core.sound import SOURCE_VELOCITY, Timbre, TimbreMix

REFINED_KEPT = 16
"""Refined timbres and mixes kept (about 2 MB each)."""
WEIGHTS_KEPT = 4
"""How many of the refined timbres and mixes keep their weights too (about 12 MB each)."""

EntryT = TypeVar("EntryT")


def refine(
    source: Tensor,
    midi_pitch: Tensor,
    h: Tensor,
    *,
    draw: Callable[[], Tensor],
    features: Callable[[Tensor], Tensor],
    predict: Callable[[Tensor, Tensor, Tensor | None], Refinement],
    config: HypernetworkConfig,
    mel: MelConfig,
) -> Refinement:
    """What H predicts of timbres; gradients reach ``predict`` alone.

    Args:
        source: Mels of the sounds wanted, [T, M, F].
        midi_pitch: Their pitches, [T].
        h: Their features, [T, H].
        draw: G's first rendering x_init of them at their own pitches, [T, M, F].
        features: f, [T, M, F] to [T, H].
        predict: H.
        config: What H reads.
        mel: Geometry.
    """
    with torch.no_grad():
        initial = draw()
        if config.reads_mels:
            first, second = source[:, None], initial[:, None]
        else:
            first, second = h, features(initial)
        miss = miss_code(source, initial, midi_pitch, mel) if config.miss_dim else None
    return predict(first, second, miss)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Refined:
    """What rendering needs of a timbre or a mix, whatever the note."""

    key: str
    """Tells it apart from all others."""
    h: Tensor
    """Features, [1, H]."""
    weight_offsets: tuple[Tensor, ...]
    """Δ times the strength asked for, [1, O, I] for each modulated layer."""
    gates: tuple[Tensor, ...]
    """Gates of each timbre of the mix, GATE_SHAPE; none where H predicts none."""
    carry_overs: tuple[CarryOver, ...]
    """What the model missed in each timbre of the mix."""
    attack: NDArray[np.float64]
    """How its power begins, see :mod:`core.audio.attack`."""


class Refiner:
    """Refines timbres and mixes, each once, and keeps those used last.

    Args:
        networks: The networks where they compute.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._kept: LRUCache[str, Refined] = LRUCache(REFINED_KEPT)
        self._weights: LRUCache[str, FoldedWeights] = LRUCache(WEIGHTS_KEPT)

    def refined(self, mix: TimbreMix, strength: float) -> Refined:
        """A mix refined so strongly, 0–2; it and each of its timbres are refined once."""
        sources = [self._refined_timbre(timbre, strength) for timbre in mix.timbres]
        if len(sources) == 1:
            return sources[0]
        key = f"{mix.key} {strength:.6f}"

        def blend() -> Refined:
            offsets = zip(*(s.weight_offsets for s in sources), strict=True)
            return Refined(
                key=key,
                h=normalize_2nd_moment(sum_weighted([s.h for s in sources], mix.weights)),
                weight_offsets=tuple(sum_weighted(layer, mix.weights) for layer in offsets),
                gates=tuple(chain.from_iterable(s.gates for s in sources)),
                carry_overs=tuple(chain.from_iterable(s.carry_overs for s in sources)),
                attack=np.average([s.attack for s in sources], axis=0, weights=mix.weights),
            )

        return kept(self._kept, key, blend)

    def weights(self, refined: Refined) -> FoldedWeights:
        """The generator's weights for what was refined."""
        return kept(
            self._weights,
            refined.key,
            lambda: self._networks.generator.fold(refined.weight_offsets),
        )

    def fit(
        self,
        timbre: Timbre,
        steps: int,
        progress: Progress | None,
        cancel: threading.Event | None,
    ) -> list[Tensor]:
        """What brings the model nearer to a timbre: Δ [O, I] of each layer.

        Raises:
            RenderCancelled: ``cancel`` was set; nothing is kept.
        """
        networks = self._networks
        with torch.inference_mode():
            h = torch.from_numpy(timbre.features)[None].to(networks.device)
            offsets, _ = self._predict(timbre, h, 1.0)
        # Tensors made in inference mode cannot take part in gradients, their copies can.
        return fit_offsets(
            networks.model.generator,
            h.clone(),
            [offset.float().clone() for offset in offsets],
            torch.from_numpy(timbre.mel).to(networks.device),
            timbre.root_pitch,
            steps=steps,
            precision=networks.precision,
            progress=progress,
            cancel=cancel,
        )

    def _refined_timbre(self, timbre: Timbre, strength: float) -> Refined:
        key = f"{timbre.content_hash} {strength:.6f}"
        networks = self._networks

        def make() -> Refined:
            h = torch.from_numpy(timbre.features)[None].to(networks.device)
            offsets, gates = self._predict(timbre, h, strength)
            weights = kept(self._weights, key, lambda: networks.generator.fold(offsets))
            drawn = networks.draw(h, [timbre.root_pitch], SOURCE_VELOCITY, weights)[0]
            source = torch.from_numpy(timbre.mel).to(networks.device)
            return Refined(
                key=key,
                h=h,
                weight_offsets=offsets,
                gates=(gates.reshape(GATE_SHAPE),) if gates.numel() else (),
                carry_overs=(carry_over_of(source, drawn),),
                attack=attack_power(timbre.samples, networks.mel.sample_rate),
            )

        return kept(self._kept, key, make)

    def _predict(
        self, timbre: Timbre, h: Tensor, strength: float
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Weight offsets of a timbre [1, H], with what was fitted, and its gates [1, gates]."""
        networks = self._networks
        predicted = refine(
            torch.from_numpy(timbre.mel)[None].to(networks.device),
            torch.tensor([timbre.root_pitch], device=networks.device),
            h,
            draw=lambda: networks.draw(
                h, [timbre.root_pitch], SOURCE_VELOCITY, networks.plain_weights
            ),
            features=networks.features,
            predict=networks.predict,
            config=networks.model.hypernetwork.config,
            mel=networks.mel,
        )
        offsets = predicted.offsets
        if timbre.fitted:
            changes = [torch.from_numpy(change).to(networks.device) for change in timbre.fitted]
            offsets = [one + change for one, change in zip(offsets, changes, strict=True)]
        return tuple(offset * strength for offset in offsets), predicted.gates * strength


def kept(cache: MutableMapping[str, EntryT], key: str, make: Callable[[], EntryT]) -> EntryT:
    """The entry of a key, made now if it is not there."""
    entry = cache.get(key)
    if entry is None:
        entry = cache[key] = make()
    return entry


def sum_weighted(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢ · tensorᵢ of tensors of one shape."""
    total = tensors[0] * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total.add_(tensor, alpha=weight)
    return total
