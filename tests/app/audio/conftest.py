from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.pulse import PulseServer, missing_part, pulse_server


@pytest.fixture
def pulse() -> Iterator[PulseServer]:
    """A sound server without a sound card, the default of this process as long as the test runs."""
    missing = missing_part()
    if missing:
        pytest.skip(missing)
    with tempfile.TemporaryDirectory() as folder, pulse_server(Path(folder)) as server:
        yield server
