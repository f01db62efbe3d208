"""The synthesis engine: one-shots in, instruments out.

One direction (ARCHITECTURE.md): clip → note → mel → timbre → mix → refined generator → mels →
waveforms → instrument. The networks are loaded once; the engine itself belongs to one thread.

Paper: HyperGANStrument (arXiv 2401.04558, sections 3.1 and 3.4).

Deviations: a mix of features is scaled back to unit mean square; the weight offsets of a mix are the
weighted offsets of its sources, not H's of a first drawing of the mix (0.4 dB apart, as are two
places 0.02 apart on the pad, for half the time); what the model missed in a source is carried over
to every note (core/inference/carry_over.py); near its root a recording plays itself (see
core/inference/original.py); every key is brought to the loudness of its source.

Shape legend: B batch, M mel bands, F frames, T samples, H feature width.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.audio.attack import attack_power, restore_attack
from core.audio.files import AudioClip
from core.audio.loudness import HEADROOM_DB, momentary_loudness_db, reference_gain
from core.audio.pitch import estimate_root
from core.audio.signal import PRE_ROLL_S, fade, isolate_note
from core.device import cpu_has_fast_bfloat16, is_out_of_memory, resolve_device
from core.errors import CheckpointError, DeviceError, ParameterError
from core.inference.carry_over import CarryOver, carry_over_of
from core.inference.fitting import fit_offsets
from core.inference.folded_generator import FoldedGenerator, FoldedWeights
from core.inference.folded_vocoder import DRAFT_MATCHINGS, MATCHINGS, FoldedVocoder
from core.inference.gates import GATE_COUNT, GATE_SHAPE, NoteGates, gates_at
from core.inference.memory import keep_freed_memory
from core.inference.miss import MISS_DIM, miss_code
from core.inference.model import Model, load_model
from core.inference.original import (
    is_shiftable,
    plays_recording,
    recording_at,
    recording_share,
)
from core.instrument import Instrument, Region, tile_zones
from core.mel import MelSpectrogram
from core.nn.ops import normalize_2nd_moment
from core.progress import Progress, stop_if
from core.sound import MAX_FIT_STEPS, SOURCE_VELOCITY, RenderRequest, Sound, Timbre, TimbreMix

NOTES_PER_BATCH = 4
"""Notes rendered at once; progress and cancelling have this grain. More are no quicker by the note:
their feature maps no longer fit a cache."""
PEAK = 10.0 ** (-1.0 / 20.0)
"""No note is louder than this: -1 dBFS."""
FADE_OUT_S = 0.02
"""Fade at the end of every note, seconds."""
REFINED_KEPT = 16
"""Refined timbres and mixes kept (about 2 MB each)."""
SOURCES_KEPT = 4
"""Notes whose sources the vocoder keeps (4 MB each): a hand's."""
RECORDINGS_KEPT = 96
"""Shifted recordings kept with their mels (580 KiB each)."""
LEAST_WEIGHT = 0.02
"""Sources with less of a mix lend it no recording: nobody would hear them."""
WEIGHTS_KEPT = 4
"""Of those, how many keep their refined weights too (about 12 MB each)."""

ResultT = TypeVar("ResultT")
EntryT = TypeVar("EntryT")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Refined:
    """What rendering needs of a timbre or a mix, whatever the note."""

    key: str
    h: Tensor  # [1, H]
    weight_offsets: tuple[Tensor, ...]  # Δ times the strength asked for
    gates: tuple[Tensor, ...]  # of the mix's timbres, likewise; none where H predicts none
    carry_overs: tuple[CarryOver, ...]  # of the mix's timbres
    attack: NDArray[np.float64]  # how its power begins, see core.audio.attack


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recording:
    """A source's recording at another note, at the reference loudness."""

    samples: Tensor  # [T] of a whole window
    mel: Tensor  # [M, F], in half precision


class _RecentlyUsed(Generic[EntryT]):
    """What was used last, by key.

    Args:
        limit: How many are kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: OrderedDict[str, EntryT] = OrderedDict()

    def get(self, key: str, make: Callable[[], EntryT]) -> EntryT:
        """The entry of a key, made now if it is not there."""
        entry = self._entries.pop(key, None)
        if entry is None:
            entry = make()
        self._entries[key] = entry
        while len(self._entries) > self.limit:
            self._entries.popitem(last=False)
        return entry

    def clear(self) -> None:
        """Forget all: their tensors lie on a device that is no longer used."""
        self._entries.clear()


class SynthesisEngine:
    """Analyses one-shots and renders instruments from them.

    Not safe for use from several threads at once: one thread owns it.

    Args:
        model: The networks.
        device: Where to compute.
        on_message: Told about fallbacks, one sentence each.

    Raises:
        CheckpointError: The hypernetwork reads mels, where the program's own reads features, or
            speaks of other gates.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device,
        on_message: Callable[[str], None] | None = None,
    ) -> None:
        config = model.hypernetwork.config
        if config.miss_dim not in (0, MISS_DIM) or config.gate_count not in (0, GATE_COUNT):
            raise CheckpointError(
                f"The bundle's hypernetwork reads {config.miss_dim} values of what was missed and "
                f"predicts {config.gate_count} gates; this program knows {MISS_DIM} and {GATE_COUNT}."
            )
        if config.reads_mels:
            raise CheckpointError(
                "The bundle's hypernetwork reads mels, which only the studies can run; "
                "use one whose hypernetwork reads features."
            )
        self._model = model
        self._say = on_message if on_message is not None else lambda message: None
        self._reads_miss = model.hypernetwork.config.miss_dim > 0
        self._mel = MelSpectrogram(model.mel)
        self._kept: _RecentlyUsed[_Refined] = _RecentlyUsed(REFINED_KEPT)
        self._weights_kept: _RecentlyUsed[FoldedWeights] = _RecentlyUsed(WEIGHTS_KEPT)
        self._sources_kept: _RecentlyUsed[Tensor] = _RecentlyUsed(SOURCES_KEPT)
        self._recordings_kept: _RecentlyUsed[_Recording] = _RecentlyUsed(RECORDINGS_KEPT)
        self._place(device)

    @classmethod
    def load(
        cls,
        model: Path | None = None,
        device: str = "auto",
        on_message: Callable[[str], None] | None = None,
    ) -> SynthesisEngine:
        """Load a bundle onto a device; from now on the process keeps the memory that notes free.

        Args:
            model: A ``.safetensors`` bundle; the shipped one if None.
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            on_message: Told about fallbacks, one sentence each.

        Raises:
            CheckpointError: The bundle is missing, damaged, foreign or newer than the program.
            DeviceError: The device does not exist.
        """
        wanted = resolve_device(device)
        keep_freed_memory()
        return cls(load_model(model), wanted, on_message)

    @property
    def sample_rate(self) -> int:
        """Rate of everything rendered, Hz."""
        return self._model.mel.sample_rate

    @property
    def device_name(self) -> str:
        """Where the networks compute now."""
        return self._device.type

    @property
    def model_info(self) -> dict[str, object]:
        """The bundle's header without its long lists: version, configs, corpus, licence, metrics."""
        hidden = {"known_instruments"}
        info = {k: v for k, v in self._model.header.items() if k not in hidden}
        return {**info, "sha256": self._model.content_hash}

    def analyze(self, clip: AudioClip, *, root: float | None = None) -> Timbre:
        """Listen to a one-shot.

        Args:
            clip: The recording.
            root: Its fractional MIDI note where the user knows better; None estimates it.

        Raises:
            AudioFileError: There is too little sound in it.
            ParameterError: `root` is outside 0-127.
        """
        if root is not None and not 0.0 <= root <= 127.0:
            raise ParameterError(f"Root note {root} is outside the MIDI range 0-127.")
        mel_config = self._model.mel
        note = isolate_note(clip, mel_config.sample_rate, mel_config.n_samples / self.sample_rate)
        estimate = estimate_root(note.samples, note.sample_rate)
        root_pitch = estimate.midi_pitch if root is None else float(root)
        padded = np.zeros(mel_config.n_samples, np.float32)
        padded[: len(note.samples)] = note.samples[: mel_config.n_samples]
        mel = self._mel(self._at_reference(padded)[None])[0]
        h = self._attempt(lambda: self._features(mel[None]))[0]
        digest = hashlib.sha256(padded.tobytes())
        digest.update(f"{root_pitch:.6f} {self._model.content_hash}".encode())
        return Timbre(
            name=clip.name,
            content_hash=digest.hexdigest(),
            root_pitch=root_pitch,
            pitch_confidence=estimate.confidence if root is None else 1.0,
            features=h.cpu().numpy(),
            mel=mel.numpy(),
            gain=note.gain,
            onset_s=note.onset_s,
            length_s=note.length_s,
            loudness_db=momentary_loudness_db(padded[None] * PEAK, self.sample_rate),
            samples=padded[: len(note.samples)],
        )

    def fit(
        self,
        timbre: Timbre,
        *,
        steps: int,
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
    ) -> Timbre:
        """Bring the model nearer to a recording than the hypernetwork does; takes seconds.

        Args:
            timbre: Of an analysed sample; one that was fitted before is fitted further.
            steps: Steps of gradient descent, 1-200; more are more faithful to the recording.
            progress: Called with steps done and steps in all, after every step.
            cancel: Checked before every step.

        Returns:
            The timbre with what was fitted: the same every time on the same machine.

        Raises:
            ParameterError: `steps` is out of range.
            RenderCancelled: `cancel` was set; nothing is kept.
            DeviceError: Memory ran out even on the CPU.
        """
        if not 1 <= steps <= MAX_FIT_STEPS:
            raise ParameterError(
                f"{steps} steps of fitting are outside 1-{MAX_FIT_STEPS}; 5 are a good start."
            )
        changes = self._attempt(partial(self._fit, timbre, steps, progress, cancel))
        fitted = tuple(change.cpu().numpy() for change in changes)
        if timbre.fitted:
            fitted = tuple(np.add(*layer) for layer in zip(timbre.fitted, fitted, strict=True))
        digest = hashlib.sha256(timbre.content_hash.encode())
        for layer in fitted:
            digest.update(layer.tobytes())
        return replace(
            timbre,
            content_hash=digest.hexdigest(),
            fitted=fitted,
            fit_steps=timbre.fit_steps + steps,
        )

    def nearest_instruments(self, timbre: Timbre, count: int = 3) -> list[tuple[str, float]]:
        """Training instruments whose features are nearest.

        Args:
            timbre: Of an analysed sample.
            count: How many.

        Returns:
            Names with their cosine similarity (-1 to 1), nearest first, each name once.
        """
        known = torch.nn.functional.normalize(self._model.known_features)
        if not len(known):
            return []
        ours = torch.nn.functional.normalize(torch.from_numpy(timbre.features)[None])
        similarity = (known @ ours.T)[:, 0]
        nearest: dict[str, float] = {}
        for index in similarity.argsort(descending=True).tolist():
            nearest.setdefault(self._model.known_names[index], float(similarity[index]))
            if len(nearest) == count:
                break
        return list(nearest.items())

    def render(
        self,
        request: RenderRequest,
        *,
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
    ) -> Instrument:
        """Render every note of a request.

        Each note depends on the mix and the request's settings alone; the other notes of a request
        change it by rounding at most.

        Args:
            request: What to render.
            progress: Called with notes done and notes in all, after every batch.
            cancel: Checked before every batch.

        Returns:
            One region per note, in the request's order, tiling the keyboard.

        Raises:
            RenderCancelled: `cancel` was set; nothing is kept.
            DeviceError: Memory ran out even on the CPU.
        """
        sound, notes = request.sound, request.notes
        rendered: list[NDArray[np.float32]] = []
        for first in range(0, len(notes), NOTES_PER_BATCH):
            stop_if(cancel, "Rendering was cancelled; no note was kept.")
            batch = notes[first : first + NOTES_PER_BATCH]
            audio = self._attempt(partial(self._render_batch, sound, batch, request.is_draft))
            for note, samples in zip(batch, audio, strict=True):
                mix = sound.mix.at(note)
                wanted_db = _weighted([t.loudness_db for t in mix.timbres], mix)
                rendered.append(_finish(samples, wanted_db, self.sample_rate))
            if progress is not None:
                progress(len(rendered), len(notes))
        zones = tile_zones(notes)
        regions = tuple(
            Region(root_note=note, low_key=low, high_key=high, samples=samples[None])
            for note, (low, high), samples in zip(notes, zones, rendered, strict=True)
        )
        return Instrument(
            name="-".join(t.name for t in sound.mix.timbres),
            sample_rate=self.sample_rate,
            regions=regions,
            provenance=_provenance(sound, self._model.content_hash),
        )

    def _place(self, device: torch.device) -> None:
        self._device = device
        self._kept.clear()
        self._weights_kept.clear()
        self._sources_kept.clear()
        self._recordings_kept.clear()
        for network in self._model.networks().values():
            network.to(device)
        fast = device.type == "cuda" or (device.type == "cpu" and cpu_has_fast_bfloat16())
        self._autocast_dtype = torch.bfloat16 if fast else None
        dtype = torch.bfloat16 if fast else torch.float32
        with torch.inference_mode():
            self._generator = FoldedGenerator(self._model.generator, dtype)
            self._vocoder = FoldedVocoder(self._model.vocoder, dtype)
            self._plain_weights = self._generator.fold(None)

    def _precision(self) -> AbstractContextManager[Any]:
        if self._autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, self._autocast_dtype)

    def _attempt(self, work: Callable[[], ResultT]) -> ResultT:
        """Do the work; where a GPU's memory runs out, move to the CPU and do it there."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self._device.type == "cpu":
                raise DeviceError(
                    "Memory ran out while rendering; close other programs or render fewer notes."
                ) from error
            self._say(f"The memory of '{self.device_name}' ran out; going on with the CPU.")
        self._place(torch.device("cpu"))
        return self._attempt(work)

    @torch.inference_mode()
    def _features(self, mels: Tensor) -> Tensor:
        """[B, M, F] to [B, H]."""
        with self._precision():
            h: Tensor = self._model.features(mels[:, None].to(self._device))
        return h

    def _draw(
        self,
        h: Tensor,
        pitches: Sequence[float],
        velocity: float,
        weights: FoldedWeights,
        z: Tensor | None = None,
    ) -> Tensor:
        """Mels [B, M, F] of one timbre [1, H] at several pitches."""
        count = len(pitches)
        noise = torch.zeros(1, self._model.generator.config.z_dim) if z is None else z
        return self._generator.draw(
            noise.to(self._device).expand(count, -1),
            torch.tensor(pitches, dtype=torch.float32, device=self._device),
            torch.full([count], velocity, device=self._device),
            h.expand(count, -1),
            weights,
        )

    def _predict(
        self, timbre: Timbre, h: Tensor, strength: float
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Weight offsets of a timbre [1, H], with what was fitted, and its gates [1, gates]."""
        initial = self._draw(h, [timbre.root_pitch], SOURCE_VELOCITY, self._plain_weights)
        h_init = self._features(initial)
        source = torch.from_numpy(timbre.mel)[None].to(self._device)
        pitch = torch.tensor([timbre.root_pitch], device=self._device)
        miss = miss_code(source, initial, pitch, self._model.mel) if self._reads_miss else None
        with self._precision():
            predicted = self._model.hypernetwork(h, h_init, miss)
        offsets = predicted.offsets
        if timbre.fitted:
            changes = [torch.from_numpy(change).to(self._device) for change in timbre.fitted]
            offsets = [one + change for one, change in zip(offsets, changes, strict=True)]
        return tuple(offset * strength for offset in offsets), predicted.gates * strength

    def _refine(self, mix: TimbreMix, strength: float) -> _Refined:
        """The refined mix; it and each of its timbres are refined once and then kept."""
        sources = [self._refine_timbre(timbre, strength) for timbre in mix.timbres]
        if len(sources) == 1:
            return sources[0]
        key = f"{mix.key} {strength:.6f}"

        def blend() -> _Refined:
            offsets = zip(*(s.weight_offsets for s in sources), strict=True)
            return _Refined(
                key=key,
                h=normalize_2nd_moment(sum_weighted([s.h for s in sources], mix.weights)),
                weight_offsets=tuple(sum_weighted(layer, mix.weights) for layer in offsets),
                gates=tuple(chain.from_iterable(s.gates for s in sources)),
                carry_overs=tuple(chain.from_iterable(s.carry_overs for s in sources)),
                attack=np.average([s.attack for s in sources], axis=0, weights=mix.weights),
            )

        return self._kept.get(key, blend)

    def _refine_timbre(self, timbre: Timbre, strength: float) -> _Refined:
        key = f"{timbre.content_hash} {strength:.6f}"

        def refine() -> _Refined:
            h = torch.from_numpy(timbre.features)[None].to(self._device)
            offsets, gates = self._predict(timbre, h, strength)
            weights = self._weights_kept.get(key, lambda: self._generator.fold(offsets))
            drawn = self._draw(h, [timbre.root_pitch], SOURCE_VELOCITY, weights)[0]
            source = torch.from_numpy(timbre.mel).to(self._device)
            return _Refined(
                key=key,
                h=h,
                weight_offsets=offsets,
                gates=(gates.reshape(GATE_SHAPE),) if gates.numel() else (),
                carry_overs=(carry_over_of(source, drawn),),
                attack=attack_power(timbre.samples, self.sample_rate),
            )

        return self._kept.get(key, refine)

    def _fit(
        self,
        timbre: Timbre,
        steps: int,
        progress: Progress | None,
        cancel: threading.Event | None,
    ) -> list[Tensor]:
        """What brings the model nearer to a timbre: Δ [O, I] of each layer."""
        with torch.inference_mode():
            h = torch.from_numpy(timbre.features)[None].to(self._device)
            offsets, _ = self._predict(timbre, h, 1.0)
        # Tensors made in inference mode cannot take part in gradients, their copies can.
        return fit_offsets(
            self._model.generator,
            h.clone(),
            [offset.float().clone() for offset in offsets],
            torch.from_numpy(timbre.mel).to(self._device),
            timbre.root_pitch,
            steps=steps,
            precision=self._precision,
            progress=progress,
            cancel=cancel,
        )

    @torch.inference_mode()
    def _render_batch(
        self, sound: Sound, notes: Sequence[int], is_draft: bool
    ) -> list[NDArray[np.float32]]:
        """Some notes [T], each as long as it is to be."""
        lengths = {note: self._length_samples(sound, note) for note in notes}
        drawn = [note for note in notes if not plays_recording(sound, note)]
        audio = dict(zip(drawn, self._render_drawn(sound, drawn, lengths, is_draft), strict=True))
        for note in set(notes) - set(drawn):
            recording = recording_at(sound.mix.nearest(note), note, self.sample_rate)
            audio[note] = np.zeros(lengths[note], np.float32)
            audio[note][: len(recording)] = recording[: lengths[note]]
        return [audio[note] for note in notes]

    def _render_drawn(
        self, sound: Sound, notes: Sequence[int], lengths: Mapping[int, int], is_draft: bool
    ) -> list[NDArray[np.float32]]:
        """Notes [T] that the networks render, of the lengths named."""
        if not notes:
            return []
        pitches = torch.tensor(notes, dtype=torch.float32, device=self._device)
        mels = self._mels(sound, notes)
        kept = [self._sources(sound, note) for note in notes]
        sources = kept[0] if len(kept) == 1 else torch.cat(kept, dim=1)  # 4 MB a note
        longest = max(lengths[note] for note in notes)
        matchings = DRAFT_MATCHINGS if is_draft else MATCHINGS
        carriers = self._carriers(sound, notes)
        rendered = self._vocoder.render(mels, pitches, sources, longest, matchings, carriers)
        audio = rendered.cpu().numpy()
        cut = [samples[: lengths[note]] for note, samples in zip(notes, audio, strict=True)]
        if sound.settings.original_range == 0.0:
            return cut
        attacks = [
            self._refine(sound.mix.at(note), sound.settings.refinement).attack for note in notes
        ]
        return [
            restore_attack(samples, attack, self.sample_rate)
            for samples, attack in zip(cut, attacks, strict=True)
        ]

    def _length_samples(self, sound: Sound, note: int) -> int:
        """A recording keeps its length; what is drawn is as long as what it is drawn from."""
        mix = sound.mix.at(note)
        length_s = _weighted([t.length_s for t in mix.timbres], mix)
        if plays_recording(sound, note):
            length_s = mix.nearest(note).length_s
        return min(self._model.mel.n_samples, max(1, round(length_s * self.sample_rate)))

    def _sources(self, sound: Sound, note: int) -> Tensor:
        """The vocoder's sources of a note, [2, 1, F, K]; a held note takes them again and again."""
        seed = _note_seed(sound, note)

        def make() -> Tensor:
            generator = torch.Generator().manual_seed(seed)
            noise = torch.randn(1, self._model.mel.n_samples, generator=generator)
            pitch = torch.tensor([note], dtype=torch.float32, device=self._device)
            return self._vocoder.sources(pitch, noise.to(self._device))

        return self._sources_kept.get(f"{note} {seed}", make)

    def _mels(self, sound: Sound, notes: Sequence[int]) -> Tensor:
        """Mels [B, M, F]: drawn by the generator, brought nearer to the recordings."""
        if sound.mix.one_instrument:  # each note is of another mix
            parts = [(replace(sound, mix=sound.mix.at(note)), (note,)) for note in notes]
            return torch.cat([self._mels(part, key) for part, key in parts])
        refined = self._refine(sound.mix, sound.settings.refinement)
        weights = self._weights_kept.get(
            refined.key, lambda: self._generator.fold(refined.weight_offsets)
        )
        carried = self._carried(sound, notes, refined)
        generator = torch.Generator().manual_seed(sound.settings.seed % 2**63)
        z = torch.randn(1, self._model.generator.config.z_dim, generator=generator)
        z = z * sound.settings.variation
        mels = self._draw(refined.h, notes, float(sound.settings.velocity), weights, z) + carried
        if sound.settings.original_range > 0.0:
            plain = mels
            if sound.settings.velocity != SOURCE_VELOCITY or sound.settings.variation > 0.0:
                # What the recording is beside the model is known at its own velocity only.
                plain = self._draw(refined.h, notes, float(SOURCE_VELOCITY), weights) + carried
            mels = mels + self._missing(sound, notes, plain, refined)
        return mels.clamp_min_(-1.0)

    def _carried(self, sound: Sound, notes: Sequence[int], refined: _Refined) -> Tensor:
        """What notes get of the carry-over of the mix's timbres, [B, M, F]."""
        mix, mel = sound.mix, self._model.mel
        strengths = [sound.settings.carry_over * weight for weight in mix.weights]
        return torch.stack(
            [
                sum_weighted(
                    [
                        each.at(
                            note - timbre.root_pitch, mel, self._gates(refined, index, note, mix)
                        )
                        for index, (each, timbre) in enumerate(
                            zip(refined.carry_overs, mix.timbres, strict=True)
                        )
                    ],
                    strengths,
                )
                for note in notes
            ]
        )

    def _gates(self, refined: _Refined, index: int, note: int, mix: TimbreMix) -> NoteGates | None:
        """Factors of a mix's timbre for a note; None where H predicts none."""
        if not refined.gates:
            return None
        semitones = note - mix.timbres[index].root_pitch
        return gates_at(refined.gates[index], semitones, self._model.mel.n_mels)

    def _missing(
        self, sound: Sound, notes: Sequence[int], drawn: Tensor, refined: _Refined
    ) -> Tensor:
        """What brings drawn mels [B, M, F] nearer to the sources' shifted recordings."""
        mix, mel = sound.mix, self._model.mel
        missing = torch.zeros_like(drawn)
        for place, (timbre, weight) in enumerate(zip(mix.timbres, mix.weights, strict=True)):
            if weight < LEAST_WEIGHT or not timbre.samples.size:
                continue
            for index, note in enumerate(notes):
                share = recording_share(
                    note - timbre.root_pitch, sound.settings.original_range, mel
                )
                if not share.any():
                    continue
                gain = torch.from_numpy(weight * share).to(self._device)
                gates = self._gates(refined, place, note, mix)
                if gates is not None:
                    gain = (gain * gates.recording).clamp_max(weight)
                recorded = self._recording(timbre, note).mel
                missing[index] += gain * (recorded - drawn[index].clamp_min(-1.0))
        return missing

    def _carriers(self, sound: Sound, notes: Sequence[int]) -> Tensor | None:
        """Recordings that notes are made of, [B, T]; None where the model alone is asked for.

        Those of a mix are summed with the roots of their weights, as independent sounds are.
        """
        if sound.settings.original_range == 0.0 or sound.settings.variation > 0.0:
            return None
        carriers = []
        for note in notes:
            mix = sound.mix.at(note)
            recordings = [
                (self._recording(timbre, note).samples, weight**0.5)
                for timbre, weight in zip(mix.timbres, mix.weights, strict=True)
                if weight >= LEAST_WEIGHT and is_shiftable(timbre, note)
            ]
            if recordings:
                carriers.append(sum_weighted(*zip(*recordings, strict=True)))
            else:  # nothing to carry it: the vocoder fills in where a recording holds nothing
                carriers.append(torch.zeros(self._model.mel.n_samples, device=self._device))
        return torch.stack(carriers)

    def _recording(self, timbre: Timbre, note: int) -> _Recording:
        def shift() -> _Recording:
            recording = recording_at(timbre, note, self.sample_rate)
            padded = np.zeros(self._model.mel.n_samples, np.float32)
            padded[: len(recording)] = recording
            samples = self._at_reference(padded)
            return _Recording(
                samples=samples.to(self._device),
                mel=self._mel(samples[None])[0].to(self._device, torch.float16),
            )

        return self._recordings_kept.get(f"{timbre.content_hash} {note}", shift)

    def _at_reference(self, note: NDArray[np.float32]) -> Tensor:
        """A note [T] at the loudness that the networks know notes at."""
        return torch.from_numpy(note * np.float32(reference_gain(note, self.sample_rate)))


def sum_weighted(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢ · tensorᵢ of tensors of one shape."""
    total = tensors[0] * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total.add_(tensor, alpha=weight)
    return total


def _weighted(values: Sequence[float], mix: TimbreMix) -> float:
    return float(sum(w * v for w, v in zip(mix.weights, values, strict=True)))


def _provenance(sound: Sound, model_hash: str) -> dict[str, str]:
    """What an instrument was made from, for its files."""
    sources = [
        f"{timbre.name} ({timbre.content_hash[:12]}) {weight:.4f}"
        + (f", fitted by {timbre.fit_steps} steps" if timbre.fitted else "")
        for timbre, weight in zip(sound.mix.timbres, sound.mix.weights, strict=True)
    ]
    settings = {each.name: getattr(sound.settings, each.name) for each in fields(sound.settings)}
    return {
        "model": model_hash[:12],
        "sources": "; ".join(sources),
        "pooled": "yes" if sound.mix.one_instrument else "no",
        **{name: f"{v:g}" if isinstance(v, float) else str(v) for name, v in settings.items()},
    }


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
