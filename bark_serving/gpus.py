"""Which NVIDIA GPUs this machine has, asked of the driver itself: no torch, no nvidia-smi."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

DRIVER = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, …_MINOR
_COMPUTE_CAPABILITY = (75, 76)  #: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


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


def gpu_architecture(number: int = 0) -> str | None:
    """A GPU's architecture as engines name it, e.g. ``sm90``; None when there is no such GPU."""
    if number >= gpu_count():
        return None
    driver, parts = ctypes.CDLL(DRIVER), (ctypes.c_int(), ctypes.c_int())
    for part, attribute in zip(parts, _COMPUTE_CAPABILITY, strict=True):
        if driver.cuDeviceGetAttribute(ctypes.byref(part), attribute, number):
            return None
    return f"sm{parts[0].value}{parts[1].value}"


def architectures(wanted: Sequence[int] | None = None) -> Sequence[str]:
    """What the GPUs of the numbers `wanted` (default: all) are, each kind once, as in ``("sm80", "sm90")``."""
    count = gpu_count()
    if not count:
        return ()
    driver, found = ctypes.CDLL(DRIVER), set()
    for number in range(count) if wanted is None else wanted:
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        if (
            driver.cuDeviceGet(ctypes.byref(device), number)
            or driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
            or driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
        ):
            continue  # no such GPU: whoever is to run something on it will say so
        found.add((major.value, minor.value))
    return tuple(f"sm{major}{minor}" for major, minor in sorted(found))


def parse_gpus(text: str) -> Sequence[int] | None:
    """What ``--gpus`` means: "auto" → None (whatever is there), "none" → (), "0,1" → (0, 1). Raises `ValueError`."""
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
