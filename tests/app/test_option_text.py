from __future__ import annotations

import pytest

from app.option_text import described
from core.errors import (
    CheckpointError,
    CoreError,
    DestinationError,
    DeviceError,
    ExportError,
    FileExistsAlreadyError,
    ParameterError,
)


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        (FileExistsAlreadyError, "--force"),
        (DestinationError, "--out"),
        (DeviceError, "--device"),
        (CheckpointError, "--model"),
        (ExportError, None),
        (ParameterError, None),
    ],
)
def test_the_option_that_helps_is_named_once_and_only_where_there_is_one(
    kind: type[CoreError], option: str | None
) -> None:
    text = described(kind("It is so."))
    assert text == ("It is so." if option is None else f"It is so ({option}).")
