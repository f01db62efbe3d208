"""The resolved configuration of a run: TOML in, TOML out, unknown keys refused.

Each section is a frozen dataclass that lives beside the code it configures; this module only
composes them. A file may name a base file (``base = "default.toml"``) and state its differences.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from core.errors import ParameterError
from core.structure import structure, unstructure
from training.corpus.build import CorpusConfig
from training.data.augment import AugmentConfig
from training.data.pairs import PairConfig
from training.evaluation.config import EvaluateConfig
from training.networks import ModelConfig
from training.root_note import RootNoteConfig
from training.stages.classifier import ClassifierStageConfig
from training.stages.features import FeaturesStageConfig
from training.stages.generator import GeneratorStageConfig
from training.stages.hypernetwork import HypernetworkStageConfig
from training.stages.vocoder import VocoderStageConfig

FORMER_KEYS = {"judge": "classifier", "model.pitch_judge": "model.pitch_classifier"}
"""Keys of the files of release 0.1, and what they are called today."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Everything one run depends on."""

    corpus_dir: str = "corpus/full"
    """Folder of the rendered corpus."""
    train_without: tuple[str, ...] = ("OPL-3_FM_128M",)
    """Note sources that are only evaluated on: OPL-3_FM_128M is CC-BY-SA, and nobody should have to
    ask whether that reaches weights, or the instruments made with them."""
    start_from: str = ""
    """Weights of an earlier run, with f and G of the same sizes, that the stage `generator` starts
    from in place of those of the stage `features`."""
    seed: int = 0
    """Seed of initial weights, batches and noise."""
    precision: str = "bf16-mixed"
    """Lightning Fabric precision: 32-true or bf16-mixed."""
    accelerator: str = "auto"
    """Lightning Fabric accelerator: auto, cpu, cuda, mps."""
    devices: int = 1
    """Processes (DDP over more than one)."""
    checkpoint_every_s: float = 120.0
    """Seconds between checkpoints."""
    validate_every: int = 500
    """Steps between validations."""
    log_every: int = 20
    """Steps between lines of stats.jsonl."""
    corpus: CorpusConfig = CorpusConfig()
    model: ModelConfig = ModelConfig()
    pairs: PairConfig = PairConfig()
    augment: AugmentConfig = AugmentConfig()
    features: FeaturesStageConfig = FeaturesStageConfig()
    generator: GeneratorStageConfig = GeneratorStageConfig()
    hypernetwork: HypernetworkStageConfig = HypernetworkStageConfig()
    adversarial: HypernetworkStageConfig = HypernetworkStageConfig()
    vocoder: VocoderStageConfig = VocoderStageConfig()
    classifier: ClassifierStageConfig = ClassifierStageConfig()
    root: RootNoteConfig = RootNoteConfig()
    evaluate: EvaluateConfig = EvaluateConfig()


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a TOML file, its bases first, then ``section.key=value`` overrides.

    Raises:
        ParameterError: Missing or malformed file, unknown key, wrong type or value.
    """
    values = _read_with_bases(path, seen=())
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ParameterError(f"--set {override} has no '='; write --set section.key=value.")
        _set_nested(values, key.strip().split("."), _parse_value(text.strip()))
    return structure(RunConfig, values, "configuration")


def to_toml(config: RunConfig) -> str:
    """The fully resolved configuration as TOML text; what is None is left out."""
    return tomli_w.dumps(_without_none(unstructure(config)))


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def _read_with_bases(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ParameterError(f"Configuration {path} names itself as its base; remove the loop.")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(
            f"Configuration {path} cannot be read ({error.strerror}); name a TOML file, e.g. "
            "resources/configs/default.toml."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"Configuration {path} is not valid TOML: {error}.") from error
    _rename_former_keys(values)
    base = values.pop("base", None)
    if base is None:
        return values
    return _merge(_read_with_bases(path.parent / str(base), (*seen, path.resolve())), values)


def _rename_former_keys(values: dict[str, Any]) -> None:
    for former, today in FORMER_KEYS.items():
        *sections, key = former.split(".")
        section: Any = values
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict) and key in section:
            section[today.rpartition(".")[2]] = section.pop(key)


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merge(typing.cast(dict[str, Any], old), value) if both else value
    return merged


def _set_nested(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise ParameterError(f"--set {'.'.join(keys)}: '{key}' is a value, not a section.")
    values[keys[-1]] = value


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
