"""The part of the SFZ format that tells which file holds which note.

Read are the headers control, global, master, group and region with their inheritance, and the
opcodes default_path, sample, key, pitch_keycenter, lokey, hikey, lovel, hivel, tune, pitch_keytrack
and trigger; ``#define`` is followed, ``#include`` is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import ParameterError
from training.corpus.note_names import note_in_name, parse_note
from training.corpus.recordings import DEFAULT_VELOCITY, Recording
from training.corpus.source import CorpusError

_LEVELS = {"global": 0, "master": 1, "group": 2, "region": 3}
_TOKEN = re.compile(r"<(\w+)>|([\w$]+)=")
_SFZ_DEFAULT_KEY = 60


@dataclass(frozen=True, slots=True)
class _Region:
    opcodes: dict[str, str]
    default_path: str


def read_sfz(path: Path) -> list[Recording]:
    """Recordings of an SFZ instrument, each file once, at the pitch where it was recorded.

    Args:
        path: The .sfz file.

    Raises:
        CorpusError: The file cannot be read, or a key or velocity in it is no number.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CorpusError(f"SFZ file {path} cannot be read ({error.strerror}).") from error
    recordings: dict[Path, Recording] = {}
    for region in _regions(text):
        try:
            recording = _recording(region, path.parent)
        except (ValueError, ParameterError) as error:
            raise CorpusError(f"SFZ file {path} has an unusable region: {error}") from error
        if recording is not None:
            recordings.setdefault(recording.path, recording)
    return list(recordings.values())


def _regions(text: str) -> list[_Region]:
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    lines = [line.split("//", 1)[0].strip() for line in text.splitlines()]
    defines = [line.split()[1:3] for line in lines if re.match(r"#define\s+\$\w+\s+\S+$", line)]
    body = "\n".join(line for line in lines if not line.startswith("#"))
    for name, value in sorted(defines, key=lambda define: -len(define[0])):
        body = body.replace(name, value)
    inherited: list[dict[str, str]] = [{}, {}, {}, {}]
    regions: list[_Region] = []
    control: dict[str, str] = {}
    target: dict[str, str] = {}
    tokens = list(_TOKEN.finditer(body))
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        header, opcode = token.groups()
        if header is None:
            end = following.start() if following else len(body)
            target[opcode] = body[token.end() : end].split("\n", 1)[0].strip()
        elif header in _LEVELS:
            level = _LEVELS[header]
            for deeper in range(level, len(inherited)):
                inherited[deeper] = {}
            target = inherited[level]
            if header == "region":
                merged: dict[str, str] = {}
                for outer in inherited[:level]:
                    merged.update(outer)
                regions.append(_Region(merged, control.get("default_path", "")))
                target = merged
        else:
            target = control if header == "control" else {}
    return regions


def _recording(region: _Region, folder: Path) -> Recording | None:
    opcodes = region.opcodes
    sample = opcodes.get("sample", "")
    is_played = opcodes.get("trigger", "attack") in ("attack", "first", "legato")
    is_pitched = float(opcodes.get("pitch_keytrack", "100")) != 0.0
    if not sample or sample.startswith("*") or not is_played or not is_pitched:
        return None
    sample_path = folder / f"{region.default_path}{sample}".replace("\\", "/")
    center = opcodes.get("pitch_keycenter", opcodes.get("key", str(_SFZ_DEFAULT_KEY)))
    if center == "sample":
        note = note_in_name(sample_path.stem)
        if note is None:
            raise ParameterError(f"pitch_keycenter=sample, but '{sample}' names no note.")
    else:
        note = parse_note(center)
    tune_cents = float(opcodes.get("tune", opcodes.get("pitch", "0")))
    low, high = int(opcodes.get("lovel", "0")), int(opcodes.get("hivel", "127"))
    return Recording(
        path=sample_path,
        # The player adds tune to bring the recording into tune, so it was recorded that much lower.
        midi_pitch=note - tune_cents / 100.0,
        velocity=max(1, low, min(high, DEFAULT_VELOCITY)),
    )
