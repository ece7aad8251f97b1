"""Which NVIDIA GPUs this machine has, asked of the driver itself: no torch, no nvidia-smi."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

DRIVER = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, …_MINOR


def gpu_count() -> int:
    """GPUs that the driver shows this process (``CUDA_VISIBLE_DEVICES`` counts); 0 without a driver."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int()
    # a driver without a device answers with an error code (CUDA_ERROR_NO_DEVICE, or one for a broken installation)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def architectures(wanted: Sequence[int] | None = None) -> Sequence[str]:
    """What the GPUs of the numbers `wanted` (default: all) are, each kind once, as in ``["sm80", "sm90"]``.

    A number that no GPU has counts for nothing: whoever is to run something on it will say so.
    """
    count = gpu_count()
    numbers = range(count) if wanted is None else [number for number in wanted if number < count]
    capabilities = {found for number in numbers if (found := _compute_capability(number))}
    return [f"sm{major}{minor}" for major, minor in sorted(capabilities)]


def _compute_capability(number: int) -> tuple[int, int] | None:
    driver, device = ctypes.CDLL(DRIVER), ctypes.c_int()
    major, minor = ctypes.c_int(), ctypes.c_int()
    failed = (
        driver.cuDeviceGet(ctypes.byref(device), number)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    )
    return None if failed else (major.value, minor.value)


def parse_gpus(text: str) -> tuple[int, ...] | None:
    """What ``--gpus`` means: "auto" → None (all GPUs), "none" → (), "0,1" → (0, 1). Raises `ValueError`."""
    if text == "auto":
        return None
    if text == "none":
        return ()
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (-1,)
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise ValueError(f"{text!r} is not auto, none, or a list of different GPU numbers as in 0,1")
    return numbers
