"""``analyze``: what the program hears in each sample."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.arguments import add_engine_arguments
from app.cli.console import failing_with, tell
from app.cli.work import load_engine, read_clips
from core.audio.file_facts import RootOrigin
from core.audio.files import AudioClip
from core.audio.pitch import RootEstimate, note_name
from core.sound import Timbre

if TYPE_CHECKING:
    from core.inference.engine import SynthesisEngine

SUMMARY = "tell root note, tuning, onset, length, kin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("samples", nargs="+", metavar="SAMPLE", type=Path, help="a sound file")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Listen and tell; see the module."""
    with failing_with(2):
        clips = read_clips(args.samples)
        engine = load_engine(args.model, args.device)
        timbres = [engine.analyze(clip) for clip in clips]
    reports = [
        _report(engine, path, clip, timbre)
        for path, clip, timbre in zip(args.samples, clips, timbres, strict=True)
    ]
    if args.json:
        tell(json.dumps(reports, indent=2))
        return
    for report, timbre in zip(reports, timbres, strict=True):
        kin = ", ".join(f"{x['name']} ({x['similarity']:.2f})" for x in report["nearest"])
        tell(f"{report['file']}")
        tell(
            f"  root note   {report['root_name']} ({report['root_note']}), "
            f"{round(report['tuning_cents']):+d} cents"
            f"{_whence(timbre)}"
        )
        tell(f"  confidence  {report['pitch_confidence']:.2f}")
        tell(f"  onset       {report['onset_s']:.3f} s")
        tell(f"  length      {report['length_s']:.2f} s")
        tell(f"  peak        {report['peak_db']:.1f} dBFS")
        tell(f"  resembles   {kin}")


def _whence(timbre: Timbre) -> str:
    """Where the root note is known from, to stand behind it."""
    if timbre.root_origin is not RootOrigin.HEARD:
        return f", {timbre.root_origin.phrase}"
    return "" if timbre.is_pitched else " - no clear pitch, a guess: set it with --root"


def _report(engine: SynthesisEngine, path: Path, clip: AudioClip, timbre: Timbre) -> dict[str, Any]:
    root = RootEstimate(midi_pitch=timbre.root_pitch, confidence=timbre.pitch_confidence)
    return {
        "file": str(path),
        "sample_rate": clip.sample_rate,
        "channels": clip.samples.shape[0],
        "root_note": root.note,
        "root_name": note_name(root.note),
        "tuning_cents": round(root.cents, 1),
        "root_from": str(timbre.root_origin),
        "pitch_confidence": round(timbre.pitch_confidence, 3),
        "pitched": timbre.is_pitched,
        "onset_s": round(timbre.onset_s, 4),
        "length_s": round(timbre.length_s, 4),
        "peak_db": round(20.0 * math.log10(max(timbre.gain, 1e-10)), 1),
        "nearest": [
            {"name": name, "similarity": round(similarity, 3)}
            for name, similarity in engine.nearest_instruments(timbre)
        ],
    }
