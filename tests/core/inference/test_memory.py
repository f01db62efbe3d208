from __future__ import annotations

import subprocess
import sys

import numpy as np
import psutil
import pytest

from core.inference.memory import keep_freed_memory, return_freed_memory


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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone keeps freed memory")
def test_freed_blocks_are_at_hand_for_the_next_note() -> None:
    # In a process of its own: the setting is for good.
    program = """
import resource, sys
import numpy as np
from core.inference.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [np.ones(3 * 2**20, np.uint8) for _ in range(8)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
taken()
print(taken())
"""
    anew, kept = (
        int(subprocess.check_output([sys.executable, "-c", program, way]))
        for way in ("give", "keep")
    )
    assert kept < anew / 20


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    keep_freed_memory()
    return_freed_memory()
