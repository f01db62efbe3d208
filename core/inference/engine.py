"""The synthesis engine: one-shots in, instruments out.

The engine loads the networks, listens, fits and renders in batches, and goes on with the CPU where a
GPU's memory runs out. What it is made of: core/inference/networks.py (where the networks compute),
refining.py (what the hypernetwork changes for a sound) and rendering.py (what a key is made of). It
belongs to one thread.

Paper: HyperGANStrument (arXiv 2401.04558, sections 3.1 and 3.4).

Deviations: those of refining.py; what the model missed in a source is carried over to every note
(core/inference/carry_over.py); near its root a recording plays itself (core/inference/original.py);
every key is brought to the loudness of its source.

Shape legend: T samples, M mel bands, F frames, H feature width.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from core.audio.files import AudioClip
from core.audio.loudness import momentary_loudness_db
from core.audio.root import find_root
from core.audio.signal import isolate_note
from core.device import is_out_of_memory, resolve_device
from core.errors import CheckpointError, DeviceError, ParameterError
from core.inference.gates import GATE_COUNT
from core.inference.memory import keep_freed_memory
from core.inference.miss import MISS_DIM
from core.inference.model import Model, load_model
from core.inference.networks import Networks
from core.inference.refining import Refiner
from core.inference.rendering import PEAK, NoteRenderer, at_reference
from core.instrument import Instrument, Region, tile_zones
from core.mel import MelSpectrogram
from core.progress import Progress, stop_if
from core.sound import MAX_FIT_STEPS, RenderRequest, Sound, Timbre

NOTES_PER_BATCH = 4
"""Notes rendered at once; progress and cancelling have this grain. More are no quicker by the note:
their feature maps no longer fit a cache."""

ResultT = TypeVar("ResultT")


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
        self._mel = MelSpectrogram(model.mel)
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
        return self._networks.device.type

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
            root: Its fractional MIDI note where the user knows better; None takes what is heard, or
                what the file says of itself (core/audio/root.py).

        Raises:
            AudioFileError: There is too little sound in it.
            ParameterError: `root` is outside 0-127.
        """
        if root is not None and not 0.0 <= root <= 127.0:
            raise ParameterError(f"Root note {root} is outside the MIDI range 0-127.")
        mel_config = self._model.mel
        note = isolate_note(clip, mel_config.sample_rate, mel_config.n_samples / self.sample_rate)
        found = find_root(note, clip.facts, root)
        padded = np.zeros(mel_config.n_samples, np.float32)
        padded[: len(note.samples)] = note.samples[: mel_config.n_samples]
        mel = self._mel(at_reference(padded, self.sample_rate)[None])[0]
        h = self._attempt(lambda: self._networks.features(mel[None]))[0]
        digest = hashlib.sha256(padded.tobytes())
        digest.update(f"{found.midi_pitch:.6f} {self._model.content_hash}".encode())
        return Timbre(
            name=clip.name,
            content_hash=digest.hexdigest(),
            root_pitch=found.midi_pitch,
            root_origin=found.origin,
            pitch_confidence=found.confidence,
            features=h.cpu().numpy(),
            mel=mel.numpy(),
            gain=note.gain,
            onset_s=note.onset_s,
            length_s=note.length_s,
            loudness_db=momentary_loudness_db(padded[None] * PEAK, self.sample_rate),
            samples=padded[: len(note.samples)],
            is_noise=found.is_noise,
            cycle_frames=note.cycle_frames,
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
            timbre: Timbre of an analysed sample; one that was fitted before is fitted further.
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
        changes = self._attempt(lambda: self._refiner.fit(timbre, steps, progress, cancel))
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
            timbre: Timbre of an analysed sample.
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
            rendered += self._attempt(
                partial(self._render_batch, sound, batch, is_draft=request.is_draft)
            )
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

    def _render_batch(
        self, sound: Sound, notes: Sequence[int], *, is_draft: bool
    ) -> list[NDArray[np.float32]]:
        return self._renderer.render(sound, notes, is_draft=is_draft)

    def _place(self, device: torch.device) -> None:
        """Compute on a device from now on; what was kept on another is forgotten."""
        self._networks = Networks(self._model, device)
        self._refiner = Refiner(self._networks)
        self._renderer = NoteRenderer(self._networks, self._refiner)

    def _attempt(self, work: Callable[[], ResultT]) -> ResultT:
        """Do the work; where a GPU's memory runs out, move to the CPU and do it there."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self._networks.device.type == "cpu":
                raise DeviceError(
                    "Memory ran out while rendering; close other programs or render fewer notes."
                ) from error
            self._say(f"The memory of '{self.device_name}' ran out; going on with the CPU.")
        self._place(torch.device("cpu"))
        return self._attempt(work)


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
