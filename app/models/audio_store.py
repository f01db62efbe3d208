"""Decoded recordings by the hash of their content.

Shape legend: C channels, T samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from app.models.session import MIN_SOURCE_S, Session, Source
from core.audio.files import AudioClip
from core.errors import ParameterError


def audio_hash(clip: AudioClip) -> str:
    """What names a recording: SHA-256 (hex) of its rate, channel count and samples, not its name.

    Hashing 30 s of stereo takes some 10 ms: a pool's work, not the window's.
    """
    positive_zeros = np.ascontiguousarray(clip.samples + np.float32(0.0), dtype="<f4")
    digest = hashlib.sha256(f"{clip.sample_rate} {clip.samples.shape[0]} ".encode())
    digest.update(positive_zeros.data)
    return digest.hexdigest()


def check_audio(session: Session, clips: Mapping[str, AudioClip]) -> None:
    """Refuse a session whose sources point to audio that is not there.

    Args:
        session: What to check, its snapshots included.
        clips: Recordings by hash.

    Raises:
        ParameterError: A recording is missing, or a source starts after its end.
    """
    for source in session.all_sources:
        clip = clips.get(source.audio_hash)
        if clip is None:
            raise ParameterError(f"The audio of {source.name!r} is missing; drop its file again.")
        if source.start_s > max(0.0, clip.length_s - MIN_SOURCE_S):
            raise ParameterError(
                f"{source.name!r} starts at {source.start_s:g} s of {clip.length_s:g} s; "
                "start it earlier."
            )


def cut(clip: AudioClip, source: Source) -> AudioClip:
    """The part of a recording that a source uses, named like the source; shares the samples."""
    start = round(source.start_s * clip.sample_rate)
    end = None if source.end_s is None else round(source.end_s * clip.sample_rate)
    part = clip.samples[:, start:end]
    is_whole = part.shape[1] == clip.samples.shape[1]
    facts = clip.facts if is_whole else clip.facts.within(start, start + part.shape[1])
    return replace(clip, samples=part, name=source.name, facts=facts)


class AudioStore:
    """The recordings of a document, each once; they are made read-only when they come in."""

    def __init__(self) -> None:
        self._clips: dict[str, AudioClip] = {}

    @property
    def clips(self) -> Mapping[str, AudioClip]:
        """The recordings by hash: a view that follows the store."""
        return MappingProxyType(self._clips)

    def add(self, clips: Mapping[str, AudioClip]) -> None:
        """Take recordings in.

        Args:
            clips: By their :func:`audio_hash`.
        """
        for key, clip in clips.items():
            if key not in self._clips:
                clip.samples.flags.writeable = False
                self._clips[key] = clip

    def collect(self, used: Iterable[str]) -> None:
        """Forget all recordings but those used."""
        for key in self._clips.keys() - frozenset(used):
            del self._clips[key]
