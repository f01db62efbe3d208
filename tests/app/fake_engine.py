"""An engine without networks: sines at the notes asked for, quickly."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.audio.file_facts import RootOrigin
from core.audio.files import AudioClip
from core.errors import CheckpointError, RenderCancelled
from core.instrument import Instrument, Region, tile_zones
from core.sound import RenderRequest, Timbre


class FakeEngine:
    """Has the face of ``SynthesisEngine``; remembers the requests it was given."""

    sample_rate = 44100
    device_name = "cpu"

    def __init__(self) -> None:
        self.model_info: dict[str, object] = {"format_version": 1, "licence": "none", "corpus": []}
        self.requests: list[RenderRequest] = []
        self.fits: list[int] = []
        self.on_message: Callable[[str], None] = lambda message: None
        self.loaded: list[tuple[Path | None, str]] = []
        self.before_note: Callable[[int], None] = lambda note: None
        self.before_step: Callable[[threading.Event | None], None] = lambda cancel: None

    def load(
        self,
        model: Path | None = None,
        device: str = "auto",
        on_message: Callable[[str], None] | None = None,
    ) -> FakeEngine:
        self.loaded.append((model, device))
        if model is not None and not model.exists():
            raise CheckpointError(f"'{model}' does not exist; check the path.")
        return self

    def analyze(self, clip: AudioClip, *, root: float | None = None) -> Timbre:
        pitch = 60.2 if root is None else root
        digest = hashlib.sha256(clip.samples.tobytes() + str(pitch).encode()).hexdigest()
        return Timbre(
            name=clip.name,
            content_hash=digest,
            root_pitch=pitch,
            root_origin=RootOrigin.HEARD if clip.facts.root is None else clip.facts.root.origin,
            pitch_confidence=0.9,
            features=np.zeros(4, np.float32),
            mel=np.zeros((128, 40), np.float32),
            gain=0.5,
            onset_s=0.01,
            length_s=clip.length_s,
            loudness_db=-20.0,
        )

    def fit(
        self,
        timbre: Timbre,
        *,
        steps: int,
        progress: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Timbre:
        self.fits.append(steps)
        for step in range(steps):
            self.before_step(cancel)
            if cancel is not None and cancel.is_set():
                raise RenderCancelled("Fitting was cancelled.")
            if progress is not None:
                progress(step + 1, steps)
        content_hash = f"{timbre.content_hash[:40]} fitted {steps}"
        return replace(timbre, content_hash=content_hash, fitted=(np.ones((1, 1), np.float32),))

    def nearest_instruments(self, timbre: Timbre, count: int = 3) -> list[tuple[str, float]]:
        return [("glockenspiel", 0.91), ("celesta", 0.8), ("vibraphone", 0.7)][:count]

    def render(
        self,
        request: RenderRequest,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Instrument:
        self.requests.append(request)
        regions = []
        zones = tile_zones(request.notes)
        for note, (low, high) in zip(request.notes, zones, strict=True):
            self.before_note(note)
            if cancel is not None and cancel.is_set():
                raise RenderCancelled("Rendering was cancelled.")
            time_s = np.arange(4410) / self.sample_rate
            sine = 0.5 * np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time_s)
            regions.append(
                Region(
                    root_note=note,
                    low_key=low,
                    high_key=high,
                    samples=sine.astype(np.float32)[None],
                )
            )
            if progress is not None:
                progress(len(regions), len(request.notes))
        return Instrument(
            name="from the engine",
            sample_rate=self.sample_rate,
            regions=tuple(regions),
            provenance={"seed": str(request.sound.settings.seed)},
        )
