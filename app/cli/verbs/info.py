"""``info``: versions, devices, the model's card."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
from collections.abc import Mapping

from app import __version__
from app.cli.arguments import add_engine_arguments
from app.cli.console import failing_with, tell
from app.cli.work import load_engine
from core.export.base import FORMATS

SUMMARY = "tell versions, devices and the model's card"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Tell all; see the module."""
    from core.device import available_devices

    with failing_with(2):
        engine = load_engine(args.model, args.device)
    libraries = ("numpy", "scipy", "torch", "safetensors", "soundfile", "soxr")
    facts: dict[str, object] = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: importlib.metadata.version(name) for name in libraries},
        "devices": available_devices(),
        "device": engine.device_name,
        "sample_rate": engine.sample_rate,
        "formats": list(FORMATS),
        "model": engine.model_info,
    }
    if args.json:
        tell(json.dumps(facts, indent=2))
    else:
        _tell_tree(facts)


def _tell_tree(facts: Mapping[str, object], depth: int = 0) -> None:
    """Nested facts as indented lines."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            tell(f"{'  ' * depth}{key}:")
            _tell_tree(value, depth + 1)
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            tell(f"{'  ' * depth}{key}: {text}")
