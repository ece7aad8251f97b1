"""Which NVIDIA GPUs this machine has. It asks the driver, without torch or nvidia-smi."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence

DRIVER = "libcuda.so.1"
_ARCHITECTURE = re.compile(r"sm_?(\d{2,3})")
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, …_MINOR


def gpu_count() -> int:
    """How many GPUs the driver shows this process (``CUDA_VISIBLE_DEVICES`` applies); 0 without a driver."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int()
    # a driver without a device answers with an error code (CUDA_ERROR_NO_DEVICE, or one for a broken installation)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def architectures(numbers: Sequence[int] | None = None) -> Sequence[str]:
    """The architectures of the GPUs with these numbers (default: all), each once, as in ``["sm80", "sm90"]``.

    A number that no GPU has is ignored; whatever runs on it will raise an error.
    """
    count = gpu_count()
    existing = range(count) if numbers is None else [number for number in numbers if number < count]
    capabilities = {found for number in existing if (found := _compute_capability(number))}
    return [f"sm{major}{minor}" for major, minor in sorted(capabilities)]


def architecture_name(text: str) -> str | None:
    """The name of an architecture as it is written here: SM_90 → sm90. None if the text is no such name."""
    match = _ARCHITECTURE.fullmatch(text.strip().lower())
    return f"sm{match[1]}" if match else None


def _compute_capability(number: int) -> tuple[int, int] | None:
    driver, device = ctypes.CDLL(DRIVER), ctypes.c_int()
    major, minor = ctypes.c_int(), ctypes.c_int()
    failed = (
        driver.cuDeviceGet(ctypes.byref(device), number)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    )
    return None if failed else (major.value, minor.value)


def driver_cuda() -> int:
    """The newest CUDA that the driver knows, as in 13000 for 13.0; 0 without a driver."""
    version = ctypes.c_int()
    try:
        ctypes.CDLL(DRIVER).cuDriverGetVersion(ctypes.byref(version))
    except OSError:
        return 0
    return version.value


def memory(number: int) -> int | None:
    """Bytes of memory of a GPU; None if the driver shows no such GPU."""
    if number >= gpu_count():
        return None
    driver, device, size = ctypes.CDLL(DRIVER), ctypes.c_int(), ctypes.c_size_t()
    failed = driver.cuDeviceGet(ctypes.byref(device), number) or driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    return None if failed else size.value


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
