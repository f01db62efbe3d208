"""Stage `adversarial`: H further, jointly with D, both as the stages before have left them.

Paper: HyperGANStrument (arXiv 2401.04558, section 3.2), second stage. It is the stage `hypernetwork` with
an adversarial loss and another start; training/discriminator.py says what D minimises.
"""

from __future__ import annotations

from training.building import StageContext, StageEntry
from training.stages.hypernetwork import (
    HypernetworkStage,
    HypernetworkStageConfig,
    build_refinement,
)


def _build(context: StageContext, config: HypernetworkStageConfig) -> HypernetworkStage:
    context.load("hypernetwork", "hypernetwork")
    return build_refinement(context, config)


STAGE = StageEntry(build=_build, trains=("hypernetwork", "discriminator"))
