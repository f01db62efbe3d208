"""Which device computes: the only place that asks for CUDA or MPS."""

from __future__ import annotations

import torch

from core.errors import DeviceError

DEVICE_NAMES = ("auto", "cpu", "cuda", "mps")
"""What a user may ask for."""


def available_devices() -> list[str]:
    """Names of the usable devices, best first; always ends with ``cpu``."""
    names = []
    if torch.cuda.is_available():
        names.append("cuda")
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(name: str = "auto") -> torch.device:
    """Turn a user's wish into a device.

    Args:
        name: One of ``DEVICE_NAMES``; ``auto`` takes the best there is.

    Raises:
        DeviceError: Unknown name, or the device does not exist here.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    if name not in DEVICE_NAMES:
        raise DeviceError(f"Unknown device '{name}'; choose one of {', '.join(DEVICE_NAMES)}.")
    if name not in available:
        raise DeviceError(
            f"Device '{name}' is not available here; use auto or one of {', '.join(available)}."
        )
    return torch.device(name)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory ran out."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and any(words in str(error).lower() for words in ("out of memory", "allocate memory"))
    )


def cpu_has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX)."""
    capability = torch.backends.cpu.get_cpu_capability()
    if not capability.startswith("AVX512"):
        return False
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe()) if probe is not None else False
