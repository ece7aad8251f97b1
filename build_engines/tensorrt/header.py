"""The header of a plan of TensorRT for RTX: what built it, and for which GPUs. It can be read without a GPU.

The format is not documented. It was found by building the same network for one architecture after another. A plan
that does not have this form is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from build_engines.errors import BuildError

MAGIC = b"vtrt"
LENGTH = 40  #: bytes that `read` looks at
_SIZE_AT, _VERSION_AT, _MASK_AT = 16, 24, 32
_BITS = {1: "sm75", 2: "sm80", 4: "sm86", 8: "sm89", 16: "sm120", 32: "sm121"}


@dataclass(frozen=True)
class Header:
    """What a plan says of itself."""

    version: str  #: of TensorRT for RTX, four numbers
    architectures: tuple[str, ...]
    size: int  #: bytes of the whole file


def read(data: bytes | memoryview) -> Header:
    """The header at the beginning of a plan. Raises `BuildError` when `data` is no such plan."""
    start = bytes(data[:LENGTH])
    if len(start) < LENGTH or start[:4] != MAGIC:
        raise BuildError(f"This is not a plan of TensorRT for RTX: it begins with {start[:4]!r}, not with {MAGIC!r}.")
    (size,) = struct.unpack_from("<Q", start, _SIZE_AT)
    (mask,) = struct.unpack_from("<I", start, _MASK_AT)
    unknown = mask & ~sum(_BITS)
    if unknown or not mask:
        raise BuildError(f"The plan's mask of architectures is {mask:#x}; bits {unknown:#x} are not known.")
    return Header(
        version=".".join(str(number) for number in start[_VERSION_AT : _VERSION_AT + 4]),
        architectures=tuple(name for bit, name in _BITS.items() if mask & bit),
        size=size,
    )
