"""What goes wrong in training."""

from __future__ import annotations

from core.errors import CoreError


class TrainingError(CoreError):
    """Training cannot go on: a loss is not finite, or a run folder does not fit."""
