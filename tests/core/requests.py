"""Requests for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.sound import RenderRequest


def with_settings(request: RenderRequest, **changes: Any) -> RenderRequest:
    """The request with other render settings."""
    sound = request.sound
    return replace(request, sound=replace(sound, settings=replace(sound.settings, **changes)))
