"""Rendering: what each key is made of, decided once, and the waveform that comes of it.

Sound and note → :class:`KeyRecipe` → mel (drawn by G, with what was carried over and the recording's
share) → waveform (the shifted recording brought to that mel; the vocoder where it holds nothing).

Shape legend: B batch, M mel bands, F frames, T samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray
from torch import Tensor

from core.audio.attack import restore_attack
from core.audio.loudness import HEADROOM_DB, momentary_loudness_db, reference_gain
from core.audio.signal import PRE_ROLL_S, fade
from core.inference.folded_vocoder import DRAFT_MATCHINGS, MATCHINGS
from core.inference.gates import NoteGates, gates_at
from core.inference.networks import Networks
from core.inference.original import is_shiftable, plays_recording, recording_at, recording_share
from core.inference.refining import Refined, Refiner, kept, sum_weighted
from core.inference.smoothing import smoothing
from core.mel import MelSpectrogram
from core.sound import SOURCE_VELOCITY, RenderSettings, Sound, Timbre, TimbreMix

PEAK = 10.0 ** (-1.0 / 20.0)
"""No note is louder than this: -1 dBFS."""
FADE_OUT_S = 0.02
"""Fade at the end of every note, seconds."""
EXCITATIONS_KEPT = 4
"""Notes whose excitation the vocoder keeps (4 MB each): a hand's."""
RECORDINGS_KEPT = 96
"""Shifted recordings kept with their mels (580 KiB each)."""
NOISE_BANDS = 4.0
"""Width (σ) of the Gaussian that mels drawn for noise are smoothed with along frequency, bands: the
model draws partials of the key into any sound."""
LEAST_WEIGHT = 0.02
"""Sources with less of a mix lend it no recording: nobody would hear them."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeyRecipe:
    """What one key is made of."""

    note: int
    """MIDI note."""
    mix: TimbreMix
    """What it is a mix of: of one instrument the notes around it."""
    recording: Timbre | None
    """The source whose recording the key plays as it is; None where the networks render it."""
    carriers: tuple[tuple[Timbre, float], ...]
    """Sources whose shifted recordings carry it, with their weights."""
    n_samples: int
    """How long it is."""
    loudness_db: float
    """How loud it is to be at a peak of -1 dBFS (core.audio.loudness)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Shifted:
    """A source's recording at another note, at the reference loudness."""

    samples: Tensor  # [T] of a whole window
    mel: Tensor  # [M, F], in half precision


class NoteRenderer:
    """Makes notes of a sound.

    Args:
        networks: The networks where they compute.
        refiner: Refines timbres and mixes for them.
    """

    def __init__(self, networks: Networks, refiner: Refiner) -> None:
        self._networks = networks
        self._refiner = refiner
        self._mel = MelSpectrogram(networks.mel)
        self._excitations: LRUCache[str, Tensor] = LRUCache(EXCITATIONS_KEPT)
        self._shifted: LRUCache[str, _Shifted] = LRUCache(RECORDINGS_KEPT)

    @torch.inference_mode()
    def render(
        self, sound: Sound, notes: Sequence[int], *, is_draft: bool = False
    ) -> list[NDArray[np.float32]]:
        """Finished notes [T], in their order.

        Args:
            sound: What they sound like.
            notes: MIDI notes.
            is_draft: See :class:`core.sound.RenderRequest`.
        """
        recipes = [self.recipe(sound, note) for note in notes]
        drawn = [recipe for recipe in recipes if recipe.recording is None]
        audio = dict(
            zip([each.note for each in drawn], self._rendered(sound, drawn, is_draft), strict=True)
        )
        for recipe in recipes:
            if recipe.recording is not None:
                shifted = recording_at(recipe.recording, recipe.note, self._sample_rate)
                audio[recipe.note] = np.zeros(recipe.n_samples, np.float32)
                audio[recipe.note][: len(shifted)] = shifted[: recipe.n_samples]
        return [
            _finish(audio[recipe.note], recipe.loudness_db, self._sample_rate) for recipe in recipes
        ]

    def recipe(self, sound: Sound, note: int) -> KeyRecipe:
        """Decide what a key is made of.

        A recording keeps its length; what is drawn is as long as what it is drawn from.
        """
        mix, settings = sound.mix.at(note), sound.settings
        recording = sound.mix.nearest(note) if plays_recording(sound, note) else None
        length_s = _weighted([timbre.length_s for timbre in mix.timbres], mix)
        if recording is not None:
            length_s = recording.length_s
        carriers: tuple[tuple[Timbre, float], ...] = ()
        if _is_carried(settings):
            carriers = tuple(
                (timbre, weight)
                for timbre, weight in zip(mix.timbres, mix.weights, strict=True)
                if weight >= LEAST_WEIGHT and is_shiftable(timbre, note)
            )
        return KeyRecipe(
            note=note,
            mix=mix,
            recording=recording,
            carriers=carriers,
            n_samples=min(
                self._networks.mel.n_samples, max(1, round(length_s * self._sample_rate))
            ),
            loudness_db=_weighted([timbre.loudness_db for timbre in mix.timbres], mix),
        )

    def mels(self, sound: Sound, recipes: Sequence[KeyRecipe]) -> Tensor:
        """Mels [B, M, F]: drawn by the generator, brought nearer to the recordings."""
        if sound.mix.one_instrument:  # each key is of another mix
            parts = [(replace(sound, mix=recipe.mix), [recipe]) for recipe in recipes]
            return torch.cat([self.mels(part, single) for part, single in parts])
        networks, settings = self._networks, sound.settings
        notes = [recipe.note for recipe in recipes]
        refined = self._refiner.refined(sound.mix, settings.refinement)
        weights = self._refiner.weights(refined)
        carried = torch.stack([self._carried(sound, note, refined) for note in notes])
        generator = torch.Generator().manual_seed(settings.seed % 2**63)
        z = torch.randn(1, networks.model.generator.config.z_dim, generator=generator)
        z = z * settings.variation
        mels = networks.draw(refined.h, notes, float(settings.velocity), weights, z) + carried
        if settings.original_range > 0.0:
            plain = mels
            if settings.velocity != SOURCE_VELOCITY or settings.variation > 0.0:
                # What the recording is beside the model is known at its own velocity only.
                plain = networks.draw(refined.h, notes, float(SOURCE_VELOCITY), weights) + carried
            mels = mels + self._missing(sound, notes, plain, refined)
        if _is_noise(sound.mix):
            mels = smoothing(mels.shape[1], NOISE_BANDS, mels.device) @ mels
        return mels.clamp_min_(-1.0)

    @property
    def _sample_rate(self) -> int:
        return self._networks.mel.sample_rate

    def _rendered(
        self, sound: Sound, recipes: Sequence[KeyRecipe], is_draft: bool
    ) -> list[NDArray[np.float32]]:
        """Notes [T] that the networks render."""
        if not recipes:
            return []
        notes = [recipe.note for recipe in recipes]
        pitches = torch.tensor(notes, dtype=torch.float32, device=self._networks.device)
        mels = self.mels(sound, recipes)
        excitations = [self._excitation(sound, note) for note in notes]
        excitation = excitations[0] if len(notes) == 1 else torch.cat(excitations, dim=1)
        longest = max(recipe.n_samples for recipe in recipes)
        matchings = DRAFT_MATCHINGS if is_draft else MATCHINGS
        carriers = self._carriers(sound, recipes)
        rendered = self._networks.vocoder.render(
            mels, pitches, excitation, longest, matchings, carriers
        )
        cut = [
            samples[: recipe.n_samples]
            for recipe, samples in zip(recipes, rendered.cpu().numpy(), strict=True)
        ]
        if sound.settings.original_range == 0.0:
            return cut
        strength = sound.settings.refinement
        attacks = [self._refiner.refined(recipe.mix, strength).attack for recipe in recipes]
        return [
            restore_attack(samples, attack, self._sample_rate)
            for samples, attack in zip(cut, attacks, strict=True)
        ]

    def _excitation(self, sound: Sound, note: int) -> Tensor:
        """The vocoder's sources of a note, [2, 1, F, K]; a held note takes them again and again."""
        seed, is_noise = _note_seed(sound, note), _is_noise(sound.mix)

        def make() -> Tensor:
            generator = torch.Generator().manual_seed(seed)
            noise = torch.randn(1, self._networks.mel.n_samples, generator=generator)
            device = self._networks.device
            pitch = torch.tensor([note], dtype=torch.float32, device=device)
            sources = self._networks.vocoder.sources(pitch, noise.to(device))
            if is_noise:
                sources[0] = 0.0  # the pulses
            return sources

        return kept(self._excitations, f"{note} {seed} {is_noise}", make)

    def _carried(self, sound: Sound, note: int, refined: Refined) -> Tensor:
        """What a note gets of the carry-over of the mix's timbres, [M, F]."""
        mix, mel = sound.mix, self._networks.mel
        strengths = [sound.settings.carry_over * weight for weight in mix.weights]
        parts = [
            each.at(note - timbre.root_pitch, mel, self._gates(refined, index, note, mix))
            for index, (each, timbre) in enumerate(
                zip(refined.carry_overs, mix.timbres, strict=True)
            )
        ]
        return sum_weighted(parts, strengths)

    def _gates(self, refined: Refined, index: int, note: int, mix: TimbreMix) -> NoteGates | None:
        """Factors of a mix's timbre for a note; None where H predicts none."""
        if not refined.gates:
            return None
        semitones = note - mix.timbres[index].root_pitch
        return gates_at(refined.gates[index], semitones, self._networks.mel.n_mels)

    def _missing(
        self, sound: Sound, notes: Sequence[int], drawn: Tensor, refined: Refined
    ) -> Tensor:
        """What brings drawn mels [B, M, F] nearer to the sources' shifted recordings."""
        mix, mel, settings = sound.mix, self._networks.mel, sound.settings
        missing = torch.zeros_like(drawn)
        for place, (timbre, weight) in enumerate(zip(mix.timbres, mix.weights, strict=True)):
            if weight < LEAST_WEIGHT or not timbre.samples.size:
                continue
            for index, note in enumerate(notes):
                share = recording_share(note - timbre.root_pitch, settings.original_range, mel)
                if not share.any():
                    continue
                gain = torch.from_numpy(weight * share).to(self._networks.device)
                gates = self._gates(refined, place, note, mix)
                if gates is not None:
                    gain = (gain * gates.recording).clamp_max(weight)
                recorded = self._recording(timbre, note).mel
                missing[index] += gain * (recorded - drawn[index].clamp_min(-1.0))
        return missing

    def _carriers(self, sound: Sound, recipes: Sequence[KeyRecipe]) -> Tensor | None:
        """Recordings that notes are made of, [B, T]; None where the model alone is asked for.

        Those of a mix are summed with the roots of their weights, as independent sounds are.
        """
        if not _is_carried(sound.settings):
            return None
        carriers = []
        for recipe in recipes:
            if recipe.carriers:
                samples = [
                    self._recording(each, recipe.note).samples for each, _ in recipe.carriers
                ]
                carriers.append(
                    sum_weighted(samples, [weight**0.5 for _, weight in recipe.carriers])
                )
            else:  # nothing to carry it: the vocoder fills in where a recording holds nothing
                silence = torch.zeros(self._networks.mel.n_samples, device=self._networks.device)
                carriers.append(silence)
        return torch.stack(carriers)

    def _recording(self, timbre: Timbre, note: int) -> _Shifted:
        def shift() -> _Shifted:
            recording = recording_at(timbre, note, self._sample_rate)
            padded = np.zeros(self._networks.mel.n_samples, np.float32)
            padded[: len(recording)] = recording
            samples = at_reference(padded, self._sample_rate)
            device = self._networks.device
            return _Shifted(
                samples=samples.to(device),
                mel=self._mel(samples[None])[0].to(device, torch.float16),
            )

        return kept(self._shifted, f"{timbre.content_hash} {note}", shift)


def at_reference(note: NDArray[np.float32], sample_rate: int) -> Tensor:
    """A note [T] at the loudness that the networks know notes at."""
    return torch.from_numpy(note * np.float32(reference_gain(note, sample_rate)))


def _is_noise(mix: TimbreMix) -> bool:
    """Whether nothing in a mix has a pitch, so that no key may add one."""
    return all(timbre.is_noise for timbre in mix.timbres)


def _is_carried(settings: RenderSettings) -> bool:
    """Whether recordings carry the notes: not where the model alone or its variations are heard."""
    return settings.original_range > 0.0 and settings.variation == 0.0


def _weighted(values: Sequence[float], mix: TimbreMix) -> float:
    return float(sum(w * v for w, v in zip(mix.weights, values, strict=True)))


def _note_seed(sound: Sound, note: int) -> int:
    """A noise seed of its own for every note, whatever batch it is rendered in."""
    return (sound.settings.seed * 128 + note) % 2**63


def _finish(
    audio: NDArray[np.float32], loudness_db: float, sample_rate: int
) -> NDArray[np.float32]:
    """Fade, bring to the wanted loudness without passing the peak.

    The fade at the start lasts as long as the silence before every source's onset.
    """
    cut = fade(
        audio,
        fade_in=min(len(audio), round(PRE_ROLL_S * sample_rate)),
        fade_out=min(len(audio), round(FADE_OUT_S * sample_rate)),
    )
    peak = float(np.max(np.abs(cut)))
    if peak == 0.0:
        return cut
    wanted_db = loudness_db - HEADROOM_DB
    gain = 10.0 ** ((wanted_db - momentary_loudness_db(cut[None], sample_rate)) / 20.0)
    finished: NDArray[np.float32] = (cut * min(gain, PEAK / peak)).astype(np.float32)
    return finished
