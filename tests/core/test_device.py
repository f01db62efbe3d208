from __future__ import annotations

import pytest
import torch

from core.device import (
    DEVICE_NAMES,
    available_devices,
    cpu_has_fast_bfloat16,
    is_out_of_memory,
    resolve_device,
)
from core.errors import DeviceError


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [
        (False, False, ["cpu"]),
        (True, False, ["cuda", "cpu"]),
        (False, True, ["mps", "cpu"]),
        (True, True, ["cuda", "mps", "cpu"]),
    ],
)
def test_auto_takes_the_best_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: list[str]
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert available_devices() == expected
    assert resolve_device("auto").type == expected[0]
    assert resolve_device().type == expected[0]
    for name in expected:
        assert resolve_device(name).type == name


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(DeviceError, match=f"'{name}' is not available here; use auto"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cuda:7", "tpu"])
def test_an_unknown_device_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(DeviceError, match=f"'{name}'; choose one of {', '.join(DEVICE_NAMES)}"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (allocated 5 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ..."), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_errors_are_recognised(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) == is_memory


@pytest.mark.parametrize(
    ("capability", "probe", "expected"),
    [
        ("DEFAULT", True, False),
        ("AVX2", True, False),
        ("AVX512", True, True),
        ("AVX512", False, False),
        ("AVX512", None, False),
    ],
)
def test_bfloat16_needs_the_right_cpu(
    monkeypatch: pytest.MonkeyPatch, capability: str, probe: bool | None, expected: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    if probe is None:
        monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: probe, raising=False)
    assert cpu_has_fast_bfloat16() == expected
