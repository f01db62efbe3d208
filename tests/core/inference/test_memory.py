from __future__ import annotations

import sys

import numpy as np
import psutil
import pytest

from core.inference.memory import return_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone keeps freed memory")
def test_freed_memory_goes_back_to_the_system() -> None:
    # Small blocks with a survivor on top: what an allocator cannot give back by itself.
    blocks = [np.ones(8192, np.uint8) for _ in range(8000)]
    survivor = np.ones(8192, np.uint8)
    del blocks
    before = psutil.Process().memory_info().rss
    return_freed_memory()
    assert before - psutil.Process().memory_info().rss > 20 * 2**20
    assert survivor.all()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    return_freed_memory()
