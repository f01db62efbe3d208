from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from core.errors import ParameterError
from core.structure import structure
from training.config import RunConfig, load_config, to_toml

CONFIGS = Path(__file__).resolve().parents[2] / "resources" / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_config_survives_writing_and_reading(path: Path) -> None:
    config = load_config(path)
    assert structure(RunConfig, tomllib.loads(to_toml(config)), "it") == config


def test_a_variant_states_only_its_differences(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("seed = 3\n[generator]\nsteps = 7\nbatch_size = 4\n")
    (tmp_path / "variant.toml").write_text('base = "base.toml"\n[generator]\nsteps = 9\n')
    config = load_config(tmp_path / "variant.toml")
    assert (config.seed, config.generator.steps, config.generator.batch_size) == (3, 9, 4)


def test_overrides_win_and_keep_their_types() -> None:
    config = load_config(
        CONFIGS / "debug.toml",
        ["generator.steps=11", "generator.learning_rate=1", "model.generator.channels=[8, 4]"],
    )
    assert config.generator.steps == 11
    assert isinstance(config.generator.learning_rate, float)
    assert config.model.generator.channels == (8, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[generator]\nstep = 1",
            ["configuration.generator", "'step'", "nearest known is 'steps'"],
        ),
        ("colour = 1", ["configuration", "'colour'"]),
        (
            "[generator]\nsteps = 'many'",
            ["configuration.generator.steps is 'many', expected a whole number"],
        ),
        ("generator = 3", ["generator", "section"]),
        ("[model.generator]\nchannels = 8", ["model.generator.channels", "list"]),
        ("seed = true", ["configuration.seed is True, expected a whole number"]),
        ("log_every = nan", ["configuration.log_every is nan, expected a whole number"]),
        ("[generator]\nlearning_rate = nan", ["learning_rate is nan, expected a finite number"]),
        ("[model.generator]\nh_dim = 5", ["h_dim", "same"]),
        ("this is no TOML", ["not valid TOML"]),
        ('base = "config.toml"', ["base", "loop"]),
    ],
)
def test_a_bad_file_is_refused_with_the_key_and_the_remedy(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ParameterError) as caught:
        load_config(path)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"nowhere\.toml cannot be read"):
        load_config(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("override", ["seed", "generator.steps.x=1"])
def test_a_bad_override_is_refused(override: str) -> None:
    with pytest.raises(ParameterError, match="--set"):
        load_config(CONFIGS / "debug.toml", [override])


def test_keys_of_an_older_release_are_read_as_todays(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(
        "[judge]\nsteps = 7\nbatch_size = 3\n[model.pitch_judge]\nblocks = 2\n"
    )
    (tmp_path / "new.toml").write_text('base = "old.toml"\n[classifier]\nsteps = 9\n')
    config = load_config(tmp_path / "new.toml")
    assert (config.classifier.steps, config.classifier.batch_size) == (9, 3)
    assert config.model.pitch_classifier.blocks == 2
