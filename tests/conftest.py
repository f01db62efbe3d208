"""Settings of every test: one thread, no window, repeatable chance."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=60)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _seed_torch() -> None:
    """pytest-randomly seeds random and numpy; torch is seeded here where it is in use."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
