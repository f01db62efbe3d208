"""How much `evaluate` and the studies measure."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ParameterError


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """How much is measured; the more, the longer it takes."""

    pairs_per_bin: int = 20
    """Pairs compared with everyone else's renderings, for each interval upwards and downwards."""
    synthesized_pairs_per_bin: int = 8
    """Pairs of synthesized instruments, for each interval upwards and downwards."""
    family_pairs: int = 20
    """Pairs of each General MIDI family, shared by an octave and two, up and down."""
    other_model: str = ""
    """Another bundle (or its folder) whose instruments are compared on the very same pairs; none if
    empty."""
    pairs: int = 400
    """Source and target notes for squared errors and the Fréchet distance."""
    fitted_sources: int = 60
    """Sources of the pairs for squared errors that the model is also fitted to."""
    fit_steps: int = 5
    """Steps of fitting."""
    pitch_sources: int = 60
    """Sources rendered at every interval for the pitch accuracy."""
    tuning_notes: int = 240
    """Notes rendered to sound and tracked."""
    vocoder_notes: int = 64
    """Notes through the vocoder and Griffin-Lim."""
    probed_presets: int = 150
    """Presets whose features are asked for the pitch."""
    root_notes: int = 1000
    """Recordings whose root note is estimated."""
    neighbour_instruments: int = 16
    """Instruments whose neighbouring keys are compared."""
    seed: int = 1
    """Seed of what is drawn."""

    def __post_init__(self) -> None:
        for name in ("pairs_per_bin", "synthesized_pairs_per_bin", "family_pairs", "pairs"):
            if getattr(self, name) < 1:
                raise ParameterError(f"evaluate.{name} = {getattr(self, name)} must be 1 or more.")
