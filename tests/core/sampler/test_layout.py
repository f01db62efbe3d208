from __future__ import annotations

from enum import IntEnum

import numpy as np
import pytest

from core.instrument import Instrument, Region
from core.sampler import kernel, layout
from core.sampler.layout import LAYOUT, EventKind, fingerprint
from core.sampler.sampler import Sampler
from tests.helpers.signals import sine


def test_the_fingerprint_is_that_of_the_module() -> None:
    names = {name: value for name, value in vars(layout).items() if name != "LAYOUT"}
    assert fingerprint(names) == LAYOUT


@pytest.mark.parametrize(
    "change",
    [
        {"MAX_VOICES": 63},
        {"SILENCE": -3},
        {"NEW_CONSTANT": 1},
        {"VOICE": np.dtype([("recording", "i4")])},
        {"EventKind": IntEnum("EventKind", {kind.name: kind + 1 for kind in EventKind})},
    ],
)
def test_whatever_changes_in_a_layout_changes_its_fingerprint(change: dict[str, object]) -> None:
    names = {name: value for name, value in vars(layout).items() if name != "LAYOUT"}
    assert fingerprint(names | change) != LAYOUT


def test_machine_code_is_cached_by_the_fingerprint() -> None:
    # Numba keys its cache by the code of a function and by what its closure holds.
    function = kernel.compile_callback()._pyfunc
    assert LAYOUT in [cell.cell_contents for cell in function.__closure__]


def test_a_record_of_another_layout_is_refused_and_not_touched() -> None:
    sampler = Sampler(44_100)
    region = Region(root_note=60, low_key=0, high_key=127, samples=sine(440.0)[None])
    sampler.load(Instrument(name="a", sample_rate=44_100, regions=(region,)))
    sampler.note_on(60, 100)
    block = np.zeros((2, 256), np.float32)
    sampler._state["layout"] = LAYOUT + 1
    sampler.render(block)
    assert sampler.blocks == 0
    sampler._state["layout"] = LAYOUT
    sampler.render(block)
    assert sampler.blocks == 1
    assert block.any()
